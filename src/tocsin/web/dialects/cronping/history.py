"""What was received, and who is told."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from tocsin.domain.ping import Kind, word
from tocsin.domain.record import ChannelView, Monitor, PingView
from tocsin.web.api import Call, json_response
from tocsin.web.dialects.cronping.heartbeats import found
from tocsin.web.dialects.cronping.shapes import dashed
from tocsin.web.query import Query
from tocsin.web.times import iso

# A progress ping of a job that another dialect made is nearest to a log: it changes no status.
_TYPES = {kind: word(Kind.LOG if kind is Kind.PROGRESS else kind) for kind in Kind}


async def list_pings(call: Call) -> Response:
    """A heartbeat's pings, newest first."""
    query = Query(call.request)
    limit, offset = query.clamped("limit", 50, 1, 200), query.clamped("offset", 0, 0)
    query.finish()
    heartbeat = await found(call)
    page = await call.manage.pings(call.actor, heartbeat.id, limit=limit, offset=offset)
    pings = [_ping(heartbeat, each) for each in page.items]
    return json_response({"pings": pings, "total": page.total, "limit": limit, "offset": offset})


async def list_integrations(call: Call) -> Response:
    """All integrations of the organization, which Tocsin calls channels, oldest first."""
    views = await call.manage.channels(call.actor)
    return json_response({"integrations": [_integration(view) for view in views]})


def _ping(heartbeat: Monitor, ping: PingView) -> dict[str, Any]:
    return {
        "id": str(ping.id),
        "heartbeatId": dashed(heartbeat.uid),
        "type": _TYPES[Kind(ping.kind)],
        "receivedAt": iso(ping.arrived_at),
        "ipAddress": ping.address,
        "userAgent": ping.user_agent,
        "durationMs": ping.duration_ms,
        "runId": ping.run_id,
        "exitCode": None if ping.kind == Kind.PROGRESS else ping.exit_code,
    }


def _integration(view: ChannelView) -> dict[str, Any]:
    return {
        "id": dashed(view.uid),
        "channel": view.kind,
        "name": view.label,
        "enabled": view.enabled and view.verified_at is not None,
        "createdAt": iso(view.created_at),
        "updatedAt": iso(view.updated_at),
    }

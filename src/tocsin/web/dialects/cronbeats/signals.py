"""What was heard of a job."""

from __future__ import annotations

from typing import Any

import orjson
from starlette.responses import Response

from tocsin.domain.ping import Flag, Kind, word
from tocsin.domain.record import PingView
from tocsin.engine.manage.form import Form
from tocsin.web.api import Call
from tocsin.web.dialects.cronbeats.answers import second, success
from tocsin.web.dialects.cronbeats.jobs import found
from tocsin.web.dialects.cronbeats.lists import read_part

LONGEST_MESSAGE = 255


async def list_signals(call: Call) -> Response:
    """A job's pings, newest first."""
    form = Form()
    part = read_part(form, call.request.query_params)
    form.finish()
    job = await found(call)
    page = await call.manage.pings(call.actor, job.id, limit=part.per_page, offset=part.offset)
    with_body = [ping.id for ping in page.items if ping.flags & Flag.BODY]
    bodies = await call.manage.ping_bodies(call.actor, job.id, with_body) if with_body else {}
    signals = [_signal(ping, bodies.get(ping.id, b"")) for ping in page.items]
    total = page.total or 0
    if page.next_cursor is None:
        # Old pings are pruned and still counted: who pages by the total must come to an end.
        total = min(total, part.offset + len(signals))
    return success({"signals": signals, "pagination": part.pagination(total)})


def message(body: bytes) -> str | None:
    """What a ping said: the `message` of a JSON object, else the text; the first 255 characters, which is
    what CronBeats' own clients send at most. None where it said nothing."""
    text = body.decode(errors="replace")
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        value = None
    if isinstance(value, dict) and isinstance(value.get("message"), str):
        text = value["message"]
    return text[:LONGEST_MESSAGE] or None


def _signal(ping: PingView, body: bytes) -> dict[str, Any]:
    kind = Kind(ping.kind)
    is_progress = kind is Kind.PROGRESS
    return {
        "id": ping.id,
        "type": "ping" if ping.flags & Flag.HEARTBEAT else word(kind),
        "received_at": second(ping.arrived_at),
        "ip_address": ping.address,
        "user_agent": ping.user_agent,
        "duration_ms": ping.duration_ms,
        "message": message(body),
        "exit_code": None if is_progress else ping.exit_code,
        "progress": ping.exit_code if is_progress else None,
    }

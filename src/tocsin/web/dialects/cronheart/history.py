"""What a monitor received, and what was told of it."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Literal

from pydantic import BaseModel, Field
from starlette.responses import Response

from tocsin.domain.errors import invalid
from tocsin.domain.monitor import Status
from tocsin.domain.ping import Flag, Kind
from tocsin.domain.record import AlertView, Monitor, PingView
from tocsin.web.api import Call, json_response
from tocsin.web.dialects.cronheart.monitors import MONITOR, found
from tocsin.web.dialects.cronheart.pings import LONGEST_RUNTIME_MS
from tocsin.web.dialects.cronheart.shapes import (
    NAME,
    SILENT,
    ChannelReference,
    Given,
    Id,
    PageQuery,
    Time,
    listed,
    time,
    window,
)
from tocsin.web.openapi import Operation
from tocsin.web.query import read_id

# The others, which only monitors of other dialects have, mean nothing here.
KINDS = (Kind.START, Kind.SUCCESS, Kind.FAIL)
_WORDS = {Kind.START: "start", Kind.SUCCESS: "success", Kind.FAIL: "fail"}


class PingsQuery(BaseModel):
    """Which part of the list."""

    limit: int = Field(default=50, description="From 1 to 100; out of range is clamped.")
    cursor: str = Field(default="", description="From `next_cursor`.")


class Ping(Given):
    """One ping."""

    id: Id
    kind: Literal["heartbeat", "start", "success", "fail"]
    received_at: Time
    runtime_ms: int | None = Field(description="As the job said, or since its last start; up to a day.")


class PingList(Given):
    """A page of pings, newest first."""

    data: list[Ping]
    next_cursor: str | None = Field(description="Send it as `cursor` to get the next page.")


class Alert(Given):
    """One alert. `late`: silence; `fail`: the job said so, or ran too long; `recovered`: it is back."""

    id: Id
    kind: Literal["late", "fail", "recovered"]
    created_at: Time
    dispatched_to: list[ChannelReference] = Field(description="The channels that it went to.")


class AlertList(Given):
    """A page of alerts, newest first."""

    data: list[Alert]
    total: int
    limit: int
    offset: int


async def list_pings(call: Call) -> Response:
    """What a monitor received, newest first."""
    monitor = await found(call)
    page = await call.manage.pings(
        call.actor,
        monitor.id,
        limit=window(call.request).limit,
        cursor=_cursor(call.request.query_params.get("cursor", "")),
        kinds=_kinds(monitor),
    )
    cursor = None if page.next_cursor is None else str(page.next_cursor)
    return json_response({"data": [_ping(one) for one in page.items], "next_cursor": cursor})


async def list_alerts(call: Call) -> Response:
    """What was told of a monitor, newest first."""
    part = window(call.request)
    monitor = await found(call)
    page = await call.manage.alerts(call.actor, monitor.id, limit=part.limit, offset=part.offset)
    return listed([_alert(one) for one in page.items], page.total, part)


def _kinds(monitor: Monitor) -> Collection[int]:
    return () if monitor.dialect == NAME else KINDS


def _cursor(text: str) -> int | None:
    if not text:
        return None
    cursor = read_id(text)
    if cursor is None:
        raise invalid("cursor", "This is no cursor: send what `next_cursor` said.")
    return cursor


def _ping(ping: PingView) -> dict[str, Any]:
    is_short = ping.duration_ms is not None and ping.duration_ms <= LONGEST_RUNTIME_MS
    return {
        "id": str(ping.id),
        "kind": "heartbeat" if ping.flags & Flag.HEARTBEAT else _WORDS[Kind(ping.kind)],
        "received_at": time(ping.arrived_at),
        "runtime_ms": ping.duration_ms if is_short else None,
    }


def _alert(alert: AlertView) -> dict[str, Any]:
    return {
        "id": str(alert.id),
        "kind": _alert_kind(alert),
        "created_at": time(alert.created_at),
        "dispatched_to": [
            {"id": str(one.id), "kind": one.kind, "label": one.label} for one in alert.channels
        ],
    }


def _alert_kind(alert: AlertView) -> str:
    if alert.new == Status.UP:
        return "recovered"
    return "late" if alert.reason in SILENT else "fail"


OPERATIONS = (
    Operation(
        "GET",
        f"{MONITOR}/pings",
        list_pings,
        "List pings",
        {200: PingList},
        query=PingsQuery,
        refusals=(402, 404, 422),
    ),
    Operation(
        "GET",
        f"{MONITOR}/alerts",
        list_alerts,
        "List alerts",
        {200: AlertList},
        query=PageQuery,
        refusals=(402, 404),
    ),
)

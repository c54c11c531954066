"""What was received, and what became of it: pings, flips, incidents."""

from __future__ import annotations

from typing import Any

from pydantic import Field
from starlette.responses import Response

from tocsin.domain.errors import Code, TocsinError
from tocsin.domain.ping import Flag, Kind
from tocsin.domain.record import FlipView, IncidentView, PingView
from tocsin.web.api import Call
from tocsin.web.dialects.tocsin.monitor_shapes import KIND_WORDS
from tocsin.web.dialects.tocsin.monitors import found
from tocsin.web.dialects.tocsin.shapes import Cursor, Given, PageQuery, PingKind, Time, Uid, listed
from tocsin.web.openapi import Operation
from tocsin.web.query import Query, read_id
from tocsin.web.times import iso, iso_or_none


class Ping(Given):
    """One received signal."""

    id: str
    kind: PingKind
    arrived_at: Time
    run_id: str | None
    exit_code: int | None
    percent: int | None = Field(description="Of a progress ping that names one.")
    duration_ms: int | None
    address: str | None
    user_agent: str | None
    is_duplicate: bool
    has_body: bool
    body_was_cut: bool


class PingPage(Given):
    """Pings, newest first."""

    pings: list[Ping]
    total: int | None
    next_cursor: Cursor


class PingQuery(PageQuery):
    """Which pings."""

    kind: list[PingKind] = Field(default=[], description="Any of these; may be repeated.")


class Flip(Given):
    """One change of status."""

    id: str
    monitor_id: Uid
    monitor_name: str
    at: Time
    old: str
    new: str
    reason: str
    announced: bool


class FlipPage(Given):
    """Flips, newest first."""

    flips: list[Flip]
    total: int | None
    next_cursor: Cursor


class Incident(Given):
    """A span of trouble; `ended_at` is null while it lasts."""

    id: str
    monitor_id: Uid
    monitor_name: str
    started_at: Time
    ended_at: Time | None
    reason: str


class IncidentPage(Given):
    """Incidents, newest first."""

    incidents: list[Incident]
    total: int | None
    next_cursor: Cursor


async def list_pings(call: Call) -> Response:
    """A monitor's pings."""
    query = Query(call.request)
    limit, cursor = query.number("limit", 50, 100), query.cursor()
    kinds = [KIND_WORDS.index(kind) for kind in query.words("kind", KIND_WORDS)]
    query.finish()
    monitor = await found(call)
    page = await call.manage.pings(call.actor, monitor.id, limit=limit, cursor=cursor, kinds=kinds)
    return listed("pings", [_ping(each) for each in page.items], page.total, page.next_cursor)


async def get_ping_body(call: Call) -> Response:
    """What a ping carried, as it came; nobody's browser may run it."""
    monitor, part = await found(call), call.part("ping_id")
    ping_id = read_id(part)
    if ping_id is None:
        raise TocsinError(Code.NOT_FOUND, "There is no such ping.")
    body = await call.manage.ping_body(call.actor, monitor.id, ping_id)
    return Response(body, media_type="application/octet-stream")


async def list_flips(call: Call) -> Response:
    """Changes of status in the whole project."""
    return await _flips(call, None)


async def list_monitor_flips(call: Call) -> Response:
    """Changes of status of one monitor."""
    return await _flips(call, (await found(call)).id)


async def list_incidents(call: Call) -> Response:
    """Spans of trouble in the whole project."""
    return await _incidents(call, None)


async def list_monitor_incidents(call: Call) -> Response:
    """Spans of trouble of one monitor."""
    return await _incidents(call, (await found(call)).id)


async def _flips(call: Call, monitor_id: int | None) -> Response:
    limit, cursor = _part(call)
    page = await call.manage.flips(call.actor, monitor_id, limit=limit, cursor=cursor)
    return listed("flips", [_flip(each) for each in page.items], page.total, page.next_cursor)


async def _incidents(call: Call, monitor_id: int | None) -> Response:
    limit, cursor = _part(call)
    page = await call.manage.incidents(call.actor, monitor_id, limit=limit, cursor=cursor)
    return listed("incidents", [_incident(each) for each in page.items], page.total, page.next_cursor)


def _part(call: Call) -> tuple[int, int | None]:
    query = Query(call.request)
    limit, cursor = query.number("limit", 50, 100), query.cursor()
    query.finish()
    return limit, cursor


def _ping(ping: PingView) -> dict[str, Any]:
    return {
        "id": str(ping.id),
        "kind": KIND_WORDS[ping.kind],
        "arrived_at": iso(ping.arrived_at),
        "run_id": ping.run_id,
        "exit_code": None if ping.kind == Kind.PROGRESS else ping.exit_code,
        "percent": ping.exit_code if ping.kind == Kind.PROGRESS else None,
        "duration_ms": ping.duration_ms,
        "address": ping.address,
        "user_agent": ping.user_agent,
        "is_duplicate": bool(ping.flags & Flag.DUPLICATE),
        "has_body": bool(ping.flags & Flag.BODY),
        "body_was_cut": bool(ping.flags & Flag.BODY_CUT),
    }


def _flip(flip: FlipView) -> dict[str, Any]:
    return {
        "id": str(flip.id),
        "monitor_id": flip.monitor_uid,
        "monitor_name": flip.monitor_name,
        "at": iso(flip.at),
        "old": flip.old,
        "new": flip.new,
        "reason": flip.reason,
        "announced": bool(flip.announced),
    }


def _incident(incident: IncidentView) -> dict[str, Any]:
    return {
        "id": str(incident.id),
        "monitor_id": incident.monitor_uid,
        "monitor_name": incident.monitor_name,
        "started_at": iso(incident.started_at),
        "ended_at": iso_or_none(incident.ended_at),
        "reason": incident.reason,
    }


_OF_MONITOR = "/monitors/{monitor_id}"
OPERATIONS = (
    Operation(
        "GET",
        f"{_OF_MONITOR}/pings",
        list_pings,
        "List pings",
        {200: PingPage},
        query=PingQuery,
        refusals=(404, 422),
    ),
    Operation(
        "GET",
        f"{_OF_MONITOR}/pings/{{ping_id}}/body",
        get_ping_body,
        "Get a ping's body",
        {200: "application/octet-stream"},
        refusals=(404,),
    ),
    Operation(
        "GET",
        f"{_OF_MONITOR}/flips",
        list_monitor_flips,
        "List a monitor's flips",
        {200: FlipPage},
        query=PageQuery,
        refusals=(404, 422),
    ),
    Operation(
        "GET",
        f"{_OF_MONITOR}/incidents",
        list_monitor_incidents,
        "List a monitor's incidents",
        {200: IncidentPage},
        query=PageQuery,
        refusals=(404, 422),
    ),
    Operation(
        "GET", "/flips", list_flips, "List all flips", {200: FlipPage}, query=PageQuery, refusals=(422,)
    ),
    Operation(
        "GET",
        "/incidents",
        list_incidents,
        "List all incidents",
        {200: IncidentPage},
        query=PageQuery,
        refusals=(422,),
    ),
)

"""Monitors: make, list, look, change, pause, snooze, delete."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson
from starlette.responses import Response

from tocsin.domain.errors import Code, TocsinError, invalid
from tocsin.domain.monitor import SECOND
from tocsin.domain.record import Monitor
from tocsin.engine.manage.form import LONGEST_URL, Form
from tocsin.engine.manage.monitors import BULK_LIMIT, MonitorDraft, MonitorQuery, MonitorRef
from tocsin.web.api import Call, json_response
from tocsin.web.dialect import badge_address, ping_address
from tocsin.web.dialects.tocsin import monitor_shapes as shapes
from tocsin.web.dialects.tocsin.answers import problem
from tocsin.web.dialects.tocsin.shapes import listed, refuse_unknown, taken
from tocsin.web.openapi import Operation
from tocsin.web.query import Query
from tocsin.web.times import parse_iso
from tocsin.web.trouble import NO_FIELDS, STATUSES, trouble_of

WANTED = ("new", "up", "late", "down", "paused", "running", "snoozed")


async def create_monitor(call: Call) -> Response:
    """A new monitor."""
    draft = _draft(await taken(call, shapes.NewMonitor))
    return await _created(call, await call.manage.create_monitor(call.actor, draft))


async def create_monitors(call: Call) -> Response:
    """Up to 1,000, each for itself."""
    given = (await taken(call, shapes.NewMonitors)).get("monitors")
    if not isinstance(given, list) or not 1 <= len(given) <= BULK_LIMIT:
        raise invalid("monitors", f"This must be a list of 1 to {BULK_LIMIT} monitors.")
    drafts = [_draft_or_error(each) for each in given]
    good = [draft for draft in drafts if isinstance(draft, MonitorDraft)]
    made = iter(await call.manage.create_monitors(call.actor, good) if good else ())
    outcomes = [each if isinstance(each, TocsinError) else next(made) for each in drafts]
    items = iter(await items_of(call, [each for each in outcomes if isinstance(each, Monitor)]))
    results = [
        {"monitor": None, "error": _problem(each)}
        if isinstance(each, TocsinError)
        else {"monitor": next(items), "error": None}
        for each in outcomes
    ]
    refused = sum(isinstance(each, TocsinError) for each in outcomes)
    return json_response({"results": results, "created": len(results) - refused, "refused": refused})


async def list_monitors(call: Call) -> Response:
    """A page, newest first."""
    query = Query(call.request)
    wanted = MonitorQuery(
        text=query.text("text", query.word("text"), 0, 200),
        statuses=frozenset(query.words("status", WANTED)),
        tags=tuple(query.many("tag")),
        limit=query.number("limit", 50, 100),
        cursor=query.cursor(),
    )
    query.finish()
    page = await call.manage.monitors(call.actor, wanted)
    return listed("monitors", await items_of(call, page.items), page.total, page.next_cursor)


async def get_monitor(call: Call) -> Response:
    """One monitor."""
    return await _shown(call, await found(call))


async def update_monitor(call: Call) -> Response:
    """Change what is sent."""
    changes = await taken(call, shapes.MonitorChanges)
    _check_webhook(changes)
    monitor = await found(call)
    return await _shown(call, await call.manage.update_monitor(call.actor, monitor.id, changes))


async def delete_monitor(call: Call) -> Response:
    """Gone, with its history."""
    monitor = await found(call)
    await call.manage.delete(call.actor, monitor.id)
    return Response(status_code=204)


async def pause_monitor(call: Call) -> Response:
    """No alerts and no expectations until it is resumed."""
    monitor = await found(call)
    return await _shown(call, await call.manage.pause(call.actor, monitor.id))


async def resume_monitor(call: Call) -> Response:
    """Back to new: the next ping starts the schedule."""
    monitor = await found(call)
    return await _shown(call, await call.manage.resume(call.actor, monitor.id))


async def snooze_monitor(call: Call) -> Response:
    """Hold its alerts back for a while."""
    until_at = _snooze_end(await taken(call, shapes.Snooze), call.now)
    monitor = await found(call)
    return await _shown(call, await call.manage.snooze(call.actor, monitor.id, until_at))


async def unsnooze_monitor(call: Call) -> Response:
    """Alerts flow again."""
    monitor = await found(call)
    return await _shown(call, await call.manage.unsnooze(call.actor, monitor.id))


async def rotate_ping_address(call: Call) -> Response:
    """A new ping address; the old one is unknown from now on."""
    monitor = await found(call)
    return await _shown(call, await call.manage.rotate_token(call.actor, monitor.id))


async def found(call: Call) -> Monitor:
    """The monitor that the path names. Raises TocsinError(NOT_FOUND)."""
    return await call.manage.monitor(call.actor, MonitorRef.of_uid(call.part("monitor_id")))


async def items_of(call: Call, monitors: Sequence[Monitor]) -> list[dict[str, Any]]:
    """Monitors as a list shows them."""
    channels = await call.manage.channels_of(call.actor, monitors)
    services, is_open, now = call.services, not call.actor.read_only, call.now
    return [
        shapes.item(
            monitor,
            own,
            ping_address(services, monitor) if is_open else None,
            badge_address(services, monitor),
            now,
        )
        for monitor, own in zip(monitors, channels, strict=True)
    ]


async def _detail(call: Call, monitor: Monitor) -> dict[str, Any]:
    (item,) = await items_of(call, [monitor])
    (own,) = await call.manage.targets(call.actor, [monitor])
    return item | shapes.targets(own)


async def _shown(call: Call, monitor: Monitor) -> Response:
    return json_response(await _detail(call, monitor))


async def _created(call: Call, monitor: Monitor) -> Response:
    address = f"{call.services.public_url}/api/tocsin/v1/monitors/{monitor.uid}"
    return json_response(await _detail(call, monitor), 201, {"Location": address})


def _draft(fields: dict[str, Any]) -> MonitorDraft:
    _check_webhook(fields)
    return MonitorDraft(**{"name": None, **fields, "dialect": "tocsin"})


def _check_webhook(fields: dict[str, Any]) -> None:
    """Without an address the use cases do not look at what belongs to one; a mistake is one all the same."""
    form = Form()
    for name in ("webhook_format", "webhook_secret"):
        if fields.get(name) is not None:
            form.text(name, fields[name], 1, LONGEST_URL)
    form.finish()


def _draft_or_error(given: Any) -> MonitorDraft | TocsinError:
    if not isinstance(given, dict):
        return TocsinError(Code.INVALID, "A monitor must be a JSON object.")
    try:
        refuse_unknown(given, shapes.NewMonitor)
        return _draft(given)
    except TocsinError as error:
        return error


def _problem(error: TocsinError) -> Any:
    return orjson.Fragment(problem(trouble_of(error, STATUSES, NO_FIELDS)).body)


def _snooze_end(fields: dict[str, Any], now: int) -> int:
    until_at, seconds = fields.get("until_at"), fields.get("seconds")
    if (until_at is None) == (seconds is None):
        raise invalid("until_at", "Send either until_at or seconds.")
    if until_at is not None:
        moment = parse_iso(until_at) if isinstance(until_at, str) else None
        if moment is None:
            raise invalid("until_at", "This must be a time such as 2026-03-28T02:00:12Z.")
        return moment
    if isinstance(seconds, bool) or not isinstance(seconds, int) or not 1 <= seconds <= 31_622_400:
        raise invalid("seconds", "This must be a whole number from 1 to 31622400.")
    return now + seconds * SECOND


_ONE = {200: shapes.MonitorDetail}
_CHANGE = (403, 404, 409)
OPERATIONS = (
    Operation(
        "GET",
        "/monitors",
        list_monitors,
        "List monitors",
        {200: shapes.MonitorPage},
        query=shapes.MonitorQuery,
        refusals=(422,),
    ),
    Operation(
        "POST",
        "/monitors",
        create_monitor,
        "Create a monitor",
        {201: shapes.MonitorDetail},
        takes=shapes.NewMonitor,
        refusals=(403, 409, 422),
    ),
    Operation(
        "POST",
        "/monitors/bulk",
        create_monitors,
        "Create up to 1,000 monitors",
        {200: shapes.BulkResults},
        takes=shapes.NewMonitors,
        refusals=(403, 422),
    ),
    Operation("GET", "/monitors/{monitor_id}", get_monitor, "Get a monitor", _ONE, refusals=(404,)),
    Operation(
        "PATCH",
        "/monitors/{monitor_id}",
        update_monitor,
        "Change a monitor",
        _ONE,
        takes=shapes.MonitorChanges,
        refusals=(*_CHANGE, 422),
    ),
    Operation(
        "DELETE", "/monitors/{monitor_id}", delete_monitor, "Delete a monitor", {204: None}, refusals=_CHANGE
    ),
    Operation(
        "POST", "/monitors/{monitor_id}/pause", pause_monitor, "Pause a monitor", _ONE, refusals=_CHANGE
    ),
    Operation(
        "POST", "/monitors/{monitor_id}/resume", resume_monitor, "Resume a monitor", _ONE, refusals=_CHANGE
    ),
    Operation(
        "POST",
        "/monitors/{monitor_id}/snooze",
        snooze_monitor,
        "Snooze a monitor",
        _ONE,
        takes=shapes.Snooze,
        refusals=(*_CHANGE, 422),
    ),
    Operation(
        "POST", "/monitors/{monitor_id}/unsnooze", unsnooze_monitor, "End a snooze", _ONE, refusals=_CHANGE
    ),
    Operation(
        "POST",
        "/monitors/{monitor_id}/rotate",
        rotate_ping_address,
        "Make a new ping address",
        _ONE,
        refusals=_CHANGE,
    ),
)

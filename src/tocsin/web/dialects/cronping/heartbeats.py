"""Heartbeats, which Tocsin calls monitors: make, list, look, change, pause, delete."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.responses import Response

from tocsin.domain.errors import Code, TocsinError
from tocsin.domain.monitor import Status as Stored
from tocsin.domain.record import Monitor
from tocsin.engine.manage.desk import may_write
from tocsin.engine.manage.monitors import MonitorDraft, MonitorQuery, MonitorRef
from tocsin.web.api import Call, json_response
from tocsin.web.dialect import ping_address
from tocsin.web.dialects.cronping.fields import changes_of, draft_of, renamed, schedule_of
from tocsin.web.dialects.cronping.shapes import NAME, dashed, status_word
from tocsin.web.query import Query
from tocsin.web.times import iso_kept, iso_or_none

STATUSES = ("new", "up", "running", "late", "down", "paused")


async def list_heartbeats(call: Call) -> Response:
    """A page, newest first."""
    query = Query(call.request)
    limit, offset = query.clamped("limit", 50, 1, 100), query.clamped("offset", 0, 0)
    wanted = MonitorQuery(
        text=query.word("query"),
        statuses=frozenset(query.words("status", STATUSES)),
        tags=tuple(query.many("tag")),
        limit=limit,
        offset=offset,
    )
    query.finish()
    page = await call.manage.monitors(call.actor, wanted)
    now = call.now
    items = [_item(call, monitor, now) for monitor in page.items]
    return json_response({"heartbeats": items, "total": page.total, "limit": limit, "offset": offset})


async def create_heartbeat(call: Call) -> Response:
    """A new heartbeat; with `unique`, the one that is there already is updated instead (200)."""
    may_write(call.actor)
    draft, given = draft_of(await call.fields())
    monitor, is_new = await _put(call, draft, given)
    if not is_new:
        return await _shown(call, monitor)
    address = f"{call.services.public_url}/{NAME}/api/v1/heartbeats/{dashed(monitor.uid)}"
    return await _shown(call, monitor, 201, {"Location": address})


async def get_heartbeat(call: Call) -> Response:
    """One heartbeat, with its integrations."""
    return await _shown(call, await found(call))


async def update_heartbeat(call: Call) -> Response:
    """Change what is sent."""
    may_write(call.actor)
    fields, before = await call.fields(), await found(call)
    changes = changes_of(fields, before)
    try:
        after = await call.manage.update_monitor(call.actor, before.id, changes)
    except TocsinError as error:
        raise renamed(error, changes.get("schedule_kind", before.schedule_kind)) from error
    return await _shown(call, after)


async def delete_heartbeat(call: Call) -> Response:
    """Gone, with its pings, alerts and flips."""
    monitor = await found(call)
    await call.manage.delete(call.actor, monitor.id)
    return json_response({"id": dashed(monitor.uid), "deleted": True})


async def pause_heartbeat(call: Call) -> Response:
    """No alerts until it is resumed; its pings are kept all the same."""
    return await _shown(call, await call.manage.pause(call.actor, (await found(call)).id))


async def resume_heartbeat(call: Call) -> Response:
    """Back to new: the next ping starts the schedule. One that is not paused stays as it is."""
    return await _shown(call, await call.manage.resume(call.actor, (await found(call)).id))


async def found(call: Call) -> Monitor:
    """The heartbeat that the path names. Raises TocsinError(NOT_FOUND)."""
    try:
        return await call.manage.monitor(call.actor, MonitorRef.of_uid(call.part("id")))
    except TocsinError as error:
        if error.code is not Code.NOT_FOUND:
            raise
        raise TocsinError(error.code, "Heartbeat not found") from error


async def _put(call: Call, draft: MonitorDraft, given: frozenset[str]) -> tuple[Monitor, bool]:
    try:
        if draft.unique_key is None:
            return await call.manage.create_monitor(call.actor, draft), True
        return await call.manage.put_monitor(call.actor, draft, given)
    except TocsinError as error:
        if error.code is Code.LIMIT_REACHED:
            limit = call.actor.plan.monitor_limit
            text = f"Plan limit reached ({limit}). Upgrade your plan for more heartbeats."
            raise TocsinError(error.code, text) from error
        raise renamed(error, str(draft.schedule_kind)) from error


async def _shown(
    call: Call, monitor: Monitor, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    [channels] = await call.manage.channels_of(call.actor, [monitor])
    ids = [dashed(channel.uid) for channel in channels]
    return json_response(_item(call, monitor, call.now) | {"integrationIds": ids}, status, headers)


def _item(call: Call, monitor: Monitor, now: int) -> dict[str, Any]:
    schedule = schedule_of(monitor)
    item: dict[str, Any] = {
        "id": dashed(monitor.uid),
        "name": monitor.name,
        "status": status_word(monitor, now),
        "paused": monitor.status == Stored.PAUSED,
        "scheduleType": schedule.type,
        "intervalSeconds": schedule.interval_seconds,
        "cronExpression": schedule.cron,
        "timezone": monitor.timezone,
        "graceSeconds": monitor.grace_seconds,
        "tags": monitor.tag_text,
        "emailAlertsEnabled": monitor.mail_channel_id is not None,
        "reminderIntervalSeconds": monitor.reminder_seconds or 0,
        "lastPingAt": iso_or_none(monitor.last_ping_at),
        "nextExpectedAt": iso_or_none(monitor.next_expected_at(with_grace=True)),
    }
    if not call.actor.read_only:
        item["token"] = monitor.token
        item["pingUrl"] = ping_address(call.services, monitor)
    item["createdAt"] = iso_kept(monitor.created_at)
    item["updatedAt"] = iso_kept(_updated_at(monitor))
    return item


def _updated_at(monitor: Monitor) -> int:
    """The last change of any kind: in the published sample it is the last ping."""
    return max(monitor.updated_at, monitor.last_ping_at or 0, monitor.since_at)

"""Monitors: made, listed, changed, paused, snoozed, given another UUID."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from tocsin.domain.errors import invalid
from tocsin.domain.monitor import SECOND
from tocsin.domain.record import Monitor
from tocsin.engine.manage.desk import may_write
from tocsin.engine.manage.form import Form
from tocsin.engine.manage.monitors import MonitorDraft, MonitorQuery, MonitorRef
from tocsin.web.api import Call, json_response
from tocsin.web.dialects.cronheart.drafts import judged, read_changes, read_new
from tocsin.web.dialects.cronheart.idempotency import idempotent
from tocsin.web.dialects.cronheart.monitor_shapes import (
    MonitorChanges,
    MonitorItem,
    MonitorList,
    NewMonitor,
    Rotation,
    Snooze,
    item,
)
from tocsin.web.dialects.cronheart.shapes import NAME, ROOT, PageQuery, listed, taken, window
from tocsin.web.openapi import Operation

MONITORS = "/monitors"
MONITOR = "/monitors/{uuid}"
SNOOZES = {"1h": 3_600, "4h": 14_400, "1d": 86_400, "1w": 604_800}


async def list_monitors(call: Call) -> Response:
    """The monitors of the project, newest first."""
    part = window(call.request)
    page = await call.manage.monitors(call.actor, MonitorQuery(limit=part.limit, offset=part.offset))
    channels = await call.manage.channels_of(call.actor, page.items)
    items = [item(call, one, own) for one, own in zip(page.items, channels, strict=True)]
    return listed(items, page.total, part)


@idempotent
async def create_monitor(call: Call) -> Response:
    """Watch a job. The answer has its ping_url, and the header Location its address here."""
    await call.manage.check_owner(call.actor)
    form = Form()
    wanted = await read_new(call, form, await taken(call))
    draft = MonitorDraft(**wanted, dialect=NAME, fan_out=True, mail="none")
    monitor = await judged(form, call.manage.create_monitor(call.actor, draft))
    shown = await _shown(call, monitor)
    address = f"{call.services.public_url}/{NAME}{ROOT}{MONITORS}/{shown['uuid']}"
    return json_response(shown, 201, {"Location": address})


async def get_monitor(call: Call) -> Response:
    """One monitor."""
    return json_response(await _shown(call, await found(call)))


async def update_monitor(call: Call) -> Response:
    """Change some fields; the others stay."""
    monitor = await found(call)
    form = Form()
    wanted = await read_changes(call, form, await taken(call), monitor)
    changed = await judged(form, call.manage.update_monitor(call.actor, monitor.id, wanted))
    return json_response(await _shown(call, changed))


async def delete_monitor(call: Call) -> Response:
    """Delete a monitor; its pings are unknown from now on."""
    await call.manage.delete(call.actor, (await found(call)).id)
    return Response(status_code=204)


async def pause_monitor(call: Call) -> Response:
    """Expect nothing, and tell nobody, until it is resumed. Pings are recorded, and answered with 410."""
    monitor = await found(call)
    return json_response(await _shown(call, await call.manage.pause(call.actor, monitor.id)))


async def resume_monitor(call: Call) -> Response:
    """Wait for the next ping again."""
    monitor = await found(call)
    return json_response(await _shown(call, await call.manage.resume(call.actor, monitor.id)))


async def snooze_monitor(call: Call) -> Response:
    """Hold alerts back for a while; the status is kept up to date meanwhile."""
    monitor = await found(call)
    form = Form()
    duration = form.choice("duration", (await taken(call)).get("duration"), tuple(SNOOZES))
    form.finish()
    until_at = call.now + SNOOZES[duration] * SECOND
    return json_response(await _shown(call, await call.manage.snooze(call.actor, monitor.id, until_at)))


async def unsnooze_monitor(call: Call) -> Response:
    """Tell of alerts again: what was held back and is still true is told now."""
    monitor = await found(call)
    return json_response(await _shown(call, await call.manage.unsnooze(call.actor, monitor.id)))


async def rotate_uuid(call: Call) -> Response:
    """Give the monitor another UUID. The old one is unknown at once, to jobs and here."""
    monitor = await found(call)
    may_write(call.actor)
    confirmed = (await taken(call)).get("confirm")
    if monitor.dialect != NAME:
        raise invalid("confirm", "This monitor was made elsewhere: its UUID is no ping address.")
    if confirmed != monitor.token:
        raise invalid("confirm", "This must be the monitor's present UUID, in lower case.")
    rotated = await call.manage.rotate_token(call.actor, monitor.id, present=monitor.token)
    return json_response(await _shown(call, rotated))


async def found(call: Call) -> Monitor:
    """The monitor that the path names. A read-only key names it by the id that it sees."""
    uuid = call.part("uuid")
    ref = MonitorRef.of_uid(uuid) if call.actor.read_only else MonitorRef.of_uuid(uuid, NAME)
    return await call.manage.monitor(call.actor, ref)


async def _shown(call: Call, monitor: Monitor) -> dict[str, Any]:
    [channels] = await call.manage.channels_of(call.actor, [monitor])
    return item(call, monitor, channels)


_ONE = {200: MonitorItem}
_PLAIN, _WITH_FIELDS = (402, 403, 404), (402, 403, 404, 422)
OPERATIONS = (
    Operation(
        "GET",
        MONITORS,
        list_monitors,
        "List monitors",
        {200: MonitorList},
        query=PageQuery,
        refusals=(402,),
    ),
    Operation(
        "POST",
        MONITORS,
        create_monitor,
        "Create a monitor",
        {201: MonitorItem},
        takes=NewMonitor,
        refusals=(402, 403, 409, 422),
    ),
    Operation("GET", MONITOR, get_monitor, "Fetch a monitor", _ONE, refusals=(402, 404)),
    Operation(
        "PATCH",
        MONITOR,
        update_monitor,
        "Change a monitor",
        _ONE,
        takes=MonitorChanges,
        refusals=_WITH_FIELDS,
    ),
    Operation("DELETE", MONITOR, delete_monitor, "Delete a monitor", {204: None}, refusals=_PLAIN),
    Operation("POST", f"{MONITOR}/pause", pause_monitor, "Pause a monitor", _ONE, refusals=_PLAIN),
    Operation("POST", f"{MONITOR}/resume", resume_monitor, "Resume a monitor", _ONE, refusals=_PLAIN),
    Operation(
        "POST",
        f"{MONITOR}/snooze",
        snooze_monitor,
        "Hold alerts back",
        _ONE,
        takes=Snooze,
        refusals=_WITH_FIELDS,
    ),
    Operation("POST", f"{MONITOR}/unsnooze", unsnooze_monitor, "End a snooze", _ONE, refusals=_PLAIN),
    Operation(
        "POST",
        f"{MONITOR}/rotate-uuid",
        rotate_uuid,
        "Replace the UUID",
        _ONE,
        takes=Rotation,
        refusals=_WITH_FIELDS,
    ),
)

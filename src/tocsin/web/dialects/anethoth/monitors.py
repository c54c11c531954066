"""Monitors: made, listed, read, deleted, paused, resumed."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from starlette.responses import Response

from tocsin.domain.ping import Kind, word
from tocsin.domain.plan import UNLIMITED
from tocsin.domain.record import Monitor, PingView, Targets
from tocsin.engine.manage.form import Form
from tocsin.engine.manage.monitors import MonitorDraft, MonitorQuery, MonitorRef
from tocsin.web.api import Call, json_response
from tocsin.web.dialect import ping_address
from tocsin.web.dialects.anethoth.shapes import (
    MOST_MINUTES,
    NAME,
    USUAL_GRACE,
    USUAL_SCHEDULE,
    Deleted,
    MonitorDetail,
    MonitorItem,
    MonitorList,
    NewMonitor,
)
from tocsin.web.openapi import Operation
from tocsin.web.times import plain, plain_or_none

PINGS_SHOWN = 50
MANY = 1_000  # monitors that are written beside the event loop, so that no ping waits for them

MONITORS, MONITOR = "/api/v1/monitors", "/api/v1/monitors/{id}"


async def create_monitor(call: Call) -> Response:
    """Expect a job every `schedule_minutes`."""
    draft = _draft(await call.fields())
    monitor = await call.manage.create_monitor(call.actor, draft)
    [own] = await call.manage.targets(call.actor, [monitor])
    # Whoever sent the address may read it once more; from then on it is a secret.
    return json_response(_item(call, monitor, own) | {"alert_webhook": own.webhook_url}, 201)


async def list_monitors(call: Call) -> Response:
    """All monitors of the account, newest first."""
    everything = MonitorQuery(limit=UNLIMITED, with_total=False)
    monitors = (await call.manage.monitors(call.actor, everything)).items
    own = await call.manage.targets(call.actor, monitors)
    if len(monitors) > MANY:
        return await asyncio.to_thread(_list, call, monitors, own)
    return _list(call, monitors, own)


async def get_monitor(call: Call) -> Response:
    """A monitor, and its last pings."""
    monitor = await _found(call)
    [own] = await call.manage.targets(call.actor, [monitor])
    pings = (await call.manage.pings(call.actor, monitor.id, limit=PINGS_SHOWN)).items
    return json_response(_item(call, monitor, own) | {"pings": [_ping(each) for each in pings]})


async def delete_monitor(call: Call) -> Response:
    """Delete a monitor and all its history."""
    await call.manage.delete(call.actor, (await _found(call)).id)
    return json_response({"deleted": True})


async def pause_monitor(call: Call) -> Response:
    """No alerts until it is resumed, for instance during maintenance."""
    return await _shown(call, await call.manage.pause(call.actor, (await _found(call)).id))


async def resume_monitor(call: Call) -> Response:
    """Wait for the next ping again."""
    return await _shown(call, await call.manage.resume(call.actor, (await _found(call)).id))


def _draft(fields: dict[str, Any]) -> MonitorDraft:
    """What the body asks for, under the draft's names. INVALID."""
    form = Form()
    schedule, grace = (
        form.whole(field, default if fields.get(name) is None else fields[name], least, MOST_MINUTES) * 60
        for field, name, default, least in (
            ("schedule_expression", "schedule_minutes", USUAL_SCHEDULE, 1),
            ("grace_seconds", "grace_minutes", USUAL_GRACE, 0),
        )
    )
    # An address, and none of the words that the draft has besides.
    mail = "members" if fields.get("alert_email") is None else form.address("mail", fields["alert_email"])
    form.finish()
    webhook = fields.get("alert_webhook")
    return MonitorDraft(
        name=fields.get("name"),
        dialect=NAME,
        schedule_expression=str(schedule),
        grace_seconds=grace,
        mail=mail,
        webhook_url=webhook,
        webhook_format="house" if webhook is None else NAME,
        fan_out=False,
    )


async def _found(call: Call) -> Monitor:
    return await call.manage.monitor(call.actor, MonitorRef.of_uid(call.part("id")))


async def _shown(call: Call, monitor: Monitor) -> Response:
    [own] = await call.manage.targets(call.actor, [monitor])
    return json_response(_item(call, monitor, own))


def _list(call: Call, monitors: Sequence[Monitor], own: Sequence[Targets]) -> Response:
    return json_response(
        {"monitors": [_item(call, one, its) for one, its in zip(monitors, own, strict=True)]}
    )


def _item(call: Call, monitor: Monitor, own: Targets) -> dict[str, Any]:
    secrets = {"token": monitor.token, "ping_url": ping_address(call.services, monitor)}
    return {
        "id": monitor.uid,
        "name": monitor.name,
        "status": status_word(monitor, call.now),
        "schedule_minutes": _minutes(monitor.interval_seconds(call.now)),
        "grace_minutes": _minutes(monitor.grace_seconds),
        "alert_email": {"members": call.actor.owner_email, "none": None}.get(own.mail, own.mail),
        "alert_webhook": own.masked_webhook_url,
        **({} if call.actor.read_only else secrets),
        "last_ping": plain_or_none(monitor.last_ping_at),
        "created_at": plain(monitor.created_at),
    }


def status_word(monitor: Monitor, _now: int) -> str:
    """A late monitor reads up."""
    return monitor.status


def _minutes(seconds: int) -> int:
    """Whole minutes, up: what others made may have any length."""
    return -(-seconds // 60)


def _ping(ping: PingView) -> dict[str, Any]:
    return {
        "id": ping.id,
        "kind": word(Kind(ping.kind)),
        "received_at": plain(ping.arrived_at),
        "duration_ms": ping.duration_ms,
        "exit_code": ping.exit_code,
        "source_ip": ping.address,
        "user_agent": ping.user_agent,
    }


_ONE = {200: MonitorItem}
OPERATIONS = (
    Operation(
        "POST",
        MONITORS,
        create_monitor,
        "Create a monitor",
        {201: MonitorItem},
        takes=NewMonitor,
        refusals=(403,),
    ),
    Operation("GET", MONITORS, list_monitors, "List monitors", {200: MonitorList}),
    Operation("GET", MONITOR, get_monitor, "Get a monitor", {200: MonitorDetail}, refusals=(404,)),
    Operation("DELETE", MONITOR, delete_monitor, "Delete a monitor", {200: Deleted}, refusals=(403, 404)),
    Operation("POST", f"{MONITOR}/pause", pause_monitor, "Pause a monitor", _ONE, refusals=(403, 404)),
    Operation("POST", f"{MONITOR}/resume", resume_monitor, "Resume a monitor", _ONE, refusals=(403, 404)),
)

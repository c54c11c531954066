"""The API of CronPeek (cronpeek.web.app): docs/dialects/cronpeek.md.

What is odd in it, on purpose: every error is `{"error": text}` and field errors are 400; a list is never
paged; the ping address is shown once, at creation; another account's monitor is a 403, an unknown one a 404.
"""

# ruff: noqa: N815 - the models' fields are the wire's names

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Annotated, Any, Literal

import orjson
from pydantic import BaseModel, Field
from starlette.responses import Response
from starlette.types import ASGIApp

from tocsin.domain.errors import Code, TocsinError, invalid
from tocsin.domain.plan import UNLIMITED
from tocsin.domain.record import Monitor
from tocsin.engine.intake import Answer
from tocsin.engine.manage.monitors import MonitorDraft, MonitorQuery, MonitorRef
from tocsin.web.api import Call, Visit, json_response
from tocsin.web.dialect import PING_TEXTS, Claim, Credential, Dialect, Pings, Reply, ping_address
from tocsin.web.openapi import About, Operation
from tocsin.web.payload import read_object
from tocsin.web.reference import assemble_with_reference
from tocsin.web.services import Services
from tocsin.web.signup import sign_up
from tocsin.web.times import iso, iso_or_none
from tocsin.web.trouble import STATUSES, Trouble

JSON = b"application/json"
ACCOUNTS, HEALTH = "/api/v1/accounts", "/api/health"
MONITORS, MONITOR = "/api/v1/monitors", "/api/v1/monitors/{id}"
PING = "/api/v1/ping/"
SHORTEST_SCHEDULE = SHORTEST_GRACE = 60
MANY = 1_000  # monitors that are written beside the event loop, so that no ping waits for them

_PING_TEXTS = {**PING_TEXTS, 404: "Ping token not found"}

Time = Annotated[str, Field(json_schema_extra={"format": "date-time"}, examples=["2026-03-28T02:00:12.000Z"])]
Status = Literal["new", "up", "down", "paused"]


class NewAccount(BaseModel):
    """Who signs up."""

    email: str = Field(examples=["you@example.com"])


class Account(BaseModel):
    """A key, and what its plan allows."""

    apiKey: str = Field(examples=["cpk_0123456789abcdef0123456789abcdef"])
    plan: str
    monitors: int = Field(description="How many monitors the plan allows.")


class NewMonitor(BaseModel):
    """What to watch."""

    name: str = Field(min_length=1, max_length=200, examples=["Nightly DB Backup"])
    schedule: int = Field(ge=60, le=31_622_400, description="Seconds between pings.", examples=[86400])
    grace: int | None = Field(
        default=None,
        ge=0,
        le=31_622_400,
        description="Seconds before alerting; default: a tenth, at least 60.",
    )
    alertEmail: str | None = Field(default=None, description="Instead of the account's address.")
    alertWebhook: str | None = Field(default=None, description="Gets a POST at each alert.")


class CreatedMonitor(BaseModel):
    """A new monitor. Save pingUrl: it is not shown again."""

    monitorId: str
    name: str
    pingUrl: str
    schedule: int
    grace: int
    status: Status


class MonitorItem(BaseModel):
    """A monitor as the list shows it."""

    monitorId: str
    name: str
    status: Status
    schedule: int
    grace: int
    lastPing: Time | None
    pingCount: int


class MonitorStatus(MonitorItem):
    """A monitor with its last alert."""

    lastAlert: Time | None


class MonitorList(BaseModel):
    """All monitors, newest first."""

    monitors: list[MonitorItem]
    count: int


class Deleted(BaseModel):
    """The monitor is gone."""

    deleted: Literal[True]


class Health(BaseModel):
    """The API is up."""

    status: Literal["ok"]
    service: Literal["cronpeek"]
    version: str
    timestamp: Time


class Failure(BaseModel):
    """Every error."""

    error: str


async def create_account(visit: Visit) -> Response:
    """Sign up with a mail address. A known address gets its key back only when the request carries it."""
    email = read_object(await visit.request.body()).get("email")
    own = await _own_account(visit, email)
    if own:
        return json_response(own, 201)
    key = await sign_up(visit, email, DIALECT.name)
    return json_response({"apiKey": key.raw, "plan": key.plan, "monitors": key.monitor_limit}, 201)


async def create_monitor(call: Call) -> Response:
    """Expect a job every `schedule` seconds."""
    draft = _draft(await call.fields())
    try:
        monitor = await call.manage.create_monitor(call.actor, draft)
    except TocsinError as error:
        if error.code is not Code.LIMIT_REACHED:
            raise
        text = (
            f"Monitor limit reached ({call.actor.plan.monitor_limit}). Upgrade your plan for more monitors."
        )
        raise TocsinError(error.code, text) from error
    shown = _item(monitor, call.now)
    del shown["lastPing"], shown["pingCount"]
    return json_response(shown | {"pingUrl": ping_address(call.services, monitor)}, 201)


async def list_monitors(call: Call) -> Response:
    """All monitors of the account, newest first."""
    everything = MonitorQuery(limit=UNLIMITED, with_total=False)
    monitors = (await call.manage.monitors(call.actor, everything)).items
    if len(monitors) > MANY:
        return Response(await asyncio.to_thread(_list, monitors, call.now), media_type="application/json")
    return Response(_list(monitors, call.now), media_type="application/json")


async def monitor_status(call: Call) -> Response:
    """How a monitor stands."""
    return _status(call, await _found(call))


async def delete_monitor(call: Call) -> Response:
    """Delete a monitor; its slot is free again."""
    await call.manage.delete(call.actor, (await _found(call)).id)
    return json_response({"deleted": True})


async def pause_monitor(call: Call) -> Response:
    """No alerts until it is resumed. This is ours: CronPeek shows the status, but no way to it."""
    return _status(call, await call.manage.pause(call.actor, (await _found(call)).id))


async def resume_monitor(call: Call) -> Response:
    """Wait for the next ping again. This is ours, too."""
    return _status(call, await call.manage.resume(call.actor, (await _found(call)).id))


async def api_health(visit: Visit) -> Response:
    """Whether the API is online."""
    now = iso(visit.services.now())
    return json_response({"status": "ok", "service": "cronpeek", "version": "1.0.0", "timestamp": now})


def refuse(trouble: Trouble) -> Reply:
    """An error as an object with one text, in which a refused field is named."""
    fields = "; ".join(f"{name}: {text}" for name, text in trouble.fields.items())
    return Reply(trouble.status, JSON, orjson.dumps({"error": fields or trouble.message}))


def ping_refusal(status: int) -> Reply:
    """A ping that was not stored."""
    return refuse(Trouble(status, _PING_TEXTS.get(status, "The ping was not stored.")))


def ping_reply(answer: Answer) -> Reply:
    """What a job reads after its ping was stored; ok for a paused monitor, too."""
    return _ping_reply(answer.monitor_name, answer.state.status)


@lru_cache(maxsize=16_384)
def _ping_reply(name: str, status: str) -> Reply:
    return Reply(200, JSON, orjson.dumps({"ok": True, "monitor": name, "status": status}))


async def _own_account(visit: Visit, email: Any) -> dict[str, Any] | None:
    """The account of the key that the request carries, if it is this address's."""
    key = DIALECT.credential.key(visit.request.headers)
    if key is None or not isinstance(email, str):
        return None
    try:
        actor = await visit.services.manage.authenticate(key, DIALECT.name)
    except TocsinError:
        return None
    if actor.owner_email != email.strip().lower():
        return None
    return {"apiKey": key, "plan": actor.plan.name, "monitors": actor.plan.monitor_limit}


def _draft(fields: dict[str, Any]) -> MonitorDraft:
    schedule, grace = fields.get("schedule"), fields.get("grace")
    if isinstance(schedule, bool) or not isinstance(schedule, int) or schedule < SHORTEST_SCHEDULE:
        raise invalid("schedule", f"This must be a whole number of seconds, at least {SHORTEST_SCHEDULE}.")
    return MonitorDraft(
        name=fields.get("name"),
        dialect=DIALECT.name,
        schedule_expression=str(schedule),
        grace_seconds=max(SHORTEST_GRACE, schedule // 10) if grace is None else grace,
        mail="members" if fields.get("alertEmail") is None else fields["alertEmail"],
        webhook_url=fields.get("alertWebhook"),
        fan_out=False,
    )


async def _found(call: Call) -> Monitor:
    ref = MonitorRef.of_prefix(call.part("id"), tells_foreign=True)
    return await call.manage.monitor(call.actor, ref)


def _item(monitor: Monitor, now: int) -> dict[str, Any]:
    return {
        "monitorId": monitor.uid[:16],
        "name": monitor.name,
        "status": monitor.status,
        "schedule": monitor.interval_seconds(now),
        "grace": monitor.grace_seconds,
        "lastPing": iso_or_none(monitor.last_ping_at),
        "pingCount": monitor.ping_count,
    }


def _status(call: Call, monitor: Monitor) -> Response:
    return json_response(_item(monitor, call.now) | {"lastAlert": iso_or_none(monitor.last_alert_at)})


def _list(monitors: Sequence[Monitor], now: int) -> bytes:
    items = [_item(monitor, now) for monitor in monitors]
    return orjson.dumps({"monitors": items, "count": len(items)})


def _build(services: Services) -> ASGIApp:
    return assemble_with_reference(DIALECT, services, ABOUT, OPERATIONS)


ABOUT = About(
    title="CronPeek dialect of Tocsin",
    description=(
        "The API of CronPeek as Tocsin speaks it. A job pings GET, POST or HEAD /api/v1/ping/{token}, "
        "which needs no key."
    ),
    problem=Failure,
    security={
        "type": "apiKey",
        "in": "header",
        "name": "x-api-key",
        "description": "In the header x-api-key.",
    },
)
_ONE = {200: MonitorStatus}
OPERATIONS = (
    Operation(
        "POST",
        ACCOUNTS,
        create_account,
        "Create an account",
        {201: Account},
        takes=NewAccount,
        refusals=(403,),
        needs_key=False,
    ),
    Operation(
        "POST",
        MONITORS,
        create_monitor,
        "Create a monitor",
        {201: CreatedMonitor},
        takes=NewMonitor,
        refusals=(403,),
    ),
    Operation("GET", MONITORS, list_monitors, "List monitors", {200: MonitorList}),
    Operation("GET", f"{MONITOR}/status", monitor_status, "Monitor status", _ONE, refusals=(403, 404)),
    Operation("DELETE", MONITOR, delete_monitor, "Delete a monitor", {200: Deleted}, refusals=(403, 404)),
    Operation("POST", f"{MONITOR}/pause", pause_monitor, "Pause a monitor", _ONE, refusals=(403, 404)),
    Operation("POST", f"{MONITOR}/resume", resume_monitor, "Resume a monitor", _ONE, refusals=(403, 404)),
    Operation("GET", HEALTH, api_health, "Health check", {200: Health}, needs_key=False),
)

DIALECT = Dialect(
    name="cronpeek",
    build=_build,
    refuse=refuse,
    claims=(
        Claim(ACCOUNTS, ("POST",)),
        Claim(MONITORS, ("GET", "POST")),
        Claim("/api/v1/monitors/{}", ("DELETE",)),
        Claim("/api/v1/monitors/{}/status", ("GET",)),
        Claim("/api/v1/monitors/{}/pause", ("POST",)),
        Claim("/api/v1/monitors/{}/resume", ("POST",)),
        Claim(HEALTH, ("GET",)),
    ),
    credential=Credential("x-api-key", "cpk_"),
    pings=Pings((PING + "{}",), ping_reply, ping_refusal, re.compile("[0-9a-f]{32}")),
    body_fields=frozenset({"schedule"}),
    # One word for what cannot be taken, and no conflict: dialects.md, section 3.
    statuses={**STATUSES, Code.INVALID: 400, Code.CONFLICT: 403, Code.PAYMENT_REQUIRED: 403},
    field_names={
        "schedule_expression": "schedule",
        "grace_seconds": "grace",
        "mail": "alertEmail",
        "webhook_url": "alertWebhook",
    },
)

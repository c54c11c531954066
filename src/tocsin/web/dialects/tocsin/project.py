"""The project, its keys, and a look at a schedule."""

from __future__ import annotations

from typing import Any, get_args

from pydantic import BaseModel, Field
from starlette.responses import Response

from tocsin.domain.errors import TocsinError, invalid
from tocsin.domain.record import KeyView, ProjectView
from tocsin.domain.schedule import describe, parse_schedule, preview
from tocsin.web.api import Call, json_response
from tocsin.web.dialects.tocsin.shapes import (
    Cursor,
    Given,
    ScheduleKind,
    Taken,
    Time,
    Uid,
    listed,
    taken,
)
from tocsin.web.openapi import Operation
from tocsin.web.query import Query
from tocsin.web.times import iso, iso_or_none, parse_iso


class Project(Given):
    """The project that the key belongs to."""

    id: Uid
    name: str
    plan: str
    monitor_limit: int
    monitor_count: int
    alert_on_down: bool
    alert_on_recovery: bool
    created_at: Time


class ProjectChanges(Taken):
    """What may be changed of the project."""

    name: str = Field(default="", min_length=1, max_length=200)
    alert_on_down: bool = True
    alert_on_recovery: bool = True


class NewKey(Taken):
    """A key to make, of any dialect that this server speaks."""

    label: str = Field(default="", max_length=100)
    dialect: str = "tocsin"
    read_only: bool = False
    expires_at: Time | None = None


class Key(Given):
    """A key without its secret."""

    id: Uid
    dialect: str
    prefix: str
    label: str
    read_only: bool
    expires_at: Time | None
    last_used_at: Time | None
    created_at: Time


class CreatedKey(Key):
    """A new key; `key` is shown this once."""

    key: str


class Keys(Given):
    """All keys that are not revoked, newest first, on one page."""

    keys: list[Key]
    total: int | None
    next_cursor: Cursor


class PreviewQuery(BaseModel):
    """A schedule to look at."""

    kind: ScheduleKind = "cron"
    expression: str = Field(max_length=120, examples=["0 3 * * *"])
    timezone: str = Field(default="UTC", max_length=64)
    count: int = Field(default=10, ge=1, le=100)


class Occurrence(Given):
    """One expected time: exact, and to the second in the schedule's zone and in UTC."""

    at: Time
    local: str
    utc: str


class Preview(Given):
    """A schedule in words, and when it expects a job."""

    description: str
    occurrences: list[Occurrence]


async def get_project(call: Call) -> Response:
    """The key's project."""
    return json_response(_project(call, await call.manage.project(call.actor)))


async def update_project(call: Call) -> Response:
    """Change what is sent."""
    changes = await taken(call, ProjectChanges)
    return json_response(_project(call, await call.manage.update_project(call.actor, changes)))


async def list_keys(call: Call) -> Response:
    """All keys of the project."""
    keys = await call.manage.list_keys(call.actor)
    return listed("keys", [_key(each) for each in keys], len(keys))


async def create_key(call: Call) -> Response:
    """A new key; its raw text is in this answer only."""
    fields = {"dialect": "tocsin"} | await taken(call, NewKey)
    if not isinstance(fields["dialect"], str):
        raise invalid("dialect", "This must be the name of a dialect.")
    view, raw = await call.manage.create_key(
        call.actor,
        dialect=fields["dialect"],
        label=fields.get("label", ""),
        read_only=fields.get("read_only", False),
        expires_at=_moment(fields.get("expires_at")),
    )
    return json_response(_key(view) | {"key": raw}, 201)


async def revoke_key(call: Call) -> Response:
    """The key works no more, from now on."""
    await call.manage.revoke_key(call.actor, call.part("key_id"))
    return Response(status_code=204)


async def preview_schedule(call: Call) -> Response:
    """When a schedule expects a job, from now on."""
    query = Query(call.request)
    kind = query.choice("kind", query.word("kind") or "cron", get_args(ScheduleKind))
    count = query.number("count", 10, 100)
    expression, timezone = query.word("expression"), query.word("timezone") or "UTC"
    try:
        schedule = parse_schedule(kind, expression, timezone)
    except TocsinError as error:
        query.adopt(error, "expression", {"schedule": "expression", "timezone": "timezone"})
    query.finish()
    occurrences = [
        {"at": iso(each.at), "local": each.local, "utc": each.utc}
        for each in preview(schedule, call.now, count)
    ]
    return json_response({"description": describe(schedule), "occurrences": occurrences})


def _moment(text: Any) -> int | None:
    if text is None:
        return None
    moment = parse_iso(text) if isinstance(text, str) else None
    if moment is None:
        raise invalid("expires_at", "This must be a time such as 2026-03-28T02:00:12Z.")
    return moment


def _project(call: Call, view: ProjectView) -> dict[str, Any]:
    return {
        "id": view.uid,
        "name": view.name,
        "plan": call.actor.plan.name,
        "monitor_limit": call.actor.plan.monitor_limit,
        "monitor_count": view.monitor_count,
        "alert_on_down": bool(view.alert_on_down),
        "alert_on_recovery": bool(view.alert_on_recovery),
        "created_at": iso(view.created_at),
    }


def _key(view: KeyView) -> dict[str, Any]:
    return {
        "id": view.uid,
        "dialect": view.dialect,
        "prefix": view.prefix,
        "label": view.label,
        "read_only": bool(view.read_only),
        "expires_at": iso_or_none(view.expires_at),
        "last_used_at": iso_or_none(view.last_used_at),
        "created_at": iso(view.created_at),
    }


OPERATIONS = (
    Operation("GET", "/project", get_project, "Get the project", {200: Project}),
    Operation(
        "PATCH",
        "/project",
        update_project,
        "Change the project",
        {200: Project},
        takes=ProjectChanges,
        refusals=(403, 422),
    ),
    Operation("GET", "/keys", list_keys, "List keys", {200: Keys}),
    Operation(
        "POST", "/keys", create_key, "Create a key", {201: CreatedKey}, takes=NewKey, refusals=(403, 422)
    ),
    Operation("DELETE", "/keys/{key_id}", revoke_key, "Revoke a key", {204: None}, refusals=(403, 404)),
    Operation(
        "GET",
        "/schedule/preview",
        preview_schedule,
        "Preview a schedule",
        {200: Preview},
        query=PreviewQuery,
        refusals=(422,),
    ),
)

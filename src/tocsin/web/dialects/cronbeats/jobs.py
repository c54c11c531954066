"""Jobs: made, read, changed, paused, and what was heard of them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from starlette.responses import Response

from tocsin.domain.errors import Code, TocsinError
from tocsin.domain.monitor import Status
from tocsin.domain.record import Monitor
from tocsin.engine.manage.form import Form
from tocsin.engine.manage.monitors import MonitorDraft, MonitorQuery
from tocsin.web.api import Call
from tocsin.web.dialect import ping_address
from tocsin.web.dialects.cronbeats.answers import NAME, second, second_or_none, success, told_at_once
from tocsin.web.dialects.cronbeats.lists import read_part
from tocsin.web.dialects.cronbeats.shapes import LONGEST_DESCRIPTION

NOT_FOUND = "Job not found"
DISABLED, ENABLED = "Job is already disabled", "Job is already enabled"

_ID = re.compile("[1-9][0-9]{0,17}")
_WORDS = {"new": "pending", "up": "healthy", "late": "late", "down": "down", "paused": "disabled"}
_FILTERS: Mapping[str, frozenset[str]] = {
    "all": frozenset(),
    "enabled": frozenset(_WORDS) - {"paused"},
    "disabled": frozenset({"paused"}),
    "healthy": frozenset({"up"}),
    "late": frozenset({"late"}),
    "down": frozenset({"down"}),
}
_PLAIN = ("name", "grace_seconds", "timezone", "description")


async def create_job(call: Call) -> Response:
    """Watch a job that runs every `expected_interval_seconds`."""
    fields = await call.fields()
    refused: dict[str, str] = {}
    draft = MonitorDraft(
        name=fields.get("name"),
        dialect=NAME,
        schedule_expression=_expression(fields.get("expected_interval_seconds"), refused),
        **_plain({name: fields[name] for name in _PLAIN[1:] if name in fields}, refused),
    )
    job = await told_at_once(call.manage.create_monitor(call.actor, draft), refused)
    shown = item(call, job)
    made = ("id", "job_key", "name", "ping_url", "is_enabled", "created_at")
    return success({name: shown[name] for name in made}, 201)


async def list_jobs(call: Call) -> Response:
    """The jobs of the workspace, newest first."""
    form, query = Form(), call.request.query_params
    part = read_part(form, query)
    status = form.choice("status", query.get("status", "all"), tuple(_FILTERS))
    form.finish()
    wanted = MonitorQuery(statuses=_FILTERS[status], limit=part.per_page, offset=part.offset)
    page = await call.manage.monitors(call.actor, wanted)
    jobs = [item(call, job) for job in page.items]
    return success({"jobs": jobs, "pagination": part.pagination(page.total or 0)})


async def get_job(call: Call) -> Response:
    """One job and how it stands."""
    return success(item(call, await found(call)))


async def update_job(call: Call) -> Response:
    """Change what is sent; the rest stays. What cannot be changed is passed over, so that a whole job may be
    sent back; `is_enabled` is refused where it differs, since pause and resume are for that."""
    job, fields = await found(call), await call.fields()
    refused: dict[str, str] = {}
    if fields.get("description") == job.description:
        del fields["description"]  # longer than ours may be, where another dialect wrote it
    changes = _plain({name: fields[name] for name in _PLAIN if name in fields}, refused)
    changes |= _schedule(job, fields, call.now, refused)
    if fields.get("is_enabled", is_enabled(job)) is not is_enabled(job):
        changes["is_enabled"] = None
        refused["is_enabled"] = "This is changed by pause and resume."
    changed = await told_at_once(call.manage.update_monitor(call.actor, job.id, changes), refused)
    return success(item(call, changed))


def _schedule(job: Monitor, fields: Mapping[str, Any], now: int, refused: dict[str, str]) -> dict[str, Any]:
    """What is to change of the schedule. One of another dialect's kinds does not give way to the interval
    that stood for it when the job was read."""
    if "expected_interval_seconds" not in fields:
        return {}
    interval = fields["expected_interval_seconds"]
    if type(interval) is int and job.was_shown_as(interval, now):
        return {}
    return {"schedule_kind": "interval", "schedule_expression": _expression(interval, refused)}


async def delete_job(call: Call) -> Response:
    """Delete a job: its pings are unknown from now on; its row is kept for 30 days."""
    await call.manage.delete(call.actor, (await found(call)).id)
    return Response(status_code=204)


async def pause_job(call: Call) -> Response:
    """Expect nothing of the job, and tell its pings that it is disabled."""
    [result] = await call.manage.pause_many(call.actor, [job_id(call)], strict=True)
    return _turned(call, result, DISABLED)


async def resume_job(call: Call) -> Response:
    """Wait for the job's next ping again."""
    [result] = await call.manage.resume_many(call.actor, [job_id(call)], strict=True)
    return _turned(call, result, ENABLED)


def item(call: Call, job: Monitor) -> dict[str, Any]:
    """A Job; also of a monitor that another dialect made."""
    hides_token, now = call.actor.read_only, call.now
    return {
        "id": job.id,
        "job_key": None if hides_token else job.token,
        "name": job.name,
        "description": job.description,
        "expected_interval_seconds": job.interval_seconds(now),
        "grace_seconds": job.grace_seconds,
        "timezone": job.timezone,
        "ping_url": None if hides_token else ping_address(call.services, job),
        "is_enabled": is_enabled(job),
        "status": status_word(job, now),
        "last_ping_at": second_or_none(job.last_ping_at),
        "next_expected_at": second_or_none(job.due_at),
        "created_at": second(job.created_at),
        "updated_at": second(job.updated_at),
    }


def is_enabled(job: Monitor) -> bool:
    """Whether it is not paused."""
    return job.status != Status.PAUSED


def status_word(job: Monitor, now: int) -> str:
    """What CronBeats calls the status; `late` is inside the grace, `down` is past it, or a failure."""
    return _WORDS[job.shown_status(now)]


async def found(call: Call) -> Monitor:
    """The job that the path names. NOT_FOUND."""
    try:
        return await call.manage.monitor(call.actor, job_id(call))
    except TocsinError as error:
        raise TocsinError(error.code, said_of_job(error, "")) from error


def job_id(call: Call) -> int:
    """The number in the path; what is no number is no job either."""
    text = call.part("id")
    if not _ID.fullmatch(text):
        raise TocsinError(Code.NOT_FOUND, NOT_FOUND)
    return int(text)


def said_of_job(error: TocsinError, conflict: str) -> str:
    """A refusal in CronBeats' words; `conflict`: what it says of a job that is there already."""
    match error.code:
        case Code.NOT_FOUND:
            return NOT_FOUND
        case Code.CONFLICT:
            return conflict
        case _:
            return error.message


def _turned(call: Call, result: Monitor | TocsinError, conflict: str) -> Response:
    if isinstance(result, TocsinError):
        raise TocsinError(result.code, said_of_job(result, conflict))
    return success(item(call, result))


def _plain(fields: dict[str, Any], refused: dict[str, str]) -> dict[str, Any]:
    """Fields that need no translation. A description that CronBeats finds too long is noted, and gone."""
    description = fields.get("description")
    if isinstance(description, str) and len(description.strip()) > LONGEST_DESCRIPTION:
        refused["description"] = f"This must have at most {LONGEST_DESCRIPTION} characters."
        return fields | {"description": None}
    return fields


def _expression(seconds: Any, refused: dict[str, str]) -> str:
    """An interval as a schedule has it. What is no integer is noted, and becomes no schedule."""
    if isinstance(seconds, bool) or not isinstance(seconds, int):
        text = "This is needed." if seconds is None else "This must be a whole number of seconds."
        refused["expected_interval_seconds"] = text
        return ""
    return str(seconds)

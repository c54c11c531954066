"""A body's fields as fields of a draft: names, the bounds that Cronping publishes, and its schedule, which is
two fields of which one counts."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, NamedTuple

from tocsin.domain.errors import TocsinError
from tocsin.domain.record import Monitor
from tocsin.domain.schedule import cron_expression, parse_schedule
from tocsin.engine.manage.form import LONGEST_TAG, LONGEST_TIME, MOST_CHANNELS, MOST_TAGS, Form
from tocsin.engine.manage.monitors import MonitorDraft
from tocsin.web.dialects.cronping.shapes import (
    DEFAULT_GRACE,
    LONGEST_GRACE,
    LONGEST_INTERVAL,
    NAME,
    SHORTEST_INTERVAL,
)

INTERVAL, CRON = "interval", "cron"
_COMPANIONS = {INTERVAL: "intervalSeconds", CRON: "cronExpression"}
_SAME_NAMES = ("name", "timezone")


class Schedule(NamedTuple):
    """A stored schedule as Cronping shows it."""

    type: str
    interval_seconds: int
    cron: str | None


def schedule_of(monitor: Monitor) -> Schedule:
    """A monitor's schedule; one in words (not Cronping's own) as the cron expression that it means."""
    return _shown(monitor.schedule_kind, monitor.schedule_expression, monitor.timezone)


@lru_cache(maxsize=4_096)
def _shown(kind: str, expression: str, timezone: str) -> Schedule:
    if kind == INTERVAL:
        return Schedule(INTERVAL, int(expression), None)
    if kind == CRON:
        return Schedule(CRON, 0, expression)
    return Schedule(CRON, 0, cron_expression(parse_schedule(kind, expression, timezone)))


def draft_of(fields: Mapping[str, Any]) -> tuple[MonitorDraft, frozenset[str]]:
    """What a body asks for, and which fields of the draft it names. Raises TocsinError(INVALID)."""
    wanted = _read(fields, None)
    if "unique" in fields:
        # None would mean that there is no key.
        wanted["unique_key"] = "" if fields["unique"] is None else fields["unique"]
    rest = {"name": None, "fan_out": False, **_grace(DEFAULT_GRACE)}
    return MonitorDraft(**{**rest, **wanted, "dialect": NAME}), frozenset(wanted)


def changes_of(fields: Mapping[str, Any], monitor: Monitor) -> dict[str, Any]:
    """What a body changes of a monitor. Raises TocsinError(INVALID)."""
    changes = _read(fields, monitor)
    if monitor.dialect != NAME:
        # Only Cronping's own heartbeats have their run time limited by the grace.
        changes.pop("longest_run_seconds", None)
    if "mail" in changes and (changes["mail"] != "none") == (monitor.mail_channel_id is not None):
        # It is on already, and may be an address of its own.
        del changes["mail"]
    if (changes.get("schedule_kind"), changes.get("schedule_expression")) == (
        CRON,
        schedule_of(monitor).cron,
    ):
        # What was read is sent back: a schedule in words stays in words.
        del changes["schedule_kind"], changes["schedule_expression"]
    return changes


def renamed(error: TocsinError, kind: str) -> TocsinError:
    """A refusal whose field for the schedule has the name that counted."""
    name = _COMPANIONS.get(kind, "cronExpression")
    names = {"schedule_expression": name, "schedule_kind": "scheduleType"}
    fields = {names.get(field, field): text for field, text in error.fields.items()}
    return TocsinError(error.code, error.message, fields, error.retry_after_seconds)


def _read(fields: Mapping[str, Any], stored: Monitor | None) -> dict[str, Any]:
    """The fields of the draft that the body names; the use cases judge what is not judged here."""
    form = Form()
    wanted: dict[str, Any] = {name: fields[name] for name in _SAME_NAMES if name in fields}
    wanted |= _schedule(form, fields, stored)
    if "graceSeconds" in fields:
        wanted |= _grace(form.whole("graceSeconds", fields["graceSeconds"], 0, LONGEST_GRACE))
    if "tags" in fields:
        longest = MOST_TAGS * (LONGEST_TAG + 1)
        wanted["tags"] = form.text("tags", fields["tags"], 0, longest).split()
    if "emailAlertsEnabled" in fields:
        is_on = form.flag("emailAlertsEnabled", fields["emailAlertsEnabled"])
        wanted["mail"] = "members" if is_on else "none"
    if "reminderIntervalSeconds" in fields:
        field = "reminderIntervalSeconds"
        wanted["reminder_seconds"] = form.whole(field, fields[field], 0, LONGEST_TIME) or None
    if "integrationIds" in fields:
        ids = form.texts("integrationIds", fields["integrationIds"], MOST_CHANNELS)
        wanted["channel_ids"] = [each.replace("-", "").lower() for each in ids]
    form.finish()
    return wanted


def _grace(seconds: int) -> dict[str, Any]:
    """A run that takes longer than the grace is an outage; without a grace it gets a second."""
    return {"grace_seconds": seconds, "longest_run_seconds": max(1, seconds)}


def _schedule(form: Form, fields: Mapping[str, Any], stored: Monitor | None) -> dict[str, Any]:
    """The schedule, where the body names any of its fields or all is new."""
    named = {name for name in ("scheduleType", *_COMPANIONS.values()) if name in fields}
    if stored is not None and not named:
        return {}
    before = INTERVAL if stored is None else schedule_of(stored).type
    kind = form.choice("scheduleType", fields.get("scheduleType", before), (INTERVAL, CRON))
    interval = _interval(form, fields, kind)
    cron = _cron(form, fields)
    if stored is not None and "scheduleType" not in fields:
        _refuse_other(form, kind, interval, cron)
    value = interval if kind == INTERVAL else cron
    if value is not None:
        return {"schedule_kind": kind, "schedule_expression": str(value)}
    if stored is None or kind != before or _COMPANIONS[kind] in fields:
        form.refuse(_COMPANIONS[kind], f"This is needed for the scheduleType {kind}.")
    return {}


def _interval(form: Form, fields: Mapping[str, Any], kind: str) -> int | None:
    """The interval; 0 is what a heartbeat of the type cron shows, and means none there."""
    value = fields.get("intervalSeconds")
    is_zero = value == 0 and not isinstance(value, (bool, float))
    if "intervalSeconds" not in fields or (kind == CRON and is_zero):
        return None
    return form.whole("intervalSeconds", value, SHORTEST_INTERVAL, LONGEST_INTERVAL)


def _cron(form: Form, fields: Mapping[str, Any]) -> str | None:
    """The cron expression; null is what a heartbeat of the type interval shows."""
    value = fields.get("cronExpression")
    if value is None:
        return None
    if not isinstance(value, str):
        form.refuse("cronExpression", "This must be text.")
        return ""
    try:
        parse_schedule(CRON, value, "UTC")
    except TocsinError as error:
        form.refuse("cronExpression", error.message)
    return value


def _refuse_other(form: Form, kind: str, interval: int | None, cron: str | None) -> None:
    """A change of what does not count is a mistake, not a wish."""
    if kind == CRON and interval is not None:
        form.refuse("intervalSeconds", 'This heartbeat has a cron schedule: send "scheduleType" with it.')
    if kind == INTERVAL and cron is not None:
        form.refuse("cronExpression", 'This heartbeat has an interval: send "scheduleType" with it.')

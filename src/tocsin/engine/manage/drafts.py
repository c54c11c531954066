"""What is asked of a monitor, field by field, as the columns that are stored."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from tocsin.domain.errors import TocsinError
from tocsin.domain.plan import Plan
from tocsin.domain.schedule import parse_schedule, shortest_distance_seconds
from tocsin.engine.manage.form import (
    LARGEST_COUNT,
    LONGEST_DESCRIPTION,
    LONGEST_NAME,
    LONGEST_TIME,
    Form,
    slug_of,
)

MINUTE_SECONDS = 60

SCHEDULE = ("schedule_kind", "schedule_expression", "timezone")
OWN_MAIL = ("mail",)
OWN_WEBHOOK = ("webhook_url", "webhook_format", "webhook_secret")
CHANNELS = ("channel_ids",)
POLICY = (
    *SCHEDULE,
    "grace_seconds",
    "longest_run_seconds",
    "shortest_run_seconds",
    "failures_before_alert",
    "successes_before_recovery",
    "reminder_seconds",
)

Reader = Callable[[Form, str, Any], Any]

_PLAIN: Mapping[str, Reader] = {
    "name": lambda form, field, value: form.text(field, value, 1, LONGEST_NAME),
    "description": lambda form, field, value: form.text(field, value, 0, LONGEST_DESCRIPTION, lines=True),
    "grace_seconds": lambda form, field, value: form.whole(field, value, 0, LONGEST_TIME),
    "longest_run_seconds": lambda form, field, value: form.whole_or_none(field, value, 1, LONGEST_TIME),
    "shortest_run_seconds": lambda form, field, value: form.whole_or_none(field, value, 1, LONGEST_TIME),
    "failures_before_alert": lambda form, field, value: form.whole(field, value, 1, LARGEST_COUNT),
    "successes_before_recovery": lambda form, field, value: form.whole(field, value, 1, LARGEST_COUNT),
    "reminder_seconds": lambda form, field, value: form.whole_or_none(field, value, 1, LONGEST_TIME),
    "tags": lambda form, field, value: form.tags(field, value),
    "fan_out": lambda form, field, value: form.flag(field, value),
    "unique_key": lambda form, field, value: (
        None if value is None else form.text(field, value, 1, LONGEST_NAME)
    ),
    "slug": lambda form, field, value: form.slug(field, value),
}
FIELDS = frozenset((*_PLAIN, *SCHEDULE, *OWN_MAIL, *OWN_WEBHOOK, *CHANNELS))


def read_columns(form: Form, given: Mapping[str, Any], plan: Plan) -> dict[str, Any]:
    """Columns of the plain fields among `given`, and of the schedule where all its three parts are."""
    for field in given:
        if field not in FIELDS:
            form.refuse(field, "There is no such field.")
    columns = {field: read(form, field, given[field]) for field, read in _PLAIN.items() if field in given}
    if all(field in given for field in SCHEDULE):
        columns |= _read_schedule(form, given, plan)
    return columns


def complete(columns: dict[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """A new monitor's columns: without a slug of its own it gets one made of the name."""
    if given.get("slug") is None:
        columns["slug"] = slug_of(columns["name"])
    return columns


def _read_schedule(form: Form, given: Mapping[str, Any], plan: Plan) -> dict[str, Any]:
    values = {field: given[field] for field in SCHEDULE}
    for field, value in values.items():
        if not isinstance(value, str):
            form.refuse(field, "This must be text.")
            return {}
    kind = values["schedule_kind"]
    names = {"schedule": "schedule_expression", "timezone": "timezone"}
    if kind not in {"interval", "cron", "simple"}:
        names["schedule"] = "schedule_kind"
    try:
        schedule = parse_schedule(kind, values["schedule_expression"], values["timezone"])
    except TocsinError as error:
        form.adopt(error, "schedule_expression", names)
        return {}
    shortest = plan.minimum_interval_seconds
    # No calendar asks for less than a minute.
    if (schedule.kind == "interval" or shortest > MINUTE_SECONDS) and (
        shortest_distance_seconds(schedule) < shortest
    ):
        form.refuse("schedule_expression", f"The shortest interval is {shortest} seconds.")
    return values

"""What is asked of a monitor, in Tocsin's names. The use cases judge it; noted here is only what Cronheart
bounds more narrowly, or writes in another way."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Mapping
from typing import Any

from tocsin.domain.errors import Code, TocsinError
from tocsin.domain.record import Monitor
from tocsin.engine.manage.form import Form
from tocsin.web.api import Call

SHORTEST_NAME, LONGEST_NAME = 2, 120
LONGEST_GRACE_SECONDS = 86_400
SHORTEST_INTERVAL_SECONDS, LONGEST_INTERVAL_SECONDS = 30, 31_622_400
NEEDED = ("name", "schedule_kind", "schedule_expr")
# The wire's names of what may be set, and a draft's.
FIELDS: Mapping[str, str] = {
    "name": "name",
    "schedule_kind": "schedule_kind",
    "schedule_expr": "schedule_expression",
    "tz": "timezone",
    "grace_seconds": "grace_seconds",
    "channel_ids": "channel_ids",
}

_CHANNEL_ID = re.compile(r"[0-9]{1,18}")
_BLANK = {"schedule_kind": "", "schedule_expression": "", "timezone": ""}
_INTERVAL = (
    f"An interval is a whole number of seconds from {SHORTEST_INTERVAL_SECONDS} to "
    f"{LONGEST_INTERVAL_SECONDS}, in digits only."
)


async def read_new(call: Call, form: Form, fields: Mapping[str, Any]) -> dict[str, Any]:
    """Fields of the draft of a new monitor."""
    for field in NEEDED:
        if field not in fields:
            form.refuse(FIELDS[field], "This is needed.")
    return {"name": None, "grace_seconds": 60, **await read_changes(call, form, fields)}


async def read_changes(
    call: Call, form: Form, fields: Mapping[str, Any], stored: Monitor | None = None
) -> dict[str, Any]:
    """The draft's fields among what was sent. What the form has refused goes on as nothing, which the use
    cases refuse as well: so `judged` can tell all problems at once."""
    wanted = {draft: fields[wire] for wire, draft in FIELDS.items() if wire in fields}
    if "name" in wanted:
        _judge_name(form, wanted["name"])
    if "grace_seconds" in wanted:
        form.whole("grace_seconds", wanted["grace_seconds"], 0, LONGEST_GRACE_SECONDS)
    if "channel_ids" in wanted:
        wanted["channel_ids"] = await _channel_uids(call, form, wanted["channel_ids"])
    if "schedule_expression" in wanted:
        kind = wanted.get("schedule_kind", stored.schedule_kind if stored else None)
        wanted["schedule_expression"] = _expression(form, kind, wanted["schedule_expression"])
    for field in ("schedule_kind", "timezone"):
        if not isinstance(wanted.get(field, ""), str):
            form.refuse(field, "This must be text.")
    return wanted | {field: _BLANK.get(field) for field in form.problems}


async def judged(form: Form, act: Awaitable[Monitor]) -> Monitor:
    """What the use case made. Raises TocsinError(INVALID) with its problems and the form's."""
    try:
        return await act
    except TocsinError as error:
        if error.code is not Code.INVALID:
            raise
        raise TocsinError(error.code, error.message, {**error.fields, **form.problems}) from error


def _judge_name(form: Form, value: Any) -> None:
    """Its length, in the published words; the rest is Tocsin's."""
    size = len(value.strip()) if isinstance(value, str) else SHORTEST_NAME
    if size < SHORTEST_NAME:
        form.refuse("name", "This value is too short.")
    elif size > LONGEST_NAME:
        form.refuse("name", "This value is too long.")


def _expression(form: Form, kind: Any, value: Any) -> Any:
    """An interval may be a number, and is a text from here on."""
    is_number = isinstance(value, int) and not isinstance(value, bool)
    text = str(value) if is_number and kind == "interval" else value
    if not isinstance(text, str):
        form.refuse("schedule_expression", "This must be text.")
    elif kind == "interval" and not _is_interval(text):
        form.refuse("schedule_expression", _INTERVAL)
    return text


def _is_interval(text: str) -> bool:
    if not (text.isascii() and text.isdigit()) or len(text) > len(str(LONGEST_INTERVAL_SECONDS)):
        return False
    return SHORTEST_INTERVAL_SECONDS <= int(text) <= LONGEST_INTERVAL_SECONDS


async def _channel_uids(call: Call, form: Form, value: Any) -> Any:
    """The channels of these ids, as a draft names them; an unknown id stays what it is."""
    if not isinstance(value, list) or not value:
        return value
    texts = [str(each) if type(each) is int else each for each in value]
    if not all(isinstance(text, str) and _CHANNEL_ID.fullmatch(text) for text in texts):
        form.refuse("channel_ids", 'Ids of channels are texts of digits such as "17".')
        return None
    uids = {view.id: view.uid for view in await call.manage.channels(call.actor)}
    return [uids.get(int(text), text) for text in texts]

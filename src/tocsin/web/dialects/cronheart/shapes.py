"""What the bodies of Cronheart's API share: errors, pages, times, ids. The models document; the use cases
check what is sent."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from http import HTTPStatus
from typing import Annotated, Any, Literal, NamedTuple

import orjson
from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import Response

from tocsin.domain.monitor import Reason
from tocsin.domain.monitor import Status as Stored
from tocsin.domain.record import ChannelView, Monitor
from tocsin.web.api import Call, json_response
from tocsin.web.dialect import Reply
from tocsin.web.payload import read_json
from tocsin.web.times import to_the_second
from tocsin.web.trouble import Trouble, TroubleError

NAME = "cronheart"
ROOT = "/api/v1"
PROBLEM = "application/problem+json"
INVALID_DETAIL = "One or more fields are invalid."
# As the vendor prints it; newer Pythons have newer words.
_TITLES: Mapping[int, str] = {422: "Unprocessable Entity", 413: "Payload Too Large"}
MOST, DEFAULT = 100, 50
LARGEST = 10**18
_NUMBER = re.compile(r"[+-]?[0-9]+")
SILENT = frozenset({Reason.MISSED, Reason.UNCONFIRMED})

Time = Annotated[
    str, Field(json_schema_extra={"format": "date-time"}, examples=["2026-03-28T02:00:12+00:00"])
]
Id = Annotated[str, Field(pattern="^[0-9]+$", examples=["17"])]
Uuid = Annotated[str, Field(pattern="^[0-9a-f-]{36}$", examples=["3f0a6c1b-e2a9-4e6f-9d1c-5b7a8e0f2d4c"])]
Status = Literal["new", "up", "late", "down", "paused"]


class Taken(BaseModel):
    """A body that is sent to us. What it does not name is ignored, so that a client may send back what it
    read."""


class Given(BaseModel):
    """A body that we answer with."""

    model_config = ConfigDict(extra="forbid")


class Problem(Given):
    """An error (RFC 7807). `errors` names every refused field."""

    type: Literal["about:blank"]
    title: str
    status: int
    detail: str
    errors: dict[str, str] = {}
    retry_after: int = Field(default=1, description="With a 429: seconds to wait, as in Retry-After.")
    upgrade_url: str = Field(default="", description="With a 402: where the plan can be changed.")


class ChannelReference(Given):
    """A channel as a monitor names it."""

    id: Id
    kind: str
    label: str


class PageQuery(BaseModel):
    """Which part of a list. A number out of range is clamped; what is no number counts as 0."""

    limit: int = Field(default=DEFAULT, description=f"From 1 to {MOST}.")
    offset: int = Field(default=0, description="How many to skip.")


class Window(NamedTuple):
    """Which part of a list is asked for."""

    limit: int
    offset: int


def problem(trouble: Trouble, upgrade_url: str = "") -> Reply:
    """An error (RFC 7807), with an `errors` map where fields are to blame."""
    content: dict[str, Any] = {
        "type": "about:blank",
        "title": _TITLES.get(trouble.status, trouble.title),
        "status": trouble.status,
        "detail": INVALID_DETAIL if trouble.fields else trouble.message,
    }
    if trouble.fields:
        content["errors"] = dict(trouble.fields)
    if trouble.status == HTTPStatus.TOO_MANY_REQUESTS:
        content["retry_after"] = int(trouble.headers().get("Retry-After", 1))
    if trouble.status == HTTPStatus.PAYMENT_REQUIRED:
        content["upgrade_url"] = upgrade_url
    return Reply(trouble.status, PROBLEM.encode(), orjson.dumps(content))


def window(request: Request) -> Window:
    """`limit` and `offset` of a list, clamped; what is no number counts as 0."""
    limit = _clamped(request.query_params.get("limit"), DEFAULT)
    return Window(max(1, min(limit, MOST)), max(0, _clamped(request.query_params.get("offset"), 0)))


def listed(items: Sequence[Mapping[str, Any]], total: int | None, part: Window) -> Response:
    """A page of a list that is counted."""
    return json_response({"data": items, "total": total or 0, "limit": part.limit, "offset": part.offset})


async def taken(call: Call) -> dict[str, Any]:
    """The JSON object in the body. Raises MalformedError for no JSON; for JSON that is no object, a 422."""
    value = read_json(await call.request.body())
    if not isinstance(value, dict):
        raise TroubleError(Trouble(HTTPStatus.UNPROCESSABLE_ENTITY, "The body must be a JSON object."))
    return value


def channel_reference(channel: ChannelView) -> dict[str, str]:
    """A ChannelReference."""
    return {"id": str(channel.id), "kind": channel.kind, "label": channel.label}


@lru_cache(maxsize=16_384)
def time(at: int) -> str:
    """RFC 3339 to the second, in UTC with its offset: 2026-03-28T02:00:12+00:00."""
    return f"{to_the_second(at)}+00:00"


def time_or_none(at: int | None) -> str | None:
    """As `time`; None stays None."""
    return None if at is None else time(at)


def status_word(monitor: Monitor, _now: int) -> str:
    """Silence is `late`, a failure or an overrun `down`; due and inside its grace, a monitor is still up."""
    is_silent = monitor.status == Stored.DOWN and monitor.reason in SILENT
    return "late" if is_silent else monitor.status


def public_uuid(monitor: Monitor, *, read_only: bool) -> str:
    """What names a monitor. Its own monitors' token, unless the key must not see one; else the uid."""
    if monitor.dialect == NAME and not read_only:
        return monitor.token
    uid = monitor.uid
    return f"{uid[:8]}-{uid[8:12]}-{uid[12:16]}-{uid[16:20]}-{uid[20:]}"


def _clamped(text: str | None, default: int) -> int:
    """A number of any length, cut to what a database can count."""
    if text is None:
        return default
    if not _NUMBER.fullmatch(text):
        return 0
    return LARGEST if len(text) > len(str(LARGEST)) and text[0] != "-" else int(text[: len(str(LARGEST))])

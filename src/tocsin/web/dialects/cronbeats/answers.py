"""What CronBeats says to whoever manages jobs: the envelope, errors, limits, and its two forms of times."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Mapping
from functools import lru_cache
from typing import Any, TypeVar

import orjson
from starlette.responses import Response

from tocsin.domain.errors import Code, TocsinError
from tocsin.web.api import json_response
from tocsin.web.dialect import Reply
from tocsin.web.rate import SECOND, Standing, Window
from tocsin.web.times import plain, to_the_second
from tocsin.web.trouble import Trouble

Result = TypeVar("Result")

NAME = "cronbeats"
JSON = b"application/json"

# The page prints the first; the others are ours. Any other status speaks in HTTP's words.
_WORDS = {401: "invalid_api_key", 422: "validation_error", 502: "delivery_failed"}
_UNKNOWN_KEY = "Invalid or expired API key"


def success(data: Any, status: int = 200) -> Response:
    """What went well, in the envelope of every answer."""
    return json_response({"success": True, "data": data}, status)


def refuse(trouble: Trouble) -> Reply:
    """An error; `errors` names every refused field. `error` is a word, but an object for a broken limit."""
    if trouble.exceeded is not None:
        return Reply(429, JSON, orjson.dumps(_too_often(trouble.exceeded)))
    fields = " ".join(f"{name}: {text}" for name, text in trouble.fields.items())
    content: dict[str, Any] = {
        "success": False,
        "error": _WORDS.get(trouble.status) or trouble.title.lower().replace(" ", "_"),
        "message": _UNKNOWN_KEY if trouble.status == 401 else fields or trouble.message,
        "meta": {"timestamp": second(time.time_ns() // 1000)},
    }
    if trouble.fields:
        content["errors"] = dict(trouble.fields)
    return Reply(trouble.status, JSON, orjson.dumps(content))


async def told_at_once(work: Awaitable[Result], refused: Mapping[str, str]) -> Result:
    """Do it; what only this dialect refuses is told together with what all do. For each field in `refused`
    the use case was given something that it refuses as well."""
    try:
        return await work
    except TocsinError as error:
        if error.code is not Code.INVALID:
            raise
        raise TocsinError(error.code, error.message, {**error.fields, **refused}) from error


def rate_headers(standing: Standing) -> dict[str, str]:
    """Both limits, on every answer to a known key."""
    return {
        f"X-RateLimit-{name}-{window.per.title()}": str(value)
        for window in standing
        for name, value in (
            ("Limit", window.limit),
            ("Remaining", window.remaining),
            ("Reset", window.reset_at),
        )
    }


@lru_cache(maxsize=16_384)
def second(at: int) -> str:
    """The time of a body: 2026-02-20T15:42:00Z."""
    return f"{to_the_second(at)}Z"


def second_or_none(at: int | None) -> str | None:
    """As `second`; None stays None."""
    return None if at is None else second(at)


def _too_often(window: Window) -> dict[str, Any]:
    error = {
        "type": f"per_{window.per}",
        "limit": window.limit,
        "reset_at": plain(window.reset_at * SECOND),
    }
    return {"success": False, "message": "Rate limit exceeded", "error": error}

"""What the native API says: errors, limits, and replies to pings."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Any

import orjson

from tocsin.engine.intake import Answer
from tocsin.web.dialect import Reply
from tocsin.web.times import iso
from tocsin.web.trouble import Trouble

JSON = b"application/json"
PROBLEM = "application/problem+json"

_PING_TEXTS: Mapping[int, str] = MappingProxyType(
    {
        400: "This is no ping that can be understood.",
        404: "No monitor has this address.",
        405: "A ping is a GET, POST or HEAD.",
        413: "The request is too large.",
        429: "Too many requests. Try again later.",
        503: "The ping could not be stored. Try again.",
    }
)


def problem(trouble: Trouble) -> Reply:
    """An error (RFC 9457), with an `errors` map where fields are to blame."""
    content: dict[str, Any] = {
        "type": "about:blank",
        "title": trouble.title,
        "status": trouble.status,
        "detail": " ".join(f"{name}: {text}" for name, text in trouble.fields.items()) or trouble.message,
    }
    if trouble.fields:
        content["errors"] = dict(trouble.fields)
    return Reply(trouble.status, PROBLEM.encode(), orjson.dumps(content))


def ping_reply(answer: Answer) -> Reply:
    """What a job reads after its ping was stored; put together by hand, since every ping asks for it."""
    due_at, duration_ms = answer.state.due_at, answer.duration_ms
    expected = "null" if due_at is None else f'"{iso(due_at)}"'
    duration = "null" if duration_ms is None else duration_ms
    body = (
        f'{{"ok":true,"status":"{answer.state.status}","monitor":{_quoted(answer.monitor_name)},'
        f'"next_expected_at":{expected},"duration_ms":{duration}}}'
    )
    return Reply(200, JSON, body.encode())


def ping_refusal(status: int) -> Reply:
    """A ping that was not stored."""
    return problem(Trouble(status, _PING_TEXTS.get(status, "The ping was not stored.")))


@lru_cache(maxsize=16_384)
def _quoted(text: str) -> str:
    return orjson.dumps(text).decode()

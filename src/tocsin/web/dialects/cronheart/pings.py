"""What Cronheart's pings say, and what their jobs read (docs/dialects/cronheart.md)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType

import structlog
from msgspec.structs import replace

from tocsin.domain.monitor import Status
from tocsin.domain.ping import Flag, Kind, Reading, Signal
from tocsin.engine.intake import Answer
from tocsin.web.dialect import Pings, Reply
from tocsin.web.dialects.cronheart.shapes import NAME

TEXT = b"text/plain; charset=utf-8"
TOKEN = re.compile(r"[0-9a-fA-F-]{36}")
RUNTIME_HEADER = b"x-cronheart-runtime-ms"
LONGEST_RUNTIME_MS = 86_400_000
LARGEST_EXIT_CODE = 255
DUPLICATE_SECONDS = 2

_ACTION = re.compile(r"[a-zA-Z0-9_-]{1,16}")
_DIGITS = re.compile(rb"[0-9]+")
_HEARTBEAT = Reading(Kind.SUCCESS, flags=Flag.HEARTBEAT, duplicate_seconds=DUPLICATE_SECONDS)
_SUCCESS = replace(_HEARTBEAT, flags=0)
_FAIL = replace(_SUCCESS, kind=Kind.FAIL)
_READINGS: Mapping[str, Reading] = MappingProxyType(
    {
        "": _HEARTBEAT,
        "run": _HEARTBEAT,
        "start": replace(_SUCCESS, kind=Kind.START),
        "success": _SUCCESS,
        "ok": _SUCCESS,
        "0": replace(_SUCCESS, exit_code=0),
        "fail": _FAIL,
    }
)
_OK = Reply(200, TEXT, b"OK")
_DUPLICATE = Reply(200, TEXT, b"OK (duplicate)")
_PAUSED = Reply(410, TEXT, b"Monitor paused")
_REFUSALS: Mapping[int, bytes] = MappingProxyType(
    {
        400: b"Bad request",
        404: b"Monitor not found",
        405: b"Method not allowed",
        413: b"Request too large",
        429: b"Rate limited",
        503: b"Not stored, try again",
    }
)

log = structlog.get_logger(__name__)


def read(signal: Signal) -> Reading | None:
    """What a ping says; None where its address has no such shape. Only a POST's body is kept."""
    reading = reading_of(signal.action)
    if reading is None:
        return None
    if signal.method != "POST":
        reading = replace(reading, keeps_body=False)
    runtime_ms = _runtime_ms(signal)
    return reading if runtime_ms is None else replace(reading, duration_ms=runtime_ms)


@lru_cache(maxsize=1024)
def reading_of(action: str) -> Reading | None:
    """What a word after the UUID means; None where no word can be like that. Remembered, so that a word that
    nobody knows, which counts as a heartbeat, is logged once and not at each ping."""
    if action and not _ACTION.fullmatch(action):
        return None
    known = _READINGS.get(action.lower())
    if known is not None:
        return known
    if action.isdecimal():
        code = int(action)
        return replace(_FAIL, exit_code=code if 0 < code <= LARGEST_EXIT_CODE else None)
    log.warning("ping.unknown_action", dialect=NAME, action=action)
    return replace(_HEARTBEAT, flags=Flag.HEARTBEAT | Flag.ODD)


def reply(answer: Answer) -> Reply:
    """What a job reads after its ping was stored; a duplicate is told first, then that nobody listens."""
    if answer.is_duplicate:
        return _DUPLICATE
    return _PAUSED if answer.state.status is Status.PAUSED else _OK


def refuse(status: int) -> Reply:
    """A ping that was not stored."""
    return Reply(status, TEXT, _REFUSALS.get(status, b"Not stored"))


def _runtime_ms(signal: Signal) -> int | None:
    """How long the job says it ran; None where it does not, or says no number up to a day."""
    for name, value in signal.headers:
        if name == RUNTIME_HEADER and _DIGITS.fullmatch(value):
            digits = value.lstrip(b"0") or b"0"
            is_short = len(digits) <= len(str(LONGEST_RUNTIME_MS))
            return int(digits) if is_short and int(digits) <= LONGEST_RUNTIME_MS else None
    return None


PINGS = Pings(
    paths=("/ping/{}",),
    reply=reply,
    refuse=refuse,
    token_shape=TOKEN,
    read=read,
    any_case=True,
)

"""How CronBeats' pings are read and answered; its answers to pings share no shape with its other ones."""

from __future__ import annotations

import time
from typing import assert_never

import orjson

from tocsin.domain.monitor import Status
from tocsin.domain.ping import Flag, Kind, Reading, Signal
from tocsin.engine.intake import Answer
from tocsin.web.dialect import Reply
from tocsin.web.dialects.cronbeats.answers import JSON
from tocsin.web.times import plain

_READINGS = {
    # A bare ping is a success, but its reply says "ping" and not "end".
    "": Reading(Kind.SUCCESS, flags=Flag.HEARTBEAT),
    "start": Reading(Kind.START),
    "end/success": Reading(Kind.SUCCESS),
    "end/fail": Reading(Kind.FAIL),
    "progress": Reading(Kind.PROGRESS),
    **{f"progress/{percent}": Reading(Kind.PROGRESS, exit_code=percent) for percent in range(101)},
}
_TEXTS = {
    400: "Invalid request",
    404: "Job not found or disabled",
    405: "Use POST, GET or HEAD",
    413: "The request is too large",
    429: "Too many requests",
    503: "The ping could not be stored. Try again.",
}


def read(signal: Signal) -> Reading | None:
    """Nothing, start, end/success, end/fail, progress and progress/0 to progress/100; None for another."""
    return _READINGS.get(signal.action)


def reply(answer: Answer) -> Reply:
    """What a job reads after its ping was stored; of a disabled job too, though it is told otherwise."""
    if answer.state.status is Status.PAUSED:
        return refuse(404)
    due_at = answer.state.due_at
    content = {
        "status": "success",
        "message": "OK",
        "action": _action(answer),
        "job_key": answer.token,
        "timestamp": plain(answer.arrived_at),
        "processing_time_ms": _milliseconds_since(answer.arrived_at),
        "next_expected": None if due_at is None else plain(due_at),
    }
    return Reply(200, JSON, orjson.dumps(content))


def refuse(status: int) -> Reply:
    """A ping that was not taken."""
    text = _TEXTS.get(status, "The ping was not stored.")
    return Reply(status, JSON, orjson.dumps({"status": "error", "message": text}))


def _action(answer: Answer) -> str:
    """The word that CronBeats' own clients assume where a reply has none."""
    match answer.kind:
        case Kind.SUCCESS:
            return "ping" if answer.flags & Flag.HEARTBEAT else "end"
        case Kind.FAIL:
            return "end"
        case Kind.START:
            return "start"
        case Kind.PROGRESS:
            return "progress"
        case Kind.LOG:
            return "log"
        case _:
            assert_never(answer.kind)


def _milliseconds_since(at: int) -> float:
    # The stamp of the arrival is slewed to the wall clock, and may be a little ahead of it.
    return round(max(0, time.time_ns() // 1000 - at) / 1000, 2)

"""Pings: /{token}, /{token}/start, /fail, /log, /{0-255}, with `rid` in the query to tell runs apart."""

from __future__ import annotations

import re
from typing import Any

import orjson

from tocsin.domain.monitor import SECOND, Status
from tocsin.domain.ping import Kind
from tocsin.engine.intake import Answer
from tocsin.web.dialect import PING_TEXTS, Pings, Reply
from tocsin.web.dialects.cronping.shapes import JSON, refuse
from tocsin.web.times import iso_or_none
from tocsin.web.trouble import Trouble

_TEXTS = {**PING_TEXTS, 404: "Heartbeat not found"}


def ping_reply(answer: Answer) -> Reply:
    """What a job reads after its ping was stored; ok for a paused heartbeat, too. A start is told that it
    started; the others, how the heartbeat stands, and how long the run took where its start was heard."""
    state = answer.state
    if answer.kind is Kind.START and state.status is not Status.PAUSED:
        return Reply(200, JSON, b'{"ok":true,"status":"started"}')
    due_at = state.due_at
    ends_at = None if due_at is None else due_at + answer.policy.grace_seconds * SECOND
    said: dict[str, Any] = {"ok": True, "status": state.status, "nextExpectedAt": iso_or_none(ends_at)}
    if answer.duration_ms is not None:
        said["durationMs"] = answer.duration_ms
    return Reply(200, JSON, orjson.dumps(said))


def ping_refusal(status: int) -> Reply:
    """A ping that was not stored."""
    return refuse(Trouble(status, _TEXTS.get(status, "The ping was not stored.")))


PINGS = Pings(
    paths=("/{}",),
    reply=ping_reply,
    refuse=ping_refusal,
    token_shape=re.compile("[0-9a-f]{40}"),
    at_root=True,
)

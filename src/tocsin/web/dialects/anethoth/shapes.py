"""What travels on the wire, and how errors and pings are answered."""

from __future__ import annotations

from functools import lru_cache
from typing import Annotated, Literal

import orjson
from pydantic import BaseModel, Field

from tocsin.engine.intake import Answer
from tocsin.engine.manage.form import LONGEST_TIME
from tocsin.web.dialect import PING_TEXTS, Reply
from tocsin.web.trouble import Trouble

NAME = "anethoth"
JSON = b"application/json"
MOST_MINUTES = LONGEST_TIME // 60
USUAL_SCHEDULE, USUAL_GRACE = 60, 10  # minutes

_PING_TEXTS = {**PING_TEXTS, 404: "Monitor not found"}

Time = Annotated[str, Field(description="UTC.", examples=["2026-04-12 03:00:00"])]
Status = Literal["new", "up", "down", "paused"]


class NewAccount(BaseModel):
    """Who signs up."""

    email: str = Field(examples=["you@example.com"])


class Account(BaseModel):
    """A key, and what its plan allows."""

    api_key: str = Field(examples=["ch_0123456789abcdefghijABCDEFGHIJ0123456789"])
    plan: str
    monitor_limit: int


class NewMonitor(BaseModel):
    """What to watch."""

    name: str = Field(min_length=1, max_length=200, examples=["nightly-backup"])
    schedule_minutes: int = Field(
        default=USUAL_SCHEDULE, ge=1, le=MOST_MINUTES, description="Expected interval between pings."
    )
    grace_minutes: int = Field(
        default=USUAL_GRACE, ge=0, le=MOST_MINUTES, description="Extra time before alerting."
    )
    alert_email: str | None = Field(default=None, description="Instead of the account's address.")
    alert_webhook: str | None = Field(default=None, description="Gets a POST at each alert.")


class MonitorItem(BaseModel):
    """A monitor. A read-only key gets no `token` and no `ping_url`."""

    id: str
    name: str
    status: Status
    schedule_minutes: int
    grace_minutes: int
    alert_email: str | None
    alert_webhook: str | None = Field(
        description="In the answer to the creation as it was sent, later masked after the host."
    )
    token: str | None = None
    ping_url: str | None = None
    last_ping: Time | None
    created_at: Time


class PingItem(BaseModel):
    """A ping that was received."""

    id: int
    kind: Literal["start", "log", "progress", "success", "fail"]
    received_at: Time
    duration_ms: int | None
    exit_code: int | None
    source_ip: str | None
    user_agent: str | None


class MonitorDetail(MonitorItem):
    """A monitor with its last pings, newest first."""

    pings: list[PingItem]


class MonitorList(BaseModel):
    """All monitors, newest first."""

    monitors: list[MonitorItem]


class Deleted(BaseModel):
    """The monitor is gone, with its history."""

    deleted: Literal[True]


class Wish(BaseModel):
    """The plan to buy."""

    plan: str = Field(examples=["pro"])


class Checkout(BaseModel):
    """Where to pay."""

    checkout_url: str


class Received(BaseModel):
    """Stripe was heard."""

    received: Literal[True]


class Failure(BaseModel):
    """Every error; both texts are the same."""

    error: str
    detail: str


def refuse(trouble: Trouble) -> Reply:
    """An error as an object with one text under two names, in which a refused field is named."""
    fields = "; ".join(f"{name}: {text}" for name, text in trouble.fields.items())
    text = fields or trouble.message
    return Reply(trouble.status, JSON, orjson.dumps({"error": text, "detail": text}))


def ping_refusal(status: int) -> Reply:
    """A ping that was not stored."""
    return refuse(Trouble(status, _PING_TEXTS.get(status, "The ping was not stored.")))


def ping_reply(answer: Answer) -> Reply:
    """What a job reads after its ping was stored; ok for a paused monitor, too."""
    return _ping_reply(answer.monitor_name, answer.state.status)


@lru_cache(maxsize=16_384)
def _ping_reply(name: str, status: str) -> Reply:
    return Reply(200, JSON, orjson.dumps({"ok": True, "monitor": name, "status": status}))

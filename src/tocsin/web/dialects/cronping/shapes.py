"""What the bodies of Cronping's API look like. The models document; the use cases check what is sent."""

# ruff: noqa: N815 - the models' fields are the wire's names

from __future__ import annotations

from typing import Annotated, Literal

import orjson
from pydantic import BaseModel, ConfigDict, Field

from tocsin.domain.monitor import Status as Stored
from tocsin.domain.record import Monitor
from tocsin.web.dialect import Reply
from tocsin.web.trouble import Trouble

NAME = "cronping"
JSON = b"application/json"
SHORTEST_INTERVAL, LONGEST_INTERVAL = 60, 2_592_000
LONGEST_GRACE, DEFAULT_GRACE = 86_400, 300

Time = Annotated[str, Field(json_schema_extra={"format": "date-time"}, examples=["2026-03-13T03:00:12.000Z"])]
Id = Annotated[str, Field(examples=["550e8400-e29b-41d4-a716-446655440000"])]
Status = Literal["new", "up", "running", "late", "down", "paused"]
ScheduleType = Literal["interval", "cron"]


class Taken(BaseModel):
    """A body that is sent to us. What it does not name is ignored, so that a client may send back what it
    read."""


class Given(BaseModel):
    """A body that we answer with."""

    model_config = ConfigDict(extra="forbid")


class Failure(Given):
    """Every error."""

    error: str


class HeartbeatChanges(Taken):
    """What may be changed; what is not sent stays."""

    name: str = Field(default_factory=str, min_length=1, max_length=200, examples=["Daily DB Backup"])
    scheduleType: ScheduleType = Field(
        default_factory=lambda: "interval",
        description="Needs intervalSeconds or cronExpression with it, unless that is stored.",
    )
    intervalSeconds: int = Field(
        default_factory=int, ge=SHORTEST_INTERVAL, le=LONGEST_INTERVAL, description="Of the type interval."
    )
    cronExpression: str | None = Field(
        default=None, max_length=120, description="Of the type cron.", examples=["0 3 * * *"]
    )
    timezone: str = Field(default_factory=str, max_length=64, examples=["America/Sao_Paulo"])
    graceSeconds: int = Field(default_factory=int, ge=0, le=LONGEST_GRACE)
    tags: str = Field(default_factory=str, description="Separated by blanks.", examples=["prod db"])
    emailAlertsEnabled: bool = Field(default_factory=bool)
    reminderIntervalSeconds: int = Field(
        default_factory=int, ge=0, le=31_622_400, description="0: the alert is not repeated."
    )
    integrationIds: list[Id] = Field(default_factory=list, max_length=100)


class NewHeartbeat(HeartbeatChanges):
    """What to watch."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"name": "worker-node-1", "intervalSeconds": 300, "graceSeconds": 60}]
        }
    )

    name: str = Field(min_length=1, max_length=200, examples=["Daily DB Backup"])
    scheduleType: ScheduleType = "interval"
    intervalSeconds: int = Field(
        default_factory=int,
        ge=SHORTEST_INTERVAL,
        le=LONGEST_INTERVAL,
        description="Needed for the type interval.",
    )
    cronExpression: str | None = Field(
        default=None, max_length=120, description="Needed for the type cron.", examples=["0 3 * * *"]
    )
    timezone: str = Field(default="UTC", max_length=64, description="Of the cron expression.")
    graceSeconds: int = Field(default=DEFAULT_GRACE, ge=0, le=LONGEST_GRACE)
    tags: str = Field(default="", description="Separated by blanks.")
    emailAlertsEnabled: bool = True
    reminderIntervalSeconds: int = Field(default=0, ge=0, le=31_622_400)
    unique: str = Field(
        default_factory=str,
        min_length=1,
        max_length=200,
        description="Update the heartbeat with this key, else the one with this name, if there is one.",
    )


class HeartbeatItem(Given):
    """A heartbeat as the list shows it."""

    id: Id
    name: str
    status: Status
    paused: bool
    scheduleType: ScheduleType
    intervalSeconds: int = Field(description="0 for the type cron.")
    cronExpression: str | None = Field(description="null for the type interval.")
    timezone: str
    graceSeconds: int
    tags: str
    emailAlertsEnabled: bool
    reminderIntervalSeconds: int
    lastPingAt: Time | None
    nextExpectedAt: Time | None = Field(description="The end of the grace period.")
    token: str = Field(default_factory=str, description="Not for a read-only key.")
    pingUrl: str = Field(default_factory=str, description="Not for a read-only key.")
    createdAt: Time
    updatedAt: Time


class Heartbeat(HeartbeatItem):
    """A heartbeat with its integrations."""

    integrationIds: list[Id]


class HeartbeatPage(Given):
    """Heartbeats, newest first."""

    heartbeats: list[HeartbeatItem]
    total: int
    limit: int
    offset: int


class HeartbeatQuery(BaseModel):
    """Which heartbeats. A limit or offset out of range is clamped."""

    limit: int = Field(default=50, description="From 1 to 100.")
    offset: int = 0
    query: str = Field(default="", description="A part of the name, in any case.")
    status: list[Status] = Field(default=[], description="Any of these; may be repeated.")
    tag: list[str] = Field(default=[], description="All of these; may be repeated.")


class Deleted(Given):
    """The heartbeat is gone."""

    id: Id
    deleted: Literal[True]


class Ping(Given):
    """One received signal."""

    id: str
    heartbeatId: Id
    type: Literal["success", "start", "fail", "log"]
    receivedAt: Time
    ipAddress: str | None
    userAgent: str | None
    durationMs: int | None
    runId: str | None
    exitCode: int | None


class PingPage(Given):
    """Pings, newest first."""

    pings: list[Ping]
    total: int
    limit: int
    offset: int


class PingQuery(BaseModel):
    """Which part of the list. A number out of range is clamped."""

    limit: int = Field(default=50, description="From 1 to 200.")
    offset: int = 0


class Integration(Given):
    """A place to tell. `enabled` is false, too, while it waits to be verified."""

    id: Id
    channel: str = Field(examples=["slack"])
    name: str
    enabled: bool
    createdAt: Time
    updatedAt: Time


class Integrations(Given):
    """All of them, oldest first."""

    integrations: list[Integration]


def refuse(trouble: Trouble) -> Reply:
    """An error as an object with one text, in which every refused field is named."""
    fields = "; ".join(f"{name}: {text}" for name, text in trouble.fields.items())
    return Reply(trouble.status, JSON, orjson.dumps({"error": fields or trouble.message}))


def status_word(monitor: Monitor, now: int) -> str:
    """What Cronping calls it: `running` between a start and its end, unless it is down or paused."""
    if monitor.is_running and monitor.status in (Stored.NEW, Stored.UP):
        return "running"
    return monitor.shown_status(now)


def dashed(uid: str) -> str:
    """A uid as Cronping writes ids."""
    return f"{uid[:8]}-{uid[8:12]}-{uid[12:16]}-{uid[16:20]}-{uid[20:]}"

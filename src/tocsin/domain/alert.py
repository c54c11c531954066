"""What an alert says, before any channel words it."""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct


class Event(StrEnum):
    """The house webhook's `event`."""

    DOWN = "monitor.down"
    UP = "monitor.up"
    REMINDER = "monitor.reminder"
    AWAY = "tocsin.away"
    CHANNEL_DISABLED = "channel.disabled"
    TEST = "test"


class Subject(Struct, frozen=True, gc=False):
    """The monitor an alert is about, as it was when the alert was written. `url`: its page here."""

    id: str
    name: str
    slug: str
    tags: tuple[str, ...]
    status: str
    url: str


class PingLine(Struct, frozen=True, gc=False):
    """One of the last pings, for people's channels."""

    at: int
    kind: str
    exit_code: int | None = None
    duration_ms: int | None = None


class Facts(Struct, frozen=True, gc=False):
    """Everything an alert may say; frozen when it is written, so that every attempt says the same.

    `id` is the notification's uid and the Idempotency-Key. Times are microseconds UTC. `message` is one
    plain sentence or two. `lines` are further sentences (a doubtful ping, a silent network, the monitors
    that a `tocsin.away` names). `since_at`: when the present trouble began.
    """

    id: str
    event: Event
    at: int
    message: str
    reason: str | None = None
    monitor: Subject | None = None
    previous_status: str | None = None
    since_at: int | None = None
    last_ping_at: int | None = None
    deadline_at: int | None = None
    lines: tuple[str, ...] = ()
    pings: tuple[PingLine, ...] = ()

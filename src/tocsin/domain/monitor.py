"""A monitor: what is expected of a job (Policy), how it stands (State), and what changed (Flip)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from msgspec import Struct

from tocsin.domain.schedule import Schedule

SECOND = 1_000_000


class Status(StrEnum):
    """What is stored. "late" and "running" are read from times, never stored."""

    NEW = "new"
    UP = "up"
    DOWN = "down"
    PAUSED = "paused"


class Reason(StrEnum):
    """Why a monitor changed its status."""

    MISSED = "missed"
    FAILED = "failed"
    OVERRAN = "overran"
    UNCONFIRMED = "unconfirmed"
    PING = "ping"
    PAUSED = "paused"
    RESUMED = "resumed"


@dataclass(frozen=True, slots=True)
class Policy:
    """What is expected of one job. Durations in whole seconds; None switches a limit off."""

    schedule: Schedule
    grace_seconds: int
    longest_run_seconds: int | None = None
    shortest_run_seconds: int | None = None
    failures_before_alert: int = 1
    successes_before_recovery: int = 1
    reminder_seconds: int | None = None


class Run(Struct, frozen=True, array_like=True, gc=False):
    """An open run. `limit_at` is None where no longest run time is set; `away_until` as in State."""

    id: str | None
    started_at: int
    limit_at: int | None
    away_from: int | None = None
    away_until: int | None = None


class State(Struct, frozen=True, array_like=True, gc=False):
    """How a monitor stands, in the order of its table's columns. All times are microseconds UTC.

    `due_at` is when the next success is expected, `deadline_at` when its absence is decided; both None
    where nothing is expected. `away_from`, `away_until`: the gap of the ledger that the deadline was last
    judged against. `failures` and `successes` count those in a row.
    """

    status: Status = Status.NEW
    version: int = 0
    reason: Reason | None = None
    since_at: int = 0
    last_ping_at: int | None = None
    last_kind: int | None = None
    last_success_at: int | None = None
    due_at: int | None = None
    deadline_at: int | None = None
    failures: int = 0
    successes: int = 0
    runs: tuple[Run, ...] = ()
    ping_count: int = 0
    last_duration_ms: int | None = None
    away_from: int | None = None
    away_until: int | None = None
    snoozed_until: int | None = None
    remind_at: int | None = None


class Gap(NamedTuple):
    """A span in which this server could not take pings (rules.md, Own deafness)."""

    from_at: int
    until_at: int


@dataclass(frozen=True, slots=True)
class Flip:
    """One change of status. `announced` as in rules.md, Flips and alerts. For a down after an extension,
    `away_from` and `away_until` name the gap in which a ping may have been lost."""

    at: int
    old: Status
    new: Status
    reason: Reason
    announced: bool
    deadline_at: int | None = None
    exit_code: int | None = None
    run_id: str | None = None
    away_from: int | None = None
    away_until: int | None = None

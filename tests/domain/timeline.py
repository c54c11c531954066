"""A monitor's life told in seconds, for tests that read as a story.

job = Story(hourly())
job.success(0)
job.look(5000)
assert job.flips == ["0 new-up ping", "4200 up-down missed"]
"""

from __future__ import annotations

from collections.abc import Sequence

from tocsin.domain.monitor import SECOND, Flip, Gap, Policy, State, Status
from tocsin.domain.ping import Kind, Ping
from tocsin.domain.schedule import parse_schedule
from tocsin.domain.transition import apply, judge

# 2027-01-15 08:00:00 UTC
MORNING = 1_800_000_000 * SECOND


def at(seconds: float) -> int:
    """That many seconds after the morning began."""
    return MORNING + round(seconds * SECOND)


def gap(from_seconds: float, until_seconds: float) -> Gap:
    """A span in which no pings could be taken."""
    return Gap(at(from_seconds), at(until_seconds))


def every(seconds: int, grace: int, **limits: int | None) -> Policy:
    """A job with an interval."""
    return Policy(parse_schedule("interval", str(seconds), "UTC"), grace, **limits)  # type: ignore[arg-type]


def hourly(**limits: int | None) -> Policy:
    """Every 3600 s with 600 s of grace: a success at 0 sets the deadline to 4200."""
    return every(3600, 600, **limits)


def cron(expression: str, grace: int, timezone: str = "UTC") -> Policy:
    """A job with a cron line."""
    return Policy(parse_schedule("cron", expression, timezone), grace)


class Story:
    """One monitor, and all that happened to it."""

    def __init__(self, policy: Policy, gaps: Sequence[Gap] = (), state: State | None = None) -> None:
        self.policy = policy
        self.gaps = gaps
        self.state = state or State(since_at=MORNING)
        self.told: list[Flip] = []
        self.duration_ms: int | None = None

    def success(self, seconds: float, run: str | None = None, **said: int) -> None:
        self._hear(Kind.SUCCESS, seconds, run, **said)

    def fail(self, seconds: float, run: str | None = None, **said: int) -> None:
        self._hear(Kind.FAIL, seconds, run, **said)

    def start(self, seconds: float, run: str | None = None) -> None:
        self._hear(Kind.START, seconds, run)

    def log(self, seconds: float) -> None:
        self._hear(Kind.LOG, seconds, None)

    def progress(self, seconds: float) -> None:
        self._hear(Kind.PROGRESS, seconds, None)

    def look(self, seconds: float) -> None:
        """The watcher looks."""
        self._take(judge(self.policy, self.state, at(seconds), self.gaps))

    def turn(self, change: tuple[State, tuple[Flip, ...]]) -> None:
        """Somebody changed the monitor: `job.turn(pause(job.state, at(10)))`."""
        self._take(change)

    @property
    def flips(self) -> list[str]:
        """What changed, as "seconds old-new reason"; unannounced is not told apart."""
        return [f"{_seconds(flip.at)} {flip.old}-{flip.new} {flip.reason}" for flip in self.told]

    @property
    def announced(self) -> list[str]:
        """What people are told, as "seconds new"."""
        return [f"{_seconds(flip.at)} {flip.new}" for flip in self.told if flip.announced]

    @property
    def status(self) -> Status:
        return self.state.status

    @property
    def due(self) -> int | float | None:
        return _seconds(self.state.due_at)

    @property
    def deadline(self) -> int | float | None:
        return _seconds(self.state.deadline_at)

    def _hear(self, kind: Kind, seconds: float, run: str | None, **said: int) -> None:
        done = apply(self.policy, self.state, Ping(at(seconds), kind, run_id=run, **said), self.gaps)
        self.duration_ms = done.duration_ms
        self._take((done.state, done.flips))

    def _take(self, change: tuple[State, tuple[Flip, ...]]) -> None:
        self.state, flips = change
        self.told += flips


def _seconds(moment: int | None) -> int | float | None:
    if moment is None:
        return None
    seconds = (moment - MORNING) / SECOND
    return int(seconds) if seconds.is_integer() else seconds

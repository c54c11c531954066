"""How often somebody may ask. The numbers are the plan's; the headers are the dialect's.

The library `limits` decides; the counts are shared by all processes of the machine (store/tally.py).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple, TypeVar

import structlog
from limits import RateLimitItemPerDay, RateLimitItemPerMinute
from limits.errors import StorageError
from limits.strategies import FixedWindowRateLimiter, MovingWindowRateLimiter
from limits.util import WindowStats

from tocsin.store.tally import PATIENCE_SECONDS, Tally

SECOND = 1_000_000
MINUTE_SECONDS = 60
DAY_SECONDS = 86_400
# How long each process counts for itself after the shared counts failed.
ALONE_SECONDS = 5

T = TypeVar("T")

log = structlog.get_logger()


class Window(NamedTuple):
    """One limit as it stands after a request. `per` is "minute" or "day"; `reset_at` (Unix seconds) is when
    there is room again, which is `retry_after_seconds` away."""

    per: str
    limit: int
    remaining: int
    reset_at: int
    retry_after_seconds: int
    is_exceeded: bool


class Standing(NamedTuple):
    """Both limits of one caller after a request."""

    minute: Window
    day: Window

    @property
    def exceeded(self) -> Window | None:
        """The limit that this request broke, the longer one first; None where it may pass."""
        if self.day.is_exceeded:
            return self.day
        return self.minute if self.minute.is_exceeded else None


def minute_headers(standing: Standing) -> dict[str, str]:
    """The limit of a minute, as most APIs state it; the reset in Unix seconds."""
    minute = standing.minute
    return {
        "X-RateLimit-Limit": str(minute.limit),
        "X-RateLimit-Remaining": str(minute.remaining),
        "X-RateLimit-Reset": str(minute.reset_at),
    }


class Rates:
    """Counts over the last 60 seconds, to the second, and over the day in UTC.

    `path`: the file that all processes of the machine share; None counts in memory. `now` is always in
    microseconds UTC. A file that cannot be used (nor waited for, `patience_seconds`) never keeps anybody out:
    then this process counts alone.
    """

    def __init__(self, path: Path | None = None, patience_seconds: float = PATIENCE_SECONDS) -> None:
        self._shared = _Counter(Tally(path, patience_seconds))
        self._own = _Counter(Tally())
        self._failed_at: int | None = None

    def count(self, caller: str, now: int, *, per_minute: int, per_day: int) -> Standing:
        """Count one request, unless it breaks a limit."""
        second = now // SECOND
        return self._ask(second, lambda counter: counter.count(caller, second, per_minute, per_day))

    def count_minute(self, caller: str, now: int, limit: int) -> Window:
        """Count one request against a limit per minute alone, unless it breaks it."""
        second = now // SECOND
        return self._ask(second, lambda counter: counter.count_minute(caller, second, limit))

    def close(self) -> None:
        """Close the file."""
        for counter in (self._shared, self._own):
            counter.tally.close()

    def _ask(self, second: int, question: Callable[[_Counter], T]) -> T:
        """The answer of the shared counts; without them, of our own (a second time, if those were full)."""
        if self._failed_at is None or abs(second - self._failed_at) >= ALONE_SECONDS:
            try:
                answer = _answer(self._shared, second, question)
            except StorageError as error:
                self._note_failure(second, error)
            else:
                self._note_success()
                return answer
        try:
            return _answer(self._own, second, question)
        except StorageError:
            return _answer(self._own, second, question)

    def _note_failure(self, second: int, error: StorageError) -> None:
        if self._failed_at is None:
            log.warning("rates_not_shared", error=str(error.storage_error))
        self._failed_at = second

    def _note_success(self) -> None:
        if self._failed_at is not None:
            log.info("rates_shared_again")
            self._failed_at = None


class _Counter:
    """The library's two strategies over one tally; to be asked inside `tally.at`."""

    def __init__(self, tally: Tally) -> None:
        self.tally = tally
        self._minutes = MovingWindowRateLimiter(tally)
        self._days = FixedWindowRateLimiter(tally)

    def count(self, caller: str, second: int, per_minute: int, per_day: int) -> Standing:
        minute_item, day_item = _per_minute(per_minute), _per_day(per_day)
        minute = self._minutes.get_window_stats(minute_item, caller)
        left_today = per_day - self.tally.get(day_item.key_for(caller))
        hit = minute.remaining > 0 and left_today > 0
        if hit:
            self._minutes.hit(minute_item, caller)
            self._days.hit(day_item, caller)
        day_ends = (second // DAY_SECONDS + 1) * DAY_SECONDS
        return Standing(
            _minute(minute, per_minute, second, hit=hit),
            _window("day", per_day, left_today, day_ends, second, hit=hit),
        )

    def count_minute(self, caller: str, second: int, limit: int) -> Window:
        item = _per_minute(limit)
        minute = self._minutes.get_window_stats(item, caller)
        hit = minute.remaining > 0 and self._minutes.hit(item, caller)
        return _minute(minute, limit, second, hit=hit)


def _answer(counter: _Counter, second: int, question: Callable[[_Counter], T]) -> T:
    with counter.tally.at(second):
        return question(counter)


def _minute(stats: WindowStats, limit: int, second: int, *, hit: bool) -> Window:
    """`stats`: as they were before this request."""
    ends_at = int(stats.reset_time)
    if hit:  # it is the oldest itself, if the clock was set back
        ends_at = min(ends_at, second + MINUTE_SECONDS)
    return _window("minute", limit, stats.remaining, ends_at, second, hit=hit)


def _window(per: str, limit: int, room: int, ends_at: int, second: int, *, hit: bool) -> Window:
    """`room`: how many more might have asked before this one did; `hit`: whether this one was counted."""
    return Window(per, limit, max(0, room - hit), ends_at, max(1, ends_at - second), is_exceeded=room <= 0)


@lru_cache
def _per_minute(limit: int) -> RateLimitItemPerMinute:
    return RateLimitItemPerMinute(limit)


@lru_cache
def _per_day(limit: int) -> RateLimitItemPerDay:
    return RateLimitItemPerDay(limit)

"""How often a key may ask. The numbers are the plan's; the headers are the dialect's."""

from __future__ import annotations

import time
from functools import lru_cache
from typing import NamedTuple

from limits import RateLimitItem, RateLimitItemPerDay, RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import FixedWindowRateLimiter, RateLimiter, SlidingWindowCounterRateLimiter

DAY = 86_400


class Window(NamedTuple):
    """One limit as it stands after a request. `per` is "minute" or "day", `reset_at` is Unix seconds."""

    per: str
    limit: int
    remaining: int
    reset_at: int
    is_exceeded: bool

    @property
    def retry_after_seconds(self) -> int:
        """How long to wait, at least one second."""
        return max(1, self.reset_at - int(time.time()))


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


class Rates:
    """Counters of this process: a sliding minute, and a day that ends at 00:00 UTC."""

    def __init__(self) -> None:
        storage = MemoryStorage()
        self._minute = SlidingWindowCounterRateLimiter(storage)
        self._day = FixedWindowRateLimiter(storage)

    def count(self, caller: str, *, per_minute: int, per_day: int) -> Standing:
        """Count one request of `caller`. One that breaks a limit is not counted by it."""
        today = int(time.time()) // DAY
        minute = _hit(self._minute, _per_minute(per_minute), caller)
        day = _hit(self._day, _per_day(per_day), f"{caller}@{today}")
        return Standing(minute, day._replace(reset_at=(today + 1) * DAY))


def _hit(limiter: RateLimiter, item: RateLimitItem, caller: str) -> Window:
    passed = limiter.hit(item, caller)
    stats = limiter.get_window_stats(item, caller)
    per = item.GRANULARITY.name
    return Window(per, item.amount, max(0, stats.remaining), int(stats.reset_time) + 1, not passed)


@lru_cache
def _per_minute(amount: int) -> RateLimitItem:
    return RateLimitItemPerMinute(amount)


@lru_cache
def _per_day(amount: int) -> RateLimitItem:
    return RateLimitItemPerDay(amount)

"""How often somebody may ask. The numbers are the plan's; the headers are the dialect's."""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

SECOND = 1_000_000
MINUTE_SECONDS = 60
DAY_SECONDS = 86_400
# Whoever asks from ever new addresses must not fill the memory; forgetting everybody's counts is harmless.
MOST_CALLERS = 100_000


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


class Rates:
    """Counts of this process: over the last 60 seconds, to the second, and over the day in UTC."""

    def __init__(self) -> None:
        self._callers: dict[str, _Counts] = {}

    def count(self, caller: str, now: int, *, per_minute: int, per_day: int) -> Standing:
        """Count one request at `now` (microseconds UTC), unless it breaks a limit."""
        second = now // SECOND
        counts = self._counts(caller)
        counts.forget(second)
        is_full = counts.in_minute >= per_minute, counts.in_day >= per_day
        if not any(is_full):
            counts.add(second)
        minute_ends = (counts.seconds[0][0] if counts.seconds else second) + MINUTE_SECONDS
        day_ends = (second // DAY_SECONDS + 1) * DAY_SECONDS
        return Standing(
            _window("minute", per_minute, counts.in_minute, minute_ends, second, is_exceeded=is_full[0]),
            _window("day", per_day, counts.in_day, day_ends, second, is_exceeded=is_full[1]),
        )

    def _counts(self, caller: str) -> _Counts:
        counts = self._callers.get(caller)
        if counts is None:
            if len(self._callers) >= MOST_CALLERS:
                self._callers.clear()
            counts = self._callers[caller] = _Counts()
        return counts


class _Counts:
    """One caller's requests: how many in each of the last seconds, and how many today."""

    __slots__ = ("day", "in_day", "in_minute", "seconds")

    def __init__(self) -> None:
        self.seconds: deque[list[int]] = deque()
        self.in_minute = 0
        self.day = 0
        self.in_day = 0

    def forget(self, second: int) -> None:
        """Drop what lies before the last minute, and before today."""
        while self.seconds and self.seconds[0][0] <= second - MINUTE_SECONDS:
            self.in_minute -= self.seconds.popleft()[1]
        if self.day != second // DAY_SECONDS:
            self.day, self.in_day = second // DAY_SECONDS, 0

    def add(self, second: int) -> None:
        """One more."""
        if self.seconds and self.seconds[-1][0] >= second:
            self.seconds[-1][1] += 1
        else:
            self.seconds.append([second, 1])
        self.in_minute += 1
        self.in_day += 1


def _window(per: str, limit: int, count: int, ends_at: int, now: int, *, is_exceeded: bool) -> Window:
    return Window(per, limit, max(0, limit - count), ends_at, max(1, ends_at - now), is_exceeded)

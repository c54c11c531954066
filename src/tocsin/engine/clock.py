"""The one clock: wall time that never jumps back and never hides that it jumped ahead.

Stamp = wall clock at start + CLOCK_BOOTTIME, slewed to the wall clock (docs/rules.md, Arrival).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from enum import Enum, auto

from tocsin.domain.monitor import SECOND

FORWARD_STEP = 1 * SECOND
BACKWARD_STEP = 60 * SECOND
SLEW = SECOND // 10


def wall_clock() -> int:
    """The machine's wall clock, in microseconds UTC."""
    return time.time_ns() // 1000


def boot_clock() -> int:
    """Microseconds since boot, time asleep included."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1000


class Step(Enum):
    """What an adjustment found."""

    NONE = auto()
    FORWARD = auto()
    BACKWARD = auto()


class Clock:
    """`now()` is microseconds UTC and strictly increases within this process."""

    def __init__(
        self, wall: Callable[[], int] = wall_clock, boot: Callable[[], int] = boot_clock, *, floor: int = 0
    ) -> None:
        self._wall = wall
        self._boot = boot
        self._offset = wall() - boot()
        self._last = floor

    def now(self) -> int:
        """The present moment; never twice the same, and never before one given out earlier."""
        now = self._boot() + self._offset
        if now <= self._last:
            now = self._last + 1
        self._last = now
        return now

    def not_before(self, floor: int) -> None:
        """Give out no stamp at or below `floor`, the greatest one that was committed."""
        self._last = max(self._last, floor)

    def adjust(self) -> tuple[Step, int]:
        """Follow the wall clock; to be called at every tick. Returns the step and its size in microseconds.

        Ahead by more than a second: followed at once, and the caller records a gap. Behind by up to a
        minute: followed slowly. Behind by more: only reported; see `reanchor`.
        """
        behind = self._wall() - (self._boot() + self._offset)
        if behind > FORWARD_STEP:
            self._offset += behind
            return Step.FORWARD, behind
        if behind < -BACKWARD_STEP:
            return Step.BACKWARD, -behind
        self._offset += max(-SLEW, behind)
        return Step.NONE, 0

    def reanchor(self) -> None:
        """Take the wall clock's time although it lies in the past; all stored times must be moved first."""
        self._offset = self._wall() - self._boot()
        self._last = 0

"""When a failed delivery is tried again, and when it is given up (rules.md, Flips and alerts). Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tocsin.domain.monitor import SECOND


@dataclass(frozen=True, slots=True)
class RetryConfig:
    """Seconds: the longest first pause, which doubles with every attempt up to the longest pause at all, and
    the time after the first attempt at which a notification is given up."""

    first_seconds: float = 5
    longest_seconds: float = 3_600
    give_up_seconds: float = 24 * 3_600


def retry_at(
    config: RetryConfig,
    *,
    attempts: int,
    first_at: int,
    now: int,
    chance: Callable[[], float],
    retry_after_seconds: float | None = None,
) -> int | None:
    """The time of the next attempt, or None where there is none.

    `attempts`: those made so far, at least 1; `first_at`: when the first was made. Full jitter: `chance`
    gives a number from 0 to 1. The receiver's Retry-After makes a pause longer, never shorter.
    """
    end_at = first_at + int(config.give_up_seconds * SECOND)
    if now >= end_at:
        return None
    # A float has no room for the powers that a day of attempts could reach.
    longest = min(config.first_seconds * 2 ** min(attempts - 1, 30), config.longest_seconds)
    pause = max(chance() * longest, retry_after_seconds or 0)
    return min(now + int(min(pause, config.give_up_seconds) * SECOND), end_at)

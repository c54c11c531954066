"""When a failed delivery is tried again (promise 8)."""

from __future__ import annotations

import pytest

from tocsin.domain.monitor import SECOND
from tocsin.engine.retry import RetryConfig, retry_at

pytestmark = pytest.mark.promise(8)

CONFIG = RetryConfig()
HOUR = 3_600
DAY = 24 * HOUR


def pause(attempts: int, chance: float = 1.0, retry_after: float | None = None, age: int = 0) -> float | None:
    """Seconds from now to the next attempt, `age` seconds after the first one."""
    now = age * SECOND
    at = retry_at(
        CONFIG, attempts=attempts, first_at=0, now=now, chance=lambda: chance, retry_after_seconds=retry_after
    )
    return None if at is None else (at - now) / SECOND


@pytest.mark.parametrize(
    ("attempts", "longest"), [(1, 5), (2, 10), (3, 20), (10, 2_560), (11, HOUR), (9_999, HOUR)]
)
def test_the_longest_pause_doubles_up_to_an_hour(attempts: int, longest: float) -> None:
    assert pause(attempts) == longest


def test_the_jitter_is_full() -> None:
    assert [pause(1, chance) for chance in (0.0, 0.5, 1.0)] == [0, 2.5, 5]


@pytest.mark.parametrize(("asked", "waited"), [(120.0, 120.0), (1.0, 5.0), (2.0 * HOUR, 2.0 * HOUR)])
def test_retry_after_makes_a_pause_longer_and_never_shorter(asked: float, waited: float) -> None:
    assert pause(1, retry_after=asked) == waited


@pytest.mark.parametrize(("age", "expected"), [(DAY - 10, 10), (DAY, None), (DAY + 1, None)])
def test_the_last_attempt_is_a_day_after_the_first(age: int, expected: float | None) -> None:
    assert pause(20, age=age) == expected


def test_a_receiver_cannot_put_an_alert_off_for_longer_than_a_day() -> None:
    assert pause(1, retry_after=1e300) == DAY

"""engine/clock.py: wall time that never jumps back and never hides that it jumped ahead."""

from __future__ import annotations

import pytest

from tests.engine_room import MORNING, Hands
from tocsin.domain.monitor import SECOND
from tocsin.engine.clock import Clock, Step

pytestmark = pytest.mark.promise(2)


def make(hands: Hands) -> Clock:
    return Clock(lambda: hands.wall_at, lambda: hands.boot_at)


def test_no_stamp_is_given_twice_while_time_stands_still() -> None:
    clock = make(Hands())
    stamps = [clock.now() for _ in range(100)]
    assert stamps == sorted(set(stamps))


def test_time_asleep_counts() -> None:
    hands = Hands()
    clock = make(hands)
    hands.pass_(3600)
    assert clock.now() == MORNING + 3600 * SECOND


def test_a_small_step_ahead_is_followed_at_once_and_is_no_gap() -> None:
    hands = Hands()
    clock = make(hands)
    hands.step(0.5)
    assert clock.adjust() == (Step.NONE, 0)
    assert clock.now() == MORNING + SECOND // 2


def test_a_large_step_ahead_is_followed_and_reported() -> None:
    hands = Hands()
    clock = make(hands)
    hands.step(7200)
    assert clock.adjust() == (Step.FORWARD, 7200 * SECOND)
    assert clock.now() == MORNING + 7200 * SECOND


def test_a_step_back_of_seconds_is_followed_slowly_and_never_backwards() -> None:
    hands = Hands()
    clock = make(hands)
    last = clock.now()
    hands.step(-5)
    for _ in range(400):
        hands.pass_(0.25)
        assert clock.adjust()[0] is Step.NONE
        now = clock.now()
        assert last < now
        last = now
    assert abs(last - hands.wall_at) < SECOND // 100


def test_a_step_back_of_more_than_a_minute_is_only_reported_until_the_clock_is_anchored_anew() -> None:
    hands = Hands()
    clock = make(hands)
    hands.step(-61)
    assert clock.adjust() == (Step.BACKWARD, 61 * SECOND)
    assert clock.now() >= MORNING
    clock.reanchor()
    assert clock.now() == MORNING - 61 * SECOND


def test_no_stamp_lies_at_or_below_what_was_committed() -> None:
    clock = make(Hands())
    clock.not_before(MORNING + 30 * SECOND)
    assert clock.now() == MORNING + 30 * SECOND + 1

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator

import pytest
import time_machine

from tocsin.web.rate import Rates

NOON = dt.datetime(2026, 3, 28, 12, 0, tzinfo=dt.UTC)


@pytest.fixture
def traveller() -> Iterator[time_machine.Traveller]:
    with time_machine.travel(NOON, tick=False) as traveller:
        yield traveller


def test_a_request_over_the_minutes_limit_is_told_when_to_come_back(
    traveller: time_machine.Traveller,
) -> None:
    rates = Rates()
    standings = [rates.count("key:1", per_minute=3, per_day=100) for _ in range(4)]
    assert [standing.minute.remaining for standing in standings] == [2, 1, 0, 0]
    assert [standing.exceeded is not None for standing in standings] == [False, False, False, True]
    exceeded = standings[-1].exceeded
    assert exceeded is not None
    assert (exceeded.per, exceeded.limit) == ("minute", 3)
    assert 1 <= exceeded.retry_after_seconds <= 121


def test_after_a_quiet_while_requests_pass_again(traveller: time_machine.Traveller) -> None:
    rates = Rates()
    for _ in range(4):
        rates.count("key:1", per_minute=3, per_day=100)
    traveller.shift(121)
    assert rates.count("key:1", per_minute=3, per_day=100).exceeded is None


def test_callers_do_not_share_a_limit(traveller: time_machine.Traveller) -> None:
    rates = Rates()
    assert rates.count("key:1", per_minute=1, per_day=100).exceeded is None
    assert rates.count("key:2", per_minute=1, per_day=100).exceeded is None


def test_the_day_ends_at_midnight_utc(traveller: time_machine.Traveller) -> None:
    rates = Rates()
    first, second = (rates.count("key:1", per_minute=100, per_day=1) for _ in range(2))
    midnight = int((NOON + dt.timedelta(hours=12)).timestamp())
    assert (first.day.reset_at, first.day.remaining) == (midnight, 0)
    assert second.exceeded is not None
    assert (second.exceeded.per, second.exceeded.retry_after_seconds) == ("day", 12 * 3600)
    traveller.move_to(NOON + dt.timedelta(hours=12, seconds=1))
    assert rates.count("key:1", per_minute=100, per_day=1).exceeded is None

from __future__ import annotations

import datetime as dt

from hypothesis import given
from hypothesis import strategies as st

from tocsin.web.rate import SECOND, Rates, Standing

NOON = int(dt.datetime(2026, 3, 28, 12, 0, tzinfo=dt.UTC).timestamp())


def count(
    rates: Rates, second: float, caller: str = "key:1", per_minute: int = 100, per_day: int = 1_000
) -> Standing:
    return rates.count(caller, round(second * SECOND), per_minute=per_minute, per_day=per_day)


def test_a_request_over_the_minutes_limit_is_told_when_to_come_back() -> None:
    rates = Rates()
    standings = [count(rates, NOON + 10 * number, per_minute=3) for number in range(4)]
    assert [standing.minute.remaining for standing in standings] == [2, 1, 0, 0]
    assert [standing.exceeded is not None for standing in standings] == [False, False, False, True]
    exceeded = standings[-1].exceeded
    assert exceeded is not None
    assert (exceeded.per, exceeded.limit, exceeded.reset_at) == ("minute", 3, NOON + 60)
    assert exceeded.retry_after_seconds == 30
    assert count(rates, NOON + 59.9, per_minute=3).exceeded is not None
    assert count(rates, NOON + 60, per_minute=3).exceeded is None


def test_what_was_refused_is_not_counted() -> None:
    rates = Rates()
    for _ in range(50):
        count(rates, NOON, per_minute=1)
    assert count(rates, NOON + 60, per_minute=1).exceeded is None


def test_callers_do_not_share_a_limit() -> None:
    rates = Rates()
    assert count(rates, NOON, "key:1", per_minute=1).exceeded is None
    assert count(rates, NOON, "key:2", per_minute=1).exceeded is None


def test_the_day_ends_at_midnight_utc() -> None:
    rates = Rates()
    midnight = NOON + 12 * 3600
    first, second = (count(rates, NOON, per_day=1) for _ in range(2))
    assert (first.day.reset_at, first.day.remaining) == (midnight, 0)
    assert second.exceeded is not None
    assert (second.exceeded.per, second.exceeded.retry_after_seconds) == ("day", 12 * 3600)
    assert count(rates, midnight, per_day=1).exceeded is None


@given(st.lists(st.floats(0, 300), max_size=200).map(sorted), st.integers(1, 10))
def test_never_more_than_the_limit_pass_in_any_59_seconds(times: list[float], limit: int) -> None:
    rates = Rates()
    passed = [at for at in times if count(rates, NOON + at, per_minute=limit).exceeded is None]
    assert all(sum(start <= at < start + 59 for at in passed) <= limit for start in passed)

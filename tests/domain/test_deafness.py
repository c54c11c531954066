"""A gap in which we could not take pings raises no false alarm (promise 6; docs/rules.md, Own deafness)."""

from __future__ import annotations

import pytest

from tests.domain.timeline import Story, cron, every, gap, hourly
from tocsin.domain.monitor import Reason, Status

pytestmark = pytest.mark.promise(6)

DAY = 24 * 3600


def up(*gaps: tuple[float, float]) -> Story:
    """An hourly job that has succeeded at 0: its window is 3000 to 4200."""
    job = Story(hourly(), sorted((gap(*each) for each in gaps), key=lambda each: each.until_at))
    job.success(0)
    return job


@pytest.mark.parametrize(
    "touching",
    [(2000, 3000), (3100, 3200), (3500, 3700), (4100, 4300), (4200, 4300), (2000, 9000)],
    ids=["ends as it begins", "inside", "over due", "over the deadline", "begins as it ends", "over all"],
)
def test_a_long_gap_that_touches_the_window_gives_time_for_the_next_ping(touching: tuple[int, int]) -> None:
    job = up(touching)
    limit = touching[1] + 3600 + 600
    job.look(limit)
    assert (job.status, job.deadline) == (Status.UP, limit)
    job.look(limit + 1)
    assert job.flips[-1] == f"{limit} up-down unconfirmed"
    assert (job.told[-1].away_from, job.told[-1].away_until) == gap(*touching)
    assert job.told[-1].announced


@pytest.mark.parametrize("apart", [(100, 2999), (4201, 9000)])
def test_a_gap_that_does_not_touch_the_window_changes_nothing(apart: tuple[int, int]) -> None:
    job = up(apart)
    job.look(20_000)
    assert job.flips[-1] == "4200 up-down missed"
    assert job.told[-1].away_from is None


def test_a_gap_before_the_last_ping_changes_nothing() -> None:
    job = up((3000, 3100))
    job.log(3101)
    job.look(4201)
    assert job.flips[-1] == "4200 up-down missed"


def test_with_a_grace_longer_than_the_interval_the_window_begins_at_the_last_ping() -> None:
    job = Story(every(10, 100), [gap(-50, -1)])
    job.success(0)
    job.look(1000)
    assert job.flips[-1] == "110 up-down missed"


@pytest.mark.parametrize(
    ("short", "deadline"),
    [((4190, 4200), 4260), ((4100, 4159.999), 4219.999), ((3000, 3010), 4200), ((4200, 4201), 4261)],
)
def test_a_gap_of_less_than_a_minute_gives_a_minute_at_most(
    short: tuple[float, float], deadline: float
) -> None:
    job = up(short)
    job.look(10_000)
    assert job.flips[-1] == f"{deadline} up-down unconfirmed"


def test_a_gap_of_a_minute_is_a_long_one() -> None:
    job = up((4100, 4160))
    job.look(4160 + 4201)
    assert job.flips[-1] == f"{4160 + 4200} up-down unconfirmed"


def test_a_short_gap_gives_a_fast_job_no_more_than_its_interval_and_grace() -> None:
    job = Story(every(5, 2), [gap(6, 16)])
    job.success(0)
    job.look(23)
    assert job.status is Status.UP
    job.look(24)
    assert job.flips[-1] == "23 up-down unconfirmed"


def test_an_extension_never_shortens_a_deadline() -> None:
    job = Story(every(60, 3600), [gap(10, 20)])
    job.success(0)
    job.look(3661)
    assert job.flips[-1] == "3660 up-down unconfirmed"


def test_a_cron_job_gets_until_its_next_time_after_the_gap_and_its_grace() -> None:
    job = Story(cron("0 * * * *", 600), [gap(3000, 4000)])
    job.success(10)
    assert job.deadline == 4200
    job.look(7801)
    assert job.flips[-1] == "7800 up-down unconfirmed"


def test_a_ping_within_the_extension_is_in_time_and_forgets_the_gap() -> None:
    job = up((3500, 3700))
    job.success(7000)
    assert job.flips == ["0 new-up ping"]
    assert (job.deadline, job.state.away_from, job.state.away_until) == (11_200, None, None)
    job.look(20_000)
    assert job.flips[-1] == "11200 up-down missed"


def test_a_ping_after_the_extension_leaves_the_down_and_the_up() -> None:
    job = up((3500, 3700))
    job.success(8000)
    assert job.flips[1:] == ["7900 up-down unconfirmed", "8000 down-up ping"]


def test_a_job_that_really_died_is_alerted_after_one_extension() -> None:
    job = up((3500, 3700))
    for seconds in range(4000, 50_000, 500):
        job.look(seconds)
    assert job.flips == ["0 new-up ping", "7900 up-down unconfirmed"]


def test_a_gap_within_the_extension_extends_it_again() -> None:
    job = up((3500, 3700), (7000, 7100))
    job.look(7100 + 4200)
    assert (job.status, job.deadline) == (Status.UP, 7100 + 4200)
    job.look(7100 + 4201)
    assert job.told[-1].reason is Reason.UNCONFIRMED
    assert (job.told[-1].away_from, job.told[-1].away_until) == gap(7000, 7100)


def test_a_short_gap_after_a_long_one_does_not_take_its_time_away() -> None:
    job = up((3100, 3400), (3500, 3502))
    job.look(3400 + 4200)
    assert job.status is Status.UP
    job.look(3400 + 4201)
    assert job.flips[-1] == f"{3400 + 4200} up-down unconfirmed"
    assert (job.told[-1].away_from, job.told[-1].away_until) == gap(3100, 3400)


def test_two_gaps_that_overlap_count_each_for_itself() -> None:
    job = up((3100, 3600), (3500, 3550))
    job.look(10_000)
    assert job.flips[-1] == f"{3600 + 4200} up-down unconfirmed"


def test_a_gap_that_is_found_while_it_goes_on_gives_the_same_as_when_it_is_over() -> None:
    grown, known = up(), up((4000, 5000))
    for seconds in (4300, 4600, 4900):
        grown.gaps = [gap(4000, seconds)]
        grown.look(seconds)
    grown.gaps = known.gaps
    for job in (grown, known):
        job.look(20_000)
    assert grown.state == known.state
    assert grown.told == known.told


def test_a_failure_that_is_reported_after_a_gap_alerts_at_once() -> None:
    job = up((3500, 3700))
    job.fail(5000)
    assert job.flips[-1] == "5000 up-down failed"


def test_a_gap_makes_no_alarm_for_a_monitor_that_is_down_already() -> None:
    job = up((8000, 8500))
    job.look(4201)
    job.look(100_000)
    assert job.flips == ["0 new-up ping", "4200 up-down missed"]


@pytest.mark.parametrize("interval", [60, 3600, DAY])
@pytest.mark.parametrize("away", [60, 3600, 3 * DAY])
def test_a_healthy_job_that_pings_once_without_retry_is_never_down_after_a_long_gap(
    interval: int, away: int
) -> None:
    lost = gap(10 * interval - 1, 10 * interval - 1 + away)
    job = Story(every(interval, 5), [lost])
    for turn in range(30 + away // interval):
        seconds = turn * interval + turn % 5
        if not 10 * interval - 1 <= seconds <= 10 * interval - 1 + away:
            job.success(seconds)
    assert job.announced == []

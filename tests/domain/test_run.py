"""Runs: what a start opens, what an end closes, and what takes too long or not long enough."""

from __future__ import annotations

import pytest

from tests.domain.timeline import Story, at, every, gap, hourly
from tocsin.domain.monitor import Reason, Run, Status
from tocsin.domain.run import FORGOTTEN, OPEN_RUNS
from tocsin.domain.transition import next_decision_at, pause, reschedule

DAY = 24 * 3600


def limited(longest: int = 60, **limits: int | None) -> Story:
    """An hourly job, up since 0, whose runs may take a minute."""
    job = Story(hourly(longest_run_seconds=longest, **limits))
    job.success(0)
    return job


def open_ids(job: Story) -> list[str | None]:
    return [run.id for run in job.state.runs]


# Run time


def test_an_end_has_the_run_time_since_its_start() -> None:
    job = limited()
    job.start(10)
    job.success(52.5)
    assert job.duration_ms == job.state.last_duration_ms == 42_500
    assert job.state.runs == ()


def test_a_failed_run_has_a_run_time_too() -> None:
    job = limited()
    job.start(10)
    job.fail(20)
    assert job.duration_ms == 10_000


def test_an_end_without_a_start_has_no_run_time_and_keeps_the_last_one() -> None:
    job = limited()
    job.start(10)
    job.success(20)
    job.success(30)
    assert (job.duration_ms, job.state.last_duration_ms) == (None, 10_000)


def test_a_run_time_that_the_sender_states_wins() -> None:
    job = limited()
    job.start(10)
    job.success(20, duration_ms=1234)
    assert job.state.last_duration_ms == 1234


def test_log_and_progress_end_no_run() -> None:
    job = limited()
    job.start(10)
    job.log(20)
    job.progress(30)
    job.success(40)
    assert job.duration_ms == 30_000


def test_overlapping_runs_with_ids_are_kept_apart() -> None:
    job = limited()
    job.start(0, "a")
    job.start(10, "b")
    job.success(20, "a")
    assert (job.duration_ms, open_ids(job)) == (20_000, ["b"])
    job.success(25, "b")
    assert (job.duration_ms, open_ids(job)) == (15_000, [])


def test_an_end_with_an_unknown_run_id_closes_nothing() -> None:
    job = limited()
    job.start(0, "a")
    job.start(5)
    job.success(10, "b")
    assert (job.duration_ms, open_ids(job)) == (None, ["a", None])


def test_an_end_without_a_run_id_closes_no_run_that_has_one() -> None:
    job = limited()
    job.start(0, "a")
    job.success(10)
    assert (job.duration_ms, open_ids(job)) == (None, ["a"])


def test_an_end_without_a_run_id_has_the_time_of_the_latest_anonymous_run_and_closes_all_of_them() -> None:
    job = limited()
    job.start(0)
    job.start(10)
    job.success(12)
    assert (job.duration_ms, open_ids(job)) == (2_000, [])


def test_a_second_start_with_the_same_run_id_begins_the_run_anew() -> None:
    job = limited()
    job.start(0, "a")
    job.start(50, "a")
    job.look(70)
    assert job.status is Status.UP
    job.success(80, "a")
    assert job.duration_ms == 30_000


# Too long


def test_a_run_that_is_open_after_its_longest_time_is_down_at_that_limit() -> None:
    job = limited()
    job.start(100, "a")
    job.look(160)
    assert job.status is Status.UP
    job.look(10**6)
    assert job.flips == ["0 new-up ping", "160 up-down overran"]
    assert (job.told[-1].run_id, job.told[-1].announced) == ("a", True)


def test_a_run_that_ends_exactly_at_its_limit_is_in_time() -> None:
    job = limited()
    job.start(100)
    job.success(160)
    assert job.flips == ["0 new-up ping"]


def test_a_success_after_the_limit_leaves_the_down_and_the_up_and_its_run_time() -> None:
    job = limited()
    job.start(100)
    job.success(200)
    assert job.flips == ["0 new-up ping", "160 up-down overran", "200 down-up ping"]
    assert job.duration_ms == 100_000


def test_an_overrun_alerts_for_a_monitor_that_never_succeeded() -> None:
    job = Story(hourly(longest_run_seconds=60))
    job.start(0)
    job.look(61)
    assert job.flips == ["60 new-down overran"]
    assert job.announced == ["60 down"]


def test_every_open_run_has_its_own_limit() -> None:
    job = limited(failures_before_alert=2)
    job.start(100, "a")
    job.start(130, "b")
    job.look(161)
    assert (job.status, job.state.failures) == (Status.UP, 1)
    job.look(191)
    assert job.flips == ["0 new-up ping", "190 up-down overran"]
    assert job.told[-1].run_id == "b"


def test_a_run_overruns_once() -> None:
    job = limited(failures_before_alert=2)
    job.start(100)
    job.look(1000)
    job.look(4000)
    assert job.state.failures == 1


def test_reported_failures_and_overruns_count_together() -> None:
    job = limited(failures_before_alert=3)
    job.start(100)
    job.fail(110, "other")
    job.look(161)
    assert job.status is Status.UP
    job.fail(170, "other")
    assert job.flips[-1] == "170 up-down failed"


def test_an_overrun_below_the_threshold_keeps_due_and_deadline() -> None:
    job = limited(failures_before_alert=2)
    job.start(100)
    job.look(161)
    assert (job.due, job.deadline) == (3600, 4200)


def test_an_overrun_interrupts_a_row_of_successes() -> None:
    job = limited(successes_before_recovery=2)
    job.fail(10)
    job.start(20, "a")
    job.success(30)
    job.success(81)
    job.success(82)
    assert job.flips[-1] == "82 down-up ping"


def test_a_deadline_and_a_limit_that_both_passed_are_decided_in_their_order() -> None:
    job = limited(longest=300, failures_before_alert=2)
    job.start(4000)
    job.look(10**6)
    assert job.flips == ["0 new-up ping", "4200 up-down missed"]
    assert (job.state.failures, job.state.reason) == (1, Reason.MISSED)
    other = limited(longest=100)
    other.start(4000)
    other.look(10**6)
    assert other.flips == ["0 new-up ping", "4100 up-down overran"]


def test_silence_comes_before_an_overrun_of_the_same_moment() -> None:
    job = limited(longest=200)
    job.start(4000)
    job.look(10**6)
    assert job.flips == ["0 new-up ping", "4200 up-down missed"]


def test_without_a_longest_run_time_an_open_run_decides_nothing() -> None:
    job = Story(hourly())
    job.start(0)
    assert next_decision_at(job.state) is None


# Too short


def test_a_run_that_ends_too_soon_fails_and_does_not_rearm() -> None:
    job = Story(hourly(shortest_run_seconds=10))
    job.success(0)
    job.start(100)
    job.success(109.999)
    assert job.flips == ["0 new-up ping", "109.999 up-down failed"]
    assert job.state.last_success_at == at(0)


@pytest.mark.parametrize("seconds", [110, 200])
def test_a_run_that_takes_its_shortest_time_or_longer_succeeds(seconds: float) -> None:
    job = Story(hourly(shortest_run_seconds=10))
    job.start(100)
    job.success(seconds)
    assert job.status is Status.UP


def test_a_stated_run_time_can_be_too_short() -> None:
    job = Story(hourly(shortest_run_seconds=10))
    job.success(0, duration_ms=9_999)
    assert job.flips == ["0 new-down failed"]


def test_a_success_whose_run_time_nobody_knows_is_not_too_short() -> None:
    job = Story(hourly(shortest_run_seconds=10))
    job.success(0)
    assert job.status is Status.UP


def test_a_run_that_ends_too_soon_below_the_threshold_keeps_due_and_deadline() -> None:
    job = Story(hourly(shortest_run_seconds=10, failures_before_alert=2))
    job.success(0)
    job.start(100)
    job.success(101)
    assert (job.status, job.due, job.deadline) == (Status.UP, 3600, 4200)


# What is remembered


@pytest.mark.parametrize(("seconds", "duration_ms"), [(DAY, DAY * 1000), (DAY + 1, None)])
def test_a_run_without_a_limit_is_forgotten_after_a_day(seconds: int, duration_ms: int | None) -> None:
    assert at(DAY) - at(0) == FORGOTTEN
    job = Story(every(7 * DAY, 0))
    job.start(0)
    job.success(seconds)
    assert (job.duration_ms, job.state.runs) == (duration_ms, ())


def test_a_run_with_a_limit_is_remembered_however_long_it_may_take() -> None:
    job = Story(every(7 * DAY, 0, longest_run_seconds=3 * DAY))
    job.start(0, "a")
    job.success(2 * DAY, "a")
    assert job.duration_ms == 2 * DAY * 1000


def test_no_more_runs_are_kept_than_fit() -> None:
    job = Story(hourly())
    for number in range(OPEN_RUNS + 5):
        job.start(number, f"run {number}")
    assert open_ids(job) == [f"run {number}" for number in range(5, OPEN_RUNS + 5)]


def test_starts_that_keep_coming_do_not_put_off_the_alarm() -> None:
    job = Story(every(DAY, 0, longest_run_seconds=3600))
    for minute in range(60):
        job.start(60 * minute)
    job.look(3601)
    assert job.announced == ["3600 down"]


def test_a_run_that_overran_makes_room_before_one_that_may_still_overrun() -> None:
    job = limited(failures_before_alert=100)
    job.start(0, "old")
    job.look(61)
    for number in range(OPEN_RUNS):
        job.start(100 + number, f"run {number}")
    assert open_ids(job) == [f"run {number}" for number in range(OPEN_RUNS)]


# People


def test_a_pause_forgets_open_runs() -> None:
    job = limited()
    job.start(10)
    job.turn(pause(job.state, at(20)))
    job.start(30)
    assert job.state.runs == ()


def test_a_new_longest_run_time_counts_for_open_runs_but_none_is_over_at_once() -> None:
    job = limited(longest=1000)
    job.start(100, "a")
    job.start(500, "b")
    job.policy = hourly(longest_run_seconds=300)
    job.state = reschedule(job.policy, job.state, at(600))
    assert job.state.runs == (Run("a", at(100), at(900)), Run("b", at(500), at(800)))
    job.policy = hourly()
    job.state = reschedule(job.policy, job.state, at(700))
    assert [run.limit_at for run in job.state.runs] == [None, None]


def test_a_run_that_hangs_is_told_of_though_its_limit_was_shortened_meanwhile() -> None:
    job = Story(hourly(longest_run_seconds=1000))
    job.start(100)
    job.policy = hourly(longest_run_seconds=60)
    job.state = reschedule(job.policy, job.state, at(600))
    job.look(660)
    assert job.flips == []
    job.look(661)
    assert job.flips == ["660 new-down overran"]
    job.state = reschedule(job.policy, job.state, at(700))
    assert job.state.runs == (Run(None, at(100), None),)


# Own deafness (promise 6)


@pytest.mark.parametrize(
    ("gap_seconds", "limit"),
    [
        ((200, 300), 300 + 600),
        ((700, 900), 900 + 600),
        ((0, 100), 100 + 600),
        ((700, 710), 710 + 60),
        ((200, 210), 700),
        ((200, 259.999), 700),
        ((200, 260), 260 + 600),
    ],
)
def test_a_gap_that_touches_an_open_run_gives_it_its_longest_time_again(
    gap_seconds: tuple[float, float], limit: float
) -> None:
    job = Story(every(DAY, 0, longest_run_seconds=600), [gap(*gap_seconds)])
    job.success(0)
    job.start(100)
    job.look(limit)
    assert job.status is Status.UP
    job.look(limit + 1)
    assert job.flips[-1] == f"{limit} up-down unconfirmed"
    assert (job.told[-1].away_from, job.told[-1].away_until) == gap(*gap_seconds)


@pytest.mark.parametrize("gap_seconds", [(0, 99), (701, 800)])
def test_a_gap_before_the_start_or_after_the_limit_changes_nothing(gap_seconds: tuple[float, float]) -> None:
    job = Story(every(DAY, 0, longest_run_seconds=600), [gap(*gap_seconds)])
    job.success(0)
    job.start(100)
    job.look(10_000)
    assert job.flips[-1] == "700 up-down overran"


def test_an_end_within_the_longer_limit_is_no_alarm() -> None:
    job = Story(every(DAY, 0, longest_run_seconds=600), [gap(650, 750)])
    job.success(0)
    job.start(100)
    job.success(1200)
    assert job.flips == ["0 new-up ping"]

"""What pings, silence and people do to one monitor, rule by rule (docs/rules.md)."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from tests.domain.timeline import MORNING, Story, at, cron, every, gap, hourly
from tocsin.domain.monitor import Flip, Reason, State, Status
from tocsin.domain.ping import Kind, Ping
from tocsin.domain.transition import (
    apply,
    end_snooze,
    expectation,
    fold,
    is_late,
    is_reminder_due,
    is_snoozed,
    judge,
    next_decision_at,
    next_event_at,
    pause,
    remind,
    reschedule,
    resume,
    snooze,
)

LOUD = ("log", "progress", "start")


def up(**limits: int | None) -> Story:
    """An hourly job that has succeeded at 0: due at 3600, deadline at 4200."""
    job = Story(hourly(**limits))
    job.success(0)
    return job


def down(**limits: int | None) -> Story:
    """The same, silent until it was decided at 4200."""
    job = up(**limits)
    job.look(4201)
    return job


def hear(job: Story, kind: str, seconds: float) -> None:
    getattr(job, kind)(seconds)


# Pings that come in time


def test_a_new_monitor_expects_nothing_before_its_first_success() -> None:
    job = Story(hourly())
    job.log(0)
    job.look(10**7)
    assert (job.status, job.deadline, job.flips) == (Status.NEW, None, [])


def test_the_first_success_makes_a_new_monitor_up_and_is_not_announced() -> None:
    job = up()
    assert (job.flips, job.announced) == (["0 new-up ping"], [])


def test_a_success_sets_due_and_deadline_from_its_arrival() -> None:
    job = up()
    job.success(1000)
    assert (job.due, job.deadline) == (4600, 5200)


def test_a_success_in_time_changes_no_status() -> None:
    job = up()
    for seconds in (3600, 7200, 11_400):
        job.success(seconds)
    assert job.flips == ["0 new-up ping"]


def test_a_ping_exactly_at_the_deadline_is_in_time() -> None:
    job = up()
    job.success(4200)
    assert job.flips == ["0 new-up ping"]


def test_a_deadline_is_not_decided_before_it_has_passed() -> None:
    job = up()
    job.look(4200)
    assert job.status is Status.UP


@pytest.mark.parametrize("kind", LOUD)
def test_start_log_and_progress_move_neither_due_nor_deadline(kind: str) -> None:
    job = up()
    hear(job, kind, 3000)
    assert (job.due, job.deadline, job.state.last_success_at) == (3600, 4200, at(0))
    assert job.state.last_ping_at == at(3000)


@pytest.mark.parametrize("kind", LOUD)
def test_start_log_and_progress_do_not_make_a_down_monitor_up(kind: str) -> None:
    job = down()
    hear(job, kind, 5000)
    assert job.status is Status.DOWN


def test_every_ping_is_counted_whatever_it_says() -> None:
    job = up()
    for seconds, kind in enumerate(("start", "log", "progress", "fail", "success"), 1):
        hear(job, kind, seconds)
    job.turn(pause(job.state, at(10)))
    job.success(11)
    assert job.state.ping_count == 7


# Pings that come late (promise 5)


def test_a_late_success_leaves_the_down_and_the_up_and_both_are_announced() -> None:
    job = up()
    job.success(5000)
    assert job.flips == ["0 new-up ping", "4200 up-down missed", "5000 down-up ping"]
    assert job.announced == ["4200 down", "5000 up"]
    assert job.deadline == 5000 + 4200


@pytest.mark.parametrize("kind", LOUD)
def test_a_late_log_progress_or_start_gives_the_down_only(kind: str) -> None:
    job = up()
    hear(job, kind, 5000)
    assert job.flips == ["0 new-up ping", "4200 up-down missed"]


def test_a_late_failure_leaves_one_down_at_the_deadline() -> None:
    job = up()
    job.fail(5000)
    assert job.flips == ["0 new-up ping", "4200 up-down missed"]
    assert job.state.reason is Reason.FAILED


def test_a_down_lies_at_the_deadline_however_late_the_watcher_looks() -> None:
    job = up()
    job.look(10**6)
    assert job.flips == ["0 new-up ping", "4200 up-down missed"]
    assert job.told[-1] == Flip(
        at(4200), Status.UP, Status.DOWN, Reason.MISSED, announced=True, deadline_at=at(4200)
    )


def test_an_outage_is_decided_once() -> None:
    job = down()
    job.look(10**6)
    job.look(10**7)
    assert job.flips == ["0 new-up ping", "4200 up-down missed"]


# Failures and thresholds


def test_a_failure_alerts_at_once_with_its_exit_code_and_run() -> None:
    job = up()
    job.fail(10, run="a", exit_code=3)
    assert job.flips == ["0 new-up ping", "10 up-down failed"]
    assert (job.told[-1].exit_code, job.told[-1].run_id, job.told[-1].announced) == (3, "a", True)
    assert job.deadline is None


def test_a_new_monitor_that_fails_is_down_and_that_is_announced() -> None:
    job = Story(hourly())
    job.fail(0)
    assert (job.flips, job.announced) == (["0 new-down failed"], ["0 down"])


def test_further_failures_of_a_down_monitor_flip_nothing() -> None:
    job = up()
    job.fail(10)
    job.fail(20)
    job.look(10**6)
    assert job.flips == ["0 new-up ping", "10 up-down failed"]


def test_failures_below_the_threshold_keep_status_due_and_deadline() -> None:
    job = up(failures_before_alert=3)
    job.fail(10)
    job.fail(20)
    assert (job.status, job.due, job.deadline) == (Status.UP, 3600, 4200)
    job.fail(30)
    assert job.flips == ["0 new-up ping", "30 up-down failed"]


def test_a_success_starts_the_count_of_failures_anew() -> None:
    job = up(failures_before_alert=2)
    job.fail(10)
    job.success(20)
    job.fail(30)
    assert job.status is Status.UP


def test_log_and_start_do_not_interrupt_a_row_of_failures() -> None:
    job = up(failures_before_alert=2)
    job.fail(10)
    job.start(11)
    job.log(12)
    job.fail(20)
    assert job.flips[-1] == "20 up-down failed"


def test_silence_alerts_at_once_however_many_failures_are_allowed() -> None:
    job = down(failures_before_alert=5)
    assert job.flips == ["0 new-up ping", "4200 up-down missed"]


def test_a_recovery_waits_for_its_number_of_successes_in_a_row() -> None:
    job = down(successes_before_recovery=3)
    for seconds in (5000, 5100, 5200):
        assert job.status is Status.DOWN
        job.success(seconds)
    assert job.flips[-1] == "5200 down-up ping"


def test_a_failure_interrupts_a_row_of_successes() -> None:
    job = down(successes_before_recovery=2)
    job.success(5000)
    job.fail(5100)
    job.success(5200)
    job.success(5300)
    assert job.flips[-1] == "5300 down-up ping"


def test_silence_interrupts_a_row_of_successes_without_another_alert() -> None:
    job = down(successes_before_recovery=2)
    job.success(5000)
    job.success(5000 + 4201)
    assert job.status is Status.DOWN
    assert job.flips == ["0 new-up ping", "4200 up-down missed"]
    job.success(5000 + 4300)
    assert job.flips[-1] == "9300 down-up ping"


def test_every_success_rearms_also_one_that_is_not_enough_for_a_recovery() -> None:
    job = down(successes_before_recovery=2)
    job.success(5000)
    assert (job.status, job.due, job.deadline) == (Status.DOWN, 8600, 9200)


def test_a_new_monitor_needs_one_success_only() -> None:
    job = Story(hourly(successes_before_recovery=3))
    job.success(0)
    assert job.status is Status.UP


# Calendars


def test_a_cron_job_is_expected_at_the_next_time_after_its_ping() -> None:
    job = Story(cron("0 9 * * *", 600))
    job.success(30)
    assert (job.due, job.deadline) == (3600, 4200)


def test_a_cron_ping_that_comes_early_does_not_stand_for_the_time_that_follows() -> None:
    job = Story(cron("0 9 * * *", 600))
    job.success(3599)
    job.look(4201)
    assert job.flips == ["3599 new-up ping", "4200 up-down missed"]


# True order (promise 2)


@pytest.mark.parametrize(
    ("seconds", "kind", "late"),
    [
        (9, Kind.FAIL, True),
        (10, Kind.START, True),
        (10, Kind.SUCCESS, False),
        (10, Kind.FAIL, False),
        (11, Kind.START, False),
    ],
)
def test_a_ping_is_late_if_it_lies_before_the_last_one_in_true_order(
    seconds: float, kind: Kind, *, late: bool
) -> None:
    job = Story(hourly())
    job.success(10)
    assert is_late(job.state, Ping(at(seconds), kind)) is late


def test_nothing_is_late_for_a_monitor_that_was_never_heard() -> None:
    assert not is_late(State(), Ping(at(-(10**6)), Kind.START))


def test_a_fold_gives_what_each_ping_gives_in_its_turn() -> None:
    pings = [Ping(at(0), Kind.SUCCESS), Ping(at(5000), Kind.LOG), Ping(at(6000), Kind.SUCCESS)]
    job = Story(hourly())
    job.success(0)
    job.log(5000)
    job.success(6000)
    state, flips = fold(hourly(), State(since_at=MORNING), pings, ())
    assert (state, list(flips)) == (job.state, job.told)


# Pause and resume


def test_a_pause_is_a_flip_that_is_not_announced_and_expects_nothing() -> None:
    job = up()
    job.turn(pause(job.state, at(100)))
    job.look(10**6)
    assert job.flips == ["0 new-up ping", "100 up-paused paused"]
    assert job.announced == []
    assert next_event_at(job.state) is None


def test_a_pause_forgets_open_runs_and_counts() -> None:
    job = up(longest_run_seconds=60, failures_before_alert=2)
    job.start(10)
    job.fail(20, run="other")
    job.turn(pause(job.state, at(30)))
    job.turn(resume(job.state, at(40)))
    job.look(10**6)
    job.fail(10**6)
    assert job.status is Status.NEW


@pytest.mark.parametrize("kind", [*LOUD, "success", "fail"])
def test_a_ping_to_a_paused_monitor_is_counted_and_changes_nothing(kind: str) -> None:
    job = up()
    job.turn(pause(job.state, at(100)))
    before = job.state
    hear(job, kind, 200)
    assert job.state == replace(before, ping_count=2, last_ping_at=at(200), last_kind=Kind[kind.upper()])


def test_a_resumed_monitor_is_new_until_its_next_success_and_neither_is_announced() -> None:
    job = down()
    job.turn(pause(job.state, at(5000)))
    job.turn(resume(job.state, at(6000)))
    job.look(10**6)
    job.success(10**6)
    assert job.flips[2:] == ["5000 down-paused paused", "6000 paused-new resumed", "1000000 new-up ping"]
    assert job.announced == ["4200 down"]


def test_to_pause_twice_or_to_resume_what_runs_does_nothing() -> None:
    job = up()
    assert resume(job.state, at(10)) == (job.state, ())
    job.turn(pause(job.state, at(10)))
    assert pause(job.state, at(20)) == (job.state, ())


# Reminders


def reminded(job: Story, seconds: float) -> bool:
    """Whether the watcher, looking then, sends a reminder."""
    if not is_reminder_due(job.state, at(seconds)):
        return False
    job.state = remind(job.policy, job.state, at(seconds))
    return True


def test_reminders_come_every_period_counted_from_the_down() -> None:
    job = down(reminder_seconds=1000)
    seconds = (5199, 5201, 5300, 6199, 6202, 7203)
    assert [reminded(job, each) for each in seconds] == [False, True, False, False, True, True]


def test_after_downtime_there_is_at_most_one_reminder_and_then_a_whole_period_of_quiet() -> None:
    job = down(reminder_seconds=1000)
    assert [reminded(job, each) for each in (90_000, 90_001, 90_999, 91_001)] == [True, False, False, True]


def test_no_reminder_comes_while_a_monitor_is_up_or_paused() -> None:
    job = down(reminder_seconds=1000)
    job.success(5000)
    assert job.state.remind_at is None
    other = down(reminder_seconds=1000)
    other.turn(pause(other.state, at(5000)))
    assert other.state.remind_at is None
    assert not is_reminder_due(replace(job.state, remind_at=at(0)), at(1))


def test_a_success_that_is_not_enough_for_a_recovery_does_not_end_reminders() -> None:
    job = down(reminder_seconds=1000, successes_before_recovery=2)
    job.success(5000)
    assert reminded(job, 5201)


def test_there_are_no_reminders_unless_they_are_set() -> None:
    job = down()
    assert not reminded(job, 10**7)
    assert next_event_at(job.state) is None


def test_the_next_outage_has_reminders_of_its_own() -> None:
    job = down(reminder_seconds=1000)
    reminded(job, 5201)
    job.success(6000)
    job.fail(7000)
    assert [reminded(job, each) for each in (7999, 8001)] == [False, True]


# Snooze


def test_a_snooze_ends_at_its_time_and_the_watcher_looks_then() -> None:
    job = down()
    job.state = snooze(job.state, at(9000))
    assert [is_snoozed(job.state, at(each)) for each in (8999, 9000)] == [True, False]
    assert next_event_at(job.state) == at(9000)


def test_a_snoozed_monitor_is_not_looked_at_for_a_reminder_that_would_not_be_sent() -> None:
    job = down(reminder_seconds=1000)
    job.state = snooze(job.state, at(9000))
    assert next_event_at(job.state) == at(9000)


def test_flips_are_recorded_while_a_monitor_is_snoozed() -> None:
    job = up()
    job.state = snooze(job.state, at(9000))
    job.success(5000)
    assert job.flips == ["0 new-up ping", "4200 up-down missed", "5000 down-up ping"]


def test_no_reminder_comes_while_a_monitor_is_snoozed_and_the_next_is_a_period_after_its_end() -> None:
    job = down(reminder_seconds=1000)
    job.state = snooze(job.state, at(9000))
    assert not reminded(job, 8999)
    job.state = end_snooze(job.policy, job.state, at(9001))
    assert job.state.snoozed_until is None
    assert [reminded(job, each) for each in (9002, 10_000, 10_002)] == [False, False, True]


def test_a_pause_and_a_resume_keep_a_snooze() -> None:
    job = down()
    job.state = snooze(job.state, at(9000))
    job.turn(pause(job.state, at(5000)))
    job.turn(resume(job.state, at(6000)))
    assert is_snoozed(job.state, at(7000))


# A changed schedule


def changed(job: Story, seconds: float, interval: int, grace: int, **limits: int | None) -> None:
    job.policy = every(interval, grace, **limits)
    job.state = reschedule(job.policy, job.state, at(seconds))


def test_a_changed_schedule_counts_from_the_last_success() -> None:
    job = up()
    changed(job, 100, 1800, 60)
    assert (job.due, job.deadline, job.status) == (1800, 1860, Status.UP)


def test_a_changed_schedule_whose_deadline_has_passed_already_starts_from_now() -> None:
    job = up()
    changed(job, 2000, 600, 60)
    assert (job.due, job.deadline) == (2600, 2660)
    job.look(2660)
    assert job.flips == ["0 new-up ping"]


def test_a_changed_schedule_makes_nothing_expected_of_a_new_or_paused_monitor() -> None:
    job = Story(hourly())
    changed(job, 100, 60, 0)
    assert next_event_at(job.state) is None
    other = up()
    other.turn(pause(other.state, at(10)))
    changed(other, 100, 60, 0)
    assert next_event_at(other.state) is None


def test_a_changed_schedule_does_not_make_a_down_monitor_up_nor_down_again() -> None:
    job = down()
    changed(job, 5000, 60, 0)
    job.look(10**6)
    assert job.flips == ["0 new-up ping", "4200 up-down missed"]


def test_a_changed_schedule_makes_a_new_version_so_that_nobody_overwrites_it() -> None:
    job = up()
    version = job.state.version
    changed(job, 100, 60, 0)
    assert job.state.version == version + 1


def test_a_changed_schedule_does_not_forget_a_gap() -> None:
    job = Story(every(86_400, 600), [gap(86_000, 86_500)])
    job.success(0)
    job.look(87_500)
    extended = job.deadline
    job.policy = every(86_400, 1200)
    job.state = reschedule(job.policy, job.state, at(87_500))
    job.look(90_000)
    assert job.status is Status.UP
    assert job.deadline == 86_500 + 86_400 + 1200
    assert extended == 86_500 + 86_400 + 600


def test_a_schedule_that_was_changed_long_after_a_gap_has_nothing_unconfirmed() -> None:
    job = Story(hourly(), [gap(3500, 3700)])
    job.success(0)
    job.look(7000)
    changed(job, 7000, 600, 60)
    job.look(8000)
    assert job.flips[-1] == "7660 up-down missed"


@pytest.mark.parametrize("heard_before", [True, False])
def test_reminders_switched_on_or_off_count_from_the_change(*, heard_before: bool) -> None:
    job = Story(hourly())
    if heard_before:
        job.success(0)
    job.fail(10)
    changed(job, 100, 3600, 600, reminder_seconds=50)
    assert job.state.remind_at == at(150)
    changed(job, 120, 3600, 600)
    assert next_event_at(job.state) is None


# What the watcher looks for


def test_the_next_event_is_the_earliest_of_deadline_run_limit_reminder_and_snooze() -> None:
    job = up(longest_run_seconds=60)
    assert next_event_at(job.state) == next_decision_at(job.state) == at(4200)
    job.start(10)
    assert next_event_at(job.state) == next_decision_at(job.state) == at(70)
    job.state = snooze(job.state, at(50))
    assert next_event_at(job.state) == at(50)


def test_the_window_of_an_expectation_begins_a_grace_before_due_or_at_the_last_ping() -> None:
    job = up()
    assert expectation(job.policy, job.state) == (at(3000), at(4200))
    job.log(3100)
    assert expectation(job.policy, job.state) == (at(3100), at(4200))
    job.fail(3200)
    assert expectation(job.policy, job.state) is None


def test_the_version_grows_with_every_flip_and_since_is_when_it_happened() -> None:
    job = up()
    versions = [job.state.version]
    for seconds in (5000, 10_000):
        job.success(seconds)
        versions.append(job.state.version)
    assert versions == [1, 3, 5]
    assert job.state.since_at == at(10_000)


def test_a_look_before_anything_has_passed_gives_back_the_same_state() -> None:
    job = up()
    assert judge(job.policy, job.state, at(4200), [gap(0, 4100)]) == (job.state, ())


def test_a_success_of_an_up_monitor_gives_no_flip_and_no_duration() -> None:
    job = up()
    assert apply(job.policy, job.state, Ping(at(1), Kind.SUCCESS), ()).flips == ()
    assert apply(job.policy, job.state, Ping(at(1), Kind.SUCCESS), ()).duration_ms is None

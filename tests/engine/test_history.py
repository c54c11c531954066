"""In which order pings are stored never changes the outcome (promise 2), on a real store."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from tests.domain.timeline import MORNING, at, gap
from tests.shelf import Job, Said, Shelf, Stored
from tocsin.domain.monitor import SECOND, Flip, Gap, State, Status
from tocsin.domain.ping import Kind, Ping
from tocsin.domain.transition import apply, judge
from tocsin.store import tables

pytestmark = pytest.mark.promise(2)


def truth(job: Job, said: Sequence[Said], until_at: int = 0) -> Stored:
    """All pings folded in true order, without a store, and decided as far as `until_at`."""
    pings = sorted(
        (Ping(at(each.seconds), each.kind, 0, each.run_id, None, each.duration_ms) for each in said),
        key=lambda ping: ping.order,
    )
    state, flips, kept = State(since_at=MORNING), list[Flip](), list[Ping]()
    for ping in pings:
        state, more, duration_ms = apply(job.policy, state, ping, job.gaps)
        flips += more
        kept.append(replace(ping, duration_ms=duration_ms))
    state, more = judge(job.policy, state, until_at, job.gaps)
    bare = [Flip(flip.at, flip.old, flip.new, flip.reason, flip.announced) for flip in (*flips, *more)]
    return Stored(state, bare, kept)


def comparable(stored: Stored) -> Stored:
    """Versions count the ways, not the outcome; ids are given in the order of storing. Since when a monitor
    is new is not looked for."""
    state = replace(stored.state, version=0)
    if state.status is Status.NEW:
        state = replace(state, since_at=MORNING)
    return Stored(state, stored.flips, [replace(ping, id=0) for ping in stored.pings])


# Examples: a job every 100 s with 20 s of grace


def test_a_late_success_moves_neither_last_ping_nor_due_nor_deadline_back(shelf: Shelf) -> None:
    job = Job(shelf)
    job.take(Said(50))
    before = job.stored.state
    job.take(Said(10))
    after = job.stored.state
    assert (after.last_ping_at, after.due_at, after.deadline_at) == (at(50), at(150), at(170))
    assert after == replace(before, ping_count=2, successes=2, version=after.version, since_at=at(10))
    assert job.words == ["10 new-up"]


def test_a_late_failure_before_a_success_inserts_a_down_and_an_up_and_both_are_announced(
    shelf: Shelf,
) -> None:
    job = Job(shelf)
    job.take(Said(0), Said(50))
    job.take(Said(40, Kind.FAIL))
    assert job.words == ["0 new-up", "40 up-down", "50 down-up"]
    assert job.outbox == ["monitor.down pending", "monitor.up pending"]
    assert job.stored.state.deadline_at == at(170)


def test_a_pair_is_inserted_before_a_down_that_was_told_and_that_one_stays(shelf: Shelf) -> None:
    job = Job(shelf)
    job.take(Said(0), Said(50), Said(60, Kind.FAIL))
    job.tell()
    job.take(Said(40, Kind.FAIL))
    assert job.words == ["0 new-up", "40 up-down", "50 down-up", "60 up-down"]
    assert job.outbox == ["monitor.down pending", "monitor.down pending", "monitor.up pending"]


def test_a_late_start_arms_nothing_where_its_end_came_and_gives_it_a_run_time(shelf: Shelf) -> None:
    job = Job(shelf, longest_run_seconds=60)
    job.take(Said(50))
    job.take(Said(10, Kind.START))
    job.look(100)
    assert (job.words, job.stored.state.runs) == (["50 new-up"], ())
    assert [ping.duration_ms for ping in job.stored.pings] == [None, 40_000]


def test_a_late_start_shows_that_its_run_had_overrun(shelf: Shelf) -> None:
    job = Job(shelf, longest_run_seconds=30)
    job.take(Said(50))
    job.take(Said(10, Kind.START))
    assert job.words == ["40 new-down", "50 down-up"]


def test_a_late_end_takes_its_run_from_the_end_that_came_after(shelf: Shelf) -> None:
    job = Job(shelf)
    job.take(Said(10, Kind.START), Said(50))
    [answer] = job.take(Said(20))
    assert answer is not None
    assert answer.duration_ms == 10_000
    assert [ping.duration_ms for ping in job.stored.pings] == [None, 10_000, None]


def test_a_stated_run_time_counts_again_when_the_history_is_folded_anew(shelf: Shelf) -> None:
    job = Job(shelf, shortest_run_seconds=30)
    job.take(Said(0), Said(10, duration_ms=1_000), Said(20, duration_ms=60_000))
    words = job.words
    job.take(Said(5, Kind.LOG))
    assert job.words == words == ["0 new-up", "10 up-down", "20 down-up"]


def test_a_down_that_nobody_was_told_of_is_withdrawn_when_a_late_success_refutes_it(shelf: Shelf) -> None:
    job = Job(shelf)
    job.take(Said(0), Said(90, Kind.LOG))
    job.look(130)
    job.take(Said(80))
    assert (job.words, job.outbox) == (["0 new-up"], ["monitor.down withdrawn"])
    assert (job.stored.state.status, job.stored.state.deadline_at) == (Status.UP, at(200))


def test_a_down_that_somebody_was_told_of_stays_and_an_up_follows_it(shelf: Shelf) -> None:
    job = Job(shelf)
    job.take(Said(0), Said(90, Kind.LOG))
    job.look(130)
    job.tell()
    job.take(Said(80), Said(140, Kind.LOG))
    assert job.words == ["0 new-up", "120 up-down", "140 down-up"]
    assert job.outbox == ["monitor.down pending", "monitor.up pending"]
    assert (job.stored.state.status, job.stored.state.since_at) == (Status.UP, at(140))


def test_what_is_older_than_a_pause_only_goes_into_the_history(shelf: Shelf) -> None:
    job = Job(shelf)
    job.take(Said(0), Said(50))
    job.pause(60)
    job.resume(70)
    job.take(Said(80, Kind.LOG))
    job.take(Said(40, Kind.FAIL))
    assert job.words == ["0 new-up", "60 up-paused", "70 paused-new"]
    assert (job.stored.state.status, job.stored.state.ping_count) == (Status.NEW, 4)
    assert [ping.arrived_at for ping in job.stored.pings] == [at(0), at(40), at(50), at(80)]


def test_what_came_after_a_resume_is_folded_from_there(shelf: Shelf) -> None:
    job = Job(shelf)
    job.take(Said(0))
    job.pause(60)
    job.resume(70)
    job.take(Said(90, Kind.LOG))
    job.take(Said(80))
    assert job.words == ["0 new-up", "60 up-paused", "70 paused-new", "80 new-up"]
    assert job.stored.state.deadline_at == at(200)


def test_a_ping_to_a_paused_monitor_that_is_late_changes_nothing(shelf: Shelf) -> None:
    job = Job(shelf)
    job.take(Said(0))
    job.pause(60)
    job.take(Said(90))
    job.take(Said(80, Kind.FAIL))
    assert (job.words, job.stored.state.ping_count) == (["0 new-up", "60 up-paused"], 3)


def test_a_late_log_after_hundreds_of_logs_forgets_neither_the_deadline_nor_the_outage(shelf: Shelf) -> None:
    job = Job(shelf)
    job.take(Said(0), *(Said(1 + number / 100, Kind.LOG) for number in range(400)))
    job.take(Said(3.0001, Kind.LOG))
    assert (job.stored.state.due_at, job.stored.state.deadline_at) == (at(100), at(120))
    job.take(Said(130, Kind.LOG))
    job.take(Said(110, Kind.LOG))
    assert job.words == ["0 new-up", "120 up-down"]


def test_a_late_log_among_hundreds_of_logs_forgets_no_outage_that_followed(shelf: Shelf) -> None:
    job = Job(shelf)
    job.take(Said(0), *(Said(1 + number / 100, Kind.LOG) for number in range(400)), Said(140))
    job.take(Said(6, Kind.LOG))
    assert job.words == ["0 new-up", "120 up-down", "140 down-up"]
    assert job.outbox == ["monitor.down pending", "monitor.up pending"]


def test_a_late_log_leaves_a_down_that_the_watcher_decided(shelf: Shelf) -> None:
    job = Job(shelf)
    job.take(Said(0), Said(90, Kind.LOG))
    job.look(130)
    job.take(Said(80, Kind.LOG))
    assert (job.words, job.outbox) == (["0 new-up", "120 up-down"], ["monitor.down pending"])
    assert job.stored.state.status is Status.DOWN


def test_a_deadline_is_kept_when_the_success_that_set_it_is_stored_no_more(shelf: Shelf) -> None:
    job = Job(shelf)
    job.take(Said(0), *(Said(1 + number, Kind.LOG) for number in range(5)))
    first_id = job.stored.pings[0].id
    shelf.connection.execute(tables.ping.delete().where(tables.ping.c.id == first_id))
    job.take(Said(4.5, Kind.LOG))
    state = job.stored.state
    assert (state.last_success_at, state.due_at, state.deadline_at) == (at(0), at(100), at(120))


def test_an_open_run_that_began_long_ago_keeps_its_limit(shelf: Shelf) -> None:
    job = Job(shelf, longest_run_seconds=60)
    job.take(Said(0, Kind.START, "a"), *(Said(1 + number / 10) for number in range(300)))
    job.take(Said(30.05, Kind.LOG))
    job.look(61)
    assert job.words == ["1 new-up", "60 up-down"]


def test_a_ping_that_is_thousands_of_pings_late_leaves_the_chain_whole(shelf: Shelf) -> None:
    job = Job(shelf)
    job.take(Said(0), Said(1), *(Said(2 + number / 100, Kind.LOG) for number in range(2_500)))
    job.take(Said(1.5, Kind.LOG))
    arrivals = [ping.arrived_at for ping in job.stored.pings]
    assert len(arrivals) == 2_503
    assert arrivals == sorted(arrivals)


def test_a_late_ping_repeats_no_reminder_and_ends_no_snooze(shelf: Shelf) -> None:
    job = Job(shelf, reminder_seconds=10)
    job.take(Said(0), Said(10, Kind.FAIL), Said(12, Kind.LOG))
    job._change(lambda tracked: (replace(tracked.state, remind_at=at(90), snoozed_until=at(70)), ()))
    job.take(Said(11, Kind.LOG))
    assert (job.stored.state.remind_at, job.stored.state.snoozed_until) == (at(90), at(70))


# Properties

said = st.builds(
    Said,
    st.integers(0, 60).map(lambda tens: 10 * tens),
    st.sampled_from([Kind.START, Kind.LOG, Kind.SUCCESS, Kind.SUCCESS, Kind.FAIL]),
    st.sampled_from([None, None, "a", "b"]),
    st.none(),
)
lives = st.lists(said, min_size=2, max_size=14, unique_by=lambda each: (each.seconds, each.kind))
limits = st.fixed_dictionaries(
    {
        "longest_run_seconds": st.sampled_from([None, 30, 150]),
        "shortest_run_seconds": st.sampled_from([None, 20]),
        "failures_before_alert": st.sampled_from([1, 1, 2]),
        "successes_before_recovery": st.sampled_from([1, 1, 2]),
        "reminder_seconds": st.sampled_from([None, 60]),
    }
)
gap_lists = st.sampled_from([[], [], [gap(100, 130)], [gap(50, 190), gap(300, 310)]])
relaxed = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@st.composite
def orders(draw: st.DrawFn) -> tuple[list[Said], list[list[Said]]]:
    """A life, and its pings as they are stored: batches in any order, each in the order of its arrivals."""
    life = draw(lives)
    mixed = draw(st.permutations(life))
    cuts = sorted(draw(st.sets(st.integers(1, len(mixed) - 1))))
    batches = [mixed[begin:end] for begin, end in pairwise([0, *cuts, len(mixed)])]
    return life, [sorted(batch, key=lambda each: each.seconds) for batch in batches]


@given(order=orders(), limits=limits, gaps=gap_lists)
@relaxed
def test_any_order_of_single_pings_gives_the_fold_in_true_order(
    shelf: Shelf, order: tuple[list[Said], list[list[Said]]], limits: dict[str, int], gaps: list[Gap]
) -> None:
    job = Job(shelf, gaps, **limits)
    for batch in order[1]:
        for each in batch:
            job.take(each)
    assert comparable(job.stored) == comparable(truth(job, order[0]))


@given(order=orders(), limits=limits, gaps=gap_lists)
@relaxed
def test_any_order_of_batches_gives_the_fold_in_true_order(
    shelf: Shelf, order: tuple[list[Said], list[list[Said]]], limits: dict[str, int], gaps: list[Gap]
) -> None:
    job = Job(shelf, gaps, **limits)
    for batch in order[1]:
        job.take(*batch)
    assert comparable(job.stored) == comparable(truth(job, order[0]))


def test_a_flip_that_belongs_before_a_told_one_of_its_moment_is_not_written_behind_it(shelf: Shelf) -> None:
    job = Job(shelf)
    for seconds, kind in ((0, Kind.SUCCESS), (10, Kind.SUCCESS), (50, Kind.SUCCESS), (50, Kind.FAIL)):
        job.take(Said(seconds, kind))
    job.tell()
    job.take(Said(30, Kind.FAIL))
    assert job.words == ["0 new-up", "50 up-down"]
    assert job.stored.state.status is Status.DOWN


@given(order=orders(), limits=limits, told=st.lists(st.booleans(), min_size=14, max_size=14))
@relaxed
def test_what_somebody_was_told_stays_and_the_last_flip_is_the_status_all_the_same(
    shelf: Shelf, order: tuple[list[Said], list[list[Said]]], limits: dict[str, int], told: list[bool]
) -> None:
    job = Job(shelf, (), **limits)
    for each, tell in zip((each for batch in order[1] for each in batch), told, strict=False):
        before = [flip for flip in job.stored.flips if flip.announced] if tell else []
        if tell:
            job.tell()
        job.take(each)
        assert [flip for flip in before if flip not in job.stored.flips] == []
    # A run may be over at the very moment of the last flip, which only the watcher finds.
    until_at = job.stored.state.since_at + 1
    job.look((until_at - MORNING) / SECOND)
    flips, state = job.stored.flips, job.stored.state
    for earlier, later in pairwise(flips):
        assert later.old is earlier.new
    assert (flips[-1].new if flips else Status.NEW) is state.status
    expected = truth(job, order[0], until_at).state
    assert (state.status, state.due_at, state.deadline_at) == (
        expected.status,
        expected.due_at,
        expected.deadline_at,
    )

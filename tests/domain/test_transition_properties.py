"""What holds for every monitor, whatever happens to it: batches, looks and gaps never change a truth."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs
from msgspec.structs import replace

from tests.domain.timeline import MORNING, at, cron, every
from tocsin.domain.monitor import SECOND, Flip, Gap, Policy, Reason, Run, State, Status
from tocsin.domain.ping import Kind, Ping
from tocsin.domain.transition import (
    Applied,
    apply,
    end_snooze,
    fold,
    is_late,
    is_reminder_due,
    judge,
    next_decision_at,
    next_event_at,
    pause,
    remind,
    reschedule,
    resume,
    snooze,
)

NEW = State(since_at=MORNING)
LAST = 3000

# Few different times: that several things happen in the same microsecond is the interesting case.
seconds = st.integers(0, LAST // 10).map(lambda tens: 10 * tens)
limits = st.one_of(st.none(), st.sampled_from([10, 60, 200, 500]))
schedules = st.one_of(
    st.builds(every, st.sampled_from([1, 50, 300, 1200]), st.sampled_from([0, 20, 100, 400])),
    st.builds(cron, st.sampled_from(["* * * * *", "*/10 * * * *"]), st.sampled_from([0, 20, 400])),
)


@st.composite
def policies(draw: st.DrawFn) -> Policy:
    bare = draw(schedules)
    return Policy(
        bare.schedule,
        bare.grace_seconds,
        longest_run_seconds=draw(limits),
        shortest_run_seconds=draw(st.one_of(st.none(), st.sampled_from([10, 30]))),
        failures_before_alert=draw(st.sampled_from([1, 1, 2, 3])),
        successes_before_recovery=draw(st.sampled_from([1, 1, 2, 3])),
        reminder_seconds=draw(limits),
    )


@st.composite
def gap_lists(draw: st.DrawFn, shortest: int = 1) -> list[Gap]:
    """In the order of their ends; they may overlap."""
    spans = draw(st.lists(st.tuples(seconds, st.integers(shortest, 400)), max_size=4))
    gaps = [Gap(at(begin), at(begin + length)) for begin, length in spans]
    return sorted(gaps, key=lambda gap: gap.until_at)


@st.composite
def ping_lists(draw: st.DrawFn, most: int = 25) -> list[Ping]:
    """In true order. A run time is stated now and then."""
    said = st.tuples(
        seconds,
        st.sampled_from([*Kind, Kind.SUCCESS]),
        st.sampled_from([None, None, "a", "b"]),
        st.sampled_from([None, None, None, 5_000, 60_000]),
    )
    drawn = draw(st.lists(said, max_size=most))
    pings = [Ping(at(each[0]), each[1], index, each[2], None, each[3]) for index, each in enumerate(drawn)]
    return sorted(pings, key=lambda ping: ping.order)


looks = st.lists(st.integers(0, 10 * LAST), max_size=12)


def lived(
    policy: Policy, pings: Sequence[Ping], gaps: Sequence[Gap], looked: Sequence[int] = ()
) -> tuple[State, list[Flip]]:
    """A life with the watcher looking at the given seconds, decided to its end."""
    state, flips = NEW, list[Flip]()
    moments = sorted(
        [*((ping.order, ping) for ping in pings), *(((at(each), -1, 0), None) for each in looked)]
    )
    for (moment, _, _), ping in moments:
        if ping is None:
            state, more = judge(policy, state, moment, gaps)
        else:
            state, more, _ = apply(policy, state, ping, gaps)
        flips += more
    state, more = judge(policy, state, at(100 * LAST), gaps)
    return state, [*flips, *more]


# Batches and looks


@given(policies(), ping_lists(), gap_lists(), st.data())
def test_how_pings_are_batched_never_changes_the_outcome(
    policy: Policy, pings: list[Ping], gaps: list[Gap], data: st.DataObject
) -> None:
    cuts = data.draw(st.lists(st.integers(0, len(pings)), max_size=6).map(sorted))
    state, flips = NEW, list[Flip]()
    for begin, end in pairwise([0, *cuts, len(pings)]):
        state, more = fold(policy, state, pings[begin:end], gaps)
        flips += more
    assert (state, tuple(flips)) == fold(policy, NEW, pings, gaps)


@given(policies(), ping_lists(), gap_lists(), looks)
@settings(max_examples=300)
def test_when_the_watcher_looks_never_changes_the_outcome(
    policy: Policy, pings: list[Ping], gaps: list[Gap], looked: list[int]
) -> None:
    assert lived(policy, pings, gaps, looked) == lived(policy, pings, gaps)


@given(policies(), ping_lists(), gap_lists(), st.integers(0, 2 * LAST), st.integers(0, 2 * LAST))
def test_to_judge_twice_is_to_judge_once(
    policy: Policy, pings: list[Ping], gaps: list[Gap], first: int, second: int
) -> None:
    state, _ = fold(policy, NEW, pings, gaps)
    earlier, later = at(LAST + min(first, second)), at(LAST + max(first, second))
    once, flips = judge(policy, state, later, gaps)
    half, some = judge(policy, state, earlier, gaps)
    assert judge(policy, once, later, gaps) == (once, ())
    whole, rest = judge(policy, half, later, gaps)
    assert (whole, some + rest) == (once, flips)


@given(policies(), ping_lists(), gap_lists())
def test_nothing_is_decided_before_the_next_event_and_something_right_after_a_decision(
    policy: Policy, pings: list[Ping], gaps: list[Gap]
) -> None:
    state, _ = fold(policy, NEW, pings, gaps)
    decision_at, event_at = next_decision_at(state), next_event_at(state)
    if decision_at is None:
        assert judge(policy, state, at(10**9), gaps) == (state, ())
        return
    assert event_at is not None
    assert event_at <= decision_at
    assert judge(policy, state, decision_at, gaps) == (state, ())
    assert judge(policy, state, decision_at + 1, gaps)[0] != state


# Flips


@given(policies(), ping_lists(), gap_lists(), looks)
def test_flips_alternate_in_time_and_the_last_one_is_the_status(
    policy: Policy, pings: list[Ping], gaps: list[Gap], looked: list[int]
) -> None:
    state, flips = lived(policy, pings, gaps, looked)
    check_flips(flips)
    if flips:
        assert (state.status, state.since_at, state.version) == (flips[-1].new, flips[-1].at, len(flips))


@given(policies(), ping_lists(), gap_lists())
def test_downs_and_the_ups_after_them_are_announced_and_nothing_else(
    policy: Policy, pings: list[Ping], gaps: list[Gap]
) -> None:
    for flip in lived(policy, pings, gaps)[1]:
        assert flip.announced is (Status.DOWN in (flip.old, flip.new))


@given(policies(), ping_lists())
def test_without_a_gap_nothing_is_unconfirmed_and_silence_is_decided_at_due_plus_grace(
    policy: Policy, pings: list[Ping]
) -> None:
    for flip in lived(policy, pings, ())[1]:
        assert flip.reason is not Reason.UNCONFIRMED
        if flip.reason is Reason.MISSED:
            assert flip.at == flip.deadline_at


@given(policies(), ping_lists(), gap_lists())
def test_every_ping_is_counted_and_the_newest_is_the_last(
    policy: Policy, pings: list[Ping], gaps: list[Gap]
) -> None:
    state, _ = fold(policy, NEW, pings, gaps)
    assert state.ping_count == len(pings)
    if pings:
        assert (state.last_ping_at, state.last_kind) == (pings[-1].arrived_at, int(pings[-1].kind))


@given(policies(), ping_lists(), gap_lists())
def test_a_ping_is_late_just_where_it_lies_before_the_last_one(
    policy: Policy, pings: list[Ping], gaps: list[Gap]
) -> None:
    state, _ = fold(policy, NEW, pings, gaps)
    for ping in pings:
        assert is_late(state, ping) is (ping.order[:2] < pings[-1].order[:2])


@given(policies(), ping_lists(), gap_lists())
def test_start_log_and_progress_never_move_due_and_an_up_monitor_has_a_deadline(
    policy: Policy, pings: list[Ping], gaps: list[Gap]
) -> None:
    state = NEW
    for ping in pings:
        before = state.due_at
        state = apply(policy, state, ping, gaps).state
        if ping.kind not in (Kind.SUCCESS, Kind.FAIL):
            assert state.due_at == before
        assert (state.deadline_at is not None) or state.status is not Status.UP


@given(policies(), ping_lists(), gap_lists())
def test_the_deadline_of_an_up_monitor_never_moves_back(
    policy: Policy, pings: list[Ping], gaps: list[Gap]
) -> None:
    heard = [
        ping for ping in pings if not any(gap.from_at <= ping.arrived_at <= gap.until_at for gap in gaps)
    ]
    state = NEW
    for ping in heard:
        before = state
        state, flips, _ = apply(policy, state, ping, gaps)
        if before.status is Status.UP and not flips:
            assert before.deadline_at is not None
            assert state.deadline_at is not None
            assert state.deadline_at >= before.deadline_at


# Silence and gaps


@given(policies(), gap_lists())
def test_a_monitor_that_stays_silent_is_down_at_its_deadline_or_a_wait_after_a_gap(
    policy: Policy, gaps: list[Gap]
) -> None:
    state = apply(policy, NEW, Ping(at(0), Kind.SUCCESS), gaps).state
    deadline_at = state.deadline_at or 0
    state, [flip] = judge(policy, state, at(100 * LAST), gaps)
    assert (flip.new, state.deadline_at) == (Status.DOWN, None)
    latest = [deadline_at, *(gap.until_at + longest_wait(policy) for gap in gaps)]
    assert deadline_at <= flip.at <= max(latest)
    if flip.reason is Reason.MISSED:
        assert flip.at == deadline_at
    else:
        assert Gap(flip.away_from or 0, flip.away_until or 0) in gaps


@given(
    st.sampled_from([5, 20, 60, 900]),
    st.sampled_from([1, 4, 60, 600]),
    st.lists(st.floats(0, 1), min_size=2, max_size=60),
    gap_lists(shortest=60),
    looks,
)
@settings(max_examples=300)
def test_a_job_that_pings_on_time_is_never_down_whatever_gaps_of_a_minute_or_more_swallow_its_pings(
    interval: int, grace: int, jitter: list[float], gaps: list[Gap], looked: list[int]
) -> None:
    moments = [at(turn * interval + share * grace) for turn, share in enumerate(jitter)]
    check_healthy(every(interval, grace), moments, gaps, looked)


@given(st.lists(st.floats(0, 4), min_size=2, max_size=60), gap_lists(), looks)
@settings(max_examples=300)
def test_a_job_that_pings_every_minute_or_faster_is_never_down_whatever_gaps_swallow_its_pings(
    jitter: list[float], gaps: list[Gap], looked: list[int]
) -> None:
    moments = [at(turn * 55 + late) for turn, late in enumerate(jitter)]
    check_healthy(every(55, 4), moments, gaps, looked)


@given(ping_lists(), gap_lists())
def test_a_gap_never_brings_an_alarm_that_would_not_come_without_it(
    pings: list[Ping], gaps: list[Gap]
) -> None:
    policy = every(300, 100, longest_run_seconds=60)
    healthy = [ping for ping in pings if ping.kind is not Kind.FAIL]
    _, loud = lived(policy, healthy, ())
    _, quiet = lived(policy, healthy, gaps)
    assert downs(quiet) <= downs(loud)


# States


@given(policies(), ping_lists(), gap_lists())
def test_a_state_keeps_the_types_of_its_fields_through_everything(
    policy: Policy, pings: list[Ping], gaps: list[Gap]
) -> None:
    state = NEW
    for ping in pings:
        applied = apply(policy, state, ping, gaps)
        state = applied.state
        check_types(state)
        check_applied(applied)
    check_types(judge(policy, state, at(10 * LAST), gaps)[0])


DEEDS = ("ping", "ping", "ping", "look", "pause", "resume", "snooze", "unsnooze", "reschedule", "remind")


@given(policies(), policies(), gap_lists(), st.lists(st.tuples(st.sampled_from(DEEDS), seconds), max_size=30))
@settings(max_examples=300)
def test_whatever_people_do_flips_alternate_and_no_reminder_is_due_unless_down_and_awake(
    policy: Policy, other: Policy, gaps: list[Gap], deeds: list[tuple[str, int]]
) -> None:
    state, flips = NEW, list[Flip]()
    for deed, second in sorted(deeds, key=lambda each: each[1]):
        state, more = judge(policy, state, at(second), gaps)
        flips += more
        if deed == "reschedule":
            policy, other = other, policy
        before = state
        state, more = act(policy, state, deed, at(second), gaps)
        flips += more
        if deed == "reschedule":
            assert judge(policy, state, at(second), gaps) == (state, ())
            assert state.status is before.status
        check_types(state)
        for moment in (at(second), at(second + 300)):
            if is_reminder_due(state, moment):
                assert state.status is Status.DOWN
                assert not (state.snoozed_until or 0) > moment
    check_flips(flips)


@pytest.mark.parametrize("field", State.__struct_fields__)
def test_the_spelled_out_state_of_a_success_forgets_no_field(field: str) -> None:
    full = State(
        Status.UP, 7, Reason.PING, at(1), at(2), 2, at(1), at(3), at(4), 1, 2, (Run("a", at(2), None),), 9,
        77, at(1), at(2), at(5000), at(6000),
    )  # fmt: skip
    after = apply(every(60, 10), full, Ping(at(3), Kind.SUCCESS), ()).state
    expected = replace(
        full, last_ping_at=at(3), last_kind=3, last_success_at=at(3), due_at=at(63), deadline_at=at(73),
        failures=0, successes=3, ping_count=10, away_from=None, away_until=None,
    )  # fmt: skip
    assert getattr(after, field) == getattr(expected, field)


# How the properties look at a life


def act(
    policy: Policy, state: State, deed: str, moment: int, gaps: Sequence[Gap]
) -> tuple[State, tuple[Flip, ...]]:
    if deed == "ping":
        return apply(policy, state, Ping(moment, Kind(moment // SECOND % 5)), gaps)[:2]
    if deed == "remind":
        return (remind(policy, state, moment), ()) if is_reminder_due(state, moment) else (state, ())
    deeds: dict[str, Callable[[], tuple[State, tuple[Flip, ...]]]] = {
        "look": lambda: judge(policy, state, moment, gaps),
        "pause": lambda: pause(state, moment),
        "resume": lambda: resume(state, moment),
        "snooze": lambda: (snooze(state, moment + 200 * SECOND), ()),
        "unsnooze": lambda: (end_snooze(policy, state, moment), ()),
        "reschedule": lambda: (reschedule(policy, state, moment), ()),
    }
    return deeds[deed]()


def check_flips(flips: Sequence[Flip]) -> None:
    assert all(flip.old is not flip.new for flip in flips)
    assert not flips or flips[0].old is Status.NEW
    for before, after in pairwise(flips):
        assert after.old is before.new
        assert after.at >= before.at


def check_healthy(policy: Policy, moments: Sequence[int], gaps: Sequence[Gap], looked: Sequence[int]) -> None:
    heard = [
        Ping(moment, Kind.SUCCESS)
        for moment in moments
        if not any(gap.from_at <= moment <= gap.until_at for gap in gaps)
    ]
    state, flips = NEW, list[Flip]()
    for ping in heard:
        for moment in sorted(at(each) for each in looked if at(each) <= ping.arrived_at):
            state, more = judge(policy, state, moment, gaps)
            flips += more
        state, more, _ = apply(policy, state, ping, gaps)
        flips += more
    assert [flip for flip in flips if flip.new is Status.DOWN] == []


def check_types(state: State) -> None:
    kinds = {"status": Status, "reason": Reason, "runs": tuple}
    defaults = {field.name: field.default for field in structs.fields(State)}
    for name, value in structs.asdict(state).items():
        if value is None:
            assert defaults[name] is None
        else:
            assert type(value) is kinds.get(name, int), name
    for run in state.runs:
        assert type(run) is Run
        assert type(run.started_at) is int


def check_applied(applied: Applied) -> None:
    assert type(applied.flips) is tuple
    assert applied.duration_ms is None or type(applied.duration_ms) is int


def downs(flips: Sequence[Flip]) -> int:
    return sum(flip.new is Status.DOWN for flip in flips)


def longest_wait(policy: Policy) -> int:
    """Interval or the distance of the two cron lines, and grace."""
    interval = int(policy.schedule.expression) if policy.schedule.kind == "interval" else 600
    return (interval + policy.grace_seconds) * SECOND

"""What a ping, silence or a person's word does to a monitor. Pure: no clock, no store.

The rules are those of docs/rules.md ("Arrival, order, batches", "Own deafness", "Flips and alerts").
Decisions about absence come from `judge` alone, whether the watcher asks or a ping that came too late;
therefore it never matters which of the two looked first, nor how pings were batched. All times are
microseconds UTC.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import NamedTuple, assert_never

from msgspec.structs import replace

from tocsin.domain.monitor import SECOND, Flip, Gap, Policy, Reason, Run, State, Status
from tocsin.domain.ping import Kind, Ping
from tocsin.domain.run import close_run, ended_too_soon, open_run, relimit, swap
from tocsin.domain.schedule import next_after

SHORT_GAP = 60 * SECOND


class Applied(NamedTuple):
    """What one ping did. `duration_ms`: its run time, stated by the sender or counted from its start."""

    state: State
    flips: tuple[Flip, ...]
    duration_ms: int | None


class _Touched(NamedTuple):
    """A gap that touches a window, and until when it lets us wait."""

    until_at: int
    gap: Gap


def apply(policy: Policy, state: State, ping: Ping, gaps: Sequence[Gap]) -> Applied:
    """Fold one ping, not older than the last one applied (see `is_late`), into the state."""
    flips: tuple[Flip, ...] = ()
    event_at = next_decision_at(state)
    if event_at is not None and event_at < ping.arrived_at:
        state, flips = judge(policy, state, ping.arrived_at, gaps)
    if state.status is Status.PAUSED:
        return Applied(_heard(state, ping), flips, ping.duration_ms)
    match ping.kind:
        case Kind.SUCCESS | Kind.FAIL:
            return _end(policy, state, ping, flips)
        case Kind.START:
            runs = open_run(policy, state.runs, ping)
            return Applied(replace(_heard(state, ping), runs=runs), flips, None)
        case Kind.LOG | Kind.PROGRESS:
            return Applied(_heard(state, ping), flips, None)
        case _:
            assert_never(ping.kind)


def fold(
    policy: Policy, state: State, pings: Iterable[Ping], gaps: Sequence[Gap]
) -> tuple[State, tuple[Flip, ...]]:
    """Fold pings in true order; what `apply` does to each, and all flips together."""
    flips: list[Flip] = []
    for ping in pings:
        applied = apply(policy, state, ping, gaps)
        state = applied.state
        flips += applied.flips
    return state, tuple(flips)


def is_late(state: State, ping: Ping) -> bool:
    """Whether the ping is older than one that has been applied, so that history must be folded anew."""
    if state.last_ping_at is None or ping.arrived_at > state.last_ping_at:
        return False
    return (ping.arrived_at, ping.kind) < (state.last_ping_at, state.last_kind)


def judge(policy: Policy, state: State, now: int, gaps: Sequence[Gap]) -> tuple[State, tuple[Flip, ...]]:
    """Decide every deadline and every open run's limit that lies before `now`, in their order in time.

    A window that touches a gap of the ledger is first given the time in which the next ping may come.
    """
    flips: tuple[Flip, ...] = ()
    while True:
        at = next_decision_at(state)
        if at is None or at >= now:
            return state, flips
        run = _run_limited_at(state, at)
        if run is None:
            state, more = _judge_deadline(policy, state, at, gaps)
        else:
            state, more = _judge_run(policy, state, run, gaps)
        flips += more


def next_decision_at(state: State) -> int | None:
    """The earliest time whose passing changes the state, or None: the deadline or an open run's limit."""
    at = state.deadline_at
    for run in state.runs:
        if run.limit_at is not None and (at is None or run.limit_at < at):
            at = run.limit_at
    return at


def next_event_at(state: State) -> int | None:
    """When the watcher has to look at the monitor: a decision, a reminder, or the end of a snooze."""
    at = next_decision_at(state)
    if state.remind_at is None and state.snoozed_until is None:
        return at
    times = (at, _reminder_at(state), state.snoozed_until)
    return min((at for at in times if at is not None), default=None)


def is_reminder_due(state: State, now: int) -> bool:
    """Whether a reminder is to be sent: down, not snoozed, and its time has passed."""
    at = _reminder_at(state)
    return at is not None and at < now and not is_snoozed(state, now)


def remind(policy: Policy, state: State, now: int) -> State:
    """The state after a reminder was written: the next is a whole period away, however long we slept."""
    if state.remind_at is None:
        return state
    return replace(state, remind_at=_period_after(policy, max(now, state.remind_at)))


def is_snoozed(state: State, at: int) -> bool:
    """Whether alerts of that moment are held."""
    return state.snoozed_until is not None and at < state.snoozed_until


def snooze(state: State, until_at: int) -> State:
    """Hold alerts until then; flips are recorded meanwhile."""
    return replace(state, snoozed_until=until_at)


def end_snooze(policy: Policy, state: State, at: int) -> State:
    """No alerts are held any more; the next reminder is a whole period away."""
    remind_at = None if state.remind_at is None else _period_after(policy, at)
    return replace(state, snoozed_until=None, remind_at=remind_at)


def pause(state: State, at: int) -> tuple[State, tuple[Flip, ...]]:
    """Expect nothing. Not announced; pausing a paused monitor does nothing."""
    if state.status is Status.PAUSED:
        return state, ()
    return _set_status(_expect_nothing(state), Status.PAUSED, Reason.PAUSED, at, announced=False)


def resume(state: State, at: int) -> tuple[State, tuple[Flip, ...]]:
    """Back to new: the next ping establishes the cadence again."""
    if state.status is not Status.PAUSED:
        return state, ()
    return _set_status(_expect_nothing(state), Status.NEW, Reason.RESUMED, at, announced=False)


def reschedule(policy: Policy, state: State, at: int) -> State:
    """The state under a new policy. A changed schedule alone never raises an alarm: where its new deadline
    had passed already, the expectation starts from now. Gaps are judged anew.

    The caller judges first, under the old policy, so that no deadline that has passed is forgotten.
    """
    state = replace(state, version=state.version + 1, runs=relimit(policy, state.runs, at))
    if state.status is Status.DOWN:
        state = replace(state, remind_at=_period_after(policy, at))
    if state.status in (Status.NEW, Status.PAUSED) or state.last_success_at is None:
        return state
    due_at = next_after(policy.schedule, state.last_success_at)
    if due_at + policy.grace_seconds * SECOND < at:
        due_at = next_after(policy.schedule, at)
    deadline_at = due_at + policy.grace_seconds * SECOND if state.deadline_at is not None else None
    return replace(state, due_at=due_at, deadline_at=deadline_at, away_from=None, away_until=None)


def expectation(policy: Policy, state: State) -> tuple[int, int] | None:
    """The window in which a ping is expected, as [from, until], or None. Jobs come a little early too."""
    if state.deadline_at is None or state.due_at is None:
        return None
    early = state.due_at - policy.grace_seconds * SECOND
    return max(state.last_ping_at or 0, early), state.deadline_at


def _heard(state: State, ping: Ping) -> State:
    return replace(
        state, last_ping_at=ping.arrived_at, last_kind=int(ping.kind), ping_count=state.ping_count + 1
    )


def _end(policy: Policy, state: State, ping: Ping, flips: tuple[Flip, ...]) -> Applied:
    runs, duration_ms = state.runs, ping.duration_ms
    if runs:
        runs, counted_ms = close_run(runs, ping)
        duration_ms = counted_ms if duration_ms is None else duration_ms
    succeeded = ping.kind is Kind.SUCCESS and not ended_too_soon(policy, duration_ms)
    state = _rearmed(policy, state, ping, runs) if succeeded else _failed(state, ping, runs)
    if duration_ms is not None:
        state = replace(state, last_duration_ms=duration_ms)
    state, more = _flip_if_due(policy, state, ping, succeeded=succeeded)
    return Applied(state, flips + more if more else flips, duration_ms)


def _rearmed(policy: Policy, state: State, ping: Ping, runs: tuple[Run, ...]) -> State:
    """Every success rearms. Spelled out in the tuple's order: this is the hot path."""
    due_at = next_after(policy.schedule, ping.arrived_at)
    return State(
        state.status,
        state.version,
        state.reason,
        state.since_at,
        ping.arrived_at,
        3,
        ping.arrived_at,
        due_at,
        due_at + policy.grace_seconds * SECOND,
        0,
        state.successes + 1,
        runs,
        state.ping_count + 1,
        state.last_duration_ms,
        None,
        None,
        state.snoozed_until,
        state.remind_at,
    )


def _failed(state: State, ping: Ping, runs: tuple[Run, ...]) -> State:
    """A failure keeps due and deadline."""
    return replace(_heard(state, ping), failures=state.failures + 1, successes=0, runs=runs)


def _flip_if_due(
    policy: Policy, state: State, ping: Ping, *, succeeded: bool
) -> tuple[State, tuple[Flip, ...]]:
    if succeeded:
        if state.status is Status.UP:
            return state, ()
        return _recover(policy, state, ping)
    if state.status is Status.DOWN:
        return replace(state, reason=Reason.FAILED), ()
    if state.failures < policy.failures_before_alert:
        return state, ()
    return _go_down(
        policy, state, Reason.FAILED, ping.arrived_at, exit_code=ping.exit_code, run_id=ping.run_id
    )


def _recover(policy: Policy, state: State, ping: Ping) -> tuple[State, tuple[Flip, ...]]:
    was_down = state.status is Status.DOWN
    if was_down and state.successes < policy.successes_before_recovery:
        return state, ()
    state = replace(state, remind_at=None)
    return _set_status(state, Status.UP, Reason.PING, ping.arrived_at, announced=was_down)


def _go_down(
    policy: Policy,
    state: State,
    reason: Reason,
    at: int,
    *,
    exit_code: int | None = None,
    run_id: str | None = None,
    away: Gap | None = None,
) -> tuple[State, tuple[Flip, ...]]:
    flip = Flip(
        at=at,
        old=state.status,
        new=Status.DOWN,
        reason=reason,
        announced=True,
        deadline_at=state.deadline_at,
        exit_code=exit_code,
        run_id=run_id,
        away_from=away.from_at if away else None,
        away_until=away.until_at if away else None,
    )
    state = replace(
        state,
        status=Status.DOWN,
        version=state.version + 1,
        reason=reason,
        since_at=at,
        deadline_at=None,
        successes=0,
        remind_at=_period_after(policy, at),
    )
    return state, (flip,)


def _set_status(
    state: State, new: Status, reason: Reason, at: int, *, announced: bool
) -> tuple[State, tuple[Flip, ...]]:
    flip = Flip(at=at, old=state.status, new=new, reason=reason, announced=announced)
    return replace(state, status=new, version=state.version + 1, reason=reason, since_at=at), (flip,)


def _expect_nothing(state: State) -> State:
    return replace(
        state,
        due_at=None,
        deadline_at=None,
        failures=0,
        successes=0,
        runs=(),
        away_from=None,
        away_until=None,
        remind_at=None,
    )


def _period_after(policy: Policy, at: int) -> int | None:
    """When the next reminder is due, counted from `at`."""
    return at + policy.reminder_seconds * SECOND if policy.reminder_seconds else None


def _reminder_at(state: State) -> int | None:
    if state.remind_at is None or state.status is not Status.DOWN:
        return None
    return max(state.remind_at, state.snoozed_until or 0)


def _judge_deadline(
    policy: Policy, state: State, at: int, gaps: Sequence[Gap]
) -> tuple[State, tuple[Flip, ...]]:
    touched = _touch(gaps, expectation(policy, state) or (at, at), partial(_wait, policy))
    if touched is not None and touched.until_at > at:
        from_at, until_at = touched.gap
        return replace(state, deadline_at=touched.until_at, away_from=from_at, away_until=until_at), ()
    if state.status is not Status.UP:
        return replace(state, deadline_at=None, successes=0), ()
    away = _away(state, touched)
    reason = Reason.UNCONFIRMED if away else Reason.MISSED
    return _go_down(policy, state, reason, at, away=away)


def _judge_run(policy: Policy, state: State, run: Run, gaps: Sequence[Gap]) -> tuple[State, tuple[Flip, ...]]:
    limit_at = run.limit_at or 0
    touched = _touch(gaps, (run.started_at, limit_at), partial(_run_wait, policy))
    if touched is not None and touched.until_at > limit_at:
        from_at, until_at = touched.gap
        longer = replace(run, limit_at=touched.until_at, away_from=from_at, away_until=until_at)
        return replace(state, runs=swap(state.runs, run, longer)), ()
    # It stays open without a limit, so that its end, should it come, still has its run time.
    state = replace(
        state,
        runs=swap(state.runs, run, replace(run, limit_at=None)),
        failures=state.failures + 1,
        successes=0,
    )
    if state.status is Status.DOWN or state.failures < policy.failures_before_alert:
        return state, ()
    away = _away(run, touched)
    reason = Reason.UNCONFIRMED if away else Reason.OVERRAN
    return _go_down(policy, state, reason, limit_at, run_id=run.id, away=away)


def _wait(policy: Policy, gap: Gap) -> int:
    """Time for the next ping after a gap; short gaps get at most a minute (rules.md, Judge)."""
    wait = next_after(policy.schedule, gap.until_at) - gap.until_at + policy.grace_seconds * SECOND
    return min(wait, SHORT_GAP) if gap.until_at - gap.from_at < SHORT_GAP else wait


def _run_wait(policy: Policy, gap: Gap) -> int:
    wait = (policy.longest_run_seconds or 0) * SECOND
    return min(wait, SHORT_GAP) if gap.until_at - gap.from_at < SHORT_GAP else wait


def _touch(gaps: Sequence[Gap], window: tuple[int, int], wait: Callable[[Gap], int]) -> _Touched | None:
    """Of the gaps that touch the window, the one that lets us wait longest. The times are absolute: looking
    again at the same gap moves nothing. Gaps lie in the order of their ends."""
    longest = None
    for gap in reversed(gaps):
        if gap.until_at < window[0]:
            break
        if gap.from_at <= window[1]:
            until_at = gap.until_at + wait(gap)
            if longest is None or until_at > longest.until_at:
                longest = _Touched(until_at, gap)
    return longest


def _away(judged: State | Run, touched: _Touched | None) -> Gap | None:
    """The gap in which a ping may have been lost: what was waited for, else what touches the window now."""
    if judged.away_from is not None and judged.away_until is not None:
        return Gap(judged.away_from, judged.away_until)
    return None if touched is None else touched.gap


def _run_limited_at(state: State, at: int) -> Run | None:
    """The run whose limit is the next decision, or None where that is the deadline."""
    if state.deadline_at == at:
        return None
    return next(run for run in state.runs if run.limit_at == at)

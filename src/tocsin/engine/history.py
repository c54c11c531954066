"""A ping that is stored after a newer one (promise 2): the history is folded anew with it in its place.

Rare: one process stamps and stores in order. It happens where several take pings, and after a commit that
had to be tried again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from operator import itemgetter
from typing import TYPE_CHECKING, Any, NamedTuple

from msgspec.structs import replace

from tocsin.domain.monitor import SECOND, Flip, Gap, Reason, State, Status
from tocsin.domain.ping import Kind, Ping
from tocsin.domain.run import relimit
from tocsin.domain.transition import apply, judge
from tocsin.store import chain

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from tocsin.store.database import Tracked

# So many older pings, and on to a success: they settle due, runs and counts. The status before them is known
# from the flips.
WARM_UP = 100
LONGEST_WARM_UP = 5_000
PIECE = 250
SILENCE = (Reason.MISSED, Reason.OVERRAN, Reason.UNCONFIRMED)


class Placed(NamedTuple):
    """Where the ping belongs, and what it changed. `head_id` stays the chain's head."""

    state: State
    flips: tuple[Flip, ...]
    duration_ms: int | None
    prev_id: int | None
    head_id: int | None


class _Window(NamedTuple):
    """The pings around the late one, in true order, and the ping it follows in the chain."""

    older: list[Ping]
    newer: list[Ping]
    prev_id: int | None


class _Refolded(NamedTuple):
    """The history with the late ping in its place. `durations`: of each ping, by its id."""

    state: State
    flips: list[Flip]
    durations: dict[int, int | None]


def apply_late(connection: Connection, tracked: Tracked, ping: Ping, gaps: Sequence[Gap], now: int) -> Placed:
    """Put a late ping in its place, in the store's chain too. What is older than the last pause or resume
    only goes into the history."""
    window = _window(connection, tracked, ping)
    if window.newer:
        chain.link(connection, window.newer[0].id, ping.id)
    counted = replace(tracked.state, ping_count=tracked.state.ping_count + 1)
    control_at = chain.control_flip_at(connection, tracked.monitor_id) or 0
    if ping.arrived_at < control_at or not window.newer:
        return Placed(counted, (), ping.duration_ms, window.prev_id, tracked.last_ping_id)
    refolded = _refold(connection, tracked, window, ping, gaps, control_at)
    state = _carried(counted, refolded.state)
    flips = _reconciled(connection, tracked, refolded, ping, now)
    if flips is None:
        state, flips = _corrected(counted, state, now)
    return Placed(state, flips, refolded.durations[ping.id], window.prev_id, tracked.last_ping_id)


def _window(connection: Connection, tracked: Tracked, ping: Ping) -> _Window:
    newer: list[Ping] = []
    older: list[Ping] = []
    prev_id = tracked.last_ping_id
    for row in _backwards(connection, tracked.last_ping_id):
        each = Ping(row.arrived_at, Kind(row.kind), row.id, row.run_id, row.exit_code, row.duration_ms)
        if each.order > ping.order:
            newer.append(each)
            prev_id = row.prev_id
            continue
        older.append(each)
        settled = len(older) >= WARM_UP and each.kind is Kind.SUCCESS
        if settled or len(older) >= LONGEST_WARM_UP:
            break
    return _Window(older[::-1], newer[::-1], prev_id)


def _backwards(connection: Connection, head_id: int | None) -> Iterator[Any]:
    """The rows of the chain, newest first, read in pieces."""
    while head_id is not None:
        rows: list[Any] = chain.walk(connection, head_id, PIECE)
        yield from rows
        head_id = rows[-1].prev_id if len(rows) == PIECE else None


def _refold(
    connection: Connection,
    tracked: Tracked,
    window: _Window,
    ping: Ping,
    gaps: Sequence[Gap],
    control_at: int,
) -> _Refolded:
    """Fold the window, and decide what had been decided: not more, since newer pings may wait."""
    older = [each for each in window.older if each.arrived_at >= control_at]
    state = _state_before(connection, tracked, (*older, ping)[0].arrived_at)
    end = _next_end(window.newer, ping)
    flips: list[Flip] = []
    durations: dict[int, int | None] = {}
    for each in (*older, ping, *window.newer):
        counted_anew = replace(each, duration_ms=None) if each is end else each
        state, more, durations[each.id] = apply(tracked.policy, state, counted_anew, gaps)
        flips += more
    if end is not None and durations[end.id] != end.duration_ms:
        chain.set_duration(connection, end.id, durations[end.id])
    state, more = judge(tracked.policy, state, _decided_until(tracked.state), gaps)
    return _Refolded(state, [*flips, *more], durations)


def _decided_until(known: State) -> int:
    """How far deadlines and limits have been decided: to the last ping, or to a flip that silence made."""
    last_ping_at = known.last_ping_at or 0
    return known.since_at + 1 if known.reason in SILENCE and known.since_at >= last_ping_at else last_ping_at


def _next_end(newer: Sequence[Ping], ping: Ping) -> Ping | None:
    """The end whose run time was counted without the late ping."""
    if ping.kind in (Kind.LOG, Kind.PROGRESS):
        return None
    ends = (each for each in newer if each.kind in (Kind.SUCCESS, Kind.FAIL))
    return next((each for each in ends if each.run_id == ping.run_id), None)


def _state_before(connection: Connection, tracked: Tracked, first_at: int) -> State:
    """The state before the window's first ping, as far as flips and what is known now tell it."""
    policy, known = tracked.policy, tracked.state
    state = State()
    flip: Any = chain.flip_before(connection, tracked.monitor_id, first_at)
    if flip is not None:
        status = Status(flip.new)
        remind_at = flip.at if status is Status.DOWN and policy.reminder_seconds else None
        state = State(status=status, reason=Reason(flip.reason), since_at=flip.at, remind_at=remind_at)
    open_before = tuple(run for run in known.runs if run.started_at < first_at)
    state = replace(state, runs=relimit(policy, open_before, first_at))
    if known.last_success_at is None or known.last_success_at >= first_at:
        return state
    state = replace(state, last_success_at=known.last_success_at)
    if known.due_at is None:
        return state
    deadline_at = known.due_at + policy.grace_seconds * SECOND if state.status is Status.UP else None
    return replace(state, due_at=known.due_at, deadline_at=deadline_at)


def _carried(counted: State, state: State) -> State:
    """What a new fold of a part of the history cannot know."""
    unchanged = (state.status, state.since_at) == (counted.status, counted.since_at)
    return replace(
        state,
        version=counted.version + 1,
        ping_count=counted.ping_count,
        since_at=state.since_at or counted.since_at,
        last_duration_ms=counted.last_duration_ms
        if state.last_duration_ms is None
        else state.last_duration_ms,
        snoozed_until=counted.snoozed_until,
        remind_at=counted.remind_at if unchanged else state.remind_at,
    )


def _reconciled(
    connection: Connection, tracked: Tracked, refolded: _Refolded, ping: Ping, now: int
) -> tuple[Flip, ...] | None:
    """Make the stored flips what they would have been, and return those to write, so that all lie in the
    order of their ids. None where somebody was told of a flip that would not have been, or would have come
    later in the same moment."""
    wanted = [flip for flip in refolded.flips if flip.at >= ping.arrived_at]
    begins_with = wanted[0].old if wanted else refolded.state.status
    before: Any = chain.flip_before(connection, tracked.monitor_id, ping.arrived_at)
    if (Status(before.new) if before else Status.NEW) is not begins_with:
        return None
    stored: list[Any] = chain.flips_from(connection, tracked.monitor_id, ping.arrived_at)
    same = 0
    while same < min(len(stored), len(wanted)) and _is_same(stored[same], wanted[same]):
        same += 1
    rest, fresh = stored[same:], wanted[same:]
    if any(chain.was_told(connection, row.id) for row in rest):
        kept = [_key(row) for row in rest]
        inserted = tuple(flip for flip in fresh if _key(flip) not in kept)
        # Flips of one moment lie in the order in which they were written.
        together = sorted([*kept, *map(_key, inserted)], key=itemgetter(0))
        return inserted if together == [_key(flip) for flip in fresh] else None
    for row in rest:
        chain.remove_flip(connection, row.id, now)
    return tuple(fresh)


def _is_same(row: Any, flip: Flip) -> bool:
    return _key(row) == _key(flip) and bool(row.reason == flip.reason)


def _key(flip: Any) -> tuple[int, str, str]:
    return flip.at, flip.old, flip.new


def _corrected(counted: State, state: State, now: int) -> tuple[State, tuple[Flip, ...]]:
    """Alerts are not unsent: the flips stay, and where the last one is wrong, one more says so now."""
    if state.status is counted.status:
        return replace(
            state, since_at=counted.since_at, reason=counted.reason, remind_at=counted.remind_at
        ), ()
    at = max(now, counted.since_at)
    flip = Flip(
        at=at,
        old=counted.status,
        new=state.status,
        reason=state.reason or Reason.PING,
        announced=Status.DOWN in (counted.status, state.status),
    )
    return replace(state, since_at=at), (flip,)

"""A ping that is stored after a newer one (promise 2): the history is folded anew with it in its place.

Rare: one process stamps and stores in order. It happens where several take pings, and after a commit that
had to be tried again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from tocsin.domain.monitor import Flip, Gap, Policy, State
from tocsin.domain.ping import Kind, Ping
from tocsin.domain.transition import apply, judge
from tocsin.store import chain

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from tocsin.store.database import Tracked

# So many older pings settle runs and counts in a row; the status before them is known from the flips.
WARM_UP = 100
LONGEST_WALK = 2_000


class Placed(NamedTuple):
    """Where the ping belongs, and what it changed. `head_id` stays the chain's head."""

    state: State
    flips: tuple[Flip, ...]
    duration_ms: int | None
    prev_id: int | None
    head_id: int | None


class _Window(NamedTuple):
    """The pings around the late one, in true order, and the state before the first of them."""

    before: State
    older: list[Ping]
    newer: list[Ping]
    prev_id: int | None


def apply_late(connection: Connection, tracked: Tracked, ping: Ping, gaps: Sequence[Gap], now: int) -> Placed:
    """Put a late ping in its place, in the store's chain too. What is older than the last pause or resume
    only goes into the history."""
    window = _window(connection, tracked, ping)
    if window.newer:
        chain.link(connection, window.newer[0].id, ping.id)
    counted = tracked.state._replace(ping_count=tracked.state.ping_count + 1)
    control_at = chain.control_flip_at(connection, tracked.monitor_id)
    if control_at is not None and ping.arrived_at < control_at:
        return Placed(counted, (), ping.duration_ms, window.prev_id, tracked.last_ping_id)
    state, flips, duration_ms = _refold(tracked.policy, window, ping, gaps, now)
    state = _carry(counted, state)
    new = _reconcile(connection, tracked, [flip for flip in flips if flip.at >= ping.arrived_at], ping, now)
    return Placed(state, new, duration_ms, window.prev_id, tracked.last_ping_id)


def _window(connection: Connection, tracked: Tracked, ping: Ping) -> _Window:
    rows: list[Any] = chain.walk(connection, tracked.last_ping_id, LONGEST_WALK)
    newer = [row for row in rows if _ping(row).order > ping.order]
    older = rows[len(newer) : len(newer) + WARM_UP]
    control_at = chain.control_flip_at(connection, tracked.monitor_id) or 0
    kept = [_ping(row) for row in reversed(older) if row.arrived_at >= control_at]
    first_at = kept[0].arrived_at if kept else ping.arrived_at
    status = chain.status_before(connection, tracked.monitor_id, first_at)
    prev_id = older[0].id if older else None
    return _Window(State(status=status), kept, [_ping(row) for row in reversed(newer)], prev_id)


def _ping(row: Any) -> Ping:  # noqa: ANN401 - a database row
    return Ping(row.arrived_at, Kind(row.kind), row.id, row.run_id, row.exit_code, None)


def _refold(
    policy: Policy, window: _Window, ping: Ping, gaps: Sequence[Gap], now: int
) -> tuple[State, list[Flip], int | None]:
    state = window.before
    flips: list[Flip] = []
    duration_ms = None
    for each in (*window.older, ping, *window.newer):
        applied = apply(policy, state, each, gaps)
        state = applied.state
        flips += applied.flips
        if each is ping:
            duration_ms = applied.duration_ms
    state, more = judge(policy, state, now, gaps)
    return state, [*flips, *more], duration_ms


def _carry(counted: State, state: State) -> State:
    """What a new fold of a part of the history cannot know."""
    return state._replace(
        version=counted.version + 1,
        ping_count=counted.ping_count,
        snoozed_until=counted.snoozed_until,
        since_at=state.since_at or counted.since_at,
        last_duration_ms=counted.last_duration_ms,
    )


def _reconcile(
    connection: Connection, tracked: Tracked, flips: list[Flip], ping: Ping, now: int
) -> tuple[Flip, ...]:
    """Make the stored flips what they would have been, and return those that are new. What somebody was
    told of stays: alerts are not unsent."""
    stored: list[Any] = chain.flips_from(connection, tracked.monitor_id, ping.arrived_at)
    wanted = {(flip.at, flip.new) for flip in flips}
    known = {(row.at, row.new) for row in stored}
    wrong = [row for row in stored if (row.at, row.new) not in wanted]
    if any(chain.was_told(connection, row.id) for row in wrong):
        return ()
    for row in wrong:
        chain.remove_flip(connection, row.id, now)
    return tuple(flip for flip in flips if (flip.at, flip.new) not in known)

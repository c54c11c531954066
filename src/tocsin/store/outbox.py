"""The outbox: what is due, who has leased it, how it ended. A lease is taken by compare-and-set, so that
two processes never hold the same one (promise 7); one that runs out is taken again."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, Text, bindparam, func, insert, or_, select, tuple_, update

from tocsin.store import tables
from tocsin.store.chunks import chunks
from tocsin.store.notifications import IS_PENDING, PENDING, Delivery

_notification = tables.notification
_c = _notification.c
_earlier = _notification.alias("earlier")
# The next one about a monitor on a channel waits until the one before is answered or dead.
_IS_FIRST = ~(
    select(_earlier.c.id)
    .where(
        _earlier.c.status == PENDING,
        _earlier.c.channel_id == _c.channel_id,
        _earlier.c.monitor_id == _c.monitor_id,
        _earlier.c.id < _c.id,
    )
    .exists()
)


class Waiting(NamedTuple):
    """A notification that waits to be sent."""

    id: int
    uid: str
    channel_id: int
    monitor_id: int | None
    batch: str | None
    next_attempt_at: int


class Leased(NamedTuple):
    """A notification that this process alone may send until its lease ends. `attempts`: those before."""

    id: int
    uid: str
    facts: str
    attempts: int


class Ending(NamedTuple):
    """What becomes of a leased notification after an attempt."""

    id: int
    lease_until: int
    status: Delivery
    next_attempt_at: int | None
    finished_at: int | None


class Try(NamedTuple):
    """A row of `attempt`."""

    notification_id: int
    at: int
    outcome: str
    code: int | None
    detail: str
    duration_ms: int


_WAITING = select(*(_c[name] for name in Waiting._fields)).where(IS_PENDING)
_DUE = (
    _WAITING.where(_c.next_attempt_at <= bindparam("now"), _IS_FIRST)
    .order_by(_c.next_attempt_at, _c.id)
    .limit(bindparam("limit"))
)
_FINISH = (
    update(_notification)
    .where(_c.id == bindparam("row"), _c.lease_until == bindparam("lease"))
    .where(or_(IS_PENDING, bindparam("to", type_=Text) == Delivery.DELIVERED))
    .values(
        status=bindparam("to"),
        next_attempt_at=bindparam("next"),
        finished_at=bindparam("finished"),
        lease_until=None,
        attempts=_c.attempts + 1,
    )
)


def read_due(
    connection: Connection,
    now: int,
    limit: int,
    *,
    after: Waiting | None = None,
    closed: Collection[int] = (),
) -> list[Waiting]:
    """Notifications whose time has come and before which none is unanswered, longest due first: those
    after `after`, without those of `closed` channels."""
    query = _DUE
    if after is not None:
        query = query.where(tuple_(_c.next_attempt_at, _c.id) > (after.next_attempt_at, after.id))
    if closed:
        query = query.where(_c.channel_id.not_in(closed))
    return [Waiting(*row) for row in connection.execute(query, {"now": now, "limit": limit})]


def read_waiting(connection: Connection, channel_ids: Collection[int], limit: int) -> list[Waiting]:
    """What waits on these channels, due or not, in the order in which it was written."""
    rows = (
        row
        for some in chunks(channel_ids)
        for row in connection.execute(_WAITING.where(_c.channel_id.in_(some)).order_by(_c.id).limit(limit))
    )
    return sorted(Waiting(*row) for row in rows)


def next_due_at(connection: Connection, now: int) -> int | None:
    """The earliest time after `now` at which something becomes due."""
    query = select(func.min(_c.next_attempt_at)).where(IS_PENDING, _c.next_attempt_at > now)
    return connection.execute(query).scalar()


def lease(
    connection: Connection, ids: Collection[int], now: int, until: int, batch: str | None = None
) -> list[Leased]:
    """Take those that are still to be had, and freeze them into a digest if `batch` is given. In order."""
    values: dict[str, Any] = {"next_attempt_at": until, "lease_until": until}
    if batch is not None:
        values["batch"] = batch
    # A digest's members were chosen together: none that another process froze meanwhile into its own.
    is_ours = or_(_c.batch.is_(None), _c.batch == batch)
    statement = update(_notification).where(IS_PENDING, _c.next_attempt_at <= now, is_ours).values(values)
    columns = [_c[name] for name in Leased._fields]
    return sorted(
        Leased(*row)
        for some in chunks(ids)
        for row in connection.execute(statement.where(_c.id.in_(some)).returning(*columns))
    )


def still_leased(connection: Connection, ids: Collection[int], until: int) -> set[int]:
    """Those of the ids that are still held under this lease, and still to be sent."""
    query = select(_c.id).where(IS_PENDING, _c.lease_until == until)
    return {found for some in chunks(ids) for found in connection.scalars(query.where(_c.id.in_(some)))}


def give_back(connection: Connection, ids: Collection[int], until: int, now: int) -> None:
    """End a lease under which nothing was attempted."""
    statement = update(_notification).where(IS_PENDING, _c.lease_until == until)
    for some in chunks(ids):
        connection.execute(statement.where(_c.id.in_(some)).values(next_attempt_at=now, lease_until=None))


def end_leases(connection: Connection, now: int) -> None:
    """End all leases: whoever held them is known to be dead."""
    leased = update(_notification).where(IS_PENDING, _c.lease_until.is_not(None))
    connection.execute(leased.values(next_attempt_at=now, lease_until=None))


def finish(connection: Connection, endings: Sequence[Ending], tries: Sequence[Try]) -> None:
    """Write down attempts, and what became of their notifications where the lease was still ours.

    What was withdrawn meanwhile stays so, unless it was delivered after all.
    """
    if tries:
        connection.execute(insert(tables.attempt), [one._asdict() for one in tries])
    if endings:
        connection.execute(_FINISH, [_ending(one) for one in endings])


def first_attempts(connection: Connection, ids: Collection[int]) -> dict[int, int]:
    """When each was attempted for the first time."""
    attempt = tables.attempt.c
    query = select(attempt.notification_id, func.min(attempt.at)).group_by(attempt.notification_id)
    return {
        notification_id: at
        for some in chunks(ids)
        for notification_id, at in connection.execute(query.where(attempt.notification_id.in_(some)))
    }


def fail_channel(connection: Connection, channel_id: int, now: int) -> int:
    """Give up all that waits on a channel and is not being attempted; how many."""
    waits = (_c.channel_id == channel_id, IS_PENDING, _c.lease_until.is_(None))
    values = {"status": Delivery.FAILED, "next_attempt_at": None, "finished_at": now}
    return connection.execute(update(_notification).where(*waits).values(values)).rowcount


def _ending(one: Ending) -> dict[str, Any]:
    return {
        "row": one.id,
        "lease": one.lease_until,
        "to": one.status,
        "next": one.next_attempt_at,
        "finished": one.finished_at,
    }

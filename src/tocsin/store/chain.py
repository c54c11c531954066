"""A monitor's pings, walked along their chain (newest first, in true order), and what a late one changes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import CTE, ColumnElement, Connection, Row, bindparam, literal_column, select, update

from tocsin.domain.monitor import Status
from tocsin.domain.ping import Flag
from tocsin.store import tables

_ping = tables.ping
_PIECE = 10


def links(columns: Iterable[ColumnElement[Any]], *conditions: ColumnElement[bool]) -> CTE:
    """A recursive query: the pings from the parameter `head` back in true order, at most `count` of them,
    numbered from 1 as `step`. It ends at the first that breaks a condition. `columns` are of `ping`, with
    prev_id and monitor_id."""
    first = select(*columns, literal_column("1").label("step")).where(_ping.c.id == bindparam("head"))
    found = first.where(*conditions).cte("links", recursive=True)
    is_next = (_ping.c.id == found.c.prev_id) & (_ping.c.monitor_id == found.c.monitor_id)
    older = select(*columns, found.c.step + 1).join(found, is_next)
    return found.union_all(older.where(found.c.step < bindparam("count"), *conditions))


_LINKS = links(_ping.c)
_WALK = select(_LINKS).order_by(_LINKS.c.step)


def walk(connection: Connection, head_id: int | None, count: int) -> list[Row[tuple[object, ...]]]:
    """Up to `count` pings from `head_id` on, newest first, with the columns of `ping`."""
    if head_id is None:
        return []
    return list(connection.execute(_WALK, {"head": head_id, "count": count}))


def last_at(connection: Connection, head_id: int | None, kind: tuple[int, int], oldest_at: int) -> int:
    """When the monitor's last ping of a kind (domain.ping.Kind, Flag.HEARTBEAT or 0) arrived, if that was
    not before `oldest_at`; else 0."""
    while head_id is not None:
        rows = walk(connection, head_id, _PIECE)
        for row in rows:
            if row.arrived_at < oldest_at:
                return 0
            if (row.kind, (row.flags or 0) & Flag.HEARTBEAT) == kind:
                return int(row.arrived_at)
        head_id = rows[-1].prev_id if rows else None
    return 0


def link(connection: Connection, newer_id: int, ping_id: int) -> None:
    """Put a ping that is about to be added behind the newer one."""
    connection.execute(update(_ping).where(_ping.c.id == newer_id).values(prev_id=ping_id))


def control_flip_at(connection: Connection, monitor_id: int) -> int | None:
    """When the monitor was last paused or resumed."""
    flip = tables.flip
    query = select(flip.c.at).where(flip.c.monitor_id == monitor_id)
    query = query.where((flip.c.new == Status.PAUSED) | (flip.c.old == Status.PAUSED))
    return connection.scalar(query.order_by(flip.c.id.desc()).limit(1))


def flips_from(connection: Connection, monitor_id: int, at: int) -> list[Row[tuple[object, ...]]]:
    """The monitor's flips at `at` or later, oldest first."""
    flip = tables.flip
    query = select(flip).where(flip.c.monitor_id == monitor_id, flip.c.at >= at)
    return list(connection.execute(query.order_by(flip.c.at, flip.c.id)))


def flip_before(connection: Connection, monitor_id: int, at: int) -> Row[tuple[object, ...]] | None:
    """The monitor's last flip before `at`."""
    flip = tables.flip
    query = select(flip).where(flip.c.monitor_id == monitor_id, flip.c.at < at)
    return connection.execute(query.order_by(flip.c.at.desc(), flip.c.id.desc()).limit(1)).first()


def set_duration(connection: Connection, ping_id: int, duration_ms: int | None) -> None:
    """Correct the run time of a stored end whose start, or earlier end, has come to light."""
    connection.execute(update(_ping).where(_ping.c.id == ping_id).values(duration_ms=duration_ms))


def was_told(connection: Connection, flip_id: int) -> bool:
    """Whether an attempt was made to tell anybody of the flip."""
    notification = tables.notification
    query = select(notification.c.id).where(notification.c.flip_id == flip_id)
    told = (notification.c.attempts > 0) | notification.c.lease_until.is_not(None)
    return connection.scalar(query.where(told).limit(1)) is not None


def remove_flip(connection: Connection, flip_id: int, now: int) -> None:
    """Take back a flip that nobody was told of, with its notifications."""
    notification = tables.notification
    connection.execute(
        update(notification)
        .where(notification.c.flip_id == flip_id)
        .values(status="withdrawn", next_attempt_at=None, finished_at=now)
    )
    connection.execute(tables.flip.delete().where(tables.flip.c.id == flip_id))

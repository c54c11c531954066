"""Old pings go, a small step at a time."""

from __future__ import annotations

from sqlalchemy import Connection, bindparam, delete, or_, select

from tocsin.store import tables
from tocsin.store.chunks import chunks
from tocsin.store.gather import Gathered

_ping, _state = tables.ping, tables.monitor_state
_STEP = Gathered(
    select(
        _ping.c.id,
        or_(
            _ping.c.arrived_at < bindparam("oldest_at"),
            _ping.c.number <= _state.c.ping_count - bindparam("keep"),
            _state.c.monitor_id.is_(None),
        ).label("is_old"),
    )
    .outerjoin(_state, _state.c.monitor_id == _ping.c.monitor_id)
    .where(_ping.c.id > bindparam("after"))
    .order_by(_ping.c.id)
    .limit(bindparam("limit"))
)


def find_old(
    connection: Connection, after: int, *, oldest_at: int, keep: int, limit: int
) -> tuple[list[int], int | None]:
    """Among the `limit` pings after the id `after`: those older than `oldest_at`, with `keep` newer ones of
    their monitor, or without a monitor. Returns their ids, and the last id looked at (None at the end)."""
    bounds = {"after": after, "oldest_at": oldest_at, "keep": keep, "limit": limit}
    rows = _STEP.rows(connection, bounds)
    return [ping_id for ping_id, is_old in rows if is_old], max((row[0] for row in rows), default=None)


def remove(connection: Connection, ids: list[int]) -> None:
    """Delete pings and their bodies. A chain that leads to one ends there."""
    for some in chunks(ids):
        connection.execute(delete(tables.ping_body).where(tables.ping_body.c.ping_id.in_(some)))
        connection.execute(delete(_ping).where(_ping.c.id.in_(some)))

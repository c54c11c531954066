"""A monitor's pings, read along their chain (docs/decisions/0003-pings-are-a-chain.md)."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import Connection, bindparam, func, literal, select

from tocsin.domain.record import PingView
from tocsin.store.chain import links
from tocsin.store.chunks import chunks
from tocsin.store.gather import Gathered
from tocsin.store.tables import monitor_state, ping, ping_body

_COLUMNS = [
    ping.c.id,
    ping.c.prev_id,
    ping.c.monitor_id,
    ping.c.arrived_at,
    ping.c.kind,
    ping.c.run_id,
    ping.c.exit_code,
    ping.c.duration_ms,
    ping.c.address,
    ping.c.user_agent,
    func.coalesce(ping.c.flags, 0).label("flags"),
]
_CHAIN = links(_COLUMNS, ping.c.arrived_at >= bindparam("oldest_at"))
_ALL = select(_CHAIN.c.step, *(_CHAIN.c[name] for name in PingView._fields)).order_by(_CHAIN.c.step)
_ALL = _ALL.limit(bindparam("limit")).offset(bindparam("offset"))
_IS_OF_KINDS = bindparam("kinds").op("&")(literal(1).op("<<")(_CHAIN.c.kind)) != 0
_LIST, _LIST_OF_KINDS = Gathered(_ALL, list), Gathered(_ALL.where(_IS_OF_KINDS), list)


def page(
    connection: Connection,
    start: int | None,
    *,
    limit: int,
    offset: int = 0,
    kinds: Collection[int] = (),
    oldest_at: int = 0,
    steps: int,
) -> list[PingView]:
    """The chain from the ping `start`, newest first. At most `steps` pings are looked at."""
    if start is None:
        return []
    bounds = {"head": start, "limit": limit, "offset": offset, "oldest_at": oldest_at}
    if kinds:
        bits = sum(1 << kind for kind in set(kinds))
        rows = _LIST_OF_KINDS.rows(connection, {**bounds, "count": steps, "kinds": bits})
    else:
        rows = _LIST.rows(connection, {**bounds, "count": min(steps, offset + limit)})
    return [PingView._make(row[1:]) for row in sorted(rows)]


def head(connection: Connection, monitor_id: int) -> int | None:
    """A monitor's newest ping."""
    query = select(monitor_state.c.last_ping_id).where(monitor_state.c.monitor_id == monitor_id)
    return connection.execute(query).scalar()


def before(connection: Connection, monitor_id: int, ping_id: int) -> int | None:
    """The ping that came before one of this monitor; None also where there is no such ping."""
    query = select(ping.c.prev_id).where(ping.c.id == ping_id, ping.c.monitor_id == monitor_id)
    return connection.execute(query).scalar()


def body(connection: Connection, monitor_id: int, ping_id: int, oldest_at: int) -> bytes | None:
    """What a ping carried, empty where it carried nothing; None where this monitor has no such ping since
    `oldest_at`."""
    query = (
        select(ping.c.id, ping_body.c.body)
        .join(ping_body, ping_body.c.ping_id == ping.c.id, isouter=True)
        .where(ping.c.id == ping_id, ping.c.monitor_id == monitor_id, ping.c.arrived_at >= oldest_at)
    )
    row = connection.execute(query).first()
    return None if row is None else bytes(row.body or b"")


def bodies(connection: Connection, monitor_id: int, ping_ids: Collection[int]) -> dict[int, bytes]:
    """What this monitor's pings of these ids carried; those that carried nothing are missing."""
    query = select(ping.c.id, ping_body.c.body).join(ping_body, ping_body.c.ping_id == ping.c.id)
    found: dict[int, bytes] = {}
    for some in chunks(ping_ids):
        rows = connection.execute(query.where(ping.c.id.in_(some), ping.c.monitor_id == monitor_id))
        found |= {row.id: bytes(row.body) for row in rows}
    return found

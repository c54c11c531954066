"""What a late ping needs of the store besides the chain: the flip before it, and a run time to correct."""

from __future__ import annotations

from sqlalchemy import Connection, Row, select, update

from tocsin.store import tables


def flip_before(connection: Connection, monitor_id: int, at: int) -> Row[tuple[object, ...]] | None:
    """The monitor's last flip before `at`."""
    flip = tables.flip
    query = select(flip).where(flip.c.monitor_id == monitor_id, flip.c.at < at)
    return connection.execute(query.order_by(flip.c.at.desc(), flip.c.id.desc()).limit(1)).first()


def set_duration(connection: Connection, ping_id: int, duration_ms: int | None) -> None:
    """Correct the run time of a stored end whose start, or earlier end, has come to light."""
    ping = tables.ping
    connection.execute(update(ping).where(ping.c.id == ping_id).values(duration_ms=duration_ms))

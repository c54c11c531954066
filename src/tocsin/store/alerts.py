"""Rows that alerts are made from: flips written, and monitors, downs and pings read, a batch at a time."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, Select, func, insert, literal, select, update

from tocsin.domain.alert import PingLine
from tocsin.domain.monitor import Status
from tocsin.domain.ping import Kind, word
from tocsin.store import tables
from tocsin.store.chunks import chunks

PINGS_SHOWN = 5
_WORDS = {int(kind): word(kind) for kind in Kind}


class Watched(NamedTuple):
    """What an alert says of a monitor, and what decides who is told."""

    id: int
    uid: str
    project_id: int
    name: str
    slug: str
    tags: str
    longest_run_seconds: int | None
    shortest_run_seconds: int | None
    channel_ids: str
    fan_out: bool
    mail_channel_id: int | None
    webhook_channel_id: int | None


class Down(NamedTuple):
    """A flip to down: its row and its time."""

    flip_id: int
    at: int


def add_flips(connection: Connection, rows: Sequence[Mapping[str, Any]]) -> list[int]:
    """Append rows of `flip`; their ids, in the same order."""
    flip = tables.flip
    key = (flip.c.monitor_id, flip.c.at, flip.c.new)
    # Asking the database for ids in the order of the rows would have it insert one row at a time.
    added = connection.execute(insert(flip).returning(flip.c.id, *key), rows)
    ids = {tuple(one): flip_id for flip_id, *one in added}
    return [ids[row["monitor_id"], row["at"], row["new"]] for row in rows]


def read_watched(connection: Connection, monitor_ids: Collection[int]) -> dict[int, Watched]:
    """The monitors among these that are not deleted, by id."""
    monitor = tables.monitor.c
    query = select(*(monitor[name] for name in Watched._fields)).where(monitor.deleted_at.is_(None))
    found = (
        Watched(*row)
        for some in chunks(monitor_ids)
        for row in connection.execute(query.where(monitor.id.in_(some)))
    )
    return {one.id: one for one in found}


def last_downs(connection: Connection, monitor_ids: Collection[int]) -> dict[int, Down]:
    """The newest flip of each monitor, where that is one to down."""
    flip = tables.flip
    found = {}
    for some in chunks(monitor_ids):
        # By time, then by id: a late ping may write a flip that was before one that is known.
        place = func.row_number().over(
            partition_by=flip.c.monitor_id, order_by=(flip.c.at.desc(), flip.c.id.desc())
        )
        columns = (flip.c.monitor_id, flip.c.id, flip.c.at, flip.c.new, place.label("place"))
        placed = select(*columns).where(flip.c.monitor_id.in_(some)).subquery()
        query = select(placed.c.monitor_id, placed.c.id, placed.c.at)
        query = query.where(placed.c.place == 1, placed.c.new == Status.DOWN)
        found.update({monitor_id: Down(flip_id, at) for monitor_id, flip_id, at in connection.execute(query)})
    return found


def recent_pings(connection: Connection, monitor_ids: Collection[int]) -> dict[int, list[PingLine]]:
    """The last pings of each monitor, newest first, read along the chain."""
    found: dict[int, list[PingLine]] = {}
    for some in chunks(monitor_ids):
        for row in connection.execute(_chain(some)):
            line = PingLine(row.arrived_at, _WORDS[row.kind], row.exit_code, row.duration_ms)
            found.setdefault(row.monitor_id, []).append(line)
    return found


def note_alerts(connection: Connection, monitor_ids: Iterable[int], now: int) -> None:
    """Keep when each monitor last gave an alert."""
    state = tables.monitor_state
    for some in chunks(set(monitor_ids)):
        connection.execute(update(state).where(state.c.monitor_id.in_(some)).values(last_alert_at=now))


def _chain(monitor_ids: Collection[int]) -> Select[Any]:
    """One ping after another from the head, at most PINGS_SHOWN for each monitor."""
    state, ping = tables.monitor_state.c, tables.ping
    fields = (ping.c.prev_id, ping.c.arrived_at, ping.c.kind, ping.c.exit_code, ping.c.duration_ms)
    head = (
        select(state.monitor_id, *fields, literal(1).label("place"))
        .join(ping, ping.c.id == state.last_ping_id)
        .where(state.monitor_id.in_(monitor_ids))
        .cte("chain", recursive=True)
    )
    before = ping.alias("before")
    chain = head.union_all(
        select(head.c.monitor_id, *(before.c[field.name] for field in fields), head.c.place + 1)
        .join(before, before.c.id == head.c.prev_id)
        .where(head.c.place < PINGS_SHOWN)
    )
    return select(chain).order_by(chain.c.monitor_id, chain.c.place)

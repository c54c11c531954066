"""Rows that alerts are made from: flips written, and monitors, downs and pings read, a batch at a time."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

from msgspec import Struct
from sqlalchemy import Connection, Select, func, insert, literal, select, update

from tocsin.domain.alert import PingLine
from tocsin.domain.monitor import Status
from tocsin.domain.ping import Kind, word
from tocsin.store import tables
from tocsin.store.chunks import Addition, Among, chunks, json_of
from tocsin.store.prepared import driver

PINGS_SHOWN = 5
_WORDS = {int(kind): word(kind) for kind in Kind}


class Watched(Struct, frozen=True, array_like=True, gc=False):
    """What an alert says of a monitor, and what decides who is told. The fields are columns of `monitor`;
    `fan_out` may be 1 or 0, as databases have it."""

    id: int
    uid: str
    project_id: int
    name: str
    slug: str
    tags: str
    longest_run_seconds: int | None
    shortest_run_seconds: int | None
    channel_ids: str
    fan_out: bool | int
    mail_channel_id: int | None
    webhook_channel_id: int | None


class Down(NamedTuple):
    """A flip to down: its row and its time."""

    flip_id: int
    at: int


class FlipRow(NamedTuple):
    """A row of `flip`, but for its id. Words, not members: sqlite3 binds a plain str at once."""

    project_id: int
    monitor_id: int
    at: int
    old: str
    new: str
    reason: str
    announced: bool
    detail: str | None
    created_at: int


class _LastFlip(Struct, array_like=True, gc=False):
    monitor_id: int
    id: int
    at: int
    new: str


class _Ping(Struct, array_like=True, gc=False):
    monitor_id: int
    place: int
    arrived_at: int
    kind: int
    exit_code: int | None
    duration_ms: int | None


def _watched(ids: Any) -> Select[*tuple[Any, ...]]:
    monitor = tables.monitor.c
    query = select(*(monitor[name] for name in Watched.__struct_fields__))
    return query.where(monitor.id.in_(ids), monitor.deleted_at.is_(None))


def _last_flips(ids: Any) -> Select[*tuple[Any, ...]]:
    """The newest flip of each monitor. By time, then by id: a late ping may write a flip that was before one
    that is known."""
    flip = tables.flip.c
    place = func.row_number().over(partition_by=flip.monitor_id, order_by=(flip.at.desc(), flip.id.desc()))
    columns = [flip[name] for name in _LastFlip.__struct_fields__]
    placed = select(*columns, place.label("place")).where(flip.monitor_id.in_(ids)).subquery()
    return select(*(placed.c[column.name] for column in columns)).where(placed.c.place == 1)


def _chain(ids: Any) -> Select[*tuple[Any, ...]]:
    """One ping after another from the head, at most PINGS_SHOWN for each monitor."""
    state, ping = tables.monitor_state.c, tables.ping
    fields = (ping.c.arrived_at, ping.c.kind, ping.c.exit_code, ping.c.duration_ms, ping.c.prev_id)
    head = (
        select(state.monitor_id, literal(1).label("place"), *fields)
        .join(ping, ping.c.id == state.last_ping_id)
        .where(state.monitor_id.in_(ids))
        .cte("chain", recursive=True)
    )
    before = ping.alias("before")
    chain = head.union_all(
        select(head.c.monitor_id, head.c.place + 1, *(before.c[field.name] for field in fields))
        .join(before, before.c.id == head.c.prev_id)
        .where(head.c.place < PINGS_SHOWN)
    )
    return select(*(chain.c[name] for name in _Ping.__struct_fields__))


_FLIPS = Addition(tables.flip, FlipRow._fields)
_WATCHED = Among(_watched, Watched)
_LAST_FLIPS = Among(_last_flips, _LastFlip)
_PINGS = Among(_chain, _Ping)
_NOTE = "UPDATE monitor_state SET last_alert_at = ? WHERE monitor_id IN (SELECT value FROM json_each(?))"


def add_flips(connection: Connection, rows: Sequence[FlipRow]) -> list[int]:
    """Append rows of `flip`; their ids, in the same order."""
    if connection.dialect.name == "sqlite":
        _FLIPS.add(connection, rows)
        # AUTOINCREMENT counts one by one, and there is one writer.
        [last] = driver(connection).execute("SELECT last_insert_rowid()").fetchone()
        return list(range(last - len(rows) + 1, last + 1))
    flip = tables.flip
    key = (flip.c.monitor_id, flip.c.at, flip.c.new)
    # Asking the database for ids in the order of the rows would have it insert one row at a time.
    added = connection.execute(insert(flip).returning(flip.c.id, *key), [row._asdict() for row in rows])
    ids = {tuple(one): flip_id for flip_id, *one in added}
    return [ids[row.monitor_id, row.at, row.new] for row in rows]


def read_watched(connection: Connection, monitor_ids: Collection[int]) -> dict[int, Watched]:
    """The monitors among these that are not deleted, by id."""
    return {one.id: one for one in _WATCHED.rows(connection, monitor_ids)}


def last_downs(connection: Connection, monitor_ids: Collection[int]) -> dict[int, Down]:
    """The newest flip of each monitor, where that is one to down."""
    flips = _LAST_FLIPS.rows(connection, monitor_ids)
    return {flip.monitor_id: Down(flip.id, flip.at) for flip in flips if flip.new == Status.DOWN}


def recent_pings(connection: Connection, monitor_ids: Collection[int]) -> dict[int, list[PingLine]]:
    """The last pings of each monitor, newest first, read along the chain."""
    found: dict[int, list[PingLine]] = {}
    for ping in sorted(_PINGS.rows(connection, monitor_ids), key=lambda ping: ping.place):
        line = PingLine(ping.arrived_at, _WORDS[ping.kind], ping.exit_code, ping.duration_ms)
        found.setdefault(ping.monitor_id, []).append(line)
    return found


def note_alerts(connection: Connection, monitor_ids: Collection[int], now: int) -> None:
    """Keep when each monitor last gave an alert."""
    if connection.dialect.name == "sqlite":
        driver(connection).execute(_NOTE, (now, json_of(monitor_ids)))
        return
    state = tables.monitor_state
    for some in chunks(monitor_ids):
        connection.execute(update(state).where(state.c.monitor_id.in_(some)).values(last_alert_at=now))

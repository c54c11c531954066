"""The batch paths on SQLite.

Each statement takes or gives a whole batch: the interpreter lock is let go once a statement and not once
a row, so that the writer's work runs beside the event loop instead of fighting it for every row.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache

import orjson
from msgspec import Struct, json
from msgspec.structs import astuple
from sqlalchemy import Connection, Table
from typing_extensions import override

from tocsin.domain.monitor import Policy, Reason, State, Status
from tocsin.domain.schedule import parse_schedule
from tocsin.domain.transition import next_event_at
from tocsin.store import tables
from tocsin.store.chunks import Addition, json_of
from tocsin.store.database import Hot, StoredPing, Tracked
from tocsin.store.prepared import Row, driver

ID_BLOCK = 1_000_000
LAST_ID = "ping_ids_reserved"

STATE = State.__struct_fields__
POLICY = (
    "schedule_kind",
    "schedule_expression",
    "timezone",
    "grace_seconds",
    "longest_run_seconds",
    "shortest_run_seconds",
    "failures_before_alert",
    "successes_before_recovery",
    "reminder_seconds",
)
PING = tuple(column.name for column in tables.ping.columns)

# Words, not members: sqlite3 binds a plain str at once, and looks for an adapter for anything else.
_STATUS_WORD = {status: status.value for status in Status}
_REASON_WORD: dict[Reason | None, str | None] = {None: None, **{reason: reason.value for reason in Reason}}


def _columns(alias: str, names: Iterable[str]) -> str:
    return ", ".join(f"{alias}.{name}" for name in names)


_POLICY = f"json_array({_columns('m', POLICY)})"
_STATE = f"json_array({_columns('s', STATE)})".replace("s.runs", "json(ifnull(s.runs, '[]'))")
_STORED = f"m.id, m.project_id, {{dialect}}, m.uid, m.name, {_POLICY}, {_STATE}, s.look_at, s.last_ping_id"

_FIND = (
    f"SELECT json_group_array(json_array({_STORED.format(dialect='t.dialect')}, t.token))"
    " FROM json_each(?) AS j CROSS JOIN token AS t ON t.token = j.value"
    " CROSS JOIN monitor_state AS s ON s.monitor_id = t.monitor_id"
    " CROSS JOIN monitor AS m ON m.id = t.monitor_id"
)
_LOAD = (
    f"SELECT json_group_array(json_array({_STORED.format(dialect='m.dialect')}))"
    " FROM json_each(?) AS j CROSS JOIN monitor_state AS s ON s.monitor_id = j.value"
    " CROSS JOIN monitor AS m ON m.id = s.monitor_id AND m.deleted_at IS NULL"
)
_OVERDUE = (
    "SELECT json_group_array(monitor_id)"
    " FROM (SELECT monitor_id FROM watch WHERE look_at < ? ORDER BY look_at LIMIT ?)"
)


def _upsert(table: Table, columns: Sequence[str]) -> Addition:
    changes = ", ".join(f"{name} = excluded.{name}" for name in columns[1:])
    return Addition(table, columns, f" ON CONFLICT ({columns[0]}) DO UPDATE SET {changes}")


_PINGS = Addition(tables.ping, PING)
_BODIES = Addition(tables.ping_body, ("ping_id", "body"))
_STATES = _upsert(tables.monitor_state, ("monitor_id", *STATE, "look_at", "last_ping_id"))
_LOOKS = _upsert(tables.watch, ("monitor_id", "look_at"))


class _Stored(Struct, array_like=True, gc=False):
    """A row of `_FIND` and `_LOAD`; only the first has a token."""

    monitor_id: int
    project_id: int
    dialect: str
    uid: str
    name: str
    policy: tuple[str, str, str, int, int | None, int | None, int, int, int | None]
    state: State
    look_at: int | None
    last_ping_id: int | None
    token: str = ""


_DECODER = json.Decoder(list[_Stored])


class SqliteHot(Hot):
    """`store.database.Hot` on SQLite; used with the one connection that writes."""

    def __init__(self) -> None:
        self._next_id = 0
        self._reserved = 0

    def forget(self) -> None:
        """A transaction was rolled back: what it may have reserved is not written down."""
        self._reserved = 0

    @override
    def find(self, connection: Connection, tokens: Iterable[str]) -> dict[str, Tracked]:
        rows = _DECODER.decode(_text(connection, _FIND, orjson.dumps(list(tokens)).decode()))
        return {row.token: _tracked(row) for row in rows}

    @override
    def load(self, connection: Connection, monitor_ids: Iterable[int]) -> list[Tracked]:
        rows = _DECODER.decode(_text(connection, _LOAD, json_of(monitor_ids)))
        return [_tracked(row) for row in rows]

    @override
    def overdue(self, connection: Connection, now: int, limit: int) -> list[Tracked]:
        monitor_ids: list[int] = orjson.loads(_text(connection, _OVERDUE, now, limit))
        found = self.load(connection, monitor_ids)
        if len(found) < len(monitor_ids):
            self._forget_watch(connection, set(monitor_ids) - {tracked.monitor_id for tracked in found})
        return found

    @override
    def next_look_at(self, connection: Connection) -> int | None:
        row = driver(connection).execute("SELECT min(look_at) FROM watch").fetchone()
        return row[0] if row else None

    @override
    def reserve_ping_ids(self, connection: Connection, count: int) -> int:
        if self._next_id + count > self._reserved:
            self._reserve_block(connection, count)
        first = self._next_id
        self._next_id += count
        return first

    @override
    def add_pings(
        self, connection: Connection, pings: Sequence[StoredPing], bodies: Sequence[tuple[int, bytes]]
    ) -> None:
        _PINGS.add(connection, pings)
        if bodies:
            _BODIES.add(connection, bodies)

    @override
    def save(self, connection: Connection, tracked: Sequence[Tracked]) -> int | None:
        earlier = []
        rows = []
        for one in tracked:
            look_at = one.look_at
            event_at = next_event_at(one.state)
            if event_at is not None and (look_at is None or event_at < look_at):
                look_at = event_at
                earlier.append((one.monitor_id, event_at))
            rows.append(_state_row(one, look_at))
        _STATES.add(connection, rows)
        _LOOKS.add(connection, earlier)
        return min((look_at for _, look_at in earlier), default=None)

    @override
    def save_look(self, connection: Connection, tracked: Sequence[Tracked]) -> None:
        looks = [(one.monitor_id, next_event_at(one.state)) for one in tracked]
        rows = [_state_row(one, look_at) for one, (_, look_at) in zip(tracked, looks, strict=True)]
        _STATES.add(connection, rows)
        _LOOKS.add(connection, [look for look in looks if look[1] is not None])
        self._forget_watch(connection, [monitor_id for monitor_id, look_at in looks if look_at is None])

    def _forget_watch(self, connection: Connection, monitor_ids: Iterable[int]) -> None:
        driver(connection).execute(
            "DELETE FROM watch WHERE monitor_id IN (SELECT value FROM json_each(?))",
            (json_of(monitor_ids),),
        )

    def _reserve_block(self, connection: Connection, count: int) -> None:
        """Ids are given out in blocks that are noted down first: none is given twice, though the newest
        pings may have been deleted."""
        raw = driver(connection)
        if not self._reserved:
            row = raw.execute("SELECT value FROM meta WHERE name = ?", (LAST_ID,)).fetchone()
            self._next_id = int(row[0]) + 1 if row else 1
        self._reserved = self._next_id + max(count, ID_BLOCK)
        raw.execute(
            "INSERT INTO meta (name, value) VALUES (?, ?)"
            " ON CONFLICT (name) DO UPDATE SET value = excluded.value",
            (LAST_ID, str(self._reserved)),
        )


def _text(connection: Connection, sql: str, *parameters: object) -> str:
    text: str = driver(connection).execute(sql, parameters).fetchone()[0]
    return text


@lru_cache(maxsize=20_000)
def _policy(kind: str, expression: str, timezone: str, *limits: int | None) -> Policy:
    return Policy(parse_schedule(kind, expression, timezone), *limits)  # type: ignore[arg-type]


def _tracked(row: _Stored) -> Tracked:
    return Tracked(
        row.monitor_id,
        row.project_id,
        row.dialect,
        row.uid,
        row.name,
        _policy(*row.policy),
        row.state,
        row.look_at,
        row.last_ping_id,
    )


def _state_row(one: Tracked, look_at: int | None) -> Row:
    state = one.state
    values = astuple(state)
    return (
        one.monitor_id,
        _STATUS_WORD[state.status],
        state.version,
        _REASON_WORD[state.reason],
        *values[3:11],
        json.encode(state.runs).decode() if state.runs else None,
        *values[12:],
        look_at,
        one.last_ping_id,
    )

"""Monitors by the million, and what is read from the database beside the server.

A monitor that was made through an API is copied by SQL while the server is stopped: as many as are wanted,
each with its own id, token and deadline.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path

from benchmarks.processes import Server, call
from tocsin.domain.monitor import SECOND
from tocsin.store import tables

QUIET = {"name": "nightly backup", "mail": "none", "fan_out": False}
CHUNK = 100_000
DAY = 86_400 * SECOND
CACHE_KB = 512 * 1024
# Like the native and cronpeek's: hex digits of this length.
TOKEN_BYTES = {"tocsin": 12, "cronpeek": 16}
# A day's monitors that were heard within the last day, and are expected within the next.
STATE = {
    "status": "'up'",
    "reason": "'ping'",
    "since_at": ":now",
    "last_ping_at": "due_at - :day",
    "last_kind": "3",
    "last_success_at": "due_at - :day",
    "due_at": "due_at",
    "deadline_at": "due_at + 3600 * 1000000",
    "look_at": "due_at + 3600 * 1000000",
    "successes": "1",
}


def database(data: Path) -> Path:
    """Where the server keeps it."""
    return data / "tocsin.db"


@contextmanager
def reading(data: Path) -> Iterator[sqlite3.Connection]:
    """A connection that only reads, beside the running server."""
    with closing(sqlite3.connect(f"file:{database(data)}?mode=ro", uri=True, timeout=30)) as connection:
        yield connection


def populate(data: Path, count: int, settings: Mapping[str, str], monitor: Mapping[str, object]) -> None:
    """A new data folder with that many monitors like this one, made through the native API."""
    with Server(data, settings) as server:
        key = server.make_key("tocsin", "benchmark")
        made = call("POST", f"{server.url}/api/tocsin/v1/monitors", key, {**QUIET, **monitor})
    copy_monitor(data, made["id"], count)


def copy_monitor(data: Path, uid_prefix: str, count: int) -> None:
    """Copy the monitor whose uid starts so until its project has `count` monitors; the server is stopped.

    The ledger is emptied: the time in between is no outage.
    """
    with _writing(data) as connection:
        query = "SELECT id, project_id, dialect FROM monitor WHERE uid LIKE ? || '%'"
        template, project_id, dialect = connection.execute(query, (uid_prefix,)).fetchone()
        [have] = connection.execute(
            "SELECT count(*) FROM monitor WHERE project_id = ?", (project_id,)
        ).fetchone()
        for at in range(have, count, CHUNK):
            _copy(connection, template, dialect, min(CHUNK, count - at))
        connection.execute("UPDATE project SET monitor_count = ? WHERE id = ?", (count, project_id))


def make_due(data: Path, monitor_ids: list[int], first_at: int, step: int) -> None:
    """Give the monitors deadlines, one every `step` microseconds from `first_at`; the server is stopped."""
    rows = [(first_at + number * step, each) for number, each in enumerate(monitor_ids)]
    with _writing(data) as connection:
        connection.executemany(
            "UPDATE monitor_state SET due_at = ?1 - 60000000, deadline_at = ?1, look_at = ?1"
            " WHERE monitor_id = ?2",
            rows,
        )
        connection.executemany("UPDATE watch SET look_at = ? WHERE monitor_id = ?", rows)


def write_tokens(data: Path, dialect: str, path: Path) -> None:
    """The tokens of all monitors that are up, one a line."""
    query = (
        "SELECT t.token FROM token AS t JOIN monitor_state AS s ON s.monitor_id = t.monitor_id"
        " WHERE t.dialect = ? AND s.status = 'up'"
    )
    with reading(data) as connection, path.open("w", encoding="ascii") as file:
        file.writelines(f"{token}\n" for (token,) in connection.execute(query, (dialect,)))


def stored_pings(data: Path) -> int:
    """How many pings were ever stored, once the number stands still."""
    with reading(data) as connection:
        before, now = -1, 0
        while before != now:
            before = now
            time.sleep(0.3)
            [now] = connection.execute("SELECT total(ping_count) FROM monitor_state").fetchone()
        return int(now)


def pings_left(data: Path) -> int:
    """How many pings have not been pruned."""
    with reading(data) as connection:
        return int(connection.execute("SELECT count(*) FROM ping").fetchone()[0])


def used_bytes(data: Path) -> int:
    """Size of all pages in use."""
    with reading(data) as connection:
        [pages], [free], [size] = (
            connection.execute(f"PRAGMA {name}").fetchone()
            for name in ("page_count", "freelist_count", "page_size")
        )
        return int((pages - free) * size)


@contextmanager
def _writing(data: Path) -> Iterator[sqlite3.Connection]:
    """A connection that need not be durable, in one transaction."""
    with closing(sqlite3.connect(database(data), isolation_level=None)) as connection:
        connection.execute(f"PRAGMA cache_size = -{CACHE_KB}")
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute("BEGIN IMMEDIATE")
        yield connection
        connection.execute("DELETE FROM process")
        connection.execute("DELETE FROM gap")
        connection.execute("COMMIT")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _copy(connection: sqlite3.Connection, template: int, dialect: str, count: int) -> None:
    """Copies of one monitor, with ids above all others."""
    [last] = connection.execute("SELECT max(id) FROM monitor").fetchone()
    connection.execute("CREATE TEMP TABLE fresh (id INTEGER PRIMARY KEY, due_at INTEGER)")
    connection.execute(
        "INSERT INTO fresh WITH RECURSIVE"
        " n (id) AS (SELECT :last + 1 UNION ALL SELECT id + 1 FROM n LIMIT :count)"
        " SELECT id, :now + abs(random()) % :day FROM n",
        {"last": last, "count": count, "now": time.time_ns() // 1_000, "day": DAY},
    )
    own = {
        "id": "fresh.id",
        "uid": "lower(hex(randomblob(16)))",
        "badge_key": "lower(hex(randomblob(12)))",
        "name": "'job ' || fresh.id",
        "schedule_kind": "'interval'",
        "schedule_expression": "'86400'",
        "grace_seconds": "3600",
        "unique_key": "NULL",
    }
    columns = [column.name for column in tables.monitor.columns]
    values = ", ".join(own.get(name, f"m.{name}") for name in columns)
    connection.execute(
        f"INSERT INTO monitor ({', '.join(columns)}) SELECT {values} FROM fresh, monitor AS m WHERE m.id = ?",
        (template,),
    )
    connection.execute(
        "INSERT INTO token (token, monitor_id, dialect)"
        " SELECT lower(hex(randomblob(:size))), id, :dialect FROM fresh",
        {"size": TOKEN_BYTES[dialect], "dialect": dialect},
    )
    connection.execute(
        f"INSERT INTO monitor_state (monitor_id, {', '.join(STATE)})"
        f" SELECT id, {', '.join(STATE.values())} FROM fresh",
        {"now": time.time_ns() // 1_000, "day": DAY},
    )
    connection.execute(
        "INSERT INTO watch (monitor_id, look_at) SELECT id, due_at + 3600 * 1000000 FROM fresh"
    )
    connection.execute("DROP TABLE fresh")

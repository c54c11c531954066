"""Who asked how often, counted for all processes of a machine: a storage for the library `limits`.

A small SQLite file of its own, beside the database: counts may be lost, pings may not, so nothing here waits
for the disk (docs/decisions/0010-shared-rate-limits.md). A moving window holds one row for each second in
which its caller asked; a fixed one holds one row, and begins at a multiple of its length in UTC.
"""

from __future__ import annotations

import contextlib
import os
import random
import sqlite3
import threading
import time
from collections.abc import Generator, Mapping, Sequence
from functools import lru_cache
from hashlib import blake2b
from pathlib import Path

from limits.errors import StorageError
from limits.storage import MovingWindowSupport, Storage
from typing_extensions import override

# About a million rows. Whoever asks from ever new addresses must not fill the disk: at this size everything
# is forgotten, which harms nobody.
MOST_PAGES = 16_384
SWEEP_EVERY, SWEEP_ROWS = 64, 256  # transactions; each adds two rows at most, so more go than come
PATIENCE_SECONDS = 0.25
PAUSE_SECONDS = 0.000_2
LONGEST_WINDOW_SECONDS = 86_400

_BUSY = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}
# With these the file is thrown away: it is no database of ours, or there is no room in it.
_HOPELESS = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR, sqlite3.SQLITE_FULL}

_TUNING = (
    # In memory, the file has no companions that could be lost without it; what a killed process leaves half
    # written is noticed, and thrown away.
    "PRAGMA journal_mode = MEMORY",
    "PRAGMA synchronous = OFF",
    "PRAGMA temp_store = MEMORY",
)
_SCHEMA = (
    """CREATE TABLE IF NOT EXISTS hit (
        key INTEGER NOT NULL, at INTEGER NOT NULL, until INTEGER NOT NULL, count INTEGER NOT NULL,
        PRIMARY KEY (key, at)
    ) WITHOUT ROWID""",
    "CREATE INDEX IF NOT EXISTS hit_until ON hit (until)",
)
_ADD = """INSERT INTO hit (key, at, until, count) VALUES (?, ?, ?, ?)
    ON CONFLICT (key, at) DO UPDATE SET count = count + excluded.count RETURNING count"""
_ADD_IF_ROOM = """INSERT INTO hit (key, at, until, count)
    SELECT :key, :second, :second + :expiry, :amount
    WHERE :amount + (
        SELECT coalesce(sum(count), 0) FROM hit
        WHERE key = :key AND at > :second - :expiry AND at <= :second + :expiry
    ) <= :limit
    ON CONFLICT (key, at) DO UPDATE SET count = count + excluded.count RETURNING count"""
# A clock that was set back leaves rows ahead of it; those that a window cannot hold do not count.
_MOVING = "SELECT min(at), coalesce(sum(count), 0) FROM hit WHERE key = ? AND at > ? AND at <= ?"
_FIXED = "SELECT count, until FROM hit WHERE key = ? AND at <= ? AND until > ?"
_SWEEP = """DELETE FROM hit WHERE (key, at) IN (
    SELECT key, at FROM hit WHERE until <= ? OR until > ? LIMIT ?)"""


class Tally(Storage, MovingWindowSupport):
    """Counts in a file, or in memory without one. Everything is asked inside `at`.

    `patience_seconds`: how long it waits for another process that counts.
    """

    STORAGE_SCHEME = None

    def __init__(
        self,
        path: Path | None = None,
        patience_seconds: float = PATIENCE_SECONDS,
        most_pages: int = MOST_PAGES,
    ) -> None:
        super().__init__()
        self._path = path
        self._most_pages = most_pages
        self._patience_seconds = patience_seconds
        self._connection: sqlite3.Connection | None = None
        self._file: tuple[int, int] | None = None
        self._lock = threading.Lock()
        self._second = 0
        self._looked_at = 0
        self._until_sweep = SWEEP_EVERY

    @property
    @override
    def base_exceptions(self) -> type[Exception]:
        """What may go wrong inside `at`."""
        return sqlite3.Error

    @contextlib.contextmanager
    def at(self, second: int) -> Generator[None, None, None]:
        """Look and count at this Unix second; nobody else's counting comes between.

        Raises StorageError where the file cannot be used just now; then nothing is counted.
        """
        with self._lock:
            self._second = second
            try:
                connection = self._open()
                self._run(connection, "BEGIN EXCLUSIVE")
                try:
                    yield
                    self._sweep(connection)
                    connection.execute("COMMIT")
                finally:
                    if connection.in_transaction:
                        connection.execute("ROLLBACK")
            except (sqlite3.Error, OSError) as error:
                self._mend(error)
                raise StorageError(error) from error

    def close(self) -> None:
        """Close the file."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def __del__(self) -> None:
        self.close()

    @override
    def acquire_entry(self, key: str, limit: int, expiry: int, amount: int = 1) -> bool:
        """Count `amount` in the window of the last `expiry` seconds, if there is room for it."""
        values = {"key": _number(key), "second": self._second, "expiry": expiry}
        return self._row(_ADD_IF_ROOM, {**values, "amount": amount, "limit": limit}) is not None

    @override
    def get_moving_window(self, key: str, limit: int, expiry: int) -> tuple[float, int]:
        """The first second of the window in which somebody asked (now, if nobody did), and how often."""
        second = self._second
        start, count = self._row(_MOVING, (_number(key), second - expiry, second + expiry)) or (None, 0)
        return second if start is None else start, count

    @override
    def incr(self, key: str, expiry: int, amount: int = 1) -> int:
        """Count `amount` in the present window of `expiry` seconds; what the count is then."""
        start = self._second - self._second % expiry
        row = self._row(_ADD, (_number(key), start, start + expiry, amount))
        return row[0] if row else 0

    @override
    def get(self, key: str) -> int:
        """The count of the present window."""
        row = self._row(_FIXED, (_number(key), self._second, self._second))
        return row[0] if row else 0

    @override
    def get_expiry(self, key: str) -> float:
        """When the present window ends; now, if nothing was counted in it."""
        row = self._row(_FIXED, (_number(key), self._second, self._second))
        return row[1] if row else self._second

    @override
    def check(self) -> bool:
        """Whether the counts can be read and written."""
        try:
            with self.at(self._second):
                return True
        except StorageError:
            return False

    @override
    def reset(self) -> int:
        """Forget everything; how many rows that were."""
        return self._open().execute("DELETE FROM hit WHERE true").rowcount

    @override
    def clear(self, key: str) -> None:
        """Forget one key's counts."""
        self._open().execute("DELETE FROM hit WHERE key = ?", (_number(key),))

    def _row(self, statement: str, values: Sequence[int] | Mapping[str, int]) -> tuple[int, ...] | None:
        row: tuple[int, ...] | None = self._open().execute(statement, values).fetchone()
        return row

    def _sweep(self, connection: sqlite3.Connection) -> None:
        """Now and then, remove a few of the rows whose time is over (or, after the clock was set back, has
        not come for long)."""
        self._until_sweep -= 1
        if self._until_sweep == 0:
            self._until_sweep = SWEEP_EVERY
            beyond = self._second + 2 * LONGEST_WINDOW_SECONDS
            connection.execute(_SWEEP, (self._second, beyond, SWEEP_ROWS))

    def _open(self) -> sqlite3.Connection:
        if self._connection is None or self._is_replaced():
            self.close()
            self._connection = self._connect()
        return self._connection

    def _connect(self) -> sqlite3.Connection:
        if self._path is not None:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        connection = sqlite3.connect(
            self._path or ":memory:", timeout=0, isolation_level=None, check_same_thread=False
        )
        self._file = None if self._path is None else _identity(self._path)
        try:
            bound = f"PRAGMA max_page_count = {self._most_pages}"
            for statement in (*_TUNING, bound, "BEGIN EXCLUSIVE", *_SCHEMA, "COMMIT"):
                self._run(connection, statement)
        except sqlite3.Error:
            connection.close()
            raise
        return connection

    def _run(self, connection: sqlite3.Connection, statement: str) -> None:
        """Run what may have to wait for another process. SQLite's own way of waiting sleeps whole
        milliseconds, and others overtake meanwhile."""
        give_up_at = 0.0
        while True:
            try:
                connection.execute(statement)
                return
            except sqlite3.OperationalError as error:
                now = time.monotonic()
                give_up_at = give_up_at or now + self._patience_seconds
                if _code(error) not in _BUSY or now > give_up_at:
                    raise
            time.sleep(random.random() * PAUSE_SECONDS)  # noqa: S311 - so that waiters do not march in step

    def _is_replaced(self) -> bool:
        """Whether somebody has taken the file away; looked at once a second."""
        if self._path is None or self._looked_at == self._second:
            return False
        self._looked_at = self._second
        return _identity(self._path) != self._file

    def _mend(self, error: Exception) -> None:
        """After trouble, begin anew the next time; with a new file, if this one is hopeless."""
        code = _code(error)
        if code in _BUSY:
            return
        self.close()
        # Another process may have thrown the hopeless file away already, and begun a new one.
        if code in _HOPELESS and self._path is not None and _identity(self._path) == self._file:
            with contextlib.suppress(OSError):
                self._path.unlink()


@lru_cache(maxsize=16)  # the same key is asked for several times in a row
def _number(key: str) -> int:
    """A key as 64 bits: short, and no secret can be read from it."""
    return int.from_bytes(blake2b(key.encode(), digest_size=8).digest(), "little", signed=True)


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        status = os.stat(path)  # noqa: PTH116 - pathlib takes four times as long
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _code(error: Exception) -> int:
    """SQLite's primary result code; 0 where the error is not SQLite's."""
    code: int = getattr(error, "sqlite_errorcode", 0)
    return code & 0xFF

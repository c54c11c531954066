"""SQLite in use: one connection that writes, a few that read, and a checkpointer off the commit path.

Threads have what takes its time; what is short stays on the event loop
(docs/decisions/0012-short-work-on-the-event-loop.md).

WAL with synchronous=FULL: a commit is on the disk before it returns. Small pages, since a ping of one of a
million monitors dirties one page, and the log holds whole pages (docs/decisions/0004-sqlite-settings.md).
"""

from __future__ import annotations

import asyncio
import contextlib
import queue
import sqlite3
import threading
import time
from collections.abc import Callable, Generator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import structlog
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import OperationalError
from sqlalchemy.pool import NullPool

from tocsin.domain.errors import Code, TocsinError
from tocsin.store.hot.sqlite import SqliteHot
from tocsin.store.prepared import driver

T = TypeVar("T")
Job = tuple[Callable[[Connection], Any], "Future[Any]"]

PAGE_SIZE = 2048
WRITER_CACHE_KB = 32_768
READER_CACHE_KB = 4_096
LOOP_CACHE_KB = 16_384
READERS = 4
BUSY_SECONDS = 10.0
BUSY_MS = int(BUSY_SECONDS * 1000)
CHECKPOINT_SECONDS = 1.0
RETRY_SECONDS = 5
# How long a group of writes may take before it is committed: about as long as the commit itself.
GROUP_SECONDS = 0.005
LONG_LOG_PAGES = 64 * 1024 * 1024 // PAGE_SIZE

log = structlog.get_logger()


def sqlite_engine(path: Path, cache_kb: int = READER_CACHE_KB) -> Engine:
    """An engine whose connections are tuned as Tocsin's are, and leave transactions to the caller."""
    engine = create_engine(
        f"sqlite:///{path}",
        poolclass=NullPool,
        isolation_level="AUTOCOMMIT",
        hide_parameters=True,  # error texts end in the log, and what is bound may be a secret
        connect_args={"timeout": BUSY_SECONDS, "check_same_thread": False, "cached_statements": 512},
    )

    @event.listens_for(engine, "connect")
    def tune(raw: sqlite3.Connection, _record: object) -> None:
        raw.isolation_level = None
        raw.execute(f"PRAGMA page_size = {PAGE_SIZE}")
        raw.execute("PRAGMA journal_mode = WAL")
        raw.execute("PRAGMA synchronous = FULL")
        raw.execute(f"PRAGMA cache_size = -{cache_kb}")
        raw.execute("PRAGMA wal_autocheckpoint = 0")
        raw.execute("PRAGMA temp_store = MEMORY")
        # SQLite's own knows the letters of ASCII only.
        raw.create_function("lower", 1, lambda text: text and text.lower(), deterministic=True)

    return engine


class _Failed(NamedTuple):
    """What became of a job that raised."""

    error: BaseException


class SqliteStore:
    """`store.database.Store` on one SQLite file, to be opened by one process."""

    def __init__(self, path: Path) -> None:
        self.hot = SqliteHot()
        self._writer_engine = sqlite_engine(path, WRITER_CACHE_KB)
        self._reader_engine = sqlite_engine(path)
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._local = threading.local()
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="reader")
        self._writer = self._writer_engine.connect()
        self._writer_is_free = threading.Lock()
        self._queued = 0
        self._is_unavailable = False
        self._committer = ThreadPoolExecutor(1, thread_name_prefix="committer")
        self._stopping = threading.Event()
        self._log_is_long = threading.Event()
        self._threads = [
            threading.Thread(target=self._write_all, name="writer", daemon=True),
            threading.Thread(target=self._checkpoint_all, name="checkpointer", daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    async def read(self, fn: Callable[[Connection], T], *, is_short: bool = False) -> T:
        """As `Store.read`; on one of the reader threads, but for what is short."""
        if is_short:
            with contextlib.suppress(OperationalError, sqlite3.OperationalError):
                return self._read(fn, may_wait=False)
        with self._translated():
            return await asyncio.get_running_loop().run_in_executor(self._readers, self._read, fn)

    async def write(self, fn: Callable[[Connection], T], *, is_short: bool = False) -> T:
        """As `Store.write`; on the writer thread, but for what is short while nothing else is to be written:
        of that, only the commit leaves the event loop."""
        with self._translated():
            if is_short and self._begin_here():
                result = self._run_here(fn)
                # Whoever does not wait for it any more does not stop it.
                await asyncio.shield(
                    asyncio.get_running_loop().run_in_executor(self._committer, self._commit)
                )
                return result
            future: Future[T] = Future()
            self._jobs.put((fn, future))
            self._queued += 1
            try:
                return await asyncio.wrap_future(future)
            finally:
                self._queued -= 1

    async def close(self) -> None:
        """Write what was handed in, then close."""
        self._stopping.set()
        self._jobs.put(None)
        for thread in self._threads:
            await asyncio.to_thread(thread.join)
        await asyncio.to_thread(self._committer.shutdown)
        self._writer.close()
        self._readers.shutdown()

    def _begin_here(self) -> bool:
        """Begin a transaction on the event loop, if nobody is to be waited for."""
        if self._queued or not self._writer_is_free.acquire(blocking=False):
            return False
        raw = driver(self._writer)
        raw.execute("PRAGMA busy_timeout = 0")
        with contextlib.suppress(sqlite3.Error):  # the writer thread waits, and says what is wrong
            raw.execute("BEGIN IMMEDIATE")
        raw.execute(f"PRAGMA busy_timeout = {BUSY_MS}")
        if not raw.in_transaction:
            self._writer_is_free.release()
        return raw.in_transaction

    def _run_here(self, fn: Callable[[Connection], T]) -> T:
        try:
            return fn(self._writer)
        except BaseException:
            self._roll_back()
            self._writer_is_free.release()
            raise

    def _commit(self) -> None:
        try:
            driver(self._writer).execute("COMMIT")
            self._note_success()
        except BaseException:
            self._roll_back()
            raise
        finally:
            self._writer_is_free.release()

    def _roll_back(self) -> None:
        raw = driver(self._writer)
        if raw.in_transaction:
            raw.execute("ROLLBACK")
        self.hot.forget()

    @contextlib.contextmanager
    def _translated(self) -> Generator[None, None, None]:
        """A database that cannot work just now (full disk, locked, unreadable) is no caller's mistake."""
        try:
            yield
        except (OperationalError, sqlite3.OperationalError) as error:
            raise self._refusal(error) from error

    def _refusal(self, error: BaseException) -> TocsinError:
        """For whom it cannot work; noted once until something is written again."""
        if not self._is_unavailable:
            self._is_unavailable = True
            log.warning("database_unavailable", error=str(getattr(error, "orig", error)))
        message = "The database cannot be used just now. Try again."
        return TocsinError(Code.UNAVAILABLE, message, retry_after_seconds=RETRY_SECONDS)

    def _note_success(self) -> None:
        if self._is_unavailable:
            self._is_unavailable = False
            log.info("database_available_again")

    def _read(self, fn: Callable[[Connection], T], *, may_wait: bool = True) -> T:
        connection = getattr(self._local, "connection", None)
        if connection is None:
            connection = self._local.connection = self._reader_engine.connect()
            if not may_wait:
                driver(connection).execute("PRAGMA busy_timeout = 0")
                driver(connection).execute(f"PRAGMA cache_size = -{LOOP_CACHE_KB}")
        raw = driver(connection)
        raw.execute("BEGIN")
        try:
            return fn(connection)
        finally:
            if raw.in_transaction:
                raw.execute("ROLLBACK")

    def _write_all(self) -> None:
        while (job := self._take(wait=True)) is not None:
            with self._writer_is_free:
                self._write_group(job)
                del job
                if self._log_is_long.is_set():
                    self._log_is_long.clear()
                    _restart_log(driver(self._writer))

    def _write_group(self, first: Job) -> None:
        """One commit for a job and for what waits behind it: a disk can be written to some hundred times a
        second. Each job is a savepoint; whoever waits for it hears of it after the commit."""
        raw, jobs, results = driver(self._writer), [first], list[Any]()
        ends_at = time.monotonic() + GROUP_SECONDS
        try:
            raw.execute("BEGIN IMMEDIATE")
            results.append(self._attempt(first[0]))
            while time.monotonic() < ends_at and (job := self._take(wait=False)) is not None:
                jobs.append(job)
                results.append(self._attempt(job[0]))
            raw.execute("COMMIT")
            self._note_success()
        except BaseException as error:  # noqa: BLE001 - the waiting callers get it
            self._roll_back()
            results = [_Failed(self._refusal(error)) for _ in jobs]
        for (_fn, future), result in zip(jobs, results, strict=True):
            if type(result) is _Failed:
                future.set_exception(result.error)
            else:
                future.set_result(result)

    def _take(self, *, wait: bool) -> Job | None:
        """The next job that is still wanted; None where there is none, or after the last."""
        while True:
            try:
                job = self._jobs.get(block=wait)
            except queue.Empty:
                return None
            if job is None:
                self._jobs.put(None)  # whoever asks again learns the same
                return None
            if job[1].set_running_or_notify_cancel():
                return job

    def _attempt(self, fn: Callable[[Connection], Any]) -> Any:
        """What `fn` returns, or that it failed and left nothing behind. Raises where the whole group is lost:
        some errors, a full disk among them, make SQLite give the transaction up."""
        raw = driver(self._writer)
        raw.execute("SAVEPOINT job")
        try:
            result = fn(self._writer)
        except BaseException as error:
            if not raw.in_transaction:
                raise
            raw.execute("ROLLBACK TO job")
            self.hot.forget()
            result = _Failed(error)
        raw.execute("RELEASE job")
        return result

    def _checkpoint_all(self) -> None:
        """Copy the log into the file once a second; where that leaves a long log, have the writer pause for
        an instant so that the log can start over."""
        with self._writer_engine.connect() as connection:
            raw = driver(connection)
            while not self._stopping.wait(CHECKPOINT_SECONDS):
                # On a full disk the log keeps everything until there is room.
                with contextlib.suppress(sqlite3.Error):
                    self._checkpoint(raw)

    def _checkpoint(self, raw: sqlite3.Connection) -> None:
        _busy, pages, _moved = raw.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        if pages > LONG_LOG_PAGES:
            raw.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
            self._log_is_long.set()
            self._jobs.put((lambda _connection: None, Future()))


def _restart_log(raw: sqlite3.Connection) -> None:
    """Runs between two transactions of the writer; gives up at once where a reader is in the way."""
    raw.execute("PRAGMA busy_timeout = 50")
    with contextlib.suppress(sqlite3.Error):  # as in the checkpointer
        row = raw.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        log.debug("log_restarted", busy=row[0], pages=row[1])
    raw.execute(f"PRAGMA busy_timeout = {BUSY_MS}")

"""The one writer: many writes share a commit, and each is its own transaction all the same."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
import threading
import time
from collections.abc import Callable
from itertools import count
from pathlib import Path

import pytest
from sqlalchemy import Connection, func, insert, select, text
from structlog.testing import capture_logs

from tocsin.domain.errors import Code, TocsinError
from tocsin.store import tables
from tocsin.store.prepared import driver
from tocsin.store.sqlite import GROUP_SECONDS, SqliteStore


def add(name: str) -> Callable[[Connection], str]:
    def fn(connection: Connection) -> str:
        connection.execute(insert(tables.meta).values(name=name, value=""))
        return name

    return fn


def fail(name: str) -> Callable[[Connection], None]:
    def fn(connection: Connection) -> None:
        connection.execute(insert(tables.meta).values(name=name, value=""))
        raise ValueError(name)

    return fn


async def names(store: SqliteStore) -> set[str]:
    """What is committed."""
    found = await store.read(
        lambda connection: connection.execute(select(tables.meta.c.name)).scalars().all()
    )
    return {name for name in found if name.startswith("test ")}


class Held:
    """Keeps the writer busy, so that what is handed in meanwhile waits, and becomes one group."""

    def __init__(self) -> None:
        self.begun, self.free = threading.Event(), threading.Event()

    def __call__(self, _connection: Connection) -> None:
        self.begun.set()
        assert self.free.wait(10)
        time.sleep(GROUP_SECONDS)  # its own commit comes before theirs


async def together(store: SqliteStore, *fns: Callable[[Connection], object]) -> list[object]:
    """The results, or errors, of writes that wait at the same time."""
    held = Held()
    holding = asyncio.create_task(store.write(held))
    await asyncio.to_thread(held.begun.wait, 10)
    waiting = [asyncio.create_task(store.write(fn)) for fn in fns]
    await asyncio.sleep(0)
    held.free.set()
    await holding
    return list(await asyncio.gather(*waiting, return_exceptions=True))


def commits(store: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the writer runs itself, from now on."""
    seen: list[str] = []
    monkeypatch.setattr("tocsin.store.sqlite.driver", lambda connection: _Spy(connection, seen))
    return seen


class _Spy:
    def __init__(self, connection: Connection, seen: list[str]) -> None:
        raw = connection.connection.driver_connection
        assert isinstance(raw, sqlite3.Connection)
        self._raw, self._seen = raw, seen

    @property
    def in_transaction(self) -> bool:
        return self._raw.in_transaction

    def execute(self, statement: str) -> sqlite3.Cursor:
        self._seen.append(statement)
        return self._raw.execute(statement)


def refuse(patch: pytest.MonkeyPatch, refused: str, reason: str) -> None:
    """SQLite refuses a statement from now on."""

    class Refusing(_Spy):
        def execute(self, statement: str) -> sqlite3.Cursor:
            if statement == refused:
                raise sqlite3.OperationalError(reason)
            return super().execute(statement)

    patch.setattr("tocsin.store.sqlite.driver", lambda connection: Refusing(connection, []))


async def test_writes_that_wait_together_share_a_commit(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = commits(store, monkeypatch)
    results = await together(store, *(add(f"test {number}") for number in range(20)))
    assert results == [f"test {number}" for number in range(20)]
    assert len(await names(store)) == 20
    assert seen.count("COMMIT") < 10 < seen.count("SAVEPOINT job")


async def test_one_that_fails_takes_nobody_with_it_and_leaves_nothing(store: SqliteStore) -> None:
    results = await together(store, add("test a"), fail("test b"), add("test c"))
    assert (results[0], results[2]) == ("test a", "test c")
    assert isinstance(results[1], ValueError)
    assert await names(store) == {"test a", "test c"}


async def test_each_sees_what_those_before_it_wrote(store: SqliteStore) -> None:
    def count(connection: Connection) -> int:
        query = select(func.count()).where(tables.meta.c.name.like("test %"))
        return connection.execute(query).scalar_one()

    results = await together(store, count, add("test a"), count, fail("test b"), count)
    assert [results[0], results[2], results[4]] == [0, 1, 1]


async def test_a_lost_transaction_is_a_refusal_for_all_of_its_group(store: SqliteStore) -> None:
    def lose(connection: Connection) -> None:
        # As SQLite does by itself when the disk is full.
        connection.execute(text("ROLLBACK"))
        raise sqlite3.OperationalError("database or disk is full")

    results = await together(store, add("test a"), lose)
    assert [getattr(each, "code", None) for each in results] == [Code.UNAVAILABLE, Code.UNAVAILABLE]
    assert await names(store) == set()
    assert await store.write(add("test after")) == "test after"


async def test_a_caller_that_gave_up_before_its_turn_writes_nothing_and_stops_nobody(
    store: SqliteStore,
) -> None:
    held = Held()
    holding = asyncio.create_task(store.write(held))
    await asyncio.to_thread(held.begun.wait, 10)
    given_up = asyncio.create_task(store.write(add("test given up")))
    await asyncio.sleep(0)
    given_up.cancel()
    await asyncio.sleep(0)
    held.free.set()
    await holding
    assert await store.write(add("test next")) == "test next"
    assert await names(store) == {"test next"}


async def test_a_caller_that_gives_up_during_its_turn_stops_nobody(store: SqliteStore) -> None:
    held = Held()
    holding = asyncio.create_task(store.write(held))
    await asyncio.to_thread(held.begun.wait, 10)
    holding.cancel()
    await asyncio.sleep(0)
    held.free.set()
    assert await store.write(add("test next")) == "test next"


async def test_what_was_handed_in_is_written_before_it_closes(store: SqliteStore) -> None:
    waiting = [asyncio.create_task(store.write(add(f"test {number}"))) for number in range(50)]
    await asyncio.sleep(0)
    await store.close()
    assert await asyncio.gather(*waiting) == [f"test {number}" for number in range(50)]


async def test_a_database_that_cannot_be_had_is_a_refusal(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        refuse(patch, "BEGIN IMMEDIATE", "database is locked")
        with pytest.raises(TocsinError) as refused:
            await store.write(add("test a"))
    assert refused.value.code is Code.UNAVAILABLE
    assert await store.write(add("test b")) == "test b"


def thread_of(connection: Connection) -> str:
    connection.execute(select(tables.meta.c.name).limit(1))
    return threading.current_thread().name


async def test_what_is_short_runs_on_the_event_loop_and_the_rest_beside_it(store: SqliteStore) -> None:
    here = threading.current_thread().name
    assert await store.read(thread_of, is_short=True) == here
    assert (await store.read(thread_of)).startswith("reader")
    assert await store.write(thread_of, is_short=True) == here
    assert await store.write(thread_of) == "writer"


async def test_a_short_write_is_on_the_disk_when_it_returns_and_the_loop_goes_on_meanwhile(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    committed, waited = threading.Event(), []

    class Slow(_Spy):
        def execute(self, statement: str) -> sqlite3.Cursor:
            if statement == "COMMIT":
                waited.append(committed.wait(10))
            return super().execute(statement)

    with monkeypatch.context() as patch:
        patch.setattr("tocsin.store.sqlite.driver", lambda connection: Slow(connection, []))
        writing = asyncio.create_task(store.write(add("test a"), is_short=True))
        await asyncio.sleep(0.05)
        assert not writing.done()
        committed.set()
        assert await writing == "test a"
    assert waited == [True]
    assert await names(store) == {"test a"}


async def test_a_short_write_that_fails_leaves_nothing_and_stops_nobody(store: SqliteStore) -> None:
    with pytest.raises(ValueError, match="test a"):
        await store.write(fail("test a"), is_short=True)
    assert await store.write(add("test b"), is_short=True) == "test b"
    assert await store.write(add("test c")) == "test c"
    assert await names(store) == {"test b", "test c"}


async def test_whoever_gives_up_during_a_short_write_stops_nobody(store: SqliteStore) -> None:
    writing = asyncio.create_task(store.write(add("test a"), is_short=True))
    await asyncio.sleep(0)
    writing.cancel()
    assert await store.write(add("test b"), is_short=True) == "test b"
    assert await store.write(add("test c")) == "test c"
    assert await names(store) == {"test a", "test b", "test c"}


async def test_a_commit_that_fails_is_a_refusal_and_leaves_nothing(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        refuse(patch, "COMMIT", "database or disk is full")
        with capture_logs() as logged:
            for _ in range(3):
                with pytest.raises(TocsinError) as refused:
                    await store.write(add("test a"), is_short=True)
    assert refused.value.code is Code.UNAVAILABLE
    assert [line["event"] for line in logged] == ["database_unavailable"]
    with capture_logs() as logged:
        assert await store.write(add("test b"), is_short=True) == "test b"
    assert [line["event"] for line in logged] == ["database_available_again"]
    assert await names(store) == {"test b"}


async def test_another_process_that_writes_is_waited_for_beside_the_loop(store: SqliteStore) -> None:
    path = await store.read(
        lambda connection: driver(connection).execute("PRAGMA database_list").fetchone()[2]
    )
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    writing = asyncio.create_task(store.write(add("test a"), is_short=True))
    began_at = time.monotonic()
    await asyncio.sleep(0.1)
    assert time.monotonic() - began_at < 1
    assert not writing.done()
    other.execute("ROLLBACK")
    other.close()
    assert await writing == "test a"


async def test_short_writes_without_end_let_the_others_in(store: SqliteStore) -> None:
    stopped = False

    async def press() -> int:
        written = 0
        while not stopped:
            await store.write(lambda _connection: None, is_short=True)
            written += 1
        return written

    pressing = [asyncio.create_task(press()) for _ in range(4)]
    for number in range(20):
        async with asyncio.timeout(2):
            await store.write(add(f"test {number}"))
    stopped = True
    assert sum(await asyncio.gather(*pressing)) > 20
    assert len(await names(store)) == 20


@pytest.mark.parametrize("kind", ["PASSIVE", "TRUNCATE"])
async def test_a_checkpoint_for_which_the_disk_was_full_is_tried_again(
    migrated: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    tried = []

    class Full(_Spy):
        def execute(self, statement: str) -> sqlite3.Cursor:
            if kind in statement:
                tried.append(statement)
                if len(tried) < 3:
                    raise sqlite3.OperationalError("database or disk is full")
            return super().execute(statement)

    monkeypatch.setattr("tocsin.store.sqlite.CHECKPOINT_SECONDS", 0.01)
    monkeypatch.setattr("tocsin.store.sqlite.LONG_LOG_PAGES", 0)
    monkeypatch.setattr("tocsin.store.sqlite.driver", lambda connection: Full(connection, []))
    store = SqliteStore(Path(shutil.copy(migrated, tmp_path)))
    numbers = count()
    async with asyncio.timeout(10):
        while len(tried) < 4:
            await store.write(add(f"test {next(numbers)}"))
    await store.close()

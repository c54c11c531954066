from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, func, insert, select, text
from sqlalchemy.dialects import postgresql

from tocsin.domain.monitor import SECOND
from tocsin.store import monitors, pings, tables
from tocsin.store.prepared import driver
from tocsin.store.schema import migrate
from tocsin.store.sqlite import sqlite_engine

NOW = 1_800_000_000 * SECOND
DAY = 86_400 * SECOND


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[Connection]:
    """A connection to a migrated database of its own."""
    path = tmp_path / "tocsin.db"
    migrate(f"sqlite:///{path}")
    engine = sqlite_engine(path)
    with engine.connect() as connection:
        connection.exec_driver_sql("BEGIN IMMEDIATE")
        yield connection
    engine.dispose()


def add(connection: Connection, count: int, *, project: int = 1, dialect: str = "tocsin") -> list[int]:
    rows = [
        {
            "uid": f"{project:016x}{number:016x}",
            "badge_key": f"badge {project} {number}",
            "project_id": project,
            "dialect": dialect,
            "name": f"job {number}",
            "slug": f"job-{number}",
            "tags": "prod db",
            "schedule_kind": "interval",
            "schedule_expression": "3600",
            "grace_seconds": 60,
            "created_at": NOW,
            "updated_at": NOW,
        }
        for number in range(count)
    ]
    return monitors.add_all(connection, rows, [f"token {project} {number}" for number in range(count)], NOW)


def add_history(connection: Connection, monitor_id: int, count: int) -> None:
    """Pings with bodies, flips, and notifications with attempts; `count` of each."""
    for number in range(1, count + 1):
        ping = {"id": number, "prev_id": number - 1 or None, "monitor_id": monitor_id, "number": number}
        connection.execute(insert(tables.ping).values({**ping, "arrived_at": NOW + number, "kind": 3}))
        connection.execute(insert(tables.ping_body).values(ping_id=number, body=b"x"))
        ids = {"project_id": 1, "monitor_id": monitor_id}
        flip = {"old": "up", "new": "down", "reason": "failed", "announced": True}
        connection.execute(insert(tables.flip).values({**ids, **flip, "at": NOW, "created_at": NOW}))
        told = {"event": "monitor.down", "facts": "{}", "status": "delivered"}
        row = {**ids, **told, "id": number, "uid": f"{number}", "channel_id": 1, "created_at": NOW}
        connection.execute(insert(tables.notification).values(row))
        tried = {"at": NOW, "outcome": "delivered", "duration_ms": 1}
        connection.execute(insert(tables.attempt).values(notification_id=number, **tried))
    state = tables.monitor_state
    head = state.update().where(state.c.monitor_id == monitor_id).values(last_ping_id=count)
    connection.execute(head)


def rows(connection: Connection) -> dict[str, int]:
    names = ("ping", "ping_body", "flip", "notification", "attempt", "monitor", "monitor_state")
    query = "SELECT count(*) FROM {}"
    return {name: connection.execute(text(query.format(name))).scalar_one() for name in names}


@pytest.mark.parametrize(
    "search", [monitors.EVERYTHING, monitors.Search("job", frozenset({"late"}), ("db",), NOW)]
)
def test_a_page_comes_from_the_index_in_its_order(connection: Connection, search: monitors.Search) -> None:
    query = monitors._list(search.shape)._in_one
    bounds = {"project_id": 1, "below": 2**62, "limit": 50, "offset": 0}
    values = {**query._constants, **search.values, **bounds}
    plan = [row[-1] for row in driver(connection).execute(f"EXPLAIN QUERY PLAN {query._text}", values)]
    assert "monitor_list" in " ".join(plan)
    assert not any("TEMP B-TREE" in step or step.startswith("SCAN monitor") for step in plan)


def test_the_queries_compile_for_postgresql_too() -> None:
    search = monitors.Search("job", frozenset({"late", "up", "snoozed"}), ("db",))
    for query in (monitors._list(search.shape)._query, monitors._count(search.shape), pings._ALL):
        assert "SELECT" in str(query.compile(dialect=postgresql.dialect()))  # type: ignore[no-untyped-call]


@pytest.mark.parametrize("offset", [0, 9_000])
def test_a_page_of_50_of_10_000_is_quick_wherever_it_begins(connection: Connection, offset: int) -> None:
    for project in (1, 2):
        add(connection, 10_000, project=project)
    times = []
    for _ in range(100):
        started_at = time.perf_counter()
        items = monitors.page(connection, 1, limit=50, offset=offset)
        times.append(time.perf_counter() - started_at)
        assert len(items) == 50
    # The quickest: a busy machine delays any of them.
    assert min(times) < 1 / 400


def test_an_offset_skips_the_projects_own_monitors_and_not_deleted_ones(connection: Connection) -> None:
    own = add(connection, 5, project=1)
    add(connection, 5, project=2)
    monitors.mark_deleted(connection, [own[3]], NOW)
    newest_first = [own[4], own[2], own[1], own[0]]
    for offset in range(6):
        found = [one.id for one in monitors.page(connection, 1, limit=2, offset=offset)]
        assert found == newest_first[offset : offset + 2]


def test_a_deleted_monitor_goes_step_by_step_with_all_that_hangs_on_it(connection: Connection) -> None:
    kept, gone = add(connection, 2)
    add_history(connection, gone, 30)
    monitors.mark_deleted(connection, [gone], NOW)
    assert monitors.purge_deleted(connection, NOW, 20) == 0
    steps = []
    while removed := monitors.purge_deleted(connection, NOW + 1, 20):
        steps.append(removed)
    assert all(step <= 20 for step in steps)
    assert sum(steps) == 30 * 3 + 1
    left = rows(connection)
    assert (left.pop("monitor"), left.pop("monitor_state")) == (1, 1)
    assert set(left.values()) == {0}
    assert monitors.get(connection, kept) is not None


def test_a_chain_that_pruning_cut_does_not_keep_a_monitor(connection: Connection) -> None:
    [gone] = add(connection, 1)
    add_history(connection, gone, 10)
    connection.execute(tables.ping.delete().where(tables.ping.c.id <= 5))
    monitors.mark_deleted(connection, [gone], NOW)
    while monitors.purge_deleted(connection, NOW + 1, 3):
        pass
    assert rows(connection)["ping"] == rows(connection)["monitor"] == 0


def test_cronbeats_keeps_a_deleted_job_for_30_days(connection: Connection) -> None:
    [gone] = add(connection, 1, dialect="cronbeats")
    monitors.mark_deleted(connection, [gone], NOW)
    assert monitors.purge_deleted(connection, NOW + 30 * DAY, 10) == 0
    assert monitors.purge_deleted(connection, NOW + 30 * DAY + 1, 10) == 1


def test_a_prefix_finds_the_askers_own_monitor_first(connection: Connection) -> None:
    first, second = add(connection, 1, project=1), add(connection, 1, project=2)
    same = {"uid": "0" * 15 + "1" + "f" * 16}
    connection.execute(tables.monitor.update().where(tables.monitor.c.id == second[0]).values(same))
    for project, expected in ((1, first), (2, second), (3, first)):
        found = monitors.find_by_prefix(connection, "0" * 15 + "1", project)
        assert found is not None
        assert [found.id] == expected


def test_pings_are_walked_with_one_look_up_each(connection: Connection) -> None:
    [monitor] = add(connection, 1)
    add_history(connection, monitor, 50)
    page = pings.page(connection, 50, limit=10, offset=5, steps=20_000)
    assert [one.id for one in page] == list(range(45, 35, -1))
    late = pings.page(connection, 50, limit=100, steps=20_000, oldest_at=NOW + 41)
    assert [one.id for one in late] == list(range(50, 40, -1))
    few = pings.page(connection, 50, limit=100, kinds=[3], steps=7)
    assert len(few) == 7


def test_a_monitor_has_one_row_though_it_answers_to_two_tokens(connection: Connection) -> None:
    [monitor] = add(connection, 1)
    other: dict[str, Any] = {"token": "x", "monitor_id": monitor, "dialect": "cronheart"}
    connection.execute(insert(tables.token).values(other))
    assert len(monitors.page(connection, 1, limit=9)) == 1
    found = monitors.find_by_token(connection, "x", "cronheart")
    assert found is not None
    assert (found.id, found.token) == (monitor, "token 1 0")


def test_capitals_do_not_count_in_any_script(connection: Connection) -> None:
    [monitor] = add(connection, 1)
    monitors.change(connection, monitor, {"name": "ÄPFEL nach Łódź"})
    for text_of_name in ("äpfel", "ŁÓDŹ", "Äpfel Nach"):
        search = monitors.Search(text_of_name)
        assert [one.id for one in monitors.page(connection, 1, limit=5, search=search)] == [monitor]


def test_counting_what_is_filtered(connection: Connection) -> None:
    add(connection, 3)
    assert monitors.count(connection, 1, monitors.Search("JOB 1", frozenset(), ("db",))) == 1
    assert connection.execute(select(func.count()).select_from(tables.token)).scalar_one() == 3

"""Alerts of a monitor, as its list shows them; what they hold is tests/dialects/test_cronheart_pings.py."""

from __future__ import annotations

from sqlalchemy import Connection, insert, text

from tests.engine_room import Room
from tocsin.store import announced, tables
from tocsin.store.sqlite import SqliteStore

FLIP = {"project_id": 1, "old": "up", "new": "down", "reason": "missed", "created_at": 1}


async def test_only_what_was_announced_counts_newest_first(store: SqliteStore) -> None:
    job = await (await Room.open(store)).add()

    def read(connection: Connection) -> tuple[list[tuple[int, tuple[object, ...]]], int]:
        rows = [
            FLIP | {"monitor_id": monitor_id, "at": at, "announced": is_announced}
            for at, monitor_id, is_announced in (
                (1, job.id, True),
                (2, job.id, False),
                (3, job.id + 1, True),
                (4, job.id, True),
            )
        ]
        connection.execute(insert(tables.flip), rows)
        found = announced.page(connection, job.id, limit=10, offset=0)
        assert announced.page(connection, job.id, limit=1, offset=1) == found[1:]
        return [(one.at, one.channels) for one in found], announced.count(connection, job.id)

    assert await store.write(read) == ([(4, ()), (1, ())], 2)


async def test_the_list_is_served_by_indexes(store: SqliteStore) -> None:
    def plan(connection: Connection) -> str:
        connection.execute(insert(tables.flip), [FLIP | {"monitor_id": 1, "at": 1, "announced": True}])
        raw = connection.connection.driver_connection
        assert raw is not None
        seen: list[str] = []
        raw.set_trace_callback(seen.append)
        announced.page(connection, 1, limit=50, offset=0)
        announced.count(connection, 1)
        raw.set_trace_callback(None)
        queries = [each for each in seen if each.startswith("SELECT")]
        assert len(queries) == 3
        steps = (connection.execute(text(f"EXPLAIN QUERY PLAN {each}")).all() for each in queries)
        return "\n".join(step.detail for some in steps for step in some)

    steps = await store.write(plan)
    assert "SCAN" not in steps
    assert steps.count("flip_monitor") == 2
    assert "notification_monitor" in steps
    assert "TEMP B-TREE FOR ORDER BY" not in steps.split("notification_monitor")[0]

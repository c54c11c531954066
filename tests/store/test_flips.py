"""Flips that were written out of their order in time: a late ping inserts a pair before known ones."""

from __future__ import annotations

from sqlalchemy import Connection, insert

from tests.engine_room import Room
from tocsin.store import flips, tables
from tocsin.store.alerts import Down, last_downs
from tocsin.store.sqlite import SqliteStore

# at, old, new: in the order in which they were written
WRITTEN = [(50, "new", "up"), (100, "up", "down"), (20, "new", "down"), (40, "down", "new")]


async def written(store: SqliteStore) -> int:
    """A monitor with these flips."""
    room = await Room.open(store)
    job = await room.add()

    def write(connection: Connection) -> None:
        rows = [
            {"project_id": 1, "monitor_id": job.id, "at": at, "old": old, "new": new}
            | {"reason": "ping", "announced": True, "created_at": 200}
            for at, old, new in WRITTEN
        ]
        connection.execute(insert(tables.flip), rows)

    await store.write(write)
    return job.id


async def test_outages_are_listed_by_time_each_with_its_own_end(store: SqliteStore) -> None:
    await written(store)

    def read(connection: Connection, cursor: int | None, limit: int) -> list[tuple[int, int, int | None]]:
        found = flips.incidents(connection, 1, None, limit=limit, cursor=cursor)
        return [(one[0], one[4], one[5]) for one in found]

    everything = await store.read(lambda connection: read(connection, None, 10))
    assert everything == [(2, 100, None), (3, 20, 40)]
    first = await store.read(lambda connection: read(connection, None, 1))
    assert await store.read(lambda connection: read(connection, first[0][0], 1)) == everything[1:]


async def test_the_last_down_is_the_latest_not_the_one_written_last(store: SqliteStore) -> None:
    monitor_id = await written(store)
    downs = await store.read(lambda connection: last_downs(connection, [monitor_id]))
    assert downs == {monitor_id: Down(2, 100)}

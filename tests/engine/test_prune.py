"""engine/prune.py: retention by count and by age."""

from __future__ import annotations

from functools import partial

from sqlalchemy import Connection, Table, func, select, update

from tests.engine_room import Hands, Job, Room
from tocsin.domain.plan import PRESETS
from tocsin.engine.intake import Answer
from tocsin.engine.prune import Prune, Retention
from tocsin.store import pings, tables
from tocsin.store.prune import DAY
from tocsin.store.sqlite import SqliteStore


def prune(room: Room, **retention: float) -> Prune:
    return Prune(room.store, room.clock, Retention(pause_seconds=0, **retention))  # type: ignore[arg-type]


async def kept(room: Room, job: Job) -> list[int]:
    """The arrival times in the job's history, newest first."""

    def read(connection: Connection) -> list[int]:
        state = tables.monitor_state
        head = connection.scalar(select(state.c.last_ping_id).where(state.c.monitor_id == job.id))
        return [one.arrived_at for one in pings.page(connection, head, limit=1000, steps=1000)]

    return await room.store.read(read)


def monitor_ids(connection: Connection, table: Table) -> list[int]:
    return list(connection.scalars(select(table.c.monitor_id).distinct()))


async def ping_count(room: Room, job: Job) -> int:
    state = tables.monitor_state
    query = select(state.c.ping_count).where(state.c.monitor_id == job.id)
    return await room.store.read(lambda connection: connection.scalar(query) or 0)


async def test_the_newest_pings_of_each_monitor_are_kept_by_count(store: SqliteStore) -> None:
    room = await Room.open(store)
    busy, calm = await room.add(), await room.add()
    await room.ping(calm)
    for _ in range(30):
        room.pass_(1)
        await room.ping(busy)
    before = await kept(room, busy)
    await prune(room, pings_per_monitor=10).prune_once()
    assert await kept(room, busy) == before[:10]
    assert len(await kept(room, calm)) == 1


async def test_counters_survive_pruning(store: SqliteStore) -> None:
    room = await Room.open(store)
    job = await room.add()
    for _ in range(5):
        await room.ping(job)
    await prune(room, pings_per_monitor=1).prune_once()
    assert await ping_count(room, job) == 5
    await room.ping(job)
    assert await ping_count(room, job) == 6
    assert len(await kept(room, job)) == 2


async def test_pings_older_than_the_days_to_keep_go(store: SqliteStore) -> None:
    hands = Hands()
    room = await Room.open(store, hands)
    job = await room.add()
    await room.ping(job)
    room.pass_(8 * DAY / 1_000_000)
    await room.ping(job)
    await prune(room, days=7).prune_once()
    assert len(await kept(room, job)) == 1


async def rows_of_plan(store: SqliteStore, room: Room, dialect: str, plan: str) -> Job:
    """A job of a project of its own on this plan."""
    row = {"uid": f"{dialect}-{plan}", "name": plan, "dialect": dialect, "owner_id": 1, "plan": plan}
    added = tables.project.insert().values(**row, created_at=0).returning(tables.project.c.id)
    project_id = await store.write(lambda connection: connection.execute(added).scalar_one())
    return await room.add(project_id=project_id)


async def test_a_plan_keeps_pings_for_its_own_days(store: SqliteStore) -> None:
    room = await Room.open(store)
    plans = [("cronpeek", "free"), ("cronpeek", "pro"), ("cronpeek", "no such plan"), ("tocsin", "free")]
    jobs = [await rows_of_plan(store, room, dialect, plan) for dialect, plan in plans]
    for seconds in (6 * 86_400, 2 * 86_400, 0):
        for job in jobs:
            await room.ping(job)
        room.pass_(seconds)
    retention = Retention(days=30, histories=PRESETS["hosted"].histories(), pause_seconds=0)
    pruning = Prune(store, room.clock, retention)
    await pruning.prune_once()
    # An unknown plan means the dialect's first, and a dialect without plans has no limit.
    assert [len(await kept(room, job)) for job in jobs] == [2, 3, 2, 3]
    assert pruning.removed == 2
    room.pass_(29 * 86_400)
    await pruning.prune_once()
    assert [len(await kept(room, job)) for job in jobs] == [0, 1, 0, 1]


async def test_a_job_whose_last_ping_was_removed_goes_on(store: SqliteStore) -> None:
    """A monthly job on a plan of seven days."""
    room = await Room.open(store)
    job = await rows_of_plan(store, room, "cronpeek", "free")
    retention = Retention(histories=PRESETS["hosted"].histories(), pause_seconds=0)
    for _ in range(3):
        await room.ping(job)
        room.pass_(31 * 86_400)
        await Prune(store, room.clock, retention).prune_once()
        assert await kept(room, job) == []
    answer = await room.ping(job)
    assert isinstance(answer, Answer)
    assert answer.state.status == "up"
    assert len(await kept(room, job)) == 1
    assert await ping_count(room, job) == 4


async def test_bodies_go_with_their_pings(store: SqliteStore) -> None:
    room = await Room.open(store)
    job = await room.add()
    for _ in range(3):
        await room.ping(job)
    await store.write(
        lambda connection: connection.execute(
            tables.ping_body.insert().from_select(
                ["ping_id", "body"], select(tables.ping.c.id, tables.ping.c.arrived_at)
            )
        )
    )
    await prune(room, pings_per_monitor=1).prune_once()
    left = await store.read(
        lambda connection: connection.scalar(select(func.count(tables.ping_body.c.ping_id)))
    )
    assert left == 1


async def test_rows_of_a_deleted_monitor_go_with_all_that_hangs_on_them(store: SqliteStore) -> None:
    room = await Room.open(store)
    gone, stays = await room.add(), await room.add()
    for job in (gone, stays):
        await room.ping(job)
    monitor = tables.monitor
    await store.write(
        lambda connection: connection.execute(
            update(monitor).where(monitor.c.id == gone.id).values(deleted_at=room.clock.now())
        )
    )
    room.pass_(1)
    await prune(room).prune_once()
    for table in (tables.monitor_state, tables.ping):
        assert await store.read(partial(monitor_ids, table=table)) == [stays.id]

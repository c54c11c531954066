from __future__ import annotations

import pytest
from sqlalchemy import select

from tests.engine_room import Job, Room
from tests.management import Office
from tocsin.domain.errors import Code, TocsinError
from tocsin.domain.monitor import SECOND, Gap
from tocsin.domain.project import Actor
from tocsin.domain.record import Monitor
from tocsin.engine.manage.monitors import MonitorQuery
from tocsin.store import tables
from tocsin.store.sqlite import SqliteStore


@pytest.fixture
async def room(office: Office) -> Room:
    """The engine on the same store and clock."""
    return await Room.open(office.store, office.hands)


async def outbox(office: Office) -> list[tuple[str, str]]:
    columns = tables.notification.c
    rows = await office.rows(select(columns.event, columns.status).order_by(columns.id))
    return [tuple(row) for row in rows]


async def down(office: Office, room: Room, actor: Actor) -> Monitor:
    """A monitor that was up and is down."""
    hook = "https://example.com/hook"
    monitor = await office.monitor(
        actor, schedule_expression="60", grace_seconds=0, mail="none", webhook_url=hook
    )
    await room.ping(Job(monitor.id, monitor.token))
    room.pass_(61)
    await room.look()
    return await office.manage.monitor(actor, monitor.id)


async def test_a_pause_expects_nothing_and_a_resume_starts_anew(
    office: Office, room: Room, actor: Actor
) -> None:
    monitor = await office.monitor(actor, schedule_expression="60", grace_seconds=0)
    await room.ping(Job(monitor.id, monitor.token))
    paused = await office.manage.pause(actor, monitor.id)
    assert (paused.status, paused.reason, paused.due_at, paused.deadline_at) == (
        "paused",
        "paused",
        None,
        None,
    )
    room.pass_(3600)
    await room.look()
    resumed = await office.manage.resume(actor, monitor.id)
    assert (resumed.status, resumed.reason) == ("new", "resumed")
    flips = await office.manage.flips(actor, monitor.id)
    assert [(flip.old, flip.new) for flip in flips.items] == [
        ("paused", "new"),
        ("up", "paused"),
        ("new", "up"),
    ]
    assert await office.count(tables.watch) == 0


async def test_pausing_withdraws_what_was_not_sent(office: Office, room: Room, actor: Actor) -> None:
    monitor = await down(office, room, actor)
    assert (monitor.status, await outbox(office)) == ("down", [("monitor.down", "pending")])
    await office.manage.pause(actor, monitor.id)
    assert await outbox(office) == [("monitor.down", "withdrawn")]


async def test_pausing_twice_is_the_same_unless_it_must_be_told(office: Office, actor: Actor) -> None:
    monitor = await office.monitor(actor)
    paused = await office.manage.pause(actor, monitor.id)
    assert await office.manage.pause(actor, monitor.id) == paused
    with pytest.raises(TocsinError) as caught:
        await office.manage.pause(actor, monitor.id, strict=True)
    assert caught.value.code is Code.CONFLICT
    await office.manage.resume(actor, monitor.id, strict=True)
    with pytest.raises(TocsinError):
        await office.manage.resume(actor, monitor.id, strict=True)


async def test_of_many_each_is_paused_for_itself(office: Office, actor: Actor) -> None:
    stranger = await office.actor(email="other@example.com")
    ids = [(await office.monitor(actor)).id for _ in range(2)]
    ids += [(await office.monitor(stranger)).id, 999, -1, 2**70]
    await office.manage.pause(actor, ids[0])
    results = await office.manage.pause_many(actor, ids, strict=True)
    shown = [one.status if isinstance(one, Monitor) else str(one.code) for one in results]
    assert shown == ["conflict", "paused", "not_found", "not_found", "not_found", "not_found"]


async def test_a_snooze_holds_alerts_and_its_end_tells_what_is_still_down(
    office: Office, room: Room, actor: Actor
) -> None:
    hook = "https://example.com/hook"
    monitor = await office.monitor(
        actor, schedule_expression="60", grace_seconds=0, mail="none", webhook_url=hook
    )
    await room.ping(Job(monitor.id, monitor.token))
    snoozed = await office.manage.snooze(actor, monitor.id, office.clock.now() + 7200 * SECOND)
    assert snoozed.is_snoozed(office.clock.now())
    room.pass_(61)
    await room.look()
    assert await outbox(office) == [("monitor.down", "held")]
    woken = await office.manage.unsnooze(actor, monitor.id)
    assert (woken.snoozed_until, woken.status) == (None, "down")
    assert await outbox(office) == [("monitor.down", "pending")]
    assert await office.manage.unsnooze(actor, monitor.id) == woken


@pytest.mark.parametrize("seconds", [0, -1, 367 * 86_400])
async def test_a_snooze_ends_in_the_future_and_within_a_year(
    office: Office, actor: Actor, seconds: int
) -> None:
    monitor = await office.monitor(actor)
    with pytest.raises(TocsinError) as caught:
        await office.manage.snooze(actor, monitor.id, office.clock.now() + seconds * SECOND)
    assert set(caught.value.fields) == {"until_at"}


async def test_a_deleted_monitor_is_nowhere(office: Office, room: Room, actor: Actor) -> None:
    monitor = await down(office, room, actor)
    await office.manage.delete(actor, monitor.id)
    assert (await office.manage.monitors(actor, MonitorQuery())).items == []
    assert (await office.manage.flips(actor)).items == []
    assert await room.ping(Job(monitor.id, monitor.token)) is None
    assert await outbox(office) == [("monitor.down", "withdrawn")]
    assert await office.count(tables.watch) == await office.count(tables.token) == 0
    for attempt in (office.manage.delete, office.manage.pause, office.manage.monitor):
        with pytest.raises(TocsinError) as caught:
            await attempt(actor, monitor.id)
        assert caught.value.code is Code.NOT_FOUND
    assert (await office.manage.project(actor)).monitor_count == 0


async def test_deleting_one_monitor_twice_in_one_go_counts_once(office: Office, actor: Actor) -> None:
    monitor, kept = await office.monitor(actor), await office.monitor(actor)
    assert await office.manage.delete_many(actor, [monitor.id, monitor.id]) == [monitor.id, monitor.id]
    assert (await office.manage.project(actor)).monitor_count == 1
    assert await office.manage.monitor(actor, kept.id) == kept


async def test_a_deleted_monitors_key_is_free_again(office: Office, actor: Actor) -> None:
    monitor = await office.monitor(actor, unique_key="k")
    await office.manage.delete(actor, monitor.id)
    assert (await office.monitor(actor, unique_key="k")).id != monitor.id


async def test_a_shorter_interval_moves_the_deadline_and_wakes_the_watcher(
    office: Office, room: Room, actor: Actor
) -> None:
    monitor = await office.monitor(actor, schedule_expression="86400", grace_seconds=0)
    await room.ping(Job(monitor.id, monitor.token))
    wakes = office.wakes
    changed = await office.manage.update_monitor(actor, monitor.id, {"schedule_expression": "60"})
    assert changed.last_ping_at is not None
    assert changed.deadline_at == changed.last_ping_at + 60 * SECOND
    assert office.wakes > wakes
    [look_at] = await office.rows(select(tables.watch.c.look_at))
    assert look_at[0] == changed.deadline_at
    room.pass_(61)
    await room.look()
    assert (await office.manage.monitor(actor, monitor.id)).status == "down"


async def test_a_new_name_moves_no_deadline(office: Office, room: Room, actor: Actor) -> None:
    monitor = await office.monitor(actor, schedule_expression="60")
    await room.ping(Job(monitor.id, monitor.token))
    before = await office.manage.monitor(actor, monitor.id)
    after = await office.manage.update_monitor(actor, monitor.id, {"name": "new", "grace_seconds": 300})
    assert after.deadline_at == before.deadline_at


@pytest.mark.parametrize("change", ["pause", "reschedule"])
async def test_a_deadline_that_passed_is_told_before_anything_changes(
    office: Office, room: Room, actor: Actor, change: str
) -> None:
    hook = "https://example.com/hook"
    monitor = await office.monitor(
        actor, schedule_expression="60", grace_seconds=0, mail="none", webhook_url=hook
    )
    await room.ping(Job(monitor.id, monitor.token))
    room.pass_(61)
    if change == "pause":
        await office.manage.pause(actor, monitor.id)
    else:
        await office.manage.update_monitor(actor, monitor.id, {"schedule_expression": "86400"})
    after = await office.manage.monitor(actor, monitor.id)
    flips = [(flip.old, flip.new) for flip in (await office.manage.flips(actor, monitor.id)).items]
    if change == "pause":
        assert (after.status, flips[:2]) == ("paused", [("down", "paused"), ("up", "down")])
        assert await outbox(office) == [("monitor.down", "withdrawn")]
    else:
        assert (after.status, flips[:1]) == ("down", [("up", "down")])
        assert await outbox(office) == [("monitor.down", "pending")]
    await room.look()
    assert (await office.manage.monitor(actor, monitor.id)).status == after.status


async def test_a_gap_is_heeded_when_a_deadline_is_decided_early(store: SqliteStore) -> None:
    office = Office(store)
    actor = await office.actor()
    room = await Room.open(office.store, office.hands)
    monitor = await office.monitor(actor, schedule_expression="60", grace_seconds=0)
    await room.ping(Job(monitor.id, monitor.token))
    office.gaps = (Gap(office.clock.now() + SECOND, office.clock.now() + 60 * SECOND),)
    room.pass_(61)
    await office.manage.update_monitor(actor, monitor.id, {"schedule_expression": "86400"})
    assert (await office.manage.monitor(actor, monitor.id)).status == "up"
    await office.close()

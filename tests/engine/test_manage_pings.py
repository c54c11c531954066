from __future__ import annotations

import pytest

from tests.engine_room import Job, Room
from tests.management import Office
from tocsin.domain.errors import Code, TocsinError
from tocsin.domain.ping import Kind
from tocsin.domain.project import Actor
from tocsin.domain.record import Monitor
from tocsin.engine.manage.monitors import MonitorQuery


@pytest.fixture
async def room(office: Office) -> Room:
    """The engine on the same store and clock."""
    return await Room.open(office.store, office.hands)


async def pinged(office: Office, room: Room, actor: Actor, *actions: str) -> Monitor:
    """A monitor that got these pings, a second apart."""
    monitor = await office.monitor(actor, mail="none", fan_out=False)
    for action in actions:
        room.pass_(1)
        await room.ping(Job(monitor.id, monitor.token), action)
    return monitor


async def test_pings_page_along_the_chain_newest_first(office: Office, room: Room, actor: Actor) -> None:
    other = await office.monitor(actor)
    monitor = await pinged(office, room, actor, "start", "", "log", "fail", "7")
    await room.ping(Job(other.id, other.token))
    page = await office.manage.pings(actor, monitor.id, limit=2)
    assert [Kind(one.kind) for one in page.items] == [Kind.FAIL, Kind.FAIL]
    assert (page.items[0].exit_code, page.total, page.next_cursor) == (7, 5, page.items[1].id)
    rest = await office.manage.pings(actor, monitor.id, cursor=page.next_cursor)
    assert [Kind(one.kind) for one in rest.items] == [Kind.LOG, Kind.SUCCESS, Kind.START]
    assert rest.next_cursor is None
    skipped = await office.manage.pings(actor, monitor.id, limit=2, offset=2)
    assert skipped.items == rest.items[:2]
    assert rest.items[1].duration_ms == 1000


async def test_pings_of_some_kinds(office: Office, room: Room, actor: Actor) -> None:
    monitor = await pinged(office, room, actor, "", "log", "", "log", "fail")
    page = await office.manage.pings(actor, monitor.id, kinds=[Kind.LOG], limit=1)
    assert ([one.kind for one in page.items], page.total) == ([Kind.LOG], None)
    rest = await office.manage.pings(actor, monitor.id, kinds=[Kind.LOG], cursor=page.next_cursor)
    assert len(rest.items) == 1


async def test_a_monitor_without_pings_has_an_empty_page(office: Office, actor: Actor) -> None:
    monitor = await office.monitor(actor)
    page = await office.manage.pings(actor, monitor.id)
    assert (page.items, page.total, page.next_cursor) == ([], 0, None)
    assert (await office.manage.pings(actor, monitor.id, cursor=12345)).items == []


async def test_a_plans_history_ends_after_its_days(office: Office, room: Room) -> None:
    actor = await office.actor("cronpeek")
    monitor = await pinged(office, room, await office.actor(), "")
    room.pass_(8 * 86_400)
    await room.ping(Job(monitor.id, monitor.token))
    unlimited = await office.actor("cronpeek", plan="pro")
    [old] = (await office.manage.pings(unlimited, monitor.id, offset=1)).items
    assert await office.manage.ping_body(unlimited, monitor.id, old.id) == b""
    assert len((await office.manage.pings(actor, monitor.id)).items) == 1
    with pytest.raises(TocsinError) as caught:
        await office.manage.ping_body(actor, monitor.id, old.id)
    assert caught.value.code is Code.NOT_FOUND


async def test_what_is_not_ones_own_is_not_found(office: Office, room: Room, actor: Actor) -> None:
    stranger = await office.actor(email="other@example.com")
    monitor = await pinged(office, room, actor, "")
    mine = await office.monitor(stranger)
    [ping] = (await office.manage.pings(actor, monitor.id)).items
    for attempt in (
        office.manage.pings(stranger, monitor.id),
        office.manage.flips(stranger, monitor.id),
        office.manage.incidents(stranger, monitor.id),
        office.manage.ping_body(stranger, monitor.id, ping.id),
        office.manage.ping_body(stranger, mine.id, ping.id),
        office.manage.notifications(stranger, monitor_id=monitor.id),
        office.manage.notification(stranger, "x"),
    ):
        with pytest.raises(TocsinError) as caught:
            await attempt
        assert caught.value.code is Code.NOT_FOUND
    assert (await office.manage.pings(stranger, mine.id, cursor=ping.id)).items == []


@pytest.mark.parametrize("number", [-1, 0, 2**63, 2**80])
async def test_absurd_numbers_find_nothing(office: Office, actor: Actor, number: int) -> None:
    monitor = await office.monitor(actor)
    manage = office.manage
    assert (await manage.pings(actor, monitor.id, cursor=number)).items == []
    assert (await manage.pings(actor, monitor.id, offset=max(0, number))).items == []
    assert (await manage.flips(actor, cursor=number)).items == []
    assert (await manage.incidents(actor, cursor=number)).items == []
    assert (await manage.notifications(actor, cursor=number)).items == []
    assert len((await manage.monitors(actor, MonitorQuery(cursor=number))).items) == (number > 1)
    assert len((await manage.monitors(actor, MonitorQuery(offset=max(0, number)))).items) == (number < 1)
    with pytest.raises(TocsinError):
        await manage.ping_body(actor, monitor.id, number)


@pytest.mark.parametrize("text", ["\ud800", "\0", "%", "'"])
async def test_odd_texts_find_nothing(office: Office, actor: Actor, text: str) -> None:
    await office.monitor(actor)
    manage = office.manage
    assert (await manage.monitors(actor, MonitorQuery(text=text))).items == []
    assert (await manage.monitors(actor, MonitorQuery(tags=(text,)))).items == []
    assert (await manage.notifications(actor, statuses=[text])).items == []
    assert await manage.link_purpose(text) is None
    assert await manage.session_account(text) is None
    await manage.send_sign_in_link(text)
    for attempt in (manage.notification, manage.revoke_key):
        with pytest.raises(TocsinError):
            await attempt(actor, text)


async def test_a_ping_without_a_body_has_an_empty_one(office: Office, room: Room, actor: Actor) -> None:
    monitor = await pinged(office, room, actor, "")
    [ping] = (await office.manage.pings(actor, monitor.id)).items
    assert await office.manage.ping_body(actor, monitor.id, ping.id) == b""


async def test_incidents_are_the_spans_from_down_to_up(office: Office, room: Room, actor: Actor) -> None:
    monitor = await pinged(office, room, actor, "", "fail", "", "", "fail")
    page = await office.manage.incidents(actor, limit=1)
    [last] = page.items
    assert (last.ended_at, last.reason, last.monitor_uid) == (None, "failed", monitor.uid)
    [first] = (await office.manage.incidents(actor, monitor.id, cursor=page.next_cursor)).items
    assert first.ended_at == first.started_at + 1_000_000
    flips = await office.manage.flips(actor)
    assert [flip.new for flip in flips.items] == ["down", "up", "down", "up"]
    older = await office.manage.flips(actor, monitor.id, limit=1, cursor=flips.items[1].id)
    assert (older.items, older.next_cursor) == ([flips.items[2]], flips.items[2].id)


async def test_notifications_tell_what_was_sent_to_whom(office: Office, room: Room, actor: Actor) -> None:
    channel = await office.manage.create_channel(actor, "webhook", "hook", {"url": "https://example.com"})
    monitor = await office.monitor(actor, mail="none", channel_ids=[channel.uid])
    for action in ("", "fail", ""):
        room.pass_(1)
        await room.ping(Job(monitor.id, monitor.token), action)
    page = await office.manage.notifications(actor, limit=1)
    assert [(one.event, one.channel_uid) for one in page.items] == [("monitor.up", channel.uid)]
    [first] = (await office.manage.notifications(actor, monitor_id=monitor.id, cursor=page.next_cursor)).items
    assert (first.event, first.status, first.monitor_uid) == ("monitor.down", "pending", monitor.uid)
    assert await office.manage.notification(actor, first.uid) == first
    assert (await office.manage.notifications(actor, statuses=["failed"])).items == []

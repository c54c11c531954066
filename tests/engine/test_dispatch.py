"""Delivery: promises 3, 7 and 8, on a real store, with senders that record or a real receiver."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from ipaddress import ip_network
from typing import Any

import pytest
from sqlalchemy import Connection

from tests.outbox import (
    BUSY,
    DELIVERED,
    GONE,
    REFUSED,
    VOICE,
    Outbox,
    Recorder,
    down,
    paused,
    up,
)
from tests.receivers import Answer, HttpReceiver
from tocsin.channels.webhook import Webhook
from tocsin.domain.alert import Event
from tocsin.domain.channel import Sender
from tocsin.engine.clock import Clock, wall_clock
from tocsin.engine.dispatch import Dispatch, DispatchConfig
from tocsin.engine.retry import RetryConfig
from tocsin.outbound import Outbound
from tocsin.store import notifications, tables
from tocsin.store.sqlite import SqliteStore

QUICK = RetryConfig(first_seconds=0.02, longest_seconds=0.05, give_up_seconds=60)


@pytest.fixture
async def outbox(store: SqliteStore) -> Outbox:
    return await Outbox.open(store)


def dispatcher(outbox: Outbox, *senders: Sender, store: Any = None, **settings: Any) -> Dispatch:
    config = DispatchConfig(**{"retry": QUICK, "pause_seconds": 0.01, **settings})
    by_name = {sender.name: sender for sender in senders}
    return Dispatch(store or outbox.store, Clock(), outbox.vault, by_name, lambda: VOICE, config)


@asynccontextmanager
async def running(outbox: Outbox, *senders: Sender, **settings: Any) -> AsyncIterator[Dispatch]:
    """A dispatch at work; stopped at the end."""
    dispatch = dispatcher(outbox, *senders, **settings)
    task = asyncio.create_task(dispatch.run())
    try:
        yield dispatch
    finally:
        await dispatch.stop()
        await task


async def until(is_so: Callable[[], bool], seconds: float = 20) -> None:
    """Wait until something is so."""
    ends_at = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < ends_at
        await asyncio.sleep(0.005)


async def deliver(outbox: Outbox, *senders: Sender, **settings: Any) -> None:
    """Dispatch until nothing waits any more."""
    async with running(outbox, *senders, **settings):
        for _ in range(2_000):
            if not await outbox.notes(status="pending"):
                return
            await asyncio.sleep(0.01)
    raise AssertionError("something is still waiting")


async def outcomes(outbox: Outbox) -> list[tuple[Any, ...]]:
    return await outbox.rows(tables.attempt, "outcome", "code")


async def test_an_alert_is_delivered_and_the_attempt_is_written_down(outbox: Outbox) -> None:
    hook = Recorder()
    await outbox.channel(config={"url": "https://a.example.com/x"})
    await outbox.flip(down(await outbox.monitor()))
    await deliver(outbox, hook)
    [note] = await outbox.notes()
    assert (note.status, note.attempts) == ("delivered", 1)
    [(config, [facts])] = hook.sent
    assert config == {"url": "https://a.example.com/x"}
    assert facts == note.facts
    assert await outcomes(outbox) == [("delivered", 200)]


async def test_a_wake_is_enough(outbox: Outbox) -> None:
    hook = Recorder()
    await outbox.channel()
    job = await outbox.monitor()
    async with running(outbox, hook) as dispatch:
        await asyncio.sleep(0.1)
        await outbox.flip(down(job))
        dispatch.wake()
        await until(lambda: bool(hook.sent), seconds=2)


@pytest.mark.promise(8)
async def test_what_fails_is_tried_again_under_the_same_id(outbox: Outbox) -> None:
    hook = Recorder(answers=[BUSY, BUSY, BUSY, DELIVERED])
    await outbox.channel()
    await outbox.flip(down(await outbox.monitor()))
    await deliver(outbox, hook)
    assert len({tuple(ids) for ids in hook.ids()}) == 1
    assert await outcomes(outbox) == [("retry", 503)] * 3 + [("delivered", 200)]
    assert [note.attempts for note in await outbox.notes()] == [4]


@pytest.mark.promise(8)
async def test_order_is_kept_for_each_channel_and_monitor(outbox: Outbox) -> None:
    hook = Recorder(answers=[BUSY, BUSY, DELIVERED])
    await outbox.channel()
    job = await outbox.monitor()
    await outbox.flip(down(job), up(job))
    await deliver(outbox, hook)
    assert hook.events() == [[Event.DOWN]] * 3 + [[Event.UP]]


async def test_what_comes_next_does_not_wait_for_the_dead(outbox: Outbox) -> None:
    hook = Recorder(answers=[REFUSED, DELIVERED])
    await outbox.channel()
    job = await outbox.monitor()
    await outbox.flip(down(job), up(job))
    await deliver(outbox, hook)
    assert [note.status for note in await outbox.notes()] == ["failed", "delivered"]


@pytest.mark.promise(8)
async def test_a_permanent_refusal_ends_it_and_leaves_the_channel_on(outbox: Outbox) -> None:
    hook = Recorder(answers=[REFUSED])
    await outbox.channel()
    for _ in range(4):
        await outbox.flip(down(await outbox.monitor()))
    await deliver(outbox, hook)
    assert len(hook.sent) == 4
    assert {note.status for note in await outbox.notes()} == {"failed"}
    assert await outbox.rows(tables.channel, "enabled", "refusals") == [(True, 0)]


@pytest.mark.promise(8)
async def test_an_address_that_is_gone_three_times_in_a_row_is_switched_off_and_the_owner_told(
    outbox: Outbox,
) -> None:
    broken, other = Recorder(answers=[GONE]), Recorder("slack")
    await outbox.channel()
    for _ in range(5):
        await outbox.flip(down(await outbox.monitor()))
    await outbox.channel("slack")
    await deliver(outbox, broken, other, per_host=1)
    [switched_off, _] = await outbox.rows(tables.channel, "enabled", "refusals", "disabled_reason")
    assert switched_off[0] is False
    assert "answered 410 3 times in a row" in switched_off[2]
    assert other.events() == [[Event.CHANNEL_DISABLED]]
    assert [note.status for note in await outbox.notes(event=Event.DOWN)] == ["failed"] * 5


async def test_a_delivery_in_between_ends_the_row_of_refusals(outbox: Outbox) -> None:
    hook = Recorder(answers=[GONE, GONE, DELIVERED, GONE, GONE])
    await outbox.channel()
    for _ in range(5):
        await outbox.flip(down(await outbox.monitor()))
        await deliver(outbox, hook)
    assert await outbox.rows(tables.channel, "enabled", "refusals") == [(True, 2)]


@pytest.mark.promise(8)
async def test_after_its_time_it_is_a_dead_letter_that_is_shown(outbox: Outbox) -> None:
    hook = Recorder(answers=[BUSY])
    await outbox.channel()
    await outbox.flip(down(await outbox.monitor()))
    await deliver(outbox, hook, retry=RetryConfig(0.01, 0.02, give_up_seconds=0.1))
    [note] = await outbox.notes()
    assert note.status == "failed"
    assert note.attempts > 1
    summary = await outbox.store.read(notifications.outbox_summary)
    assert summary == (0, None, 1)


async def test_a_sender_that_has_a_fault_loses_nothing(outbox: Outbox) -> None:
    hook = Recorder()

    async def fail_once(_config: Mapping[str, Any]) -> None:
        if len(hook.sent) == 1:
            raise ZeroDivisionError

    hook.before_answer = fail_once
    await outbox.channel()
    await outbox.flip(down(await outbox.monitor()))
    await deliver(outbox, hook)
    assert await outcomes(outbox) == [("retry", None), ("delivered", 200)]


@pytest.mark.parametrize(
    ("flaw", "detail"),
    [
        ({"enabled": False}, "the channel is switched off"),
        ({"kind": "pigeon"}, "this Tocsin has no channel kind pigeon"),
        ({"config": "never sealed"}, "a sealed secret does not open with this key"),
    ],
)
async def test_what_cannot_be_sent_is_dead_at_once_and_says_why(
    outbox: Outbox, flaw: dict[str, Any], detail: str
) -> None:
    hook = Recorder()
    channel_id = await outbox.channel()
    await outbox.flip(down(await outbox.monitor()))
    await outbox.set(tables.channel, "id", channel_id, **flaw)
    await deliver(outbox, hook)
    assert [note.status for note in await outbox.notes()] == ["failed"]
    assert await outbox.rows(tables.attempt, "outcome", "detail") == [("refused", detail)]
    assert hook.sent == []


async def test_what_waits_for_a_deleted_channel_is_withdrawn(outbox: Outbox) -> None:
    channel_id = await outbox.channel()
    await outbox.flip(down(await outbox.monitor()))
    await outbox.set(tables.channel, "id", channel_id, deleted_at=1)
    await deliver(outbox, Recorder())
    assert [note.status for note in await outbox.notes()] == ["withdrawn"]


# People


async def test_members_are_who_they_are_when_the_mail_is_sent(outbox: Outbox) -> None:
    mail = Recorder("email", for_people=True)
    members = await outbox.channel("email", {"members": True}, hidden=True)
    await outbox.flip(down(await outbox.monitor(mail_channel_id=members)))
    await outbox.member("on@example.com")
    await outbox.member("off@example.com", wants_alerts=False)
    await outbox.member("new@example.com", verified=False)
    await deliver(outbox, mail)
    assert [config for config, _ in mail.sent] == [{"to": ["on@example.com"]}]


async def test_without_a_member_who_wants_alerts_it_is_dead_at_once(outbox: Outbox) -> None:
    mail = Recorder("email", for_people=True)
    members = await outbox.channel("email", {"members": True}, hidden=True)
    await outbox.flip(down(await outbox.monitor(mail_channel_id=members)))
    await deliver(outbox, mail)
    assert await outbox.rows(tables.attempt, "detail") == [("no verified member wants alerts",)]


@pytest.mark.promise(8)
async def test_people_get_one_message_for_a_flood_and_programs_one_for_each_alert(outbox: Outbox) -> None:
    chat, hook = Recorder("slack", for_people=True), Recorder()
    await outbox.channel("slack")
    await outbox.channel("webhook")
    await outbox.flip(*[down(await outbox.monitor(str(number))) for number in range(8)])
    await deliver(outbox, chat, hook)
    assert [len(ids) for ids in chat.ids()] == [8]
    assert [len(ids) for ids in hook.ids()] == [1] * 8
    assert {note.status for note in await outbox.notes()} == {"delivered"}


@pytest.mark.promise(8)
async def test_a_digest_that_is_tried_again_says_the_same(outbox: Outbox) -> None:
    chat = Recorder("slack", for_people=True, answers=[BUSY, DELIVERED])
    await outbox.channel("slack")
    jobs = [await outbox.monitor(str(number)) for number in range(8)]
    await outbox.flip(*(down(job) for job in jobs[:6]))

    async def more_comes(_config: Mapping[str, Any]) -> None:
        if len(chat.sent) == 1:
            await outbox.flip(*(down(job) for job in jobs[6:]))

    chat.before_answer = more_comes
    await deliver(outbox, chat, digest_seconds=0.5)
    # What came later overtakes the digest, and does not get into it.
    assert sorted(len(ids) for ids in chat.ids()) == [1, 1, 6, 6]
    first, again = (ids for ids in chat.ids() if len(ids) == 6)
    assert first == again
    assert len(await outcomes(outbox)) == 14


@pytest.mark.promise(5)
async def test_a_flood_of_late_pings_is_told_in_order(outbox: Outbox) -> None:
    chat = Recorder("slack", for_people=True)
    await outbox.channel("slack")
    jobs = [await outbox.monitor(str(number)) for number in range(3)]
    await outbox.flip(*(change for job in jobs for change in (down(job), up(job))))
    await deliver(outbox, chat)
    assert chat.events() == [[Event.DOWN, Event.UP] * 3]


# Many at once


@pytest.mark.promise(8)
async def test_one_receiver_that_hangs_holds_nobody_up(outbox: Outbox) -> None:
    hook = Recorder()
    stuck = asyncio.Event()

    async def hang(config: Mapping[str, Any]) -> None:
        if "dead" in config["url"]:
            await stuck.wait()

    hook.before_answer = hang
    dead = await outbox.channel(config={"url": "https://dead.example.com/"}, hidden=True)
    alive = await outbox.channel(config={"url": "https://alive.example.com/"}, hidden=True)
    jobs = [await outbox.monitor(fan_out=False, webhook_channel_id=dead) for _ in range(40)]
    last = await outbox.monitor(fan_out=False, webhook_channel_id=alive)
    await outbox.flip(*(down(job) for job in (*jobs, last)))
    async with running(outbox, hook, per_host=4, in_all=8):
        await until(lambda: any("alive" in config["url"] for config, _ in hook.sent), seconds=5)
        assert len(hook.sent) == 5
        stuck.set()
        await until(lambda: len(hook.sent) == 41)


async def test_a_long_backlog_for_hosts_without_room_hides_nobody(
    outbox: Outbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Every one of the dead has a channel of its own, and more of them than a page holds.
    monkeypatch.setattr("tocsin.engine.claim.PAGE", 5)
    monkeypatch.setattr("tocsin.engine.claim.SCAN_PAGE", 5)
    monkeypatch.setattr("tocsin.engine.claim.MOST_CLOSED", 3)
    hook = Recorder()
    stuck = asyncio.Event()

    async def hang(config: Mapping[str, Any]) -> None:
        if "dead" in config["url"]:
            await stuck.wait()

    hook.before_answer = hang
    hosts = [*["dead"] * 60, "alive"]
    changes = []
    for number, host in enumerate(hosts):
        config = {"url": f"https://{host}.example.com/{number}"}
        channel_id = await outbox.channel(config=config, hidden=True)
        changes.append(down(await outbox.monitor(fan_out=False, webhook_channel_id=channel_id)))
    await outbox.flip(*changes)
    async with running(outbox, hook, per_host=2, in_all=8):
        await until(lambda: any("alive" in config["url"] for config, _ in hook.sent), seconds=5)
        stuck.set()
        await until(lambda: len(hook.sent) == 61)


async def test_so_many_are_sent_at_once_to_a_host_and_so_many_in_all(outbox: Outbox) -> None:
    hook = Recorder()
    now: dict[str, int] = {}
    most: dict[str, int] = {}

    async def count(config: Mapping[str, Any]) -> None:
        for name in (config["url"], "all"):
            now[name] = now.get(name, 0) + 1
            most[name] = max(most.get(name, 0), now[name])
        await asyncio.sleep(0.005)
        for name in (config["url"], "all"):
            now[name] -= 1

    hook.before_answer = count
    urls = [f"https://{host}.example.com/" for host in ("a", "b", "c")]
    for url in urls:
        await outbox.channel(config={"url": url})
    await outbox.flip(*[down(await outbox.monitor()) for _ in range(60)])
    await deliver(outbox, hook, per_host=4, in_all=10)
    assert len(hook.sent) == 180
    assert most == {**dict.fromkeys(urls, 4), "all": 10}


async def test_results_share_commits(outbox: Outbox) -> None:
    hook = Recorder()
    await outbox.channel()
    await outbox.flip(*[down(await outbox.monitor()) for _ in range(300)])
    store = Counting(outbox.store)
    await deliver(outbox, hook, store=store)
    assert len(hook.sent) == 300
    assert store.writes < 30


# Crashes, and more than one process


class Counting:
    """The store, which counts writes and fails those it is told to fail, after `fn` ran: a crash before the
    commit."""

    def __init__(self, store: SqliteStore, *fails: int) -> None:
        self._store = store
        self._fails = fails
        self.writes = 0

    async def read(self, fn: Callable[[Connection], Any]) -> Any:
        return await self._store.read(fn)

    async def write(self, fn: Callable[[Connection], Any]) -> Any:
        self.writes += 1
        if self.writes not in self._fails:
            return await self._store.write(fn)

        def fail(connection: Connection) -> None:
            fn(connection)
            raise OSError("disk full")

        return await self._store.write(fail)


@pytest.mark.promise(3)
async def test_a_crash_between_the_answer_and_its_commit_sends_the_same_id_again(outbox: Outbox) -> None:
    hook = Recorder()
    await outbox.channel()
    await outbox.flip(down(await outbox.monitor()))
    # Its second write is the one that would say "delivered".
    crashing = dispatcher(outbox, hook, store=Counting(outbox.store, *range(2, 99)), attempt_seconds=0.3)
    task = asyncio.create_task(crashing.run())
    await until(lambda: bool(hook.sent))
    await asyncio.sleep(0.1)
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    assert [note.status for note in await outbox.notes()] == ["pending"]

    await deliver(outbox, hook)
    first, again = hook.ids()
    assert first == again
    assert [note.status for note in await outbox.notes()] == ["delivered"]


async def test_a_database_that_is_away_for_a_moment_loses_no_result(
    outbox: Outbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tocsin.engine.dispatch.AFTER_FAILURE_SECONDS", 0.01)
    hook = Recorder()
    await outbox.channel()
    await outbox.flip(down(await outbox.monitor()))
    await deliver(outbox, hook, store=Counting(outbox.store, 2, 3))
    assert len(hook.sent) == 1
    assert await outcomes(outbox) == [("delivered", 200)]


@pytest.mark.promise(7)
async def test_two_processes_never_send_the_same_alert(outbox: Outbox) -> None:
    hooks = [Recorder(), Recorder()]

    async def take_time(_config: Mapping[str, Any]) -> None:
        await asyncio.sleep(0.002)

    for hook in hooks:
        hook.before_answer = take_time
    for _ in range(3):
        await outbox.channel()
    await outbox.flip(*[down(await outbox.monitor()) for _ in range(60)])
    await asyncio.gather(*(deliver(outbox, hook, in_all=8, per_host=4) for hook in hooks))
    sent = [tuple(ids) for hook in hooks for ids in hook.ids()]
    assert len(sent) == len(set(sent)) == 180
    assert all(hook.sent for hook in hooks)


@pytest.mark.promise(7)
async def test_a_lease_is_another_process_until_it_ends(outbox: Outbox) -> None:
    hook = Recorder()
    await outbox.channel()
    await outbox.flip(down(await outbox.monitor()))
    until_at = wall_clock() + 300_000
    lease = {"next_attempt_at": until_at, "lease_until": until_at}
    await outbox.set(tables.notification, "id", 1, **lease)
    await deliver(outbox, hook)
    assert wall_clock() >= until_at
    assert len(hook.sent) == 1


async def test_who_delivers_alone_waits_for_no_lease_of_a_dead_process(outbox: Outbox) -> None:
    hook = Recorder()
    await outbox.channel()
    await outbox.flip(down(await outbox.monitor()))
    until_at = wall_clock() + 3_600_000_000
    await outbox.set(tables.notification, "id", 1, next_attempt_at=until_at, lease_until=until_at)
    await deliver(outbox, hook, alone=True)
    assert len(hook.sent) == 1


async def test_a_pause_that_comes_too_late_hides_no_delivery(outbox: Outbox) -> None:
    hook = Recorder()
    await outbox.channel()
    job = await outbox.monitor()
    await outbox.flip(down(job))

    async def pause(_config: Mapping[str, Any]) -> None:
        await outbox.flip(paused(job))

    hook.before_answer = pause
    async with running(outbox, hook) as dispatch:
        await until(lambda: dispatch.delivered == 1)
    assert [note.status for note in await outbox.notes()] == ["delivered"]


async def test_what_is_withdrawn_while_it_waits_for_its_turn_is_not_sent(
    outbox: Outbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tocsin.engine.dispatch.STALE", 0)
    hook = Recorder()
    stuck = asyncio.Event()

    async def hang(_config: Mapping[str, Any]) -> None:
        await stuck.wait()

    hook.before_answer = hang
    await outbox.channel()
    first, second = await outbox.monitor(), await outbox.monitor()
    await outbox.flip(down(first), down(second))
    async with running(outbox, hook, per_host=1) as dispatch:
        await until(lambda: bool(hook.sent) and dispatch._lanes.waiting == 1)
        await outbox.flip(paused(second))
        stuck.set()
        await until(lambda: dispatch.delivered == 1)
    assert len(hook.sent) == 1
    assert [note.status for note in await outbox.notes()] == ["delivered", "withdrawn"]


async def test_stopping_lets_attempts_end_and_gives_back_what_has_not_begun(outbox: Outbox) -> None:
    hook = Recorder()

    async def take_time(_config: Mapping[str, Any]) -> None:
        await asyncio.sleep(0.1)

    hook.before_answer = take_time
    await outbox.channel()
    await outbox.flip(*[down(await outbox.monitor()) for _ in range(3)])
    async with running(outbox, hook, per_host=2):
        await until(lambda: len(hook.sent) == 2)
    assert [note.status for note in await outbox.notes()] == ["delivered", "delivered", "pending"]
    rows = await outbox.rows(tables.notification, "next_attempt_at", "lease_until")
    assert rows[2][0] <= wall_clock()
    assert rows[2][1] is None


# How it is shown


async def test_a_notification_is_shown_with_its_attempts(outbox: Outbox) -> None:
    hook = Recorder(answers=[BUSY, DELIVERED])
    await outbox.channel(uid="shared")
    own = await outbox.channel(uid="own", hidden=True)
    job = await outbox.monitor(webhook_channel_id=own)
    await outbox.flip(down(job))
    await deliver(outbox, hook)
    project_id = outbox.project_id

    newest, oldest = await outbox.store.read(lambda c: notifications.page(c, project_id, monitor_id=job))
    assert (newest.channel_uid, oldest.channel_uid) == (None, "shared")
    assert newest.monitor_name == "Nightly backup"
    found = await outbox.store.read(lambda c: notifications.find(c, project_id, oldest.uid))
    assert found is not None
    assert [one.outcome for one in found.attempt_list] == ["retry", "delivered"]
    assert await outbox.store.read(lambda c: notifications.find(c, project_id + 1, oldest.uid)) is None


async def test_pages_go_on_where_the_last_one_ended(outbox: Outbox) -> None:
    await outbox.channel()
    for _ in range(3):
        await outbox.flip(down(await outbox.monitor()))

    def pages(connection: Connection) -> list[list[int]]:
        first = notifications.page(connection, outbox.project_id, limit=2)
        rest = notifications.page(connection, outbox.project_id, limit=2, cursor=first[-1].id)
        dead = notifications.page(connection, outbox.project_id, statuses=["failed"])
        return [[one.id for one in part] for part in (first, rest, dead)]

    assert await outbox.store.read(pages) == [[3, 2], [1], []]


async def test_pruning_keeps_what_waits_and_what_a_recovery_needs(outbox: Outbox) -> None:
    hook = Recorder()
    await outbox.channel()
    still_down, recovered = await outbox.monitor(), await outbox.monitor()
    await outbox.set(tables.monitor_state, "monitor_id", still_down, status="down")
    await outbox.flip(down(still_down), down(recovered))
    await deliver(outbox, hook)
    await outbox.flip(up(recovered))
    old, last = await outbox.store.read(
        lambda c: notifications.find_old(c, 0, before=wall_clock(), limit=100)
    )
    assert (old, last) == ([2], 3)
    await outbox.store.write(lambda c: notifications.remove(c, old))
    assert await outcomes(outbox) == [("delivered", 200)]
    assert [(note.monitor_id, note.status) for note in await outbox.notes()] == [
        (still_down, "delivered"),
        (recovered, "pending"),
    ]


@pytest.mark.promise(8)
async def test_a_webhook_that_failed_is_called_again_with_the_same_key(outbox: Outbox) -> None:
    outbound = Outbound([ip_network("127.0.0.0/8")])
    with HttpReceiver(500, Answer(503, headers={"retry-after": "0"}), 200) as receiver:
        await outbox.channel(config={"url": f"{receiver.url}/hook", "secret": "s" * 16, "format": "house"})
        await outbox.flip(down(await outbox.monitor()))
        await deliver(outbox, Webhook(outbound, {}))
        requests = receiver.wait_for(3)
    await outbound.close()
    [note] = await outbox.notes()
    assert {request.headers["idempotency-key"] for request in requests} == {note.facts.id}
    assert {request.json()["id"] for request in requests} == {note.facts.id}
    assert requests[0].json()["event"] == "monitor.down"
    assert await outcomes(outbox) == [("retry", 500), ("retry", 503), ("delivered", 200)]

"""What is told of a change, and to whom: docs/delivery.md."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from sqlalchemy import Connection

from tests.outbox import MINUTE, VOICE, Outbox, down, paused, standing, up
from tocsin.domain.alert import Event, Facts, PingLine, Subject
from tocsin.domain.monitor import SECOND, Flip, Gap, Reason, Status
from tocsin.engine.alerts import (
    Change,
    Reminder,
    record_away,
    record_channel_disabled,
    record_flips,
    record_reminders,
)
from tocsin.store import channels, tables
from tocsin.store.notifications import read_facts, withdraw, withdraw_channels, write_facts
from tocsin.store.prepared import driver
from tocsin.store.sqlite import SqliteStore

AT = 1_774_750_200 * SECOND  # 2026-03-29 02:10 UTC
LATER = AT + 3600 * SECOND


@pytest.fixture
async def outbox(store: SqliteStore) -> Outbox:
    return await Outbox.open(store)


async def test_a_down_is_told_on_every_shared_channel_and_on_the_monitors_own(outbox: Outbox) -> None:
    chat, hook = await outbox.channel("slack"), await outbox.channel("webhook")
    own_mail = await outbox.channel("email", {"to": ["a@example.com"]}, hidden=True)
    own_hook = await outbox.channel("webhook", hidden=True)
    job = await outbox.monitor(mail_channel_id=own_mail, webhook_channel_id=own_hook)
    await outbox.flip(down(job, AT), now=AT)
    assert [note.channel_id for note in await outbox.notes()] == [chat, hook, own_mail, own_hook]


async def test_explicit_channels_replace_the_shared_ones(outbox: Outbox) -> None:
    named = await outbox.channel("slack")
    await outbox.channel("webhook")
    job = await outbox.monitor(channel_ids=f"[{named}]")
    await outbox.flip(down(job, AT), now=AT)
    assert [note.channel_id for note in await outbox.notes()] == [named]


async def test_a_channel_named_twice_is_told_once(outbox: Outbox) -> None:
    hook = await outbox.channel("webhook", hidden=True)
    job = await outbox.monitor(channel_ids=f"[{hook}]", webhook_channel_id=hook)
    await outbox.flip(down(job, AT), now=AT)
    assert len(await outbox.notes()) == 1


@pytest.mark.parametrize("flaw", [{"enabled": False}, {"deleted_at": 1}, {"verified_at": None}])
async def test_a_shared_channel_is_not_told_if_it_is(outbox: Outbox, flaw: dict[str, Any]) -> None:
    await outbox.channel("slack", **flaw)
    await outbox.flip(down(await outbox.monitor(), AT), now=AT)
    assert await outbox.notes() == []


@pytest.mark.parametrize(("verified_at", "told"), [(None, 0), (1, 1)])
async def test_an_explicit_channel_is_told_once_it_is_verified(
    outbox: Outbox, verified_at: int | None, told: int
) -> None:
    named = await outbox.channel("webhook", verified_at=verified_at)
    await outbox.channel("webhook")
    await outbox.flip(down(await outbox.monitor(channel_ids=f"[{named}]"), AT), now=AT)
    assert len(await outbox.notes()) == told


async def test_without_fan_out_and_channels_nobody_is_told_and_the_flip_stays(outbox: Outbox) -> None:
    await outbox.channel()
    await outbox.flip(down(await outbox.monitor(fan_out=False), AT), now=AT)
    assert await outbox.notes() == []
    assert await outbox.rows(tables.flip, "at", "new", "reason") == [(AT, "down", "missed")]


async def test_nobody_is_told_of_a_deleted_monitor(outbox: Outbox) -> None:
    await outbox.channel()
    await outbox.flip(down(await outbox.monitor(deleted_at=1), AT), now=AT)
    assert await outbox.notes() == []


@pytest.mark.promise(3)
async def test_a_flip_and_its_notifications_are_one_transaction(outbox: Outbox) -> None:
    await outbox.channel()
    change = replace(down(await outbox.monitor(), AT), project_id=outbox.project_id)

    def fail(connection: Connection) -> None:
        record_flips(connection, [change], AT, VOICE)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await outbox.store.write(fail)
    assert await outbox.notes() == []
    assert await outbox.rows(tables.flip, "id") == []


async def test_what_is_not_announced_is_not_told(outbox: Outbox) -> None:
    await outbox.channel()
    began = Flip(AT, Status.NEW, Status.UP, Reason.PING, announced=False)
    await outbox.flip(Change(await outbox.monitor(), 0, began, standing(Status.UP, AT)), now=AT)
    assert await outbox.notes() == []


async def test_a_flip_keeps_what_else_there_is_to_say_of_it(outbox: Outbox) -> None:
    job = await outbox.monitor()
    failed = Flip(AT, Status.UP, Status.DOWN, Reason.FAILED, announced=True, exit_code=3, run_id="r")
    await outbox.flip(Change(job, 0, failed, standing(at=AT)), now=AT)
    assert await outbox.rows(tables.flip, "detail") == [('{"exit_code":3,"run_id":"r"}',)]


async def test_a_recovery_is_told_where_its_down_was_told(outbox: Outbox) -> None:
    old = await outbox.channel()
    job = await outbox.monitor()
    await outbox.flip(down(job, AT), now=AT)
    await outbox.channel()
    await outbox.flip(up(job, LATER), now=LATER)
    [told] = await outbox.notes(event=Event.UP)
    assert told.channel_id == old
    assert told.facts.message == "Nightly backup is up again after 1 hour."
    assert (told.facts.since_at, told.facts.previous_status) == (AT, "down")


async def test_a_recovery_is_told_where_its_down_was_whoever_is_told_by_now(outbox: Outbox) -> None:
    old, new, gone = await outbox.channel(), await outbox.channel(), await outbox.channel()
    job, other = await outbox.monitor(channel_ids=f"[{old},{gone}]"), await outbox.monitor()
    await outbox.flip(down(job, AT), down(other, AT), now=AT)
    await outbox.set(tables.monitor, "id", job, channel_ids=f"[{new}]")
    await outbox.set(tables.channel, "id", gone, enabled=False)
    await outbox.flip(up(job, LATER), down(job, LATER + 1), up(other, LATER), now=LATER)
    later = [note for note in await outbox.notes() if note.monitor_id == job and note.facts.at >= LATER]
    assert [(note.facts.event, note.channel_id) for note in later] == [(Event.UP, old), (Event.DOWN, new)]


@pytest.mark.promise(5)
async def test_a_late_ping_tells_the_down_and_then_the_recovery(outbox: Outbox) -> None:
    await outbox.channel()
    job = await outbox.monitor()
    await outbox.pings(job, AT - 70 * MINUTE, LATER)
    late: dict[str, Any] = {"last_ping_at": LATER, "last_success_at": LATER}
    await outbox.flip(down(job, AT, **late), up(job, LATER), now=LATER)
    first, second = await outbox.notes()
    assert (first.event, second.event) == (Event.DOWN, Event.UP)
    # The state is already the one after the ping that came too late.
    assert first.facts.last_ping_at == AT - 70 * MINUTE
    assert second.facts.since_at == AT


@pytest.mark.parametrize(
    ("rules", "told"),
    [
        ({"alert_on_recovery": False}, [Event.DOWN]),
        ({"alert_on_down": False}, []),
    ],
)
async def test_a_project_has_rules(store: SqliteStore, rules: dict[str, bool], told: list[Event]) -> None:
    outbox = await Outbox.open(store, **rules)
    await outbox.channel()
    job = await outbox.monitor()
    await outbox.flip(down(job, AT), now=AT)
    await outbox.flip(up(job, LATER), now=LATER)
    assert [note.event for note in await outbox.notes()] == told


async def test_people_get_the_last_five_pings_and_programs_do_not(outbox: Outbox) -> None:
    await outbox.channel("slack")
    await outbox.channel("webhook")
    job = await outbox.monitor()
    times = [AT - minutes * MINUTE for minutes in (130, 120, 110, 100, 90, 80, 70)]
    await outbox.pings(job, *times)
    await outbox.flip(down(job, AT), now=AT)
    people, program = await outbox.notes()
    assert [line.at for line in people.facts.pings] == times[:1:-1]
    assert people.facts.pings[0] == PingLine(AT - 70 * MINUTE, "success")
    assert program.facts.pings == ()


async def test_the_facts_name_the_monitor_and_its_page(outbox: Outbox) -> None:
    await outbox.channel()
    await outbox.flip(down(await outbox.monitor(uid="f" * 32), AT), now=AT)
    [note] = await outbox.notes()
    page = f"https://tocsin.example.com/monitors/{'f' * 32}"
    subject = Subject("f" * 32, "Nightly backup", "nightly-backup", ("db", "prod"), "down", page)
    assert note.facts.monitor == subject
    assert (note.facts.event, note.facts.at, note.facts.deadline_at) == (Event.DOWN, AT, AT)


async def test_ids_are_24_characters_of_base62_and_never_the_same(outbox: Outbox) -> None:
    for _ in range(3):
        await outbox.channel()
    await outbox.flip(down(await outbox.monitor(), AT), now=AT)
    ids = {note.facts.id for note in await outbox.notes()}
    assert len(ids) == 3
    assert all(len(one) == 24 and one.isascii() and one.isalnum() for one in ids)


async def test_an_alert_is_noted_on_its_monitor_once_it_may_go_out(outbox: Outbox) -> None:
    await outbox.channel()
    told, snoozed = await outbox.monitor(), await outbox.monitor()
    await outbox.flip(down(told, AT), down(snoozed, AT, snoozed_until=LATER), now=AT)
    assert await outbox.rows(tables.monitor_state, "last_alert_at") == [(AT,), (None,)]


async def test_a_silent_network_is_mentioned(outbox: Outbox) -> None:
    await outbox.channel()
    voice = replace(VOICE, last_heard_at=AT - 90 * MINUTE)
    await outbox.flip(down(await outbox.monitor(), AT), now=AT, voice=voice)
    [note] = await outbox.notes()
    assert note.facts.lines == (
        "no job has been heard since 00:40 UTC: check the network in front of Tocsin",
    )


async def test_the_number_of_statements_does_not_grow_with_the_batch(outbox: Outbox) -> None:
    await outbox.channel("slack")
    jobs = [await outbox.monitor() for _ in range(64)]

    async def statements(count: int, at: int) -> int:
        seen: list[str] = []

        def write(connection: Connection) -> None:
            driver(connection).set_trace_callback(seen.append)
            changes = [replace(down(job, at), project_id=outbox.project_id) for job in jobs[:count]]
            record_flips(connection, changes, at, VOICE)
            driver(connection).set_trace_callback(None)

        await outbox.store.write(write)
        return len(seen)

    assert await statements(1, AT) == await statements(64, AT + 1)


async def test_a_paused_monitor_has_its_unsent_notifications_withdrawn(outbox: Outbox) -> None:
    await outbox.channel()
    job, other = await outbox.monitor(), await outbox.monitor()
    await outbox.flip(down(job), down(other))
    await outbox.flip(paused(job))
    assert [note.status for note in await outbox.notes()] == ["withdrawn", "pending"]


async def test_deleted_monitors_and_channels_have_theirs_withdrawn_too(outbox: Outbox) -> None:
    first, second = await outbox.channel(), await outbox.channel()
    job, other = await outbox.monitor(), await outbox.monitor()
    await outbox.flip(down(job), down(other))
    await outbox.store.write(lambda connection: withdraw(connection, [job], AT))
    await outbox.store.write(lambda connection: withdraw_channels(connection, [second], AT))
    [left] = await outbox.notes(status="pending")
    assert (left.channel_id, left.monitor_id) == (first, other)


# Reminders


async def test_a_reminder_says_how_long_it_has_been(outbox: Outbox) -> None:
    await outbox.channel()
    job = await outbox.monitor()
    state = standing(at=AT, reason=Reason.FAILED)
    await remind(outbox, Reminder(job, outbox.project_id, state), AT + 7500 * SECOND)
    [note] = await outbox.notes()
    assert note.event == Event.REMINDER
    assert note.facts.message == (
        "Nightly backup is still down, for 2 h 5 min now, since 2026-03-29 02:10 UTC: it reported a failure."
    )


async def test_there_is_no_reminder_of_a_snoozed_monitor(outbox: Outbox) -> None:
    await outbox.channel()
    state = standing(at=AT, snoozed_until=LATER + 1)
    await remind(outbox, Reminder(await outbox.monitor(), outbox.project_id, state), LATER)
    assert await outbox.notes() == []


async def remind(outbox: Outbox, reminder: Reminder, now: int) -> None:
    await outbox.store.write(lambda connection: record_reminders(connection, [reminder], now, VOICE))


# What concerns Tocsin itself

GAP = Gap(AT, AT + 300 * SECOND)


async def test_owners_are_told_of_a_gap_by_mail_to_the_members(outbox: Outbox) -> None:
    await outbox.channel("slack")
    jobs = [await outbox.monitor("b"), await outbox.monitor("a")]
    voice = replace(VOICE, members_config=outbox.vault.seal({"members": True}))

    def tell(connection: Connection) -> None:
        record_away(connection, outbox.project_id, GAP, jobs, LATER, voice)

    await outbox.store.write(tell)
    await outbox.store.write(tell)
    first, second = await outbox.notes(event=Event.AWAY)
    assert first.channel_id == second.channel_id
    [*_, (hidden, kind)] = await outbox.rows(tables.channel, "hidden", "kind")
    assert (hidden, kind) == (True, "email")
    assert first.facts.monitor is None
    assert first.facts.lines == ("a", "b")
    assert first.facts.message.startswith(
        "Tocsin was away from 2026-03-29 02:10:00 UTC to 2026-03-29 02:15:00 UTC (5 minutes), "
        "when 2 jobs were expected."
    )


async def test_without_a_mail_server_owners_are_told_by_the_projects_channels(outbox: Outbox) -> None:
    chat = await outbox.channel("slack")
    await outbox.channel("webhook", hidden=True)
    job = await outbox.monitor()
    await outbox.store.write(
        lambda connection: record_away(connection, outbox.project_id, GAP, [job], LATER, VOICE)
    )
    assert [note.channel_id for note in await outbox.notes()] == [chat]


@pytest.mark.promise(8)
async def test_a_channel_that_was_switched_off_is_told_of_by_another_way(outbox: Outbox) -> None:
    broken, other = await outbox.channel("slack"), await outbox.channel("webhook")

    def tell(connection: Connection) -> None:
        row = channels.get_all(connection, [broken])[broken]
        row = row._replace(disabled_reason="it answered 410 3 times in a row")
        record_channel_disabled(connection, row, AT, VOICE)

    await outbox.store.write(tell)
    [note] = await outbox.notes()
    assert (note.channel_id, note.event) == (other, Event.CHANNEL_DISABLED)
    assert note.facts.message == (
        "The slack channel the slack was switched off: it answered 410 3 times in a row. "
        "No more alerts go there until it is corrected and switched on again."
    )


# Facts are stored as JSON

TIMES = st.integers(0, 2**53)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
SUBJECTS = st.builds(Subject, TEXTS, TEXTS, TEXTS, st.lists(TEXTS).map(tuple), TEXTS, TEXTS)
LINES = st.builds(PingLine, TIMES, TEXTS, st.none() | st.integers(0, 255), st.none() | TIMES)


@given(
    st.builds(
        Facts,
        TEXTS,
        st.sampled_from(Event),
        TIMES,
        TEXTS,
        monitor=st.none() | SUBJECTS,
        since_at=st.none() | TIMES,
        lines=st.lists(TEXTS).map(tuple),
        pings=st.lists(LINES).map(tuple),
    )
)
def test_facts_are_read_as_they_were_written(facts: Facts) -> None:
    assert read_facts(write_facts(facts)) == facts

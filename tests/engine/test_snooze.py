"""What is told when a snooze ends."""

from __future__ import annotations

from typing import Any

import pytest

from tests.outbox import MINUTE, VOICE, Outbox, down, standing, up
from tocsin.domain.alert import Event
from tocsin.domain.monitor import SECOND, State, Status
from tocsin.engine.alerts import Reminder, release_snoozed
from tocsin.store.sqlite import SqliteStore

AT = 1_774_750_200 * SECOND  # 2026-03-29 02:10 UTC


@pytest.fixture
async def outbox(store: SqliteStore) -> Outbox:
    return await Outbox.open(store)


BEFORE, DURING, ENDED = AT, AT + 10 * MINUTE, AT + 60 * MINUTE


@pytest.mark.parametrize(
    ("before", "held", "status", "released"),
    [
        ([], [down], Status.DOWN, [Event.DOWN]),
        ([], [down, up], Status.UP, []),
        ([], [down, up, down], Status.DOWN, [Event.DOWN]),
        ([down], [], Status.DOWN, [Event.REMINDER]),
        ([down], [up], Status.UP, [Event.UP]),
        ([down], [up, down], Status.DOWN, [Event.DOWN]),
        ([down], [up, down, up], Status.UP, [Event.UP]),
        ([down, up], [down, up], Status.UP, []),
        ([down], [up], Status.PAUSED, []),
        ([], [], Status.UP, []),
    ],
)
async def test_at_the_end_of_a_snooze(
    outbox: Outbox, before: list[Any], held: list[Any], status: Status, released: list[Event]
) -> None:
    await outbox.channel()
    job = await outbox.monitor()
    for number, change in enumerate(before):
        await outbox.flip(change(job, BEFORE + number), now=BEFORE + number)
    for number, change in enumerate(held):
        at = DURING + number
        await outbox.flip(change(job, at, snoozed_until=ENDED), now=at)
    assert [note.status for note in await outbox.notes()] == ["pending"] * len(before) + ["held"] * len(held)

    await end_snooze(outbox, job, standing(status, DURING))
    rest = (await outbox.notes())[len(before) :]
    assert [note.event for note in rest if note.status == "pending"] == released
    assert {note.status for note in rest} <= {"pending", "withdrawn"}


async def test_each_channel_hears_what_it_does_not_know_yet(outbox: Outbox) -> None:
    knows = await outbox.channel()
    job = await outbox.monitor()
    await outbox.flip(down(job, BEFORE), now=BEFORE)
    await outbox.channel()
    await outbox.flip(up(job, DURING, snoozed_until=ENDED), now=DURING)
    await end_snooze(outbox, job, standing(Status.UP, DURING))
    [told] = await outbox.notes(event=Event.UP)
    assert (told.channel_id, told.status) == (knows, "pending")


async def test_a_recovery_after_the_snooze_is_not_told_where_the_down_was_held(outbox: Outbox) -> None:
    await outbox.channel()
    job = await outbox.monitor()
    await outbox.flip(down(job, DURING, snoozed_until=ENDED), now=DURING)
    # The ping comes before the watcher has ended the snooze.
    await outbox.flip(up(job, ENDED + 1, snoozed_until=ENDED), now=ENDED + 1)
    await end_snooze(outbox, job, standing(Status.UP, ENDED + 1))
    assert [note.status for note in await outbox.notes()] == ["withdrawn"]


async def end_snooze(outbox: Outbox, job: int, state: State) -> None:
    woken = [Reminder(job, outbox.project_id, state)]
    await outbox.store.write(lambda connection: release_snoozed(connection, woken, ENDED, VOICE))

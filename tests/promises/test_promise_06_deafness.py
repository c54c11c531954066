"""Promise 6: no false alarm for our own deafness. Healthy jobs here ping once, without retry.

The rules are those of docs/rules.md, Judge, written down a second time in `may_be_doubted`.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import NamedTuple

import pytest

from tests.engine_room import Hands, Job, Room, words
from tocsin.domain.monitor import SECOND, Flip, Reason
from tocsin.engine.intake import Full, IntakeConfig
from tocsin.store.sqlite import SqliteStore

pytestmark = pytest.mark.promise(6)

MINUTE, HOUR, DAY = 60, 3600, 86_400


async def test_a_gap_over_the_due_time_gives_the_next_ping_its_time(store: SqliteStore) -> None:
    room = await Room.open(store)
    job = await room.add(interval=10, grace=30)
    await room.ping(job)
    room.pass_(5)
    room.freeze(20)  # the ping due at 10 is lost; the deadline is at 40
    await room.look()
    room.pass_(17)  # 42: past the old deadline, and the job pinged at 30 and 40
    await room.ping(job)
    await room.look()
    assert await room.downs(job) == []


async def test_a_gap_over_the_deadline_only_gives_the_next_ping_its_time(store: SqliteStore) -> None:
    room = await Room.open(store)
    job = await room.add(interval=30, grace=5)
    await room.ping(job)
    room.pass_(32)
    room.freeze(20)  # from 32 to 52: the job came a little late, at 33
    await room.look()
    room.pass_(13)
    await room.ping(job)
    await room.look()
    assert await room.downs(job) == []


async def test_a_gap_inside_an_open_run_gives_it_its_longest_time_again(store: SqliteStore) -> None:
    room = await Room.open(store)
    job = await room.add(interval=DAY, longest_run_seconds=30)
    await room.ping(job)
    await room.ping(job, "start")
    room.pass_(5)
    room.freeze(20)
    await room.look()
    room.pass_(29)  # 54: past the old limit, inside the new one
    await room.look()
    assert await room.downs(job) == []
    room.pass_(2)
    await room.look()
    [down] = await room.downs(job)
    assert down.reason is Reason.UNCONFIRMED


async def test_a_gap_before_the_window_changes_nothing(store: SqliteStore) -> None:
    room = await Room.open(store)
    job = await room.add(interval=HOUR, grace=60)
    await room.ping(job)
    pinged_at = (await room.flips(job))[0].at
    room.pass_(100)
    room.freeze(20)
    await room.tick()
    room.pass_(HOUR + 60)
    await room.look()
    [down] = await room.downs(job)
    assert (down.reason, down.at) == (Reason.MISSED, pinged_at + (HOUR + 60) * SECOND)


async def test_a_job_that_died_is_told_of_and_the_alert_says_what_is_doubtful(store: SqliteStore) -> None:
    room = await Room.open(store)
    job = await room.add(interval=30, grace=5)
    await room.ping(job)
    room.pass_(20)
    room.freeze(20)
    await room.look()
    room.pass_(34)
    await room.look()
    assert await room.downs(job) == []
    room.pass_(2)
    await room.look()
    [down] = await room.downs(job)
    assert (down.reason, down.announced) == (Reason.UNCONFIRMED, True)


async def test_a_late_ping_is_judged_with_the_gap_too(store: SqliteStore) -> None:
    room = await Room.open(store)
    job = await room.add(interval=30, grace=5)
    await room.ping(job)
    room.pass_(20)
    room.freeze(20)
    await room.ping(job)  # the very first thing after the gap, before any tick or look
    assert await room.downs(job) == []


async def test_a_monitor_whose_last_ping_is_not_committed_yet_is_not_decided(store: SqliteStore) -> None:
    room = await Room.open(store)
    job = await room.add(interval=30)
    await room.ping(job)
    room.pass_(29)
    answer = room.submit(job)
    room.pass_(3)
    await room.look()  # its transaction may come before the ping's
    await answer
    await room.look()
    assert await room.downs(job) == []


async def test_an_upload_that_is_still_arriving_holds_nobodys_deadline(store: SqliteStore) -> None:
    # An upload is no signal until it is complete: the mark is the present moment.
    room = await Room.open(store)
    job = await room.add(interval=30)
    await room.ping(job)
    room.pass_(31)
    await room.look()
    assert words(await room.flips(job)) == ["up", "down"]


async def test_a_watcher_that_was_stopped_alone_decides_late_and_says_when_the_deadline_was(
    store: SqliteStore,
) -> None:
    room = await Room.open(store)
    job = await room.add(interval=30)
    await room.ping(job)
    pinged_at = (await room.flips(job))[0].at
    room.pass_(HOUR)
    await room.look()
    [down] = await room.downs(job)
    assert (down.reason, down.at) == (Reason.MISSED, pinged_at + 30 * SECOND)
    assert await room.gaps() == []


async def test_a_ping_refused_by_a_full_queue_is_deafness(store: SqliteStore) -> None:
    room = await Room.open(store, config=IntakeConfig(queue_limit=1))
    job, other = await room.add(interval=30, grace=5), await room.add(interval=30)
    await room.ping(job)
    room.pass_(30)
    taken = room.submit(other)
    with pytest.raises(Full):
        room.submit(job)
    await taken
    room.pass_(6)
    await room.look()
    assert await room.downs(job) == []
    room.pass_(30)
    await room.tick()
    await room.tick()
    assert len(await room.gaps()) == 1


async def test_a_refusal_that_lasted_until_a_kill_is_not_forgotten(store: SqliteStore) -> None:
    room = await Room.open(store, config=IntakeConfig(queue_limit=0))
    job = await room.add(interval=DAY)
    began_at = room.clock.now()
    for _ in range(40):
        with pytest.raises(Full):
            room.submit(job)
        room.pass_(0.25)
        await room.tick()
    # kill -9
    await Room.open(store, room.hands)
    [gap] = await room.gaps()
    assert gap.from_at <= began_at


async def test_the_first_start_ever_is_no_gap(store: SqliteStore) -> None:
    room = await Room.open(store)
    assert await room.gaps() == []


@pytest.mark.parametrize("is_clean", [True, False], ids=["stop", "kill"])
async def test_a_restart_is_a_gap_from_the_last_mark_to_the_start(
    store: SqliteStore, *, is_clean: bool
) -> None:
    room = await Room.open(store)
    room.pass_(10)
    await room.tick()
    marked_at = room.clock.now()
    if is_clean:
        room.pass_(0.3)
        await room.ledger.close()
        marked_at = room.clock.now()
    room.freeze(100)
    restarted = await Room.open(store, room.hands)
    [gap] = await restarted.gaps()
    assert gap.from_at == pytest.approx(marked_at, abs=1000)
    assert gap.from_at <= marked_at
    assert gap.until_at - gap.from_at == pytest.approx(100 * SECOND, abs=1000)


async def test_a_clock_set_ahead_is_a_gap_and_no_alarm(store: SqliteStore) -> None:
    room = await Room.open(store)
    job = await room.add(interval=HOUR, grace=60)
    await room.ping(job)
    room.pass_(60)
    room.hands.step(5 * HOUR)
    await room.tick()
    await room.look()
    assert await room.downs(job) == []
    [gap] = await room.gaps()
    assert gap.until_at - gap.from_at == pytest.approx(5 * HOUR * SECOND, rel=0.01)
    room.pass_(HOUR - 60)
    await room.ping(job)
    await room.look()
    assert await room.downs(job) == []


async def test_a_clock_set_back_a_little_never_gives_an_earlier_stamp_and_is_caught_up_with(
    store: SqliteStore,
) -> None:
    room = await Room.open(store)
    job = await room.add(interval=10)
    await room.ping(job)
    room.hands.step(-30)
    stamps = [room.clock.now()]
    for _ in range(400):
        room.hands.pass_(0.25)
        await room.tick()
        stamps.append(room.clock.now())
    assert stamps == sorted(stamps)
    assert stamps[-1] == pytest.approx(room.hands.wall_at, abs=SECOND // 100)
    assert await room.gaps() == []


async def test_a_clock_set_back_by_hours_moves_every_deadline_with_it_and_raises_no_alarm(
    store: SqliteStore,
) -> None:
    room = await Room.open(store)
    job, dead = await room.add(interval=HOUR), await room.add(interval=HOUR)
    for one in (job, dead):
        await room.ping(one)
    room.pass_(HOUR / 2)
    room.hands.step(-5 * HOUR)
    await room.tick()
    assert room.clock.now() == pytest.approx(room.hands.wall_at, abs=1000)
    await _pass_and_look(room, HOUR / 2 - 1)
    await room.ping(job)
    await _pass_and_look(room, 2)
    assert await room.downs(job) == []
    assert [down.reason for down in await room.downs(dead)] == [Reason.MISSED]


async def test_a_clock_set_back_by_hours_moves_the_limit_of_an_open_run_with_it(store: SqliteStore) -> None:
    room = await Room.open(store)
    job = await room.add(interval=DAY, longest_run_seconds=HOUR)
    await room.ping(job)
    await room.ping(job, "start")
    room.pass_(HOUR / 2)
    room.hands.step(-5 * HOUR)
    await room.tick()
    await _pass_and_look(room, HOUR / 2 + 1)
    assert [down.reason for down in await room.downs(job)] == [Reason.OVERRAN]


async def test_a_clock_set_back_by_hours_while_a_gap_was_remembered_still_protects_the_next_gap(
    store: SqliteStore,
) -> None:
    room = await Room.open(store)
    job = await room.add(interval=60, grace=5)
    await room.ping(job)
    room.pass_(40)
    room.freeze(20)
    await room.look()
    room.pass_(6)
    await room.look()  # past the old deadline: it has been put off for the gap
    room.hands.step(-5 * HOUR)
    await room.tick()
    room.pass_(20)
    room.freeze(20)  # and this gap has the job's next ping
    await room.look()
    room.pass_(20)
    await room.look()
    assert await room.downs(job) == []


async def test_a_nudge_of_the_clock_is_no_gap(store: SqliteStore) -> None:
    room = await Room.open(store)
    room.hands.step(0.9)
    await room.tick()
    assert await room.gaps() == []


class Outage(NamedTuple):
    """How a process is kept from hearing for a time."""

    name: str
    happen: Callable[[Room, float], object]


async def frozen(room: Room, seconds: float) -> Room:
    room.freeze(seconds)
    await room.tick()
    return room


async def killed(room: Room, seconds: float) -> Room:
    room.freeze(seconds)
    return await Room.open(room.store, room.hands)


async def stopped(room: Room, seconds: float) -> Room:
    await room.ledger.close()
    return await killed(room, seconds)


OUTAGES = {"SIGSTOP": frozen, "kill -9": killed, "stop and start": stopped}


def may_be_doubted(interval: int, grace: int, length: float, *, lost: bool) -> bool:
    """Whether a healthy job may be called down after an outage: it had a ping that was lost, and a gap under
    a minute waits for a minute only, which its next ping may need longer than."""
    return lost and length < MINUTE and interval + grace > MINUTE


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("interval", [5, 30, 5 * MINUTE, HOUR, DAY])
async def test_healthy_jobs_that_ping_once_are_never_called_down_for_our_absence(
    store: SqliteStore, interval: int, seed: int
) -> None:
    chance = random.Random(seed * 1_000_003 + interval)
    grace = max(2, interval // 10)
    room = await Room.open(store, Hands())
    job = await room.add(interval=interval, grace=grace)
    await room.ping(job)
    doubts = 0
    for _ in range(15):
        room, doubted = await _live_through_an_outage(room, job, interval, grace, chance)
        doubts += doubted
    downs = await room.downs(job)
    assert [down.reason for down in downs] == [Reason.UNCONFIRMED] * len(downs)
    assert len(downs) <= doubts
    await _die(room, job, interval, grace)


async def _live_through_an_outage(
    room: Room, job: Job, interval: int, grace: int, chance: random.Random
) -> tuple[Room, bool]:
    """Some pings on time, then an outage with some of them in it, then some more. Whether it may have left
    a doubtful alarm."""
    early = chance.uniform(0.01, 0.4) * grace
    begins_after = chance.uniform(0, interval)
    length = chance.choice([1.5, 20, 20, 59, 61, 600, 3 * interval])
    ping_after = interval - early
    await _pass_and_look(room, min(begins_after, ping_after))
    if ping_after <= begins_after:
        await room.ping(job)
        await _pass_and_look(room, begins_after - ping_after)
        ping_after += interval
    outage = chance.choice(list(OUTAGES.values()))
    room = await outage(room, length)
    lost = 0
    while ping_after <= begins_after + length:
        ping_after += interval
        lost += 1
    await _pass_and_look(room, ping_after - begins_after - length)
    await room.ping(job)
    for _ in range(2):
        await _pass_and_look(room, interval)
        await room.ping(job)
    return room, may_be_doubted(interval, grace, length, lost=lost > 0)


async def _pass_and_look(room: Room, seconds: float) -> None:
    """Time passes, and the watcher looks whenever it has to."""
    end = room.hands.boot_at + round(seconds * SECOND)
    while True:
        look_at = await room.store.read(room.store.hot.next_look_at)
        left = (end - room.hands.boot_at) / SECOND
        wait = left if look_at is None else (look_at - room.clock.now()) / SECOND + 0.001
        if wait >= left:
            break
        room.pass_(max(wait, 0))
        await room.look()
    room.pass_(left)


async def _die(room: Room, job: Job, interval: int, grace: int) -> None:
    """And it is really told of when it has died."""
    before: list[Flip] = await room.downs(job)
    await _pass_and_look(room, interval + grace + MINUTE + 1)
    assert len(await room.downs(job)) == len(before) + 1

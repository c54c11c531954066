"""Promise 5: a late ping does not erase an outage."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Sequence
from sqlite3 import Row

import pytest

from tests.conftest import Serve
from tests.engine_room import Room, Told, words
from tests.receivers import HttpReceiver
from tests.server import SECOND, Server, every
from tocsin.domain.monitor import Reason
from tocsin.store.sqlite import SqliteStore

pytestmark = pytest.mark.promise(5)


async def test_a_ping_after_the_deadline_leaves_a_down_and_an_up_though_no_watcher_looked(
    store: SqliteStore,
) -> None:
    room = await Room.open(store)
    job = await room.add(interval=60, grace=10)
    await room.ping(job)
    first_at = room.clock.now()
    room.pass_(100)
    await room.ping(job)

    began, down, up = await room.flips(job)
    assert words([began, down, up]) == ["up", "down", "up"]
    assert (down.at - began.at, down.reason, down.announced) == (70 * SECOND, Reason.MISSED, True)
    assert up.at - first_at == pytest.approx(100 * SECOND, abs=100)
    assert up.announced
    assert await room.told() == [
        Told("monitor.down", job.id, "pending"),
        Told("monitor.up", job.id, "pending"),
    ]


async def test_a_watcher_that_looks_after_the_late_ping_adds_nothing(store: SqliteStore) -> None:
    room = await Room.open(store)
    job = await room.add(interval=60)
    await room.ping(job)
    room.pass_(100)
    await room.ping(job)
    await room.look()
    assert words(await room.flips(job)) == ["up", "down", "up"]


async def test_a_late_ping_that_comes_first_and_one_that_comes_second_leave_the_same(
    store: SqliteStore,
) -> None:
    room = await Room.open(store)
    unseen, seen = await room.add(interval=60), await room.add(interval=60)
    await asyncio.gather(room.ping(unseen), room.ping(seen))
    room.pass_(100)
    await room.ping(unseen)
    await room.look()
    await room.ping(seen)
    for one, other in zip(await room.flips(unseen), await room.flips(seen), strict=True):
        assert (one.old, one.new, one.reason, one.announced) == (
            other.old,
            other.new,
            other.reason,
            other.announced,
        )
        assert abs(one.at - other.at) < 100


async def test_a_late_log_leaves_the_down_alone(store: SqliteStore) -> None:
    room = await Room.open(store)
    job = await room.add(interval=60)
    await room.ping(job)
    room.pass_(100)
    await room.ping(job, "log")
    assert words(await room.flips(job)) == ["up", "down"]


async def test_every_outage_between_pings_of_one_batch_is_kept(store: SqliteStore) -> None:
    room = await Room.open(store)
    job = await room.add(interval=60)
    await room.ping(job)
    answers = []
    for _ in range(3):
        room.pass_(100)
        answers.append(room.submit(job))
    await asyncio.gather(*answers)
    assert words(await room.flips(job)) == ["up"] + ["down", "up"] * 3


async def test_a_run_that_ends_after_its_limit_was_down_in_between(store: SqliteStore) -> None:
    room = await Room.open(store)
    job = await room.add(interval=86_400, longest_run_seconds=60)
    await room.ping(job)
    await room.ping(job, "start")
    room.pass_(100)
    await room.ping(job)
    flips = await room.flips(job)
    assert words(flips) == ["up", "down", "up"]
    assert flips[1].reason is Reason.OVERRAN


@pytest.mark.timeout(150)
def test_pings_that_race_with_the_watcher_for_the_deadline_leave_every_outage_and_tell_it_in_order(
    serve: Serve,
) -> None:
    with HttpReceiver() as receiver:
        server = serve()
        api = server.api()
        drafts = [{"name": f"job {n}", "webhook_url": receiver.url, **every(1)} for n in range(40)]
        monitors = api.create_many(drafts)
        # A machine that is too busy leaves gaps in the ledger; such a round says nothing about races.
        for _ in range(3):
            if _race(server, monitors):
                break
        else:
            pytest.fail("the ledger had gaps in every round")
        flips = server.rows("SELECT * FROM flip WHERE announced ORDER BY id")
        delivered = receiver.wait_for(len(flips), 20)
        server.wait_until(lambda: not _pending(server), "all is delivered")
    by_arrival: dict[str, list[str]] = {}
    for request in delivered:
        body = request.json()
        by_arrival.setdefault(body["monitor"]["id"], []).append(body["event"])
    for events in by_arrival.values():
        assert events == [("monitor.down", "monitor.up")[n % 2] for n in range(len(events))]


def _race(server: Server, monitors: Sequence[dict[str, str]]) -> bool:
    """Ping each monitor some times just around its deadline. False if the ledger has a gap in that time."""
    gaps = len(server.rows("SELECT id FROM gap"))
    first = {monitor["id"]: _newest_ping(server, monitor) for monitor in monitors}
    asyncio.run(_ping_around_deadlines(server, monitors))
    time.sleep(1.5)
    if len(server.rows("SELECT id FROM gap")) > gaps:
        return False
    for monitor in monitors:
        _check(server, monitor, first[monitor["id"]])
    return True


async def _ping_around_deadlines(server: Server, monitors: Sequence[dict[str, str]]) -> None:
    async def worry(number: int, monitor: dict[str, str]) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        path = monitor["ping_url"].partition("//")[2].partition("/")[2]
        for turn in range(6):
            writer.write(f"GET /{path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            assert b" 200 " in (await reader.readuntil(b"\r\n\r\n"))
            await reader.read(1000)
            # From 20 ms before the deadline to 20 ms after it.
            await asyncio.sleep(0.98 + 0.001 * ((number + 7 * turn) % 40))
        writer.close()

    await asyncio.gather(*(worry(number, monitor) for number, monitor in enumerate(monitors)))


def _newest_ping(server: Server, monitor: dict[str, str]) -> int:
    return int(server.rows("SELECT coalesce(max(id), 0) AS id FROM ping")[0]["id"])


def _check(server: Server, monitor: dict[str, str], after_id: int) -> None:
    """Whether the flips are just those that the pings' arrivals mean: a deadline that passed in between is
    a down at the deadline and an up at the arrival."""
    own = "monitor_id = (SELECT id FROM monitor WHERE uid = ?)"
    pings = server.rows(f"SELECT * FROM ping WHERE {own} AND id > ? ORDER BY id", monitor["id"], after_id)
    arrivals = [row["arrived_at"] for row in pings]
    assert len(arrivals) == 6
    expected = [("up", arrivals[0])]
    for before, arrival in itertools.pairwise(arrivals):
        if arrival - before > SECOND:
            expected += [("down", before + SECOND), ("up", arrival)]
    expected.append(("down", arrivals[-1] + SECOND))
    query = f"SELECT * FROM flip WHERE {own} AND at >= ? ORDER BY id"
    flips: list[Row] = server.rows(query, monitor["id"], arrivals[0])
    assert [(row["new"], row["at"]) for row in flips] == expected


def _pending(server: Server) -> list[Row]:
    return server.rows("SELECT id FROM notification WHERE status = 'pending'")

"""engine/watch.py: the watcher wakes in time, whatever happens while it asks the store."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from tests.engine_room import Room, words
from tocsin.domain.monitor import SECOND
from tocsin.engine.clock import Clock
from tocsin.store.sqlite import SqliteStore

pytestmark = pytest.mark.promise(4)


async def test_an_earlier_event_that_comes_while_the_store_is_asked_is_not_overslept(
    store: SqliteStore,
) -> None:
    room = await Room.open(store)
    clock = room.watch._clock = Clock()
    room.watch.looked_at = 0
    read = store.read

    async def slow_read(fn: Callable[..., Any], *, is_short: bool = False) -> Any:
        found = await read(fn, is_short=is_short)
        store.read = read  # type: ignore[method-assign]
        room.watch.wake_by(clock.now() + SECOND // 5)
        return found

    store.read = slow_read  # type: ignore[method-assign]
    watching = asyncio.create_task(room.watch.run())
    await asyncio.sleep(0.5)
    watching.cancel()
    assert room.watch.looked_at > 0


async def test_deliveries_are_woken_when_the_backlog_is_decided(store: SqliteStore) -> None:
    room = await Room.open(store)
    jobs = [await room.add(interval=10) for _ in range(3)]
    for job in jobs:
        await room.ping(job)
    woken: list[int] = []
    room.watch.on_flips = lambda: woken.append(room.watch.decided)
    room.pass_(11)
    await room.look()
    assert woken == [3]
    assert words(await room.flips(jobs[0])) == ["up", "down"]

"""Retention, in the background and in small steps, never in a request."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Protocol

import structlog

from tocsin.domain.plan import History
from tocsin.domain.replay import LASTS
from tocsin.store import notifications, replays
from tocsin.store.monitors import purge_deleted
from tocsin.store.prune import DAY, OldPings, remove

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from tocsin.engine.clock import Clock
    from tocsin.store.database import Store

STEP = 5_000
PURGE_STEP = 50
AFTER_FAILURE_SECONDS = 5.0
QUICK_SECONDS = 0.002  # a look that takes longer is followed by a longer pause: a percent of a core at most


class Find(Protocol):
    """Looks at the rows after an id: those that may go, and the last one looked at (None at the end)."""

    def __call__(self, connection: Connection, after: int) -> tuple[list[int], int | None]:
        """At most STEP rows are looked at."""


class Remove(Protocol):
    """Removes rows by their ids."""

    def __call__(self, connection: Connection, ids: list[int]) -> None:
        """What hangs on them goes too."""


log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Retention:
    """`pings_per_monitor` newest pings of a monitor are kept, for `days`, or for less where the plan of its
    project says so (`histories`); finished notifications are kept for `days`. `rest_seconds` lie between two
    passes, `pause_seconds` between two steps, and a tenth of that while much is to be removed."""

    pings_per_monitor: int = 10_000
    days: int = 365
    histories: Sequence[History] = ()
    rest_seconds: float = 60.0
    pause_seconds: float = 0.2


class Prune:
    """Walks over all pings and notifications, oldest first, again and again."""

    def __init__(self, store: Store, clock: Clock, retention: Retention) -> None:
        self._store = store
        self._clock = clock
        self._retention = retention
        self._old_pings = OldPings(retention.histories)
        self.removed = 0

    async def run(self) -> None:
        """Prune until cancelled."""
        while True:
            try:
                await self.prune_once()
                await asyncio.sleep(self._retention.rest_seconds)
            except Exception:  # old rows can wait until the database is back
                log.exception("prune_failed")
                await asyncio.sleep(AFTER_FAILURE_SECONDS)

    async def prune_once(self) -> None:
        """One pass over everything."""
        now = self._clock.now()
        purged = PURGE_STEP
        while purged:
            purged = await self._store.write(partial(purge_deleted, before=now, limit=PURGE_STEP))
            await asyncio.sleep(self._retention.pause_seconds)
        days, keep = self._retention.days, self._retention.pings_per_monitor
        old_pings = partial(self._old_pings.find, now=now, days=days, keep=keep, limit=STEP)
        self.removed += await self._walk(old_pings, remove)
        old_notifications = partial(notifications.find_old, before=now - days * DAY, limit=STEP)
        await self._walk(old_notifications, notifications.remove)
        await self._forget_replays(now - LASTS)

    async def _forget_replays(self, before: int) -> None:
        find = partial(replays.find_old, before=before, limit=PURGE_STEP)
        while found := await self._store.read(find):
            await self._store.write(partial(replays.remove, found=found, before=before))
            await asyncio.sleep(self._retention.pause_seconds / 10)

    async def _walk(self, find: Find, remove: Remove) -> int:
        """Remove what `find` finds, step by step; returns how much that was."""
        after: int | None = 0
        removed = 0
        while after is not None:
            began_at = time.monotonic()
            old, after = await self._store.read(partial(find, after=after))
            effort = (time.monotonic() - began_at) / QUICK_SECONDS
            if old:
                await self._store.write(partial(remove, ids=old))
            removed += len(old)
            pause_seconds = self._retention.pause_seconds
            is_worth_it = len(old) > STEP // 4
            await asyncio.sleep(pause_seconds / 10 if is_worth_it else pause_seconds * max(1.0, effort))
        return removed

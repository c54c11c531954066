"""Retention, in the background and in small steps, never in a request."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog

from tocsin.domain.monitor import SECOND
from tocsin.store import prune
from tocsin.store.monitors import purge_deleted

if TYPE_CHECKING:
    from tocsin.engine.clock import Clock
    from tocsin.store.database import Store

STEP = 2_000
PURGE_STEP = 50
DAY = 86_400 * SECOND
AFTER_FAILURE_SECONDS = 5.0

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Retention:
    """`pings_per_monitor` newest pings of a monitor are kept, for `ping_days`. `rest_seconds` lie between two
    passes, `pause_seconds` between two steps."""

    pings_per_monitor: int = 10_000
    ping_days: int = 365
    rest_seconds: float = 600.0
    pause_seconds: float = 0.2


class Prune:
    """Walks over all pings, oldest first, again and again."""

    def __init__(self, store: Store, clock: Clock, retention: Retention) -> None:
        self._store = store
        self._clock = clock
        self._retention = retention
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
        await self._purge_monitors()
        after: int | None = 0
        while after is not None:
            after = await self._step(after)
            await asyncio.sleep(self._retention.pause_seconds)

    async def _step(self, after: int) -> int | None:
        oldest_at = self._clock.now() - self._retention.ping_days * DAY
        keep = self._retention.pings_per_monitor
        old, last = await self._store.read(
            lambda connection: prune.find_old(connection, after, oldest_at=oldest_at, keep=keep, limit=STEP)
        )
        if old:
            await self._store.write(lambda connection: prune.remove(connection, old))
            self.removed += len(old)
        return last

    async def _purge_monitors(self) -> None:
        now = self._clock.now()
        while await self._store.write(lambda connection: purge_deleted(connection, now, PURGE_STEP)):
            await asyncio.sleep(self._retention.pause_seconds)

"""One notice per project and gap: which jobs were expected while this server could not take pings."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import structlog

from tocsin.domain.monitor import SECOND
from tocsin.engine.alerts import Voice, record_away
from tocsin.store import liveness as rows

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from tocsin.engine.clock import Clock
    from tocsin.store.database import Store

# A job that tries again right after the gap needs no mention.
PATIENCE = 5 * SECOND
LOOK_SECONDS = 2.0

log = structlog.get_logger()


class Away:
    """Writes the notices of gaps a few seconds after they ended."""

    def __init__(self, store: Store, clock: Clock, voice: Callable[[], Voice]) -> None:
        self._store = store
        self._clock = clock
        self._voice = voice
        self.on_notices: Callable[[], None] = lambda: None

    async def run(self) -> None:
        """Look for gaps that nobody was told of, until cancelled."""
        while True:
            try:
                await self._tell_all()
            except Exception:  # the gaps stay in the database until they are told
                log.exception("away_failed")
            await asyncio.sleep(LOOK_SECONDS)

    async def _tell_all(self) -> None:
        before = self._clock.now() - PATIENCE
        for untold in await self._store.read(lambda connection: rows.untold_gaps(connection, before)):
            touched = await self._store.read(partial(rows.expected_in, untold=untold))
            await self._store.write(partial(self._tell, untold=untold, monitors=touched))
            self.on_notices()

    def _tell(self, connection: Connection, untold: rows.UntoldGap, monitors: dict[int, list[int]]) -> None:
        now = self._clock.now()
        for project_id, monitor_ids in monitors.items():
            record_away(connection, project_id, untold.gap, monitor_ids, now, self._voice())
        rows.mark_told(connection, untold.id, now)

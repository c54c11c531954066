"""The wall clock was set back by more than a minute: every stored time of the future moves with it.

One transaction (docs/rules.md, Arrival). What lies in the past stays as it was written.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from tocsin.domain.monitor import SECOND
from tocsin.store import reanchor as rows

if TYPE_CHECKING:
    from tocsin.engine.clock import Clock
    from tocsin.engine.intake import Intake
    from tocsin.engine.liveness import Ledger
    from tocsin.store.database import Store

log = structlog.get_logger()


class Reanchor:
    """Moves the stored times, then the clock."""

    def __init__(self, store: Store, clock: Clock, ledger: Ledger, intake: Intake) -> None:
        self._store = store
        self._clock = clock
        self._ledger = ledger
        self._intake = intake

    async def run(self, size: int) -> None:
        """Go back by `size` microseconds. Pings that wait are stored first, with the stamps they have."""
        await self._intake.drain()
        now = self._clock.now()
        await self._store.write(lambda connection: rows.move_back(connection, now, size))
        self._clock.reanchor()
        self._ledger.restart(now - size)
        log.warning("clock_set_back", seconds=size / SECOND)

"""The watcher: sleeps until the next deadline, then decides what is overdue, a batch a transaction.

It decides only what lies before the mark: every ping that arrived earlier has been committed (promise 6).
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import structlog
from msgspec.structs import replace

from tocsin.domain.monitor import SECOND, Gap
from tocsin.domain.transition import end_snooze, is_reminder_due, is_snoozed, judge, remind
from tocsin.engine.alerts import (
    Change,
    Reminder,
    Voice,
    record_flips,
    record_reminders,
    release_snoozed,
)

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from tocsin.engine.clock import Clock
    from tocsin.engine.liveness import Ledger
    from tocsin.store.database import Store, Tracked

BATCH = 500
LONGEST_SLEEP = 30 * SECOND
AFTER_FAILURE_SECONDS = 1.0
BETWEEN_LOOKS_SECONDS = 0.01
TELL_EVERY = SECOND

log = structlog.get_logger()


class Watch:
    """Looks at monitors when their time has come."""

    def __init__(self, store: Store, clock: Clock, ledger: Ledger, voice: Callable[[], Voice]) -> None:
        self._store = store
        self._clock = clock
        self._ledger = ledger
        self._voice = voice
        self._earlier = asyncio.Event()
        self._wake_at: int | None = None
        self.on_flips: Callable[[], None] = lambda: None
        self.looked_at = clock.now()
        self.decided = 0

    def wake_by(self, at: int) -> None:
        """Something is to be looked at by then; a no-op where the watcher wakes earlier anyway."""
        if self._wake_at is None or at < self._wake_at:
            self._earlier.set()

    async def run(self) -> None:
        """Watch until cancelled."""
        while True:
            try:
                # From here on an earlier event is noticed, even while the store is being asked.
                self._wake_at = None
                self._earlier.clear()
                await self._sleep(await self._store.read(self._store.hot.next_look_at))
                await self._look()
            except Exception:  # the database may be away for a while; deadlines stay in it
                log.exception("watch_failed")
                await asyncio.sleep(AFTER_FAILURE_SECONDS)

    async def _sleep(self, until: int | None) -> None:
        now = self._clock.now()
        self._wake_at = min(now + LONGEST_SLEEP, until + 1 if until is not None else now + LONGEST_SLEEP)
        seconds = (self._wake_at - now) / SECOND
        if seconds <= 0:
            return
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._earlier.wait(), seconds)

    async def _look(self) -> None:
        """Decide all that is overdue. Deliveries start when it is done, or a second has passed: of ten
        thousand flips, all should be decided before the first answers come in."""
        told_at, has_told, count = self._clock.now(), False, BATCH
        try:
            while count == BATCH:
                now = self._clock.now()
                self._ledger.notice(now)
                look = _Look(self._store, self._ledger.mark(), self._ledger.gaps(), self._voice())
                count = await self._store.write(look)
                self.looked_at = self._clock.now()
                self.decided += look.decided
                has_told = has_told or look.told
                if has_told and now - told_at > TELL_EVERY:
                    self.on_flips()
                    told_at, has_told = now, False
        finally:
            if has_told:
                self.on_flips()
        # What is left may lie between the mark and now, until the commit that is under way is done.
        await asyncio.sleep(BETWEEN_LOOKS_SECONDS)


class _Look:
    """One batch of overdue monitors, in one transaction; called on the writer thread."""

    def __init__(self, store: Store, mark: int, gaps: Sequence[Gap], voice: Voice) -> None:
        self._hot = store.hot
        self._mark = mark
        self._gaps = gaps
        self._voice = voice
        self.decided = 0
        self.told = False

    def __call__(self, connection: Connection) -> int:
        due = self._hot.overdue(connection, self._mark, BATCH)
        if due:
            self._decide(connection, due)
        return len(due)

    def _decide(self, connection: Connection, due: list[Tracked]) -> None:
        changes: list[Change] = []
        reminders: list[Reminder] = []
        looked: list[Tracked] = []
        woken: list[Tracked] = []
        for tracked in due:
            state, flips = judge(tracked.policy, tracked.state, self._mark, self._gaps)
            changes += [Change(tracked.monitor_id, tracked.project_id, flip, state) for flip in flips]
            if state.snoozed_until is not None and not is_snoozed(state, self._mark):
                state = end_snooze(tracked.policy, state, self._mark)
                woken.append(replace(tracked, state=state))
            if is_reminder_due(state, self._mark):
                state = remind(tracked.policy, state, self._mark)
                reminders.append(Reminder(tracked.monitor_id, tracked.project_id, state))
            looked.append(replace(tracked, state=state))
        self._hot.save_look(connection, looked)
        self._record(connection, changes, reminders, woken)

    def _record(
        self, connection: Connection, changes: list[Change], reminders: list[Reminder], woken: list[Tracked]
    ) -> None:
        if changes:
            record_flips(connection, changes, self._mark, self._voice)
        if woken:
            release_snoozed(connection, woken, self._mark, self._voice)
        if reminders:
            record_reminders(connection, reminders, self._mark, self._voice)
        self.decided = len(changes)
        self.told = bool(changes or reminders or woken)

"""The ledger of when this server could take pings (docs/rules.md, Own deafness; promise 6).

The process ticks four times a second and notes its mark in the database twice a second. A tick that is
missing, a refused ping, a failed commit, a clock that jumped ahead: each is a gap, and an expectation that
a gap touches is judged with it.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING

import structlog

from tocsin.domain.monitor import SECOND, Gap
from tocsin.engine.clock import BACKWARD_STEP, Clock, Step
from tocsin.store import liveness as rows
from tocsin.store.reanchor import move_back

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from tocsin.store.database import Store

TICK_SECONDS = 0.25
HANG = 1 * SECOND
MARK_EVERY = SECOND // 2

log = structlog.get_logger()


class Ledger:
    """The gaps that judging must know, and this process's own mark."""

    def __init__(self, store: Store, clock: Clock, oldest_waiting_at: Callable[[], int | None]) -> None:
        self._store = store
        self._clock = clock
        self._oldest_waiting_at = oldest_waiting_at
        self._process_id = 0
        self._gaps: list[Gap] = []
        self._unwritten: list[rows.NewGap] = []
        self._ticked_at = 0
        self._marked_at = 0
        self._mark_is_being_written = False
        self._deaf_since: int | None = None
        self._deaf_cause = ""
        self._deaf_again = False
        self._ended_at: int | None = None
        self.on_backward_step: Callable[[int], None] = lambda _size: None

    async def open(self) -> None:
        """Register this process; what ended without us is a gap until now. First start ever: no gap."""
        floor = await self._store.read(rows.last_stamp)
        ahead = floor - self._clock.now()
        if ahead > BACKWARD_STEP:
            # The wall clock was set back while we were stopped.
            await self._store.write(lambda connection: move_back(connection, floor, ahead))
        else:
            self._clock.not_before(floor)
        now = self._clock.now()
        self._process_id, self._gaps = await self._store.write(
            lambda connection: rows.register(connection, socket.gethostname(), now)
        )
        self._ticked_at = self._marked_at = self._clock.now()

    async def run(self) -> None:
        """Tick until cancelled."""
        while True:
            self.tick()
            await asyncio.sleep(TICK_SECONDS)

    def tick(self) -> None:
        """Follow the wall clock, notice what was missed, and note the mark."""
        step, size = self._clock.adjust()
        if step is Step.BACKWARD:
            self.on_backward_step(size)
        now = self._clock.now()
        if step is Step.FORWARD:
            self._add(self._ticked_at, now, "clock")
            self._ticked_at = now
        self.notice(now)
        self._end_deafness(now)
        self._note_mark(now)

    def notice(self, now: int) -> None:
        """Look whether ticks are missing; called before anything is decided or applied."""
        if now - self._ticked_at > HANG:
            self._add(self._ticked_at, now, "hang")
        # A batch that waited for the one before is noticed with its arrival: no tick is undone by that.
        self._ticked_at = max(self._ticked_at, now)

    def deaf(self, cause: str, detail: str = "") -> None:
        """A ping had to be refused or a commit failed; logged once until it is over."""
        self._deaf_again = True
        if self._deaf_since is None:
            self._deaf_since, self._deaf_cause = min(self._marked_at, self.mark()), cause
            log.error("deaf", cause=cause, detail=detail)

    def gaps(self) -> tuple[Gap, ...]:
        """All gaps in the order of their ends; one that is still open ends now."""
        if self._deaf_since is None:
            return tuple(self._gaps)
        return (*self._gaps, Gap(self._deaf_since, self._clock.now()))

    def mark(self) -> int:
        """Every ping that arrived before this has been committed."""
        now = self._clock.now()
        waiting_at = self._oldest_waiting_at()
        return now if waiting_at is None else min(waiting_at, now)

    def take_unwritten(self) -> list[rows.NewGap]:
        """Gaps that the next transaction must write; give them back with `keep_unwritten` if it fails."""
        taken, self._unwritten = self._unwritten, []
        return taken

    def keep_unwritten(self, gaps: list[rows.NewGap]) -> None:
        """The transaction that should have written these was rolled back."""
        self._unwritten = gaps + self._unwritten

    def restart(self, now: int) -> None:
        """The clock was set back to `now`: count ticks and marks from there."""
        self._ticked_at = self._marked_at = now
        self._gaps = [gap for gap in self._gaps if gap.until_at <= now]

    @property
    def ticked_at(self) -> int:
        """When this process last ticked."""
        return self._ticked_at

    @property
    def is_deaf(self) -> bool:
        """Whether pings are being refused, or commits fail."""
        return self._deaf_since is not None

    def end(self) -> None:
        """From now on no pings are taken: this is the last mark, and the start of the gap to come."""
        self._ended_at = self.mark()

    async def close(self) -> None:
        """Write the last mark: all that arrived before it has been committed."""
        gaps, mark_at = self.take_unwritten(), self._ended_at or self._clock.now()
        await self._store.write(lambda connection: self._write_mark(connection, mark_at, gaps))

    def _add(self, from_at: int, until_at: int, cause: str) -> None:
        self._gaps.append(Gap(from_at, until_at))
        self._unwritten.append(rows.NewGap(self._process_id, from_at, until_at, cause))
        log.warning("gap", cause=cause, seconds=(until_at - from_at) / SECOND)

    def _end_deafness(self, now: int) -> None:
        if self._deaf_since is None:
            return
        if not self._deaf_again:
            self._add(self._deaf_since, now, self._deaf_cause)
            self._deaf_since = None
        self._deaf_again = False

    def _note_mark(self, now: int) -> None:
        is_fresh = now - self._marked_at < MARK_EVERY and not self._unwritten
        if is_fresh or self._mark_is_being_written or self._ended_at is not None:
            return
        self._mark_is_being_written = True
        # While deaf no further than its beginning: a kill must not forget what was refused.
        mark_at = self.mark() if self._deaf_since is None else min(self.mark(), self._deaf_since)
        task = asyncio.get_running_loop().create_task(self._save_mark(mark_at))
        task.add_done_callback(self._mark_was_written)

    async def _save_mark(self, mark_at: int) -> None:
        gaps = self.take_unwritten()
        try:
            await self._store.write(lambda connection: self._write_mark(connection, mark_at, gaps))
        except Exception as error:  # noqa: BLE001 - a database that refuses is deafness, whatever the error
            self.keep_unwritten(gaps)
            self.deaf("failed", repr(error))
        else:
            self._marked_at = mark_at

    def _mark_was_written(self, _task: asyncio.Task[None]) -> None:
        self._mark_is_being_written = False

    def _write_mark(self, connection: Connection, mark_at: int, gaps: list[rows.NewGap]) -> None:
        rows.write_gaps(connection, gaps)
        rows.write_mark(connection, self._process_id, mark_at)

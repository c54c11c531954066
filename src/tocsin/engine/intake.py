"""Intake: what arrived while the last batch was being committed becomes the next batch (promises 1, 2, 5).

A batch is one transaction: the monitors are read, every ping is folded in true order, pings, states, flips
and notifications are written. Only then is anybody answered. The queue is bounded; what does not fit is
refused whole, and the ledger knows of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from msgspec import Struct

from tocsin.domain.monitor import SECOND, Gap, Policy, State
from tocsin.domain.ping import Flag, Kind, Ping, Reading, Signal
from tocsin.domain.transition import apply, is_late
from tocsin.engine.alerts import Change, Voice, record_flips
from tocsin.engine.history import apply_late
from tocsin.store import chain
from tocsin.store.database import StoredPing, Tracked
from tocsin.store.liveness import NewGap, write_gaps

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from tocsin.engine.clock import Clock
    from tocsin.engine.liveness import Ledger
    from tocsin.store.database import Store

LONGEST_USER_AGENT = 200


class Answer(Struct, frozen=True, gc=False):
    """What became of a ping, for its dialect to word. `dialect` is the token's; `is_duplicate`: it came too
    soon after one like it, by that dialect's rule. `flags` are those of its reading."""

    dialect: str
    monitor_name: str
    policy: Policy
    state: State
    kind: Kind
    arrived_at: int
    duration_ms: int | None
    is_duplicate: bool = False
    token: str = ""
    flags: int = 0


class Full(Exception):  # noqa: N818 - it reads as what happened
    """Too many pings are waiting to be stored."""


class Waiting(Struct, frozen=True):
    """A signal, its arrival, and who is to be answered: with an Answer, None for an unknown token, or the
    error that kept it from being stored."""

    arrived_at: int
    signal: Signal
    answer: Callable[[Answer | Exception | None], None]


@dataclass(frozen=True, slots=True)
class IntakeConfig:
    """`queue_limit`: pings that may wait. `batch_limit`: pings in one transaction."""

    queue_limit: int = 20_000
    batch_limit: int = 500


Read = Callable[[Signal], Reading | None]


class Intake:
    """Takes signals on the event loop, and has the store's writer commit them in batches."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        ledger: Ledger,
        readers: Mapping[str, Read],
        voice: Callable[[], Voice],
        config: IntakeConfig,
    ) -> None:
        self._store = store
        self._clock = clock
        self._ledger = ledger
        self._readers = readers
        self._voice = voice
        self._config = config
        self._waiting: list[Waiting] = []
        self._in_commit: list[Waiting] = []
        self._commit: asyncio.Task[list[Answer | None]] | None = None
        self._idle = asyncio.Event()
        self._idle.set()
        self._loop = asyncio.get_running_loop()
        self.on_flips: Callable[[], None] = lambda: None
        self.on_earlier_event: Callable[[int], None] = lambda _at: None
        self.accepted = 0
        self.refused = 0
        self.last_arrived_at: int | None = None

    def submit(self, signal: Signal, answer: Callable[[Answer | Exception | None], None]) -> None:
        """Take a signal; `answer` is called on the event loop after the commit. Raises Full."""
        waiting = self._waiting
        if len(waiting) >= self._config.queue_limit:
            self.refused += 1
            self._ledger.deaf("refused")
            raise Full
        waiting.append(Waiting(self._clock.now(), signal, answer))
        if self._idle.is_set():
            # What else is read from the sockets in this turn of the loop goes into the same batch.
            self._idle.clear()
            self._loop.call_soon(self._commit_next)

    def oldest_waiting_at(self) -> int | None:
        """When the oldest signal arrived that is not committed yet."""
        if self._in_commit:
            return self._in_commit[0].arrived_at
        return self._waiting[0].arrived_at if self._waiting else None

    @property
    def queue_length(self) -> int:
        """Signals that are waiting or being committed."""
        return len(self._waiting) + len(self._in_commit)

    async def drain(self) -> None:
        """Return when everything that was taken has been committed and answered."""
        await self._idle.wait()

    def _commit_next(self) -> None:
        limit = self._config.batch_limit
        batch, self._waiting = self._waiting[:limit], self._waiting[limit:]
        self._in_commit = batch
        if not batch:
            self._idle.set()
            return
        ledger = self._ledger
        ledger.notice(batch[-1].arrived_at)
        commit = _Batch(
            self._store, self._readers, batch, ledger.gaps(), ledger.take_unwritten(), self._voice()
        )
        self._commit = self._loop.create_task(self._store.write(commit, is_short=True))
        self._commit.add_done_callback(lambda done: self._committed(commit, done))

    def _committed(self, commit: _Batch, done: asyncio.Task[list[Answer | None]]) -> None:
        error = done.exception()
        if error is not None:
            self._ledger.keep_unwritten(commit.unwritten)
            self._ledger.deaf("failed", repr(error))
        self._commit_next()
        if error is not None:
            for waiting in commit.batch:
                waiting.answer(Full())
            return
        self._after(commit)
        for waiting, answer in zip(commit.batch, done.result(), strict=True):
            waiting.answer(answer)

    def _after(self, commit: _Batch) -> None:
        self.accepted += len(commit.batch)
        self.last_arrived_at = commit.batch[-1].arrived_at
        if commit.told:
            self.on_flips()
        if commit.earliest_event_at is not None:
            self.on_earlier_event(commit.earliest_event_at)


class _Batch:
    """One batch, and the transaction that stores it; to be called by the store."""

    def __init__(
        self,
        store: Store,
        readers: Mapping[str, Read],
        batch: list[Waiting],
        gaps: tuple[Gap, ...],
        unwritten: list[NewGap],
        voice: Voice,
    ) -> None:
        self.batch = batch
        self.unwritten = unwritten
        self.told = False
        self.earliest_event_at: int | None = None
        self._hot = store.hot
        self._readers = readers
        self._gaps = gaps
        self._voice = voice
        self._tracked: dict[int, Tracked] = {}
        self._changes: list[Change] = []
        self._pings: list[StoredPing] = []
        self._bodies: list[tuple[int, bytes]] = []
        self._last_at: dict[tuple[int, int, int], int] = {}

    def __call__(self, connection: Connection) -> list[Answer | None]:
        write_gaps(connection, self.unwritten)
        found = self._hot.find(connection, {waiting.signal.token for waiting in self.batch})
        next_id = self._hot.reserve_ping_ids(connection, len(self.batch)) if found else 0
        answers: list[Answer | None] = []
        for waiting in self.batch:
            by_token = found.get(waiting.signal.token)
            reading = None if by_token is None else self._readers[by_token.dialect](waiting.signal)
            if by_token is None or reading is None:
                answers.append(None)
                continue
            answers.append(self._apply(connection, waiting, by_token, reading, next_id))
            next_id += 1
        self._write(connection)
        return answers

    def _apply(
        self, connection: Connection, waiting: Waiting, by_token: Tracked, reading: Reading, ping_id: int
    ) -> Answer:
        at, signal = waiting.arrived_at, waiting.signal
        tracked = self._tracked.get(by_token.monitor_id, by_token)
        kind, run_id, exit_code, flags = reading.kind, reading.run_id, reading.exit_code, reading.flags
        ping = Ping(at, kind, ping_id, run_id, exit_code, reading.duration_ms)
        policy = tracked.policy
        is_duplicate = reading.duplicate_seconds > 0 and self._is_duplicate(connection, at, by_token, reading)
        if is_duplicate:
            flags |= Flag.DUPLICATE
        body = signal.body if reading.keeps_body else b""
        if body:
            flags |= Flag.BODY
            if signal.body_was_cut:
                flags |= Flag.BODY_CUT
                body = whole_characters(body)
        if is_late(tracked.state, ping):
            self._write(connection)
            placed = apply_late(connection, tracked, ping, self._gaps, self.batch[-1].arrived_at)
            state, flips, duration_ms, prev_id, head_id = placed
        else:
            applied = apply(policy, tracked.state, ping, self._gaps)
            state, flips, duration_ms = applied.state, applied.flips, applied.duration_ms
            prev_id, head_id = tracked.last_ping_id, ping_id
        monitor_id, project_id = tracked.monitor_id, tracked.project_id
        self._tracked[monitor_id] = Tracked(
            monitor_id,
            project_id,
            tracked.dialect,
            tracked.uid,
            tracked.name,
            policy,
            state,
            tracked.look_at,
            head_id,
        )
        self._changes += [Change(monitor_id, project_id, flip, state) for flip in flips]
        self._pings.append(
            StoredPing(
                ping_id,
                prev_id,
                monitor_id,
                state.ping_count,
                at,
                int(kind),
                run_id,
                exit_code,
                duration_ms,
                signal.address,
                _user_agent(signal),
                flags or None,
            )
        )
        if body:
            self._bodies.append((ping_id, body))
        return Answer(
            by_token.dialect,
            tracked.name,
            policy,
            state,
            kind,
            at,
            duration_ms,
            is_duplicate,
            signal.token,
            reading.flags,
        )

    def _is_duplicate(self, connection: Connection, at: int, stored: Tracked, reading: Reading) -> bool:
        """Whether the monitor had a ping of the same kind just before, in this batch or in the store."""
        kind = (int(reading.kind), reading.flags & Flag.HEARTBEAT)
        same = (stored.monitor_id, *kind)
        oldest_at = (at // SECOND - reading.duplicate_seconds + 1) * SECOND
        last_at = self._last_at.get(same, 0)
        self._last_at[same] = max(at, last_at)
        if not last_at and (stored.state.last_ping_at or 0) >= oldest_at:
            last_at = chain.last_at(connection, stored.last_ping_id, kind, oldest_at)
        return oldest_at <= last_at <= at

    def _write(self, connection: Connection) -> None:
        """Write what has been folded so far; a late ping looks at the history in the store."""
        self._hot.add_pings(connection, self._pings, self._bodies)
        earliest = self._hot.save(connection, list(self._tracked.values()))
        if earliest is not None:
            self.earliest_event_at = min(earliest, self.earliest_event_at or earliest)
        if self._changes:
            record_flips(connection, self._changes, self.batch[-1].arrived_at, self._voice)
            self.told = True
        self._pings, self._bodies, self._changes = [], [], []


def _user_agent(signal: Signal) -> str | None:
    for name, value in signal.headers:
        if name == b"user-agent":
            return value[:LONGEST_USER_AGENT].decode("latin-1")
    return None


def whole_characters(body: bytes) -> bytes:
    """A cut body without the piece of a UTF-8 character at its end."""
    for size in range(1, min(4, len(body) + 1)):
        first = body[-size]
        if first & 0xC0 == 0x80:
            continue
        length = 4 if first >= 0xF0 else 3 if first >= 0xE0 else 2 if first >= 0xC0 else 1
        return body[:-size] if length > size else body
    return body

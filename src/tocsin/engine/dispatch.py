"""Dispatch: takes notifications out of the outbox, sends them, and writes down every attempt (promise 8).

It works in turns. A turn writes what ended since the last one and leases what is due, in one transaction;
the sending goes on meanwhile. Nothing is marked delivered before its receiver answered; what a crash leaves
behind is taken again, under the same id, when its lease ends.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import structlog

from tocsin.domain.channel import Outcome, Receipt, Sender
from tocsin.domain.monitor import SECOND
from tocsin.engine.alerts import Voice
from tocsin.engine.claim import Claims
from tocsin.engine.destinations import Destinations, Opener
from tocsin.engine.digest import Floods, as_sent
from tocsin.engine.lanes import Lanes, Parcel
from tocsin.engine.retry import RetryConfig
from tocsin.engine.settle import Result, Settled, Settlement
from tocsin.store import outbox
from tocsin.store.notifications import read_facts

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from tocsin.engine.clock import Clock
    from tocsin.store.database import Store

LONGEST_SLEEP_SECONDS = 60.0
AFTER_FAILURE_SECONDS = 1.0
# A parcel that waited so long may have been withdrawn meanwhile, or its lease may be another's.
STALE = 1 * SECOND

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class DispatchConfig:
    """How much at once, how long, how often.

    `attempt_seconds`: the longest time of one attempt, by kind in `slow_kinds`; a lease is twice as long.
    `digest_threshold`: more alerts than this at once, or within `digest_seconds`, for one person's channel
    become digests. `pause_seconds` lie between two turns, so that a storm's results share commits. `alone`:
    no other process delivers from this store, so that leases found at the start are those of a dead one.
    """

    per_host: int = 64
    in_all: int = 256
    attempt_seconds: float = 15
    slow_kinds: Mapping[str, float] = field(default_factory=lambda: {"email": 40})
    digest_threshold: int = 5
    digest_seconds: float = 10
    pause_seconds: float = 0.05
    stop_seconds: float = 10
    alone: bool = False
    retry: RetryConfig = field(default_factory=RetryConfig)

    def longest_attempt_seconds(self, kind: str) -> float:
        """The time after which an attempt on a channel of this kind is given up."""
        return self.slow_kinds.get(kind, self.attempt_seconds)


class Dispatch:
    """Delivers notifications: `run` until cancelled or stopped, `wake` when some were written."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        vault: Opener,
        senders: Mapping[str, Sender],
        voice_of: Callable[[], Voice],
        settings: DispatchConfig,
    ) -> None:
        self._store = store
        self._clock = clock
        self._senders = senders
        self._settings = settings
        self._lanes = Lanes(settings.per_host, settings.in_all)
        self._claims = Claims(
            Destinations(vault, senders),
            Floods(settings.digest_threshold, settings.digest_seconds),
            lambda kind: 2 * settings.longest_attempt_seconds(kind),
        )
        self._settlement = Settlement(settings.retry)
        self._voice_of = voice_of
        self._results: list[Result] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._woken = asyncio.Event()
        self._ended = asyncio.Event()
        self._ended.set()
        self._stopping = False
        self._must_end_leases = False
        self._again_at: int | None = None
        self.delivered = 0
        self.failed = 0

    @property
    def in_flight(self) -> int:
        """Messages that are being sent."""
        return self._lanes.active

    def wake(self) -> None:
        """Notifications were written. Cheap; to be called on the event loop."""
        self._woken.set()

    async def run(self) -> None:
        """Deliver until stopped; cancelled, it leaves what is in flight to the end of its lease."""
        self._ended.clear()
        self._must_end_leases = self._settings.alone
        try:
            while not self._stopping:
                self._woken.clear()
                await self._turn()
                await asyncio.sleep(self._settings.pause_seconds)
                await self._sleep()
            await self._drain()
        finally:
            for task in self._tasks:
                task.cancel()
            self._ended.set()

    async def stop(self) -> None:
        """Take nothing more, let what is in flight end within `stop_seconds`, and write it down."""
        self._stopping = True
        self._woken.set()
        await self._ended.wait()

    async def _sleep(self) -> None:
        seconds = LONGEST_SLEEP_SECONDS
        if self._again_at is not None:
            seconds = min(seconds, (self._again_at - self._clock.now()) / SECOND)
        try:
            async with asyncio.timeout(max(seconds, 0)):
                await self._woken.wait()
        except TimeoutError:
            pass

    async def _turn(self) -> None:
        results, self._results = self._results, []
        try:
            if self._must_end_leases:
                now = self._clock.now()
                await self._store.write(lambda connection: outbox.end_leases(connection, now))
                self._must_end_leases = False
            await self._settle_and_take(results)
        except Exception:  # the database may be away for a while; the outbox stays in it
            log.exception("dispatch_failed")
            self._results = results + self._results
            await asyncio.sleep(AFTER_FAILURE_SECONDS)
            self._woken.set()

    async def _settle_and_take(self, results: list[Result]) -> None:
        now, room = self._clock.now(), self._lanes.room()
        plan = await self._store.read(lambda connection: self._claims.look(connection, now, room))
        self._again_at = plan.again_at
        if not (results or plan.picks or plan.orphans):
            return
        now, voice = self._clock.now(), self._voice_of()
        settled, parcels = await self._store.write(
            lambda connection: (
                self._settlement.write(connection, results, now, voice),
                self._claims.take(connection, plan, now),
            )
        )
        self._count(settled)
        for parcel in parcels:
            self._claims.note(parcel)
            self._accept(parcel)
        self._start()
        if results or plan.orphans or len(parcels) < len(plan.picks):
            # What waited behind these may be due now; or another process was faster, and left some.
            self._woken.set()

    def _count(self, settled: Settled) -> None:
        self.delivered += settled.delivered
        self.failed += settled.failed

    def _accept(self, parcel: Parcel) -> None:
        if parcel.destination.refusal:
            receipt = Receipt(Outcome.REFUSED, detail=parcel.destination.refusal)
            self._end(Result(parcel, receipt, self._clock.now(), 0))
        else:
            self._lanes.add(parcel)

    def _start(self) -> None:
        while (parcel := self._lanes.take()) is not None:
            task = asyncio.create_task(self._deliver(parcel))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _deliver(self, parcel: Parcel) -> None:
        try:
            if await self._may_send(parcel):
                at, began = self._clock.now(), time.monotonic()
                receipt = await self._send(parcel)
                self._end(Result(parcel, receipt, at, int((time.monotonic() - began) * 1000)))
            else:
                now = self._clock.now()
                await self._store.write(lambda connection: _give_back(connection, parcel, now))
                self._woken.set()
        except Exception:  # its lease ends, and it is tried again
            log.exception("delivery_failed", channel=parcel.destination.channel.uid)
        finally:
            self._lanes.done(parcel)
            if not self._stopping:
                self._start()

    async def _may_send(self, parcel: Parcel) -> bool:
        """Whether the lease lasts as long as an attempt may, and nothing in it was withdrawn meanwhile."""
        now = self._clock.now()
        limit = self._settings.longest_attempt_seconds(parcel.destination.channel.kind)
        if now + int(limit * SECOND) > parcel.lease_until:
            return False
        if now - parcel.leased_at < STALE:
            return True
        ids, until = [item.id for item in parcel.items], parcel.lease_until
        ours = await self._store.read(lambda connection: outbox.still_leased(connection, ids, until))
        return len(ours) == len(ids)

    async def _send(self, parcel: Parcel) -> Receipt:
        destination = parcel.destination
        kind = destination.channel.kind
        limit = self._settings.longest_attempt_seconds(kind)
        alerts = as_sent([read_facts(item.facts) for item in parcel.items], parcel.batch)
        try:
            async with asyncio.timeout(limit):
                return await self._senders[kind].send(destination.config, alerts)
        except TimeoutError:
            return Receipt(Outcome.RETRY, detail=f"no answer within {limit:g} seconds")
        except Exception as error:  # a fault of ours must not lose the alert
            log.exception("sender_failed", kind=kind, channel=destination.channel.uid)
            return Receipt(Outcome.RETRY, detail=f"an error in Tocsin: {type(error).__name__}")

    def _end(self, result: Result) -> None:
        self._results.append(result)
        self._woken.set()

    async def _drain(self) -> None:
        waiting = self._lanes.empty()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=self._settings.stop_seconds)
        results, now, voice = self._results, self._clock.now(), self._voice_of()

        def commit(connection: Connection) -> Settled:
            for parcel in waiting:
                _give_back(connection, parcel, now)
            return self._settlement.write(connection, results, now, voice)

        self._count(await self._store.write(commit))
        self._results = []


def _give_back(connection: Connection, parcel: Parcel, now: int) -> None:
    outbox.give_back(connection, [item.id for item in parcel.items], parcel.lease_until, now)

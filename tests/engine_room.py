"""The engine's parts on a real store, under a clock that the test turns; nothing runs by itself.

room = await Room.open(store, Hands())
job = await room.add(interval=3600, grace=60)
await room.ping(job)
room.hands.pass_(3700)          # an hour passes, with all its ticks
await room.look()               # the watcher decides
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Sequence
from itertools import count
from typing import Any, NamedTuple

from sqlalchemy import Connection, insert, select

from tocsin.domain.monitor import SECOND, Flip, Gap, Reason, Status
from tocsin.domain.ping import Signal, read_plain
from tocsin.engine.alerts import Voice
from tocsin.engine.clock import Clock
from tocsin.engine.intake import Answer, Intake, IntakeConfig
from tocsin.engine.liveness import Ledger
from tocsin.engine.reanchor import Reanchor
from tocsin.engine.watch import Watch
from tocsin.store import monitors, tables
from tocsin.store.sqlite import SqliteStore

MORNING = 1_800_000_000 * SECOND


class Hands:
    """A wall clock and a boot clock, in microseconds, that move only when they are moved."""

    def __init__(self, wall_at: int = MORNING) -> None:
        self.wall_at = wall_at
        self.boot_at = 1_000 * SECOND

    def pass_(self, seconds: float) -> None:
        """Time passes."""
        self.wall_at += round(seconds * SECOND)
        self.boot_at += round(seconds * SECOND)

    def step(self, seconds: float) -> None:
        """Somebody sets the wall clock."""
        self.wall_at += round(seconds * SECOND)


class Job(NamedTuple):
    """A monitor, by its id and its token."""

    id: int
    token: str


class Told(NamedTuple):
    """A notification, as it waits in the outbox."""

    event: str
    monitor_id: int | None
    status: str


class Room:
    """Intake, watcher and ledger of one process."""

    def __init__(self, store: SqliteStore, hands: Hands, config: IntakeConfig) -> None:
        self.store = store
        self.hands = hands
        self.clock = Clock(lambda: hands.wall_at, lambda: hands.boot_at)
        # Ledger and intake know each other; the intake is made second.
        self.ledger = Ledger(store, self.clock, lambda: self.intake.oldest_waiting_at())  # noqa: PLW0108
        self.intake = Intake(store, self.clock, self.ledger, {"tocsin": read_plain}, _voice, config)
        self.watch = Watch(store, self.clock, self.ledger, _voice)
        self._reanchor = Reanchor(store, self.clock, self.ledger, self.intake)
        self._steps_back: list[int] = []
        self.ledger.on_backward_step = self._steps_back.append
        self._numbers = count()

    @classmethod
    async def open(
        cls, store: SqliteStore, hands: Hands | None = None, config: IntakeConfig | None = None
    ) -> Room:
        """A process starts, on whatever the store holds."""
        room = cls(store, hands or Hands(), config or IntakeConfig())
        await room.ledger.open()
        return room

    async def add(self, interval: int = 3600, grace: int = 0, **columns: Any) -> Job:
        """A monitor whose alerts go to one webhook."""
        number = next(self._numbers)
        token = hashlib.sha256(f"{self.clock.now()} {number}".encode()).hexdigest()[:24]

        def write(connection: Connection) -> int:
            return _add_monitor(connection, token, self.clock.now(), interval, grace, columns)

        return Job(await self.store.write(write), token)

    async def ping(self, job: Job, action: str = "") -> Answer | Exception | None:
        """One ping, from its arrival to its answer."""
        answer: Answer | Exception | None = await self.submit(job, action)
        return answer

    def submit(self, job: Job, action: str = "", query: bytes = b"") -> asyncio.Future[Any]:
        """A ping arrives now; the future is its answer."""
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        signal = Signal(job.token, action, query, "GET", [], "127.0.0.1", b"", body_was_cut=False)
        self.intake.submit(signal, answer.set_result)
        return answer

    def pass_(self, seconds: float) -> None:
        """Time passes, and the process ticks all the while."""
        self.hands.pass_(seconds)
        self.ledger._ticked_at = self.clock.now()

    def freeze(self, seconds: float) -> None:
        """Time passes, and the process does nothing."""
        self.hands.pass_(seconds)

    async def tick(self) -> None:
        """One tick, the mark that it may write, and what a clock that was set back asks for."""
        self.ledger.tick()
        while self._steps_back:
            await self._reanchor.run(self._steps_back.pop())
        while self.ledger._mark_is_being_written:  # noqa: ASYNC110 - it says so by no event
            await asyncio.sleep(0)

    async def look(self) -> None:
        """The watcher looks."""
        await self.watch._look()

    async def flips(self, job: Job) -> list[Flip]:
        """What was written of the job, oldest first."""
        return await self.store.read(lambda connection: _flips(connection, job.id))

    async def downs(self, job: Job) -> list[Flip]:
        """The job's outages."""
        return [flip for flip in await self.flips(job) if flip.new is Status.DOWN]

    async def told(self) -> list[Told]:
        """The outbox, oldest first."""
        columns = tables.notification.c
        query = select(columns.event, columns.monitor_id, columns.status).order_by(columns.id)
        return await self.store.read(lambda connection: [Told(*row) for row in connection.execute(query)])

    async def gaps(self) -> list[Gap]:
        """What the ledger holds."""
        columns = tables.gap.c
        query = select(columns.from_at, columns.until_at).order_by(columns.id)
        return await self.store.read(lambda connection: [Gap(*row) for row in connection.execute(query)])


def words(flips: Sequence[Flip]) -> list[str]:
    """The statuses that a monitor went through."""
    return [flip.new.value for flip in flips]


def _voice() -> Voice:
    return Voice("http://tocsin", None)


def _add_monitor(
    connection: Connection, token: str, now: int, interval: int, grace: int, columns: dict[str, Any]
) -> int:
    row = {
        "uid": token.rjust(32, "0"),
        "badge_key": f"badge {token}",
        "project_id": _project(connection, now),
        "dialect": "tocsin",
        "name": f"job {token}",
        "slug": token,
        "schedule_kind": "interval",
        "schedule_expression": str(interval),
        "grace_seconds": grace,
        "fan_out": True,
        "created_at": now,
        "updated_at": now,
    }
    return monitors.add_all(connection, [{**row, **columns}], [token], now)[0]


def _project(connection: Connection, now: int) -> int:
    """The one project, with a webhook that nobody calls."""
    found = connection.scalar(select(tables.project.c.id))
    if found is not None:
        return int(found)
    row = {
        "uid": "p",
        "name": "p",
        "dialect": "tocsin",
        "owner_id": 1,
        "plan": "self-hosted",
        "created_at": now,
    }
    added = insert(tables.project).values(row).returning(tables.project.c.id)
    project_id: int = connection.execute(added).scalar_one()
    hook = {"uid": "c", "project_id": project_id, "kind": "webhook", "label": "hook", "config": "sealed"}
    times = {"created_at": now, "updated_at": now, "verified_at": now}
    connection.execute(insert(tables.channel).values({**hook, **times, "fingerprint": "f"}))
    return project_id


def _flips(connection: Connection, monitor_id: int) -> list[Flip]:
    columns = tables.flip.c
    query = select(columns.at, columns.old, columns.new, columns.reason, columns.announced)
    rows = connection.execute(query.where(columns.monitor_id == monitor_id).order_by(columns.id))
    return [Flip(row.at, Status(row.old), Status(row.new), Reason(row.reason), row.announced) for row in rows]

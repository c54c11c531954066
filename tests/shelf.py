"""Batches of pings into a real store, one transaction that nobody commits, and what they left in it.

job = Job(shelf)
job.take(Said(0), Said(50, Kind.FAIL))
job.words                                   # ["0 new-up", "50 up-down"]
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple, cast

from msgspec.structs import replace
from sqlalchemy import Connection, insert, select, update

from tests.domain.timeline import MORNING, at
from tocsin.domain.monitor import Flip, Gap, Policy, Reason, State, Status
from tocsin.domain.ping import Kind, Ping, Reading, Signal
from tocsin.domain.schedule import parse_schedule
from tocsin.domain.transition import judge, pause, resume
from tocsin.engine.alerts import Change, Voice, record_flips
from tocsin.engine.intake import Answer, Waiting, _Batch
from tocsin.store import chain, monitors, tables
from tocsin.store.database import Store, Tracked
from tocsin.store.hot.sqlite import SqliteHot
from tocsin.store.sqlite import sqlite_engine

VOICE = Voice("http://tocsin", None)
TOKENS = (f"token{number:019}" for number in count())


LIMITS = (
    "longest_run_seconds",
    "shortest_run_seconds",
    "failures_before_alert",
    "successes_before_recovery",
    "reminder_seconds",
)
MONITOR = {
    "project_id": 1,
    "dialect": "tocsin",
    "name": "job",
    "slug": "job",
    "schedule_kind": "interval",
    "grace_seconds": 20,
    "fan_out": True,
    "created_at": MORNING,
    "updated_at": MORNING,
}


class Shelf(NamedTuple):
    """As much of a store as a batch needs, and a transaction that nobody commits."""

    hot: SqliteHot
    connection: Connection


class Said(NamedTuple):
    """One ping before it has an id: "success", 10 seconds after the morning began."""

    seconds: float
    kind: Kind = Kind.SUCCESS
    run_id: str | None = None
    duration_ms: int | None = None


class Stored(NamedTuple):
    """What the store holds of one monitor."""

    state: State
    flips: list[Flip]
    pings: list[Ping]


class Job:
    """One monitor in a store, whose pings are stored batch by batch, in any order."""

    def __init__(self, shelf: Shelf, gaps: Sequence[Gap] = (), **limits: int | None) -> None:
        self.connection = shelf.connection
        self.store = cast("Store", shelf)
        self.gaps = tuple(gaps)
        self.token = next(TOKENS)
        self.policy = Policy(parse_schedule("interval", "100", "UTC"), 20, **limits)  # type: ignore[arg-type]
        columns = {name: getattr(self.policy, name) for name in LIMITS}
        uid = self.token.rjust(32, "0")
        row = {"uid": uid, "badge_key": uid, "schedule_expression": "100", **MONITOR, **columns}
        [self.id] = monitors.add_all(self.connection, [row], [self.token], MORNING)

    def take(self, *batch: Said) -> list[Answer | None]:
        """One batch, stored in the order given."""
        waiting = [Waiting(at(said.seconds), self._signal(said), lambda _answer: None) for said in batch]
        return _Batch(self.store, {"tocsin": _read}, waiting, self.gaps, [], VOICE)(self.connection)

    def look(self, seconds: float) -> None:
        """The watcher decides what lies before."""
        self._change(lambda tracked: judge(tracked.policy, tracked.state, at(seconds), self.gaps))

    def pause(self, seconds: float) -> None:
        self._change(lambda tracked: pause(tracked.state, at(seconds)))

    def resume(self, seconds: float) -> None:
        self._change(lambda tracked: resume(tracked.state, at(seconds)))

    def tell(self) -> None:
        """Somebody is told of all that is pending."""
        columns = tables.notification.c
        mine = (columns.monitor_id == self.id) & (columns.status == "pending")
        self.connection.execute(update(tables.notification).where(mine).values(attempts=1))

    @property
    def stored(self) -> Stored:
        tracked = self._tracked
        columns = tables.flip.c
        query = select(tables.flip).where(columns.monitor_id == self.id).order_by(columns.at, columns.id)
        flips = [_flip(row) for row in self.connection.execute(query)]
        return Stored(tracked.state, flips, _chain(self.connection, tracked))

    @property
    def words(self) -> list[str]:
        """The flips, as "seconds old-new"."""
        return [f"{(flip.at - MORNING) // 10**6} {flip.old}-{flip.new}" for flip in self.stored.flips]

    @property
    def outbox(self) -> list[str]:
        """The notifications, as "event status"."""
        columns = tables.notification.c
        query = (
            select(columns.event, columns.status).where(columns.monitor_id == self.id).order_by(columns.id)
        )
        return [f"{row.event} {row.status}" for row in self.connection.execute(query)]

    @property
    def _tracked(self) -> Tracked:
        [tracked] = self.store.hot.load(self.connection, [self.id])
        return tracked

    def _signal(self, said: Said) -> Signal:
        run, took = said.run_id or "", "" if said.duration_ms is None else said.duration_ms
        query = f"{int(said.kind)}/{run}/{took}".encode()
        return Signal(self.token, "", query, "GET", [], "192.0.2.1", b"", body_was_cut=False)

    def _change(self, deed: Callable[[Tracked], tuple[State, tuple[Flip, ...]]]) -> None:
        tracked = self._tracked
        state, flips = deed(tracked)
        self.store.hot.save_look(self.connection, [replace(tracked, state=state)])
        changes = [Change(self.id, tracked.project_id, flip, state) for flip in flips]
        record_flips(self.connection, changes, state.since_at, VOICE)


def _read(signal: Signal) -> Reading:
    kind, run, took = signal.query.decode().split("/")
    return Reading(Kind(int(kind)), run or None, None, int(took) if took else None)


def _flip(row: Any) -> Flip:
    return Flip(row.at, Status(row.old), Status(row.new), Reason(row.reason), row.announced)


def _chain(connection: Connection, tracked: Tracked) -> list[Ping]:
    """The pings along the chain, oldest first."""
    rows: list[Any] = chain.walk(connection, tracked.last_ping_id, 10_000)
    return [
        Ping(row.arrived_at, Kind(row.kind), row.id, row.run_id, row.exit_code, row.duration_ms)
        for row in reversed(rows)
    ]


@contextmanager
def open_shelf(folder: Path) -> Iterator[Shelf]:
    """A database with one project, whose alerts go to one webhook."""
    engine = sqlite_engine(folder / "tocsin.db")
    tables.metadata.create_all(engine)
    with engine.connect() as connection:
        connection.exec_driver_sql("BEGIN")
        _furnish(connection)
        yield Shelf(SqliteHot(), connection)
    engine.dispose()


def _furnish(connection: Connection) -> None:
    project = {"uid": "p", "name": "p", "dialect": "tocsin", "owner_id": 1, "plan": "self-hosted"}
    connection.execute(insert(tables.project).values(**project, created_at=MORNING))
    hook = {"uid": "c", "project_id": 1, "kind": "webhook", "label": "c", "config": "", "fingerprint": ""}
    times = dict.fromkeys(("created_at", "updated_at", "verified_at"), MORNING)
    connection.execute(insert(tables.channel).values(**hook, **times))

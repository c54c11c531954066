"""In which order pings are stored never changes the outcome (promise 2), on a real store."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from itertools import count, pairwise
from typing import Any, NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, insert, select, update

from tests.domain.timeline import MORNING, at, gap
from tocsin.domain.monitor import Flip, Gap, Policy, Reason, State, Status
from tocsin.domain.ping import Kind, Ping, Reading, Signal
from tocsin.domain.schedule import parse_schedule
from tocsin.domain.transition import apply, judge, pause, resume
from tocsin.engine import history
from tocsin.engine.alerts import Change, Voice, record_flips
from tocsin.engine.intake import Answer, Waiting, _Batch
from tocsin.store import chain, monitors, tables
from tocsin.store.database import Tracked
from tocsin.store.sqlite import SqliteStore, sqlite_engine

pytestmark = pytest.mark.promise(2)

VOICE = Voice("http://tocsin", None)
TOKENS = (f"token{number:019}" for number in count())


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

    def __init__(self, store: SqliteStore, gaps: Sequence[Gap] = (), **limits: int | None) -> None:
        self.store = store
        self.gaps = tuple(gaps)
        self.token = next(TOKENS)
        self.policy = Policy(parse_schedule("interval", "100", "UTC"), 20, **limits)  # type: ignore[arg-type]
        self.id: int = store.submit(self._add).result()

    def take(self, *batch: Said) -> list[Answer | None]:
        """One batch, stored in the order given."""
        waiting = [Waiting(at(said.seconds), self._signal(said), lambda _answer: None) for said in batch]
        readers = {"tocsin": _read}
        return self.store.submit(_Batch(self.store, readers, waiting, self.gaps, [], VOICE)).result()

    def look(self, seconds: float) -> None:
        """The watcher decides what lies before."""
        self._change(lambda tracked: judge(tracked.policy, tracked.state, at(seconds), self.gaps))

    def pause(self, seconds: float) -> None:
        self._change(lambda tracked: pause(tracked.state, at(seconds)))

    def resume(self, seconds: float) -> None:
        self._change(lambda tracked: resume(tracked.state, at(seconds)))

    def tell(self) -> None:
        """Somebody is told of all that is pending."""
        mine = tables.notification.c.monitor_id == self.id
        told = update(tables.notification).where(mine, tables.notification.c.status == "pending")
        self.store.submit(lambda connection: connection.execute(told.values(attempts=1))).result()

    @property
    def stored(self) -> Stored:
        return self.store.submit(self._read).result()

    @property
    def words(self) -> list[str]:
        """The flips, as "seconds old-new"."""
        return [f"{(flip.at - MORNING) // 10**6} {flip.old}-{flip.new}" for flip in self.stored.flips]

    @property
    def outbox(self) -> list[tuple[str, str]]:
        """The notifications, as event and status."""
        columns = tables.notification.c
        query = (
            select(columns.event, columns.status).where(columns.monitor_id == self.id).order_by(columns.id)
        )
        rows = self.store.submit(lambda connection: connection.execute(query).all()).result()
        return [(row.event, row.status) for row in rows]

    def _signal(self, said: Said) -> Signal:
        run, took = said.run_id or "", said.duration_ms or ""
        query = f"{int(said.kind)}/{run}/{took}".encode()
        return Signal(self.token, "", query, "GET", [], "192.0.2.1", b"", body_was_cut=False)

    def _change(self, deed: Any) -> None:
        def change(connection: Connection) -> None:
            [tracked] = self.store.hot.load(connection, [self.id])
            state, flips = deed(tracked)
            self.store.hot.save_look(connection, [tracked._replace(state=state)])
            changes = [Change(self.id, tracked.project_id, flip, state) for flip in flips]
            record_flips(connection, changes, state.since_at, VOICE)

        self.store.submit(change).result()

    def _add(self, connection: Connection) -> int:
        policy = self.policy
        row = {
            "uid": self.token.rjust(32, "0"),
            "project_id": 1,
            "dialect": "tocsin",
            "name": "job",
            "slug": "job",
            "schedule_kind": policy.schedule.kind,
            "schedule_expression": policy.schedule.expression,
            "grace_seconds": policy.grace_seconds,
            "longest_run_seconds": policy.longest_run_seconds,
            "shortest_run_seconds": policy.shortest_run_seconds,
            "failures_before_alert": policy.failures_before_alert,
            "successes_before_recovery": policy.successes_before_recovery,
            "reminder_seconds": policy.reminder_seconds,
            "fan_out": True,
            "created_at": MORNING,
            "updated_at": MORNING,
        }
        return monitors.add_all(connection, [row], [self.token], MORNING)[0]

    def _read(self, connection: Connection) -> Stored:
        [tracked] = self.store.hot.load(connection, [self.id])
        columns = tables.flip.c
        query = select(tables.flip).where(columns.monitor_id == self.id).order_by(columns.at, columns.id)
        return Stored(
            tracked.state, [_flip(row) for row in connection.execute(query)], _chain(connection, tracked)
        )


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


def truth(job: Job, said: Sequence[Said]) -> Stored:
    """All pings folded in true order, without a store."""
    pings = sorted(
        (Ping(at(each.seconds), each.kind, 0, each.run_id, None, each.duration_ms) for each in said),
        key=lambda ping: ping.order,
    )
    state, flips, kept = State(since_at=MORNING), list[Flip](), list[Ping]()
    for ping in pings:
        state, more, duration_ms = apply(job.policy, state, ping, job.gaps)
        flips += [Flip(flip.at, flip.old, flip.new, flip.reason, flip.announced) for flip in more]
        kept.append(ping._replace(duration_ms=duration_ms))
    return Stored(state, flips, kept)


def comparable(stored: Stored) -> Stored:
    """Versions count the ways, not the outcome; ids are given in the order of storing."""
    return Stored(
        stored.state._replace(version=0), stored.flips, [ping._replace(id=0) for ping in stored.pings]
    )


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SqliteStore]:
    """One store for all examples: each has a monitor of its own, whose alerts go to one webhook."""
    path = tmp_path_factory.mktemp("history") / "tocsin.db"
    engine = sqlite_engine(path)
    tables.metadata.create_all(engine)
    engine.dispose()
    store = SqliteStore(path)
    store.submit(_furnish).result()
    yield store
    asyncio.run(store.close())


def _furnish(connection: Connection) -> None:
    project = {"uid": "p", "name": "p", "dialect": "tocsin", "owner_id": 1, "plan": "self-hosted"}
    connection.execute(insert(tables.project).values(**project, created_at=MORNING))
    hook = {"uid": "c", "project_id": 1, "kind": "webhook", "label": "c", "config": "", "fingerprint": ""}
    times = dict.fromkeys(("created_at", "updated_at", "verified_at"), MORNING)
    connection.execute(insert(tables.channel).values(**hook, **times))


# Properties

said = st.builds(
    Said,
    st.integers(0, 60).map(lambda tens: 10 * tens),
    st.sampled_from([Kind.START, Kind.LOG, Kind.SUCCESS, Kind.SUCCESS, Kind.FAIL]),
    st.sampled_from([None, None, "a", "b"]),
)
lives = st.lists(said, min_size=2, max_size=14, unique_by=lambda each: (each.seconds, each.kind))
limits = st.fixed_dictionaries(
    {
        "longest_run_seconds": st.sampled_from([None, 30, 150]),
        "shortest_run_seconds": st.sampled_from([None, 20]),
        "failures_before_alert": st.sampled_from([1, 1, 2]),
        "successes_before_recovery": st.sampled_from([1, 1, 2]),
        "reminder_seconds": st.sampled_from([None, 60]),
    }
)
gap_lists = st.sampled_from([[], [], [gap(100, 130)], [gap(50, 190), gap(300, 310)]])
relaxed = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@st.composite
def orders(draw: st.DrawFn) -> tuple[list[Said], list[list[Said]]]:
    """A life, and its pings as they are stored: batches in any order, each in the order of its arrivals."""
    life = draw(lives)
    mixed = draw(st.permutations(life))
    cuts = sorted(draw(st.sets(st.integers(1, len(mixed) - 1))))
    batches = [mixed[begin:end] for begin, end in pairwise([0, *cuts, len(mixed)])]
    return life, [sorted(batch, key=lambda each: each.seconds) for batch in batches]


@given(order=orders(), limits=limits, gaps=gap_lists)
@relaxed
def test_any_order_of_single_pings_gives_the_fold_in_true_order(
    shelf: SqliteStore, order: tuple[list[Said], list[list[Said]]], limits: dict[str, int], gaps: list[Gap]
) -> None:
    job = Job(shelf, gaps, **limits)
    for batch in order[1]:
        for each in batch:
            job.take(each)
    assert comparable(job.stored) == comparable(truth(job, order[0]))


@given(order=orders(), limits=limits, gaps=gap_lists)
@relaxed
def test_any_order_of_batches_gives_the_fold_in_true_order(
    shelf: SqliteStore, order: tuple[list[Said], list[list[Said]]], limits: dict[str, int], gaps: list[Gap]
) -> None:
    job = Job(shelf, gaps, **limits)
    for batch in order[1]:
        job.take(*batch)
    assert comparable(job.stored) == comparable(truth(job, order[0]))


@given(order=orders(), limits=limits, told=st.lists(st.booleans(), min_size=14, max_size=14))
@relaxed
def test_what_somebody_was_told_stays_and_the_last_flip_is_the_status_all_the_same(
    shelf: SqliteStore, order: tuple[list[Said], list[list[Said]]], limits: dict[str, int], told: list[bool]
) -> None:
    job = Job(shelf, **limits)
    for batch, tell in zip((one for batch in order[1] for one in batch), told, strict=False):
        before = job.outbox
        job.take(batch)
        assert [one for one in before if one[1] == "delivered"] == []
        if tell:
            job.tell()
    flips, state, expected = job.stored.flips, job.stored.state, truth(job, order[0]).state
    for earlier, later in pairwise(flips):
        assert later.old is earlier.new
    assert (flips[-1].new if flips else Status.NEW) is state.status
    assert (state.status, state.due_at, state.deadline_at) == (
        expected.status,
        expected.due_at,
        expected.deadline_at,
    )

"""From a deadline to its flip and to its webhook, with as many due at once as a bad day has."""

from __future__ import annotations

import sqlite3
import statistics
import time
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from benchmarks import seed
from benchmarks.processes import Server
from benchmarks.receiver import Delivery, Receiver
from benchmarks.report import Budget, Figure, Row, Section, amount
from benchmarks.scale import BenchmarkError, Scale
from tocsin.domain.monitor import SECOND

CROWDS = ("within one second", "at the same microsecond")
LEAD_SECONDS = 12
BETWEEN_SECONDS = 45
POLL_SECONDS = 0.005
PATIENCE_SECONDS = 40
NOTE = """\
{many:,} monitors that tell one receiver, which takes 100 ms. {due:,} of them go silent: once spread evenly
over one second, once all at the same microsecond.

*decided* is the stamp in the flip itself; *committed* is when a second, read-only connection, asking every
{poll} ms, saw the flip; *answered* is when the receiver had answered; *repeated* are alerts that it got more
than once."""
HEADS = (
    "deadlines", "decided p50", "p99", "committed p50", "p99", "last", "answered p50", "p99", "last",
    "missing", "repeated", "server CPU", "server RSS",
)  # fmt: skip


class Flip(NamedTuple):
    """Times are Unix seconds."""

    id: int
    at: float
    decided_at: float


class Round(NamedTuple):
    """What one crowd of silent monitors led to: seconds after their deadlines, in ascending order."""

    decided: Sequence[float]
    committed: Sequence[float]
    answered: Sequence[float]
    missing: int
    repeated: int
    cpu_percent: float
    rss_mb: float


def measure(scale: Scale, many: Path, receiver: Receiver, settings: dict[str, str]) -> Section:
    """One crowd after the other; their deadlines are set before the server starts."""
    first_at = int(time.time()) + LEAD_SECONDS
    names = CROWDS[: scale.crowds]
    crowds = {name: first_at + number * BETWEEN_SECONDS for number, name in enumerate(names)}
    _set_deadlines(many, scale.due, crowds)
    with Server(many, settings) as server:
        if time.time() > first_at - 2:
            raise BenchmarkError("the server took so long to start that deadlines passed meanwhile")
        rounds = {name: _observe(server, receiver, at, scale.due) for name, at in crowds.items()}
    figures = [figure for name, each in rounds.items() for figure in _figures(scale, name, each)]
    note = NOTE.format(many=scale.many, due=scale.due, poll=round(POLL_SECONDS * 1_000))
    return Section("Silence", note, figures, HEADS, [_row(*each) for each in rounds.items()])


def _set_deadlines(data: Path, due: int, crowds: Mapping[str, int]) -> None:
    with seed.reading(data) as connection:
        query = "SELECT monitor_id FROM watch ORDER BY random() LIMIT ?"
        ids = [each for (each,) in connection.execute(query, (len(crowds) * due,))]
    for number, (name, at) in enumerate(crowds.items()):
        step = SECOND // due if name == CROWDS[0] else 0
        seed.make_due(data, ids[number * due : (number + 1) * due], at * SECOND, step)


def _observe(server: Server, receiver: Receiver, first_at: float, due: int) -> Round:
    time.sleep(max(0, first_at - 1 - time.time()))
    with server.usage() as usage, seed.reading(server.data) as connection:
        [last] = connection.execute("SELECT coalesce(max(id), 0) FROM flip").fetchone()
        give_up_at = first_at + PATIENCE_SECONDS
        seen = _watch(connection, last, due, give_up_at)
        flips = _flips(connection, last)
        while receiver.answered() < due and time.time() < give_up_at:
            time.sleep(0.25)
    deliveries = receiver.take()
    return Round(
        decided=sorted(flip.decided_at - flip.at for flip in flips),
        committed=sorted(_committed_at(flip.id, seen) - flip.at for flip in flips),
        answered=sorted(each.answered_at - _seconds(each.at) for each in deliveries),
        missing=due - len({each.id for each in deliveries}),
        repeated=_repeated(deliveries),
        cpu_percent=usage[0].cpu_percent,
        rss_mb=usage[0].rss_mb,
    )


def _watch(connection: sqlite3.Connection, last: int, due: int, give_up_at: float) -> list[tuple[int, float]]:
    """Which flip was the newest at what time, until all are there."""
    seen = [(last, time.time())]
    count = 0
    while count < due:
        if time.time() > give_up_at:
            raise BenchmarkError(f"only {count} of {due} silent monitors went down")
        time.sleep(POLL_SECONDS)
        [newest] = connection.execute("SELECT coalesce(max(id), 0) FROM flip").fetchone()
        if newest > seen[-1][0]:
            seen.append((newest, time.time()))
            [count] = connection.execute("SELECT count(*) FROM flip WHERE id > ?", (last,)).fetchone()
    return seen


def _flips(connection: sqlite3.Connection, last: int) -> list[Flip]:
    query = "SELECT id, at / 1e6, created_at / 1e6 FROM flip WHERE id > ?"
    return [Flip(*row) for row in connection.execute(query, (last,))]


def _committed_at(flip_id: int, seen: Sequence[tuple[int, float]]) -> float:
    """When the flip was first seen."""
    return seen[min(bisect_left(seen, (flip_id, 0.0)), len(seen) - 1)][1]


def _repeated(deliveries: Sequence[Delivery]) -> int:
    return len(deliveries) - len({each.id for each in deliveries})


def _seconds(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def _figures(scale: Scale, name: str, measured: Round) -> list[Figure]:
    crowd = f"{scale.due:,} due {name}, of {scale.many:,}"
    return [
        Figure(f"{crowd}: deadline to flip committed, p50", statistics.median(measured.committed), "s"),
        Figure(f"{crowd}: deadline to flip committed, p99", _p99(measured.committed), "s", Budget("<=", 1)),
        Figure(f"{crowd}: deadline to webhook answered, p50", statistics.median(measured.answered), "s"),
        Figure(f"{crowd}: deadline to webhook answered, last", measured.answered[-1], "s", Budget("<=", 20)),
        Figure(f"{crowd}: alerts that never came", measured.missing, "", Budget("<=", 0)),
    ]


def _p99(values: Sequence[float]) -> float:
    return values[min(len(values) - 1, len(values) * 99 // 100)]


def _row(name: str, measured: Round) -> Row:
    return (
        name,
        amount(statistics.median(measured.decided), "s"),
        amount(_p99(measured.decided), "s"),
        amount(statistics.median(measured.committed), "s"),
        amount(_p99(measured.committed), "s"),
        amount(measured.committed[-1], "s"),
        amount(statistics.median(measured.answered), "s"),
        amount(_p99(measured.answered), "s"),
        amount(measured.answered[-1], "s"),
        str(measured.missing),
        str(measured.repeated),
        amount(measured.cpu_percent, "%"),
        amount(measured.rss_mb, "MB"),
    )

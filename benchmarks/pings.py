"""Durable pings a second, beside the empty 200 of the same HTTP server."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import NamedTuple

from benchmarks import seed
from benchmarks.bare import bare_server
from benchmarks.load import Run, http, run_load
from benchmarks.processes import Server, Usage
from benchmarks.report import Budget, Figure, Row, Section, amount
from benchmarks.scale import BenchmarkError, Scale

Requests = Callable[[bool], list[str]]
BODY = "".join(f"line {number:4} of what the job said\n" for number in range(100))[:1_000]

KINDS: dict[str, Requests] = {
    "GET": lambda close: [http("GET", "/ping/{word}", close=close)],
    "POST 1 kB": lambda close: [
        http("POST", "/ping/{word}", headers=["Content-Type: text/plain"], body=BODY, close=close)
    ],
    "start, then end": lambda close: [
        http("GET", "/ping/{word}/start", close=close),
        http("GET", "/ping/{word}", close=close),
    ],
}
HEADS = (
    "load", "monitors", "connections", "per second", "of empty 200", "p50", "p99", "acknowledged", "lost",
    "errors", "server CPU", "CPU of each", "server RSS", "wrk CPU",
)  # fmt: skip
NOTE = """\
Each ping is answered after its commit (WAL, synchronous=FULL). Monitors are drawn at random. With "new"
connections each ping has its own, as cron jobs do; "kept" ones are used again. Requests carry curl's headers.

*Empty 200* is a bare uvicorn of the same version, with the same loop and parser, under the same wrk script.
*lost* are pings that were acknowledged with 2xx by wrk's count and are not in the database's; *errors* are
other answers, and connections that failed or took longer than 10 s. *CPU of each* is the server's processor
time for one request; unlike the rates it hardly depends on what else the machine was doing."""
FASTEST = 30_000


class Load(NamedTuple):
    """One way to press."""

    kind: str
    connections: int
    close: bool
    monitors: int = 0

    def __str__(self) -> str:
        return f"{self.kind}, {'new' if self.close else 'kept'} connections"


class Result(NamedTuple):
    """What came of it."""

    load: Load
    run: Run
    usage: Usage
    stored: int

    @property
    def lost(self) -> int:
        """Pings that were acknowledged and are not stored."""
        return max(0, self.run.acknowledged - self.stored)


class Results:
    """All results of one run, and the empty 200 beside each."""

    def __init__(self) -> None:
        self._empty: dict[tuple[int, bool], Result] = {}
        self._pings: dict[Load, Result] = {}

    def add(self, result: Result) -> None:
        """Take note of one."""
        self._pings[result.load] = result

    def add_empty(self, result: Result) -> None:
        """Take note of an empty 200."""
        self._empty[result.load.connections, result.load.close] = result

    def get(self, load: Load) -> Result:
        """The result of exactly this load."""
        return self._pings[load]

    def ratio(self, result: Result) -> float:
        """Its rate as a share of the empty 200's with the same connections."""
        return result.run.rate / self._empty[result.load.connections, result.load.close].run.rate

    @property
    def lost(self) -> int:
        """Over all."""
        return sum(result.lost for result in self._pings.values())

    def rows(self) -> list[Row]:
        """Details of all."""
        empty = [_row(result, "", "") for result in self._empty.values()]
        pings = [_row(each, f"{self.ratio(each):.2f}", str(each.lost)) for each in self._pings.values()]
        return empty + pings


def measure(scale: Scale, few: Path, many: Path, settings: dict[str, str]) -> Section:
    """Every kind of load on `few` monitors, the most telling ones on `many`."""
    results = Results()
    _press_empty(scale, results)
    modes = list(product(KINDS, scale.connections, (False, True)))
    bytes_each = _press(scale, few, [Load(*mode, scale.few) for mode in modes], results, {})
    on_many = _loads_on_many(scale)
    _press(scale, many, on_many, results, settings)
    figures = [*_figures(scale, results), *_figures_of_many(scale, results, on_many)]
    figures += [
        Figure("stored GET ping, indexes included", bytes_each, "bytes", Budget("<=", 160)),
        Figure("acknowledged pings that were lost", results.lost, "", Budget("<=", 0)),
    ]
    return Section("Pings", NOTE, figures, HEADS, results.rows(), results.lost)


def press(scale: Scale, server: Server, words: Path, load: Load, seconds: float | None = None) -> Result:
    """One load on a server, and what it stored of it."""
    before = seed.stored_pings(server.data)
    with server.usage() as usage:
        run = run_load(
            server.port,
            KINDS[load.kind](load.close),
            words,
            connections=load.connections,
            seconds=seconds or scale.seconds,
            ground=scale.ground,
        )
    if not run.acknowledged:
        raise BenchmarkError(f"no ping was acknowledged ({load}, {run.refused} refused, {run.broken} broken)")
    return Result(load, run, usage[0], seed.stored_pings(server.data) - before)


def press_empty(scale: Scale, connections: int, *, close: bool) -> Result:
    """The empty 200 of a bare server."""
    with bare_server(scale.ground) as (child, port), child.usage() as usage:
        run = run_load(
            port,
            [http("GET", "/", close=close)],
            None,
            connections=connections,
            seconds=scale.seconds,
            ground=scale.ground,
        )
    return Result(Load("empty 200", connections, close), run, usage[0], 0)


def words_of(scale: Scale, data: Path) -> Path:
    """The tokens to ping, as a file."""
    path = scale.ground / f"{data.name} tokens"
    seed.write_tokens(data, "tocsin", path)
    return path


def _press_empty(scale: Scale, results: Results) -> None:
    for connections, close in product(scale.connections, (False, True)):
        results.add_empty(press_empty(scale, connections, close=close))


def _press(scale: Scale, data: Path, loads: list[Load], results: Results, settings: dict[str, str]) -> float:
    """All loads on one server; how many bytes a GET ping took."""
    words = words_of(scale, data)
    with Server(data, settings) as server:
        press(scale, server, words, loads[0], seconds=2)
        before = seed.used_bytes(data)
        first = press(scale, server, words, loads[0])
        bytes_each = (seed.used_bytes(data) - before) / max(1, first.stored)
        results.add(first)
        for load in loads[1:]:
            results.add(press(scale, server, words, load))
    return bytes_each


def _figures(scale: Scale, results: Results) -> list[Figure]:
    figures: list[Figure] = []
    for kind, connections in product(KINDS, [each for each in scale.connections if each >= 128]):
        kept = results.get(Load(kind, connections, False, scale.few))
        what = f"{kind}, {connections} kept connections"
        figures += [
            Figure(what, kept.run.rate, "/s", Budget(">=", FASTEST)),
            Figure(f"{what}: of empty 200", results.ratio(kept), "", Budget(">=", 0.4)),
            Figure(f"{what}: p99", kept.run.p99_ms, "ms", Budget("<", 20)),
        ]
    for kind in KINDS:
        new = results.get(Load(kind, scale.most_connections, True, scale.few))
        what = f"{kind}, a new connection each: of empty 200"
        figures.append(Figure(what, results.ratio(new), "", Budget(">=", 0.5)))
    return figures


def _loads_on_many(scale: Scale) -> list[Load]:
    most = scale.most_connections
    return [
        *(Load("GET", connections, False, scale.many) for connections in scale.connections),
        *(Load(kind, most, False, scale.many) for kind in KINDS if kind != "GET"),
        Load("GET", most, True, scale.many),
    ]


def _figures_of_many(scale: Scale, results: Results, loads: list[Load]) -> list[Figure]:
    figures = []
    for load in loads:
        few = results.get(load._replace(monitors=scale.few)).run.rate
        what = f"{load}, {load.connections} at once, {scale.many:,} monitors: of the rate with {scale.few:,}"
        figures.append(Figure(what, results.get(load).run.rate / few, "", Budget(">=", 0.8)))
    return figures


def _row(result: Result, ratio: str, lost: str) -> Row:
    load, run, usage = result.load, result.run, result.usage
    return (
        str(load),
        f"{load.monitors:,}" if load.monitors else "",
        str(load.connections),
        amount(run.rate),
        ratio,
        amount(run.p50_ms, "ms"),
        amount(run.p99_ms, "ms"),
        f"{run.acknowledged:,}",
        lost,
        str(run.refused + run.broken),
        amount(usage.cpu_percent, "%"),
        amount(usage.cpu_percent * 10_000 / run.rate, "µs"),
        amount(usage.rss_mb, "MB"),
        amount(run.generator_percent, "%"),
    )

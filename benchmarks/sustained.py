"""A minute of pings with everything on: the engine, and pruning with as much to do as comes in."""

from __future__ import annotations

from pathlib import Path

from benchmarks import seed
from benchmarks.pings import Load, press, press_empty, words_of
from benchmarks.processes import Server
from benchmarks.report import Budget, Figure, Section, amount
from benchmarks.scale import Scale

KEPT = 5
NOTE = """\
GET with kept connections for {seconds} s. So that pruning works from the first moment, and not only after a
year, the monitors are given {filled} pings before, and TOCSIN_PINGS_PER_MONITOR is {kept} for the run, during
which {pruned} pings were pruned."""


def measure(scale: Scale, few: Path) -> Section:
    """One long run at the most connections."""
    load = Load("GET", scale.most_connections, False, scale.few)
    empty = press_empty(scale, load.connections, close=False).run.rate
    words = words_of(scale, few)
    with Server(few) as server:
        filled = press(scale, server, words, load).stored
    with Server(few, {"TOCSIN_PINGS_PER_MONITOR": str(KEPT)}) as server:
        result = press(scale, server, words, load, scale.sustained_seconds)
        pruned = filled + result.stored - seed.pings_left(few)
    what = f"{scale.sustained_seconds} s of GET, {load.connections} connections, engine and pruning on"
    figures = [
        Figure(what, result.run.rate, "/s", Budget(">=", 30_000)),
        Figure("the same: of empty 200", result.run.rate / empty, "", Budget(">=", 0.4)),
        Figure("the same: p99", result.run.p99_ms, "ms", Budget("<", 20)),
        Figure("the same: acknowledged pings that were lost", result.lost, "", Budget("<=", 0)),
        Figure("the same: pings pruned meanwhile", pruned / scale.sustained_seconds, "/s"),
        Figure("the same: CPU of the server", result.usage.cpu_percent, "%"),
        Figure("the same: resident memory of the server", result.usage.rss_mb, "MB"),
        Figure("the same: CPU of wrk", result.run.generator_percent, "%"),
    ]
    note = NOTE.format(
        seconds=scale.sustained_seconds, kept=KEPT, filled=amount(filled), pruned=amount(pruned)
    )
    return Section("A sustained minute", note, figures, lost_pings=result.lost)

"""`python -m benchmarks`: measure, print the table, write docs/benchmarks.md."""

from __future__ import annotations

import argparse
import datetime as dt
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks import idle, lists, machine, pings, report, seed, silence, sustained
from benchmarks.receiver import slow_receiver
from benchmarks.report import Section
from benchmarks.scale import BenchmarkError, Scale, full, quick

PAGE = Path(__file__).parents[1] / "docs" / "benchmarks.md"
PARTS = ("sustained", "idle", "silence", "pings", "lists")
# The receiver is on this machine, and speaks plain http.
SETTINGS = {"TOCSIN_ALLOWED_NETWORKS": "127.0.0.0/8"}


def main() -> int:
    """0 when all was measured, missed budgets or not; 1 when it was not, or an acknowledged ping was lost."""
    options = _options()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that every child is ended on the way out
    try:
        machine.need_wrk()
        with tempfile.TemporaryDirectory(prefix="tocsin-benchmark-", dir=options.ground) as folder:
            return _measure(options, Path(folder))
    except (BenchmarkError, OSError) as error:
        print(f"benchmarks: {error}", file=sys.stderr)
    except KeyboardInterrupt:
        print("benchmarks: interrupted", file=sys.stderr)
    return 1


def _measure(options: argparse.Namespace, ground: Path) -> int:
    machine.need_disk(ground)
    scale = (quick if options.quick else full)(ground, options.seconds)
    described = machine.describe(ground)
    print(report.table(("what", "it is"), described))
    sections = []
    started = time.monotonic()
    for section in _sections(scale, options.only or PARTS):
        print(f"{section.title} ({time.monotonic() - started:.0f} s)\n")
        print(report.table(section.heads, section.rows) if section.rows else section.note, flush=True)
        sections.append(section)
    print(report.budget_table(sections))
    if options.output:
        page = report.page(sections, described, _command(options), f"{dt.datetime.now(dt.UTC):%Y-%m-%d}")
        options.output.write_text(page, encoding="utf-8")
    return 1 if any(section.lost_pings for section in sections) else 0


def _sections(scale: Scale, parts: Sequence[str]) -> Iterator[Section]:
    """Each measurement, once it has been made."""
    few, many = scale.ground / "few", scale.ground / "many"
    if "sustained" in parts:
        seed.populate(scale.ground / "sustained", scale.few, {}, {})
        yield sustained.measure(scale, scale.ground / "sustained")
    if not {"idle", "silence", "pings"}.isdisjoint(parts):
        with slow_receiver(scale.ground) as receiver:
            seed.populate(many, scale.many, SETTINGS, {"webhook_url": f"{receiver.url}/alert"})
            if "idle" in parts:
                yield idle.measure(scale, many, SETTINGS)
            if "silence" in parts:
                yield silence.measure(scale, many, receiver, SETTINGS)
        if "pings" in parts:
            seed.populate(few, scale.few, {}, {})
            yield pings.measure(scale, few, many, SETTINGS)
    if "lists" in parts:
        yield lists.measure(scale)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks", description=__doc__)
    parser.add_argument("--seconds", type=int, help="of each load but the sustained one (default 6)")
    parser.add_argument("--quick", action="store_true", help="fewer loads, 100,000 monitors; writes no page")
    parser.add_argument(
        "--only", action="append", choices=PARTS, help="one part; may be repeated; writes no page"
    )
    parser.add_argument(
        "--ground", type=Path, default="/var/tmp", help="folder whose disk is measured (default %(default)s)"
    )
    parser.add_argument("--output", type=Path, help="page to write (default docs/benchmarks.md)")
    options = parser.parse_args()
    if options.output is None and not options.quick and not options.only:
        options.output = PAGE
    return options


def _command(options: argparse.Namespace) -> str:
    """What was called, without this machine's paths."""
    words = ["--quick"] * options.quick
    words += [f"--seconds {options.seconds}"] * (options.seconds is not None)
    words += [f"--only {part}" for part in options.only or ()]
    return " ".join(["python -m benchmarks", *words]) if words else "make bench"


if __name__ == "__main__":
    sys.exit(main())

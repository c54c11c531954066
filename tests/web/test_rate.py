"""web/rate.py: limits that several processes share, and that never take the server down."""

from __future__ import annotations

import datetime as dt
import shutil
import sqlite3
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from tests.server import Server
from tocsin.store.tally import SWEEP_EVERY
from tocsin.web.rate import ALONE_SECONDS, SECOND, Rates, Standing

NOON = int(dt.datetime(2026, 3, 28, 12, 0, tzinfo=dt.UTC).timestamp())
MIDNIGHT = NOON + 12 * 3600
DAY = 86_400


def count(
    rates: Rates, second: float, caller: str = "key:1", per_minute: int = 100, per_day: int = 1_000
) -> Standing:
    return rates.count(caller, round(second * SECOND), per_minute=per_minute, per_day=per_day)


@pytest.fixture(params=["in a file", "in memory"])
def rates(request: pytest.FixtureRequest, tmp_path: Path) -> Rates:
    return Rates(tmp_path / "rates.db" if request.param == "in a file" else None)


def test_a_request_over_the_minutes_limit_is_told_when_to_come_back(rates: Rates) -> None:
    standings = [count(rates, NOON + 10 * number, per_minute=3) for number in range(4)]
    assert [standing.minute.remaining for standing in standings] == [2, 1, 0, 0]
    assert [standing.exceeded is not None for standing in standings] == [False, False, False, True]
    exceeded = standings[-1].exceeded
    assert exceeded is not None
    assert (exceeded.per, exceeded.limit, exceeded.reset_at) == ("minute", 3, NOON + 60)
    assert exceeded.retry_after_seconds == 30
    assert count(rates, NOON + 59.9, per_minute=3).exceeded is not None
    assert count(rates, NOON + 60, per_minute=3).exceeded is None


def test_what_was_refused_is_not_counted(rates: Rates) -> None:
    for _ in range(50):
        count(rates, NOON, per_minute=1)
        count(rates, NOON, "key:2", per_day=1)
        rates.count_minute("token:1", NOON * SECOND, 1)
    assert count(rates, NOON + 60, per_minute=1).day.remaining == 998
    assert count(rates, NOON, "key:2").minute.remaining == 98
    assert not rates.count_minute("token:1", (NOON + 60) * SECOND, 1).is_exceeded


def test_callers_do_not_share_a_limit(rates: Rates) -> None:
    assert count(rates, NOON, "key:1", per_minute=1).exceeded is None
    assert count(rates, NOON, "key:2", per_minute=1).exceeded is None


def test_the_day_ends_at_midnight_utc(rates: Rates) -> None:
    first, second = (count(rates, NOON, per_day=1) for _ in range(2))
    assert (first.day.reset_at, first.day.remaining) == (MIDNIGHT, 0)
    assert second.exceeded is not None
    assert (second.exceeded.per, second.exceeded.retry_after_seconds) == ("day", 12 * 3600)
    assert count(rates, MIDNIGHT - 1, per_day=1).exceeded is not None
    assert count(rates, MIDNIGHT, per_day=1).exceeded is None


def test_a_limit_per_minute_alone_counts_the_same_way(rates: Rates) -> None:
    windows = [rates.count_minute("token:1", (NOON + at) * SECOND, 2) for at in (0, 30, 59, 60, 61, 90)]
    assert [window.is_exceeded for window in windows] == [False, False, True, False, True, False]
    assert [window.retry_after_seconds for window in windows] == [60, 30, 1, 30, 29, 30]
    assert windows[0] == ("minute", 2, 1, NOON + 60, 60, False)


@given(st.lists(st.floats(0, 300), max_size=200).map(sorted), st.integers(1, 10))
def test_never_more_than_the_limit_pass_in_any_59_seconds(times: list[float], limit: int) -> None:
    rates = Rates()
    passed = [at for at in times if count(rates, NOON + at, per_minute=limit).exceeded is None]
    assert all(sum(start <= at < start + 59 for at in passed) <= limit for start in passed)


class Model:
    """The rule, as simply as it can be said: everything that passed is kept."""

    def __init__(self) -> None:
        self.passed: dict[str, list[int]] = defaultdict(list)

    def count(self, caller: str, second: int, per_minute: int, per_day: int) -> tuple[int, ...]:
        """What remains of the minute and of the day, when the minute has room, and which is exceeded."""
        passed = self.passed[caller]
        minute = [at for at in passed if second - 60 < at <= second + 60]
        day = [at for at in passed if at // DAY == second // DAY]
        is_full = len(minute) >= per_minute, len(day) >= per_day
        if not any(is_full):
            passed.append(second)
            minute.append(second)
            day.append(second)
        reset_at = min(minute, default=second) + 60
        return max(0, per_minute - len(minute)), max(0, per_day - len(day)), reset_at, *is_full


# Mostly forward; sometimes the clock is set back, by seconds or by hours; sometimes a day passes.
STEPS = st.one_of(
    st.integers(0, 3), st.integers(0, 40), st.integers(-90, 0), st.sampled_from([-7200, 43_000, DAY])
)


# What was swept away does not come back when the clock does; so the sweep must not run.
ASKED = st.lists(st.tuples(STEPS, st.sampled_from("abc")), max_size=SWEEP_EVERY - 1)


@given(ASKED, st.integers(1, 12), st.integers(1, 40))
def test_it_counts_as_the_simple_model_does(
    asked: list[tuple[int, str]], per_minute: int, per_day: int
) -> None:
    rates, model, second = Rates(), Model(), NOON
    for step, caller in asked:
        second += step
        minute, day = count(rates, second, caller, per_minute, per_day)
        found = minute.remaining, day.remaining, minute.reset_at, minute.is_exceeded, day.is_exceeded
        assert found == model.count(caller, second, per_minute, per_day)


HAMMER = """
import sys, time
from pathlib import Path
from tocsin.web.rate import Rates

path, start = Path(sys.argv[1]), Path(sys.argv[2])
times, per_minute, per_day, second = map(int, sys.argv[3:])
rates = Rates(path, patience_seconds=30)
print("ready", flush=True)
while not start.exists():
    time.sleep(0.001)
passed = 0
for number in range(times):
    standing = rates.count("project:1", second * 1_000_000, per_minute=per_minute, per_day=per_day)
    passed += standing.exceeded is None
print(passed)
"""


class Hammers(NamedTuple):
    """Processes that ask as fast as they can, all from the same moment on."""

    start: Path
    processes: list[subprocess.Popen[str]]

    def go(self) -> None:
        for process in self.processes:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        self.start.touch()

    def passed(self) -> list[int]:
        self.go()
        return [int(process.communicate(timeout=60)[0]) for process in self.processes]


def hammers(folder: Path, *, times: int, per_minute: int, per_day: int, processes: int = 4) -> Hammers:
    start = folder / "go"
    arguments = [folder / "rates.db", start, times, per_minute, per_day, NOON]
    command = [sys.executable, "-c", HAMMER, *map(str, arguments)]
    started = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(processes)]
    return Hammers(start, started)


@pytest.mark.parametrize(("per_minute", "per_day"), [(500, 100_000), (100_000, 500), (600, 500)])
def test_of_all_requests_of_several_processes_exactly_the_limit_passes(
    per_minute: int, per_day: int, tmp_path: Path
) -> None:
    passed = hammers(tmp_path, times=300, per_minute=per_minute, per_day=per_day).passed()
    assert sum(passed) == 500


def test_below_the_limit_everything_passes_and_all_of_it_counts(tmp_path: Path) -> None:
    passed = hammers(tmp_path, times=300, per_minute=60_000, per_day=50_000_000).passed()
    assert passed == [300] * 4
    standing = count(Rates(tmp_path / "rates.db"), NOON, "project:1", 60_000, 50_000_000)
    assert standing.minute.remaining == 60_000 - 1201
    assert standing.day.remaining == 50_000_000 - 1201


def test_processes_that_are_killed_do_not_keep_anybody_out(tmp_path: Path) -> None:
    for _ in range(3):
        running = hammers(tmp_path, times=10_000_000, per_minute=10**9, per_day=10**9, processes=2)
        running.go()
        time.sleep(0.2)
        for process in running.processes:
            process.kill()
            process.communicate()
        running.start.unlink()
    one, other = Rates(tmp_path / "rates.db"), Rates(tmp_path / "rates.db")
    for number in range(2 * ALONE_SECONDS):
        assert count(one, NOON + number, "key:2").exceeded is None
    other_standing = count(other, NOON + 2 * ALONE_SECONDS, "key:2")
    assert other_standing.minute.remaining <= 100 - ALONE_SECONDS
    assert (
        count(one, NOON + 2 * ALONE_SECONDS, "key:2").minute.remaining == other_standing.minute.remaining - 1
    )


def test_a_restart_forgets_nothing(tmp_path: Path) -> None:
    before = Rates(tmp_path / "rates.db")
    count(before, NOON, per_minute=1)
    before.close()
    assert count(Rates(tmp_path / "rates.db"), NOON + 1, per_minute=1).exceeded is not None


def test_a_file_that_cannot_be_used_keeps_nobody_out_and_is_told_of_once(tmp_path: Path) -> None:
    path = tmp_path / "rates.db"
    path.mkdir()
    rates = Rates(path)
    with capture_logs() as logs:
        standings = [count(rates, NOON + at, per_minute=3) for at in (0, 1, 2, 3, 10, 20)]
        shutil.rmtree(path)
        standings.append(count(rates, NOON + 30, per_minute=3))
    # Each process goes on counting for itself.
    assert [standing.minute.remaining for standing in standings] == [2, 1, 0, 0, 0, 0, 2]
    assert [log["event"] for log in logs] == ["rates_not_shared", "rates_shared_again"]


def test_a_lock_that_is_never_released_costs_a_moment_every_few_seconds(tmp_path: Path) -> None:
    rates = Rates(tmp_path / "rates.db", patience_seconds=0.1)
    count(rates, NOON)
    with closing(sqlite3.connect(tmp_path / "rates.db", isolation_level=None)) as connection:
        connection.execute("BEGIN EXCLUSIVE")
        began_at = time.monotonic()
        for _ in range(500):
            assert count(rates, NOON + 1, per_minute=1_000).exceeded is None
        assert time.monotonic() - began_at < 2
        connection.execute("ROLLBACK")
    assert count(rates, NOON + 1 + ALONE_SECONDS).minute.remaining == 98


@pytest.mark.parametrize("garbage", [b"no database" * 1000, b""])
def test_a_broken_file_is_made_anew(garbage: bytes, tmp_path: Path) -> None:
    path = tmp_path / "rates.db"
    rates = Rates(path)
    count(rates, NOON)
    path.write_bytes(garbage)
    assert count(rates, NOON + 1).exceeded is None
    count(rates, NOON + 1 + ALONE_SECONDS)
    assert count(Rates(path), NOON + 1 + ALONE_SECONDS).minute.remaining == 98


def test_a_full_disk_keeps_nobody_out(tmp_path: Path) -> None:
    path = tmp_path / "rates.db"
    path.symlink_to("/dev/full")
    rates = Rates(path)
    assert [count(rates, NOON, per_minute=1).exceeded is None for _ in range(2)] == [True, False]


def test_after_the_clock_was_set_back_a_full_minute_does_not_last_for_hours(rates: Rates) -> None:
    assert [count(rates, NOON, per_minute=1).exceeded is None for _ in range(2)] == [True, False]
    assert count(rates, NOON - 3600, per_minute=1).exceeded is None
    # A small step may make the caller wait for the step and the minute.
    assert count(rates, NOON - 3610, per_minute=1).minute.retry_after_seconds == 70


def test_a_server_counts_on_after_a_restart(serve: Callable[..., Server]) -> None:
    server = serve(unknown_token_limit_per_minute=2)
    replies = [server.client.get("/ping/nobodysToken") for _ in range(3)]
    server.restart()
    replies.append(server.client.get("/ping/nobodysToken"))
    assert [reply.status_code for reply in replies] == [404, 404, 429, 429]
    assert 1 <= int(replies[-1].headers["retry-after"]) <= 60
    assert "rates_not_shared" not in server.output()

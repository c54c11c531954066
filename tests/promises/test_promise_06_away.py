"""Promise 6 on real processes: stopped for 20 seconds in three ways, with jobs that ping once, without retry.

(test_promise_06_deafness.py has the rules, under a clock that the test turns.)
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest

from tests.conftest import Serve
from tests.receivers import Answer, HttpReceiver, SmtpReceiver
from tests.server import SECOND, Made, Server, every, now

pytestmark = pytest.mark.promise(6)

AWAY_SECONDS = 20
DAY = 86_400
REACHING: dict[str, Any] = {"allowed_networks": "127.0.0.0/8"}


def freeze_for_a_while(server: Server) -> None:
    server.freeze()
    time.sleep(AWAY_SECONDS)
    server.thaw()


def kill_and_start_later(server: Server) -> None:
    server.kill()
    time.sleep(AWAY_SECONDS)
    server.start()


def stop_and_start_later(server: Server) -> None:
    server.stop()
    time.sleep(AWAY_SECONDS)
    server.start()


WAYS = {"SIGSTOP": freeze_for_a_while, "kill -9": kill_and_start_later, "stop": stop_and_start_later}


class Lived(NamedTuple):
    """What came of an absence: alerts as (name, event, reason), names of what is down, mails, and whether a
    gap of the ledger covers it."""

    alerts: list[tuple[str, str, str]]
    down: set[str]
    mails: list[str]
    is_in_ledger: bool


@pytest.mark.timeout(200)
def test_healthy_jobs_raise_no_alarm_over_twenty_seconds_of_absence_and_a_dead_one_does(
    made: Made, tmp_path: Path
) -> None:
    # All three at once: they mostly wait.
    with ThreadPoolExecutor(len(WAYS)) as lives:
        lived = {
            way: lives.submit(live_through, go_away, Server(tmp_path / way, made=made, **REACHING))
            for way, go_away in WAYS.items()
        }
    for way, life in lived.items():
        alerts, down, mails, is_in_ledger = life.result()
        # The dead one may rest on a ping that was lost: nobody could know.
        assert alerts == [("dead", "monitor.down", "unconfirmed")], way
        assert down == {"dead"}, way
        [away] = [text for text in mails if "a day, due in the gap" in text]
        assert not [name for name in ("5 s", "an hour", "a little late") if name in away], way
        assert is_in_ledger, way


def live_through(go_away: Callable[[Server], None], server: Server) -> Lived:
    """Jobs with intervals from 5 s to a day, and an absence that each of them meets in another way."""
    with HttpReceiver() as receiver, SmtpReceiver() as mailbox:
        server.environment["TOCSIN_SMTP_URL"] = mailbox.url
        with server:
            went_at, came_at = _live(go_away, server, receiver.url)
            down = {monitor["name"] for monitor in server.api().items("/monitors", status="down")}
        gaps = server.rows("SELECT * FROM gap")
        alerts = [request.json() for request in receiver.requests]
        mails = [mail.part("plain") for mail in mailbox.mails]
    return Lived(
        [(alert["monitor"]["name"], alert["event"], alert["reason"]) for alert in alerts],
        down,
        mails,
        any(gap["from_at"] < went_at + SECOND and came_at - 5 * SECOND < gap["until_at"] for gap in gaps),
    )


def _live(go_away: Callable[[Server], None], server: Server, hook: str) -> tuple[int, int]:
    api = server.api()
    periods = {"5 s": 5, "10 s": 10, "30 s": 30}
    often = {
        name: api.create(name, webhook_url=hook, **every(of, grace_seconds=2)) for name, of in periods.items()
    }
    hourly = api.create("an hour", webhook_url=hook, **every(3600, grace_seconds=60))
    lost, late, over = (
        api.create(f"a day, {how}", webhook_url=hook, **every(DAY, grace_seconds=10))
        for how in ("due in the gap", "a little late", "in grace before the gap")
    )
    run = api.create("in a run", webhook_url=hook, **every(DAY), longest_run_seconds=10)
    dead = api.create("dead", webhook_url=hook, **every(5, grace_seconds=2))
    for job in (hourly, lost, late, over, run, dead):
        server.ping(job)
    with contextlib.ExitStack() as jobs:
        for name, period in periods.items():
            jobs.enter_context(pinging(often[name], period))
        time.sleep(6)
        server.ping(dead)
        server.ping(run, "start")
        for job, due_in in ((lost, 8), (late, 15), (over, -6)):
            expect_in(server, job, due_in)
        went_at = now()
        go_away(server)
        came_at = now()
        time.sleep(2)
        for job in (late, over, run):
            server.ping(job)
        time.sleep(max(0, came_at / SECOND + 14 - time.time()))
    return went_at, came_at


@pytest.mark.timeout(150)
def test_a_daily_ping_that_a_short_gap_may_have_lost_is_doubted_a_minute_later_and_says_so(
    serve: Serve,
) -> None:
    with HttpReceiver() as receiver:
        server = serve()
        job = server.api().create(webhook_url=receiver.url, **every(DAY, grace_seconds=2))
        server.ping(job)
        expect_in(server, job, 4)
        server.kill()
        time.sleep(5)
        server.start()
        [gap] = server.rows("SELECT * FROM gap")
        [request] = receiver.wait_for(1, 80)
    alert = request.json()
    assert (alert["event"], alert["reason"]) == ("monitor.down", "unconfirmed")
    [down] = server.rows("SELECT * FROM flip WHERE new = 'down'")
    assert down["at"] == gap["until_at"] + 60 * SECOND
    assert "away" in alert["message"].lower() or "lost" in alert["message"].lower()


def test_a_database_that_stops_raises_no_alarm_but_for_a_dead_job(serve: Serve) -> None:
    server = serve()
    api = server.api()
    healthy = api.create("healthy", **every(4, grace_seconds=1))
    lost = api.create("a day, due while it stood still", **every(DAY, grace_seconds=2))
    dead = api.create("dead", **every(4, grace_seconds=1))
    for job in (lost, dead):
        server.ping(job)
    expect_in(server, lost, 8)
    with pinging(healthy, 4):
        server.wait_until(lambda: len(server.rows("SELECT id FROM ping")) == 3, "the healthy job pinged")
        with server.locked_database():
            time.sleep(13)
        server.wait_until(lambda: api.get(f"/monitors/{dead['id']}")["status"] == "down", "it is told of", 75)
        assert [flip["new"] for flip in api.flips(healthy)] == ["up"]
        assert server.ping(healthy).status_code == 200
    assert [flip["new"] for flip in api.flips(lost)] == ["up"]
    assert server.rows("SELECT * FROM gap WHERE cause = 'failed'")
    [flip] = [flip for flip in api.flips(dead) if flip["new"] == "down"]
    assert flip["reason"] == "unconfirmed"


def test_the_gap_of_a_stop_begins_when_the_first_ping_is_refused_though_deliveries_are_awaited(
    serve: Serve,
) -> None:
    with HttpReceiver(Answer(delay_seconds=4)) as receiver:
        server = serve()
        job = server.api().create(webhook_url=receiver.url)
        server.ping(job, "fail")
        receiver.wait_for(1)
        with watching_for_refusal(server) as refused_at:
            server.stop()
    server.start()
    [gap] = server.rows("SELECT * FROM gap")
    assert gap["from_at"] <= refused_at[0]


@pytest.mark.parametrize("go", [Server.stop, Server.kill])
def test_the_gap_of_a_start_ends_when_pings_are_taken_again(
    serve: Serve, go: Callable[[Server], object]
) -> None:
    server = serve()
    go(server)
    with watching_for_refusal(server) as refused_at:
        server.start()
    [gap] = server.rows("SELECT * FROM gap")
    assert gap["until_at"] >= refused_at[-1]


def test_a_clock_that_was_set_back_while_the_server_was_stopped_does_not_stop_time(serve: Serve) -> None:
    server = serve()
    job = server.api().create(**every(2))
    server.ping(job)
    server.stop()
    # As if the last mark had been written by a clock that was an hour ahead.
    for table, columns in {
        "process": ["started_at", "mark_at"],
        "ping": ["arrived_at"],
        "monitor_state": ["last_ping_at", "last_success_at", "due_at", "deadline_at", "look_at", "since_at"],
        "watch": ["look_at"],
        "flip": ["at", "created_at"],
    }.items():
        for column in columns:
            server.change(f"UPDATE {table} SET {column} = {column} + 3600000000")
    server.start()
    server.ping(job)
    time.sleep(1)
    server.wait_until(lambda: _status(server) == "down", "the deadline is decided", 15)


def test_too_many_connections_are_deafness(serve: Serve) -> None:
    # With so few files there is room for 64 connections.
    server = serve(open_files=300)
    api = server.api()
    api.create()
    with contextlib.ExitStack() as lines:
        for _ in range(100):
            line = socket.create_connection(("127.0.0.1", server.port), timeout=5)
            lines.enter_context(contextlib.closing(line))
        time.sleep(1)
    server.wait_until(lambda: server.rows("SELECT * FROM gap WHERE cause = 'refused'"), "the gap is written")


def expect_in(server: Server, monitor: dict[str, Any], seconds: float) -> None:
    """Move the monitor's past and future so that its job is due so many seconds from now."""
    own = "(SELECT id FROM monitor WHERE uid = ?)"
    [state] = server.rows(f"SELECT * FROM monitor_state WHERE monitor_id = {own}", monitor["id"])
    by = int(now() + seconds * SECOND) - state["due_at"]
    columns = ("last_ping_at", "last_success_at", "due_at", "deadline_at", "look_at")
    moves = ", ".join(f"{column} = {column} + ({by})" for column in columns)
    server.change(f"UPDATE monitor_state SET {moves} WHERE monitor_id = {own}", monitor["id"])
    server.change(f"UPDATE watch SET look_at = look_at + ({by}) WHERE monitor_id = {own}", monitor["id"])


@contextlib.contextmanager
def pinging(monitor: dict[str, Any], period: float) -> Iterator[None]:
    """A healthy job: one ping each period, without retry."""
    over = threading.Event()

    def work() -> None:
        at = time.monotonic()
        with httpx.Client(trust_env=False, timeout=3) as client:
            while True:
                with contextlib.suppress(httpx.TransportError):
                    client.get(monitor["ping_url"], headers={"Connection": "close"})
                at += period
                if over.wait(max(0, at - time.monotonic())):
                    return

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


@contextlib.contextmanager
def watching_for_refusal(server: Server) -> Iterator[list[int]]:
    """Connects all the time; fills the list with the times at which it was refused."""
    over = threading.Event()
    refused_at: list[int] = []

    def work() -> None:
        while not over.wait(0.01):
            at = now()
            try:
                socket.create_connection(("127.0.0.1", server.port), timeout=1).close()
            except OSError:
                refused_at.append(at)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield refused_at
    finally:
        over.set()
        thread.join()
    assert refused_at


def _status(server: Server) -> str:
    return str(server.rows("SELECT status FROM monitor_state")[0]["status"])

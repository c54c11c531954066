"""Promise 3: a status change, its flip and its notifications are one transaction; a crash loses no alert."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import socket
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from typing import Any, Self

import pytest

from tests.conftest import Serve
from tests.pinger import Pinger
from tests.receivers import Answer, HttpReceiver
from tests.server import Server, every, free_port

pytestmark = pytest.mark.promise(3)

# A lease is twice as long as an attempt may take: what a dead server had leased is taken again soon.
QUICK = {"http_timeout_seconds": 1}


def test_an_alert_that_was_not_answered_before_a_kill_comes_again_with_the_same_id(serve: Serve) -> None:
    server = serve(**QUICK)
    with HttpReceiver(Answer(delay_seconds=0.8), 200) as receiver:
        job = server.api().create(webhook_url=receiver.url)
        server.ping(job, "fail")
        receiver.wait_for(1)
        server.kill()
        server.start()
        first, second = receiver.wait_for(2, 15)
        server.wait_until(lambda: statuses(server) == ["delivered"], "it is delivered")
        assert len(receiver.requests) == 2
    assert second.body == first.body
    assert second.json()["id"] == first.json()["id"] == second.headers["idempotency-key"]


def test_an_alert_that_was_answered_just_before_a_kill_comes_again_with_the_same_id(serve: Serve) -> None:
    server = serve(**QUICK)
    with AnswersTheFrozen(server) as receiver:
        job = server.api().create(webhook_url=receiver.url)
        server.ping(job, "fail")
        receiver.killed.wait(10)
        server.kill()
        assert statuses(server) == ["pending"]
        [uid] = [row["uid"] for row in server.rows("SELECT uid FROM notification")]
        receiver.close()
        second = HttpReceiver()
        second.port = receiver.port
        with second:
            server.start()
            [request] = second.wait_for(1, 15)
    assert request.json()["id"] == uid


def test_an_alert_whose_receiver_was_away_survives_a_kill_right_after_its_flip(serve: Serve) -> None:
    server = serve(**QUICK)
    receiver = HttpReceiver()
    receiver.port = free_port()
    job = server.api().create(webhook_url=receiver.url, **every(1))
    server.ping(job)
    server.wait_until(lambda: server.rows("SELECT id FROM flip WHERE new = 'down'"), "it is down")
    server.kill()
    with receiver:
        server.start()
        [request] = receiver.wait_for(1, 20)
    [row] = server.rows("SELECT uid FROM notification")
    assert request.json()["id"] == row["uid"]
    assert request.json()["event"] == "monitor.down"


@pytest.mark.parametrize("table", ["notification", "flip", "monitor_state"])
def test_a_decision_that_cannot_be_written_whole_is_not_written_at_all_and_made_later(
    serve: Serve, table: str
) -> None:
    server = serve(**QUICK)
    with HttpReceiver() as receiver:
        job = server.api().create(webhook_url=receiver.url, **every(2))
        server.ping(job)
        for event in ("INSERT", "UPDATE"):
            server.change(
                f"CREATE TRIGGER bad_{event} BEFORE {event} ON {table} BEGIN SELECT RAISE(ABORT, 'bad'); END"
            )
        time.sleep(3.5)
        assert [row["new"] for row in server.rows("SELECT new FROM flip")] == ["up"]
        assert [row["status"] for row in server.rows("SELECT status FROM monitor_state")] == ["up"]
        assert statuses(server) == []
        for event in ("INSERT", "UPDATE"):
            server.change(f"DROP TRIGGER bad_{event}")
        [request] = receiver.wait_for(1, 15)
    [down] = server.rows("SELECT * FROM flip WHERE new = 'down'")
    assert request.json()["event"] == "monitor.down"
    [ping] = server.rows("SELECT * FROM ping")
    assert down["at"] >= ping["arrived_at"] + 2_000_000


def test_a_fail_whose_alert_cannot_be_written_is_not_acknowledged(serve: Serve) -> None:
    server = serve(**QUICK)
    with HttpReceiver() as receiver:
        job = server.api().create(webhook_url=receiver.url)
        server.change(
            "CREATE TRIGGER bad BEFORE INSERT ON notification BEGIN SELECT RAISE(ABORT, 'bad'); END"
        )
        assert server.ping(job, "fail").status_code == 503
        assert server.rows("SELECT id FROM ping UNION ALL SELECT id FROM flip") == []
        server.change("DROP TRIGGER bad")
        assert server.ping(job, "fail").status_code == 200
        receiver.wait_for(1)


@pytest.mark.timeout(180)
async def test_no_flip_goes_untold_and_none_is_told_out_of_order_however_often_it_is_killed(
    serve: Serve,
) -> None:
    server = serve(**QUICK)
    chance = random.Random()
    with HttpReceiver(Answer(delay_seconds=0.05)) as receiver:
        drafts = [{"name": f"job {number}", "webhook_url": receiver.url} for number in range(30)]
        jobs = server.api().create_many(drafts)
        paths = ["/" + job["ping_url"].split("/", 3)[3] for job in jobs]
        fails = Pinger(server.port, [f"{path}/fail" for path in paths], connections=1, name="f")
        successes = Pinger(server.port, paths, connections=1, name="s")
        for _ in range(6):
            async with fails.running(), successes.running():
                await asyncio.sleep(chance.uniform(0.05, 0.3))
                server.kill()
            await asyncio.to_thread(server.start)
        acknowledged = fails.acknowledged | successes.acknowledged
        assert acknowledged <= {row["run_id"] for row in server.rows("SELECT run_id FROM ping")}
        await asyncio.to_thread(
            server.wait_until, lambda: "pending" not in statuses(server), "all is told", 90
        )
        told = [request.json() for request in receiver.requests]
    assert set(statuses(server)) == {"delivered"}
    assert [event["id"] for event in _first_of_each(told)] != []
    _check_order(server, told)


class AnswersTheFrozen:
    """A receiver that freezes the server before it answers: the answer reaches its socket, and never it."""

    def __init__(self, server: Server) -> None:
        self.killed = threading.Event()
        self._server = server
        self._listener = socket.create_server(("127.0.0.1", free_port()))
        self.port: int = self._listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._thread = threading.Thread(target=self._answer_one, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()
        self._thread.join()

    def close(self) -> None:
        self._listener.close()

    def _answer_one(self) -> None:
        line, _ = self._listener.accept()
        with line:
            while not line.recv(65_536).endswith(b"}"):
                pass
            os.kill(self._server.pid, signal.SIGSTOP)
            line.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
            time.sleep(0.1)
            self.killed.set()


def statuses(server: Server) -> list[str]:
    """Of all notifications, oldest first."""
    return [row["status"] for row in server.rows("SELECT status FROM notification ORDER BY id")]


def _first_of_each(told: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """What was told, without what was told again."""
    seen: set[str] = set()
    for event in told:
        if event["id"] not in seen:
            seen.add(event["id"])
            yield event


def _check_order(server: Server, told: list[dict[str, Any]]) -> None:
    """Each monitor's announced flips, and nothing else, were told in their order."""
    heard: dict[str, list[str]] = defaultdict(list)
    for event in _first_of_each(told):
        heard[event["monitor"]["id"]].append(event["event"])
    written: dict[str, list[str]] = defaultdict(list)
    flips = (
        "SELECT uid, new FROM flip JOIN monitor ON monitor.id = monitor_id WHERE announced ORDER BY flip.id"
    )
    for row in server.rows(flips):
        written[row["uid"]].append(f"monitor.{row['new']}")
    assert heard == written
    assert sum(map(len, written.values())) > 50

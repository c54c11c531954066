"""Promise 2: a ping counts from its arrival."""

from __future__ import annotations

import socket
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.server import SECOND, Api, Server, every, now

pytestmark = pytest.mark.promise(2)


def test_a_ping_counts_from_its_arrival_however_long_its_commit_takes(server: Server, api: Api) -> None:
    job = api.create(**every(60))
    with ThreadPoolExecutor(2) as senders:
        with server.locked_database():
            first_at = now()
            first = senders.submit(server.ping, job)
            time.sleep(0.5)
            second_at = now()
            # This one waits for the first one's commit, and then for its own.
            second = senders.submit(server.ping, job)
            time.sleep(2.5)
        assert [first.result().status_code, second.result().status_code] == [200, 200]
    arrivals = [row["arrived_at"] for row in server.rows("SELECT * FROM ping ORDER BY id")]
    assert first_at < arrivals[0] < second_at < arrivals[1] < second_at + SECOND
    [state] = server.rows("SELECT * FROM monitor_state")
    assert state["last_ping_at"] == arrivals[1]
    assert state["deadline_at"] == arrivals[1] + 60 * SECOND
    # To wait for a commit is not to be deaf.
    time.sleep(1)
    assert server.rows("SELECT * FROM gap") == []


def test_a_ping_that_waits_for_its_commit_over_its_deadline_is_no_alarm(server: Server, api: Api) -> None:
    job = api.create(**every(3))
    server.ping(job)
    first_at = now()
    with ThreadPoolExecutor(1) as sender:
        with server.locked_database():
            _sleep_until(first_at + 2 * SECOND)
            answer = sender.submit(server.ping, job)
            _sleep_until(first_at + 4 * SECOND)
        assert answer.result().status_code == 200
    _sleep_until(first_at + 4.5 * SECOND)
    assert [flip["new"] for flip in api.flips(job)] == ["up"]
    server.wait_until(lambda: len(api.flips(job)) == 2, "the next deadline is decided")
    arrived_at = server.rows("SELECT max(arrived_at) AS at FROM ping")[0]["at"]
    [down] = server.rows("SELECT * FROM flip WHERE new = 'down'")
    assert down["at"] == arrived_at + 3 * SECOND


def test_a_slow_upload_arrives_when_it_is_complete_and_holds_nobodys_deadline(
    server: Server, api: Api
) -> None:
    slow, silent = api.create("slow"), api.create("silent", **every(1))
    server.ping(silent)
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as line:
        path = "/" + slow["ping_url"].split("/", 3)[3]
        line.sendall(f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nab".encode())
        server.wait_until(lambda: len(api.flips(silent)) == 2, "the silent job is down meanwhile")
        finished_at = now()
        line.sendall(b"cd")
        assert line.recv(100).startswith(b"HTTP/1.1 200 ")
    [ping] = server.rows("SELECT * FROM ping JOIN ping_body ON ping_id = ping.id")
    assert ping["arrived_at"] >= finished_at - 1000
    assert ping["body"] == b"abcd"


def test_pings_of_one_connection_count_in_the_order_in_which_they_were_sent(server: Server, api: Api) -> None:
    job = api.create()
    path = "/" + job["ping_url"].split("/", 3)[3]
    actions = ["/start", "/log", "", "/start", "/fail"] * 20
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as line:
        requests = [f"GET {path}{action} HTTP/1.1\r\nHost: x\r\n\r\n" for action in actions]
        line.sendall("".join(requests).encode())
        received = b""
        while received.count(b"HTTP/1.1 200 ") < len(actions):
            received += line.recv(65_536)
    kinds = {"/start": "start", "/log": "log", "": "success", "/fail": "fail"}
    listed: list[dict[str, Any]] = list(api.items(f"/monitors/{job['id']}/pings"))
    assert [ping["kind"] for ping in listed[::-1]] == [kinds[action] for action in actions]
    times = [ping["arrived_at"] for ping in listed[::-1]]
    assert times == sorted(times)
    assert api.get(f"/monitors/{job['id']}")["status"] == "down"


def _sleep_until(at: float) -> None:
    time.sleep(max(0, (at - now()) / SECOND))

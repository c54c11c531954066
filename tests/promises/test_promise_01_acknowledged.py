"""Promise 1: acknowledged means stored."""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import time
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, text

from tests.conftest import Serve
from tests.pinger import Pinger, body_of
from tests.server import Api, Made, Server
from tocsin.store.sqlite import SqliteStore

pytestmark = pytest.mark.promise(1)

KILLS = 20
PINGS = 50_000


@pytest.mark.timeout(300)
async def test_kill_9_under_load_loses_no_acknowledged_ping(serve: Serve) -> None:
    server = serve(pings_per_monitor=10_000_000)
    api = server.api()
    monitors = api.create_many([{"name": f"job {number}"} for number in range(8)])
    pinger = Pinger(server.port, [path_of(monitor) for monitor in monitors])
    chance = random.Random()
    async with pinger.running():
        for kill in range(1, KILLS + 1):
            await pinger.until_acknowledged(kill * PINGS // (KILLS + 1))
            await asyncio.sleep(chance.uniform(0, 0.1))
            server.kill()
            await asyncio.to_thread(server.start)
        await pinger.until_acknowledged(PINGS)
    assert len(pinger.acknowledged) >= PINGS
    assert set(pinger.statuses) == {200}

    bodies = {row["run_id"]: row["body"] for row in server.rows(STORED)}
    assert pinger.acknowledged <= bodies.keys()
    assert {ping_id: bodies[ping_id] for ping_id in pinger.posted} == {
        ping_id: body_of(ping_id) for ping_id in pinger.posted
    }
    assert [tuple(row) for row in server.rows("PRAGMA integrity_check")] == [("ok",)]
    # And what the database holds is what people get to see.
    listed = {ping["run_id"] for monitor in monitors for ping in pings_of(api, monitor)}
    assert listed == bodies.keys()
    assert sum(api.get(f"/monitors/{monitor['id']}")["ping_count"] for monitor in monitors) == len(bodies)


STORED = "SELECT run_id, body FROM ping LEFT JOIN ping_body ON ping_id = ping.id"


async def test_a_stop_loses_no_acknowledged_ping_and_is_clean(serve: Serve) -> None:
    server = serve()
    pinger = Pinger(server.port, [path_of(server.api().create())])
    async with pinger.running():
        await pinger.until_acknowledged(1000)
        assert await asyncio.to_thread(server.stop) == 0
    stored = {row["run_id"] for row in server.rows(STORED)}
    assert pinger.acknowledged <= stored
    assert "Traceback" not in server.output()


def test_a_ping_is_answered_after_its_commit_and_not_before(server: Server, api: Api) -> None:
    path = path_of(api.create())
    with socket.create_connection(("127.0.0.1", server.port), timeout=1) as line:
        with server.locked_database():
            line.sendall(f"GET {path}?rid=one HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            with pytest.raises(TimeoutError):
                line.recv(1)
            assert server.rows(STORED) == []
        line.settimeout(10)
        assert line.recv(100).startswith(b"HTTP/1.1 200 ")
    assert [row["run_id"] for row in server.rows(STORED)] == ["one"]


def test_a_ping_whose_commit_failed_is_refused_and_nothing_of_its_batch_is_stored(
    server: Server, api: Api
) -> None:
    job, healthy = api.create("job"), api.create("healthy")
    server.ping(healthy)
    server.change(
        "CREATE TRIGGER full BEFORE INSERT ON ping_body BEGIN SELECT RAISE(ABORT, 'disk full'); END"
    )
    refused = server.client.post(path_of(job), content=b"this does not fit")
    assert refused.status_code == 503
    assert int(refused.headers["Retry-After"]) > 0
    server.change("DROP TRIGGER full")
    assert [tuple(row) for row in server.rows("SELECT count(*), sum(ping_count) FROM monitor_state")] == [
        (2, 1)
    ]
    assert len(server.rows(STORED)) == 1
    assert api.get(f"/monitors/{job['id']}")["status"] == "new"
    assert server.ping(job).status_code == 200


def test_a_log_that_cannot_be_written_stops_no_ping(tmp_path: Path) -> None:
    server = Server(tmp_path)
    server.errors = Path("/dev/full")
    with server:
        api = server.api()
        job = api.create()
        server.change("CREATE TRIGGER full BEFORE INSERT ON ping BEGIN SELECT RAISE(ABORT, 'disk full'); END")
        assert [server.client.get(path_of(job)).status_code for _ in range(3)] == [503] * 3
        server.change("DROP TRIGGER full")
        assert server.ping(job).status_code == 200
        assert api.call("PATCH", f"/monitors/{job['id']}", json={"name": "new"}).status_code == 200


def test_what_a_full_queue_refuses_is_asked_to_come_again_and_not_stored(serve: Serve) -> None:
    server = serve(queue_limit=10)
    path = path_of(server.api().create())
    with contextlib.ExitStack() as opened:
        lines = [
            opened.enter_context(socket.create_connection(("127.0.0.1", server.port), timeout=10))
            for _ in range(40)
        ]
        with server.locked_database():
            for number, line in enumerate(lines):
                line.sendall(f"GET {path}?rid={number} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
                time.sleep(0.01)
        answers = [line.recv(1000) for line in lines]
    taken = {str(number) for number, answer in enumerate(answers) if answer.startswith(b"HTTP/1.1 200 ")}
    refused = [answer for answer in answers if answer.startswith(b"HTTP/1.1 503 ")]
    assert len(taken) + len(refused) == 40
    assert 10 <= len(taken) <= 12
    assert all(b"\r\nRetry-After: " in answer for answer in refused)
    assert {row["run_id"] for row in server.rows(STORED)} == taken
    server.wait_until(lambda: server.rows("SELECT * FROM gap WHERE cause = 'refused'"), "it is a gap")


@pytest.mark.parametrize("pragma", ["journal_mode", "synchronous"])
async def test_a_commit_is_on_the_disk_before_it_returns(store: SqliteStore, pragma: str) -> None:
    def read(connection: Connection) -> Any:
        return connection.scalar(text(f"PRAGMA {pragma}"))

    assert await store.write(read) == {"journal_mode": "wal", "synchronous": 2}[pragma]


UNKNOWN = {
    "native": "A" * 24,
    "cronpeek": "0" * 32,
    "cronheart": "01234567-89ab-4cde-8f01-23456789abcd",
    "cronbeats": "abcd1234",
    "short": "a",
    "long": "a" * 65,
    "very long": "a" * 4000,
    "not UTF-8": "%ff%fe",
    "a quote": "'%20OR%201=1--",
    "a path": "..%2f..%2fetc",
}


@pytest.mark.parametrize("token", UNKNOWN.values(), ids=UNKNOWN.keys())
@pytest.mark.parametrize("root", ["/ping/", "/api/v1/ping/", "/tocsin/ping/", "/cronpeek/api/v1/ping/"])
def test_an_unknown_token_is_never_answered_with_success(shared: Server, root: str, token: str) -> None:
    for method in ("GET", "POST", "HEAD"):
        for action in ("", "/start", "/fail", "/log", "/0", "/1"):
            assert shared.client.request(method, root + token + action).status_code == 404
    assert shared.rows("SELECT id FROM ping") == []


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory, made: Made) -> Any:
    """A server for many small questions, with a monitor that nobody pings."""
    with Server(
        tmp_path_factory.mktemp("server"), made=made, unknown_token_limit_per_minute=1_000_000
    ) as server:
        server.api().create()
        yield server


def test_whoever_tries_many_tokens_is_slowed_down_and_never_told_of_success(serve: Serve) -> None:
    server = serve(unknown_token_limit_per_minute=10)
    job = server.api().create()
    statuses = [server.client.get(f"/ping/{number:08}").status_code for number in range(12)]
    assert statuses == [404] * 10 + [429] * 2
    assert server.ping(job).status_code == 200


def test_the_token_of_a_deleted_monitor_is_unknown(server: Server, api: Api) -> None:
    job = api.create()
    assert server.ping(job).status_code == 200
    assert api.call("DELETE", f"/monitors/{job['id']}").status_code == 204
    assert server.ping(job).status_code == 404


def test_a_token_in_other_capitals_is_unknown(server: Server, api: Api) -> None:
    job = api.create()
    assert server.client.get(path_of(job).swapcase().replace("/PING/", "/ping/")).status_code == 404


def test_a_second_server_on_the_same_data_is_refused(server: Server) -> None:
    assert "another tocsin serve" in server.command("serve", "--port", "0", succeeds=False)


def path_of(monitor: dict[str, Any]) -> str:
    """The path of a monitor's ping address."""
    _, _, rest = str(monitor["ping_url"]).partition("//")
    return "/" + rest.partition("/")[2]


def pings_of(api: Api, monitor: dict[str, Any]) -> Any:
    return api.items(f"/monitors/{monitor['id']}/pings")

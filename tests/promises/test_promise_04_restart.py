"""Promise 4: a restart neither resets, repeats nor swallows an alert."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from tests.conftest import Serve
from tests.receivers import HttpReceiver
from tests.server import SECOND, Server, every, now

pytestmark = pytest.mark.promise(4)

Restart = Callable[[Server], None]


def kill_and_start(server: Server) -> None:
    server.kill()
    server.start()


RESTARTS = {"stop": Server.restart, "kill -9": kill_and_start}
both_ways = pytest.mark.parametrize("restart", RESTARTS.values(), ids=RESTARTS.keys())


@both_ways
def test_a_deadline_is_the_same_moment_however_often_the_server_starts(
    serve: Serve, restart: Restart
) -> None:
    server = serve()
    with HttpReceiver() as receiver:
        # The job is expected in its last second only, when all starts are over.
        job = server.api().create(webhook_url=receiver.url, **every(14, grace_seconds=1))
        server.ping(job)
        restart(server)
        restart(server)
        [ping] = server.rows("SELECT * FROM ping")
        assert now() < ping["arrived_at"] + 13 * SECOND, "this machine is too slow for this test"
        [request] = receiver.wait_for(1, 30)
    alert = request.json()
    [down] = server.rows("SELECT * FROM flip WHERE new = 'down'")
    assert (down["at"] - ping["arrived_at"], down["reason"]) == (15 * SECOND, "missed")
    assert (alert["event"], alert["reason"]) == ("monitor.down", "missed")


@both_ways
def test_what_was_told_is_not_told_again_and_what_was_not_told_is(serve: Serve, restart: Restart) -> None:
    server = serve(http_timeout_seconds=1)
    with HttpReceiver() as receiver:
        api = server.api()
        told = api.create("told", webhook_url=f"{receiver.url}/told")
        untold = api.create("untold", webhook_url=f"{receiver.url}/untold")
        server.ping(told, "fail")
        receiver.wait_for(1)
        receiver.script(503, 503)
        server.ping(untold, "fail")
        receiver.wait_for(2)
        restart(server)
        receiver.script(200)
        server.wait_until(lambda: not _pending(server), "all is delivered", 40)
        restart(server)
        server.ping(told)
        server.ping(untold)
        server.wait_until(lambda: _delivered(server) == 4, "the recoveries are delivered")
        time.sleep(1)
        events = [(request.target, request.json()["event"]) for request in receiver.requests]
    assert events.count(("/told", "monitor.down")) == 1
    assert events.count(("/told", "monitor.up")) == 1
    assert events.count(("/untold", "monitor.up")) == 1
    assert len({request.json()["id"] for request in receiver.requests}) == 4


@both_ways
def test_a_deadline_that_passes_while_the_server_is_down_is_not_swallowed(
    serve: Serve, restart: Restart
) -> None:
    server = serve()
    with HttpReceiver() as receiver:
        job = server.api().create(webhook_url=receiver.url, **every(2))
        server.ping(job)
        {"stop": server.stop, "kill -9": server.kill}[_name(restart)]()
        time.sleep(3)
        server.start()
        [request] = receiver.wait_for(1, 20)
        server.ping(job)
        receiver.wait_for(2)
    assert request.json()["event"] == "monitor.down"


def test_of_the_reminders_that_passed_while_the_server_was_down_one_is_sent(serve: Serve) -> None:
    server = serve()
    with HttpReceiver() as receiver:
        job = server.api().create(webhook_url=receiver.url, reminder_seconds=60)
        server.ping(job, "fail")
        receiver.wait_for(1)
        server.stop()
        for table, column in (
            ("monitor_state", "remind_at"),
            ("monitor_state", "look_at"),
            ("watch", "look_at"),
        ):
            server.change(f"UPDATE {table} SET {column} = {column} - 300000000")
        started_at = now()
        server.start()
        receiver.wait_for(2)
        time.sleep(2)
        events = [request.json()["event"] for request in receiver.requests]
    assert events == ["monitor.down", "monitor.reminder"]
    [state] = server.rows("SELECT remind_at FROM monitor_state")
    assert started_at + 60 * SECOND < state["remind_at"] < now() + 60 * SECOND


def test_a_snooze_and_a_pause_outlive_a_restart(serve: Serve) -> None:
    server = serve()
    api = server.api()
    with HttpReceiver() as receiver:
        snoozed = api.create("snoozed", webhook_url=receiver.url, **every(1))
        paused = api.create("paused", webhook_url=receiver.url, **every(1))
        server.ping(snoozed)
        server.ping(paused)
        api.post(f"/monitors/{snoozed['id']}/snooze", {"seconds": 3600})
        api.post(f"/monitors/{paused['id']}/pause")
        server.restart()
        server.wait_until(lambda: api.get(f"/monitors/{snoozed['id']}")["status"] == "down", "it is down")
        time.sleep(1)
        assert receiver.requests == []
    assert api.get(f"/monitors/{paused['id']}")["status"] == "paused"


def test_an_open_run_keeps_its_limit_over_a_restart(serve: Serve) -> None:
    server = serve()
    job = server.api().create(longest_run_seconds=2)
    server.ping(job, "start")
    kill_and_start(server)
    server.wait_until(lambda: server.rows("SELECT id FROM flip WHERE new = 'down'"), "it overran")


def _name(restart: Restart) -> str:
    return next(name for name, one in RESTARTS.items() if one is restart)


def _pending(server: Server) -> int:
    return len(server.rows("SELECT id FROM notification WHERE status = 'pending'"))


def _delivered(server: Server) -> int:
    return len(server.rows("SELECT id FROM notification WHERE status = 'delivered'"))

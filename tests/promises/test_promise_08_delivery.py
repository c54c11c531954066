"""Promise 8: delivery is retried, and every attempt can be looked up."""

from __future__ import annotations

import contextlib
import itertools
import time
from datetime import datetime
from typing import Any

import pytest

from tests.conftest import Serve
from tests.receivers import HANG, RESET, TRICKLE, Answer, HttpReceiver, SmtpReceiver
from tests.server import Api, Server, free_port

pytestmark = pytest.mark.promise(8)

TROUBLES: dict[str, tuple[Answer | int, ...]] = {
    "fails": (500, 502, 503, 200),
    "resets": (RESET, RESET, RESET, 200),
    "hangs": (HANG, HANG, HANG, 200),
    "trickles": (TRICKLE, TRICKLE, TRICKLE, 200),
}


@pytest.mark.timeout(150)
def test_a_receiver_that_fails_three_times_gets_the_alert_and_every_attempt_is_shown(serve: Serve) -> None:
    server = serve(http_timeout_seconds=1)
    api = server.api()
    with contextlib.ExitStack() as open_:
        receivers = [open_.enter_context(HttpReceiver(*answers)) for answers in TROUBLES.values()]
        jobs = [api.create(webhook_url=receiver.url) for receiver in receivers]
        for job in jobs:
            server.ping(job, "fail")
        server.wait_until(lambda: _count(server, "delivered") == len(jobs), "all are delivered", 60)
    for job, receiver in zip(jobs, receivers, strict=True):
        [item] = api.items("/notifications", monitor_id=job["id"])
        _check_attempts(api, item, receiver)


def _check_attempts(api: Api, item: dict[str, Any], receiver: HttpReceiver) -> None:
    attempts = api.get(f"/notifications/{item['id']}")["attempt_list"]
    assert (item["status"], item["attempts"]) == ("delivered", 4)
    assert [attempt["outcome"] for attempt in attempts] == ["retry"] * 3 + ["delivered"]
    assert {request.headers["idempotency-key"] for request in receiver.requests} == {item["id"]}
    assert len(receiver.requests) == 4
    times = [datetime.fromisoformat(attempt["at"]).timestamp() for attempt in attempts]
    # Full jitter: anything up to 5 s, 10 s, 20 s; an attempt itself may take a second.
    for pause, longest in zip(_pauses(times), (5, 10, 20), strict=True):
        assert 0 <= pause < longest + 2.5


def test_a_code_of_the_receiver_is_shown(server: Server, api: Api) -> None:
    with HttpReceiver(502) as receiver:
        job = api.create(webhook_url=receiver.url)
        server.ping(job, "fail")
        server.wait_until(lambda: _attempts(server), "an attempt is written down")
    [item] = api.items("/notifications")
    [attempt, *_] = api.get(f"/notifications/{item['id']}")["attempt_list"]
    assert (attempt["code"], attempt["outcome"], item["status"]) == (502, "retry", "pending")
    assert item["next_attempt_at"] is not None


@pytest.mark.timeout(150)
def test_two_dead_receivers_of_two_hundred_do_not_delay_the_others(serve: Serve) -> None:
    # An attempt may take ten seconds, as by default: two dead ones hold their places for that long.
    server = serve()
    api = server.api()
    with HttpReceiver(Answer(delay_seconds=0.1)) as healthy, HttpReceiver(HANG) as hanging:
        gone = f"http://127.0.0.3:{free_port()}"
        urls = [hanging.url, gone, *[f"{healthy.url}/{number}" for number in range(198)]]
        jobs = api.create_many([{"name": url, "webhook_url": url} for url in urls])
        began = time.monotonic()
        for job in jobs:
            server.ping(job, "fail")
        requests = healthy.wait_for(198, 9)
        took = requests[-1].at - began
        server.wait_until(lambda: _count(server, "delivered") == 198, "they are written down")
        server.wait_until(lambda: len(hanging.requests) >= 2, "the one that hangs is tried again", 40)
    assert took < 9
    waiting = {item["monitor_name"]: item for item in api.items("/notifications", status="pending")}
    assert waiting.keys() == {hanging.url, gone}
    assert all(item["attempts"] >= 1 for item in waiting.values())


def test_the_receivers_wish_to_be_left_alone_is_heard(server: Server, api: Api) -> None:
    with HttpReceiver(Answer(429, headers={"Retry-After": "6"}), 200) as receiver:
        server.ping(api.create(webhook_url=receiver.url), "fail")
        first, second = receiver.wait_for(2, 20)
    assert second.at - first.at >= 5.9


def test_the_next_alert_of_a_monitor_waits_for_the_one_before_and_other_monitors_do_not(
    server: Server, api: Api
) -> None:
    with HttpReceiver(Answer(503, headers={"Retry-After": "2"}), 200) as receiver:
        first, second = (api.create(name, webhook_url=f"{receiver.url}/{name}") for name in ("a", "b"))
        server.ping(first, "fail")
        receiver.wait_for(1)
        server.ping(first)
        server.ping(second, "fail")
        requests = receiver.wait_for(4, 20)
    told = [(request.target, request.json()["event"]) for request in requests]
    assert told == [
        ("/a", "monitor.down"),
        ("/b", "monitor.down"),
        ("/a", "monitor.down"),
        ("/a", "monitor.up"),
    ]


def test_a_permanent_refusal_is_not_tried_again(server: Server, api: Api) -> None:
    with HttpReceiver(400) as receiver:
        server.ping(api.create(webhook_url=receiver.url), "fail")
        server.wait_until(lambda: _count(server, "failed") == 1, "it is given up")
        time.sleep(6)
        assert len(receiver.requests) == 1
    [item] = api.items("/notifications", status="failed")
    assert item["next_attempt_at"] is None
    assert api.get(f"/notifications/{item['id']}")["attempt_list"][0]["outcome"] == "refused"


def test_a_channel_that_is_gone_is_disabled_and_its_owner_told_by_mail(serve: Serve) -> None:
    with HttpReceiver(200, 410) as receiver, SmtpReceiver() as mailbox:
        server = serve(smtp_url=mailbox.url)
        api = server.api()
        config = {"url": receiver.url}
        channel = api.post("/channels", {"kind": "webhook", "label": "on call", "config": config})
        assert api.post(f"/channels/{channel['id']}/test")["outcome"] == "delivered"
        job = api.create(channel_ids=[channel["id"]])
        for action in ("fail", "", "fail"):
            server.ping(job, action)
        receiver.wait_for(4)
        [mail] = mailbox.wait_for(1, 20)
        server.ping(job)
        time.sleep(1)
        assert len(receiver.requests) == 4
    shown = api.get(f"/channels/{channel['id']}")
    assert (shown["enabled"], bool(shown["disabled_reason"])) == (False, True)
    assert mail.recipients == ("owner@example.com",)
    assert "on call" in mail.part("plain")


def test_a_mail_that_was_put_off_is_sent_again_as_the_same_mail(serve: Serve) -> None:
    with SmtpReceiver(at_data=("451 4.3.0 later", "250 OK")) as mailbox:
        server = serve(smtp_url=mailbox.url)
        api = server.api()
        server.ping(api.create(mail="ops@example.com"), "fail")
        [mail] = mailbox.wait_for(1, 20)
        server.wait_until(lambda: _count(server, "delivered") == 1, "it is written down")
    [row] = server.rows("SELECT * FROM notification")
    assert row["uid"] in mail.message["Message-ID"]
    assert [attempt["outcome"] for attempt in _attempts(server)] == ["retry", "delivered"]


def _count(server: Server, status: str) -> int:
    return len(server.rows("SELECT id FROM notification WHERE status = ?", status))


def _attempts(server: Server) -> list[Any]:
    return server.rows("SELECT * FROM attempt ORDER BY id")


def _pauses(times: list[float]) -> list[float]:
    return [later - earlier for earlier, later in itertools.pairwise(times)]

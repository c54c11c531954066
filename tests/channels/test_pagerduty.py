"""PagerDuty: an incident for each job, opened and resolved by the job's own events."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from msgspec.structs import replace

from tests.channels.sample import AWAY, DOWN, PUBLIC_URL, TEST, UP, deliver, http_target, make_senders, named
from tests.receivers import Answer, HttpReceiver
from tests.server import Server, every
from tocsin.domain.alert import Event, Facts
from tocsin.domain.channel import Receipt
from tocsin.domain.errors import TocsinError
from tocsin.outbound import Outbound

KEY = "T0PSECRET".ljust(32, "0")
REMINDER = replace(DOWN, id="0f3e", event=Event.REMINDER, message="Nightly backup is still down.")
DISABLED = Facts(id="0f3f", event=Event.CHANNEL_DISABLED, at=DOWN.at, message="Slack was switched off.")


async def attempt(outbound: Outbound, answer: Answer) -> Receipt:
    with HttpReceiver(answer) as receiver:
        pagerduty, config = http_target("pagerduty", outbound, receiver.url)
        return await pagerduty.send(config, [DOWN])


async def test_a_down_opens_an_incident(outbound: Outbound) -> None:
    assert await deliver("pagerduty", outbound, DOWN) == {
        "routing_key": KEY,
        "event_action": "trigger",
        "dedup_key": "tocsin/4c5d",
        "client": "Tocsin",
        "client_url": f"{PUBLIC_URL}/monitors/4c5d",
        "links": [{"href": f"{PUBLIC_URL}/monitors/4c5d", "text": "Open in Tocsin"}],
        "payload": {
            "summary": "Nightly backup is down",
            "source": "Nightly backup",
            "severity": "critical",
            "timestamp": "2026-03-28T02:00:00.000+00:00",
            "component": "nightly-backup",
            "class": "missed",
            "custom_details": {
                "What happened": DOWN.message,
                "Down since": "2026-03-28 02:00:00 UTC",
                "Why": "no ping came in time",
                "Expected by": "2026-03-28 02:00:00 UTC",
                "Last ping": "2026-03-27 01:00:00 UTC",
                "Tags": "db, prod",
            },
        },
    }


async def test_the_up_of_the_job_resolves_it(outbound: Outbound) -> None:
    assert await deliver("pagerduty", outbound, UP) == {
        "routing_key": KEY,
        "event_action": "resolve",
        "dedup_key": "tocsin/4c5d",
    }


async def test_a_reminder_is_one_more_trigger_of_the_same_incident(outbound: Outbound) -> None:
    body = await deliver("pagerduty", outbound, REMINDER)
    assert (body["event_action"], body["dedup_key"]) == ("trigger", "tocsin/4c5d")
    assert (body["payload"]["summary"], body["payload"]["severity"]) == (
        "Nightly backup is still down",
        "critical",
    )


@pytest.mark.parametrize("facts", [AWAY, DISABLED, TEST], ids=lambda facts: facts.event)
async def test_what_is_about_no_job_is_an_incident_of_its_own(facts: Facts, outbound: Outbound) -> None:
    body = await deliver("pagerduty", outbound, facts)
    assert (body["event_action"], body["dedup_key"]) == ("trigger", f"tocsin/{facts.id}")
    assert body["client_url"] == PUBLIC_URL
    payload = body["payload"]
    assert (payload["source"], payload["class"]) == ("tocsin.test", facts.event)
    assert payload["severity"] == ("info" if facts is TEST else "warning")
    assert payload["custom_details"]["What happened"].splitlines() == [facts.message, *facts.lines]
    assert "component" not in payload


async def test_a_down_that_may_be_our_own_fault_is_less_than_critical(outbound: Outbound) -> None:
    body = await deliver("pagerduty", outbound, replace(DOWN, reason="unconfirmed"))
    assert body["payload"]["severity"] == "error"


async def test_no_field_is_longer_than_what_is_taken(outbound: Outbound) -> None:
    long = replace(named("n\n" * 2000), lines=tuple(f"Job {number}" for number in range(10_000)))
    payload = (await deliver("pagerduty", outbound, long))["payload"]
    assert len(payload["summary"]) <= 1024
    assert len(payload["source"]) <= 255
    assert "\n" not in payload["summary"] + payload["source"]
    assert payload["custom_details"]["What happened"].endswith(" more")
    assert len(json.dumps(payload)) < 8000


async def test_it_goes_to_the_queue_of_the_set_address(outbound: Outbound) -> None:
    with HttpReceiver(Answer(202, b'{"status": "success", "message": "Event processed"}')) as receiver:
        pagerduty = make_senders(outbound, pagerduty_api_base=f"{receiver.url}/eu")["pagerduty"]
        receipt = await pagerduty.send({"routing_key": KEY}, [DOWN])
        [request] = receiver.requests
    assert (receipt.outcome, receipt.code) == ("delivered", 202)
    assert (request.method, request.target) == ("POST", "/eu/v2/enqueue")
    assert request.headers["content-type"] == "application/json"


async def test_pagerduty_says_what_is_wrong_with_an_event(outbound: Outbound) -> None:
    wrong = [f"Invalid routing key {KEY}", 7, "Length of 'routing_key' is incorrect"]
    said = {"status": "invalid event", "message": "Event object is invalid", "errors": wrong}
    receipt = await attempt(outbound, Answer(400, json.dumps(said).encode()))
    assert (receipt.outcome, receipt.gone) == ("refused", False)
    assert receipt.detail == (
        "400 Bad Request: Invalid routing key ***; Length of 'routing_key' is incorrect"
    )


async def test_too_many_events_are_tried_again_later(outbound: Outbound) -> None:
    receipt = await attempt(outbound, Answer(429))
    assert (receipt.outcome, receipt.retry_after_seconds) == ("retry", None)


@pytest.mark.timeout(60)
def test_the_server_opens_and_resolves_the_incident_of_a_job(serve: Callable[..., Server]) -> None:
    with HttpReceiver(Answer(202)) as receiver:
        server = serve(pagerduty_api_base=receiver.url)
        api = server.api()
        config = {"kind": "pagerduty", "label": "on call", "config": {"routing_key": KEY}}
        channel = api.post("/channels", config)
        job = api.create("backup", **every(3600), channel_ids=[channel["id"]], mail="none")
        for action in ("", "fail", ""):
            server.ping(job, action)
        server.wait_until(lambda: len(receiver.requests) >= 2, "both events have arrived")
        events = [request.json() for request in receiver.requests]
    assert [(one["event_action"], one["dedup_key"]) for one in events] == [
        ("trigger", f"tocsin/{job['id']}"),
        ("resolve", f"tocsin/{job['id']}"),
    ]
    assert events[0]["payload"]["class"] == "failed"
    assert KEY not in server.output() + json.dumps(api.get("/channels"))


@pytest.mark.parametrize("body", [b"", b"[]", b"null", b'{"errors": "no"}', b'{"errors": {}}', b"\xff"])
async def test_odd_bodies_are_judged_by_the_status(body: bytes, outbound: Outbound) -> None:
    assert (await attempt(outbound, Answer(202, body))).outcome == "delivered"
    assert (await attempt(outbound, Answer(400, body))).detail == "400 Bad Request"


def test_blanks_around_a_key_do_not_count(outbound: Outbound) -> None:
    assert make_senders(outbound)["pagerduty"].check({"routing_key": f" {KEY}\n"}) == {"routing_key": KEY}


@pytest.mark.parametrize(
    "key", [None, "", 7, KEY[:-1], KEY + "0", "e+23rschqsESqk9Q6_-g", "é" * 32, "-" * 32]
)
def test_a_routing_key_has_32_letters_and_digits(key: Any, outbound: Outbound) -> None:
    with pytest.raises(TocsinError) as wrong:
        make_senders(outbound)["pagerduty"].check({"routing_key": key})
    assert list(wrong.value.fields) == ["routing_key"]

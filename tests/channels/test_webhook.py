"""The webhook: the house format, its signature, and formats that dialects bring along."""

import hashlib
import hmac
import json
from typing import Any

import pytest
from msgspec.structs import replace

from tests.channels.sample import AWAY, DOWN, PUBLIC_URL, TEST, UP, deliver, flood, make_senders
from tests.receivers import HttpReceiver
from tocsin.domain.alert import Facts
from tocsin.domain.errors import TocsinError
from tocsin.outbound import Outbound


async def test_the_house_format_is_as_published(outbound: Outbound) -> None:
    assert await deliver("webhook", outbound, DOWN) == {
        "id": "0f3a",
        "event": "monitor.down",
        "at": "2026-03-28T02:00:00.000Z",
        "reason": "missed",
        "monitor": {
            "id": "4c5d",
            "name": "Nightly backup",
            "slug": "nightly-backup",
            "tags": ["db", "prod"],
            "status": "down",
            "url": f"{PUBLIC_URL}/monitors/4c5d",
        },
        "previous_status": "up",
        "last_ping_at": "2026-03-27T01:00:00.000Z",
        "deadline_at": "2026-03-28T02:00:00.000Z",
        "message": DOWN.message,
    }


async def test_an_alert_about_no_monitor_has_none_and_names_all_that_it_concerns(outbound: Outbound) -> None:
    payload = await deliver("webhook", outbound, AWAY)
    assert payload["monitor"] is None
    assert payload["event"] == "tocsin.away"
    assert "Invoices" in payload["message"]
    assert (await deliver("webhook", outbound, TEST))["event"] == "test"


async def test_times_keep_their_milliseconds(outbound: Outbound) -> None:
    payload = await deliver("webhook", outbound, replace(UP, at=UP.at + 7_500))
    assert payload["at"] == "2026-03-28T02:10:00.007Z"
    assert payload["deadline_at"] is None


@pytest.mark.promise(7)
async def test_the_id_is_also_the_idempotency_key(outbound: Outbound) -> None:
    with HttpReceiver(503, 200) as receiver:
        webhook = make_senders(outbound)["webhook"]
        for _ in range(2):
            await webhook.send(webhook.check({"url": receiver.url}), [DOWN])
        keys = {(one.headers["idempotency-key"], one.json()["id"]) for one in receiver.requests}
    assert keys == {("0f3a", "0f3a")}


async def test_the_raw_body_is_signed_where_there_is_a_secret(outbound: Outbound) -> None:
    with HttpReceiver() as receiver:
        webhook = make_senders(outbound)["webhook"]
        await webhook.send({"url": receiver.url, "secret": "schlüssel"}, [DOWN])
        await webhook.send({"url": receiver.url}, [DOWN])
        signed, unsigned = receiver.requests
    mac = hmac.new("schlüssel".encode(), signed.body, hashlib.sha256).hexdigest()
    assert signed.headers["x-webhook-signature"] == f"sha256={mac}"
    assert "x-webhook-signature" not in unsigned.headers
    assert signed.headers["content-type"] == "application/json"
    assert signed.method == "POST"


def vendor_format(facts: Facts, url: str) -> dict[str, Any]:
    return {"status": "down", "text": facts.message, "to": url}


async def test_a_dialect_brings_its_own_format(outbound: Outbound) -> None:
    webhook = make_senders(outbound, formats={"vendor": vendor_format})["webhook"]
    with HttpReceiver() as receiver:
        config = webhook.check({"url": receiver.url, "format": "vendor", "secret": "s" * 16})
        await webhook.send(config, [DOWN])
        [request] = receiver.requests
    assert request.json() == {"status": "down", "text": DOWN.message, "to": receiver.url}
    assert request.headers["idempotency-key"] == DOWN.id
    assert "x-webhook-signature" in request.headers


async def test_a_format_that_is_gone_is_refused_and_not_guessed(outbound: Outbound) -> None:
    receipt = await make_senders(outbound)["webhook"].send(
        {"url": "https://receiver.test", "format": "vendor"}, [DOWN]
    )
    assert receipt.outcome == "refused"
    assert "format" in receipt.detail


def test_a_config_is_completed(outbound: Outbound) -> None:
    webhook = make_senders(outbound)["webhook"]
    url = "https://receiver.test/hook"
    assert webhook.check({"url": f" {url} ", "secret": ""}) == {"url": url, "format": "house"}
    assert webhook.check({"url": url, "secret": "s", "format": None}) == {
        "url": url,
        "secret": "s",
        "format": "house",
    }


def test_all_faults_are_told_at_once(outbound: Outbound) -> None:
    with pytest.raises(TocsinError) as refusal:
        make_senders(outbound)["webhook"].check({"url": "ftp://x", "secret": "s" * 201, "format": "vendor"})
    assert refusal.value.code == "invalid"
    assert refusal.value.fields.keys() == {"url", "secret", "format"}
    assert "house" in refusal.value.fields["format"]


async def test_a_webhook_gets_no_digests(outbound: Outbound) -> None:
    webhook = make_senders(outbound)["webhook"]
    assert not webhook.for_people
    with pytest.raises(ValueError, match="unpack"):
        await webhook.send({"url": "https://receiver.test"}, flood(2))


async def test_a_name_is_plain_json(outbound: Outbound) -> None:
    odd = 'ä"\\\n\u2028<!channel>'
    assert DOWN.monitor
    payload = await deliver("webhook", outbound, replace(DOWN, monitor=replace(DOWN.monitor, name=odd)))
    assert payload["monitor"]["name"] == odd
    assert json.dumps(payload)

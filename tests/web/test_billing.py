"""Stripe, asked through its own library over a real connection, and its signed webhooks."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from structlog.testing import capture_logs

from tests.faces import Caller, Faces
from tests.receivers import HANG, RESET, TRICKLE, Act, Answer
from tests.stripe_api import CHECKOUT_URL, SECRET_KEY, WEBHOOK_SECRET, StripeApi, event, refusal, signed
from tocsin.store.sqlite import SqliteStore
from tocsin.web.billing import Billing, BillingConfig, Offer
from tocsin.web.trouble import TroubleError

CHECKOUT, WEBHOOK = "/api/v1/checkout", "/api/v1/stripe/webhook"
OFFER = Offer("0" * 32, "pro", "http://tocsin/paid", "http://tocsin/left")


@pytest.fixture
def stripe() -> Iterator[StripeApi]:
    with StripeApi() as stripe:
        yield stripe


@pytest.fixture
def config(stripe: StripeApi) -> BillingConfig:
    return BillingConfig(SECRET_KEY, WEBHOOK_SECRET, stripe.url, {"pro": "price_1"}, timeout_seconds=5)


@pytest.fixture
def faces(store: SqliteStore, config: BillingConfig) -> Faces:
    return Faces.open(store, billing=config)


@pytest.fixture
async def buyer(faces: Faces) -> Caller:
    return await faces.caller("anethoth")


async def refused(config: BillingConfig, offer: Offer = OFFER) -> tuple[int, str]:
    """Status and text of the refusal of a checkout."""
    billing = Billing(config)
    with pytest.raises(TroubleError) as error:
        await billing.checkout(offer)
    billing.close()
    return error.value.trouble.status, error.value.trouble.message


async def hear(faces: Faces, message: tuple[bytes, dict[str, str]]) -> tuple[int, Any]:
    body, headers = message
    answer = await faces.client.post(WEBHOOK, content=body, headers=headers)
    return answer.status_code, answer.json()


async def plan_of(buyer: Caller) -> str:
    """The plan, as a new key's owner would be told it: by how many monitors there is room for."""
    made = 0
    while (await buyer.post("/api/v1/monitors", {"name": "job"})).status_code == 201 and made < 4:
        made += 1
    for monitor in (await buyer.get("/api/v1/monitors")).json()["monitors"]:
        await buyer.delete(f"/api/v1/monitors/{monitor['id']}")
    return "free" if made == 3 else "pro"


async def test_a_checkout_is_a_session_of_a_subscription_at_its_price(
    faces: Faces, buyer: Caller, stripe: StripeApi
) -> None:
    answer = await buyer.post(CHECKOUT, {"plan": "pro"})
    assert (answer.status_code, answer.json()) == (200, {"checkout_url": CHECKOUT_URL})
    [session] = stripe.sessions(1)
    uid = (await faces.office.manage.authenticate(buyer.headers["Authorization"][7:], "anethoth")).project_uid
    assert (session.request.method, session.request.target) == ("POST", "/v1/checkout/sessions")
    assert session.request.headers["authorization"] == f"Bearer {SECRET_KEY}"
    assert session.fields == {
        "mode": "subscription",
        "line_items[0][price]": "price_1",
        "line_items[0][quantity]": "1",
        "client_reference_id": uid,
        "metadata[tocsin_project]": uid,
        "metadata[tocsin_plan]": "pro",
        "subscription_data[metadata][tocsin_project]": uid,
        "subscription_data[metadata][tocsin_plan]": "pro",
        "success_url": "http://tocsin/anethoth/checkout/paid",
        "cancel_url": "http://tocsin/anethoth/checkout/left",
    }
    for place, said in (("success_url", "Thank you"), ("cancel_url", "Nothing was paid")):
        assert said in (await faces.client.get(session.fields[place])).text


async def test_nothing_is_said_about_the_machine(buyer: Caller, stripe: StripeApi) -> None:
    for _ in range(2):  # what was measured of one request would travel with the next
        await buyer.post(CHECKOUT, {"plan": "pro"})
    second = stripe.sessions(2)[1].request.headers
    assert "x-stripe-client-telemetry" not in second
    assert json.loads(second["x-stripe-client-user-agent"]).keys().isdisjoint({"platform", "telemetry_id"})


async def test_without_a_key_at_stripe_it_is_not_implemented(config: BillingConfig) -> None:
    assert await refused(replace(config, secret_key=None)) == (
        501,
        "Billing is not set up on this server: TOCSIN_STRIPE_SECRET_KEY is not set.",
    )


async def test_a_plan_without_a_price_names_the_setting(config: BillingConfig, stripe: StripeApi) -> None:
    status, text = await refused(replace(config, prices={"team": "price_2"}))
    assert status == 501
    assert "TOCSIN_STRIPE_PRICES names no price for the plan pro" in text
    assert stripe.requests == []


async def test_without_prices_the_plans_name_is_the_price(config: BillingConfig, stripe: StripeApi) -> None:
    billing = Billing(replace(config, prices=None))
    assert await billing.checkout(OFFER) == CHECKOUT_URL
    billing.close()
    assert stripe.sessions(1)[0].fields["line_items[0][price]"] == "pro"


async def test_a_price_that_stripe_does_not_know_names_the_setting(
    config: BillingConfig, stripe: StripeApi
) -> None:
    error = {"type": "invalid_request_error", "code": "resource_missing", "param": "line_items[0][price]"}
    stripe.script(refusal(400, **error, message="No such price: 'price_1'"))
    status, text = await refused(config)
    assert status == 501
    assert "TOCSIN_STRIPE_PRICES" in text


@pytest.mark.parametrize(
    "answer",
    [
        refusal(401, type="invalid_request_error", message=f"Invalid API Key provided: {SECRET_KEY}"),
        refusal(400, type="invalid_request_error", message=SECRET_KEY, code="resource_missing"),
        refusal(402, type="card_error", message=SECRET_KEY, code="card_declined", param="x"),
        refusal(429, type="rate_limit_error", message=SECRET_KEY),
        refusal(500, type="api_error", message=SECRET_KEY),
        Answer(302, headers={"location": "/elsewhere"}),
        Answer(200, b"<html>"),
        Answer(200, b"null"),
        Answer(200, b"[]"),
        Answer(200, b"{}"),
        Answer(200, b'{"url": null}'),
        Answer(200, b'{"url": 7}'),
        Answer(503, b""),
        Answer(418, b'{"error": "teapot"}'),
        Answer(400, b'{"error": {"message": ["x"], "code": {"a": 1}}}'),
        Answer(body=b"no HTTP", act=Act.RAW),
        RESET,
    ],
    ids=str,
)
async def test_what_stripe_refuses_is_a_bad_gateway_that_says_no_secret(
    config: BillingConfig, stripe: StripeApi, answer: Answer
) -> None:
    stripe.script(answer)
    with capture_logs() as logged:
        assert await refused(config) == (502, "Stripe did not open a checkout. Try again later.")
    assert [line["event"] for line in logged] == ["checkout_failed"]
    assert SECRET_KEY not in str(logged)


@pytest.mark.parametrize("act", [HANG, TRICKLE], ids=["hangs", "trickles"])
async def test_a_stripe_that_is_slow_is_given_up_while_others_are_served(
    config: BillingConfig, stripe: StripeApi, act: Answer
) -> None:
    stripe.script(act)
    began = time.monotonic()
    waiting = asyncio.create_task(refused(replace(config, timeout_seconds=0.5)))
    await stripe.arrived(1)
    assert time.monotonic() - began < 0.4  # the event loop was free meanwhile
    assert (await waiting)[0] == 502
    assert time.monotonic() - began < 2


async def test_a_checkout_that_fails_is_told_in_the_dialects_shape(buyer: Caller, stripe: StripeApi) -> None:
    stripe.script(500)
    answer = await buyer.post(CHECKOUT, {"plan": "pro"})
    assert answer.status_code == 502
    assert answer.json() == dict.fromkeys(
        ("error", "detail"), "Stripe did not open a checkout. Try again later."
    )


async def test_checkouts_are_limited(buyer: Caller, stripe: StripeApi) -> None:
    statuses = [(await buyer.post(CHECKOUT, {"plan": "pro"})).status_code for _ in range(11)]
    assert statuses == [200] * 10 + [429]
    assert len(stripe.requests) == 10


async def test_a_payment_lifts_the_limit_and_the_end_of_the_subscription_lowers_it(
    faces: Faces, buyer: Caller, stripe: StripeApi
) -> None:
    assert await plan_of(buyer) == "free"
    await buyer.post(CHECKOUT, {"plan": "pro"})
    [session] = stripe.sessions(1)
    paid = event("checkout.session.completed", session.paid("sub_1"))
    assert await hear(faces, paid) == (200, {"received": True})
    assert await plan_of(buyer) == "pro"
    assert (await buyer.post(CHECKOUT, {"plan": "pro"})).status_code == 400
    ended = event("customer.subscription.deleted", session.subscription("sub_1"))
    assert await hear(faces, ended) == (200, {"received": True})
    assert await plan_of(buyer) == "free"
    assert (await hear(faces, paid))[0] == 200  # again, and too late
    assert await plan_of(buyer) == "free"


async def test_a_session_counts_when_it_is_paid_which_may_be_days_later(
    faces: Faces, buyer: Caller, stripe: StripeApi
) -> None:
    await buyer.post(CHECKOUT, {"plan": "pro"})
    [session] = stripe.sessions(1)
    unpaid = session.paid("sub_1", payment_status="unpaid")
    assert (await hear(faces, event("checkout.session.completed", unpaid)))[0] == 200
    assert await plan_of(buyer) == "free"
    later = event("checkout.session.async_payment_succeeded", session.paid("sub_1"))
    assert (await hear(faces, later))[0] == 200
    assert await plan_of(buyer) == "pro"


async def test_what_is_none_of_ours_is_acknowledged_and_changes_nothing(
    faces: Faces, buyer: Caller, stripe: StripeApi
) -> None:
    await buyer.post(CHECKOUT, {"plan": "pro"})
    [session] = stripe.sessions(1)
    nobody = {"tocsin_project": "f" * 32, "tocsin_plan": "pro"}
    before = await faces.state()
    for kind, thing in (  # of things that are sold elsewhere
        ("customer.created", {"id": "cus_1"}),
        ("checkout.session.completed", session.paid("sub_1", metadata={})),
        ("checkout.session.completed", session.paid("sub_1", metadata=None)),
        ("checkout.session.completed", session.paid(None)),
        ("customer.subscription.deleted", {"id": "sub_9", "metadata": {}}),
    ):
        with capture_logs() as logged:
            assert await hear(faces, event(kind, thing)) == (200, {"received": True})
        assert logged == []
    with capture_logs() as logged:
        paid = event("checkout.session.completed", session.paid("sub_1", metadata=nobody))
        assert await hear(faces, paid) == (200, {"received": True})
    assert [line["event"] for line in logged] == ["payment_of_nobody"]
    assert await faces.state() == before


def forgeries() -> Iterator[tuple[bytes, dict[str, str]]]:
    body, headers = event("customer.created", {"id": "cus_1"})
    yield body, {}
    yield body + b" ", headers
    yield event("customer.created", {"id": "cus_1"}, secret="whsec_of_somebody_else")
    yield signed(body, at=int(time.time()) - 400)
    for header in ("", "t=1", "nonsense", "t=x,v1=y", "v1=", f"t={'9' * 5000},v1=0"):
        yield body, {"Stripe-Signature": header}
    yield b"\xff\xfe", headers


async def test_a_bad_signature_is_a_400(faces: Faces) -> None:
    before = await faces.state()
    for forgery in forgeries():
        status, answer = await hear(faces, forgery)
        assert (status, answer.keys()) == (400, {"error", "detail"}), forgery
    assert await faces.state() == before


async def test_a_signature_of_no_ascii_is_a_400(faces: Faces) -> None:
    body, _ = event("customer.created", {"id": "cus_1"})
    headers = {b"Stripe-Signature": f"t={int(time.time())},v1=é".encode("latin-1")}
    answer = await faces.client.post(WEBHOOK, content=body, headers=headers)
    assert answer.status_code == 400


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"nonsense",
        b"{}",
        b'{"id": "evt_1", "type": 7, "created": 1, "data": {"object": {}}}',
        b'{"id": "evt_1", "type": "customer.created", "created": 1000000000000, "data": {"object": {}}}',
        b'{"id": "evt_1", "type": "customer.created", "created": -1, "data": {"object": {}}}',
        b'{"id": "evt_1", "type": "checkout.session.completed", "created": 1, "data": {"object": {}}}',
        b'{"id": "evt_1", "type": "customer.subscription.deleted", "created": 1, "data": {"object": []}}',
    ],
)
async def test_what_is_signed_but_no_event_is_a_400(faces: Faces, body: bytes) -> None:
    status, answer = await hear(faces, signed(body))
    assert (status, answer.keys()) == (400, {"error", "detail"})


async def test_without_the_secret_of_webhooks_nothing_is_believed(
    store: SqliteStore, config: BillingConfig
) -> None:
    with capture_logs() as logged:
        faces = Faces.open(store, billing=replace(config, webhook_secret=None))
    assert [line["missing"] for line in logged] == ["TOCSIN_STRIPE_WEBHOOK_SECRET"]
    status, answer = await hear(faces, event("customer.created", {"id": "cus_1"}))
    assert status == 501
    assert "TOCSIN_STRIPE_WEBHOOK_SECRET" in answer["error"]

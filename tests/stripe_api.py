"""A Stripe for tests: an HTTP server that opens checkout sessions, and the webhooks that follow them.

with StripeApi() as stripe:
    ...  # something asks stripe.url for a checkout
    [session] = stripe.sessions(1)
    body, headers = event("checkout.session.completed", session.paid("sub_1"))
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs

from stripe import WebhookSignature

from tests.receivers import Answer, HttpReceiver, Request

WEBHOOK_SECRET = "whsec_of_the_tests"
SECRET_KEY = "sk_test_of_the_tests"
CHECKOUT_URL = "https://checkout.stripe.com/c/pay/cs_test_1"
# As Stripe's API reference shows a session, without what nobody here reads.
SESSION = {
    "id": "cs_test_1",
    "object": "checkout.session",
    "mode": "subscription",
    "payment_status": "unpaid",
    "status": "open",
    "subscription": None,
    "url": CHECKOUT_URL,
}
OPENED = Answer(body=json.dumps(SESSION).encode(), headers={"content-type": "application/json"})


def refusal(status: int, **error: str) -> Answer:
    """An error as Stripe words it."""
    return Answer(status, json.dumps({"error": error}).encode(), {"content-type": "application/json"})


@dataclass(frozen=True, slots=True)
class Session:
    """A checkout session that was asked for. `fields` as they were sent (line_items[0][price])."""

    request: Request
    fields: Mapping[str, str]

    @property
    def metadata(self) -> dict[str, str]:
        return self._marks("metadata")

    def paid(self, subscription: str | None, *, at: int | None = None, **more: Any) -> dict[str, Any]:
        """The session after its payment, at a Unix second."""
        return SESSION | {
            "created": int(time.time()) if at is None else at,
            "metadata": self.metadata,
            "payment_status": "paid",
            "status": "complete",
            "subscription": subscription,
            **more,
        }

    def subscription(self, subscription: str) -> dict[str, Any]:
        """The subscription that it began, as it ends."""
        marks = self._marks("subscription_data[metadata]")
        return {"id": subscription, "object": "subscription", "status": "canceled", "metadata": marks}

    def _marks(self, name: str) -> dict[str, str]:
        start = f"{name}["
        return {key[len(start) : -1]: self.fields[key] for key in self.fields if key.startswith(start)}


class StripeApi(HttpReceiver):
    """Opens a session for whoever asks, unless it is scripted otherwise."""

    def __init__(self, *answers: Answer | int) -> None:
        super().__init__(*(answers or (OPENED,)))

    def sessions(self, count: int) -> list[Session]:
        """The sessions that were asked for, as soon as there are so many."""
        return [
            Session(request, {name: values[0] for name, values in parse_qs(request.body.decode()).items()})
            for request in self.wait_for(count)
        ]


def event(kind: str, thing: Mapping[str, Any], *, secret: str = WEBHOOK_SECRET, **more: Any) -> Any:
    """Body and headers of a webhook that Stripe sends."""
    content = {
        "id": "evt_1",
        "object": "event",
        "type": kind,
        "created": int(time.time()),
        "data": {"object": thing},
        **more,
    }
    return signed(json.dumps(content).encode(), secret)


def signed(body: bytes, secret: str = WEBHOOK_SECRET, at: int | None = None) -> tuple[bytes, dict[str, str]]:
    """A body, and the headers with its signature."""
    header = WebhookSignature.generate_signature_header(body.decode(), secret, at)
    return body, {"Stripe-Signature": header, "Content-Type": "application/json"}

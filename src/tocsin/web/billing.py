"""Stripe: where plans are bought, and what its webhooks tell (docs/dialects/anethoth.md, Billing)."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import structlog
from pydantic import BaseModel, Field, ValidationError

from tocsin.engine.manage import Manage
from tocsin.engine.manage.subscriptions import Purchase
from tocsin.web.payload import read_object
from tocsin.web.trouble import Trouble, TroubleError

if TYPE_CHECKING:
    from stripe import StripeClient

SECOND = 1_000_000
LATEST_SECOND = 253_402_300_799  # the end of the year 9999
CALLS_AT_ONCE = 2
_PAID = ("paid", "no_payment_required")
# A mark of our own in what Stripe keeps: other things may be sold through the same account.
_PROJECT, _PLAN = "tocsin_project", "tocsin_plan"

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class BillingConfig:
    """`secret_key`, `webhook_secret`: None switches buying, or hearing of it, off. `prices`: plan → id of a
    recurring price at Stripe; None: the plan's name is that id. `timeout_seconds` is for a whole call."""

    secret_key: str | None = field(default=None, repr=False)
    webhook_secret: str | None = field(default=None, repr=False)
    api_base: str = "https://api.stripe.com"
    prices: Mapping[str, str] | None = None
    timeout_seconds: float = 10.0


class Offer(NamedTuple):
    """What is to be bought, for whom, and where Stripe sends people afterwards."""

    project_uid: str
    plan: str
    success_url: str
    cancel_url: str


class Billing:
    """What is sold through Stripe. The library is loaded at its first use: most servers sell nothing."""

    def __init__(self, config: BillingConfig) -> None:
        self._config = config
        self._client: StripeClient | None = None
        # Of its own: a Stripe that hangs must not keep name look-ups of alerts waiting.
        self._threads = ThreadPoolExecutor(CALLS_AT_ONCE, thread_name_prefix="stripe")
        if config.secret_key and not config.webhook_secret:
            log.warning("billing_hears_nothing", missing="TOCSIN_STRIPE_WEBHOOK_SECRET")

    async def checkout(self, offer: Offer) -> str:
        """The address of a new checkout session. TroubleError: 501 where something is not set up, 502 where
        Stripe did not do it."""
        price = self._price(offer.plan)
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self._config.timeout_seconds):
                return await loop.run_in_executor(self._threads, self._create_session, offer, price)
        except TimeoutError:
            log.warning("checkout_failed", reason="time-out")
            raise _upstream() from None

    async def take_event(self, manage: Manage, body: bytes, signature: str | None) -> None:
        """Do what a webhook of Stripe's means; what is none of ours is left alone. TroubleError: 501 where
        no secret is set, 400 for a bad signature. MalformedError."""
        self._verify(body, signature)
        event = read_object(body)
        try:
            await _take(manage, _Event.model_validate(event))
        except ValidationError:
            raise TroubleError(Trouble(400, "This is no event of Stripe's that we know.")) from None

    def close(self) -> None:
        """Begin no more calls."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _price(self, plan: str) -> str:
        if not self._config.secret_key:
            raise _not_set_up("TOCSIN_STRIPE_SECRET_KEY is not set.")
        prices = self._config.prices
        price = plan if prices is None else prices.get(plan)
        if price is None:
            raise _not_set_up(f"TOCSIN_STRIPE_PRICES names no price for the plan {plan}.")
        return price

    def _create_session(self, offer: Offer, price: str) -> str:
        import stripe  # noqa: PLC0415 - see the class

        marks = {_PROJECT: offer.project_uid, _PLAN: offer.plan}
        try:
            session = self._stripe().v1.checkout.sessions.create(
                {
                    "mode": "subscription",
                    "line_items": [{"price": price, "quantity": 1}],
                    "client_reference_id": offer.project_uid,
                    "metadata": marks,
                    "subscription_data": {"metadata": marks},
                    "success_url": offer.success_url,
                    "cancel_url": offer.cancel_url,
                }
            )
            url = session.url
        except stripe.StripeError as error:
            raise _told(error, offer.plan) from None
        except (AttributeError, TypeError, ValueError):
            url = None  # the library trips over answers that are not of Stripe's shape
        if not isinstance(url, str):
            log.warning("checkout_failed", reason="no address in Stripe's answer")
            raise _upstream()
        return url

    def _stripe(self) -> StripeClient:
        if self._client is None:
            import stripe  # noqa: PLC0415 - see the class

            stripe.enable_telemetry = False
            self._client = stripe.StripeClient(
                self._config.secret_key or "",
                base_addresses={"api": self._config.api_base},
                http_client=stripe.RequestsClient(timeout=self._config.timeout_seconds),
                max_network_retries=0,
            )
        return self._client

    def _verify(self, body: bytes, signature: str | None) -> None:
        if not self._config.webhook_secret:
            raise _not_set_up("TOCSIN_STRIPE_WEBHOOK_SECRET is not set.")
        from stripe import SignatureVerificationError, WebhookSignature  # noqa: PLC0415 - see the class

        try:
            WebhookSignature.verify_header(body, signature, self._config.webhook_secret, tolerance=300)
        except (SignatureVerificationError, TypeError, UnicodeDecodeError):
            # The library compares text, and refuses what is not ASCII in its own way.
            raise TroubleError(Trouble(400, "The signature does not fit.")) from None


class _Subscribed(BaseModel):
    """Of what Stripe calls a checkout session."""

    subscription: str | None = None
    payment_status: str
    created: int = Field(ge=0, le=LATEST_SECOND)
    metadata: dict[str, str] | None = None


class _Subscription(BaseModel):
    id: str
    metadata: dict[str, str] | None = None


class _Data(BaseModel):
    object: dict[str, Any]


class _Event(BaseModel):
    id: str
    type: str
    created: int = Field(ge=0, le=LATEST_SECOND)
    data: _Data


async def _take(manage: Manage, event: _Event) -> None:
    known = True
    if event.type in ("checkout.session.completed", "checkout.session.async_payment_succeeded"):
        session = _Subscribed.model_validate(event.data.object)
        purchase = _purchase(session.subscription, session.metadata, session.created)
        if purchase and session.payment_status in _PAID:
            known = await manage.begin_subscription(purchase)
    elif event.type == "customer.subscription.deleted":
        subscription = _Subscription.model_validate(event.data.object)
        purchase = _purchase(subscription.id, subscription.metadata, event.created)
        if purchase:
            known = await manage.end_subscription(purchase)
    if not known:
        log.warning("payment_of_nobody", stripe_event=event.id, type=event.type)


def _purchase(subscription_id: str | None, marks: Mapping[str, str] | None, second: int) -> Purchase | None:
    """What was bought; None where it was not bought here."""
    if subscription_id is None or not marks or not {_PROJECT, _PLAN} <= marks.keys():
        return None
    return Purchase(subscription_id, marks[_PROJECT], marks[_PLAN], second * SECOND)


def _told(error: Any, plan: str) -> TroubleError:
    """What a caller learns of Stripe's refusal. Its words are not passed on, and not kept: they may hold
    parts of the key."""
    log.warning(
        "checkout_failed",
        reason=type(error).__name__,
        status=error.http_status,
        code=error.code,
        param=getattr(error, "param", None),
        request=error.request_id,
    )
    if error.code == "resource_missing" and str(getattr(error, "param", "")).endswith("[price]"):
        return _not_set_up(f"Stripe knows no price for the plan {plan}: TOCSIN_STRIPE_PRICES must name it.")
    return _upstream()


def _upstream() -> TroubleError:
    return TroubleError(Trouble(502, "Stripe did not open a checkout. Try again later."))


def _not_set_up(what: str) -> TroubleError:
    return TroubleError(Trouble(501, f"Billing is not set up on this server: {what}"))

"""The account: how it is made, and how its plan is paid for."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tocsin.web.api import Call, Visit, json_response
from tocsin.web.billing import Offer
from tocsin.web.dialects.anethoth.shapes import NAME, Account, Checkout, NewAccount, Received, Wish
from tocsin.web.openapi import Operation
from tocsin.web.pages import page
from tocsin.web.payload import read_object
from tocsin.web.signup import sign_up
from tocsin.web.trouble import TroubleError, too_often

SIGNUP, CHECKOUT, WEBHOOK = "/api/v1/signup", "/api/v1/checkout", "/api/v1/stripe/webhook"
PAID, LEFT = "/checkout/paid", "/checkout/left"
CHECKOUTS_PER_MINUTE, CHECKOUTS_PER_DAY = 10, 100  # of one project: each is a request to Stripe


async def create_account(visit: Visit) -> Response:
    """Create an account and get an API key. A known address gets a recovery link by mail, and a 409."""
    key = await sign_up(visit, read_object(await visit.request.body()).get("email"), NAME)
    return json_response({"api_key": key.raw, "plan": key.plan, "monitor_limit": key.monitor_limit}, 201)


async def create_checkout(call: Call) -> Response:
    """Open a checkout at Stripe, where the account's next plan is paid for."""
    plan = call.manage.choose_plan(call.actor, (await call.fields()).get("plan"))
    standing = call.services.rates.count(
        f"checkout:{call.actor.project_id}",
        call.now,
        per_minute=CHECKOUTS_PER_MINUTE,
        per_day=CHECKOUTS_PER_DAY,
    )
    if standing.exceeded:
        raise TroubleError(too_often(standing.exceeded))
    here = f"{call.services.public_url}/{NAME}"
    offer = Offer(call.actor.project_uid, plan, here + PAID, here + LEFT)
    return json_response({"checkout_url": await call.services.billing.checkout(offer)})


async def take_stripe_event(visit: Visit) -> Response:
    """Called by Stripe, not by people: what was paid, and what ended. Its signature is checked."""
    request, services = visit.request, visit.services
    signature = request.headers.get("stripe-signature")
    await services.billing.take_event(services.manage, await request.body(), signature)
    return json_response({"received": True})


async def _after_checkout(request: Request) -> Response:
    return page("checkout.html", is_paid=request.url.path.endswith(PAID))


OPERATIONS = (
    Operation(
        "POST",
        SIGNUP,
        create_account,
        "Sign up",
        {201: Account},
        takes=NewAccount,
        refusals=(403, 409),
        needs_key=False,
    ),
    Operation(
        "POST",
        CHECKOUT,
        create_checkout,
        "Buy a plan",
        {200: Checkout},
        takes=Wish,
        refusals=(403, 501, 502),
    ),
    Operation(
        "POST",
        WEBHOOK,
        take_stripe_event,
        "Hear from Stripe",
        {200: Received},
        refusals=(501,),
        needs_key=False,
    ),
)
PAGES = (Route(PAID, _after_checkout), Route(LEFT, _after_checkout))

"""The API of CronPing at cronping.anethoth.com: docs/dialects/anethoth.md.

What is odd in it, on purpose: every error says the same under `error` and `detail`; field errors are 400; a
full account is a 429 without Retry-After; times have no zone; lengths are whole minutes.
"""

from __future__ import annotations

import re

from starlette.types import ASGIApp

from tocsin.domain.errors import Code
from tocsin.web.dialect import Claim, Credential, Dialect, Pings
from tocsin.web.dialects.anethoth import account, alert, monitors
from tocsin.web.dialects.anethoth.shapes import NAME, Failure, ping_refusal, ping_reply, refuse
from tocsin.web.openapi import About
from tocsin.web.reference import assemble_with_reference
from tocsin.web.services import Services
from tocsin.web.trouble import STATUSES

ABOUT = About(
    title="CronPing (anethoth) dialect of Tocsin",
    description=(
        "The API of CronPing at cronping.anethoth.com as Tocsin speaks it. A job pings GET, POST or HEAD "
        "/ping/{token}, which needs no key."
    ),
    problem=Failure,
    security={"type": "http", "scheme": "bearer", "description": "A key that begins with ch_."},
)
OPERATIONS = (*account.OPERATIONS, *monitors.OPERATIONS)


def _build(services: Services) -> ASGIApp:
    return assemble_with_reference(DIALECT, services, ABOUT, OPERATIONS, more=account.PAGES)


DIALECT = Dialect(
    name=NAME,
    build=_build,
    refuse=refuse,
    claims=(
        Claim(account.SIGNUP, ("POST",)),
        Claim(account.CHECKOUT, ("POST",)),
        Claim(account.WEBHOOK, ("POST",)),
        Claim("/api/v1/monitors", ("GET", "POST")),
        Claim("/api/v1/monitors/{}", ("GET", "DELETE")),
        Claim("/api/v1/monitors/{}/pause", ("POST",)),
        Claim("/api/v1/monitors/{}/resume", ("POST",)),
    ),
    credential=Credential("authorization", "ch_", scheme="bearer"),
    pings=Pings(("/ping/{}",), ping_reply, ping_refusal, re.compile(r"[0-9A-Za-z_-]{32}")),
    body_fields=frozenset({"schedule_minutes"}),
    # What cannot be taken is a 400, a full account a 429; a plan without the API is merely forbidden.
    statuses={
        **STATUSES,
        Code.INVALID: 400,
        Code.LIMIT_REACHED: 429,
        Code.PAYMENT_REQUIRED: 403,
    },
    field_names={
        "schedule_expression": "schedule_minutes",
        "grace_seconds": "grace_minutes",
        "mail": "alert_email",
        "webhook_url": "alert_webhook",
        "webhook_format": "alert_webhook",
    },
    status_word=monitors.status_word,
    webhook_format=alert.payload,
)

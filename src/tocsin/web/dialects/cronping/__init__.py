"""The API of Cronping (cronping.com): docs/dialects/cronping.md.

What is odd in it, on purpose: every error is `{"error": text}` and a field that is wrong is a 400; a limit
out of range is clamped, one that is no number refused; `intervalSeconds` is 0 and `cronExpression` null where
they do not apply; the next expected time includes the grace; a run longer than the grace is an outage.
"""

from __future__ import annotations

from starlette.types import ASGIApp

from tocsin.domain.errors import Code
from tocsin.web.dialect import Claim, Credential, Dialect
from tocsin.web.dialects.cronping import application, pings, shapes
from tocsin.web.reference import assemble_with_reference
from tocsin.web.services import Services
from tocsin.web.trouble import STATUSES


def _build(services: Services) -> ASGIApp:
    return assemble_with_reference(DIALECT, services, application.ABOUT, application.OPERATIONS)


DIALECT = Dialect(
    name=shapes.NAME,
    build=_build,
    refuse=shapes.refuse,
    claims=(
        Claim(application.HEARTBEATS, ("GET", "POST")),
        Claim(f"{application.HEARTBEATS}/*", ("GET", "POST", "PATCH", "DELETE")),
        Claim(application.INTEGRATIONS, ("GET",)),
    ),
    credential=Credential("x-api-key", "cpk_"),
    pings=pings.PINGS,
    # The published table of errors has no 402, 409 and 422.
    statuses={**STATUSES, Code.INVALID: 400, Code.CONFLICT: 400, Code.PAYMENT_REQUIRED: 403},
    field_names={
        "grace_seconds": "graceSeconds",
        "reminder_seconds": "reminderIntervalSeconds",
        "channel_ids": "integrationIds",
        "mail": "emailAlertsEnabled",
        "unique_key": "unique",
    },
    status_word=shapes.status_word,
)

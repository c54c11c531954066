"""The API of CronBeats (cronbeats.com, cronbeats.io): docs/dialects/cronbeats.md.

What is odd in it, on purpose: everything is in an envelope; changes are PUT to `/update`, deletions POST to
`/delete`; an error is a word, but an object for a broken limit; errors of pings have a shape of their own; a
paused job's pings are told 404, and are stored.
"""

from __future__ import annotations

import re

from starlette.types import ASGIApp

from tocsin.domain.errors import Code
from tocsin.web.dialect import Claim, Credential, Dialect, Pings
from tocsin.web.dialects.cronbeats import answers, application, pings
from tocsin.web.dialects.cronbeats.jobs import status_word
from tocsin.web.reference import assemble_with_reference
from tocsin.web.services import Services
from tocsin.web.trouble import STATUSES

_ALL = ("GET", "POST", "PUT", "PATCH", "DELETE")


def _build(services: Services) -> ASGIApp:
    return assemble_with_reference(DIALECT, services, application.ABOUT, application.OPERATIONS)


DIALECT = Dialect(
    name=answers.NAME,
    build=_build,
    refuse=answers.refuse,
    claims=(
        Claim(application.JOBS, _ALL),
        Claim(f"{application.JOBS}/*", _ALL),
        Claim(application.INTEGRATIONS, ("GET",), keyless=True),
        Claim(f"{application.INTEGRATIONS}/*", _ALL),
    ),
    credential=Credential("x-api-key", "cb_"),
    pings=Pings(("/ping/{}",), pings.reply, pings.refuse, re.compile("[A-Za-z0-9]{8}"), pings.read),
    # What is there already is a bad request, and a plan without the API a lack of permission: dialects.md.
    statuses={**STATUSES, Code.CONFLICT: 400, Code.PAYMENT_REQUIRED: 403},
    field_names={
        "schedule_kind": "expected_interval_seconds",
        "schedule_expression": "expected_interval_seconds",
        "enabled": "is_enabled",
    },
    rate_headers=answers.rate_headers,
    rate_scope="project",
    status_word=status_word,
)

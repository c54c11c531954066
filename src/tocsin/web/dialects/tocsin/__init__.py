"""The native API at /api/tocsin/v1: everything the dashboard can do."""

from __future__ import annotations

import re

from starlette.types import ASGIApp

from tocsin.domain.errors import Code
from tocsin.web.dialect import Claim, Credential, Dialect, Pings
from tocsin.web.dialects.tocsin import answers, application
from tocsin.web.rate import minute_headers
from tocsin.web.reference import assemble_with_reference
from tocsin.web.services import Services
from tocsin.web.trouble import STATUSES


def _build(services: Services) -> ASGIApp:
    about, root = application.ABOUT, application.ROOT
    return assemble_with_reference(DIALECT, services, about, application.OPERATIONS, root=root)


DIALECT = Dialect(
    name="tocsin",
    build=_build,
    refuse=answers.problem,
    claims=(Claim(f"{application.ROOT}/*", ("GET", "POST", "PATCH", "DELETE")),),
    credential=Credential("authorization", "tsn_", scheme="bearer"),
    pings=Pings(
        paths=("/ping/{}",),
        reply=answers.ping_reply,
        refuse=answers.ping_refusal,
        token_shape=re.compile(r"[0-9A-Za-z]{24}"),
    ),
    # The one dialect that asks for payment is cronheart.
    statuses={**STATUSES, Code.PAYMENT_REQUIRED: 403},
    rate_headers=minute_headers,
)

"""The API of Cronheart (cronheart.com): docs/dialects/cronheart.md.

What is odd in it, on purpose: a monitor's public id is the credential of its pings; a number out of range in
a query is clamped, where a field out of range in a body is refused; a bare ping is a kind of its own; a
monitor that is silent is `late`, and `down` only if its job says so.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from starlette.types import ASGIApp

from tocsin.web.dialect import Claim, Credential, Dialect
from tocsin.web.dialects.cronheart import application, pings, shapes
from tocsin.web.rate import minute_headers
from tocsin.web.reference import assemble_with_reference
from tocsin.web.services import Services

DOCUMENT = f"{shapes.ROOT}/openapi.json"


def _build(services: Services) -> ASGIApp:
    # A 402 leads to the server's own page, the only place to go.
    speaking = replace(DIALECT, refuse=partial(shapes.problem, upgrade_url=f"{services.public_url}/"))
    return assemble_with_reference(
        speaking, services, application.ABOUT, application.OPERATIONS, published_at=DOCUMENT
    )


DIALECT = Dialect(
    name=shapes.NAME,
    build=_build,
    refuse=shapes.problem,
    claims=(
        Claim("/api/v1/monitors", ("GET", "POST")),
        Claim("/api/v1/monitors/{}", ("GET", "PATCH", "DELETE")),
        Claim("/api/v1/monitors/{}/pause", ("POST",)),
        Claim("/api/v1/monitors/{}/resume", ("POST",)),
        Claim("/api/v1/monitors/{}/snooze", ("POST",)),
        Claim("/api/v1/monitors/{}/unsnooze", ("POST",)),
        Claim("/api/v1/monitors/{}/rotate-uuid", ("POST",)),
        Claim("/api/v1/monitors/{}/pings", ("GET",)),
        Claim("/api/v1/monitors/{}/alerts", ("GET",)),
        Claim("/api/v1/channels", ("GET", "POST")),
        Claim("/api/v1/channels/*", ("GET", "POST", "PATCH", "DELETE")),
        Claim("/api/v1/account", ("GET",)),
        Claim(DOCUMENT, ("GET",)),
    ),
    credential=Credential("authorization", "cmk_", scheme="bearer"),
    pings=pings.PINGS,
    body_fields=frozenset({"schedule_kind", "schedule_expr"}),
    field_names={"schedule_expression": "schedule_expr", "timezone": "tz"},
    rate_headers=minute_headers,
    # An account's tokens share its limit: the project is the account here.
    rate_scope="project",
    status_word=shapes.status_word,
)

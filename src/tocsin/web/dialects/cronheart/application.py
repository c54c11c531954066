"""The application: all operations, and the document of them at the address that Cronheart publishes."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from starlette.routing import Route
from starlette.types import ASGIApp

from tocsin.web.api import assemble
from tocsin.web.dialect import Dialect
from tocsin.web.dialects.cronheart import account, channels, history, monitors
from tocsin.web.dialects.cronheart.shapes import PROBLEM, ROOT, Problem, problem
from tocsin.web.openapi import About, Operation
from tocsin.web.reference import reference
from tocsin.web.services import Services

ABOUT = About(
    title="Cronheart dialect of Tocsin",
    description=(
        "The API of Cronheart as Tocsin speaks it. A job pings GET, POST or HEAD /ping/{uuid} or "
        "/ping/{uuid}/{action}, which needs no token: the UUID is the credential. Times are RFC 3339 with an "
        "offset. Lists are newest first."
    ),
    problem=Problem,
    problem_type=PROBLEM,
    security={"type": "http", "scheme": "bearer", "description": "A token that begins with cmk_."},
)

_TAGGED = {
    "Monitors": monitors.OPERATIONS,
    "History": history.OPERATIONS,
    "Channels": channels.OPERATIONS,
    "Account": account.OPERATIONS,
}
OPERATIONS: tuple[Operation, ...] = tuple(
    replace(operation, path=ROOT + operation.path, tag=tag)
    for tag, operations in _TAGGED.items()
    for operation in operations
)


def build(dialect: Dialect, services: Services) -> ASGIApp:
    """The application. A 402 leads to the server's own page, the only place to go."""
    server = f"{services.public_url}/{dialect.name}"
    pages = reference(ABOUT, OPERATIONS, root="", version=services.version, server=server)
    published = Route(f"{ROOT}/openapi.json", pages[0].endpoint)
    speaking = replace(dialect, refuse=partial(problem, upgrade_url=f"{services.public_url}/"))
    return assemble(speaking, services, OPERATIONS, [*pages, published])

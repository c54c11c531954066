"""All operations of Cronheart's API, and what their document says of them."""

from __future__ import annotations

from dataclasses import replace

from tocsin.web.dialects.cronheart import account, channels, history, monitors
from tocsin.web.dialects.cronheart.shapes import PROBLEM, ROOT, Problem
from tocsin.web.openapi import About, Operation

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

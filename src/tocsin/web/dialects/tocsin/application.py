"""All operations of the native API under one root, and what their document says of them."""

from __future__ import annotations

from dataclasses import replace

from tocsin.web.dialects.tocsin import channels, history, monitors, notifications, project
from tocsin.web.dialects.tocsin.answers import PROBLEM
from tocsin.web.dialects.tocsin.shapes import Problem
from tocsin.web.openapi import About, Operation

ROOT = "/api/tocsin/v1"

ABOUT = About(
    title="Tocsin",
    description=(
        "The native API of Tocsin: monitors, their pings, flips and incidents, channels, notifications and "
        "keys. Times are RFC 3339 in UTC, durations whole seconds unless the name says otherwise. Lists are "
        "newest first; send `next_cursor` as `cursor` to get the next page."
    ),
    problem=Problem,
    problem_type=PROBLEM,
    security={"type": "http", "scheme": "bearer", "description": "A key that begins with tsn_."},
)

_TAGGED = {
    "Monitors": monitors.OPERATIONS,
    "History": history.OPERATIONS,
    "Channels": channels.OPERATIONS,
    "Notifications": notifications.OPERATIONS,
    "Project": project.OPERATIONS,
}
OPERATIONS: tuple[Operation, ...] = tuple(
    replace(operation, path=ROOT + operation.path, tag=tag)
    for tag, operations in _TAGGED.items()
    for operation in operations
)

"""All operations of Cronping's API, and what their document says of them."""

from __future__ import annotations

from tocsin.web.dialects.cronping import heartbeats, history, shapes
from tocsin.web.openapi import About, Operation

HEARTBEATS, INTEGRATIONS = "/api/v1/heartbeats", "/api/v1/integrations"
HEARTBEAT = f"{HEARTBEATS}/{{id}}"

ABOUT = About(
    title="Cronping dialect of Tocsin",
    description=(
        "The API of Cronping as Tocsin speaks it. A job pings GET, POST or HEAD /{token}, and /start, /fail, "
        "/log or an exit code after it, which needs no key: the token is the credential."
    ),
    problem=shapes.Failure,
    security={
        "type": "apiKey",
        "in": "header",
        "name": "X-Api-Key",
        "description": "In the header X-Api-Key: cpk_ and 40 letters or digits.",
    },
    parts={"id": {"schema": {"type": "string", "format": "uuid"}}},
)

_ONE = {200: shapes.Heartbeat}
_CHANGE = (403, 404)
OPERATIONS = (
    Operation(
        "GET",
        HEARTBEATS,
        heartbeats.list_heartbeats,
        "List heartbeats",
        {200: shapes.HeartbeatPage},
        query=shapes.HeartbeatQuery,
        tag="Heartbeats",
    ),
    Operation(
        "POST",
        HEARTBEATS,
        heartbeats.create_heartbeat,
        "Create a heartbeat",
        {201: shapes.Heartbeat, 200: shapes.Heartbeat},
        takes=shapes.NewHeartbeat,
        refusals=(403,),
        tag="Heartbeats",
    ),
    Operation(
        "GET", HEARTBEAT, heartbeats.get_heartbeat, "Get a heartbeat", _ONE, refusals=(404,), tag="Heartbeats"
    ),
    Operation(
        "PATCH",
        HEARTBEAT,
        heartbeats.update_heartbeat,
        "Update a heartbeat",
        _ONE,
        takes=shapes.HeartbeatChanges,
        refusals=_CHANGE,
        tag="Heartbeats",
    ),
    Operation(
        "DELETE",
        HEARTBEAT,
        heartbeats.delete_heartbeat,
        "Delete a heartbeat",
        {200: shapes.Deleted},
        refusals=_CHANGE,
        tag="Heartbeats",
    ),
    Operation(
        "POST",
        f"{HEARTBEAT}/pause",
        heartbeats.pause_heartbeat,
        "Pause a heartbeat",
        _ONE,
        refusals=_CHANGE,
        tag="Heartbeats",
    ),
    Operation(
        "POST",
        f"{HEARTBEAT}/resume",
        heartbeats.resume_heartbeat,
        "Resume a heartbeat",
        _ONE,
        refusals=_CHANGE,
        tag="Heartbeats",
    ),
    Operation(
        "GET",
        f"{HEARTBEAT}/pings",
        history.list_pings,
        "List pings for a heartbeat",
        {200: shapes.PingPage},
        query=shapes.PingQuery,
        refusals=(404,),
        tag="Pings",
    ),
    Operation(
        "GET",
        INTEGRATIONS,
        history.list_integrations,
        "List integrations",
        {200: shapes.Integrations},
        tag="Integrations",
    ),
)

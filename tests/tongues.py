"""What a test must know of each dialect to speak it: addresses, the least body of a job, the shape of errors.

Endpoints and fields are not here: they come from the OpenAPI documents.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from tests.faces import Caller
from tocsin.web.sample import resolve, sample

HOOK = "https://example.com/hook"


@dataclass(frozen=True, slots=True)
class Tongue:
    """One dialect as its tests speak it.

    `base` goes before the paths of its document, which is at `{document}/openapi.json`. `jobs` is the path
    where monitors are made, of `job` with `name`; `id_at` is where the answer has its id. `error` and
    `ping_error`: keys that every error has (none: plain text). `stranger`: the status for another project's
    things.
    """

    name: str
    header: str
    error: frozenset[str]
    jobs: str
    job: Mapping[str, Any]
    id_at: tuple[str, ...]
    part: str
    base: str
    document: str
    ping_error: frozenset[str] = frozenset()
    stranger: int = 404
    more_parts: Mapping[str, str] = field(default_factory=dict)

    def headers(self, key: str) -> dict[str, str]:
        """What carries this key."""
        bearer = self.header == "authorization"
        return {"Authorization": f"Bearer {key}"} if bearer else {"X-Api-Key": key}

    def id_of(self, answer: Any) -> str:
        """A made monitor's public id."""
        for key in self.id_at:
            answer = answer[key]
        return str(answer)


def _tongue(
    name: str, header: str, error: str, jobs: str, job: Mapping[str, Any], at: str, **more: Any
) -> Tongue:
    parts: dict[str, Any] = {"base": f"/{name}", "document": f"/{name}", "part": "id", **more}
    return Tongue(name, header, frozenset(error.split()), jobs, job, tuple(at.split(".")), **parts)


TONGUES = {
    tongue.name: tongue
    for tongue in (
        _tongue(
            "anethoth",
            "authorization",
            "error detail",
            "/api/v1/monitors",
            {"name": "job"},
            "id",
            ping_error=frozenset({"error", "detail"}),
        ),
        _tongue(
            "cronbeats",
            "x-api-key",
            "success error message",
            "/api/v1/jobs",
            {"name": "job", "expected_interval_seconds": 3600},
            "data.id",
            more_parts={"type": "webhook"},
            ping_error=frozenset({"status", "message"}),
        ),
        _tongue(
            "cronheart",
            "authorization",
            "type title status detail",
            "/api/v1/monitors",
            {"name": "job", "schedule_kind": "interval", "schedule_expr": "3600", "tz": "UTC"},
            "uuid",
            part="uuid",
        ),
        _tongue(
            "cronpeek",
            "x-api-key",
            "error",
            "/api/v1/monitors",
            {"name": "job", "schedule": 3600},
            "monitorId",
            ping_error=frozenset({"error"}),
            stranger=403,
        ),
        _tongue(
            "cronping",
            "x-api-key",
            "error",
            "/api/v1/heartbeats",
            {"name": "job", "intervalSeconds": 3600},
            "id",
            ping_error=frozenset({"error"}),
        ),
        _tongue(
            "tocsin",
            "authorization",
            "type title status detail",
            "/api/tocsin/v1/monitors",
            {"name": "job"},
            "id",
            part="monitor_id",
            base="",
            document="/api/tocsin/v1",
            ping_error=frozenset({"type", "title", "status", "detail"}),
        ),
    )
}


class Operation(NamedTuple):
    """One operation of a document. `path` has its parts filled in; `body` is an example of what it takes, and
    `fields` the schema of each of its fields; both are None where it takes none."""

    method: str
    template: str
    path: str
    body: dict[str, Any] | None
    fields: dict[str, Any] | None
    needs_key: bool

    @property
    def id(self) -> str:
        return f"{self.method} {self.template}"

    @property
    def writes(self) -> bool:
        return self.method != "GET"


async def read_document(caller: Caller, tongue: Tongue) -> dict[str, Any]:
    """The dialect's OpenAPI document."""
    answer = await caller.get(f"{tongue.document}/openapi.json")
    assert answer.status_code == 200, answer.text
    described: dict[str, Any] = answer.json()
    return described


async def make_one_of_each(caller: Caller, tongue: Tongue) -> dict[str, str]:
    """The values of the parts of paths, after one of each thing was made."""
    made = await caller.post(f"{tongue.base}{tongue.jobs}", dict(tongue.job))
    assert made.status_code == 201, made.text
    parts = {tongue.part: tongue.id_of(made.json()), **tongue.more_parts}
    if tongue.name == "tocsin":
        hook = {"kind": "webhook", "label": "x", "config": {"url": HOOK}}
        channel = (await caller.post("/api/tocsin/v1/channels", hook)).json()
        key = (await caller.post("/api/tocsin/v1/keys", {})).json()
        parts |= {
            "channel_id": channel["id"],
            "key_id": key["id"],
            "notification_id": "0" * 32,
            "ping_id": "1",
        }
    elif tongue.name == "cronheart":
        hook = {"kind": "webhook", "label": "hook", "webhook_url": HOOK}
        made = await caller.post(f"{tongue.base}/api/v1/channels", hook)
        assert made.status_code == 201, made.text
        parts["id"] = made.json()["id"]
    elif tongue.name == "cronbeats":
        enabled = {"url": HOOK, "is_enabled": True}
        made = await caller.ask("PUT", f"{tongue.base}/api/v1/integrations/webhook", enabled)
        assert made.status_code == 200, made.text
    return parts


def operations(described: Mapping[str, Any], tongue: Tongue, parts: Mapping[str, str]) -> Iterator[Operation]:
    """All operations of a document."""
    schemas = described["components"]["schemas"]
    for template, methods in described["paths"].items():
        path = tongue.base + re.sub(r"\{(\w+)\}", lambda part: parts[part[1]], template)
        for method, operation in methods.items():
            body = fields = None
            if "requestBody" in operation:
                schema = operation["requestBody"]["content"]["application/json"]["schema"]
                body, fields = sample(schema, schemas), _fields(schema, schemas)
            yield Operation(method.upper(), template, path, body, fields, "security" in operation)


def _fields(schema: Mapping[str, Any], schemas: Mapping[str, Any]) -> dict[str, Any]:
    """The properties of an object; of one that is keyed by kind, those of all its kinds."""
    found = resolve(schema, schemas)
    fields: dict[str, Any] = dict(found.get("properties", {}))
    for kind in (*found.get("oneOf", ()), *found.get("anyOf", ())):
        fields = {**_fields(kind, schemas), **fields}
    return fields


def types(field_schema: Mapping[str, Any], schemas: Mapping[str, Any] | None = None) -> set[str]:
    """The JSON types that a field may have."""
    schema = resolve(field_schema, schemas or {})
    kinds = {each["type"] for each in schema.get("anyOf", [schema]) if "type" in each}
    # A word of a fixed list is text to whoever sends it.
    return kinds or ({"string"} if "enum" in schema or "const" in schema else set())

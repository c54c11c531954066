"""Promise 10, endpoint by endpoint: whatever is sent to whatever takes a body gets a 4xx in the dialect's
shape, and changes nothing. The endpoints come from the OpenAPI documents, so a new one is in the table."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import httpx
import orjson
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.conftest import Serve
from tests.faces import Caller, Faces
from tocsin.store.sqlite import SqliteStore
from tocsin.web.sample import resolve, sample

pytestmark = pytest.mark.promise(10)

DIALECTS = {"cronpeek": "/cronpeek", "tocsin": "/api/tocsin/v1"}
SHAPES = {"cronpeek": {"error"}, "tocsin": {"type", "title", "status", "detail"}}
MONITORS = {"cronpeek": "/api/v1/monitors", "tocsin": "/api/tocsin/v1/monitors"}

BODIES = {
    "nothing": b"",
    "no JSON": b"{",
    "a form": b"name=x&schedule=60",
    "no UTF-8": b'{"name": "\xff"}',
    "a byte order mark": b'\xef\xbb\xbf{"name": "x"}',
    "a lone surrogate": rb'{"name": "\ud800"}',
    "NUL": rb'{"name": "a\u0000b"}',
    "NaN": b'{"schedule": NaN}',
    "infinity": b'{"schedule": 1e999}',
    "null": b"null",
    "a list": b'[{"name": "x", "schedule": 60}]',
    "text": b'"name"',
    "deep": b'{"name": ' + b"[" * 40 + b"]" * 40 + b"}",
    "very deep": b"[" * 200_000,
    "huge": b'{"name": "' + b"x" * 1_100_000 + b'"}',
}
# What no field of a type can be. Numbers and texts out of range are the use cases' own tests.
WRONG: dict[str, list[Any]] = {
    "string": [1, 1.5, True, {}, [], "a\r\nb", "a\x00b", "x" * 100_000],
    "integer": ["1", 1.5, True, {}, [], 10**30, -(10**30), 2**63],
    "boolean": [0, 1, "true", {}, []],
    "array": ["a", 1, True, {}, [{}], [1], ["a\r\nb"], ["x"] * 2_000],
    "object": ["a", 1, True, []],
}
MEANINGLESS: dict[str, list[dict[str, Any]]] = {
    "tocsin": [
        {"name": "x", "timezone": "Mars/Olympus"},
        {"name": "x", "schedule_kind": "cron", "schedule_expression": "61 * * * *"},
        {"name": "x", "schedule_kind": "cron", "schedule_expression": "0 0 30 2 *"},
        {"name": "x", "schedule_kind": "simple", "schedule_expression": "now and then"},
        {"name": "x", "schedule_kind": "moon"},
        {"name": "x", "schedule_expression": "0"},
        {"name": "x", "schedule_expression": "٣"},
        {"name": "x", "webhook_url": "http://10.0.0.1/"},
        {"name": "x", "webhook_url": "javascript:alert(1)"},
        {"name": "x", "webhook_url": "http://["},
        {"name": "x", "mail": "a@b.example\r\nBcc: c@d.example"},
        {"name": "x", "channel_ids": ["0" * 32]},
        {"name": "x", "tags": ["two words"]},
    ],
    "cronpeek": [
        {"name": "x", "schedule": 59},
        {"name": "x", "schedule": 60, "grace": -1},
        {"name": "x", "schedule": 60, "alertEmail": "nobody"},
        {"name": "x", "schedule": 60, "alertEmail": "a@b.example\nBcc: c@d.example"},
        {"name": "x", "schedule": 60, "alertWebhook": "http://169.254.169.254/latest"},
        {"name": "x", "schedule": 60, "alertWebhook": "ftp://example.com"},
    ],
}


class Target(NamedTuple):
    """An operation with what it needs; `path` has its parts filled in."""

    method: str
    path: str
    body: dict[str, Any]
    fields: dict[str, Any]


@pytest.fixture
def faces(store: SqliteStore) -> Faces:
    return Faces.open(store, plans="self-hosted", signup_open=True)


async def fixtures(caller: Caller, dialect: str) -> dict[str, str]:
    """The values of the parts of paths: one of each thing."""
    body = {"name": "job", **({"schedule": 60} if dialect == "cronpeek" else {})}
    made = (await caller.post(MONITORS[dialect], body)).json()
    if dialect == "cronpeek":
        return {"id": made["monitorId"]}
    root = DIALECTS[dialect]
    hook = {"kind": "webhook", "label": "x", "config": {"url": "https://example.com/"}}
    channel = (await caller.post(f"{root}/channels", hook)).json()
    key = (await caller.post(f"{root}/keys", {})).json()
    ids = {"channel_id": channel["id"], "key_id": key["id"], "notification_id": "0" * 32, "ping_id": "1"}
    return {"monitor_id": made["id"], **ids}


async def operations(caller: Caller, dialect: str) -> dict[str, Any]:
    described: dict[str, Any] = (await caller.get(f"{DIALECTS[dialect]}/openapi.json")).json()
    return described


def filled(path: str, parts: dict[str, str]) -> str:
    return re.sub(r"\{(\w+)\}", lambda part: parts[part[1]], path)


def takers(described: dict[str, Any], parts: dict[str, str]) -> Iterator[Target]:
    """All operations that take a body."""
    schemas = described["components"]["schemas"]
    for path, methods in described["paths"].items():
        for method, operation in methods.items():
            if "requestBody" in operation:
                schema = operation["requestBody"]["content"]["application/json"]["schema"]
                body = sample(schema, schemas)
                fields = resolve(schema, schemas)["properties"]
                yield Target(method.upper(), filled(path, parts), body, fields)


def types(field: dict[str, Any]) -> set[str]:
    return {each["type"] for each in field.get("anyOf", [field]) if "type" in each}


def assert_refused(answer: httpx.Response, dialect: str, what: object) -> None:
    assert 400 <= answer.status_code < 500, (what, answer.text)
    assert SHAPES[dialect] <= answer.json().keys(), (what, answer.text)
    assert "Traceback" not in answer.text


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
async def test_a_body_that_is_no_json_object_changes_nothing(faces: Faces, dialect: str, body: bytes) -> None:
    caller = await faces.caller(dialect)
    parts = await fixtures(caller, dialect)
    described = await operations(caller, dialect)
    before = await faces.state()
    for target in takers(described, parts):
        assert_refused(await caller.ask(target.method, target.path, body), dialect, target)
    assert await faces.state() == before


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_a_value_of_the_wrong_type_in_any_field_changes_nothing(faces: Faces, dialect: str) -> None:
    caller = await faces.caller(dialect)
    parts = await fixtures(caller, dialect)
    described = await operations(caller, dialect)
    before = await faces.state()
    for target in takers(described, parts):
        for name, field in target.fields.items():
            allowed = types(field)
            for kind, values in WRONG.items():
                for value in values if kind in allowed else []:
                    body = encoded({**target.body, name: value})
                    answer = await caller.ask(target.method, target.path, body)
                    if target.path.endswith("/bulk") and answer.status_code == 200:
                        assert answer.json()["created"] == 0
                        continue
                    assert_refused(answer, dialect, (target.method, target.path, name, value))
    assert await faces.state() == before


def encoded(body: dict[str, Any]) -> bytes:
    """JSON, also of integers that orjson does not take."""
    big = {10**30: "BIG", -(10**30): "SMALL"}
    marked = {name: big.get(value, value) if type(value) is int else value for name, value in body.items()}
    text = orjson.dumps(marked)
    return text.replace(b'"BIG"', b"1" + b"0" * 30).replace(b'"SMALL"', b"-1" + b"0" * 30)


@pytest.mark.parametrize(
    ("dialect", "body"), [(name, body) for name, bodies in MEANINGLESS.items() for body in bodies]
)
async def test_a_monitor_that_makes_no_sense_is_not_made(
    faces: Faces, dialect: str, body: dict[str, Any]
) -> None:
    caller = await faces.caller(dialect)
    before = await faces.state()
    assert_refused(await caller.post(MONITORS[dialect], body), dialect, body)
    assert await faces.state() == before


async def test_html_in_a_name_is_kept_as_text_and_never_becomes_a_page(faces: Faces) -> None:
    caller = await faces.caller("tocsin")
    answer = await caller.post(MONITORS["tocsin"], {"name": "<script>alert(1)</script>"})
    assert (answer.status_code, answer.headers["content-type"]) == (201, "application/json")
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_another_projects_key_reaches_nothing(faces: Faces, dialect: str) -> None:
    owner = await faces.caller(dialect)
    parts = await fixtures(owner, dialect)
    described = await operations(owner, dialect)
    stranger = await faces.caller(dialect, email="stranger@example.com", project="elsewhere")
    before = await faces.state()
    bodies = {(target.method, target.path): target.body for target in takers(described, parts)}
    tried = 0
    for path, methods in described["paths"].items():
        for method in methods if "{" in path else ():
            where = filled(path, parts)
            body = bodies.get((method.upper(), where))
            if body == {} and where.endswith("/snooze"):
                body = {"seconds": 60}
            answer = await stranger.ask(method.upper(), where, body)
            assert answer.status_code in {403, 404}, (method, where, answer.text)
            assert SHAPES[dialect] <= answer.json().keys()
            tried += 1
    assert tried >= 4
    assert await faces.state() == before


@pytest.mark.timeout(300)
@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=["good", "bad"])
@pytest.mark.parametrize("dialect", DIALECTS)
def test_every_answer_is_one_that_the_document_describes(
    serve: Serve, dialect: str, mode: GenerationMode
) -> None:
    server = serve(signup="open")
    key = server.key(dialect)
    headers = {"x-api-key": key} if dialect == "cronpeek" else {"Authorization": f"Bearer {key}"}
    schema = schemathesis.openapi.from_url(f"{server.url}{DIALECTS[dialect]}/openapi.json")
    for result in schema.get_all_operations():
        assert isinstance(result, Ok)
        examine(result.ok(), mode, headers)
    assert "Traceback" not in server.output()


def examine(operation: Any, mode: GenerationMode, headers: dict[str, str]) -> None:
    @settings(
        max_examples=20,
        deadline=None,
        database=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def ask(case: schemathesis.Case[Any]) -> None:
        case.call_and_validate(headers=headers, checks=CHECKS)

    # An operation without any input has no bad input.
    with contextlib.suppress(Unsatisfiable):
        ask()


CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]

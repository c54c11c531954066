"""Promise 10, endpoint by endpoint: whatever is sent to whatever takes a body gets a 4xx in the dialect's
shape, and changes nothing. The endpoints come from the OpenAPI documents, so a new one is in the table."""

from __future__ import annotations

import contextlib
import http.client
import json
from collections.abc import Iterator
from itertools import product
from typing import Any, NamedTuple
from urllib.parse import quote

import httpx
import orjson
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.conftest import Serve
from tests.faces import Faces
from tests.server import Server
from tests.tongues import TONGUES, Tongue, make_one_of_each, operations, read_document, types
from tocsin.store.sqlite import SqliteStore
from tocsin.web.dialect import discover

pytestmark = pytest.mark.promise(10)

EVERY = pytest.mark.parametrize("tongue", TONGUES.values(), ids=TONGUES)
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
    "array": ["a", 1, True, {}, [{}], [True], ["a\r\nb"], ["x"] * 2_000],
    "object": ["a", 1, True, []],
}
WORDS: dict[type, str] = {str: "string", int: "integer", bool: "boolean", list: "array", dict: "object"}
BAD_DESTINATIONS = [
    "http://10.0.0.1/",
    "http://169.254.169.254/latest",
    "javascript:alert(1)",
    "ftp://example.com/",
    "http://[",
    "https://example.com/\r\nX-Evil: 1",
]
BAD_ADDRESSES = ["nobody", "a@b.example\r\nBcc: c@d.example", "a@b.example, c@d.example", "<a@b.example>"]
BAD_ZONES = ["Mars/Olympus", "../../etc/passwd", "UTC\n", "utc+25"]
BAD_CRONS = ["61 * * * *", "0 0 30 2 *", "* * * *", "* * * * * * *", "@reboot", "٣ * * * *", "0 0 * * * \r\n"]
# Each is the least job with one thing changed that makes no sense.
MEANINGLESS: dict[str, list[dict[str, Any]]] = {
    "tocsin": [
        *({"timezone": zone} for zone in BAD_ZONES),
        *({"schedule_kind": "cron", "schedule_expression": cron} for cron in BAD_CRONS),
        *({"webhook_url": url} for url in BAD_DESTINATIONS),
        *({"mail": address} for address in BAD_ADDRESSES),
        {"schedule_kind": "simple", "schedule_expression": "now and then"},
        {"schedule_kind": "moon"},
        {"schedule_expression": "0"},
        {"schedule_expression": "٣"},
        {"channel_ids": ["0" * 32]},
        {"tags": ["two words"]},
    ],
    "anethoth": [
        *({"schedule_minutes": minutes} for minutes in (0, -1, 10**9)),
        *({"grace_minutes": minutes} for minutes in (-1, 10**9)),
        *({"alert_email": address} for address in BAD_ADDRESSES),
        *({"alert_webhook": url} for url in BAD_DESTINATIONS),
        {"name": ""},
        {"name": " "},
        {"name": "x" * 201},
    ],
    "cronbeats": [
        *({"timezone": zone} for zone in BAD_ZONES),
        *({"expected_interval_seconds": seconds} for seconds in (0, -60, 10**9, None)),
        *({"grace_seconds": seconds} for seconds in (-1, 10**9)),
        {"name": ""},
        {"name": "x" * 201},
        {"description": "x" * 256},
    ],
    "cronheart": [
        *({"tz": zone} for zone in (*BAD_ZONES, "x" * 65)),
        *({"schedule_kind": "cron", "schedule_expr": cron} for cron in BAD_CRONS),
        *({"schedule_expr": seconds} for seconds in ("29", "31622401", "-60", "60.5", "٣", "", 29, 10**12)),
        *({"grace_seconds": seconds} for seconds in (-1, 86401)),
        *({"channel_ids": ids} for ids in (["999"], ["x"], [999], "all")),
        {"schedule_kind": "simple", "schedule_expr": "now and then"},
        {"schedule_kind": "simple", "schedule_expr": "daily at 25:00"},
        {"schedule_kind": "moon"},
        {"name": "x"},
        {"name": "x" * 121},
    ],
    "cronpeek": [
        *({"schedule": seconds} for seconds in (59, 0, -60, 10**9)),
        *({"grace": seconds} for seconds in (-1, 10**9)),
        *({"alertEmail": address} for address in BAD_ADDRESSES),
        *({"alertWebhook": url} for url in BAD_DESTINATIONS),
        {"name": ""},
    ],
    "cronping": [
        *({"timezone": zone, "scheduleType": "cron", "cronExpression": "0 3 * * *"} for zone in BAD_ZONES),
        *({"scheduleType": "cron", "cronExpression": cron} for cron in (*BAD_CRONS, None)),
        *({"intervalSeconds": seconds} for seconds in (59, -60, 2_592_001, None)),
        *({"graceSeconds": seconds} for seconds in (-1, 86_401)),
        *({"integrationIds": ids} for ids in (["0" * 32], ["x"], "all")),
        {"scheduleType": "moon"},
        {"reminderIntervalSeconds": -1},
        {"name": ""},
        {"name": "x" * 201},
        {"tags": "a\r\nb"},
    ],
}


@pytest.fixture
def faces(store: SqliteStore) -> Faces:
    return Faces.open(store, plans="self-hosted", signup_open=True)


def test_every_dialect_is_in_the_tables() -> None:
    names = {dialect.name for dialect in discover()}
    assert names == TONGUES.keys() == MEANINGLESS.keys()


def assert_refused(answer: httpx.Response, tongue: Tongue, what: object) -> None:
    assert 400 <= answer.status_code < 500, (what, answer.status_code, answer.text)
    assert tongue.error <= answer.json().keys(), (what, answer.text)
    assert "Traceback" not in answer.text


@EVERY
async def test_a_body_that_is_no_json_object_changes_nothing(faces: Faces, tongue: Tongue) -> None:
    caller = await faces.caller(tongue.name)
    parts = await make_one_of_each(caller, tongue)
    takers = [
        one
        for one in operations(await read_document(caller, tongue), tongue, parts)
        if one.fields is not None
    ]
    assert takers
    before = await faces.state()
    for target in takers:
        for what, body in BODIES.items():
            assert_refused(await caller.ask(target.method, target.path, body), tongue, (target.id, what))
    assert await faces.state() == before


@EVERY
async def test_a_value_of_the_wrong_type_in_any_field_changes_nothing(faces: Faces, tongue: Tongue) -> None:
    caller = await faces.caller(tongue.name)
    parts = await make_one_of_each(caller, tongue)
    described = await read_document(caller, tongue)
    before = await faces.state()
    for target in operations(described, tongue, parts):
        for name, schema in (target.fields or {}).items():
            for value in wrong(types(schema, described["components"]["schemas"])):
                body = encoded({**(target.body or {}), name: value})
                answer = await caller.ask(target.method, target.path, body)
                if target.template.endswith("/monitors/bulk") and answer.status_code == 200:
                    assert answer.json()["created"] == 0
                    continue
                assert_refused(answer, tongue, (target.id, name, value))
    assert await faces.state() == before


def wrong(allowed: set[str]) -> list[Any]:
    """Values that a field of these types cannot have."""
    values = [(kind, value) for kind in WRONG if kind in allowed for value in WRONG[kind]]
    words = [(kind, value, WORDS.get(type(value), "number")) for kind, value in values]
    return [value for kind, value, word in words if word == kind or word not in allowed]


def encoded(body: dict[str, Any]) -> bytes:
    """JSON, also of integers that orjson does not take."""
    big = {10**30: "BIG", -(10**30): "SMALL"}
    marked = {name: big.get(value, value) if type(value) is int else value for name, value in body.items()}
    text = orjson.dumps(marked)
    return text.replace(b'"BIG"', b"1" + b"0" * 30).replace(b'"SMALL"', b"-1" + b"0" * 30)


@EVERY
async def test_a_monitor_that_makes_no_sense_is_not_made(faces: Faces, tongue: Tongue) -> None:
    caller = await faces.caller(tongue.name)
    before = await faces.state()
    for change in MEANINGLESS[tongue.name]:
        answer = await caller.post(f"{tongue.base}{tongue.jobs}", {**tongue.job, **change})
        assert_refused(answer, tongue, change)
    assert await faces.state() == before


@EVERY
async def test_html_in_a_name_is_kept_as_text_and_never_becomes_a_page(faces: Faces, tongue: Tongue) -> None:
    caller = await faces.caller(tongue.name)
    name = "<script>alert('1')</script>\u202e&amp;"
    answer = await caller.post(f"{tongue.base}{tongue.jobs}", {**tongue.job, "name": name})
    assert (answer.status_code, answer.headers["content-type"]) == (201, "application/json")
    assert answer.headers["x-content-type-options"] == "nosniff"
    native = await faces.caller("tocsin")
    [made] = (await native.get("/api/tocsin/v1/monitors")).json()["monitors"]
    assert made["name"] == name


# What no dialect takes for an action, and what each of them does not.
ODD_ACTIONS = ("%00", "%ff%fe", "no!sense", "a%2f..%2fb", "..", "start/fail", "x" * 100, "<script>", "%zz")
UNKNOWN_ACTIONS = {
    "anethoth": ("nonsense", "256", "-1"),
    "cronbeats": ("nonsense", "end", "end/maybe", "progress/101", "progress/x", "progress/-1", "0"),
    # Any other word is a heartbeat here, as CronHeart has it.
    "cronheart": ("two words", "x" * 17, "a.b"),
    "cronpeek": ("nonsense", "256", "-1"),
    "cronping": ("nonsense", "256", "-1", "1.5"),
    "tocsin": ("nonsense", "256", "-1"),
}


@pytest.fixture(scope="module")
def pinged(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pinged]:
    """A server with a monitor of every dialect in one project."""
    with Server(tmp_path_factory.mktemp("server"), unknown_token_limit_per_minute=1_000_000) as server:
        for tongue in TONGUES.values():
            headers, where = tongue.headers(server.key(tongue.name)), f"{tongue.base}{tongue.jobs}"
            body = {**tongue.job, "name": tongue.name}
            assert server.client.post(where, json=body, headers=headers).status_code == 201
        made = server.api().get("/monitors")["monitors"]
        yield Pinged(server, {monitor["name"]: httpx.URL(monitor["ping_url"]).path for monitor in made})


class Pinged(NamedTuple):
    """`paths`: where the job of each dialect pings."""

    server: Server
    paths: dict[str, str]

    def ask(self, method: str, target: str, **headers: str) -> tuple[int, dict[str, str], bytes]:
        """The answer to exactly this address: status, headers, body."""
        line = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=10)
        with contextlib.closing(line):
            line.putrequest(method, target, skip_accept_encoding=True)
            for name, value in headers.items():
                line.putheader(name.replace("_", "-"), value)
            line.endheaders()
            answer = line.getresponse()
            return answer.status, {name.lower(): text for name, text in answer.getheaders()}, answer.read()

    def stored(self) -> list[Any]:
        """All that pings change."""
        tables = ("ping", "monitor_state", "flip", "notification")
        return [[tuple(row) for row in self.server.rows(f"SELECT * FROM {table}")] for table in tables]


def assert_no_ping(answer: tuple[int, dict[str, str], bytes], tongue: Tongue, what: object) -> None:
    status, headers, body = answer
    assert 400 <= status < 500, (what, answer)
    assert headers["cache-control"] == "no-store", (what, answer)
    if tongue.ping_error:
        assert tongue.ping_error <= json.loads(body).keys(), (what, answer)
    else:
        assert headers["content-type"] == "text/plain; charset=utf-8", (what, answer)


@EVERY
def test_an_action_that_the_dialect_does_not_have_is_no_ping(pinged: Pinged, tongue: Tongue) -> None:
    before = pinged.stored()
    for action in (*ODD_ACTIONS, *UNKNOWN_ACTIONS[tongue.name]):
        target = f"{pinged.paths[tongue.name]}/{quote(action, safe='%/!<>')}"
        for method in ("GET", "POST"):
            answer = pinged.ask(method, target)
            assert answer[0] == 404, (target, answer)
            assert_no_ping(answer, tongue, target)
    assert pinged.stored() == before


@EVERY
def test_another_method_is_no_ping(pinged: Pinged, tongue: Tongue) -> None:
    before = pinged.stored()
    for method in ("PUT", "PATCH", "DELETE", "OPTIONS"):
        # With the dialect's name in front: the address alone does not always tell whose it is.
        answer = pinged.ask(method, f"/{tongue.name}{pinged.paths[tongue.name]}")
        assert (answer[0], answer[1]["allow"]) == (405, "GET, POST, HEAD"), answer
        assert_no_ping(answer, tongue, method)
    assert pinged.stored() == before


@EVERY
def test_a_token_that_nobody_has_is_told_so_in_the_words_of_its_path(pinged: Pinged, tongue: Tongue) -> None:
    before = pinged.stored()
    start, _, token = pinged.paths[tongue.name].rpartition("/")
    unknown = [token[1:] + token[0], token[:-1], token + "0", "%00", "%ff", "x" * 300, "no!sense"]
    for target in (f"/{tongue.name}{start}/{one}" for one in unknown if one != token):
        answer = pinged.ask("GET", target)
        # What stands at the root need not look like a ping at all; then it is an address that nobody has.
        if start or len(target) == len(f"/{tongue.name}/{token}"):
            assert_no_ping(answer, tongue, target)
            assert answer[0] == 404, (target, answer)
        else:
            assert tongue.error <= json.loads(answer[2]).keys(), (target, answer)
            assert 400 <= answer[0] < 500, (target, answer)
    assert pinged.stored() == before


@EVERY
def test_keys_mean_nothing_where_jobs_ping(pinged: Pinged, tongue: Tongue) -> None:
    """Neither a wrong one nor another dialect's: the token alone is the credential."""
    bearers, others = ("ch_wrong", "cmk_wrong", "tsn_wrong", "x" * 5_000), ("cpk_wrong", "cb_wrong", "")
    for bearer, other in product(bearers, others):
        headers = {"Authorization": f"Bearer {bearer}", "X_Api_Key": other}
        status, answered, _ = pinged.ask("GET", pinged.paths[tongue.name], **headers)
        assert (status, answered["cache-control"]) == (200, "no-store")


@EVERY
def test_an_endless_query_is_refused_and_an_odd_one_loses_no_ping(pinged: Pinged, tongue: Tongue) -> None:
    path, before = pinged.paths[tongue.name], pinged.stored()
    assert pinged.ask("GET", f"{path}?rid={'x' * 70_000}")[0] == 414
    assert pinged.stored() == before
    for query in ("rid=%00", "rid=%ff", "rid=" + "x" * 5_000, "rid=%zz&rid", "=&&"):
        assert pinged.ask("GET", f"{path}?{query}")[0] == 200, query
    assert len(pinged.stored()[0]) == len(before[0]) + 5


@pytest.mark.timeout(300)
@EVERY
def test_every_answer_is_one_that_the_document_describes(serve: Serve, tongue: Tongue) -> None:
    server = serve(signup="open")
    headers = tongue.headers(server.key(tongue.name))
    schema = schemathesis.openapi.from_url(f"{server.url}{tongue.document}/openapi.json")
    for result in schema.get_all_operations():
        assert isinstance(result, Ok)
        for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
            examine(result.ok(), mode, headers)
    assert "Traceback" not in server.output()


def examine(operation: Any, mode: GenerationMode, headers: dict[str, str]) -> None:
    @settings(
        max_examples=15,
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


def no_crash(_context: Any, response: Any, _case: Any) -> None:
    """No 500; of 501 and 502 only those that are described (status_code_conformance)."""
    assert response.status_code != 500


CHECKS = [
    no_crash,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]

"""No key opens what is not its own: another project's things, another dialect's address, another's list."""

from __future__ import annotations

from itertools import product
from typing import Any

import httpx
import pytest

from tests.faces import Caller, Faces
from tests.tongues import TONGUES, Operation, Tongue, make_one_of_each, operations, read_document
from tocsin.store.sqlite import SqliteStore

EVERY = pytest.mark.parametrize("tongue", TONGUES.values(), ids=TONGUES)
STRANGER = {"email": "stranger@example.com", "project": "elsewhere"}
SECRET = "a job of the other project"


@pytest.fixture
def faces(store: SqliteStore) -> Faces:
    return Faces.open(store, plans="self-hosted", signup_open=True)


def assert_refusal(answer: httpx.Response, tongue: Tongue, statuses: set[int], what: object) -> None:
    assert answer.status_code in statuses, (what, answer.status_code, answer.text)
    assert tongue.error <= answer.json().keys(), (what, answer.text)


def with_sense(operation: Operation, parts: dict[str, str]) -> dict[str, Any] | None:
    """A body that its owner would be obeyed with, where an example alone is not enough."""
    if operation.template.endswith("/rotate-uuid"):
        return {"confirm": parts["uuid"]}
    if operation.template.endswith("/snooze"):
        return {"seconds": 60} if operation.template.startswith("/api/tocsin") else {"duration": "1h"}
    return operation.body


@EVERY
async def test_another_projects_key_reaches_nothing(faces: Faces, tongue: Tongue) -> None:
    owner = await faces.caller(tongue.name)
    parts = await make_one_of_each(owner, tongue)
    described = await read_document(owner, tongue)
    stranger = await faces.caller(tongue.name, **STRANGER)
    before = await faces.state()
    tried = 0
    for one in operations(described, tongue, parts):
        # A kind of integration is no thing of anybody's.
        if "{" in one.template and "{type}" not in one.template:
            answer = await stranger.ask(one.method, one.path, with_sense(one, parts))
            assert_refusal(answer, tongue, {tongue.stranger}, one.id)
            tried += 1
    assert tried >= 4
    assert await faces.state() == before


@EVERY
async def test_a_key_of_another_dialect_of_the_same_project_is_a_401(faces: Faces, tongue: Tongue) -> None:
    owner = await faces.caller(tongue.name)
    parts = await make_one_of_each(owner, tongue)
    described = await read_document(owner, tongue)
    keys = [await faces.office.key(name) for name in TONGUES if name != tongue.name]
    before = await faces.state()
    for one in operations(described, tongue, parts):
        for key in keys if one.needs_key else ():
            other = Caller(faces.client, tongue.headers(key))
            answer = await other.ask(one.method, one.path, with_sense(one, parts))
            assert_refusal(answer, tongue, {401}, (one.id, key[:4]))
    assert await faces.state() == before


@EVERY
async def test_no_list_of_another_project_shows_anything(faces: Faces, tongue: Tongue) -> None:
    """Whatever is asked for: pages, filters, cursors and ids that are the owner's."""
    owner = await faces.caller(tongue.name)
    made = await owner.post(f"{tongue.base}{tongue.jobs}", {**tongue.job, "name": SECRET})
    parts = await make_one_of_each(owner, tongue)
    described = await read_document(owner, tongue)
    stranger = await faces.caller(tongue.name, **STRANGER)
    own_parts = await make_one_of_each(stranger, tongue)
    foreign_id = tongue.id_of(made.json())
    filters = {
        "query": "other", "text": "other", "status": "new", "tag": "x", "limit": "100", "per_page": "100",
        "cursor": "999999", "offset": "0", "page": "1", "monitor_id": foreign_id,
        "kind": "interval", "expression": "60",
    }  # fmt: skip
    for one in operations(described, tongue, own_parts):
        if one.method != "GET" or "ping_id" in one.template or "notification_id" in one.template:
            continue
        names = [each["name"] for each in described["paths"][one.template]["get"].get("parameters", ())]
        for query in ({}, *({name: filters[name]} for name in names if name in filters)):
            answer = await stranger.get(one.path, **query)
            assert SECRET not in answer.text, (one.id, query)
            ids = {foreign_id, parts[tongue.part]} - {""}
            leaked = [each for each in ids if len(each) > 4 and each in answer.text]
            assert not leaked or answer.status_code >= 400, (one.id, query, answer.text)


async def test_bulk_calls_touch_only_ones_own_jobs(faces: Faces) -> None:
    tongue = TONGUES["cronbeats"]
    owner, stranger = await faces.caller("cronbeats"), await faces.caller("cronbeats", **STRANGER)
    theirs = int((await make_one_of_each(owner, tongue))["id"])
    own = int((await make_one_of_each(stranger, tongue))["id"])
    before = await owner.get(f"/cronbeats/api/v1/jobs/{theirs}")
    for action, done in (("pause", "paused"), ("resume", "resumed"), ("delete", "deleted")):
        answer = await stranger.post(f"/cronbeats/api/v1/jobs/bulk/{action}", {"job_ids": [theirs, own]})
        data = answer.json()["data"]
        assert (answer.status_code, data[f"successfully_{done}"]) == (200, 1)
        assert [failed["id"] for failed in data["failed"]] == [theirs]
    unknown = await stranger.post("/cronbeats/api/v1/jobs/bulk/pause", {"job_ids": [theirs, 10**9]})
    texts = {failed["error"] for failed in unknown.json()["data"]["failed"]}
    assert len(texts) == 1, "a foreign job must not read otherwise than one that is not there"
    assert (await owner.get(f"/cronbeats/api/v1/jobs/{theirs}")).json() == before.json()


@pytest.mark.parametrize("by", [{"unique": "deploy"}, {"name": "deploy", "unique": "deploy"}])
async def test_an_upsert_never_finds_another_projects_heartbeat(faces: Faces, by: dict[str, str]) -> None:
    body = {"name": "deploy", "intervalSeconds": 300, **by}
    owner, stranger = await faces.caller("cronping"), await faces.caller("cronping", **STRANGER)
    first = await owner.post("/cronping/api/v1/heartbeats", body)
    second = await stranger.post("/cronping/api/v1/heartbeats", {**body, "intervalSeconds": 600})
    assert (first.status_code, second.status_code) == (201, 201)
    shown = await owner.get(f"/cronping/api/v1/heartbeats/{first.json()['id']}")
    assert shown.json()["intervalSeconds"] == 300


async def test_a_channel_of_another_project_cannot_be_linked(faces: Faces) -> None:
    native = await faces.caller("tocsin")
    hook = {"kind": "webhook", "label": "theirs", "config": {"url": "https://example.com/"}}
    uid = (await native.post("/api/tocsin/v1/channels", hook)).json()["id"]
    heart = await faces.caller("cronheart")
    [channel] = (await heart.get("/cronheart/api/v1/channels")).json()["data"]
    ping = await faces.caller("cronping")
    [integration] = (await ping.get("/cronping/api/v1/integrations")).json()["integrations"]
    assert integration["id"].replace("-", "") == uid
    ways: list[tuple[str, dict[str, Any]]] = [
        ("tocsin", {"channel_ids": [uid]}),
        ("cronheart", {"channel_ids": [channel["id"]]}),
        ("cronping", {"integrationIds": [integration["id"]]}),
    ]
    for name, link in ways:
        tongue = TONGUES[name]
        own = await (await faces.caller(name)).post(f"{tongue.base}{tongue.jobs}", {**tongue.job, **link})
        assert own.status_code == 201, own.text
        stranger = await faces.caller(name, **STRANGER)
        before = await faces.state()
        answer = await stranger.post(f"{tongue.base}{tongue.jobs}", {**tongue.job, **link})
        assert_refusal(answer, tongue, {400, 404, 422}, (name, link))
        assert await faces.state() == before


async def test_integrations_are_each_projects_own(faces: Faces) -> None:
    owner, stranger = await faces.caller("cronbeats"), await faces.caller("cronbeats", **STRANGER)
    await make_one_of_each(owner, TONGUES["cronbeats"])
    seen = (await stranger.get("/cronbeats/api/v1/integrations")).json()["data"]
    assert not any(each["is_enabled"] for each in seen.values())
    before = (await owner.get("/cronbeats/api/v1/integrations")).json()
    await stranger.ask("PUT", "/cronbeats/api/v1/integrations/webhook", {"url": "", "is_enabled": False})
    await stranger.ask("PUT", "/cronbeats/api/v1/integrations/alert-rules", {"alert_on_down": False})
    assert (await owner.get("/cronbeats/api/v1/integrations")).json() == before
    rules = (await owner.get("/cronbeats/api/v1/integrations/alert-rules")).json()["data"]
    assert rules == {"alert_on_down": True, "alert_on_recovery": True}


# One host, no prefix: whose answer it is. ---------------------------------------------------------------

ONE = "0123456789abcdef"
ANETHOTH_HEART_PEEK = ("anethoth", "cronheart", "cronpeek")
ANETHOTH_HEART = ("anethoth", "cronheart")
# Paths that several dialects have: (method, path, who may be meant).
SHARED: list[tuple[str, str, tuple[str, ...]]] = [
    ("GET", "/api/v1/monitors", ANETHOTH_HEART_PEEK),
    ("POST", "/api/v1/monitors", ANETHOTH_HEART_PEEK),
    ("DELETE", f"/api/v1/monitors/{ONE}", ANETHOTH_HEART_PEEK),
    ("GET", f"/api/v1/monitors/{ONE}", ANETHOTH_HEART),
    ("POST", f"/api/v1/monitors/{ONE}/pause", ANETHOTH_HEART_PEEK),
    ("POST", f"/api/v1/monitors/{ONE}/resume", ANETHOTH_HEART_PEEK),
    ("GET", "/api/v1/integrations", ("cronping", "cronbeats")),
]
# Paths that one dialect has; its answer, whatever key is sent.
SOLE: list[tuple[str, str, str]] = [
    ("GET", "/api/v1/heartbeats", "cronping"),
    ("GET", f"/api/v1/heartbeats/{ONE}", "cronping"),
    ("POST", "/api/v1/heartbeats", "cronping"),
    ("PATCH", f"/api/v1/heartbeats/{ONE}", "cronping"),
    ("GET", f"/api/v1/heartbeats/{ONE}/pings", "cronping"),
    ("GET", "/api/v1/jobs", "cronbeats"),
    ("GET", "/api/v1/jobs/1", "cronbeats"),
    ("POST", "/api/v1/jobs/bulk/pause", "cronbeats"),
    ("PUT", "/api/v1/jobs/1/update", "cronbeats"),
    ("PUT", "/api/v1/integrations/slack", "cronbeats"),
    ("GET", "/api/v1/integrations/alert-rules", "cronbeats"),
    ("POST", "/api/v1/integrations/slack/test", "cronbeats"),
    ("GET", f"/api/v1/monitors/{ONE}/status", "cronpeek"),
    ("POST", f"/api/v1/monitors/{ONE}/snooze", "cronheart"),
    ("GET", f"/api/v1/monitors/{ONE}/alerts", "cronheart"),
    ("GET", "/api/v1/channels", "cronheart"),
    ("GET", "/api/v1/channels/1", "cronheart"),
    ("GET", "/api/v1/account", "cronheart"),
    ("POST", "/api/v1/checkout", "anethoth"),
]
KEYED = [name for name in TONGUES if name != "tocsin"]


def speaker(answer: httpx.Response) -> str:
    """Whose error it is, by its shape; "all" for the one that clients of all dialects can read."""
    keys = frozenset(answer.json())
    is_problem = answer.headers["content-type"] == "application/problem+json"
    if is_problem:
        return "all" if {"error", "message"} <= keys else "cronheart"
    if keys == {"error", "detail"}:
        return "anethoth"
    if {"success", "meta"} <= keys:
        return "cronbeats"
    assert keys == {"error"}, answer.text
    return "x-api-key"


def says(name: str) -> str:
    """What `speaker` tells of a dialect: two of them share a shape."""
    return "x-api-key" if name in ("cronping", "cronpeek") else name


@pytest.mark.parametrize(("method", "path", "name"), SOLE)
async def test_a_path_of_one_dialect_is_answered_by_it_whatever_key_comes(
    faces: Faces, method: str, path: str, name: str
) -> None:
    before = await faces.state()
    for headers in ({}, *(TONGUES[other].headers(wrong_key(other)) for other in KEYED)):
        answer = await faces.client.request(
            method, path, headers=headers, json={} if method != "GET" else None
        )
        assert (answer.status_code, speaker(answer)) == (401, says(name)), (headers, answer.text)
    assert await faces.state() == before


@pytest.mark.parametrize(("name", "status"), [("anethoth", 405), ("cronpeek", 405), ("cronheart", 404)])
async def test_a_method_that_the_keys_dialect_lacks_is_told_so_by_it(
    faces: Faces, name: str, status: int
) -> None:
    caller = await faces.caller(name)
    answer = await caller.patch(f"/api/v1/monitors/{ONE}", {"name": "renamed"})
    assert (answer.status_code, speaker(answer)) == (status, says(name))


@pytest.mark.parametrize(("method", "path", "names"), SHARED)
async def test_a_shared_path_is_answered_by_the_dialect_of_the_key(
    faces: Faces, method: str, path: str, names: tuple[str, ...]
) -> None:
    for name in names:
        caller = await faces.caller(name)
        answer = await caller.ask(method, path, {} if method == "POST" else None)
        assert answer.status_code != 401, (name, answer.text)
        if answer.is_success:
            assert set(answer.json()) & {"monitors", "data", "integrations", "count"}
        else:
            assert speaker(answer) == says(name), (name, answer.text)
        refused = await faces.client.request(method, path, headers=TONGUES[name].headers(wrong_key(name)))
        assert (refused.status_code, speaker(refused)) == (401, says(name)), (name, refused.text)


@pytest.mark.parametrize(("method", "path", "names"), SHARED)
async def test_of_two_keys_the_one_that_fits_the_path_counts_and_never_both(
    faces: Faces, method: str, path: str, names: tuple[str, ...]
) -> None:
    keys = {name: await faces.office.key(name, email=f"{name}@example.com", project=name) for name in KEYED}
    before = await faces.state()
    for bearer, other in product(("anethoth", "cronheart"), ("cronbeats", "cronpeek", "cronping")):
        both = {**TONGUES[bearer].headers(keys[bearer]), **TONGUES[other].headers(keys[other])}
        answer = await faces.client.request(method, path, headers=both, json={} if method == "POST" else None)
        # CronPing's keys begin as CronPeek's do.
        fitting = {name for name in names if name == bearer or wrong_key(name)[:4] == wrong_key(other)[:4]}
        if answer.is_success:
            assert fitting in ({bearer}, {other}), both
        elif len(fitting) == 1:
            assert speaker(answer) == says(*fitting), (both, answer.text)
        else:
            # Two that fit, or none: whoever reads the answer can, and no account is touched.
            assert (answer.status_code, speaker(answer)) in {(401, "all"), (401, "cronbeats")}, answer.text
    assert await faces.state() == before


@pytest.mark.parametrize(("method", "path", "names"), SHARED)
async def test_a_shared_path_without_a_key_is_a_401_that_all_can_read(
    faces: Faces, method: str, path: str, names: tuple[str, ...]
) -> None:
    answer = await faces.client.request(method, path)
    assert answer.status_code == 401
    if "cronbeats" in names:
        assert speaker(answer) == "cronbeats"
        assert isinstance(answer.json()["error"], str)
    else:
        wide = set(names) == set(ANETHOTH_HEART_PEEK) or set(names) == set(ANETHOTH_HEART)
        assert (wide, speaker(answer)) == (True, "all"), answer.text
    assert "x-ratelimit-limit" not in answer.headers
    nonsense = await faces.client.request(method, path, headers={"x-api-key": "nonsense"})
    if "cronpeek" in names:
        assert (nonsense.status_code, speaker(nonsense)) == (401, "x-api-key")


@pytest.mark.parametrize(
    ("field", "name"),
    [
        ("schedule_minutes", "anethoth"),
        ("schedule_kind", "cronheart"),
        ("schedule_expr", "cronheart"),
        ("schedule", "cronpeek"),
    ],
)
async def test_a_creation_without_a_key_is_told_by_its_body(faces: Faces, field: str, name: str) -> None:
    answer = await faces.nobody.post("/api/v1/monitors", {"name": "x", field: 60})
    assert (answer.status_code, speaker(answer)) == (401, says(name)), answer.text


async def test_a_cronping_key_on_cronbeats_integrations_is_nowhere(faces: Faces) -> None:
    ping = await faces.caller("cronping")
    for method, tail in (("PUT", "/slack"), ("GET", "/alert-rules"), ("POST", "/slack/test")):
        answer = await ping.ask(method, f"/api/v1/integrations{tail}", {} if method == "PUT" else None)
        assert answer.status_code in {401, 404}, (tail, answer.text)


def wrong_key(name: str) -> str:
    """A key that looks like the dialect's, and is nobody's."""
    return {"anethoth": "ch_", "cronbeats": "cb_", "cronheart": "cmk_"}.get(name, "cpk_") + "0" * 32

"""The native API: what it makes, shows, filters, changes; its errors and its replies to pings."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from msgspec import structs
from sqlalchemy import update

from tests.conftest import Serve
from tests.faces import Caller, Faces
from tests.receivers import HttpReceiver
from tests.server import Api, Server
from tocsin.domain.monitor import SECOND, Policy, State, Status
from tocsin.domain.ping import Kind
from tocsin.domain.schedule import parse_schedule
from tocsin.engine.intake import Answer
from tocsin.store import tables
from tocsin.store.sqlite import SqliteStore
from tocsin.web.dialects.tocsin import answers

ROOT = "/api/tocsin/v1"
MONITORS = f"{ROOT}/monitors"
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


@pytest.fixture
async def native(faces: Faces) -> Caller:
    return await faces.caller("tocsin")


async def create(native: Caller, **fields: Any) -> dict[str, Any]:
    return await native.create(MONITORS, {"name": "job", **fields})


async def names(native: Caller, **query: Any) -> list[str]:
    answer = await native.get(MONITORS, **query)
    assert answer.status_code == 200, answer.text
    return [monitor["name"] for monitor in answer.json()["monitors"]]


async def test_a_monitor_needs_only_a_name(native: Caller) -> None:
    answer = await native.post(MONITORS, {"name": "Nightly backup"})
    created = answer.json()
    assert answer.headers["location"] == f"http://tocsin{MONITORS}/{created['id']}"
    assert re.fullmatch(r"[0-9a-f]{32}", created["id"])
    assert re.fullmatch(r"http://tocsin/ping/[0-9A-Za-z]{24}", created["ping_url"])
    assert (created["status"], created["slug"], created["mail"]) == ("new", "nightly-backup", "members")
    assert (created["schedule_kind"], created["schedule_expression"]) == ("interval", "3600")
    assert (await native.get(f"{MONITORS}/{created['id']}")).json() == created


async def test_every_field_is_kept_as_it_was_sent(native: Caller) -> None:
    channel = (await native.post(f"{ROOT}/channels", NEW_CHANNEL)).json()
    fields = {
        "name": "Ümläut 🔔",
        "slug": "a-b.c",
        "description": "two\nlines",
        "tags": ["prod", "db"],
        "schedule_kind": "cron",
        "schedule_expression": "0 3 * * *",
        "timezone": "America/Sao_Paulo",
        "grace_seconds": 0,
        "longest_run_seconds": 60,
        "shortest_run_seconds": 1,
        "failures_before_alert": 2,
        "successes_before_recovery": 3,
        "reminder_seconds": 3600,
        "channel_ids": [channel["id"]],
        "fan_out": False,
        "mail": "ops@example.com",
        "webhook_format": "house",
        "unique_key": "nightly",
    }
    created = await create(native, **fields, webhook_url="https://example.com/hook/s3cret")
    assert {name: created[name] for name in fields} == fields
    assert created["webhook_url"] == "https://example.com/***"
    (listed,) = (await native.get(MONITORS)).json()["monitors"]
    assert listed == {name: value for name, value in created.items() if name in listed}


async def test_a_change_changes_what_was_sent_and_nothing_else(native: Caller) -> None:
    created = await create(native, tags=["a"], mail="none")
    changes = {
        "name": "other",
        "timezone": "Europe/Berlin",
        "schedule_kind": "simple",
        "schedule_expression": "daily at 03:00",
    }
    changed = (await native.patch(f"{MONITORS}/{created['id']}", changes)).json()
    assert changed["updated_at"] >= created["updated_at"]
    assert changed == {**created, **changes, "updated_at": changed["updated_at"]}
    only_zone = (await native.patch(f"{MONITORS}/{created['id']}", {"timezone": "UTC"})).json()
    assert (only_zone["timezone"], only_zone["schedule_expression"]) == ("UTC", "daily at 03:00")


async def test_every_wrong_field_is_named_at_once(faces: Faces, native: Caller) -> None:
    before = await faces.state()
    answer = await native.post(
        MONITORS,
        {
            "name": "",
            "grace_seconds": "60",
            "tags": "a",
            "mail": "nobody",
            "timezone": "Mars/Olympus",
            "fan_out": 1,
        },
    )
    problem = answer.json()
    assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json")
    assert problem["errors"].keys() == {"name", "grace_seconds", "tags", "mail", "timezone", "fan_out"}
    assert (problem["status"], problem["title"], problem["type"]) == (
        422,
        "Unprocessable Entity",
        "about:blank",
    )
    assert await faces.state() == before


async def test_a_misspelt_field_is_a_mistake(native: Caller) -> None:
    answer = await native.post(MONITORS, {"name": "job", "grace": 60})
    assert (answer.status_code, answer.json()["errors"].keys()) == (422, {"grace"})


async def test_many_are_made_at_once_each_for_itself(native: Caller) -> None:
    drafts: list[Any] = [{"name": "a"}, {"name": ""}, 7, {"name": "b", "x": 1}, {"name": "c"}]
    answer = (await native.post(f"{MONITORS}/bulk", {"monitors": drafts})).json()
    made = [result["monitor"] and result["monitor"]["name"] for result in answer["results"]]
    assert made == ["a", None, None, None, "c"]
    assert (answer["created"], answer["refused"]) == (2, 3)
    assert [result["error"] and result["error"]["status"] for result in answer["results"]] == [
        None,
        422,
        422,
        422,
        None,
    ]
    assert await names(native) == ["c", "a"]


@pytest.mark.parametrize("given", [None, [], "a", [{"name": "a"}] * 1001])
async def test_a_bulk_has_one_to_a_thousand(native: Caller, given: object) -> None:
    answer = await native.post(f"{MONITORS}/bulk", {"monitors": given})
    assert (answer.status_code, answer.json()["errors"].keys()) == (422, {"monitors"})


async def test_a_list_is_read_page_by_page_newest_first(native: Caller) -> None:
    await native.post(f"{MONITORS}/bulk", {"monitors": [{"name": f"job {number}"} for number in range(7)]})
    seen: list[str] = []
    query: dict[str, Any] = {"limit": 3}
    while True:
        page = (await native.get(MONITORS, **query)).json()
        assert page["total"] == 7
        seen += [monitor["name"] for monitor in page["monitors"]]
        if page["next_cursor"] is None:
            break
        query["cursor"] = page["next_cursor"]
    assert seen == [f"job {number}" for number in range(6, -1, -1)]


async def test_a_list_is_filtered(faces: Faces, native: Caller) -> None:
    plain = await create(native, name="Plain")
    await create(native, name="tagged 100%", tags=["prod", "db"])
    await create(native, name="other", tags=["prod"])
    await native.post(f"{MONITORS}/{plain['id']}/pause")
    assert await names(native, text="PLAIN") == ["Plain"]
    assert await names(native, text="100%") == ["tagged 100%"]
    assert await names(native, tag="prod") == ["other", "tagged 100%"]
    assert await names(native, tag=["prod", "db"]) == ["tagged 100%"]
    assert await names(native, status="paused") == ["Plain"]
    assert await names(native, status=["paused", "new"]) == ["other", "tagged 100%", "Plain"]
    assert await names(native, status="down") == []


@pytest.mark.parametrize(
    "query",
    [{"limit": "0"}, {"limit": "101"}, {"limit": "ten"}, {"limit": ""}, {"limit": "1e3"}, {"limit": "٣"},
     {"cursor": "x"}, {"cursor": "9" * 19}, {"cursor": "-1"}, {"status": "sleeping"}, {"text": "x" * 201}],
)  # fmt: skip
async def test_a_query_that_makes_no_sense_is_a_422(native: Caller, query: dict[str, str]) -> None:
    answer = await native.get(MONITORS, **query)
    assert (answer.status_code, answer.json()["errors"].keys()) == (422, query.keys())


async def test_late_and_running_are_read_from_the_times(
    faces: Faces, native: Caller, store: SqliteStore
) -> None:
    created = await create(native)
    now = faces.office.clock.now()
    values = {"status": "up", "due_at": now - SECOND, "runs": "[[null,1,null,null,null]]", "last_kind": 0}
    await store.write(lambda connection: connection.execute(update(tables.monitor_state).values(values)))
    shown = (await native.get(f"{MONITORS}/{created['id']}")).json()
    assert (shown["status"], shown["is_running"], shown["last_ping_kind"]) == ("late", True, "start")
    assert await names(native, status="late") == await names(native, status="running") == ["job"]


async def test_pause_resume_snooze_unsnooze(faces: Faces, native: Caller) -> None:
    path = f"{MONITORS}/{(await create(native))['id']}"
    assert (await native.post(f"{path}/pause")).json()["status"] == "paused"
    assert (await native.post(f"{path}/resume")).json()["status"] == "new"
    snoozed = (await native.post(f"{path}/snooze", {"seconds": 3600})).json()
    assert snoozed["snoozed_until"] is not None
    until = (await native.post(f"{path}/snooze", {"until_at": snoozed["snoozed_until"]})).json()
    assert until["snoozed_until"] == snoozed["snoozed_until"]
    assert (await native.post(f"{path}/unsnooze")).json()["snoozed_until"] is None


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"seconds": 0},
        {"seconds": True},
        {"seconds": "60"},
        {"seconds": 2**40},
        {"seconds": 60, "until_at": "x"},
        {"until_at": "tomorrow"},
        {"until_at": 5},
        {"until_at": "2001-01-01T00:00:00Z"},
        {"for": 1},
    ],
)
async def test_a_snooze_has_one_end_that_is_to_come(faces: Faces, native: Caller, body: object) -> None:
    path = f"{MONITORS}/{(await create(native))['id']}/snooze"
    before = await faces.state()
    assert (await native.post(path, body)).status_code == 422
    assert await faces.state() == before


async def test_a_new_ping_address_replaces_the_old_one(native: Caller) -> None:
    created = await create(native)
    rotated = (await native.post(f"{MONITORS}/{created['id']}/rotate")).json()
    assert rotated["ping_url"] != created["ping_url"]
    assert rotated["id"] == created["id"]


async def test_a_deleted_monitor_is_gone(native: Caller) -> None:
    path = f"{MONITORS}/{(await create(native))['id']}"
    answer = await native.delete(path)
    assert (answer.status_code, answer.content) == (204, b"")
    for method, tail in (("GET", ""), ("PATCH", ""), ("DELETE", ""), ("POST", "/pause"), ("GET", "/pings")):
        assert (await native.ask(method, path + tail, {} if method == "PATCH" else None)).status_code == 404


def test_pings_and_their_bodies(server: Server, api: Api) -> None:
    job = api.create()
    path = f"/monitors/{job['id']}/pings"
    server.ping(job, "start", rid="run")
    body = b"<script>\xff" + b"x" * 10_000
    server.client.post(job["ping_url"] + "/3?rid=run", content=body, headers={"User-Agent": "curl"})
    fail, start = api.items(path)
    assert TIME.fullmatch(fail.pop("arrived_at"))
    assert fail.pop("duration_ms") >= 0
    assert fail == {
        "id": fail["id"],
        "kind": "fail",
        "run_id": "run",
        "percent": None,
        "exit_code": 3,
        "address": "127.0.0.1",
        "user_agent": "curl",
        "is_duplicate": False,
        "has_body": True,
        "body_was_cut": True,
    }
    assert [ping["id"] for ping in api.items(path, kind="start")] == [start["id"]]
    assert api.get(path)["total"] == 2
    assert [ping["id"] for ping in api.items(path, limit=1)] == [fail["id"], start["id"]]
    assert api.call("GET", path, params={"kind": "bang"}).status_code == 422
    kept = api.call("GET", f"{path}/{fail['id']}/body")
    assert (kept.content, kept.headers["content-type"]) == (body[:10_000], "application/octet-stream")
    assert api.call("GET", f"{path}/{start['id']}/body").content == b""
    for unknown in ("0", "x", "9" * 30, "-1"):
        assert api.call("GET", f"{path}/{unknown}/body").status_code == 404


NEW_CHANNEL = {
    "kind": "webhook",
    "label": "on call",
    "config": {"url": "https://example.com/hook", "secret": "0123456789abcdef"},
}


async def test_channels_never_show_their_secrets(native: Caller) -> None:
    answer = await native.post(f"{ROOT}/channels", NEW_CHANNEL)
    channel = answer.json()
    assert answer.status_code == 201
    assert answer.headers["location"] == f"http://tocsin{ROOT}/channels/{channel['id']}"
    path = f"{ROOT}/channels/{channel['id']}"
    changed = (await native.patch(path, {"label": "night shift", "config": {"url": "***"}})).json()
    assert changed["label"] == "night shift"
    listed = (await native.get(f"{ROOT}/channels")).json()
    for shown in (channel, changed, listed, (await native.get(path)).json()):
        assert "0123456789abcdef" not in json.dumps(shown)
    assert (await native.delete(path)).status_code == 204
    assert (await native.get(path)).status_code == 404


async def test_a_test_says_what_the_receiver_answered_and_verifies(store: SqliteStore) -> None:
    faces = Faces.open(store, signup_open=True)
    native = await faces.caller("tocsin")
    with HttpReceiver(503, 200) as receiver:
        config = {"url": receiver.url}
        channel = (await native.post(f"{ROOT}/channels", {**NEW_CHANNEL, "config": config})).json()
        path = f"{ROOT}/channels/{channel['id']}"
        assert channel["verified_at"] is None
        first = (await native.post(f"{path}/test")).json()
        assert (first["outcome"], first["code"]) == ("retry", 503)
        assert (await native.post(f"{path}/test")).json()["outcome"] == "delivered"
        await faces.office.outbound.close()
    assert (await native.get(path)).json()["verified_at"] is not None


async def test_a_key_is_shown_once(faces: Faces, native: Caller) -> None:
    made = (await native.post(f"{ROOT}/keys", {"label": "ci", "read_only": True})).json()
    assert re.fullmatch(r"tsn_[0-9A-Za-z]{40}", made["key"])
    listed = (await native.get(f"{ROOT}/keys")).json()["keys"]
    assert made["key"] not in json.dumps(listed)
    assert listed[0] == {name: value for name, value in made.items() if name != "key"}
    reader = Caller(faces.client, {"Authorization": f"bearer {made['key']}"})
    assert (await reader.get(MONITORS)).status_code == 200
    assert (await native.delete(f"{ROOT}/keys/{made['id']}")).status_code == 204
    assert (await reader.get(MONITORS)).status_code == 401


async def test_a_key_ends_at_its_time(faces: Faces, native: Caller) -> None:
    now = faces.office.clock.now()
    soon = "2027-01-15T08:00:30Z"
    assert now < 1_800_000_030 * SECOND
    made = (await native.post(f"{ROOT}/keys", {"expires_at": soon})).json()
    caller = Caller(faces.client, {"Authorization": f"Bearer {made['key']}"})
    assert (await caller.get(f"{ROOT}/project")).status_code == 200
    faces.office.hands.pass_(60)
    assert (await caller.get(f"{ROOT}/project")).status_code == 401


async def test_a_read_only_key_changes_nothing_and_sees_no_ping_address(faces: Faces, native: Caller) -> None:
    created = await create(native)
    reader = await faces.caller("tocsin", read_only=True)
    assert (await reader.get(f"{MONITORS}/{created['id']}")).json()["ping_url"] is None
    assert (await reader.get(MONITORS)).json()["monitors"][0]["ping_url"] is None
    before = await faces.state()
    path = f"{MONITORS}/{created['id']}"
    for method, where, body in (
        ("POST", MONITORS, {"name": "x"}),
        ("POST", f"{MONITORS}/bulk", {"monitors": [{"name": "x"}]}),
        ("PATCH", path, {"name": "x"}),
        ("DELETE", path, None),
        ("POST", f"{path}/pause", None),
        ("POST", f"{path}/snooze", {"seconds": 60}),
        ("POST", f"{path}/rotate", None),
        ("POST", f"{ROOT}/channels", NEW_CHANNEL),
        ("POST", f"{ROOT}/keys", {}),
        ("PATCH", f"{ROOT}/project", {"name": "x"}),
    ):
        assert (await reader.ask(method, where, body)).status_code == 403, (method, where)
    assert await faces.state() == before


async def test_the_project_and_its_rules(native: Caller) -> None:
    await create(native)
    project = (await native.get(f"{ROOT}/project")).json()
    assert (project["monitor_count"], project["alert_on_down"]) == (1, True)
    changed = (await native.patch(f"{ROOT}/project", {"name": "night", "alert_on_recovery": False})).json()
    assert changed == {**project, "name": "night", "alert_on_recovery": False}
    assert (await native.patch(f"{ROOT}/project", {"alert_on_down": 0})).status_code == 422


async def test_a_schedule_is_previewed_in_local_time_and_utc(faces: Faces, native: Caller) -> None:
    query = {"kind": "cron", "expression": "30 2 * * *", "timezone": "Europe/Berlin", "count": "3"}
    preview = (await native.get(f"{ROOT}/schedule/preview", **query)).json()
    assert preview["description"]
    assert preview["occurrences"][0] == {
        "at": "2027-01-16T01:30:00.000Z",
        "local": "2027-01-16T02:30:00+01:00",
        "utc": "2027-01-16T01:30:00Z",
    }
    assert len(preview["occurrences"]) == 3
    ten = (await native.get(f"{ROOT}/schedule/preview", expression="@daily")).json()
    assert len(ten["occurrences"]) == 10
    wrong = await native.get(
        f"{ROOT}/schedule/preview", expression="61 * * * *", timezone="Mars", count="0", kind="moon"
    )
    assert wrong.json()["errors"].keys() == {"kind", "timezone", "count", "expression"}


async def test_every_answer_to_a_known_key_carries_the_limits(native: Caller) -> None:
    for answer in (await native.get(MONITORS), await native.get(f"{MONITORS}/unknown")):
        assert answer.headers["x-ratelimit-limit"] == "60000"
        assert int(answer.headers["x-ratelimit-remaining"]) < 60_000
        assert int(answer.headers["x-ratelimit-reset"]) > 0


@pytest.mark.parametrize(
    "value", [None, "", "Bearer", "Bearer ", "Bearer cpk_x", "Basic dXNlcjpwYXNz", "tsn_x", "Bearer tsn_x"]
)
async def test_without_a_good_key_nobody_gets_in(faces: Faces, value: str | None) -> None:
    nobody = Caller(faces.client, {} if value is None else {"Authorization": value})
    answer = await nobody.get(MONITORS)
    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
    assert answer.headers["content-type"] == "application/problem+json"


async def test_a_method_that_is_not_there_names_those_that_are(native: Caller) -> None:
    answer = await native.ask("PUT", MONITORS)
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, POST")


def ping_answer(**changes: Any) -> Answer:
    state = State(status=Status.UP, due_at=1_774_663_212_000_000)
    policy = Policy(parse_schedule("interval", "60", "UTC"), 60)
    plain = Answer("tocsin", 'a "job"', policy, state, Kind.SUCCESS, 1, None)
    return structs.replace(plain, **changes)


def test_a_ping_is_told_what_the_job_may_want_to_know() -> None:
    reply = answers.ping_reply(ping_answer(duration_ms=1500))
    assert json.loads(reply.body) == {
        "ok": True,
        "status": "up",
        "monitor": 'a "job"',
        "next_expected_at": "2026-03-28T02:00:12.000Z",
        "duration_ms": 1500,
    }
    paused = ping_answer(state=State(status=Status.PAUSED))
    assert json.loads(answers.ping_reply(paused).body)["next_expected_at"] is None


def test_a_ping_that_was_not_stored_is_a_problem() -> None:
    for status in (400, 404, 405, 413, 429, 503):
        reply = answers.ping_refusal(status)
        assert (reply.status, json.loads(reply.body)["status"]) == (status, status)
        assert reply.content_type == b"application/problem+json"


def test_what_becomes_of_a_failing_job_can_be_read(serve: Serve) -> None:
    server = serve()
    api = server.api()
    with HttpReceiver(503, 200) as receiver:
        job = api.create(webhook_url=receiver.url)
        server.ping(job, "fail")
        receiver.wait_for(2, 20)
        server.wait_until(
            lambda: next(api.items("/notifications"))["status"] == "delivered", "it is delivered"
        )
        server.ping(job)
        receiver.wait_for(3)
    assert [flip["new"] for flip in api.flips(job)] == ["down", "up"]
    (incident,) = api.items("/incidents")
    assert (incident["reason"], incident["monitor_id"]) == ("failed", job["id"])
    assert incident["started_at"] < incident["ended_at"]
    down = list(api.items("/notifications", monitor_id=job["id"]))[-1]
    assert (down["event"], down["attempts"]) == ("monitor.down", 2)
    attempts = api.get(f"/notifications/{down['id']}")["attempt_list"]
    assert [(each["outcome"], each["code"]) for each in attempts] == [("retry", 503), ("delivered", 200)]
    pinged = server.ping(job).json()
    assert (pinged["ok"], pinged["monitor"], pinged["status"]) == (True, "job", "up")

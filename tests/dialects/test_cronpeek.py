"""CronPeek's published page, sample by sample (seeds/cronpeek.txt), and what was settled beside it."""

from __future__ import annotations

import asyncio
import json
import re
from typing import Any

import pytest
from sqlalchemy import select, update

from tests.conftest import Serve
from tests.faces import Caller, Faces
from tests.receivers import HttpReceiver
from tocsin.domain.monitor import Policy, State, Status
from tocsin.domain.ping import Kind
from tocsin.domain.schedule import parse_schedule
from tocsin.engine.intake import Answer
from tocsin.store import tables
from tocsin.store.sqlite import SqliteStore
from tocsin.web.dialects import cronpeek

MONITORS = "/api/v1/monitors"
SAMPLE = {
    "name": "Nightly DB Backup",
    "schedule": 86400,
    "grace": 3600,
    "alertWebhook": "https://hooks.slack.com/services/T00/B00/xxx",
}
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


@pytest.fixture
def faces(store: SqliteStore) -> Faces:
    return Faces.open(store, signup_open=True)


@pytest.fixture
async def peek(faces: Faces) -> Caller:
    return await faces.caller("cronpeek")


async def create(peek: Caller, **fields: Any) -> dict[str, Any]:
    return await peek.create(MONITORS, {"name": "job", "schedule": 3600, **fields})


async def test_create_account(faces: Faces) -> None:
    answer = await faces.nobody.post("/api/v1/accounts", {"email": "dev@company.com"})
    assert answer.status_code == 201
    account = answer.json()
    assert re.fullmatch(r"cpk_[0-9a-f]{32}", account["apiKey"])
    assert (account["plan"], account["monitors"]) == ("free", 5)
    listed = await faces.client.get(MONITORS, headers={"X-API-KEY": account["apiKey"]})
    assert listed.json() == {"monitors": [], "count": 0}


async def test_an_account_that_exists_gets_its_key_back_only_with_its_key(faces: Faces) -> None:
    account = (await faces.nobody.post("/api/v1/accounts", {"email": "dev@company.com"})).json()
    refused = await faces.nobody.post("/api/v1/accounts", {"email": "Dev@Company.com"})
    assert refused.status_code == 403
    assert "mailed" in refused.json()["error"]
    owner = Caller(faces.client, {"x-api-key": account["apiKey"]})
    again = await owner.post("/api/v1/accounts", {"email": " Dev@company.com"})
    assert (again.status_code, again.json()) == (201, account)
    other = await owner.post("/api/v1/accounts", {"email": "other@company.com"})
    assert other.json()["apiKey"] != account["apiKey"]


async def test_the_recovery_link_gives_a_new_key(faces: Faces) -> None:
    for _ in range(2):
        await faces.nobody.post("/api/v1/accounts", {"email": "dev@company.com"})
    await asyncio.sleep(0)  # mails are sent behind the request's back
    (recovery,) = [letter for letter in faces.office.letters if "new API key" in letter.text]
    page = await faces.client.post(f"/link/{recovery.link}")
    key = re.search(r"cpk_[0-9a-f]{32}", page.text)
    assert key is not None
    assert (await faces.client.get(MONITORS, headers={"x-api-key": key[0]})).status_code == 200


async def test_sign_up_is_closed_unless_it_is_open_or_the_first_person_is_at_the_machine(
    store: SqliteStore,
) -> None:
    faces = Faces.open(store)
    body = {"email": "dev@company.com"}
    assert (await faces.nobody.post("/api/v1/accounts", body)).status_code == 403
    local = faces.at("127.0.0.1")
    relayed = await local.post("/api/v1/accounts", json=body, headers={"Origin": "https://evil.example.com"})
    assert relayed.status_code == 403
    assert (await local.post("/api/v1/accounts", json=body)).status_code == 201
    assert (await local.post("/api/v1/accounts", json={"email": "b@company.com"})).status_code == 403


async def test_sign_ups_of_one_address_are_limited(faces: Faces) -> None:
    bodies = [{"email": f"dev{number}@company.com"} for number in range(11)]
    answers = [await faces.nobody.post("/api/v1/accounts", body) for body in bodies]
    assert [answer.status_code for answer in answers] == [201] * 10 + [429]
    assert int(answers[-1].headers["retry-after"]) >= 1
    assert answers[-1].json().keys() == {"error"}


async def test_create_monitor(faces: Faces, peek: Caller) -> None:
    answer = await peek.post(MONITORS, SAMPLE)
    assert answer.status_code == 201
    created = answer.json()
    assert re.fullmatch(r"[0-9a-f]{16}", created.pop("monitorId"))
    assert re.fullmatch(r"http://tocsin/api/v1/ping/[0-9a-f]{32}", created.pop("pingUrl"))
    assert created == {"name": "Nightly DB Backup", "schedule": 86400, "grace": 3600, "status": "new"}


@pytest.mark.parametrize(("schedule", "grace"), [(60, 60), (600, 60), (601, 60), (3600, 360), (86400, 8640)])
async def test_grace_is_a_tenth_but_at_least_a_minute(peek: Caller, schedule: int, grace: int) -> None:
    assert (await create(peek, schedule=schedule))["grace"] == grace
    assert (await create(peek, schedule=schedule, grace=None))["grace"] == grace
    assert (await create(peek, schedule=schedule, grace=0))["grace"] == 0


@pytest.mark.parametrize("schedule", [59, 0, -60, "86400", 60.0, 60.5, True, None, [], 10**12])
async def test_a_schedule_is_a_whole_number_of_seconds_from_60(
    faces: Faces, peek: Caller, schedule: object
) -> None:
    before = await faces.state()
    answer = await peek.post(MONITORS, {"name": "job", "schedule": schedule})
    assert (answer.status_code, answer.json().keys()) == (400, {"error"})
    assert "schedule" in answer.json()["error"]
    assert await faces.state() == before


async def test_alerts_go_to_the_accounts_address_unless_another_is_named(faces: Faces, peek: Caller) -> None:
    await create(peek)
    await create(peek, alertEmail="ops@example.com", alertWebhook="https://example.com/hook")
    actor = await faces.office.manage.authenticate(peek.headers["x-api-key"], "cronpeek")
    rows = await faces.office.rows(select(tables.monitor.c.id).order_by(tables.monitor.c.id))
    monitors = [await faces.office.manage.monitor(actor, row.id) for row in rows]
    own, other = await faces.office.manage.targets(actor, monitors)
    assert (own.mail, own.webhook_url) == ("members", None)
    assert (other.mail, other.webhook_url) == ("ops@example.com", "https://example.com/hook")
    assert other.webhook_format == "house"


async def test_list_monitors_newest_first_without_pages(peek: Caller, store: SqliteStore) -> None:
    created = [await create(peek, name=f"job {number}") for number in range(3)]
    answer = (await peek.get(MONITORS)).json()
    assert answer["count"] == 3
    assert [each["name"] for each in answer["monitors"]] == ["job 2", "job 1", "job 0"]
    assert answer["monitors"][2] == {
        "monitorId": created[0]["monitorId"],
        "name": "job 0",
        "status": "new",
        "schedule": 3600,
        "grace": 360,
        "lastPing": None,
        "pingCount": 0,
    }
    assert "pingUrl" not in json.dumps(answer)


async def test_monitor_status(peek: Caller, store: SqliteStore) -> None:
    created = await create(peek)
    heard = {"status": "up", "last_ping_at": 1_774_663_212_000_000, "ping_count": 47, "due_at": 1}
    await store.write(lambda connection: connection.execute(update(tables.monitor_state).values(heard)))
    assert (await peek.get(f"{MONITORS}/{created['monitorId']}/status")).json() == {
        "monitorId": created["monitorId"],
        "name": "job",
        "status": "up",
        "schedule": 3600,
        "grace": 360,
        "lastPing": "2026-03-28T02:00:12.000Z",
        "lastAlert": None,
        "pingCount": 47,
    }


async def test_delete_frees_a_slot(peek: Caller) -> None:
    created = [await create(peek) for _ in range(5)]
    full = await peek.post(MONITORS, {"name": "one more", "schedule": 60})
    assert full.status_code == 403
    assert full.json() == {"error": "Monitor limit reached (5). Upgrade your plan for more monitors."}
    gone = await peek.delete(f"{MONITORS}/{created[0]['monitorId']}")
    assert (gone.status_code, gone.json()) == (200, {"deleted": True})
    await create(peek)
    again = await peek.delete(f"{MONITORS}/{created[0]['monitorId']}")
    assert (again.status_code, again.json().keys()) == (404, {"error"})


async def test_health(faces: Faces) -> None:
    answer = await faces.nobody.get("/api/health")
    health = answer.json()
    assert TIME.fullmatch(health.pop("timestamp"))
    assert (answer.status_code, health) == (200, {"status": "ok", "service": "cronpeek", "version": "1.0.0"})


async def test_pause_and_resume_are_ours(peek: Caller) -> None:
    path = f"{MONITORS}/{(await create(peek))['monitorId']}"
    assert (await peek.post(f"{path}/pause")).json()["status"] == "paused"
    assert (await peek.post(f"{path}/pause")).json()["status"] == "paused"
    assert (await peek.get(f"{path}/status")).json()["status"] == "paused"
    assert (await peek.post(f"{path}/resume")).json()["status"] == "new"


@pytest.mark.parametrize("key", [None, "", "cpk_unknown", "tsn_unknown", "x" * 5_000])
async def test_without_a_good_key_nobody_gets_in(faces: Faces, key: str | None) -> None:
    nobody = Caller(faces.client, {} if key is None else {"x-api-key": key})
    for method, path in (
        ("GET", MONITORS),
        ("POST", MONITORS),
        ("GET", f"{MONITORS}/1/status"),
        ("DELETE", f"{MONITORS}/1"),
    ):
        # Without any key the path alone does not tell whose it is.
        answer = await nobody.ask(method, f"/cronpeek{path}" if key is None else path)
        assert (answer.status_code, answer.json().keys()) == (401, {"error"})


async def test_a_key_of_another_dialect_is_a_401(faces: Faces) -> None:
    key = await faces.office.key("tocsin")
    answer = await faces.client.get("/cronpeek/api/v1/monitors", headers={"x-api-key": key})
    assert (answer.status_code, answer.json().keys()) == (401, {"error"})


async def test_anothers_monitor_is_a_403_and_an_unknown_one_a_404(faces: Faces, peek: Caller) -> None:
    theirs = await create(await faces.caller("cronpeek", email="else@example.com", project="theirs"))
    before = await faces.state()
    for method, tail in (("GET", "/status"), ("DELETE", ""), ("POST", "/pause"), ("POST", "/resume")):
        foreign = await peek.ask(method, f"{MONITORS}/{theirs['monitorId']}{tail}")
        unknown = await peek.ask(method, f"{MONITORS}/{'0' * 16}{tail}")
        assert (foreign.status_code, unknown.status_code) == (403, 404)
        assert foreign.json().keys() == unknown.json().keys() == {"error"}
    assert (await peek.get(MONITORS)).json()["count"] == 0
    assert await faces.state() == before


async def test_a_read_only_key_reads_and_changes_nothing(faces: Faces) -> None:
    owner, reader = await faces.caller("cronpeek"), await faces.caller("cronpeek", read_only=True)
    created = await create(owner)
    assert (await reader.get(MONITORS)).json()["count"] == 1
    before = await faces.state()
    for method, tail in (
        ("POST", ""),
        ("DELETE", f"/{created['monitorId']}"),
        ("POST", f"/{created['monitorId']}/pause"),
    ):
        answer = await reader.ask(
            method, MONITORS + tail, {"name": "x", "schedule": 60} if not tail else None
        )
        assert (answer.status_code, answer.json().keys()) == (403, {"error"})
    assert await faces.state() == before


async def test_a_monitor_made_elsewhere_shows_the_longest_distance_of_its_schedule(
    faces: Faces, peek: Caller
) -> None:
    native = await faces.caller("tocsin")
    weekdays = {"name": "weekdays", "schedule_kind": "cron", "schedule_expression": "0 9 * * 1-5"}
    assert (await native.post("/api/tocsin/v1/monitors", weekdays)).status_code == 201
    (shown,) = (await peek.get(MONITORS)).json()["monitors"]
    assert shown["schedule"] == 3 * 86400


def answer(status: Status, name: str = "Nightly DB Backup") -> Answer:
    policy = Policy(parse_schedule("interval", "60", "UTC"), 60)
    return Answer("cronpeek", name, policy, State(status=status), Kind.SUCCESS, 1, None)


@pytest.mark.parametrize("status", [Status.UP, Status.PAUSED])
def test_a_ping_is_told_the_monitors_name_and_status(status: Status) -> None:
    reply = cronpeek.ping_reply(answer(status, 'quo"te'))
    assert (reply.status, reply.content_type) == (200, b"application/json")
    assert json.loads(reply.body) == {"ok": True, "monitor": 'quo"te', "status": str(status)}


def test_an_unknown_ping_token_is_a_404_with_an_error() -> None:
    reply = cronpeek.ping_refusal(404)
    assert (reply.status, json.loads(reply.body)) == (404, {"error": "Ping token not found"})


def test_the_quick_start_works_as_it_is_printed(serve: Serve) -> None:
    server = serve()
    client = server.client
    key = client.post("/api/v1/accounts", json={"email": "you@example.com"}).json()["apiKey"]
    headers = {"x-api-key": key}
    with HttpReceiver() as receiver:
        body = {"name": "Nightly DB Backup", "schedule": 86400, "alertWebhook": receiver.url}
        created = client.post(MONITORS, json=body, headers=headers).json()
        for method in ("GET", "POST", "HEAD"):
            pinged = client.request(method, created["pingUrl"])
            assert pinged.status_code == 200
            expected = {"ok": True, "monitor": "Nightly DB Backup", "status": "up"}
            assert pinged.content == b"" if method == "HEAD" else pinged.json() == expected
        status = client.get(f"{MONITORS}/{created['monitorId']}/status", headers=headers).json()
        assert (status["status"], status["pingCount"]) == ("up", 3)
        assert TIME.fullmatch(status["lastPing"])
        assert client.get(MONITORS, headers=headers).json()["count"] == 1
        client.get(created["pingUrl"] + "/fail")
        (alert,) = receiver.wait_for(1)
        assert alert.json()["event"] == "monitor.down"
        down = client.get(f"{MONITORS}/{created['monitorId']}/status", headers=headers).json()
        assert down["status"] == "down"
        assert TIME.fullmatch(down["lastAlert"])
        client.post(f"{MONITORS}/{created['monitorId']}/pause", headers=headers)
        assert client.get(created["pingUrl"]).json()["status"] == "paused"
        assert client.delete(f"{MONITORS}/{created['monitorId']}", headers=headers).json() == {
            "deleted": True
        }
    assert client.get(created["pingUrl"]).status_code == 404
    assert client.get("/api/health").json()["service"] == "cronpeek"

"""The page of CronPing at cronping.anethoth.com, sample by sample, and what was settled beside it."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import select, update

from tests.conftest import Serve
from tests.faces import Caller, Faces
from tests.receivers import HttpReceiver
from tests.server import Server, every
from tests.stripe_api import CHECKOUT_URL, SECRET_KEY, WEBHOOK_SECRET, StripeApi, event
from tocsin.domain.alert import Event, Facts, Subject
from tocsin.domain.monitor import Policy, State, Status
from tocsin.domain.ping import Kind
from tocsin.domain.schedule import parse_schedule
from tocsin.engine.intake import Answer
from tocsin.store import tables
from tocsin.store.sqlite import SqliteStore
from tocsin.web.dialects.anethoth import alert, shapes
from tocsin.web.times import parse_iso

PAGE = Path(__file__).parents[2] / "docs" / "dialects" / "anethoth.md"
SIGNUP, CHECKOUT, MONITORS = "/api/v1/signup", "/api/v1/checkout", "/api/v1/monitors"
SLACK = "https://hooks.slack.com/services/T00/B00/secret"
SAMPLE = {"name": "nightly-backup", "schedule_minutes": 1440, "grace_minutes": 30, "alert_webhook": SLACK}
ITEM = {
    "id", "name", "status", "schedule_minutes", "grace_minutes", "alert_email", "alert_webhook", "token",
    "ping_url", "last_ping", "created_at",
}  # fmt: skip
TIME = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d")
ERROR = {"error", "detail"}


@pytest.fixture
def faces(store: SqliteStore) -> Faces:
    return Faces.open(store, signup_open=True)


@pytest.fixture
async def ane(faces: Faces) -> Caller:
    return await faces.caller("anethoth")


async def create(ane: Caller, **fields: Any) -> dict[str, Any]:
    return await ane.create(MONITORS, {"name": "job", **fields})


def is_refused(answer: httpx.Response, status: int) -> bool:
    """Whether an answer is an error of this status, in the dialect's shape."""
    body = answer.json()
    return answer.status_code == status and body.keys() == ERROR and body["error"] == body["detail"] != ""


async def test_sign_up(faces: Faces) -> None:
    answer = await faces.nobody.post(SIGNUP, {"email": "dev@company.com"})
    assert answer.status_code == 201
    account = answer.json()
    assert re.fullmatch("ch_[0-9A-Za-z]{40}", account.pop("api_key"))
    assert account == {"plan": "free", "monitor_limit": 3}


async def test_a_known_address_is_a_409_and_gets_a_link_by_mail(faces: Faces) -> None:
    first = (await faces.nobody.post(SIGNUP, {"email": "dev@company.com"})).json()
    assert is_refused(await faces.nobody.post(SIGNUP, {"email": " Dev@Company.com"}), 409)
    await asyncio.sleep(0)  # mails are sent behind the request's back
    [recovery] = [letter for letter in faces.office.letters if "new API key" in letter.text]
    page = await faces.client.post(f"/link/{recovery.link}")
    [key] = re.findall("ch_[0-9A-Za-z]{40}", page.text)
    assert key != first["api_key"]
    listed = await faces.client.get(MONITORS, headers={"Authorization": f"Bearer {key}"})
    assert listed.json() == {"monitors": []}


async def test_accounts_of_cronpeek_are_others(faces: Faces) -> None:
    body = {"email": "dev@company.com"}
    assert (await faces.nobody.post("/api/v1/accounts", body)).status_code == 201
    assert (await faces.nobody.post(SIGNUP, body)).status_code == 201


async def test_sign_up_is_closed_unless_the_first_person_is_at_the_machine(store: SqliteStore) -> None:
    faces = Faces.open(store)
    body = {"email": "dev@company.com"}
    assert is_refused(await faces.nobody.post(SIGNUP, body), 403)
    local = faces.at("127.0.0.1")
    assert (await local.post(SIGNUP, json=body)).status_code == 201
    assert is_refused(await local.post(SIGNUP, json={"email": "b@company.com"}), 403)


async def test_sign_ups_of_one_address_are_limited_over_all_dialects(faces: Faces) -> None:
    places = [(SIGNUP, "/api/v1/accounts")[number % 2] for number in range(11)]
    answers = [
        await faces.nobody.post(path, {"email": f"dev{number}@company.com"})
        for number, path in enumerate(places)
    ]
    assert [answer.status_code for answer in answers] == [201] * 10 + [429]
    assert is_refused(answers[-1], 429)
    assert int(answers[-1].headers["retry-after"]) >= 1


@pytest.mark.parametrize("body", [{}, {"email": None}, {"email": 7}, {"email": "nobody"}, [], b"{", b""])
async def test_a_sign_up_without_an_address_is_a_400(faces: Faces, body: object) -> None:
    before = await faces.state()
    assert is_refused(await faces.nobody.ask("POST", SIGNUP, body), 400)
    assert await faces.state() == before


async def test_create_a_monitor_as_the_page_does(ane: Caller) -> None:
    answer = await ane.post(MONITORS, SAMPLE)
    assert answer.status_code == 201
    created = answer.json()
    assert created.keys() == ITEM
    assert re.fullmatch("[0-9a-f]{32}", created.pop("id"))
    token = created.pop("token")
    assert re.fullmatch("[0-9A-Za-z_-]{32}", token)
    assert created.pop("ping_url") == f"http://tocsin/ping/{token}"
    assert TIME.fullmatch(created.pop("created_at"))
    owner = {"alert_email": "owner@example.com", "last_ping": None, "status": "new"}
    assert created == SAMPLE | owner


async def test_an_hour_and_ten_minutes_unless_it_says_otherwise(ane: Caller) -> None:
    for given in ({}, {"schedule_minutes": None, "grace_minutes": None, "alert_email": None}):
        created = await create(ane, **given)
        assert (created["schedule_minutes"], created["grace_minutes"]) == (60, 10)
        assert created["alert_webhook"] is None
    strict = await create(ane, schedule_minutes=1, grace_minutes=0)
    assert (strict["schedule_minutes"], strict["grace_minutes"]) == (1, 0)


async def test_alerts_go_where_the_monitor_says(faces: Faces, ane: Caller) -> None:
    await create(ane)
    own = await create(ane, alert_email="ops@Example.com", alert_webhook="https://example.com/hook")
    assert own["alert_email"] == "ops@example.com"
    actor = await faces.office.manage.authenticate(ane.headers["Authorization"][7:], "anethoth")
    rows = await faces.office.rows(select(tables.monitor.c.id).order_by(tables.monitor.c.id))
    monitors = [await faces.office.manage.monitor(actor, row.id) for row in rows]
    plain, other = await faces.office.manage.targets(actor, monitors)
    assert (plain.mail, plain.webhook_url) == ("members", None)
    assert (other.mail, other.webhook_url) == ("ops@example.com", "https://example.com/hook")
    assert other.webhook_format == "anethoth"
    assert not any(monitor.fan_out for monitor in monitors)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *(("name", value) for value in (None, "", " ", 7, "x" * 201, "a\nb", "a\u0000b", ["x"])),
        *(("schedule_minutes", value) for value in (0, -1, "60", 60.0, 1.5, True, ["60"], 527_041, 10**30)),
        *(("grace_minutes", value) for value in (-1, "10", 10.0, False, {"a": 1}, 527_041, 10**30)),
        *(("alert_email", value) for value in ("", "nobody", "members", "none", 7, "a@b\r\nBcc: c@d")),
        *(("alert_webhook", value) for value in ("", "nonsense", 7, "ftp://x/", "https://10.0.0.1/")),
    ],
)
async def test_a_bad_field_is_a_400_that_names_it(
    faces: Faces, ane: Caller, field: str, value: object
) -> None:
    before = await faces.state()
    answer = await ane.post(MONITORS, {"name": "job", field: value})
    assert is_refused(answer, 400)
    assert field in answer.json()["error"] or "NUL" in answer.json()["error"]
    assert await faces.state() == before


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"7", b"\xff", b'{"name": NaN}', b"[" * 2000])
async def test_what_is_no_json_object_is_a_400(faces: Faces, ane: Caller, body: bytes) -> None:
    before = await faces.state()
    for path in (MONITORS, CHECKOUT):
        assert is_refused(await ane.ask("POST", path, body), 400)
    assert await faces.state() == before


async def test_list_monitors_newest_first_without_pages(ane: Caller) -> None:
    assert (await ane.get(MONITORS)).json() == {"monitors": []}
    created = [await create(ane, name=f"job {number}") for number in range(3)]
    assert (await ane.get(MONITORS)).json() == {"monitors": created[::-1]}


async def test_a_webhooks_address_is_whole_in_the_answer_to_its_creation_only(ane: Caller) -> None:
    created = (await ane.post(MONITORS, SAMPLE)).json()
    masked = created | {"alert_webhook": "https://hooks.slack.com/***"}
    path = f"{MONITORS}/{created['id']}"
    assert (await ane.get(MONITORS)).json()["monitors"] == [masked]
    assert (await ane.get(path)).json() == masked | {"pings": []}


async def test_a_list_is_whole_when_the_plan_has_become_smaller(faces: Faces) -> None:
    large = await faces.caller("anethoth", plan="pro")
    for _ in range(4):
        await create(large)
    small = await faces.caller("anethoth", plan="free")
    assert len((await small.get(MONITORS)).json()["monitors"]) == 4


async def test_delete_frees_a_slot(ane: Caller) -> None:
    created = [await create(ane) for _ in range(3)]
    full = await ane.post(MONITORS, {"name": "one more"})
    assert is_refused(full, 429)
    assert "(3)" in full.json()["error"]
    assert "retry-after" not in full.headers
    path = f"{MONITORS}/{created[0]['id']}"
    gone = await ane.delete(path)
    assert (gone.status_code, gone.json()) == (200, {"deleted": True})
    await create(ane)
    for method, tail in (("GET", ""), ("DELETE", ""), ("POST", "/pause"), ("POST", "/resume")):
        assert is_refused(await ane.ask(method, path + tail), 404)


async def test_pause_and_resume_answer_with_the_monitor(ane: Caller) -> None:
    created = await create(ane)
    path = f"{MONITORS}/{created['id']}"
    for _ in range(2):
        paused = await ane.post(f"{path}/pause")
        assert (paused.status_code, paused.json()) == (200, created | {"status": "paused"})
    for _ in range(2):
        assert (await ane.post(f"{path}/resume")).json() == created


@pytest.mark.parametrize(
    ("stored", "shown"), [("new", "new"), ("up", "up"), ("down", "down"), ("paused", "paused")]
)
async def test_what_a_status_is_called(ane: Caller, store: SqliteStore, stored: str, shown: str) -> None:
    created = await create(ane)
    # Past due and inside its grace, where it is up.
    state = {"status": stored, "last_ping_at": parse_iso("2026-04-12T03:00:00.999Z"), "due_at": 1}
    await store.write(lambda connection: connection.execute(update(tables.monitor_state).values(state)))
    monitor = (await ane.get(f"{MONITORS}/{created['id']}")).json()
    assert (monitor["status"], monitor["last_ping"]) == (shown, "2026-04-12 03:00:00")


async def test_the_badge_says_the_same_and_holds_no_token(faces: Faces, ane: Caller) -> None:
    created = await create(ane)
    [row] = await faces.office.rows(select(tables.monitor.c.badge_key))
    badge = await faces.client.get(f"/badge/{row.badge_key}.svg")
    assert (badge.status_code, badge.headers["content-type"]) == (200, "image/svg+xml")
    assert "job: new" in badge.text
    assert row.badge_key not in created.values()


@pytest.mark.parametrize(
    "key", [None, "", "Bearer", "Bearer ch_unknown", "Basic ch_x", "Bearer " + "x" * 5000]
)
async def test_without_a_good_key_nobody_gets_in(faces: Faces, key: str | None) -> None:
    nobody = Caller(faces.client, {} if key is None else {"Authorization": key})
    for method, path in (
        ("GET", MONITORS),
        ("POST", MONITORS),
        ("GET", f"{MONITORS}/1"),
        ("DELETE", f"{MONITORS}/1"),
        ("POST", f"{MONITORS}/1/pause"),
        ("POST", f"{MONITORS}/1/resume"),
        ("POST", CHECKOUT),
    ):
        assert is_refused(await nobody.ask(method, f"/anethoth{path}"), 401)


def test_a_plan_without_the_api_is_a_403(serve: Serve, tmp_path: Path) -> None:
    plans = tmp_path / "plans.toml"
    plans.write_text("[anethoth.closed]\napi_access = false\n")
    server = serve(plans=plans)
    headers = {"Authorization": f"Bearer {server.key('anethoth')}"}
    assert is_refused(server.client.get(MONITORS, headers=headers), 403)


async def test_a_key_of_another_dialect_is_a_401(faces: Faces) -> None:
    key = await faces.office.key("cronheart", plan="starter")
    headers = {"Authorization": f"Bearer {key}"}
    assert is_refused(await faces.client.get(f"/anethoth{MONITORS}", headers=headers), 401)
    assert is_refused(await faces.client.post(CHECKOUT, headers=headers, json={"plan": "pro"}), 401)


async def test_a_bearer_in_any_case_and_a_path_without_prefix_find_the_dialect(faces: Faces) -> None:
    key = await faces.office.key("anethoth")
    for word in ("bearer", "BEARER", "Bearer"):
        answer = await faces.client.get(MONITORS, headers={"AUTHORIZATION": f"{word} {key}"})
        assert answer.json() == {"monitors": []}


async def test_anothers_monitor_is_a_404_as_an_unknown_one(faces: Faces, ane: Caller) -> None:
    theirs = await create(await faces.caller("anethoth", email="else@example.com", project="theirs"))
    before = await faces.state()
    for method, tail in (("GET", ""), ("DELETE", ""), ("POST", "/pause"), ("POST", "/resume")):
        texts = set()
        for unknown in (theirs["id"], "0" * 32, "7", "x" * 32, theirs["token"]):
            answer = await ane.ask(method, f"{MONITORS}/{unknown}{tail}")
            assert is_refused(answer, 404)
            texts.add(answer.text)
        assert len(texts) == 1
    assert await faces.state() == before


async def test_a_read_only_key_reads_without_credentials_and_changes_nothing(faces: Faces) -> None:
    owner, reader = await faces.caller("anethoth"), await faces.caller("anethoth", read_only=True)
    created = await create(owner, alert_webhook=SLACK)
    path = f"{MONITORS}/{created['id']}"
    for answer in (await reader.get(path), await reader.get(MONITORS)):
        assert answer.status_code == 200
        assert created["token"] not in answer.text
        assert "secret" not in answer.text
    before = await faces.state()
    for method, place, body in (
        ("POST", MONITORS, {"name": "x"}),
        ("DELETE", path, None),
        ("POST", f"{path}/pause", None),
        ("POST", f"{path}/resume", None),
        ("POST", CHECKOUT, {"plan": "pro"}),
    ):
        assert is_refused(await reader.ask(method, place, body), 403)
    assert await faces.state() == before


async def test_what_other_dialects_made_is_shown_in_whole_minutes(faces: Faces, ane: Caller) -> None:
    native = await faces.caller("tocsin")
    weekdays = {
        "name": "weekdays",
        "schedule_kind": "cron",
        "schedule_expression": "0 9 * * 1-5",
        "grace_seconds": 61,
        "mail": "none",
    }
    short = {"name": "short", **every(61), "mail": "a@b.example", "webhook_url": "https://example.com/x"}
    for body in (weekdays, short):
        assert (await native.post("/api/tocsin/v1/monitors", body)).status_code == 201
    peek = await faces.caller("cronpeek")
    theirs = (await peek.post(MONITORS, {"name": "peek", "schedule": 90})).json()
    by_name = {each["name"]: each for each in (await ane.get(MONITORS)).json()["monitors"]}
    assert [each["schedule_minutes"] for each in by_name.values()] == [2, 2, 3 * 1440]
    assert [each["grace_minutes"] for each in by_name.values()] == [1, 0, 2]
    assert by_name["peek"]["ping_url"] == theirs["pingUrl"]
    assert by_name["weekdays"]["alert_email"] is None
    assert by_name["short"]["alert_email"] == "a@b.example"
    assert by_name["short"]["alert_webhook"] == "https://example.com/***"
    path = f"{MONITORS}/{by_name['peek']['id']}"
    assert by_name["peek"]["id"].startswith(theirs["monitorId"])
    assert (await ane.post(f"{path}/pause")).json()["status"] == "paused"
    assert (await peek.get(f"{MONITORS}/{theirs['monitorId']}/status")).json()["status"] == "paused"
    assert (await ane.delete(path)).json() == {"deleted": True}


async def test_what_is_made_here_is_seen_elsewhere(faces: Faces, ane: Caller) -> None:
    created = (await ane.post(MONITORS, SAMPLE)).json()
    native = await faces.caller("tocsin")
    shown = (await native.get(f"/api/tocsin/v1/monitors/{created['id']}")).json()
    assert (shown["schedule_expression"], shown["grace_seconds"]) == ("86400", 1800)
    assert (shown["webhook_format"], shown["ping_url"]) == ("anethoth", created["ping_url"])
    peek = await faces.caller("cronpeek")
    [listed] = (await peek.get(MONITORS)).json()["monitors"]
    assert (listed["schedule"], listed["grace"]) == (86400, 1800)


async def test_a_method_or_path_that_is_not_there(faces: Faces, ane: Caller) -> None:
    wrong = await ane.ask("PUT", f"/anethoth{MONITORS}")
    assert is_refused(wrong, 405)
    assert set(wrong.headers["allow"].split(", ")) == {"GET", "POST"}
    assert is_refused(await ane.get("/anethoth/api/v1/nothing"), 404)


async def test_the_document_describes_every_operation(faces: Faces) -> None:
    document = (await faces.nobody.get("/anethoth/openapi.json")).json()
    assert {(method, path) for path, methods in document["paths"].items() for method in methods} == {
        ("post", SIGNUP),
        ("post", CHECKOUT),
        ("post", "/api/v1/stripe/webhook"),
        ("get", MONITORS),
        ("post", MONITORS),
        ("get", f"{MONITORS}/{{id}}"),
        ("delete", f"{MONITORS}/{{id}}"),
        ("post", f"{MONITORS}/{{id}}/pause"),
        ("post", f"{MONITORS}/{{id}}/resume"),
    }
    assert document["servers"] == [{"url": "http://tocsin/anethoth"}]
    assert "checkout_url" in (await faces.nobody.get("/anethoth/docs")).text
    assert (await faces.nobody.get("/anethoth/postman.json")).status_code == 200


def answer(status: Status, name: str = "nightly-backup") -> Answer:
    policy = Policy(parse_schedule("interval", "60", "UTC"), 60)
    return Answer("anethoth", name, policy, State(status=status), Kind.SUCCESS, 1, None)


@pytest.mark.parametrize("status", [Status.UP, Status.PAUSED, Status.DOWN])
def test_a_ping_is_told_the_monitors_name_and_status(status: Status) -> None:
    reply = shapes.ping_reply(answer(status, 'quo"te'))
    assert (reply.status, reply.content_type) == (200, b"application/json")
    assert json.loads(reply.body) == {"ok": True, "monitor": 'quo"te', "status": str(status)}


@pytest.mark.parametrize("status", [400, 404, 405, 413, 429, 503])
def test_a_ping_that_is_refused_is_told_so_in_the_same_shape(status: int) -> None:
    reply = shapes.ping_refusal(status)
    assert reply.status == status
    body = json.loads(reply.body)
    assert body.keys() == ERROR
    assert body["error"] == body["detail"]


LAST_PING = parse_iso("2026-04-12T03:00:00Z")


def facts(kind: Event = Event.DOWN, **more: Any) -> Facts:
    subject = Subject("0", "nightly-backup", "nightly-backup", (), "down", "http://tocsin/monitors/0")
    given = {"reason": "missed", "monitor": subject, "last_ping_at": LAST_PING, **more}
    return Facts("1", kind, 1, "It has not been heard from.", **given)


def test_a_missed_check_in_is_told_exactly_as_the_page_says() -> None:
    assert alert.payload(facts(), "https://example.com/hook") == {
        "monitor": "nightly-backup",
        "status": "down",
        "last_ping": "2026-04-12 03:00:00",
        "message": "Monitor 'nightly-backup' missed its check-in. Last ping: 2026-04-12 03:00:00",
    }


def test_a_job_that_never_pinged_has_no_last_ping() -> None:
    told = alert.payload(facts(last_ping_at=None), "https://example.com/hook")
    assert told["last_ping"] is None
    assert told["message"] == "Monitor 'nightly-backup' missed its check-in. Last ping: never"


@pytest.mark.parametrize(
    ("kind", "reason", "status", "news"),
    [
        (Event.DOWN, "failed", "down", "reported a failure"),
        (Event.DOWN, "overran", "down", "was started and did not finish in time"),
        (Event.UP, "ping", "up", "is back up"),
        (Event.REMINDER, "missed", "down", "is still down"),
        (Event.TEST, None, "test", "is well: this is a test"),
    ],
)
def test_other_news_have_the_same_four_keys(kind: Event, reason: str | None, status: str, news: str) -> None:
    told = alert.payload(facts(kind, reason=reason), "https://example.com/hook")
    assert list(told) == ["monitor", "status", "last_ping", "message"]
    assert told["status"] == status
    assert told["message"] == f"Monitor 'nightly-backup' {news}. Last ping: 2026-04-12 03:00:00"


@pytest.mark.parametrize(
    ("kind", "status"), [(Event.AWAY, "away"), (Event.CHANNEL_DISABLED, "disabled"), (Event.TEST, "test")]
)
def test_news_of_no_one_monitor_say_what_they_are(kind: Event, status: str) -> None:
    told = alert.payload(facts(kind, monitor=None, last_ping_at=None, lines=("a", "b")), "https://x.example")
    assert told == {
        "monitor": None,
        "status": status,
        "last_ping": None,
        "message": "It has not been heard from. a b",
    }


def test_a_doubt_is_told(faces: Faces) -> None:
    doubtful = alert.payload(
        facts(reason="unconfirmed", lines=("no job has been heard",)), "https://x.example"
    )
    assert doubtful["message"] == (
        "Monitor 'nightly-backup' missed its check-in. Last ping: 2026-04-12 03:00:00. "
        "It has not been heard from. no job has been heard"
    )


@pytest.mark.parametrize(
    ("url", "key"),
    [
        (SLACK, "text"),
        ("https://HOOKS.slack.com/services/x", "text"),
        ("https://discord.com/api/webhooks/1/x", "content"),
        ("https://discordapp.com/api/webhooks/1/x", "content"),
        ("https://canary.discord.com/api/webhooks/1/x", "content"),
        ("https://discord.com/elsewhere", None),
        ("https://hooks.slack.com.evil.example/x", None),
        ("https://evildiscord.com/api/webhooks/1/x", None),
        ("https://example.com/hooks.slack.com", None),
    ],
)
def test_a_chat_service_gets_the_key_that_it_needs(url: str, key: str | None) -> None:
    told = alert.payload(facts(), url)
    more = {} if key is None else {key: told["message"]}
    assert told == alert.payload(facts(), "https://example.com") | more


def test_a_name_calls_nobody_in_a_chat() -> None:
    loud = Subject("0", "<!channel> @everyone & co", "x", (), "down", "http://tocsin/monitors/0")
    assert "&lt;!channel&gt;" in alert.payload(facts(monitor=loud), SLACK)["text"]
    content = alert.payload(facts(monitor=loud), "https://discord.com/api/webhooks/1/x")["content"]
    assert "@everyone" not in content
    assert len(content) <= 2000


@pytest.fixture
def shop(serve: Serve) -> Server:
    return serve(plans="hosted")


def test_pings_come_by_get_post_and_head_and_are_listed(shop: Server) -> None:
    client, headers = shop.client, {"Authorization": f"Bearer {shop.key('anethoth')}"}
    created = client.post(MONITORS, json={"name": "nightly-backup"}, headers=headers).json()
    assert created["ping_url"] == f"{shop.url}/ping/{created['token']}"
    assert TIME.fullmatch(created["created_at"])
    heard = {"ok": True, "monitor": "nightly-backup", "status": "up"}
    for method in ("GET", "POST", "HEAD"):
        pinged = client.request(method, created["ping_url"])
        assert (pinged.status_code, pinged.headers["content-type"]) == (200, "application/json")
        assert pinged.content == b"" if method == "HEAD" else pinged.json() == heard
    assert client.get(f"{shop.url}/anethoth/ping/{created['token']}").json() == heard
    path = f"{MONITORS}/{created['id']}"
    client.get(created["ping_url"] + "/3")
    detail = client.get(path, headers=headers).json()
    assert detail.keys() == ITEM | {"pings"}
    assert detail["status"] == "down"
    assert TIME.fullmatch(detail["last_ping"])
    assert [each["kind"] for each in detail["pings"]] == ["fail"] + ["success"] * 4
    newest = detail["pings"][0]
    assert TIME.fullmatch(newest.pop("received_at"))
    assert newest.pop("user_agent").startswith("python-httpx")
    assert newest.keys() == {"id", "kind", "duration_ms", "exit_code", "source_ip"}
    assert (newest["exit_code"], newest["source_ip"]) == (3, "127.0.0.1")
    client.post(f"{path}/pause", headers=headers)
    assert client.get(created["ping_url"]).json() == {**heard, "status": "paused"}
    assert client.delete(path, headers=headers).json() == {"deleted": True}
    gone = client.get(created["ping_url"])
    unknown = client.get(f"{shop.url}/ping/{'x' * 32}")
    assert is_refused(gone, 404)
    assert gone.content == unknown.content
    assert is_refused(client.put(f"{shop.url}/ping/{'x' * 32}"), 405)


def test_an_alert_arrives_as_the_page_shows_it_and_so_does_the_recovery(shop: Server) -> None:
    with HttpReceiver() as receiver:
        headers = {"Authorization": f"Bearer {shop.key('anethoth')}"}
        body = {"name": "nightly-backup", "alert_webhook": receiver.url}
        created = shop.client.post(MONITORS, json=body, headers=headers).json()
        shop.client.get(created["ping_url"])
        native = shop.api(shop.key("tocsin"))
        # The dialect knows no times under a minute.
        native.call("PATCH", f"/monitors/{created['id']}", json=every(1)).raise_for_status()
        [down] = receiver.wait_for(1)
        shop.client.get(created["ping_url"])
        up = receiver.wait_for(2)[1]
    told = down.json()
    heard = told["last_ping"]
    assert TIME.fullmatch(heard)
    assert told == {
        "monitor": "nightly-backup",
        "status": "down",
        "last_ping": heard,
        "message": f"Monitor 'nightly-backup' missed its check-in. Last ping: {heard}",
    }
    assert down.headers["content-type"] == "application/json"
    assert down.headers["idempotency-key"] != up.headers["idempotency-key"]
    assert (up.json()["status"], up.json()["monitor"]) == ("up", "nightly-backup")
    assert up.json()["message"].startswith("Monitor 'nightly-backup' is back up. Last ping: ")


def test_recoveries_are_not_told_where_the_project_does_not_want_them(shop: Server) -> None:
    with HttpReceiver() as receiver:
        headers = {"Authorization": f"Bearer {shop.key('anethoth')}"}
        native = shop.api(shop.key("tocsin"))
        native.call("PATCH", "/project", json={"alert_on_recovery": False}).raise_for_status()
        body = {"name": "nightly-backup", "alert_webhook": receiver.url}
        created = shop.client.post(MONITORS, json=body, headers=headers).json()
        for action in ("/fail", "", "/fail"):
            shop.client.get(created["ping_url"] + action)
        assert [told.json()["status"] for told in receiver.wait_for(2)] == ["down", "down"]


@pytest.fixture
def stripe() -> Iterator[StripeApi]:
    with StripeApi() as stripe:
        yield stripe


def test_a_plan_is_bought_and_given_back(serve: Serve, stripe: StripeApi) -> None:
    server = serve(
        plans="hosted",
        stripe_secret_key=SECRET_KEY,
        stripe_webhook_secret=WEBHOOK_SECRET,
        stripe_api_base=stripe.url,
        stripe_prices="pro=price_1",
    )
    client, headers = server.client, {"Authorization": f"Bearer {server.key('anethoth')}"}

    def room() -> bool:
        return client.post(MONITORS, json={"name": "job"}, headers=headers).status_code == 201

    def hear(message: Any) -> None:
        body, signature = message
        told = client.post("/api/v1/stripe/webhook", content=body, headers=signature)
        assert (told.status_code, told.json()) == (200, {"received": True})

    assert [room() for _ in range(4)] == [True, True, True, False]
    opened = client.post(CHECKOUT, json={"plan": "pro"}, headers=headers)
    assert (opened.status_code, opened.json()) == (200, {"checkout_url": CHECKOUT_URL})
    [session] = stripe.sessions(1)
    assert session.fields["line_items[0][price]"] == "price_1"
    assert "Thank you" in client.get(session.fields["success_url"]).text
    hear(event("checkout.session.completed", session.paid("sub_1")))
    assert room()
    hear(event("customer.subscription.deleted", session.subscription("sub_1")))
    assert not room()
    assert SECRET_KEY not in server.output()
    server.stop()


def typed(command: str, known: dict[str, str]) -> Any:
    """What a command of the page says when its placeholders are filled in."""
    for placeholder, value in known.items():
        command = command.replace(placeholder, value)
    done = subprocess.run(["bash", "-ec", command], capture_output=True, check=True, text=True, timeout=30)
    return json.loads(done.stdout)


def test_the_commands_of_our_page_work_as_they_stand(serve: Serve, stripe: StripeApi) -> None:
    server = serve(plans="hosted", stripe_secret_key=SECRET_KEY, stripe_api_base=stripe.url)
    known = {"https://tocsin.example.com": server.url, "ch_your_key": server.key("anethoth")}
    create, ping, listing, buy = re.findall(
        r"^```bash\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL
    )
    created = typed(create, known)
    known["YOUR_TOKEN"] = created["token"]
    assert typed(ping, known) == {"ok": True, "monitor": "nightly-backup", "status": "up"}
    [shown] = typed(listing, known)["monitors"]
    assert (shown["id"], shown["status"]) == (created["id"], "up")
    assert typed(buy, known) == {"checkout_url": CHECKOUT_URL}


async def test_nothing_can_be_bought_where_stripe_is_not_set_up(ane: Caller) -> None:
    refused = await ane.post(CHECKOUT, {"plan": "pro"})
    assert is_refused(refused, 501)
    assert "TOCSIN_STRIPE_SECRET_KEY" in refused.json()["error"]


@pytest.mark.parametrize("plan", ["gold", "free", None, 7, True, ["pro"], ""])
async def test_a_plan_that_is_not_there_or_had_already_is_a_400(ane: Caller, plan: object) -> None:
    refused = await ane.post(CHECKOUT, {"plan": plan})
    assert is_refused(refused, 400)
    assert "plan" in refused.json()["error"]

"""Cronheart's channels, account and public document: its page and its published contract, line by line."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import select, update

from tests.conftest import Serve
from tests.faces import Caller, Faces
from tests.receivers import Answer, HttpReceiver, Request, SmtpReceiver
from tests.server import Server
from tocsin.channels import SmtpConfig
from tocsin.channels.webhook import sign
from tocsin.store import tables
from tocsin.store.sqlite import SqliteStore

PAGE = (Path(__file__).parents[2] / "docs" / "dialects" / "cronheart.md").read_text(encoding="utf-8")
CHANNELS = "/api/v1/channels"
MONITORS = "/api/v1/monitors"
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00")
SLACK_URL = "https://hooks.slack.com/services/T000/B000/XXXX"
SECRET = "0123456789abcdef"
BOT = "123456:server"

# The published bodies, placeholders filled in, and what is shown of their config.
SAMPLES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "telegram": (
        {"kind": "telegram", "label": "ops", "chat_id": "-100123456789"},
        {"chat_id": "-100123456789"},
    ),
    "slack": ({"kind": "slack", "label": "alerts", "webhook_url": SLACK_URL}, {"webhook_url": "***"}),
    "discord": (
        {"kind": "discord", "label": "alerts", "webhook_url": "https://discord.com/api/webhooks/1/x"},
        {"webhook_url": "***"},
    ),
    "webhook": (
        {"kind": "webhook", "label": "my-hook", "webhook_url": "https://example.com/hook", "secret": SECRET},
        {"webhook_url": "***", "secret": "***"},
    ),
    "email": (
        {"kind": "email", "label": "on-call", "address": "ops@example.com"},
        {"address": "ops@example.com"},
    ),
}
KINDS = [*SAMPLES]


@pytest.fixture
async def faces(store: SqliteStore) -> AsyncIterator[Faces]:
    faces = Faces.open(store, smtp=SmtpConfig("127.0.0.1", 9), telegram_bot_token=BOT)
    yield faces
    await faces.office.close()


async def starter(faces: Faces, **wish: Any) -> Caller:
    """Somebody whose plan has the API."""
    return await faces.caller("cronheart", plan="starter", **wish)


async def create(heart: Caller, kind: str = "webhook", **fields: Any) -> dict[str, Any]:
    return await heart.create(CHANNELS, {**SAMPLES[kind][0], **fields})


def is_problem(answer: httpx.Response, status: int) -> dict[str, Any]:
    """The problem+json of a refusal."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem: dict[str, Any] = answer.json()
    assert (problem["type"], problem["status"]) == ("about:blank", status)
    assert problem["title"]
    assert problem["detail"]
    return problem


@pytest.mark.parametrize("kind", KINDS)
async def test_a_channel_is_created_unverified_and_redacted(heart: Caller, kind: str) -> None:
    body, config = SAMPLES[kind]
    answer = await heart.post(CHANNELS, body)
    channel = answer.json()
    assert answer.status_code == 201
    assert re.fullmatch("[0-9]+", channel["id"])
    assert TIME.fullmatch(channel.pop("created_at"))
    assert channel == {
        "id": channel["id"],
        "kind": kind,
        "label": body["label"],
        "verified": False,
        "config": config,
    }
    found = await heart.client.get(answer.headers["location"], headers=heart.headers)
    assert found.json()["id"] == channel["id"]
    assert int(answer.headers["x-ratelimit-limit"]) == 120


async def test_no_secret_is_ever_read_back(faces: Faces, heart: Caller) -> None:
    created = [await create(heart, kind) for kind in KINDS]
    answers = [(await heart.get(f"{CHANNELS}/{one['id']}")).text for one in created]
    answers.append((await heart.get(CHANNELS)).text)
    for answer in answers:
        assert not any(
            secret in answer for secret in (SECRET, "hooks.slack.com", "discord.com", "example.com/hook", BOT)
        )
    native = await faces.caller("tocsin")
    body = {"kind": "telegram", "label": "own bot", "config": {"bot_token": "1:own", "chat_id": "5"}}
    assert (await native.post("/api/tocsin/v1/channels", body)).status_code == 201
    shown = (await heart.get(CHANNELS)).json()["data"][0]
    assert shown["config"] == {"bot_token": "***", "chat_id": "5"}


async def test_the_list_holds_all_channels_newest_first(faces: Faces, heart: Caller) -> None:
    created = [await create(heart, kind) for kind in KINDS]
    await create(await starter(faces, email="else@example.com", project="theirs"))
    listed = (await heart.get(CHANNELS)).json()
    assert listed == {"data": created[::-1], "total": 5}


@pytest.mark.parametrize("prefix", ["", "/cronheart"])
async def test_channels_are_found_with_and_without_the_prefix(heart: Caller, prefix: str) -> None:
    channel = await create(heart)
    assert (await heart.get(f"{prefix}{CHANNELS}/{channel['id']}")).json() == channel


@pytest.mark.parametrize(
    ("kind", "fields", "refused"),
    [
        ("slack", {"kind": "pigeon"}, {"kind"}),
        ("slack", {"kind": "pagerduty"}, {"kind"}),
        ("slack", {"kind": None, "label": "x"}, {"kind", "label"}),
        ("slack", {"kind": ["slack"]}, {"kind"}),
        ("slack", {"label": "x"}, {"label"}),
        ("slack", {"label": " x "}, {"label"}),
        ("slack", {"label": "x" * 81}, {"label"}),
        ("slack", {"label": None}, {"label"}),
        ("slack", {"label": 12}, {"label"}),
        ("slack", {"webhook_url": None}, {"webhook_url"}),
        ("slack", {"webhook_url": 7, "label": ""}, {"webhook_url", "label"}),
        ("slack", {"webhook_url": "ftp://example.com/x"}, {"webhook_url"}),
        ("slack", {"webhook_url": "https://" + "x" * 500 + ".example.com"}, {"webhook_url"}),
        ("slack", {"webhook_url": "https://example.com/" + "x" * 500}, {"webhook_url"}),
        ("slack", {"secret": SECRET}, {"secret"}),
        ("telegram", {"chat_id": "@channel"}, {"chat_id"}),
        ("telegram", {"chat_id": "12 "}, {"chat_id"}),
        ("telegram", {"chat_id": "\u0661\u0662"}, {"chat_id"}),
        ("telegram", {"chat_id": -100123456789}, {"chat_id"}),
        ("telegram", {"chat_id": None, "label": "", "secret": SECRET}, {"chat_id", "label", "secret"}),
        ("webhook", {"secret": "x" * 15}, {"secret"}),
        ("webhook", {"secret": "x" * 201}, {"secret"}),
        ("webhook", {"secret": 12, "webhook_url": "", "label": ""}, {"secret", "webhook_url", "label"}),
        ("webhook", {"webhook_url": "https://example.com/" + "x" * 500}, {"webhook_url"}),
        ("webhook", {"webhook_url": "https://10.0.0.1/x", "label": "x"}, {"webhook_url", "label"}),
        ("email", {"address": "nobody"}, {"address"}),
        ("email", {"address": None, "label": "x"}, {"address", "label"}),
        ("email", {"address": ["ops@example.com"]}, {"address"}),
    ],
)
async def test_every_bad_field_is_named_at_once_and_nothing_is_made(
    faces: Faces, heart: Caller, kind: str, fields: dict[str, Any], refused: set[str]
) -> None:
    before = await faces.state()
    problem = is_problem(await heart.post(CHANNELS, {**SAMPLES[kind][0], **fields}), 422)
    assert problem["title"] == "Unprocessable Entity"
    assert problem["detail"] == "One or more fields are invalid."
    assert problem["errors"].keys() == refused
    assert await faces.state() == before


@pytest.mark.parametrize("kind", ["slack", "discord", "webhook"])
@pytest.mark.parametrize(
    "host",
    [
        "10.0.0.1",
        "192.168.1.1",
        "172.16.0.1",
        "169.254.169.254",
        "[::1]",
        "[fd00::1]",
        "0x0a000001",
        "0.0.0.0",
    ],
)
async def test_an_address_inside_is_refused(faces: Faces, heart: Caller, kind: str, host: str) -> None:
    before = await faces.state()
    body = {**SAMPLES[kind][0], "webhook_url": f"https://{host}/hook"}
    assert is_problem(await heart.post(CHANNELS, body), 422)["errors"].keys() == {"webhook_url"}
    assert await faces.state() == before


async def test_a_name_that_does_not_resolve_is_accepted(heart: Caller) -> None:
    await create(heart, webhook_url="https://no-such-name.invalid/hook")


@pytest.mark.parametrize("body", [b"", b"{", b'{"kind":', b"\xff\xfe", b'{"label": "\\u0000"}', b"NaN"])
async def test_what_is_no_json_is_a_400(faces: Faces, heart: Caller, body: bytes) -> None:
    before = await faces.state()
    is_problem(await heart.ask("POST", CHANNELS, body), 400)
    assert await faces.state() == before


async def test_without_a_token_it_is_a_401_without_rate_headers(faces: Faces, heart: Caller) -> None:
    channel = await create(heart)
    for method, path in (
        ("GET", CHANNELS),
        ("POST", CHANNELS),
        ("GET", f"{CHANNELS}/{channel['id']}"),
        ("PATCH", f"{CHANNELS}/{channel['id']}"),
        ("DELETE", f"{CHANNELS}/{channel['id']}"),
        ("POST", f"{CHANNELS}/{channel['id']}/test"),
        ("POST", f"{CHANNELS}/{channel['id']}/rotate-secret"),
        ("GET", "/api/v1/account"),
    ):
        for headers in ({}, {"Authorization": "Bearer cmk_unknown"}):
            answer = await Caller(faces.client, headers).ask(method, path)
            is_problem(answer, 401)
            assert not any(name.startswith("x-ratelimit") for name in answer.headers)


async def test_a_plan_without_the_api_is_a_402(faces: Faces) -> None:
    free = await faces.caller("cronheart", plan="free")
    for path in (CHANNELS, "/api/v1/account"):
        answer = await free.get(path)
        assert "upgrade_url" in is_problem(answer, 402)
        assert "x-ratelimit-limit" not in answer.headers


async def test_a_kind_without_means_is_disabled(store: SqliteStore) -> None:
    faces = Faces.open(store)
    heart = await starter(faces)
    before = await faces.state()
    for kind in ("email", "telegram"):
        problem = is_problem(await heart.post(CHANNELS, {**SAMPLES[kind][0], "label": "x"}), 409)
        assert problem["detail"].startswith("That channel kind is temporarily disabled")
    assert await faces.state() == before
    await create(heart, "slack")
    await faces.office.close()


async def test_an_account_whose_address_is_not_confirmed_makes_no_channels_and_no_monitors(
    store: SqliteStore,
) -> None:
    faces = Faces.open(store, signup_open=True)
    heart = await starter(faces)
    account = tables.account
    unverified = update(account).values(verified_at=None)
    await store.write(lambda connection: connection.execute(unverified))
    before = await faces.state()
    monitor = {"name": "job", "schedule_kind": "interval", "schedule_expr": "60"}
    for path, body in ((CHANNELS, SAMPLES["slack"][0]), (MONITORS, monitor)):
        assert "Confirm" in is_problem(await heart.post(path, body), 403)["detail"]
    assert (await heart.get(CHANNELS)).status_code == 200
    assert await faces.state() == before
    verified = update(account).values(verified_at=1)
    await store.write(lambda connection: connection.execute(verified))
    for path, body in ((CHANNELS, SAMPLES["slack"][0]), (MONITORS, monitor)):
        assert (await heart.post(path, body)).status_code == 201
    await faces.office.close()


async def test_where_sign_up_is_closed_nobody_has_to_confirm(faces: Faces, store: SqliteStore) -> None:
    heart = await starter(faces)
    unverified = update(tables.account).values(verified_at=None)
    await store.write(lambda connection: connection.execute(unverified))
    await create(heart, "slack")


async def test_a_channel_is_renamed(heart: Caller) -> None:
    channel = await create(heart)
    answer = await heart.patch(f"{CHANNELS}/{channel['id']}", {"label": "night shift"})
    assert (answer.status_code, answer.json()) == (200, {**channel, "label": "night shift"})
    assert (await heart.get(f"{CHANNELS}/{channel['id']}")).json()["label"] == "night shift"


@pytest.mark.parametrize(
    ("changes", "refused"),
    [
        ({}, {"label"}),
        ({"label": "x"}, {"label"}),
        ({"label": "x" * 81}, {"label"}),
        ({"label": None}, {"label"}),
        ({"label": ["ops"]}, {"label"}),
        ({"label": "ops", "webhook_url": "https://example.com"}, {"webhook_url"}),
        ({"label": "", "secret": SECRET, "verified": True}, {"label", "secret", "verified"}),
    ],
)
async def test_only_the_label_can_be_changed(
    faces: Faces, heart: Caller, changes: dict[str, Any], refused: set[str]
) -> None:
    channel = await create(heart)
    before = await faces.state()
    problem = is_problem(await heart.patch(f"{CHANNELS}/{channel['id']}", changes), 422)
    assert problem["errors"].keys() == refused
    assert await faces.state() == before


async def test_a_deleted_channel_is_gone(heart: Caller) -> None:
    channel = await create(heart)
    answer = await heart.delete(f"{CHANNELS}/{channel['id']}")
    assert (answer.status_code, answer.content) == (204, b"")
    assert (await heart.get(CHANNELS)).json() == {"data": [], "total": 0}
    is_problem(await heart.delete(f"{CHANNELS}/{channel['id']}"), 404)


async def test_anothers_channel_is_not_found(faces: Faces, heart: Caller) -> None:
    theirs = await create(await starter(faces, email="else@example.com", project="theirs"))
    before = await faces.state()
    for channel_id in (theirs["id"], "999", "0", "-1", "x", "9" * 30, "\u0661", "a%20b"):
        path = f"{CHANNELS}/{channel_id}"
        for method, tail, body in (
            ("GET", "", None),
            ("PATCH", "", {"label": "mine"}),
            ("DELETE", "", None),
            ("POST", "/test", None),
            ("POST", "/rotate-secret", None),
        ):
            is_problem(await heart.ask(method, path + tail, body), 404)
    assert await faces.state() == before


async def test_a_read_only_token_reads_and_changes_nothing(faces: Faces, heart: Caller) -> None:
    channel = await create(heart)
    reader = await starter(faces, read_only=True)
    assert (await reader.get(CHANNELS)).json()["total"] == 1
    before = await faces.state()
    one = f"{CHANNELS}/{channel['id']}"
    for method, path, body in (
        ("POST", CHANNELS, SAMPLES["slack"][0]),
        ("PATCH", one, {"label": "mine"}),
        ("DELETE", one, None),
        ("POST", f"{one}/test", None),
        ("POST", f"{one}/rotate-secret", None),
    ):
        is_problem(await reader.ask(method, path, body), 403)
    assert await faces.state() == before


async def test_a_rotated_secret_is_shown_once_and_signs_from_then_on(heart: Caller) -> None:
    with HttpReceiver() as receiver:
        channel = await create(heart, webhook_url=receiver.url)
        answer = await heart.post(f"{CHANNELS}/{channel['id']}/rotate-secret")
        rotated = answer.json()
        secret = rotated.pop("secret")
        assert (answer.status_code, rotated) == (200, channel)
        assert 16 <= len(secret) <= 200
        assert secret != SECRET
        assert secret not in (await heart.get(CHANNELS)).text
        await heart.post(f"{CHANNELS}/{channel['id']}/test")
        [request] = await receiver.arrived(1)
    assert request.headers["x-webhook-signature"] == sign(request.body, secret)


async def test_a_webhook_without_a_secret_gets_one(heart: Caller) -> None:
    channel = await create(heart, secret=None)
    assert channel["config"] == {"webhook_url": "***"}
    rotated = (await heart.post(f"{CHANNELS}/{channel['id']}/rotate-secret")).json()
    assert rotated["config"] == {"webhook_url": "***", "secret": "***"}


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "webhook"])
async def test_only_a_webhook_has_a_secret(heart: Caller, kind: str) -> None:
    channel = await create(heart, kind)
    is_problem(await heart.post(f"{CHANNELS}/{channel['id']}/rotate-secret"), 422)


@pytest.mark.parametrize("kind", ["slack", "discord", "webhook"])
async def test_the_first_test_that_arrives_verifies(heart: Caller, kind: str) -> None:
    with HttpReceiver() as receiver:
        channel = await create(heart, kind, webhook_url=f"{receiver.url}/hook")
        path = f"{CHANNELS}/{channel['id']}/test"
        first, second = await heart.post(path), await heart.post(path)
        assert len(receiver.requests) == 2
        assert receiver.requests[0].target.startswith("/hook")
    verified = {**channel, "verified": True}
    assert (first.status_code, second.status_code) == (200, 200)
    assert first.json() == {"delivered": True, "channel": verified, "newly_verified": True}
    assert second.json() == {"delivered": True, "channel": verified, "newly_verified": False}
    assert (await heart.get(f"{CHANNELS}/{channel['id']}")).json() == verified


async def test_telegram_writes_through_the_servers_own_bot(store: SqliteStore) -> None:
    with HttpReceiver(Answer(body=b'{"ok": true}')) as receiver:
        faces = Faces.open(store, telegram_bot_token=BOT, telegram_api_base=receiver.url)
        heart = await starter(faces)
        channel = await create(heart, "telegram")
        assert (await heart.post(f"{CHANNELS}/{channel['id']}/test")).json()["newly_verified"] is True
        [request] = receiver.requests
        await faces.office.close()
    assert request.target == f"/bot{BOT}/sendMessage"
    assert request.json()["chat_id"] == "-100123456789"


@pytest.mark.parametrize("status", [403, 404, 500, 302])
async def test_a_test_that_is_refused_is_a_502_and_verifies_nothing(
    faces: Faces, heart: Caller, status: int
) -> None:
    with HttpReceiver(status) as receiver:
        channel = await create(heart, webhook_url=receiver.url)
        before = await faces.state()
        problem = is_problem(await heart.post(f"{CHANNELS}/{channel['id']}/test"), 502)
    assert str(status) in problem["detail"]
    assert (await heart.get(f"{CHANNELS}/{channel['id']}")).json() == channel
    assert await faces.state() == before


async def test_a_destination_that_cannot_be_reached_is_a_502(heart: Caller) -> None:
    channel = await create(heart, webhook_url="https://no-such-name.invalid/hook")
    is_problem(await heart.post(f"{CHANNELS}/{channel['id']}/test"), 502)


async def test_a_mail_channel_cannot_be_tested_before_its_owner_agreed(faces: Faces, heart: Caller) -> None:
    channel = await create(heart, "email")
    problem = is_problem(await heart.post(f"{CHANNELS}/{channel['id']}/test"), 422)
    assert "link" in problem["detail"]
    assert "errors" not in problem
    await faces.office.manage.settle()
    [letter] = faces.office.letters
    assert (letter.to, letter.subject) == ("ops@example.com", "Alerts from Tocsin")


async def test_what_this_server_cannot_send_cannot_be_tested(store: SqliteStore, faces: Faces) -> None:
    channel = await create(await starter(faces), "telegram")
    without_bot = Faces.open(store)
    heart = await starter(without_bot)
    problem = is_problem(await heart.post(f"{CHANNELS}/{channel['id']}/test"), 422)
    assert "TOCSIN_TELEGRAM_BOT_TOKEN" in problem["detail"]
    await without_bot.office.close()


async def test_the_link_in_the_mail_verifies_once_and_not_for_long(faces: Faces, heart: Caller) -> None:
    late, early = await create(heart, "email"), await create(heart, "email", address="b@example.com")
    await faces.office.manage.settle()
    links = {letter.to: f"/link/{letter.link}" for letter in faces.office.letters}
    path = links["b@example.com"]
    assert (await faces.client.get(path)).status_code == 200
    assert (await heart.get(f"{CHANNELS}/{early['id']}")).json()["verified"] is False
    assert (await faces.client.post(path)).status_code == 200
    assert (await heart.get(f"{CHANNELS}/{early['id']}")).json()["verified"] is True
    assert (await faces.client.post(path)).status_code == 404
    faces.office.hands.pass_(31 * 60)
    assert (await faces.client.post(links["ops@example.com"])).status_code == 404
    assert (await heart.get(f"{CHANNELS}/{late['id']}")).json()["verified"] is False


async def test_what_is_made_here_is_seen_by_the_native_api_and_the_other_way_round(
    faces: Faces, heart: Caller
) -> None:
    channel = await create(heart, "slack")
    native = await faces.caller("tocsin")
    [seen] = (await native.get("/api/tocsin/v1/channels")).json()["channels"]
    assert (seen["kind"], seen["label"], seen["verified_at"]) == ("slack", "alerts", None)
    body = {"kind": "email", "label": "two", "config": {"to": ["a@example.com", "b@example.com"]}}
    assert (await native.post("/api/tocsin/v1/channels", body)).status_code == 201
    newest, oldest = (await heart.get(CHANNELS)).json()["data"]
    assert oldest == channel
    assert (newest["verified"], newest["config"]) == (True, {"address": "a@example.com, b@example.com"})


async def test_the_account_says_what_is_left(faces: Faces, heart: Caller) -> None:
    await heart.post(MONITORS, {"name": "job", "schedule_kind": "interval", "schedule_expr": "60"})
    answer = await heart.get("/api/v1/account")
    account = answer.json()
    plan = faces.office.plans.plan("cronheart", "starter")
    assert answer.status_code == 200
    assert account == {
        "plan": {"key": "starter", "label": "Starter", "monitor_limit": plan.monitor_limit},
        "monitor_budget": {"used": 1, "limit": plan.monitor_limit, "remaining": plan.monitor_limit - 1},
        "api_rate_limit": {"limit": 120, "remaining": 118},
    }
    assert answer.headers["x-ratelimit-remaining"] == "118"


@pytest.mark.parametrize(
    "path", ["/api/v1/openapi.json", "/cronheart/api/v1/openapi.json", "/cronheart/openapi.json"]
)
async def test_the_document_is_public(faces: Faces, path: str) -> None:
    answer = await faces.nobody.get(path)
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "public, max-age=300"
    paths = answer.json()["paths"]
    assert paths[CHANNELS].keys() == {"get", "post"}
    assert paths[f"{CHANNELS}/{{id}}"].keys() == {"get", "patch", "delete"}
    assert paths["/api/v1/account"].keys() == {"get"}


async def test_what_is_stored_of_a_channel_is_sealed(faces: Faces, heart: Caller) -> None:
    for kind in KINDS:
        await create(heart, kind)
    stored = str(await faces.office.rows(select(tables.channel)))
    assert not any(secret in stored for secret in (SECRET, "hooks.slack.com", "ops@example.com", "-100123"))


class Heart:
    """A real server's Cronheart API with one token."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._headers = {"Authorization": f"Bearer {server.key('cronheart')}"}

    def ask(self, method: str, path: str, body: object = None) -> Any:
        answer = self._server.client.request(method, path, json=body, headers=self._headers)
        assert answer.is_success, answer.text
        return answer.json()

    def channel(self, url: str, label: str = "hook") -> dict[str, Any]:
        body = {"kind": "webhook", "label": label, "webhook_url": url, "secret": SECRET}
        return dict(self.ask("POST", CHANNELS, body))

    def fail(self, **fields: Any) -> None:
        """A new monitor whose job fails at once."""
        body = {"name": "nightly-backup", "schedule_kind": "interval", "schedule_expr": "3600", **fields}
        monitor = self.ask("POST", MONITORS, body)
        self._server.client.get(f"{monitor['ping_url']}/fail")


def downs(requests: list[Request]) -> list[str]:
    """What jobs the requests say are down."""
    return [one.json()["monitor"]["name"] for one in requests if one.json()["event"] == "monitor.down"]


def test_only_verified_channels_are_told_fanned_out_or_named(serve: Serve) -> None:
    with HttpReceiver() as receiver:
        server = serve()
        heart = Heart(server)
        known, unknown = heart.channel(f"{receiver.url}/known"), heart.channel(f"{receiver.url}/unknown")
        heart.ask("POST", f"{CHANNELS}/{known['id']}/test")
        heart.fail(name="named unknown", channel_ids=[unknown["id"]])
        heart.fail(name="fanned out")
        heart.fail(name="named both", channel_ids=[unknown["id"], known["id"]])
        receiver.wait_for(3)
        heart.ask("POST", f"{CHANNELS}/{unknown['id']}/test")
        heart.fail(name="after the test", channel_ids=[unknown["id"]])
        requests = receiver.wait_for(5)
    told = {path: downs([one for one in requests if one.target == path]) for path in ("/known", "/unknown")}
    assert sorted(told["/known"]) == ["fanned out", "named both"]
    assert told["/unknown"] == ["after the test"]
    assert requests[1].headers["x-webhook-signature"] == sign(requests[1].body, SECRET)


def test_a_channel_that_was_switched_off_says_so_and_its_next_test_brings_it_back(serve: Serve) -> None:
    with HttpReceiver() as receiver:
        server = serve()
        heart = Heart(server)
        path = f"{CHANNELS}/{heart.channel(receiver.url)['id']}"
        assert heart.ask("POST", f"{path}/test")["newly_verified"] is True
        receiver.script(404)
        for number in (1, 2, 3):
            heart.fail(name=f"refused {number}")
        server.wait_until(lambda: not heart.ask("GET", path)["verified"], "the channel is switched off")
        heart.fail(name="told nobody")
        receiver.script(200)
        test = heart.ask("POST", f"{path}/test")
        assert (test["newly_verified"], test["channel"]["verified"]) == (True, True)
        heart.fail(name="told again")
        requests = receiver.wait_for(6)
    assert downs(requests)[3:] == ["told again"]


def test_a_mail_channel_is_told_once_its_owner_followed_the_link(serve: Serve) -> None:
    with SmtpReceiver() as mailbox:
        server = serve(smtp_url=mailbox.url)
        heart = Heart(server)
        channel = heart.ask("POST", CHANNELS, SAMPLES["email"][0])
        [mail] = mailbox.wait_for(1)
        assert mail.recipients == ("ops@example.com",)
        heart.fail(name="too early")
        [link] = re.findall(rf"{server.url}(/link/\S+)", mail.part("plain"))
        server.client.get(link)
        assert heart.ask("GET", f"{CHANNELS}/{channel['id']}")["verified"] is False
        server.client.post(link)
        assert heart.ask("GET", f"{CHANNELS}/{channel['id']}")["verified"] is True
        result = heart.ask("POST", f"{CHANNELS}/{channel['id']}/test")
        assert (result["delivered"], result["newly_verified"]) == (True, False)
        heart.fail(name="in time", channel_ids=[channel["id"]])
        subjects = [str(mail.message["Subject"]) for mail in mailbox.wait_for(3)[1:]]
    assert not any("too early" in subject for subject in subjects)
    assert any("in time" in subject for subject in subjects)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_the_real_server_refuses_its_own_machine(serve: Serve, host: str) -> None:
    server = serve(allowed_networks="")
    headers = {"Authorization": f"Bearer {server.key('cronheart')}"}
    body = {**SAMPLES["webhook"][0], "webhook_url": f"https://{host}:{server.port}/hook"}
    answer = server.client.post(CHANNELS, json=body, headers=headers)
    assert is_problem(answer, 422)["errors"].keys() == {"webhook_url"}
    body["webhook_url"] = "http://example.com/hook"
    answer = server.client.post(CHANNELS, json=body, headers=headers)
    assert is_problem(answer, 422)["errors"].keys() == {"webhook_url"}
    answer = server.client.post(CHANNELS, json=SAMPLES["email"][0], headers=headers)
    is_problem(answer, 409)


def test_the_bots_token_is_a_setting(serve: Serve) -> None:
    with HttpReceiver(Answer(body=b'{"ok": true}')) as receiver:
        server = serve(telegram_bot_token=BOT, telegram_api_base=receiver.url)
        heart = Heart(server)
        channel = heart.ask("POST", CHANNELS, SAMPLES["telegram"][0])
        assert heart.ask("POST", f"{CHANNELS}/{channel['id']}/test")["newly_verified"] is True
        heart.fail()
        requests = receiver.wait_for(2)
        assert {one.target for one in requests} == {f"/bot{BOT}/sendMessage"}
        assert BOT not in server.output()
    assert "nightly-backup is down" in requests[1].json()["text"]


def test_the_pages_commands_make_a_channel_once_and_verify_it(serve: Serve) -> None:
    blocks = re.findall(r"^```bash\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    create, test = [block for block in blocks if "/channels" in block]
    with HttpReceiver() as receiver:
        server = serve()
        known = {
            "https://tocsin.example.com": server.url,
            "cmk_your_token_here": server.key("cronheart"),
            "https://example.com/hook": f"{receiver.url}/hook",
        }
        channel = typed(create, known)
        assert (channel["label"], channel["verified"]) == ("my-hook", False)
        assert typed(create, known) == channel
        tested = typed(test, {**known, "CHANNEL_ID": channel["id"]})
        assert (tested["delivered"], tested["newly_verified"]) == (True, True)
        assert [request.target for request in receiver.requests] == ["/hook"]


def typed(command: str, known: dict[str, str]) -> dict[str, Any]:
    """What a command of the page answers when its placeholders are filled in."""
    for placeholder, value in known.items():
        command = command.replace(placeholder, value)
    environment = {**os.environ, "no_proxy": "127.0.0.1"}
    done = subprocess.run(
        ["bash", "-ec", command], capture_output=True, check=True, timeout=30, env=environment
    )
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer

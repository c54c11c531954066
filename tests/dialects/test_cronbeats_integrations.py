"""CronBeats' integrations and alert rules: set, switched, cleared, masked, tested, and obeyed by alerts."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.faces import Caller, Faces
from tests.receivers import Answer, HttpReceiver, Request
from tests.server import Server
from tocsin.store.sqlite import SqliteStore

HERE = "/api/v1/integrations"
JOBS = "/api/v1/jobs"
SLACK = {"webhook_url": "https://hooks.slack.com/services/T00/B00/xxx", "is_enabled": True}
DISCORD = {"webhook_url": "https://discord.com/api/webhooks/1/abc", "is_enabled": True}
TELEGRAM = {"bot_token": "123456:ABC-DEF", "chat_id": "123456789", "is_enabled": True}
WEBHOOK = {"url": "https://your-server.com/alerts", "secret": "your-secret", "is_enabled": True}
SAMPLES = {"slack": SLACK, "discord": DISCORD, "telegram": TELEGRAM, "webhook": WEBHOOK}
CLEARED: dict[str, dict[str, Any]] = {
    "slack": {"is_enabled": False, "webhook_url": None},
    "discord": {"is_enabled": False, "webhook_url": None},
    "telegram": {"is_enabled": False, "bot_token": None, "chat_id": None},
    "webhook": {"is_enabled": False, "url": None, "secret": None},
}
MASKED: dict[str, dict[str, Any]] = {
    "slack": {"is_enabled": True, "webhook_url": "***"},
    "discord": {"is_enabled": True, "webhook_url": "***"},
    "telegram": {"is_enabled": True, "bot_token": "***", "chat_id": "123456789"},
    "webhook": {"is_enabled": True, "url": "***", "secret": "***"},
}
KINDS = list(SAMPLES)


@pytest.fixture
async def faces(store: SqliteStore) -> AsyncIterator[Faces]:
    faces = Faces.open(store, signup_open=True)
    yield faces
    await faces.office.close()


async def put(beats: Caller, kind: str, **fields: Any) -> dict[str, Any]:
    answer = await beats.ask("PUT", f"{HERE}/{kind}", fields)
    assert (answer.status_code, answer.json()["success"]) == (200, True), answer.text
    shown: dict[str, Any] = answer.json()["data"]
    assert (await beats.get(HERE)).json()["data"][kind] == shown
    return shown


async def stored(faces: Faces, beats: Caller) -> list[dict[str, Any]]:
    """The opened configs of the project's channels, oldest first."""
    actor = await faces.office.manage.authenticate(beats.headers["x-api-key"], "cronbeats")
    rows = await faces.office.manage._channel_rows(actor)
    return [faces.office.vault.open(row.config) for row in rows]


async def test_at_first_nothing_is_configured(beats: Caller) -> None:
    answer = await beats.get(HERE)
    assert (answer.status_code, answer.json()) == (200, {"success": True, "data": CLEARED})


@pytest.mark.parametrize("kind", KINDS)
async def test_the_samples_are_taken_masked_and_tell_at_once(faces: Faces, beats: Caller, kind: str) -> None:
    assert await put(beats, kind, **SAMPLES[kind]) == MASKED[kind]
    [channel] = (await (await faces.caller("tocsin")).get("/api/tocsin/v1/channels")).json()["channels"]
    assert (channel["kind"], channel["label"], channel["enabled"]) == (kind, kind.title(), True)
    assert channel["verified_at"] is not None
    [config] = await stored(faces, beats)
    assert config.items() >= {(name, value) for name, value in SAMPLES[kind].items() if name != "is_enabled"}


@pytest.mark.parametrize("kind", KINDS)
async def test_what_was_read_may_be_sent_back_and_means_what_is_stored(
    faces: Faces, beats: Caller, kind: str
) -> None:
    await put(beats, kind, **SAMPLES[kind])
    before = await stored(faces, beats)
    assert await put(beats, kind, **MASKED[kind]) == MASKED[kind]
    assert await stored(faces, beats) == before


@pytest.mark.parametrize("kind", KINDS)
async def test_it_is_switched_off_and_on_and_forgets_nothing(faces: Faces, beats: Caller, kind: str) -> None:
    await put(beats, kind, **SAMPLES[kind])
    before = await stored(faces, beats)
    assert await put(beats, kind, is_enabled=False) == {**MASKED[kind], "is_enabled": False}
    assert await put(beats, kind) == {**MASKED[kind], "is_enabled": False}
    assert await put(beats, kind, is_enabled=True) == MASKED[kind]
    assert await stored(faces, beats) == before


@pytest.mark.parametrize("kind", KINDS)
async def test_it_may_begin_switched_off(beats: Caller, kind: str) -> None:
    shown = await put(beats, kind, **{**SAMPLES[kind], "is_enabled": False})
    assert shown == {**MASKED[kind], "is_enabled": False}


@pytest.mark.parametrize(
    ("kind", "field"),
    [("slack", "webhook_url"), ("discord", "webhook_url"), ("telegram", "bot_token"), ("telegram", "chat_id"),
     ("webhook", "url")],
)  # fmt: skip
@pytest.mark.parametrize("empty", ["", None])
async def test_an_empty_destination_clears(
    faces: Faces, beats: Caller, kind: str, field: str, empty: str | None
) -> None:
    assert await put(beats, kind, **{field: empty}) == CLEARED[kind]
    await put(beats, kind, **SAMPLES[kind])
    assert await put(beats, kind, **{field: empty, "is_enabled": True}) == CLEARED[kind]
    assert await stored(faces, beats) == []


async def test_a_field_that_is_not_sent_stays_and_a_secret_can_go(faces: Faces, beats: Caller) -> None:
    await put(beats, "webhook", **WEBHOOK)
    await put(beats, "webhook", url="https://your-server.com/other")
    [config] = await stored(faces, beats)
    assert (config["url"], config["secret"]) == ("https://your-server.com/other", "your-secret")
    shown = await put(beats, "webhook", secret="")
    assert (shown["url"], shown["secret"]) == ("***", None)
    [config] = await stored(faces, beats)
    assert "secret" not in config
    await put(beats, "telegram", **TELEGRAM)
    await put(beats, "telegram", chat_id="-1001")
    assert (await stored(faces, beats))[1] == {"bot_token": "123456:ABC-DEF", "chat_id": "-1001"}


async def test_a_secret_has_up_to_64_characters(beats: Caller) -> None:
    assert (await put(beats, "webhook", **{**WEBHOOK, "secret": "x" * 64}))["secret"] == "***"


@pytest.mark.parametrize(
    ("kind", "fields", "named"),
    [
        ("slack", {"webhook_url": "ftp://example.com"}, {"webhook_url"}),
        ("slack", {"webhook_url": 5}, {"webhook_url"}),
        ("slack", {"webhook_url": "https://169.254.169.254/latest"}, {"webhook_url"}),
        ("slack", {"is_enabled": "yes", "webhook_url": "nonsense"}, {"is_enabled", "webhook_url"}),
        ("slack", {**SLACK, "is_enabled": 1}, {"is_enabled"}),
        ("slack", {**SLACK, "is_enabled": None}, {"is_enabled"}),
        ("slack", {"webhook_url": "", "is_enabled": "yes"}, {"is_enabled"}),
        ("telegram", {"bot_token": None, "chat_id": 5}, {"chat_id"}),
        ("webhook", {"url": "", "secret": []}, {"secret"}),
        ("discord", {"webhook_url": "https://10.0.0.1/x"}, {"webhook_url"}),
        ("telegram", {**TELEGRAM, "bot_token": "nonsense"}, {"bot_token"}),
        ("telegram", {"bot_token": "nonsense", "chat_id": "a b"}, {"bot_token", "chat_id"}),
        ("telegram", {**TELEGRAM, "chat_id": 123456789}, {"chat_id"}),
        ("webhook", {**WEBHOOK, "secret": "x" * 65}, {"secret"}),
        ("webhook", {**WEBHOOK, "secret": 5}, {"secret"}),
        ("webhook", {**WEBHOOK, "secret": "two\r\nlines"}, {"secret"}),
        ("webhook", {"url": "x", "secret": "x" * 65, "is_enabled": 0}, {"url", "secret", "is_enabled"}),
    ],
)  # fmt: skip
@pytest.mark.parametrize("is_configured", [False, True])
async def test_all_wrong_fields_are_told_at_once_and_change_nothing(
    faces: Faces, beats: Caller, kind: str, fields: dict[str, Any], named: set[str], *, is_configured: bool
) -> None:
    if is_configured:
        await put(beats, kind, **SAMPLES[kind])
    before = await faces.state()
    answer = await beats.ask("PUT", f"{HERE}/{kind}", fields)
    assert (answer.status_code, answer.json()["error"]) == (422, "validation_error")
    assert answer.json()["errors"].keys() == named
    assert await faces.state() == before


@pytest.mark.parametrize("kind", KINDS)
async def test_nothing_can_be_switched_on_that_leads_nowhere(faces: Faces, beats: Caller, kind: str) -> None:
    for fields in ({"is_enabled": True}, {**MASKED[kind], "chat_id": "1"}):
        answer = await beats.ask("PUT", f"{HERE}/{kind}", fields)
        assert answer.status_code == 422
    assert await put(beats, kind, is_enabled=False) == CLEARED[kind]
    assert await stored(faces, beats) == []


async def test_the_mask_of_a_secret_that_is_not_there_is_no_secret(faces: Faces, beats: Caller) -> None:
    assert (await put(beats, "webhook", **{**WEBHOOK, "secret": "***"}))["secret"] is None
    [config] = await stored(faces, beats)
    assert "secret" not in config


async def make_channel(faces: Faces, beats: Caller, config: dict[str, Any], *, verified: bool) -> None:
    """A channel of the project that another dialect made."""
    manage = faces.office.manage
    actor = await manage.authenticate(beats.headers["x-api-key"], "cronbeats")
    await manage.create_channel(actor, "telegram", "elsewhere", config, verified=verified)


async def test_an_integration_is_the_projects_oldest_channel_of_its_kind(faces: Faces, beats: Caller) -> None:
    for name in ("first", "second"):
        await make_channel(faces, beats, {"bot_token": "1:A", "chat_id": f"@{name}"}, verified=True)
    shown = (await beats.get(HERE)).json()["data"]["telegram"]
    assert shown == {"is_enabled": True, "bot_token": "***", "chat_id": "@first"}
    assert (await put(beats, "telegram", chat_id=""))["chat_id"] == "@second"


async def test_a_channel_that_gets_no_alerts_yet_is_no_integration(faces: Faces, beats: Caller) -> None:
    await make_channel(faces, beats, {"bot_token": "1:A", "chat_id": "@unverified"}, verified=False)
    assert (await beats.get(HERE)).json()["data"]["telegram"] == CLEARED["telegram"]
    assert (await beats.post(f"{HERE}/telegram/test")).status_code == 400
    assert await put(beats, "telegram", **TELEGRAM) == MASKED["telegram"]
    native = await faces.caller("tocsin")
    known = (await native.get("/api/tocsin/v1/channels")).json()["channels"]
    assert [(one["config"]["chat_id"], bool(one["verified_at"])) for one in known] == [
        ("@unverified", False),
        ("123456789", True),
    ]


async def test_the_servers_own_bot_reads_null_and_null_sent_back_keeps_it(
    faces: Faces, beats: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(faces.office.manage._tools.kinds["telegram"], "_own_token", "1:own")
    await make_channel(faces, beats, {"chat_id": "@first"}, verified=True)
    shown = {"is_enabled": True, "bot_token": None, "chat_id": "@first"}
    assert (await beats.get(HERE)).json()["data"]["telegram"] == shown
    assert await put(beats, "telegram", **shown) == shown
    assert await put(beats, "telegram", **{**shown, "chat_id": "@second"}) == {**shown, "chat_id": "@second"}
    assert await put(beats, "telegram", **{**shown, "chat_id": None}) == CLEARED["telegram"]


@pytest.mark.parametrize("kind", KINDS)
async def test_first_configurations_that_come_at_once_make_one_channel(
    faces: Faces, beats: Caller, kind: str
) -> None:
    answers = await asyncio.gather(
        *(beats.ask("PUT", f"{HERE}/{kind}", SAMPLES[kind]) for _ in range(5)),
        beats.ask("PUT", f"{HERE}/{kind}", {**SAMPLES[kind], "is_enabled": False}),
    )
    assert {answer.status_code for answer in answers} == {200}
    assert len(await stored(faces, beats)) == 1


async def test_alert_rules(faces: Faces, beats: Caller) -> None:
    path = f"{HERE}/alert-rules"
    both = {"alert_on_down": True, "alert_on_recovery": True}
    assert (await beats.get(path)).json() == {"success": True, "data": both}
    for changes, rules in (
        ({"alert_on_recovery": False}, {**both, "alert_on_recovery": False}),
        ({}, {**both, "alert_on_recovery": False}),
        ({"alert_on_down": False, "alert_on_recovery": True}, {**both, "alert_on_down": False}),
        (both, both),
    ):
        answer = await beats.ask("PUT", path, changes)
        assert (answer.status_code, answer.json()) == (200, {"success": True, "data": rules})
        assert (await beats.get(path)).json()["data"] == rules


async def test_alert_rules_are_true_or_false(faces: Faces, beats: Caller) -> None:
    before = await faces.state()
    body = {"alert_on_down": "yes", "alert_on_recovery": None}
    answer = await beats.ask("PUT", f"{HERE}/alert-rules", body)
    assert (answer.status_code, answer.json()["errors"].keys()) == (422, body.keys())
    assert await faces.state() == before


async def test_a_test_of_what_is_not_there(beats: Caller) -> None:
    answer = await beats.post(f"{HERE}/pigeon/test")
    assert (answer.status_code, answer.json()["error"]) == (404, "not_found")
    answer = await beats.post(f"{HERE}/slack/test")
    assert (answer.status_code, answer.json()["error"]) == (400, "bad_request")
    assert answer.json()["message"] == "Integration is not configured"


@pytest.mark.parametrize("kind", ["slack", "discord", "webhook"])
async def test_a_test_is_sent_at_once_even_where_it_is_switched_off(beats: Caller, kind: str) -> None:
    field = "url" if kind == "webhook" else "webhook_url"
    with HttpReceiver(Answer(200), Answer(500)) as receiver:
        await put(beats, kind, **{field: f"{receiver.url}/hook", "is_enabled": False})
        answer = await beats.post(f"{HERE}/{kind}/test")
        assert (answer.status_code, answer.json()["data"]["delivered"]) == (200, True)
        assert answer.json()["data"]["type"] == kind
        assert len(receiver.requests) == 1
        failed = await beats.post(f"{HERE}/{kind}/test")
        assert (failed.status_code, failed.json()["error"]) == (502, "delivery_failed")
        assert "500" in failed.json()["message"]


class Workspace:
    """A real server's API with a key, a webhook integration, and a job."""

    def __init__(self, server: Server, receiver: HttpReceiver) -> None:
        self._client = server.client
        self._headers = {"X-API-Key": server.key("cronbeats", f"{receiver.port}@example.com")}
        self.put("webhook", url=receiver.url, secret="your-secret", is_enabled=True)
        job = self._ask("POST", JOBS, {"name": "backup", "expected_interval_seconds": 3600})
        self._ping_url = job["data"]["ping_url"]
        self.succeed()

    def put(self, what: str, **fields: Any) -> None:
        self._ask("PUT", f"{HERE}/{what}", fields)

    def succeed(self) -> None:
        assert self._client.post(self._ping_url).is_success

    def fail(self) -> None:
        assert self._client.post(f"{self._ping_url}/end/fail").is_success

    def _ask(self, method: str, path: str, body: object) -> Any:
        answer = self._client.request(method, path, headers=self._headers, json=body)
        assert answer.is_success, answer.text
        return answer.json()


def events(requests: list[Request]) -> list[str]:
    return [request.json()["event"] for request in requests]


def test_alerts_come_signed(server: Server) -> None:
    with HttpReceiver() as receiver:
        workspace = Workspace(server, receiver)
        workspace.fail()
        workspace.succeed()
        requests = receiver.wait_for(2)
    assert events(requests) == ["monitor.down", "monitor.up"]
    assert requests[0].json()["monitor"]["name"] == "backup"
    for request in requests:
        signature = hmac.new(b"your-secret", request.body, hashlib.sha256).hexdigest()
        assert request.headers["x-webhook-signature"] == f"sha256={signature}"


def test_alerts_obey_the_rules(server: Server) -> None:
    with HttpReceiver() as receiver:
        workspace = Workspace(server, receiver)
        workspace.put("alert-rules", alert_on_recovery=False)
        workspace.fail()
        workspace.succeed()
        workspace.put("alert-rules", alert_on_down=False)
        workspace.fail()
        workspace.succeed()
        workspace.put("alert-rules", alert_on_down=True, alert_on_recovery=True)
        workspace.fail()
        workspace.succeed()
        assert events(receiver.wait_for(3)) == ["monitor.down", "monitor.down", "monitor.up"]


def test_what_is_switched_off_is_not_told(server: Server) -> None:
    with HttpReceiver() as receiver:
        workspace = Workspace(server, receiver)
        workspace.put("webhook", is_enabled=False)
        workspace.fail()
        workspace.succeed()
        workspace.put("webhook", is_enabled=True)
        workspace.fail()
        assert events(receiver.wait_for(1)) == ["monitor.down"]

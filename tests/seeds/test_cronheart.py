"""CronHeart's page from top to bottom: every sample runs, and is answered as the page says."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Serve
from tests.receivers import SmtpReceiver
from tests.seeds.replay import Answer, Page
from tests.seeds.shape import Expected

HOST = "https://cronheart.com"
KEY = "cmk_…"
MONITORS, CHANNELS = "/api/v1/monitors", "/api/v1/channels"
OWNER = "owner@example.com"
MONITOR = {
    "uuid", "name", "schedule_kind", "schedule_expr", "tz", "grace_seconds", "channels", "status",
    "next_expected_at", "snoozed_until", "last_ping_at", "created_at", "ping_url", "badge_url",
}  # fmt: skip
CHANNEL = {"id", "kind", "label", "verified", "config", "created_at"}
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00")


@pytest.fixture
def mailbox() -> Iterator[SmtpReceiver]:
    with SmtpReceiver() as receiver:
        yield receiver


@pytest.fixture
def page(serve: Serve, tmp_path: Path, mailbox: SmtpReceiver) -> Page:
    server = serve(plans="hosted", telegram_bot_token="123456:ABC", smtp_url=mailbox.url, allowed_networks="")
    key = server.key("cronheart", OWNER, "--plan", "starter")
    secret = "0123456789abcdef"
    return Page("cronheart", server, tmp_path, {HOST: server.url, KEY: key, "<16+ chars>": secret})


def test_every_sample_of_the_page_works(page: Page, mailbox: SmtpReceiver) -> None:
    monitors(page)
    channels(page)
    verification(page, mailbox)
    errors(page)
    plan_without_api(page)
    rate_limit(page)
    assert page.left() == []


def monitors(page: Page) -> None:
    created = page.curl(16, 201)
    monitor = created.json()
    assert monitor.keys() == MONITOR
    assert created.headers["location"].endswith(f"{MONITORS}/{monitor['uuid']}")
    sent = json.loads(re.search(r"\{.*\}", page.text(16, "curl"), re.DOTALL)[0])  # type: ignore[index]
    assert sent.pop("channel_ids") == monitor["channels"] == []
    assert {name: monitor[name] for name in sent} == sent
    assert monitor["ping_url"] == f"{page.server.url}/ping/{monitor['uuid']}"
    assert TIME.fullmatch(monitor["created_at"])
    retried = page.curl(16, 201).json()
    assert retried["uuid"] != monitor["uuid"]
    lists = page.curl(7, 200)
    assert [each["uuid"] for each in lists.json()["data"]] == [retried["uuid"], monitor["uuid"]]
    for answer in (created, lists):
        limited(answer)
    words = Expected(page.value(32), {"data", "total"}, more={"limit", "offset"})
    listed = page.ask("GET", f"{MONITORS}?limit=50&offset=0", 200, headers=key(page)).json()
    words.check({**listed, "data": []})
    assert (listed["total"], listed["limit"], listed["offset"]) == (2, 50, 0)
    assert page.ask("GET", f"{MONITORS}/{monitor['uuid']}", 200, headers=key(page)).json() == monitor


def channels(page: Page) -> None:
    made = {}
    for line in (38, 39, 40, 41):
        body = page.body(line)
        channel = page.ask("POST", CHANNELS, 201, headers=key(page), json=body).json()
        assert channel.keys() == CHANNEL, channel
        assert (channel["kind"], channel["label"]) == (body["kind"], body["label"])
        assert channel["verified"] is False
        made[channel["id"]] = channel
        assert page.known["<16+ chars>"] not in json.dumps(channel)
    listed = page.ask("GET", CHANNELS, 200, headers=key(page)).json()
    assert {each["id"]: each for each in listed["data"]} == made
    assert listed["total"] == 4
    for url in ("http://hooks.example.com/", "https://127.0.0.2/", "https://10.0.0.1/", "https://localhost/"):
        body = {**page.body(40), "webhook_url": url}
        page.ask("POST", CHANNELS, 422, problem(page), headers=key(page), json=body)


def verification(page: Page, mailbox: SmtpReceiver) -> None:
    """The link that the address of the page's mail channel got verifies it."""
    [mail] = mailbox.wait_for(1)
    assert mail.recipients == ("ops@example.com",)
    link = re.search(r"/link/\S+", mail.part("plain"))
    assert link is not None
    assert page.server.client.post(link[0]).status_code == 200
    listed = page.ask("GET", CHANNELS, 200, headers=key(page)).json()["data"]
    assert [each["kind"] for each in listed if each["verified"]] == ["email"]


def errors(page: Page) -> None:
    sample = page.value(49)
    body = {"name": "x", "schedule_kind": "interval", "schedule_expr": "3600"}
    page.ask("POST", MONITORS, 422, Expected(sample), headers=key(page), json=body)
    page.ask("POST", MONITORS, 400, trouble(page), headers=key(page), content=b"{")
    page.ask("GET", f"{MONITORS}/00000000-0000-4000-8000-000000000000", 404, trouble(page), headers=key(page))
    for wrong in ({}, {"Authorization": "Bearer cmk_unknown"}):
        answer = page.ask("GET", CHANNELS, 401, headers=wrong)
        trouble(page).check(answer.json())
        assert "x-ratelimit-limit" not in answer.headers


def plan_without_api(page: Page) -> None:
    free = page.server.key("cronheart", OWNER, "--project", "small", "--plan", "free")
    answer = page.ask("GET", f"/cronheart{MONITORS}", 402, headers={"Authorization": f"Bearer {free}"})
    assert "upgrade_url" in answer.json()


def rate_limit(page: Page) -> None:
    """The account's limit, so an account of its own is asked."""
    token = page.server.key("cronheart", "busy@example.com", "--plan", "starter")
    headers = {"Authorization": f"Bearer {token}"}
    answers = [page.ask("GET", MONITORS, 200, headers=headers) for _ in range(120)]
    assert answers[0].headers["x-ratelimit-limit"] == "120"
    assert answers[0].headers["x-ratelimit-remaining"] == "119"
    refused = page.ask("GET", MONITORS, 429, headers=headers)
    assert 1 <= int(refused.headers["retry-after"]) <= 61
    assert refused.json()["retry_after"] == int(refused.headers["retry-after"])


def limited(answer: Answer) -> None:
    """The three rate headers, as the page names them."""
    values = {name: int(answer.headers[f"x-ratelimit-{name}"]) for name in ("limit", "remaining", "reset")}
    assert 0 <= values["remaining"] < values["limit"]
    assert time.time() <= values["reset"] <= time.time() + 61


def problem(page: Page) -> Expected:
    """The documented problem with errors of other fields."""
    sample = page.value(49)
    return Expected({**sample, "errors": {"webhook_url": ""}}, {"webhook_url"})


def trouble(page: Page) -> Any:
    """A problem of another status: the same members but the map."""
    sample = {name: value for name, value in page.value(49).items() if name != "errors"}
    return Expected(sample, {"title", "status", "detail"})


def key(page: Page) -> dict[str, str]:
    return {"Authorization": f"Bearer {page.known[KEY]}"}

"""CronBeats' page from top to bottom: every sample runs, and is answered as the page says."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Serve
from tests.receivers import HttpReceiver
from tests.seeds.replay import Answer, Page
from tests.seeds.shape import MOMENTS, Expected

HOST = "https://cronbeats.com"
KEY = "cb_your_api_key_here"
JOBS, INTEGRATIONS = "/api/v1/jobs", "/api/v1/integrations"
OWNER = "owner@example.com"
OWN = {"id", "job_key", "ping_url", "created_at"}
# What the page leaves out of the answer to a creation (docs/dialects/cronbeats.md).
REST = {
    "description",
    "expected_interval_seconds",
    "grace_seconds",
    "timezone",
    "status",
    "last_ping_at",
    "next_expected_at",
    "updated_at",
}
DAY = 86_400


@pytest.fixture
def page(serve: Serve, tmp_path: Path) -> Page:
    server = serve(plans="hosted")
    key = server.key("cronbeats", OWNER, "--plan", "business")
    known = {HOST: server.url, KEY: key, "123456:ABC...": "123456:ABC-DEF"}
    return Page("cronbeats", server, tmp_path, known)


def test_every_sample_of_the_page_works(page: Page) -> None:
    rate_headers(page)
    job = jobs(page)
    one_job(page, job)
    integrations(page)
    bulk(page)
    errors(page)
    rate_limit(page)
    assert page.left() == []


def rate_headers(page: Page) -> None:
    name, _, value = page.text(13, "headers").partition(": ")
    page.ask("GET", JOBS, 200, headers={name: value})
    answer = page.curl(31, 200)
    samples = [line.split(": ") for at in (49, 53) for line in page.text(at, "headers").splitlines()]
    assert len(samples) == 6
    for name, value in samples:
        assert re.fullmatch(r"\d+", answer.headers[name.lower()]), name
        if "-Limit-" in name:
            assert answer.headers[name.lower()] == value
    now = time.time()
    assert number(answer, "remaining-minute") == 60 - 2
    assert number(answer, "remaining-day") == 20_000 - 2
    assert now <= number(answer, "reset-minute") <= now + 61
    assert number(answer, "reset-day") == (now // DAY + 1) * DAY


def jobs(page: Page) -> Any:
    documented = Expected(page.value(101), OWN)
    body = page.body(83)
    made = page.ask("POST", JOBS, 201, documented, headers=key(page), json=body).json()["data"]
    shown = page.ask("GET", f"{JOBS}/{made['id']}", 200, headers=key(page)).json()["data"]
    assert {name: shown[name] for name in body} == body
    job = page.curl(115, 201, documented).json()["data"]
    assert re.fullmatch(r"[A-Za-z0-9]{8}", job["job_key"])
    assert job["ping_url"] == f"{page.server.url}/ping/{job['job_key']}"
    assert page.server.client.post(job["ping_url"]).status_code == 200
    healthy = page.curl(142, 200).json()["data"]
    assert [each["id"] for each in healthy["jobs"]] == [job["id"]]
    assert healthy["pagination"] == {"page": 1, "per_page": 50, "total": 1, "total_pages": 1}
    return job


def one_job(page: Page, job: Any) -> None:
    one, headers = f"{JOBS}/{job['id']}", key(page)
    shown = page.ask("GET", one, 200, headers=headers).json()["data"]
    assert shown.keys() == OWN | REST | {"name", "is_enabled"}
    assert (shown["status"], shown["is_enabled"]) == ("healthy", True)
    assert (shown["expected_interval_seconds"], shown["grace_seconds"]) == (86400, 600)
    signals = page.ask("GET", f"{one}/signals", 200, headers=headers).json()["data"]
    assert (len(signals["signals"]), signals["pagination"]["total"]) == (1, 1)
    updated = page.ask("PUT", f"{one}/update", 200, headers=headers, json={"name": "Weekly"}).json()["data"]
    assert (updated["name"], updated["grace_seconds"]) == ("Weekly", 600)
    paused = page.ask("POST", f"{one}/pause", 200, headers=headers).json()["data"]
    assert (paused["status"], paused["is_enabled"]) == ("disabled", False)
    assert page.server.client.post(job["ping_url"]).status_code == 404
    resumed = page.ask("POST", f"{one}/resume", 200, headers=headers).json()["data"]
    assert (resumed["status"], resumed["is_enabled"]) == ("pending", True)
    assert page.ask("POST", f"{one}/delete", 204, headers=headers).body == ""
    page.ask("GET", one, 404, failure(page), headers=headers)


def integrations(page: Page) -> None:
    for line in (220, 235, 251, 267):
        assert page.curl(line, 200).json()["success"] is True
    listed = page.curl(207, 200).json()
    assert listed["data"].keys() == {"slack", "discord", "telegram", "webhook"}
    assert all(each["is_enabled"] is True for each in listed["data"].values())
    assert not re.search(r"123456:ABC|hooks.slack.com/services|your-secret", page.curl(207, 200).body)
    with HttpReceiver() as receiver:
        body = {"webhook_url": receiver.url, "is_enabled": True}
        page.ask("PUT", f"{INTEGRATIONS}/slack", 200, headers=key(page), json=body)
        assert page.curl(277, 200).json()["success"] is True
        assert "text" in receiver.wait_for(1)[0].json()
    rules = page.curl(290, 200).json()["data"]
    assert rules == {"alert_on_down": True, "alert_on_recovery": True}
    assert page.ask("GET", f"{INTEGRATIONS}/alert-rules", 200, headers=key(page)).json()["data"] == rules


def bulk(page: Page) -> None:
    made = [page.curl(115, 201).json()["data"]["id"] for _ in range(3)]
    page.ask("POST", f"{JOBS}/{made[2]}/pause", 200, headers=key(page))
    page.known |= {"[123, 456]": str(made[:2]), "[123, 456, 789]": str(made)}
    documented = page.value(320)
    documented["data"]["failed"][0]["id"] = made[2]
    pause = Expected(documented)
    page.ask("POST", f"{JOBS}/bulk/pause", 200, pause, headers=key(page), json=page.body(314))
    for action, done in (("resume", "successfully_resumed"), ("delete", "successfully_deleted")):
        told = Expected({"success": True, "data": {"total_requested": 3, done: 3, "failed": []}})
        page.ask("POST", f"{JOBS}/bulk/{action}", 200, told, headers=key(page), json=page.body(314))
        if action == "resume":
            told = Expected(
                {"success": True, "data": {"total_requested": 2, "successfully_paused": 2, "failed": []}}
            )
            page.curl(336, 200, told)


def errors(page: Page) -> None:
    documented = Expected(page.value(358), {"timestamp"})
    for wrong in ({}, {"X-API-Key": "cb_unknown"}):
        page.ask("GET", JOBS, 401, documented, headers=wrong)
    page.ask("POST", JOBS, 400, failure(page), headers=key(page), content=b"{")
    more = Expected(page.value(358), {"error", "message", "timestamp"}, more={"errors"})
    page.ask("POST", JOBS, 422, more, headers=key(page), json={})
    page.ask("GET", f"{JOBS}/999999", 404, failure(page), headers=key(page))


def rate_limit(page: Page) -> None:
    """All keys of a workspace share the limit, so another workspace is asked."""
    workspace = ("--project", "busy", "--plan", "business")
    keys = [{"X-API-Key": page.server.key("cronbeats", OWNER, *workspace)} for _ in range(2)]
    for number_ in range(60):
        page.ask("GET", JOBS, 200, headers=keys[number_ % 2])
    sample = page.value(61)
    refused = page.ask("GET", JOBS, 429, Expected(sample, {"reset_at"}), headers=keys[0])
    assert MOMENTS[2].fullmatch(refused.json()["error"]["reset_at"])
    assert number(refused, "remaining-minute") == 0


def failure(page: Page) -> Expected:
    return Expected(page.value(358), {"error", "message", "timestamp"})


def number(answer: Answer, name: str) -> int:
    return int(answer.headers[f"x-ratelimit-{name}"])


def key(page: Page) -> dict[str, str]:
    return {"X-API-Key": page.known[KEY]}

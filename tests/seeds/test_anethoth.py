"""The page of CronPing at cronping.anethoth.com from top to bottom: every sample runs as the page says.

It shows no answers but two; those of monitors and pings are docs/dialects/anethoth.md's.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import Serve
from tests.receivers import HttpReceiver
from tests.seeds.replay import Page
from tests.seeds.shape import Expected
from tests.server import Server, every

HOST = "https://cronping.anethoth.com"
MONITORS = "/api/v1/monitors"
ADDRESS = "you@example.com"
# Settled in docs/dialects/anethoth.md, with the values of the page's own request.
MONITOR = {
    "id": "0" * 32,
    "name": "nightly-backup",
    "status": "new",
    "schedule_minutes": 1440,
    "grace_minutes": 30,
    "alert_email": ADDRESS,
    "alert_webhook": "https://hooks.slack.com/services/...",
    "token": "",
    "ping_url": "",
    "last_ping": "2026-04-12 03:00:00",
    "created_at": "2026-04-12 03:00:00",
}
# Webhook addresses are secrets: whole in the answer to the creation only.
MASKED = {**MONITOR, "alert_webhook": "https://hooks.slack.com/***"}
OWN = {"id", "token", "ping_url", "created_at", "last_ping", "alert_email"}
NULLABLE = {"last_ping", "alert_email"}


@pytest.fixture
def page(serve: Serve, tmp_path: Path) -> Page:
    server = serve(signup="open", plans="hosted")
    return Page("cronping-anethoth", server, tmp_path, {HOST: server.url, "[email\xa0protected]": ADDRESS})


def test_every_sample_of_the_page_works(page: Page, serve: Serve) -> None:
    sign_up(page)
    monitors_and_pings(page)
    billing(page)
    webhook_alert(page, serve())
    errors(page)
    assert page.left() == []


def sign_up(page: Page) -> None:
    account = page.curl(19, 201, Expected(page.value(25), {"api_key"})).json()
    assert account["api_key"].startswith("ch_")
    page.known |= dict.fromkeys(("ch_your_api_key_here", "ch_your_key"), account["api_key"])
    name, _, value = page.text(11, "headers").partition(": ")
    page.ask("GET", MONITORS, 200, Expected({"monitors": []}), headers={name: value})


def monitors_and_pings(page: Page) -> None:
    created = page.curl(33, 201, Expected(MONITOR, OWN, NULLABLE)).json()
    assert created["ping_url"] == f"{page.server.url}/ping/{created['token']}"
    page.known["YOUR_TOKEN"] = created["token"]
    page.curl(53, 200, Expected({"monitors": [MASKED]}, OWN, NULLABLE))
    heard = Expected({"ok": True, "monitor": "nightly-backup", "status": "up"})
    for line in (79, 82):
        page.curl(line, 200, heard)
    page.ask("POST", f"/ping/{created['token']}", 200, heard)
    one, key = f"{MONITORS}/{created['id']}", bearer(page)
    detail = page.ask("GET", one, 200, headers=key).json()
    assert len(detail.pop("pings")) == 3
    shown("up").check(detail)
    page.ask("POST", f"{one}/pause", 200, shown("paused"), headers=key)
    page.ask("POST", f"{one}/resume", 200, shown(), headers=key)
    page.ask("DELETE", one, 200, Expected({"deleted": True}), headers=key)
    page.ask("GET", one, 404, error(), headers=key)


def billing(page: Page) -> None:
    page.curl(90, 501, error())


def webhook_alert(page: Page, server: Server) -> None:
    """On a server whose plans know no shortest interval, so that a job is missed soon."""
    sample, key = page.value(99), {"Authorization": f"Bearer {server.key('anethoth')}"}
    with HttpReceiver() as receiver:
        body = {"name": sample["monitor"], "alert_webhook": receiver.url}
        created = server.client.post(MONITORS, json=body, headers=key).json()
        assert server.client.get(created["ping_url"]).status_code == 200
        changed = server.api().call("PATCH", f"/monitors/{created['id']}", json=every(1))
        assert changed.status_code == 200, changed.text
        told = receiver.wait_for(1)[0].json()
    Expected(sample, {"last_ping", "message"}).check(told)
    moment = sample["last_ping"]
    assert told["message"] == sample["message"].replace(moment, told["last_ping"])


def errors(page: Page) -> None:
    key = bearer(page)
    page.ask("POST", MONITORS, 400, error(), json={}, headers=key)
    page.ask("GET", MONITORS, 401, error(), headers={"Authorization": "Bearer ch_unknown"})
    page.ask("POST", "/api/v1/signup", 409, error(), json={"email": ADDRESS})
    for _ in range(3):
        page.ask("POST", MONITORS, 201, json={"name": "one more"}, headers=key)
    full = page.ask("POST", MONITORS, 429, error(), json={"name": "too many"}, headers=key)
    assert "retry-after" not in full.headers


def shown(status: str = "new") -> Expected:
    return Expected({**MASKED, "status": status}, OWN, NULLABLE)


def error() -> Expected:
    return Expected({"error": "", "detail": ""}, {"error", "detail"})


def bearer(page: Page) -> dict[str, str]:
    return {"Authorization": f"Bearer {page.known['ch_your_key']}"}

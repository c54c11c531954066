"""CronPing's page (cronping.com) from top to bottom: every sample runs as the page says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.conftest import Serve
from tests.seeds.replay import Page
from tests.seeds.shape import Expected

HOST, PING_HOST = "https://cronping.com", "https://ping.cronping.com"
HEARTBEATS = "/api/v1/heartbeats"
OWN = {"id", "token", "pingUrl", "createdAt", "updatedAt", "lastPingAt", "nextExpectedAt"}
NULLABLE = {"lastPingAt", "nextExpectedAt"}
LINKS = {"integrationIds"}


@pytest.fixture
def page(serve: Serve, tmp_path: Path) -> Page:
    server = serve(plans="hosted", ping_url=PING_HOST)
    known = {HOST: server.url, "cpk_abc123...": server.key("cronping")}
    return Page("cronping-com", server, tmp_path, known)


def test_every_sample_of_the_page_works(page: Page) -> None:
    creations(page)
    reading(page)
    pings(page)
    integrations(page)
    changes(page)
    from_a_workflow(page)
    errors(page)
    rate_limit(page)
    assert page.left() == []


def creations(page: Page) -> None:
    documented = {**page.value(35)["heartbeats"][0], "status": "new", "graceSeconds": 600, "tags": ""}
    created = page.curl(86, 201, Expected(documented, OWN, NULLABLE, LINKS)).json()
    page.known |= {"550e8400-...": created["id"]}
    assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", created["id"])
    assert created["pingUrl"] == f"{PING_HOST}/{created['token']}"
    node = {
        **documented,
        "name": "worker-node-1",
        "scheduleType": "interval",
        "intervalSeconds": 300,
        "cronExpression": None,
        "timezone": "UTC",
        "graceSeconds": 60,
    }
    upserted = page.curl(98, 201, Expected(node, OWN, NULLABLE, LINKS)).json()
    assert page.curl(98, 200, Expected(node, OWN, NULLABLE, LINKS)).json()["id"] == upserted["id"]


def reading(page: Page) -> None:
    changed = {"graceSeconds": 600, "tags": "prod db critical", "status": "new"}
    documented = {**page.value(35)["heartbeats"][0], **changed}
    page.curl(110, 200, Expected(documented, OWN, NULLABLE, LINKS))
    page.ask("PATCH", one(page), 200, headers=key(page), json={"graceSeconds": 300, "tags": "prod db"})
    token = page.ask("GET", one(page), 200, headers=key(page)).json()["token"]
    ping(page, f"/{token}")
    listed = page.ask("GET", f"{HEARTBEATS}?tag=db", 200, Expected(page.value(35), OWN), headers=key(page))
    # Three in the morning in São Paulo, and five minutes of grace.
    assert listed.json()["heartbeats"][0]["nextExpectedAt"].endswith("T06:05:00.000Z")
    method, path, _ = page.text(8, "request").partition("\n")[0].split()
    headers = dict(line.split(": ") for line in page.text(8, "request").splitlines()[1:])
    assert page.ask(method, path, 200, headers=headers).json()["total"] == 2
    reader = {"X-Api-Key": page.server.key("cronping", "owner@example.com", "--read-only")}
    masked = page.ask("GET", HEARTBEATS, 200, headers=reader).json()["heartbeats"]
    assert all(heartbeat.keys().isdisjoint({"token", "pingUrl"}) for heartbeat in masked)


def pings(page: Page) -> None:
    token = page.ask("GET", one(page), 200, headers=key(page)).json()["token"]
    ping(page, f"/{token}/start")
    ping(page, f"/{token}")
    own = {"id", "heartbeatId", "receivedAt", "ipAddress", "userAgent", "durationMs", "type", "total"}
    listed = page.ask(
        "GET", f"{one(page)}/pings", 200, Expected(page.value(131), own, {"durationMs"}), headers=key(page)
    ).json()
    assert [(each["type"], each["durationMs"] is None) for each in listed["pings"]] == [
        ("success", False),
        ("start", True),
        ("success", True),
    ]
    assert {each["heartbeatId"] for each in listed["pings"]} == {page.known["550e8400-..."]}


def integrations(page: Page) -> None:
    native = page.server.api(page.server.key())
    url = "https://hooks.slack.com/services/..."
    native.post("/channels", {"kind": "slack", "label": "Slack #alerts", "config": {"webhook_url": url}})
    listed = page.ask(
        "GET",
        "/api/v1/integrations",
        200,
        Expected(page.value(152), {"id", "createdAt", "updatedAt"}),
        headers=key(page),
    )
    ids = {"integrationIds": [each["id"] for each in listed.json()["integrations"]]}
    page.ask("PATCH", one(page), 200, headers=key(page), json=ids)
    rest = set(page.value(35)["heartbeats"][0])
    documented = Expected(page.value(65), {"id", "integrationIds"}, more=rest - {"id", "name"})
    assert page.ask("GET", one(page), 200, documented, headers=key(page)).json()["integrationIds"] == [
        *ids["integrationIds"]
    ]


def changes(page: Page) -> None:
    paused = page.ask("POST", f"{one(page)}/pause", 200, headers=key(page)).json()
    assert (paused["status"], paused["paused"]) == ("paused", True)
    resumed = page.ask("POST", f"{one(page)}/resume", 200, headers=key(page)).json()
    assert (resumed["status"], resumed["paused"]) == ("new", False)
    deleted = page.ask("DELETE", one(page), 200, Expected(page.value(116), {"id"}), headers=key(page)).json()
    assert deleted["id"] == page.known["550e8400-..."]


def from_a_workflow(page: Page) -> None:
    page.known["${{ secrets.CRONPING_API_KEY }}"] = page.known["cpk_abc123..."]
    page.known["${{ github.event.repository.name }}"] = "shop"
    step = page.text(176, "code").partition("run: |\n")[2]
    answers = [page.shell(step) for _ in range(2)]
    assert [answer.status for answer in answers] == [201, 200]
    made, updated = (answer.json() for answer in answers)
    assert (made["name"], made["tags"], made["id"]) == ("deploy-health-shop", "ci deploy", updated["id"])


def errors(page: Page) -> None:
    documented = Expected(page.value(165), {"error"})
    page.ask("POST", HEARTBEATS, 400, documented, headers=key(page), json={})
    page.ask("GET", HEARTBEATS, 401, documented)
    page.ask("GET", HEARTBEATS, 401, documented, headers={"X-Api-Key": "cpk_unknown"})
    reader = {"X-Api-Key": page.server.key("cronping", "owner@example.com", "--read-only")}
    page.ask("POST", HEARTBEATS, 403, documented, headers=reader, json={"name": "x", "intervalSeconds": 60})
    page.ask("GET", one(page), 404, documented, headers=key(page))


def rate_limit(page: Page) -> None:
    """A key of its own: the limit is each key's."""
    headers = {"X-Api-Key": page.server.key("cronping")}
    for _ in range(100):
        page.ask("GET", HEARTBEATS, 200, headers=headers)
    refused = page.ask("GET", HEARTBEATS, 429, Expected(page.value(20)), headers=headers)
    assert page.text(23, "headers") == "Header: Retry-After: <seconds>"
    assert 1 <= int(refused.headers["retry-after"]) <= 60
    page.ask("GET", HEARTBEATS, 200, headers=key(page))


def ping(page: Page, path: str) -> None:
    page.ask("GET", path, 200, headers={"Host": "ping.cronping.com"})


def one(page: Page) -> str:
    return f"{HEARTBEATS}/{page.known['550e8400-...']}"


def key(page: Page) -> dict[str, str]:
    return {"X-Api-Key": page.known["cpk_abc123..."]}

"""A plan's limits at every dialect: each refuses with the status that it documents, and changes nothing.

The table has a row for each dialect that is found; one that is added without a row fails here.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from tests.faces import Caller, Faces
from tocsin.domain.plan import PRESETS, parse_plans
from tocsin.store.sqlite import SqliteStore
from tocsin.web.dialect import discover

DIALECTS = sorted(dialect.name for dialect in discover())
LIMIT, SHORTEST_SECONDS = 2, 7_200
Open = Callable[..., Awaitable[tuple[Faces, Caller]]]


@dataclass(frozen=True, slots=True)
class Row:
    """How a dialect makes a monitor (`body` of an interval in seconds) and a channel of kind webhook, and
    what it answers to what a plan does not allow."""

    monitors: str
    body: Callable[[int], dict[str, Any]]
    full: int
    too_short: int
    no_api: int = 403
    channel: tuple[str, str, dict[str, Any]] | None = None

    def of(self, seconds: int) -> dict[str, Any]:
        return {"name": "job", **self.body(seconds)}


URL = "https://hooks.example.com/x"
ROWS = {
    "cronping": Row("/api/v1/heartbeats", lambda seconds: {"intervalSeconds": seconds}, 403, 400),
    "anethoth": Row("/api/v1/monitors", lambda seconds: {"schedule_minutes": seconds // 60}, 429, 400),
    "cronbeats": Row(
        "/api/v1/jobs",
        lambda seconds: {"expected_interval_seconds": seconds},
        403,
        422,
        channel=("PUT", "/api/v1/integrations/webhook", {"is_enabled": True, "url": URL}),
    ),
    "cronheart": Row(
        "/api/v1/monitors",
        lambda seconds: {"schedule_kind": "interval", "schedule_expr": seconds},
        403,
        422,
        402,
        ("POST", "/api/v1/channels", {"kind": "webhook", "label": "hook", "webhook_url": URL}),
    ),
    "cronpeek": Row("/api/v1/monitors", lambda seconds: {"schedule": seconds}, 403, 400),
    "tocsin": Row(
        "/api/tocsin/v1/monitors",
        lambda seconds: {"schedule_expression": str(seconds), "schedule_kind": "interval"},
        403,
        422,
        channel=(
            "POST",
            "/api/tocsin/v1/channels",
            {"kind": "webhook", "label": "hook", "config": {"url": URL}},
        ),
    ),
}


@pytest.fixture
def opened(store: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> Open:
    """A server whose plans come as from a file, and somebody with a key of one dialect."""

    async def open_(dialect: str, **limits: Any) -> tuple[Faces, Caller]:
        monkeypatch.setitem(PRESETS, "own", parse_plans({dialect: {"small": limits}}))
        faces = Faces.open(store, plans="own")
        return faces, await faces.caller(dialect)

    return open_


async def ask(caller: Caller, dialect: str, method: str, path: str, body: object = None) -> httpx.Response:
    return await caller.ask(method, f"/{dialect}{path}", body)


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_the_monitor_limit_is_refused_with_its_number(dialect: str, opened: Open) -> None:
    row = ROWS[dialect]
    faces, caller = await opened(dialect, monitor_limit=LIMIT)
    for _ in range(LIMIT):
        assert (await ask(caller, dialect, "POST", row.monitors, row.of(86_400))).status_code == 201
    before = await faces.state()
    refused = await ask(caller, dialect, "POST", row.monitors, row.of(86_400))
    assert refused.status_code == row.full, refused.text
    assert f"({LIMIT})" in refused.text
    assert "retry-after" not in refused.headers
    assert await faces.state() == before


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_a_plan_without_the_api_refuses_every_request(dialect: str, opened: Open) -> None:
    row = ROWS[dialect]
    faces, caller = await opened(dialect, api_access=False)
    before = await faces.state()
    for method, body in (("GET", None), ("POST", row.of(86_400))):
        refused = await ask(caller, dialect, method, row.monitors, body)
        assert refused.status_code == row.no_api, refused.text
        assert "API access" in refused.text
    assert await faces.state() == before


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_an_interval_below_the_plans_is_a_wrong_field(dialect: str, opened: Open) -> None:
    row = ROWS[dialect]
    faces, caller = await opened(dialect, minimum_interval_seconds=SHORTEST_SECONDS)
    before = await faces.state()
    refused = await ask(caller, dialect, "POST", row.monitors, row.of(SHORTEST_SECONDS - 60))
    assert refused.status_code == row.too_short, refused.text
    assert f"The shortest interval is {SHORTEST_SECONDS} seconds." in refused.text
    assert await faces.state() == before
    assert (await ask(caller, dialect, "POST", row.monitors, row.of(SHORTEST_SECONDS))).status_code == 201


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_too_many_requests_are_a_429_that_says_when_to_come_back(dialect: str, opened: Open) -> None:
    row = ROWS[dialect]
    faces, caller = await opened(dialect, requests_per_minute=2)
    statuses = [(await ask(caller, dialect, "GET", row.monitors)).status_code for _ in range(2)]
    before = await faces.state()
    refused = await ask(caller, dialect, "POST", row.monitors, row.of(86_400))
    assert [*statuses, refused.status_code] == [200, 200, 429]
    assert 1 <= int(refused.headers["retry-after"]) <= 60
    assert await faces.state() == before
    faces.office.hands.pass_(60)
    assert (await ask(caller, dialect, "GET", row.monitors)).status_code == 200


@pytest.mark.parametrize("dialect", [name for name in DIALECTS if ROWS[name].channel])
async def test_a_kind_of_channel_that_the_plan_has_not_is_a_403(dialect: str, opened: Open) -> None:
    channel = ROWS[dialect].channel
    assert channel is not None
    faces, caller = await opened(dialect, channel_kinds=["email"])
    before = await faces.state()
    refused = await ask(caller, dialect, *channel)
    assert refused.status_code == 403, refused.text
    assert "webhook" in refused.text
    assert await faces.state() == before


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_a_plan_that_names_no_limits_allows_all_of_it(dialect: str, opened: Open) -> None:
    row = ROWS[dialect]
    _, caller = await opened(dialect)
    for _ in range(LIMIT + 1):
        assert (await ask(caller, dialect, "POST", row.monitors, row.of(60))).status_code == 201
    if row.channel:
        assert (await ask(caller, dialect, *row.channel)).status_code in (200, 201)


async def test_cron_is_held_to_the_shortest_interval_too(opened: Open) -> None:
    _, caller = await opened("tocsin", minimum_interval_seconds=SHORTEST_SECONDS)
    body = {"name": "job", "schedule_kind": "cron"}
    refused = await caller.post(ROWS["tocsin"].monitors, {**body, "schedule_expression": "0,1 3 1 * *"})
    assert refused.status_code == 422
    assert f"The shortest interval is {SHORTEST_SECONDS} seconds." in refused.text
    made = await caller.post(ROWS["tocsin"].monitors, {**body, "schedule_expression": "0 */2 * * *"})
    assert made.status_code == 201


CHANNELS = "/api/tocsin/v1/channels"
PAGERDUTY = {"kind": "pagerduty", "label": "on call", "config": {"routing_key": "0" * 32}}


@pytest.mark.parametrize(("plan", "status"), [("free", 403), ("pro", 201)])
async def test_pagerduty_is_for_cronpeeks_pro(store: SqliteStore, plan: str, status: int) -> None:
    """CronPeek has no address to make channels at; the native API asks the project's own plan."""
    faces = Faces.open(store)
    await faces.caller("cronpeek", plan=plan, project="shop")
    native = await faces.caller("tocsin", project="shop")
    made = await native.post(CHANNELS, PAGERDUTY)
    assert made.status_code == status, made.text
    if status == 403:
        assert "pagerduty" in made.text
    else:
        assert made.json()["config"] == {"routing_key": "***"}


async def test_the_native_api_opens_no_more_monitors_than_the_projects_own_plan(store: SqliteStore) -> None:
    faces = Faces.open(store)
    await faces.caller("cronpeek", plan="free", project="shop")
    native, row = await faces.caller("tocsin", project="shop"), ROWS["tocsin"]
    statuses = [(await native.post(row.monitors, row.of(3600))).status_code for _ in range(6)]
    assert statuses == [201] * 5 + [403]


async def test_anybody_may_have_pagerduty_where_plans_have_no_gates(store: SqliteStore) -> None:
    native = await Faces.open(store, plans="self-hosted").caller("tocsin")
    made = await native.post(CHANNELS, PAGERDUTY)
    assert made.status_code == 201, made.text
    [shown] = (await native.get(CHANNELS)).json()["channels"]
    assert (shown["kind"], shown["config"]) == ("pagerduty", {"routing_key": "***"})

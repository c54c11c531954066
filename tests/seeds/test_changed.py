"""Each sample that creates something, with other values than the page's: what was asked for is what the
native API and another dialect of the same project show, and its alert arrives as its dialect words it."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.receivers import HttpReceiver, Request, SmtpReceiver
from tests.seeds.samples import samples
from tests.server import Server, every
from tests.tongues import TONGUES

NATIVE = "/api/tocsin/v1/monitors"
SECRET = "another-secret-of-ours"


@dataclass(frozen=True, slots=True)
class Case:
    """A sample of a seed, by its line. `native` is what the native API shows of the monitor that it made with
    `changes`, `other` what another dialect shows (its name, its list, and how to find the items there)."""

    dialect: str
    seed: str
    line: int
    changes: dict[str, Any]
    native: dict[str, Any]
    other: tuple[str, str, tuple[str, ...]]
    shown: dict[str, Any]
    drops: tuple[str, ...] = field(default=())


def interval(seconds: int, grace_seconds: int, **more: Any) -> dict[str, Any]:
    return {**every(seconds, grace_seconds), **more}


def cron(expression: str, timezone: str, grace_seconds: int) -> dict[str, Any]:
    schedule = {"schedule_kind": "cron", "schedule_expression": expression, "timezone": timezone}
    return {**schedule, "grace_seconds": grace_seconds}


AS_CRONPEEK = ("cronpeek", "/cronpeek/api/v1/monitors", ("monitors",))
AS_CRONBEATS = ("cronbeats", "/cronbeats/api/v1/jobs", ("data", "jobs"))
AS_CRONPING = ("cronping", "/cronping/api/v1/heartbeats", ("heartbeats",))
AS_CRONHEART = ("cronheart", "/cronheart/api/v1/monitors", ("data",))
AS_ANETHOTH = ("anethoth", "/anethoth/api/v1/monitors", ("monitors",))
CASES = [
    Case(
        "cronpeek", "cronpeek", 23, {"schedule": 5400}, interval(5400, 540),
        AS_ANETHOTH, {"schedule_minutes": 90, "grace_minutes": 9},
    ),
    Case(
        "cronpeek", "cronpeek", 104, {"schedule": 7200, "grace": 600}, interval(7200, 600),
        AS_CRONBEATS, {"expected_interval_seconds": 7200, "grace_seconds": 600},
        ("alertWebhook",),
    ),
    Case(
        "anethoth", "cronping-anethoth", 33, {"schedule_minutes": 45, "grace_minutes": 3},
        interval(2700, 180),
        AS_CRONPEEK, {"schedule": 2700, "grace": 180},
        ("alert_webhook",),
    ),
    Case(
        "cronping", "cronping-com", 86,
        {"cronExpression": "15 4 * * 1-5", "timezone": "Europe/Berlin", "graceSeconds": 900},
        cron("15 4 * * 1-5", "Europe/Berlin", 900),
        AS_CRONHEART, {"schedule_kind": "cron", "schedule_expr": "15 4 * * 1-5", "tz": "Europe/Berlin"},
    ),
    Case(
        "cronping", "cronping-com", 98, {"unique": "node-7", "intervalSeconds": 90, "graceSeconds": 0},
        interval(90, 0), AS_CRONPEEK, {"schedule": 90, "grace": 0},
    ),
    Case(
        "cronping", "cronping-com", 176, {"unique": "shop", "intervalSeconds": 61, "tags": "blue green"},
        interval(61, 60, tags=["blue", "green"]), AS_CRONHEART, {"schedule_expr": "61", "grace_seconds": 60},
    ),
    Case(
        "cronbeats", "cronbeats", 83,
        {"expected_interval_seconds": 1800, "grace_seconds": 120, "timezone": "Asia/Tokyo",
         "description": "to S3"},
        interval(1800, 120, timezone="Asia/Tokyo", description="to S3"),
        AS_CRONPING, {"intervalSeconds": 1800, "graceSeconds": 120, "scheduleType": "interval"},
    ),
    Case(
        "cronbeats", "cronbeats", 115, {"expected_interval_seconds": 60}, interval(60, 600),
        AS_CRONHEART, {"schedule_kind": "interval", "schedule_expr": "60", "grace_seconds": 600},
    ),
    Case(
        "cronheart", "cronheart", 16,
        {"schedule_kind": "cron", "schedule_expr": "*/5 * * * *", "tz": "America/New_York",
         "grace_seconds": 7},
        cron("*/5 * * * *", "America/New_York", 7),
        AS_ANETHOTH, {"schedule_minutes": 5},
    ),
    Case(
        "cronheart", "cronheart", 16, {"schedule_kind": "simple", "schedule_expr": "daily at 04:30"},
        {"schedule_kind": "simple", "schedule_expression": "daily at 04:30", "grace_seconds": 60},
        AS_CRONPEEK, {"schedule": 86400, "grace": 60},
    ),
]  # fmt: skip


@pytest.fixture(scope="module")
def mailbox() -> Iterator[SmtpReceiver]:
    with SmtpReceiver() as receiver:
        yield receiver


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, mailbox: SmtpReceiver) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("server")
    with Server(folder, allowed_networks="127.0.0.0/8", smtp_url=mailbox.url) as running:
        yield running


class Project:
    """A project of its own, asked in several dialects."""

    def __init__(self, server: Server, name: str) -> None:
        self._server = server
        key = server.key("tocsin", f"{name}@example.com", "--project", name)
        self._headers = {"tocsin": TONGUES["tocsin"].headers(key)}

    def ask(self, dialect: str, method: str, path: str, body: Any = None) -> Any:
        """The answer, decoded; fails on any error."""
        if dialect not in self._headers:
            made = self.ask("tocsin", "POST", "/api/tocsin/v1/keys", {"dialect": dialect})
            self._headers[dialect] = TONGUES[dialect].headers(made["key"])
        answer = self._server.client.request(method, path, json=body, headers=self._headers[dialect])
        assert answer.is_success, (method, path, answer.text)
        return answer.json()

    def create(self, dialect: str, body: Any) -> dict[str, Any]:
        """Make a monitor in a dialect; the native API's view of it."""
        tongue = TONGUES[dialect]
        self.ask(dialect, "POST", f"{tongue.base}{tongue.jobs}", body)
        [made] = self.ask("tocsin", "GET", NATIVE)["monitors"]
        found: dict[str, Any] = made
        return found


def sent(seed: str, line: int) -> dict[str, Any]:
    """What the sample in this line of a seed sends."""
    [sample] = [one for one in samples(seed) if one.line == line]
    body: dict[str, Any] = sample.value() if sample.kind == "json" else sample.sent()
    return body


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.seed}-{case.line}")
def test_a_creation_with_other_values_is_what_all_others_show(server: Server, case: Case) -> None:
    project = Project(server, f"changed{CASES.index(case)}")
    body = {name: value for name, value in sent(case.seed, case.line).items() if name not in case.drops}
    name = f"Sauvegarde n° {case.line} ✓"
    made = project.create(case.dialect, {**body, **case.changes, "name": name})
    assert {key: made[key] for key in ("name", *case.native)} == {"name": name, **case.native}
    dialect, path, keys = case.other
    shown = project.ask(dialect, "GET", path)
    for key in keys:
        shown = shown[key]
    assert [{key: item[key] for key in ("name", *case.shown)} for item in shown] == [
        {"name": name, **case.shown}
    ]


# Alerts, each in the way of the dialect that made the monitor. ------------------------------------------


def cronpeek(project: Project, url: str) -> dict[str, Any]:
    return project.create("cronpeek", {**sent("cronpeek", 104), "name": "told", "alertWebhook": url})


def anethoth(project: Project, url: str) -> dict[str, Any]:
    return project.create("anethoth", {**sent("cronping-anethoth", 33), "name": "told", "alert_webhook": url})


def cronbeats(project: Project, url: str) -> dict[str, Any]:
    hook = {**sent("cronbeats", 267), "url": url, "secret": SECRET}
    project.ask("cronbeats", "PUT", "/cronbeats/api/v1/integrations/webhook", hook)
    return project.create("cronbeats", {**sent("cronbeats", 115), "name": "told"})


def cronheart(project: Project, url: str) -> dict[str, Any]:
    """Nobody is named: whoever is verified is told."""
    hook = {**sent("cronheart", 40), "webhook_url": url, "secret": SECRET}
    channel = project.ask("cronheart", "POST", "/cronheart/api/v1/channels", hook)
    tested = project.ask("cronheart", "POST", f"/cronheart/api/v1/channels/{channel['id']}/test")
    assert (tested["delivered"], tested["newly_verified"]) == (True, True)
    return project.create("cronheart", {**sent("cronheart", 16), "name": "told"})


def cronping(project: Project, url: str) -> dict[str, Any]:
    hook = {"kind": "slack", "label": "Slack #alerts", "config": {"webhook_url": url}}
    project.ask("tocsin", "POST", "/api/tocsin/v1/channels", hook)
    [integration] = project.ask("cronping", "GET", "/cronping/api/v1/integrations")["integrations"]
    body = {**sent("cronping-com", 86), "name": "told", "integrationIds": [integration["id"]]}
    return project.create("cronping", body)


def house(request: Request) -> None:
    told = request.json()
    assert (told["event"], told["reason"]) == ("monitor.down", "failed")
    assert (told["monitor"]["name"], told["monitor"]["status"]) == ("told", "down")
    assert request.headers["idempotency-key"] == told["id"]


def signed(request: Request) -> None:
    house(request)
    digest = hmac.new(SECRET.encode(), request.body, hashlib.sha256).hexdigest()
    assert request.headers["x-webhook-signature"] == f"sha256={digest}"


def slack(request: Request) -> None:
    told = request.json()
    assert "told" in told["text"]
    assert "down" in told["text"]


def four_keys(request: Request) -> None:
    told = request.json()
    last = told["last_ping"]
    text = f"Monitor 'told' missed its check-in. Last ping: {last}"
    assert told == {"monitor": "told", "status": "down", "last_ping": last, "message": text}


ALERTS: dict[str, tuple[Callable[[Project, str], dict[str, Any]], str, Callable[[Request], None]]] = {
    "anethoth": (anethoth, "", four_keys),
    "cronbeats": (cronbeats, "/end/fail", signed),
    "cronheart": (cronheart, "/fail", signed),
    "cronpeek": (cronpeek, "/fail", house),
    "cronping": (cronping, "/fail", slack),
}


def bring_down(server: Server, project: Project, dialect: str, monitor: dict[str, Any]) -> None:
    """A ping, and then whatever makes an alert in this dialect."""
    fails_at = ALERTS[dialect][1]
    assert server.client.get(monitor["ping_url"]).status_code == 200
    if fails_at:
        server.client.get(f"{monitor['ping_url']}{fails_at}")
    else:
        # No word of this dialect says that a job failed, and no schedule of it is short.
        project.ask("tocsin", "PATCH", f"{NATIVE}/{monitor['id']}", every(1))


@pytest.mark.parametrize("dialect", ALERTS)
def test_an_alert_arrives_as_its_dialect_words_it(server: Server, dialect: str) -> None:
    make, _, judge = ALERTS[dialect]
    project = Project(server, f"alerts-{dialect}")
    with HttpReceiver() as receiver:
        monitor = make(project, receiver.url)
        before = len(receiver.requests)
        bring_down(server, project, dialect, monitor)
        judge(receiver.wait_for(before + 1)[before])


def test_an_alert_goes_to_the_people_where_the_vendor_mails_them(
    server: Server, mailbox: SmtpReceiver
) -> None:
    """Of these four all but CronHeart, whose monitors tell channels only."""
    mailed = {"anethoth", "cronbeats", "cronpeek", "cronping"}
    with HttpReceiver() as receiver:
        for dialect in sorted(ALERTS):
            project = Project(server, f"mails-{dialect}")
            bring_down(server, project, dialect, ALERTS[dialect][0](project, receiver.url))
    server.wait_until(
        lambda: (
            mailed <= {mail.recipients[0].partition("@")[0].removeprefix("mails-") for mail in mailbox.mails}
        ),
        "all owners have mail",
    )

"""CronBeats' pings: what each address means, what it is told, and what the list of signals makes of it."""

from __future__ import annotations

import json
import re
import time
from typing import Any

import httpx
import pytest

from tests.conftest import Serve
from tests.server import Server
from tocsin.domain.monitor import Policy, State, Status
from tocsin.domain.ping import Flag, Kind, Signal
from tocsin.domain.schedule import parse_schedule
from tocsin.engine.intake import Answer
from tocsin.web.dialects.cronbeats import pings
from tocsin.web.dialects.cronbeats.signals import message

JOBS = "/api/v1/jobs"
TIME = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d")
NOT_FOUND = {"status": "error", "message": "Job not found or disabled"}
NOON = 1_772_020_800_000_000  # 2026-02-25 12:00:00 UTC
SIGNAL_KEYS = {
    "id", "type", "received_at", "ip_address", "user_agent", "duration_ms", "message", "exit_code",
    "progress",
}  # fmt: skip


def answer(
    kind: Kind = Kind.SUCCESS, *, at: int = NOON, due_at: int | None = None, flags: int = 0, **state: Any
) -> Answer:
    policy = Policy(parse_schedule("interval", "60", "UTC"), 60)
    stored = State(**{"status": Status.UP, "due_at": due_at, **state})
    return Answer("cronbeats", "backup", policy, stored, kind, at, None, token="abc123de", flags=flags)


def test_a_ping_is_told_what_the_vendor_publishes() -> None:
    reply = pings.reply(answer(flags=Flag.HEARTBEAT))
    told = json.loads(reply.body)
    assert (reply.status, reply.content_type) == (200, b"application/json")
    assert type(told.pop("processing_time_ms")) is float
    assert told == {
        "status": "success",
        "message": "OK",
        "action": "ping",
        "job_key": "abc123de",
        "timestamp": "2026-02-25 12:00:00",
        "next_expected": None,
    }


def test_the_next_ping_is_named_where_one_is_expected() -> None:
    told = json.loads(pings.reply(answer(due_at=NOON + 3_600_000_000)).body)
    assert told["next_expected"] == "2026-02-25 13:00:00"


@pytest.mark.parametrize(("ago", "low", "high"), [(8_250, 8.25, 2_000), (-60_000_000, 0, 0)])
def test_the_time_of_processing_is_milliseconds_since_the_arrival(ago: int, low: float, high: float) -> None:
    told = json.loads(pings.reply(answer(at=time.time_ns() // 1000 - ago)).body)
    assert low <= told["processing_time_ms"] <= high


@pytest.mark.parametrize(
    ("action", "kind", "percent", "word"),
    [
        ("", Kind.SUCCESS, None, "ping"),
        ("start", Kind.START, None, "start"),
        ("end/success", Kind.SUCCESS, None, "end"),
        ("end/fail", Kind.FAIL, None, "end"),
        ("progress", Kind.PROGRESS, None, "progress"),
        ("progress/0", Kind.PROGRESS, 0, "progress"),
        ("progress/40", Kind.PROGRESS, 40, "progress"),
        ("progress/100", Kind.PROGRESS, 100, "progress"),
    ],
)
def test_what_an_address_means(action: str, kind: Kind, percent: int | None, word: str) -> None:
    reading = pings.read(Signal("abc123de", action, b"", "POST", [], "192.0.2.1", b"", body_was_cut=False))
    assert reading is not None
    assert (reading.kind, reading.exit_code) == (kind, percent)
    told = json.loads(pings.reply(answer(reading.kind, flags=reading.flags)).body)
    assert told["action"] == word


@pytest.mark.parametrize(
    "action",
    ["end", "end/", "end/ok", "success", "fail", "log", "0", "progress/101", "progress/-1", "progress/x",
     "progress/", "progress/1.5", "progress/007", "start/x", "END/SUCCESS"],
)  # fmt: skip
def test_no_other_address_is_a_ping(action: str) -> None:
    signal = Signal("abc123de", action, b"", "POST", [], "192.0.2.1", b"", body_was_cut=False)
    assert pings.read(signal) is None


@pytest.mark.parametrize("kind", Kind)
def test_a_disabled_job_is_told_that_it_is_not_found(kind: Kind) -> None:
    reply = pings.reply(answer(kind, status=Status.PAUSED))
    assert (reply.status, json.loads(reply.body)) == (404, NOT_FOUND)


@pytest.mark.parametrize(("status", "text"), [(404, "Job not found or disabled"), (429, "Too many requests")])
def test_errors_of_pings_have_a_shape_of_their_own(status: int, text: str) -> None:
    reply = pings.refuse(status)
    assert (reply.status, json.loads(reply.body)) == (status, {"status": "error", "message": text})


@pytest.mark.parametrize("status", [400, 405, 413, 503])
def test_other_errors_of_pings_have_it_too(status: int) -> None:
    told = json.loads(pings.refuse(status).body)
    assert told.keys() == {"status", "message"}
    assert told["status"] == "error"
    assert told["message"]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", None),
        (b'{"message":"Processing batch 500/1000"}', "Processing batch 500/1000"),
        (b'{"message":""}', None),
        (b'{"message":5}', '{"message":5}'),
        (b'{"other":"x"}', '{"other":"x"}'),
        (b'["message"]', '["message"]'),
        (b"plain text", "plain text"),
        (b"\xff\xfe", "\ufffd\ufffd"),
        ("é".encode() * 300, "é" * 255),
        (json.dumps({"message": "x" * 300}).encode(), "x" * 255),
    ],
)
def test_the_message_of_a_signal(body: bytes, said: str | None) -> None:
    assert message(body) == said


class Beats:
    """The API of a real server with a key."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self._headers = {"X-API-Key": server.key("cronbeats")}

    def ask(self, method: str, path: str, body: object = None) -> httpx.Response:
        return self.server.client.request(method, path, headers=self._headers, json=body)

    def create(self) -> dict[str, Any]:
        made = self.ask("POST", JOBS, {"name": "backup", "expected_interval_seconds": 3600})
        created: dict[str, Any] = made.json()["data"]
        return created

    def job(self, job: dict[str, Any]) -> dict[str, Any]:
        shown: dict[str, Any] = self.ask("GET", f"{JOBS}/{job['id']}").json()["data"]
        return shown

    def signals(self, job: dict[str, Any], **query: int) -> dict[str, Any]:
        path = str(httpx.URL(f"{JOBS}/{job['id']}/signals", params=query))
        answer = self.ask("GET", path)
        assert (answer.status_code, answer.json()["success"]) == (200, True)
        listed: dict[str, Any] = answer.json()["data"]
        return listed


def test_a_jobs_life(server: Server) -> None:
    beats = Beats(server)
    job = beats.create()
    url, client = job["ping_url"], server.client
    assert url == f"{server.url}/ping/{job['job_key']}"

    for tail, body, word in (
        ("/start", None, "start"),
        ("/progress/40", {"message": "Processing batch 400/1000"}, "progress"),
        ("/progress", {"message": "Almost done"}, "progress"),
        ("/end/success", None, "end"),
        ("", None, "ping"),
        ("/end/fail", None, "end"),
    ):
        reply = client.post(url + tail, json=body) if body else client.post(url + tail)
        told = reply.json()
        assert (reply.status_code, told["status"], told["action"]) == (200, "success", word)
        assert (told["job_key"], told["message"]) == (job["job_key"], "OK")
        assert TIME.fullmatch(told["timestamp"])
        assert isinstance(told["processing_time_ms"], float)
        assert told["next_expected"] is None or TIME.fullmatch(told["next_expected"])
        if tail == "":
            shown = beats.job(job)
            assert (shown["status"], shown["next_expected_at"][:10]) == (
                "healthy",
                told["next_expected"][:10],
            )
    assert beats.job(job)["status"] == "down"

    listed = beats.signals(job)
    assert listed["pagination"] == {"page": 1, "per_page": 50, "total": 6, "total_pages": 1}
    assert [(each["type"], each["message"], each["progress"]) for each in listed["signals"]] == [
        ("fail", None, None),
        ("ping", None, None),
        ("success", None, None),
        ("progress", "Almost done", None),
        ("progress", "Processing batch 400/1000", 40),
        ("start", None, None),
    ]
    success = listed["signals"][2]
    assert success.keys() == SIGNAL_KEYS
    assert type(success["id"]) is int
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", success["received_at"])
    assert success["ip_address"] == "127.0.0.1"
    assert success["user_agent"].startswith("python-httpx")
    assert success["duration_ms"] >= 0
    assert all(each["exit_code"] is None for each in listed["signals"])
    second = beats.signals(job, page=2, per_page=4)
    assert second["signals"] == listed["signals"][4:]
    assert second["pagination"] == {"page": 2, "per_page": 4, "total": 6, "total_pages": 2}


@pytest.mark.parametrize("prefix", ["", "/cronbeats"])
def test_get_post_and_head_are_pings(server: Server, prefix: str) -> None:
    beats = Beats(server)
    job = beats.create()
    path = f"{prefix}/ping/{job['job_key']}"
    for method in ("GET", "POST", "HEAD"):
        reply = server.client.request(method, path)
        assert (reply.status_code, reply.content == b"") == (200, method == "HEAD")
    assert beats.signals(job)["pagination"]["total"] == 3
    refused = server.client.put(path)
    assert (refused.status_code, refused.json().keys()) == (405, {"status", "message"})


def test_a_paused_jobs_pings_are_a_404_and_stored(server: Server) -> None:
    beats = Beats(server)
    job = beats.create()
    beats.ask("POST", f"{JOBS}/{job['id']}/pause")
    for tail in ("", "/start", "/end/fail", "/progress/50"):
        reply = server.client.post(job["ping_url"] + tail)
        assert (reply.status_code, reply.json()) == (404, NOT_FOUND)
    assert beats.signals(job)["pagination"]["total"] == 4
    assert beats.job(job)["status"] == "disabled"
    beats.ask("POST", f"{JOBS}/{job['id']}/resume")
    assert server.client.post(job["ping_url"]).status_code == 200
    assert beats.job(job)["status"] == "healthy"


def test_an_unknown_job_or_action_and_a_deleted_job_are_a_404(server: Server) -> None:
    beats = Beats(server)
    job = beats.create()
    for path in ("/ping/abc123de", f"{job['ping_url']}/nonsense", f"{job['ping_url']}/progress/101"):
        reply = server.client.post(path)
        assert (reply.status_code, reply.json()) == (404, NOT_FOUND)
    assert beats.signals(job)["pagination"]["total"] == 0
    assert server.client.post(job["ping_url"]).status_code == 200
    assert beats.ask("POST", f"{JOBS}/{job['id']}/delete").status_code == 204
    reply = server.client.post(job["ping_url"])
    assert (reply.status_code, reply.json()) == (404, NOT_FOUND)
    [row] = server.rows("SELECT name, deleted_at FROM monitor WHERE id = ?", job["id"])
    assert (row["name"], row["deleted_at"] is not None) == ("backup", True)


def test_guessing_job_keys_ends_in_a_429(serve: Serve) -> None:
    server = serve(unknown_token_limit_per_minute=2)
    replies = [server.client.post(f"/ping/guess00{number}") for number in range(3)]
    assert [reply.status_code for reply in replies] == [404, 404, 429]
    assert replies[2].json() == {"status": "error", "message": "Too many requests"}
    assert 1 <= int(replies[2].headers["retry-after"]) <= 60


def test_pings_of_monitors_that_were_made_elsewhere_are_signals_too(server: Server) -> None:
    api, beats = server.api(), Beats(server)
    made = api.create("native")
    server.ping(made)
    server.ping(made, "log")
    server.ping(made, "3")
    job = beats.ask("GET", JOBS).json()["data"]["jobs"][0]
    assert (job["name"], job["ping_url"]) == ("native", made["ping_url"])
    signals = beats.signals(job)["signals"]
    assert [(each["type"], each["exit_code"]) for each in signals] == [
        ("fail", 3),
        ("log", None),
        ("success", None),
    ]


def test_who_pages_signals_by_their_total_comes_to_an_end_where_old_ones_were_pruned(server: Server) -> None:
    beats = Beats(server)
    job = beats.create()
    for _ in range(5):
        server.client.post(job["ping_url"])
    newest = [each["id"] for each in beats.signals(job)["signals"]]
    assert server.change("DELETE FROM ping WHERE monitor_id = ? AND id <= ?", job["id"], newest[3]) == 2
    seen: list[int] = []
    for page in (1, 2):
        listed = beats.signals(job, page=page, per_page=2)
        seen += [each["id"] for each in listed["signals"]]
    assert seen == newest[:3]
    assert listed["pagination"] == {"page": 2, "per_page": 2, "total": 3, "total_pages": 2}

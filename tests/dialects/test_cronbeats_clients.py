"""CronBeats' own clients, as they are published, against the real server: every call, every error of theirs.

Both take the address of the server as an option (`base_url`, `baseUrl`); nothing about them is changed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
from cronbeats_python import ApiError, PingClient, ValidationError

from tests.conftest import Serve
from tests.node import require_node, run_node
from tests.server import Server

JOBS = "/api/v1/jobs"
TIME = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d")
CALLS: list[list[Any]] = [
    ["ping"],
    ["start"],
    ["progress", 50, "Processing batch 500/1000"],
    ["progress", {"seq": 75, "message": "Almost done - 750/1000"}],
    ["progress", None, "Connecting to database..."],
    ["progress", {"message": "Starting data sync..."}],
    ["progress", 100],
    ["progress", 0, "ä" * 300],
    ["end"],
    ["end", "success"],
    ["success"],
    ["end", "fail"],
    ["fail"],
]
ACTIONS = ["ping", "start", *["progress"] * 6, *["end"] * 5]
SIGNALS = [
    ("ping", None, None),
    ("start", None, None),
    ("progress", "Processing batch 500/1000", 50),
    ("progress", "Almost done - 750/1000", 75),
    ("progress", "Connecting to database...", None),
    ("progress", "Starting data sync...", None),
    ("progress", None, 100),
    ("progress", "ä" * 255, 0),
    *[("success", None, None)] * 3,
    *[("fail", None, None)] * 2,
]

Outcome = dict[str, Any]


class Client(NamedTuple):
    """A client: `call(base, key, calls)` gives what each call came to, {"result"} or {"error"}."""

    call: Callable[[str, str, list[list[Any]]], list[Outcome]]
    user_agent: str


def call_python(base: str, key: str, calls: list[list[Any]]) -> list[Outcome]:
    options = {"base_url": base, "max_retries": 1, "retry_backoff_ms": 1, "retry_jitter_ms": 0}
    client = PingClient(key, options)
    return [_outcome(client, method, values) for method, *values in calls]


def _outcome(client: PingClient, method: str, values: list[Any]) -> Outcome:
    try:
        return {"result": getattr(client, method)(*values)}
    except ApiError as error:
        return {
            "error": {
                "code": error.code,
                "httpStatus": error.http_status,
                "retryable": error.retryable,
                "message": str(error),
            }
        }


def call_node(base: str, key: str, calls: list[list[Any]]) -> list[Outcome]:
    asked = json.dumps({"base": base, "key": key, "calls": calls})
    came: list[Outcome] = json.loads(run_node("cronbeats.js", asked))
    return came


PYTHON = Client(call_python, "cronbeats-python-sdk/0.1.0")
NODE = Client(call_node, "cronbeats-node-sdk/0.1.0")


@pytest.fixture(params=[PYTHON, NODE], ids=["python", "node"])
def client(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Client:
    chosen: Client = request.param
    if chosen is NODE:
        require_node()
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    return chosen


class Beats:
    """The API of a real server with a key."""

    def __init__(self, server: Server) -> None:
        self._client = server.client
        self._headers = {"X-API-Key": server.key("cronbeats")}

    def ask(self, method: str, path: str, body: object = None) -> Any:
        answer = self._client.request(method, path, headers=self._headers, json=body)
        assert answer.is_success, answer.text
        return answer.json()["data"] if answer.content else None

    def create(self) -> dict[str, Any]:
        job: dict[str, Any] = self.ask("POST", JOBS, {"name": "job", "expected_interval_seconds": 3600})
        return job


@pytest.mark.parametrize("prefix", ["", "/cronbeats", "/cronbeats/"])
def test_every_call_is_taken_and_understood(server: Server, client: Client, prefix: str) -> None:
    beats = Beats(server)
    job = beats.create()
    outcomes = client.call(server.url + prefix, job["job_key"], CALLS)
    assert [outcome.get("error") for outcome in outcomes] == [None] * len(CALLS)
    results = [outcome["result"] for outcome in outcomes]
    assert [result["action"] for result in results] == ACTIONS
    for result in results:
        assert (result["ok"], result["jobKey"]) == (True, job["job_key"])
        assert TIME.fullmatch(result["timestamp"])
        assert 0 < result["processingTimeMs"] < 60_000
        assert result["nextExpected"] is None or TIME.fullmatch(result["nextExpected"])
        # What the client did not have to make up.
        assert (result["raw"]["status"], result["raw"]["message"]) == ("success", "OK")
        assert (result["raw"]["action"], result["raw"]["job_key"]) == (result["action"], job["job_key"])
        # JavaScript writes 8.0 as 8.
        assert isinstance(result["raw"]["processing_time_ms"], float | int)
    assert results[0]["nextExpected"] is not None
    signals = beats.ask("GET", f"{JOBS}/{job['id']}/signals")["signals"]
    assert [(each["type"], each["message"], each["progress"]) for each in reversed(signals)] == SIGNALS
    assert {each["user_agent"] for each in signals} == {client.user_agent}
    assert beats.ask("GET", f"{JOBS}/{job['id']}")["status"] == "down"


def test_an_unknown_a_paused_and_a_deleted_job_is_not_found(server: Server, client: Client) -> None:
    beats = Beats(server)
    paused, deleted = beats.create(), beats.create()
    beats.ask("POST", f"{JOBS}/{paused['id']}/pause")
    beats.ask("POST", f"{JOBS}/{deleted['id']}/delete")
    not_found = {
        "code": "NOT_FOUND",
        "httpStatus": 404,
        "retryable": False,
        "message": "Job not found or disabled",
    }
    for key in ("abc123de", paused["job_key"], deleted["job_key"]):
        assert client.call(server.url, key, [["ping"], ["fail"]]) == [{"error": not_found}] * 2
    assert client.call(server.url, beats.create()["job_key"], [["progress", 101]]) == [{"error": not_found}]


def test_a_429_is_told_as_one_that_may_be_retried(serve: Serve, client: Client) -> None:
    server = serve(unknown_token_limit_per_minute=1)
    [first, second] = client.call(server.url, "abc123de", [["ping"], ["ping"]])
    assert first["error"]["code"] == "NOT_FOUND"
    assert second["error"] == {
        "code": "RATE_LIMITED",
        "httpStatus": 429,
        "retryable": True,
        "message": "Too many requests",
    }


def test_a_server_that_is_away_is_a_network_error(server: Server, client: Client) -> None:
    [outcome] = client.call("http://127.0.0.1:1", "abc123de", [["ping"]])
    assert (outcome["error"]["code"], outcome["error"]["retryable"]) == ("NETWORK_ERROR", True)


def test_our_job_keys_are_what_the_client_takes(server: Server) -> None:
    key = Beats(server).create()["job_key"]
    assert PingClient(key).job_key == key
    with pytest.raises(ValidationError):
        PingClient(key + "x")

"""Cronping's pings, against the real server."""

from __future__ import annotations

import json
import re
import subprocess
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple
from uuid import uuid4

import httpx
import pytest

from tests.conftest import Serve
from tests.receivers import HttpReceiver
from tests.seeds.samples import samples
from tests.server import Server

HEARTBEATS = "/api/v1/heartbeats"
PAGE = Path(__file__).parents[2] / "docs" / "dialects" / "cronping.md"
ACTIONS = ["", "/start", "/fail", "/log", "/0", "/17"]
NOWHERE = "0123456789abcdef" * 2 + "01234567"


class Vendor(NamedTuple):
    """A server, and somebody with a key there."""

    server: Server
    key: str

    def ask(self, method: str, path: str, body: object = None) -> Any:
        headers = {"X-Api-Key": self.key}
        answer = self.server.client.request(method, path, json=body, headers=headers)
        assert answer.is_success, answer.text
        return answer.json()

    def create(self, **fields: Any) -> dict[str, Any]:
        body = {"name": "job", "intervalSeconds": 3600, "graceSeconds": 300, "emailAlertsEnabled": False}
        made: dict[str, Any] = self.ask("POST", HEARTBEATS, {**body, **fields})
        return made

    def get(self, heartbeat: dict[str, Any]) -> dict[str, Any]:
        found: dict[str, Any] = self.ask("GET", f"{HEARTBEATS}/{heartbeat['id']}")
        return found

    def pings(self, heartbeat: dict[str, Any], query: str = "") -> list[dict[str, Any]]:
        """Its pings, oldest first."""
        listed = self.ask("GET", f"{HEARTBEATS}/{heartbeat['id']}/pings{query}")["pings"]
        return [*reversed(listed)]


def vendor_of(server: Server) -> Vendor:
    return Vendor(server, server.key("cronping"))


@pytest.fixture(scope="module")
def vendor(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Vendor]:
    folder = tmp_path_factory.mktemp("server")
    with Server(folder, allowed_networks="127.0.0.0/8", ping_url="http://ping.tocsin.test") as server:
        yield vendor_of(server)


def ping(vendor: Vendor, heartbeat: dict[str, Any], action: str = "", method: str = "GET") -> httpx.Response:
    """Ping at the published address: the ping host. Only its name is not looked up."""
    url = httpx.URL(heartbeat["pingUrl"])
    headers = {"Host": url.host, "User-Agent": "curl/8.0", "X-Api-Key": "of nobody"}
    return vendor.server.client.request(method, url.path + action, headers=headers)


def moment(text: str) -> float:
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", text)
    return datetime.fromisoformat(text).timestamp()


def test_the_ping_address_is_the_token_on_the_ping_host(vendor: Vendor) -> None:
    made = vendor.create()
    assert made["pingUrl"] == f"http://ping.tocsin.test/{made['token']}"


def test_a_success_is_told_when_the_next_is_expected(vendor: Vendor) -> None:
    made = vendor.create(graceSeconds=60)
    answer = ping(vendor, made)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    said = answer.json()
    assert [*said] == ["ok", "status", "nextExpectedAt"]
    assert (said["ok"], said["status"]) == (True, "up")
    seen = vendor.get(made)
    assert seen["nextExpectedAt"] == said["nextExpectedAt"]
    assert moment(said["nextExpectedAt"]) - moment(seen["lastPingAt"]) == pytest.approx(3660, abs=0.002)
    assert seen["updatedAt"] == seen["lastPingAt"]
    assert seen["status"] == "up"


def test_the_next_time_of_a_cron_schedule_is_reckoned_in_its_zone(vendor: Vendor) -> None:
    made = vendor.create(scheduleType="cron", cronExpression="0 3 * * *", timezone="America/Sao_Paulo")
    # Sao Paulo is three hours behind UTC all year; the grace is five minutes.
    assert ping(vendor, made).json()["nextExpectedAt"][10:] == "T06:05:00.000Z"


@pytest.mark.parametrize("method", ["GET", "POST", "HEAD"])
@pytest.mark.parametrize("action", ACTIONS)
def test_every_method_goes_with_every_word(vendor: Vendor, method: str, action: str) -> None:
    made = vendor.create()
    answer = ping(vendor, made, action, method)
    assert answer.status_code == 200
    assert (answer.content == b"") is (method == "HEAD")
    assert int(answer.headers["content-length"]) > 0
    [stored] = vendor.pings(made)
    types = {"": "success", "/start": "start", "/fail": "fail", "/log": "log", "/0": "success", "/17": "fail"}
    codes = {"/0": 0, "/17": 17}
    assert (stored["type"], stored["exitCode"]) == (types[action], codes.get(action))


def test_a_start_and_its_end_tell_how_long_it_took(vendor: Vendor) -> None:
    made = vendor.create()
    assert ping(vendor, made, "/start").text == '{"ok":true,"status":"started"}'
    assert vendor.get(made)["status"] == "running"
    assert made["id"] in {
        each["id"] for each in vendor.ask("GET", f"{HEARTBEATS}?status=running")["heartbeats"]
    }
    time.sleep(0.2)
    said = ping(vendor, made).json()
    assert [*said] == ["ok", "status", "nextExpectedAt", "durationMs"]
    assert 200 <= said["durationMs"] < 5_000
    start, end = vendor.pings(made)
    assert (start["durationMs"], end["durationMs"]) == (None, said["durationMs"])
    assert vendor.get(made)["status"] == "up"
    assert "durationMs" not in ping(vendor, made).json()


def test_the_pings_list_has_the_published_keys(vendor: Vendor) -> None:
    page = next(
        one.value() for one in samples("cronping-com") if one.kind == "json" and "heartbeatId" in one.text
    )
    made = vendor.create()
    for _ in range(3):
        ping(vendor, made, "/7")
    listed = vendor.ask("GET", f"{HEARTBEATS}/{made['id']}/pings")
    assert [*listed] == [*page]
    assert (listed["total"], listed["limit"], listed["offset"]) == (3, 50, 0)
    [newest, *_] = listed["pings"]
    assert [*newest] == [*page["pings"][0]]
    assert (newest["heartbeatId"], newest["ipAddress"]) == (made["id"], "127.0.0.1")
    assert (newest["userAgent"], newest["exitCode"], newest["runId"]) == ("curl/8.0", 7, None)
    moment(newest["receivedAt"])
    ids = [each["id"] for each in listed["pings"]]
    paged = vendor.ask("GET", f"{HEARTBEATS}/{made['id']}/pings?limit=1&offset=1")
    assert [each["id"] for each in paged["pings"]] == ids[1:2]
    assert (paged["total"], paged["limit"], paged["offset"]) == (3, 1, 1)
    for query, limit in (("limit=0", 1), ("limit=200", 200), ("limit=201", 200), ("limit=-1", 1)):
        assert vendor.ask("GET", f"{HEARTBEATS}/{made['id']}/pings?{query}")["limit"] == limit


def test_rid_tells_runs_apart_that_overlap(vendor: Vendor) -> None:
    made = vendor.create()
    first, second = str(uuid4()), str(uuid4())
    ping(vendor, made, f"/start?rid={first}")
    time.sleep(0.3)
    ping(vendor, made, f"/start?rid={second}")
    of_second = ping(vendor, made, f"?rid={second}").json()["durationMs"]
    assert vendor.get(made)["status"] == "running"
    of_first = ping(vendor, made, f"/0?rid={first}").json()["durationMs"]
    assert of_second < 300 <= of_first
    assert [one["runId"] for one in vendor.pings(made)] == [first, second, second, first]
    assert "durationMs" not in ping(vendor, made, f"?rid={first}").json()


def test_fail_is_down_at_once_and_a_success_brings_it_up(vendor: Vendor) -> None:
    made = vendor.create()
    ping(vendor, made)
    assert ping(vendor, made, "/fail").json()["status"] == "down"
    assert vendor.get(made)["status"] == "down"
    assert ping(vendor, made).json()["status"] == "up"
    assert ping(vendor, made, "/3").json()["status"] == "down"


def test_log_changes_nothing(vendor: Vendor) -> None:
    made = vendor.create()
    assert ping(vendor, made, "/log").json() == {"ok": True, "status": "new", "nextExpectedAt": None}
    up = ping(vendor, made).json()
    assert ping(vendor, made, "/log").json() == up
    ping(vendor, made, "/fail")
    assert ping(vendor, made, "/log").json()["status"] == "down"


@pytest.mark.parametrize("action", ["", "/start", "/fail", "/log"])
def test_a_paused_heartbeat_takes_pings_and_stays_paused(vendor: Vendor, action: str) -> None:
    made = vendor.create()
    vendor.ask("POST", f"{HEARTBEATS}/{made['id']}/pause")
    answer = ping(vendor, made, action)
    assert answer.status_code == 200
    assert answer.json() == {"ok": True, "status": "paused", "nextExpectedAt": None}
    assert vendor.get(made)["status"] == "paused"
    assert len(vendor.pings(made)) == 1


def test_a_start_without_an_end_within_the_grace_is_down(vendor: Vendor) -> None:
    made = vendor.create(graceSeconds=1)
    ping(vendor, made)
    ping(vendor, made, "/start")
    vendor.server.wait_until(lambda: vendor.get(made)["status"] == "down", "the run took too long", 10)
    native = vendor.server.api(vendor.server.key())
    flips = native.flips({"id": made["id"].replace("-", "")})
    assert (flips[-1]["new"], flips[-1]["reason"]) == ("down", "overran")


def test_down_is_told_to_the_integrations_of_the_heartbeat_only(vendor: Vendor) -> None:
    native = vendor.server.api(vendor.server.key())
    with HttpReceiver() as named, HttpReceiver() as other:
        for label, receiver in (("named", named), ("other", other)):
            body = {"kind": "webhook", "label": label, "config": {"url": receiver.url}}
            native.post("/channels", body)
        listed = vendor.ask("GET", "/api/v1/integrations")["integrations"]
        [channel] = [each["id"] for each in listed if each["name"] == "named"]
        told, silent = vendor.create(integrationIds=[channel]), vendor.create()
        ping(vendor, silent, "/fail")
        ping(vendor, told, "/fail")
        [alert] = named.wait_for(1)
        assert alert.json()["event"] == "monitor.down"
        assert alert.json()["monitor"]["id"] == told["id"].replace("-", "")
        assert other.requests == []


def test_a_token_is_good_at_the_root_of_any_host_and_under_the_name(vendor: Vendor) -> None:
    made = vendor.create()
    token = made["token"]
    for path in (f"/{token}", f"/cronping/{token}", f"/{token}/start", f"/cronping/{token}/5?rid=x"):
        assert vendor.server.client.get(path).status_code == 200
    assert [one["type"] for one in vendor.pings(made)] == ["success", "success", "start", "fail"]


@pytest.mark.parametrize("tail", ["", "/start", "/log", "/0"])
def test_an_unknown_token_is_a_404(vendor: Vendor, tail: str) -> None:
    url = f"/{NOWHERE}{tail}"
    for path, host in (
        (url, "127.0.0.1"),
        (f"/cronping{url}", "127.0.0.1"),
        ("/x" + tail, "ping.tocsin.test"),
    ):
        answer = vendor.server.client.get(path, headers={"Host": host})
        assert (answer.status_code, answer.json()) == (404, {"error": "Heartbeat not found"})
        assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("action", ["/256", "/-1", "/007", "/stop", "/start/fail", "/1.5"])
def test_a_word_that_cronping_has_not_is_no_ping(vendor: Vendor, action: str) -> None:
    made = vendor.create()
    answer = ping(vendor, made, action)
    assert (answer.status_code, [*answer.json()]) == (404, ["error"])
    assert vendor.pings(made) == []


def test_other_methods_are_refused(vendor: Vendor) -> None:
    made = vendor.create()
    answer = ping(vendor, made, method="DELETE")
    assert (answer.status_code, [*answer.json()]) == (405, ["error"])
    assert {*answer.headers["allow"].split(", ")} == {"GET", "POST", "HEAD"}


def test_a_deleted_heartbeat_is_as_unknown_as_any(vendor: Vendor) -> None:
    made = vendor.create()
    ping(vendor, made)
    vendor.ask("DELETE", f"{HEARTBEATS}/{made['id']}")
    gone, unknown = ping(vendor, made), vendor.server.client.get(f"/{NOWHERE}")
    assert (gone.status_code, gone.content) == (unknown.status_code, unknown.content)


def test_the_tokens_own_dialect_answers_whatever_the_path(vendor: Vendor) -> None:
    native = vendor.server.api(vendor.server.key()).create("native")
    token = native["ping_url"].rpartition("/")[2]
    answer = vendor.server.client.get(f"/{token}", headers={"Host": "ping.tocsin.test"})
    assert answer.json()["monitor"] == "native"
    made = vendor.create()
    assert [*vendor.server.client.get(f"/ping/{made['token']}").json()] == ["ok", "status", "nextExpectedAt"]


def test_pings_do_not_count_against_the_key(serve: Serve) -> None:
    vendor = vendor_of(serve(plans="hosted"))
    made = vendor.create()
    for _ in range(150):
        assert vendor.server.client.get(f"/{made['token']}").status_code == 200
    assert vendor.get(made)["status"] == "up"


def test_without_a_ping_host_the_token_is_at_the_root(serve: Serve) -> None:
    vendor = vendor_of(serve())
    made = vendor.create()
    assert made["pingUrl"] == f"{vendor.server.url}/{made['token']}"
    assert httpx.get(made["pingUrl"], trust_env=False).json()["ok"] is True


def test_the_job_of_the_page_registers_its_heartbeat_at_every_deployment(
    serve: Serve, tmp_path: Path
) -> None:
    """The GitHub Actions sample, its shell script run by bash with the expressions filled in."""
    vendor = vendor_of(serve())
    [job] = [one.text for one in samples("cronping-com") if "github/workflows" in one.text]
    script = job.partition("run: |\n")[2]
    known = {
        "https://cronping.com": vendor.server.url,
        "${{ secrets.CRONPING_API_KEY }}": vendor.key,
        "${{ github.event.repository.name }}": "shop",
    }
    for placeholder, value in known.items():
        script = script.replace(placeholder, value)
    answers = [bash(script, tmp_path) for _ in range(2)]
    assert answers[0]["id"] == answers[1]["id"]
    assert answers[1]["name"] == "deploy-health-shop"
    assert (answers[1]["intervalSeconds"], answers[1]["graceSeconds"]) == (300, 60)
    assert answers[1]["tags"] == "ci deploy"
    assert vendor.ask("GET", HEARTBEATS)["total"] == 1


def test_the_snippets_of_our_own_page_work_one_after_another(serve: Serve, tmp_path: Path) -> None:
    vendor = vendor_of(serve())
    blocks = re.findall(r"^```bash\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    known = {"https://tocsin.example.com": vendor.server.url, "cpk_your_key_here": vendor.key}
    answers = []
    for block in blocks:
        script = block
        for placeholder, value in known.items():
            script = script.replace(placeholder, value)
        answers.append(bash(script, tmp_path))
        if "token" in answers[-1]:
            known |= {"TOKEN": answers[-1]["token"], "HEARTBEAT_ID": answers[-1]["id"]}
    made, pinged, paused, ran = answers
    assert made["cronExpression"] == "0 3 * * *"
    assert (pinged["ok"], pinged["status"]) == (True, "up")
    assert paused["status"] == "paused"
    assert (ran["ok"], ran["status"]) == (True, "paused")
    assert [one["type"] for one in vendor.pings(made)] == ["success", "start", "success"]


def bash(script: str, folder: Path) -> Any:
    (folder / ".curlrc").write_text('silent\nnoproxy = "*"\n')
    done = subprocess.run(
        ["bash", "-ec", script],
        env={"PATH": "/usr/bin:/bin", "HOME": str(folder), "CURL_HOME": str(folder)},
        capture_output=True,
        check=True,
        text=True,
        timeout=30,
    )
    return json.loads(done.stdout)

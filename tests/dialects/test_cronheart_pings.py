"""Cronheart's ping protocol, and what is read of it: pings and alerts (docs/dialects/cronheart.md)."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select

from tests.conftest import Serve
from tests.engine_room import Job, Room
from tests.faces import Caller, Faces
from tests.receivers import HttpReceiver
from tests.server import Server, every
from tocsin.domain.monitor import Policy, State, Status
from tocsin.domain.ping import Flag, Kind, Reading, Signal, read_plain
from tocsin.domain.schedule import parse_schedule
from tocsin.engine.intake import Answer, Intake, IntakeConfig
from tocsin.store import tables
from tocsin.store.notifications import Delivery
from tocsin.store.sqlite import SqliteStore
from tocsin.web.dialects.cronheart import pings

PAGE = (Path(__file__).parents[2] / "docs" / "dialects" / "cronheart.md").read_text()
MONITORS = "/api/v1/monitors"
BODY = {"name": "job", "schedule_kind": "interval", "schedule_expr": "60", "grace_seconds": 10}
UNKNOWN = "00000000-0000-4000-8000-000000000000"
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00")
TEXT = "text/plain; charset=utf-8"
WORDS = st.from_regex(r"[a-zA-Z0-9_-]{1,16}", fullmatch=True)


# What a ping says


def read(action: str = "", method: str = "GET", runtime: bytes | None = None) -> Reading:
    headers = [] if runtime is None else [(b"user-agent", b"curl"), (b"x-cronheart-runtime-ms", runtime)]
    signal = Signal(UNKNOWN, action, b"", method, headers, "192.0.2.1", b"body", body_was_cut=False)
    reading = pings.read(signal)
    assert reading is not None
    return reading


def meaning(action: str) -> str | None:
    """The kind that an action means, on the wire; a question mark where nobody knows the word."""
    reading = pings.reading_of(action)
    if reading is None:
        return None
    assert reading.duplicate_seconds == 2
    if reading.flags & Flag.HEARTBEAT:
        assert reading.kind is Kind.SUCCESS
        return "heartbeat?" if reading.flags & Flag.ODD else "heartbeat"
    assert reading.flags == 0
    return reading.kind.name.lower()


@pytest.mark.parametrize(
    ("action", "kind"),
    [
        ("", "heartbeat"),
        ("run", "heartbeat"),
        ("RUN", "heartbeat"),
        ("start", "start"),
        ("Start", "start"),
        ("success", "success"),
        ("ok", "success"),
        ("OK", "success"),
        ("0", "success"),
        ("fail", "fail"),
        ("FAIL", "fail"),
        ("1", "fail"),
        ("00", "fail"),
        ("255", "fail"),
        ("9" * 16, "fail"),
        ("log", "heartbeat?"),
        ("end", "heartbeat?"),
        ("-1", "heartbeat?"),
        ("0x0", "heartbeat?"),
        ("a" * 16, "heartbeat?"),
        ("a" * 17, None),
        ("9" * 17, None),
        ("end/fail", None),
        ("start/", None),
        ("st art", None),
        ("%30", None),
        ("٣", None),
        ("o\N{KELVIN SIGN}", None),
        ("start\n", None),
    ],
)
def test_what_an_action_means(action: str, kind: str | None) -> None:
    assert meaning(action) == kind


@given(WORDS)
def test_every_word_of_the_right_shape_means_something_in_any_case(action: str) -> None:
    known = {"run": "heartbeat", "start": "start", "success": "success", "ok": "success", "fail": "fail"}
    digits = "success" if action == "0" else "fail"
    expected = digits if action.isdecimal() else known.get(action.lower(), "heartbeat?")
    assert meaning(action) == meaning(action.upper()) == meaning(action.swapcase()) == expected


@given(st.text(min_size=1).filter(lambda action: not re.fullmatch("[a-zA-Z0-9_-]{1,16}", action)))
def test_no_word_of_another_shape_means_anything(action: str) -> None:
    assert meaning(action) is None


@pytest.mark.parametrize(
    ("action", "code"), [("0", 0), ("1", 1), ("255", 255), ("256", None), ("00", None), ("fail", None)]
)
def test_an_exit_code_is_kept(action: str, code: int | None) -> None:
    assert read(action).exit_code == code


@pytest.mark.parametrize(("method", "keeps"), [("POST", True), ("GET", False), ("HEAD", False)])
def test_only_the_body_of_a_post_is_kept(method: str, keeps: bool) -> None:  # noqa: FBT001
    assert read(method=method).keeps_body is keeps


@pytest.mark.parametrize(
    ("header", "runtime_ms"),
    [
        (None, None),
        (b"0", 0),
        (b"1234", 1234),
        (b"86400000", 86_400_000),
        (b"000000000086400000", 86_400_000),
        (b"0" * 5_000, 0),
        (b"86400001", None),
        (b"9" * 5_000, None),
        (b"", None),
        (b"-1", None),
        (b"+1", None),
        (b"1.5", None),
        (b"1e3", None),
        (b" 1", None),
        ("٣".encode(), None),
        (b"1\n", None),
    ],
)
def test_the_runtime_that_a_job_tells(header: bytes | None, runtime_ms: int | None) -> None:
    assert read("success", runtime=header).duration_ms == runtime_ms


@pytest.mark.parametrize(
    ("status", "is_duplicate", "expected"),
    [
        (Status.UP, False, (200, b"OK")),
        (Status.DOWN, False, (200, b"OK")),
        (Status.UP, True, (200, b"OK (duplicate)")),
        (Status.PAUSED, True, (200, b"OK (duplicate)")),
        (Status.PAUSED, False, (410, b"Monitor paused")),
    ],
)
def test_what_a_job_reads(status: Status, is_duplicate: bool, expected: tuple[int, bytes]) -> None:  # noqa: FBT001
    policy = Policy(parse_schedule("interval", "60", "UTC"), 60)
    state = State(status=status)
    answer = Answer("cronheart", "job", policy, state, Kind.SUCCESS, 1, None, is_duplicate, UNKNOWN)
    reply = pings.reply(answer)
    assert (reply.status, reply.body) == expected
    assert reply.content_type == TEXT.encode()


@pytest.mark.parametrize(("status", "body"), [(404, b"Monitor not found"), (429, b"Rate limited")])
def test_what_a_job_reads_that_is_refused(status: int, body: bytes) -> None:
    assert pings.refuse(status) == (status, TEXT.encode(), body)


# What becomes of it, under a clock that the test turns


class Bedside:
    """The engine beside the API, under one clock."""

    def __init__(self, faces: Faces, room: Room, heart: Caller) -> None:
        self.faces = faces
        self.room = room
        self.heart = heart

    async def create(self, **fields: Any) -> str:
        return str((await self.heart.create(MONITORS, BODY | fields))["uuid"])

    async def channel(self) -> dict[str, str]:
        """A new channel, as the API refers to it."""
        key = self.heart.headers["Authorization"].split()[1]
        actor = await self.faces.office.manage.authenticate(key, "cronheart")
        config = {"url": "https://example.com/hook"}
        made = await self.faces.office.manage.create_channel(actor, "webhook", "hook", config)
        return {"id": str(made.id), "kind": "webhook", "label": "hook"}

    async def ping(self, uuid: str, action: str = "") -> str:
        """What the job reads."""
        answer = await self.room.ping(Job(0, uuid), action)
        assert isinstance(answer, Answer)
        return pings.reply(answer).body.decode()

    async def status(self, uuid: str) -> str:
        return str((await self.heart.get(f"{MONITORS}/{uuid}")).json()["status"])

    async def pings(self, uuid: str, **query: Any) -> dict[str, Any]:
        return await self._list(uuid, "pings", **query)

    async def alerts(self, uuid: str, **query: Any) -> dict[str, Any]:
        return await self._list(uuid, "alerts", **query)

    async def _list(self, uuid: str, noun: str, **query: Any) -> dict[str, Any]:
        answer = await self.heart.get(f"{MONITORS}/{uuid}/{noun}", **query)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found


@pytest.fixture
async def bed(store: SqliteStore) -> Bedside:
    faces = Faces.open(store)
    room = await Room.open(store, faces.office.hands)
    readers = {"cronheart": pings.read, "tocsin": read_plain}
    room.intake = Intake(store, room.clock, room.ledger, readers, room.intake._voice, IntakeConfig())
    return Bedside(faces, room, await faces.caller("cronheart", plan="starter"))


@pytest.mark.parametrize(
    ("first", "second", "is_duplicate"),
    [
        (10.0, 10.5, True),
        (10.0, 11.9, True),
        (10.9, 11.0, True),
        (10.9, 11.9, True),
        (10.9, 12.0, False),
        (10.0, 12.0, False),
        (10.0, 60.0, False),
    ],
)
async def test_a_duplicate_is_told_by_whole_seconds(
    bed: Bedside,
    first: float,
    second: float,
    is_duplicate: bool,  # noqa: FBT001
) -> None:
    uuid = await bed.create()
    bed.room.pass_(first)
    assert await bed.ping(uuid, "success") == "OK"
    bed.room.pass_(second - first)
    assert await bed.ping(uuid, "success") == ("OK (duplicate)" if is_duplicate else "OK")
    assert len((await bed.pings(uuid))["data"]) == 2
    flags = await bed.faces.office.rows(select(tables.ping.c.flags).order_by(tables.ping.c.id))
    assert [row.flags for row in flags] == [None, Flag.DUPLICATE if is_duplicate else None]


async def test_another_kind_or_monitor_is_no_duplicate(bed: Bedside) -> None:
    uuid, other = await bed.create(), await bed.create()
    for action in ("", "start", "success", "fail"):
        assert await bed.ping(uuid, action) == "OK"
    for action in ("run", "some-word", "START", "ok", "0", "7"):
        assert await bed.ping(uuid, action) == "OK (duplicate)"
    assert await bed.ping(other) == "OK"


async def test_a_duplicate_is_told_before_a_pause(bed: Bedside) -> None:
    uuid = await bed.create()
    assert await bed.ping(uuid) == "OK"
    await bed.heart.post(f"{MONITORS}/{uuid}/pause")
    assert await bed.ping(uuid) == "OK (duplicate)"
    assert await bed.ping(uuid, "fail") == "Monitor paused"
    bed.room.pass_(2)
    assert await bed.ping(uuid) == "Monitor paused"
    assert await bed.status(uuid) == "paused"
    kinds = [each["kind"] for each in (await bed.pings(uuid))["data"]]
    assert kinds == ["heartbeat", "fail", "heartbeat", "heartbeat"]


async def test_pings_page_by_a_cursor_newest_first(bed: Bedside) -> None:
    uuid = await bed.create()
    for action in ("", "start", "success", "fail", "some-word"):
        bed.room.pass_(1)
        await bed.ping(uuid, action)
    everything = await bed.pings(uuid)
    assert everything.keys() == {"data", "next_cursor"}
    assert everything["next_cursor"] is None
    newest = everything["data"][0]
    assert newest.keys() == {"id", "kind", "received_at", "runtime_ms"}
    assert newest["id"].isdigit()
    assert TIME.fullmatch(newest["received_at"])
    assert [(each["kind"], each["runtime_ms"]) for each in everything["data"]] == [
        ("heartbeat", None), ("fail", None), ("success", 1000), ("start", None), ("heartbeat", None)
    ]  # fmt: skip
    first = await bed.pings(uuid, limit=2)
    rest = await bed.pings(uuid, limit=100, cursor=first["next_cursor"])
    assert first["data"] + rest["data"] == everything["data"]
    assert rest["next_cursor"] is None
    assert (await bed.pings(uuid, limit="x"))["data"] == everything["data"][:1]
    assert (await bed.pings(uuid, cursor="4711"))["data"] == []


@pytest.mark.parametrize("cursor", ["x", "-1", "1.5", "٣", "9" * 5_000])
async def test_a_cursor_that_is_none_is_refused(bed: Bedside, cursor: str) -> None:
    answer = await bed.heart.get(f"{MONITORS}/{await bed.create()}/pings", cursor=cursor)
    assert (answer.status_code, answer.json()["errors"].keys()) == (422, {"cursor"})


async def test_a_run_time_is_counted_up_to_a_day(bed: Bedside) -> None:
    for seconds, expected in ((86_400 - 1, 86_399_000), (86_400 + 1, None)):
        uuid = await bed.create()
        await bed.ping(uuid, "start")
        bed.room.pass_(seconds)
        await bed.ping(uuid, "ok")
        runtime_ms = (await bed.pings(uuid))["data"][0]["runtime_ms"]
        assert runtime_ms == (expected and pytest.approx(expected, abs=1))


async def test_silence_is_late_and_told(bed: Bedside) -> None:
    hook = await bed.channel()
    uuid = await bed.create()
    assert await bed.alerts(uuid) == {"data": [], "total": 0, "limit": 50, "offset": 0}
    await bed.ping(uuid)
    bed.room.pass_(65)
    await bed.room.look()
    assert await bed.status(uuid) == "up"
    bed.room.pass_(10)
    await bed.room.look()
    assert await bed.status(uuid) == "late"
    [late] = (await bed.alerts(uuid))["data"]
    assert late["id"].isdigit()
    assert TIME.fullmatch(late["created_at"])
    assert (late["kind"], late["dispatched_to"]) == ("late", [hook])
    await bed.ping(uuid)
    assert await bed.status(uuid) == "up"
    found = await bed.alerts(uuid)
    assert [each["kind"] for each in found["data"]] == ["recovered", "late"]
    assert [each["dispatched_to"] for each in found["data"]] == [[hook], [hook]]
    assert found["total"] == 2


async def test_a_failure_is_down_and_told_at_once(bed: Bedside) -> None:
    uuid = await bed.create()
    await bed.ping(uuid, "success")
    await bed.ping(uuid, "fail")
    assert await bed.status(uuid) == "down"
    [fail] = (await bed.alerts(uuid))["data"]
    assert (fail["kind"], fail["dispatched_to"]) == ("fail", [])


async def test_a_late_job_that_then_says_it_failed_is_down(bed: Bedside) -> None:
    uuid = await bed.create()
    await bed.ping(uuid)
    bed.room.pass_(80)
    await bed.room.look()
    await bed.ping(uuid, "1")
    assert await bed.status(uuid) == "down"


async def test_a_new_monitor_that_is_heard_is_no_alert(bed: Bedside) -> None:
    uuid = await bed.create()
    await bed.ping(uuid)
    await bed.heart.post(f"{MONITORS}/{uuid}/pause")
    await bed.heart.post(f"{MONITORS}/{uuid}/resume")
    assert (await bed.alerts(uuid))["total"] == 0


async def test_alerts_page_by_an_offset(bed: Bedside) -> None:
    uuid = await bed.create()
    for action in ("", "fail", "ok", "fail"):
        bed.room.pass_(1)
        await bed.ping(uuid, action)
    part = await bed.alerts(uuid, limit=1, offset=1)
    assert [each["kind"] for each in part["data"]] == ["recovered"]
    assert (part["total"], part["limit"], part["offset"]) == (3, 1, 1)
    assert (await bed.alerts(uuid, limit=1000, offset=-1))["limit"] == 100


async def test_a_snoozed_alert_went_nowhere_until_the_snooze_ends(bed: Bedside) -> None:
    hook = await bed.channel()
    uuid = await bed.create()
    await bed.ping(uuid)
    await bed.heart.post(f"{MONITORS}/{uuid}/snooze", {"duration": "1h"})
    await bed.ping(uuid, "fail")
    [held] = (await bed.alerts(uuid))["data"]
    assert (held["kind"], held["dispatched_to"]) == ("fail", [])
    await bed.heart.post(f"{MONITORS}/{uuid}/unsnooze")
    [told] = (await bed.alerts(uuid))["data"]
    assert told == held | {"dispatched_to": [hook]}


@pytest.mark.parametrize(
    ("status", "went"),
    [
        (Delivery.PENDING, True),
        (Delivery.DELIVERED, True),
        (Delivery.HELD, False),
        (Delivery.FAILED, False),
        (Delivery.WITHDRAWN, False),
    ],
)
async def test_where_an_alert_went(bed: Bedside, status: Delivery, went: bool) -> None:  # noqa: FBT001
    hook = await bed.channel()
    uuid = await bed.create()
    await bed.ping(uuid, "fail")
    values = tables.notification.update().values(status=status)
    await bed.faces.office.store.write(lambda connection: connection.execute(values))
    [alert] = (await bed.alerts(uuid))["data"]
    assert alert["dispatched_to"] == ([hook] if went else [])


async def test_a_monitor_made_elsewhere_shows_its_pings_and_alerts(bed: Bedside) -> None:
    native = await bed.faces.caller("tocsin")
    body = {"name": "n", "mail": "none", "fan_out": False}
    made = (await native.post("/api/tocsin/v1/monitors", body)).json()
    token = made["ping_url"].rpartition("/")[2]
    for action in ("log", "start", "", "fail"):
        bed.room.pass_(1)
        await bed.room.ping(Job(0, token), action)
    [shown] = (await bed.heart.get(MONITORS)).json()["data"]
    kinds = [each["kind"] for each in (await bed.pings(shown["uuid"]))["data"]]
    assert kinds == ["fail", "success", "start"]
    assert [each["kind"] for each in (await bed.alerts(shown["uuid"]))["data"]] == ["fail"]


# The whole way, on the real server


class Ward:
    """A real server, with the token of an account for it."""

    def __init__(self, server: Server, email: str = "owner@example.com") -> None:
        self.server = server
        self.client = server.client
        self.email = email
        key = server.key("cronheart", email, "--plan", "starter")
        self.headers = {"Authorization": f"Bearer {key}"}

    def ask(self, method: str, path: str, body: object = None) -> Any:
        answer = self.client.request(method, f"/api/v1{path}", json=body, headers=self.headers)
        assert answer.is_success, answer.text
        return answer.json() if answer.content else None

    def create(self, **fields: Any) -> dict[str, Any]:
        created: dict[str, Any] = self.ask("POST", "/monitors", BODY | fields)
        return created

    def ping(
        self, monitor: dict[str, Any], action: str = "", method: str = "GET", **rest: Any
    ) -> httpx.Response:
        address = monitor["ping_url"] + (f"/{action}" if action else "")
        answer = self.client.request(method, address, **rest)
        assert answer.headers["content-type"] == TEXT
        assert answer.headers["cache-control"] == "no-store"
        return answer

    def last_body(self) -> bytes:
        """What the last ping carried that carried anything."""
        [row] = self.server.rows("SELECT body FROM ping_body ORDER BY ping_id DESC LIMIT 1")
        return bytes(row["body"])

    def kinds(self, monitor: dict[str, Any]) -> Sequence[str]:
        """Oldest first."""
        found = self.ask("GET", f"/monitors/{monitor['uuid']}/pings?limit=100")["data"]
        return [each["kind"] for each in found][::-1]


@pytest.fixture(scope="module")
def ward(server: Server) -> Ward:
    return Ward(server)


def test_pings_of_all_kinds_by_all_methods(ward: Ward) -> None:
    sent = ("", "run", "start", "success", "ok", "0", "fail", "17", "Some-Word_9", "FAIL")
    for method in ("GET", "POST", "HEAD"):
        job = ward.create()
        for action in sent:
            answer = ward.ping(job, action, method)
            assert answer.status_code == 200
            assert answer.text in (("",) if method == "HEAD" else ("OK", "OK (duplicate)"))
            assert int(answer.headers["content-length"]) in (2, 14)
        assert ward.kinds(job) == [
            "heartbeat", "heartbeat", "start", "success", "success", "success", "fail", "fail",
            "heartbeat", "fail",
        ]  # fmt: skip
    assert ward.server.output().count("ping.unknown_action") == 1
    odd = ward.server.rows("SELECT count(*) AS n FROM ping WHERE flags & ?", Flag.ODD)
    assert odd[0]["n"] == 3


def test_the_address_of_a_ping(ward: Ward) -> None:
    job = ward.create()
    uuid = job["uuid"]
    assert job["ping_url"] == f"{ward.server.url}/ping/{uuid}"
    statuses = {
        f"/ping/{uuid.upper()}": 200,
        f"/ping/{uuid}/": 200,
        f"/cronheart/ping/{uuid}/start": 200,
        f"/ping/{UNKNOWN}": 404,
        f"/ping/{uuid}/{'a' * 17}": 404,
        f"/ping/{uuid}/end/fail": 404,
        f"/ping/{uuid}/st%20art": 404,
        f"/ping/{'-' * 36}": 404,
        f"/ping/{uuid}0": 404,
        "/cronheart/ping/x": 404,
    }
    for path, status in statuses.items():
        answer = ward.client.get(path)
        assert answer.status_code == status, path
        if status == 404 and not path.endswith(f"{uuid}0"):  # whose shape is nobody's
            assert (answer.text, answer.headers["content-type"]) == ("Monitor not found", TEXT)
    assert ward.client.put(f"/cronheart/ping/{uuid}").status_code == 405
    assert ward.kinds(job) == ["heartbeat", "heartbeat", "start"]
    with_key = ward.client.get(f"/ping/{uuid}", headers={"Authorization": "Bearer cmk_wrong"})
    assert with_key.status_code == 200
    rotated = ward.ask("POST", f"/monitors/{uuid}/rotate-uuid", {"confirm": uuid})
    assert ward.ping(job).text == "Monitor not found"
    assert ward.ping(rotated).status_code == 200
    ward.ask("DELETE", f"/monitors/{rotated['uuid']}")
    gone = ward.ping(rotated)
    assert (gone.status_code, gone.text) == (404, "Monitor not found")


def test_a_paused_monitor_records_its_pings_and_says_so(ward: Ward) -> None:
    job = ward.create()
    ward.ask("POST", f"/monitors/{job['uuid']}/pause")
    paused = ward.ping(job, "success", "POST", content=b"log of the run")
    assert (paused.status_code, paused.text) == (410, "Monitor paused")
    again = ward.ping(job, "success")
    assert (again.status_code, again.text) == (200, "OK (duplicate)")
    assert ward.kinds(job) == ["success", "success"]
    assert ward.ask("GET", f"/monitors/{job['uuid']}")["status"] == "paused"
    assert ward.last_body() == b"log of the run"


def test_the_body_of_a_post_is_cut_between_characters_and_never_refused(ward: Ward) -> None:
    job = ward.create()
    for character, size in (("é", 9_999), ("€", 10_000), ("🔔", 9_997)):
        body = ("a" + character * 6_000).encode()
        assert ward.ping(job, method="POST", content=body).status_code == 200
        assert ward.last_body() == body[:size]
        assert ward.last_body().decode().endswith(character)
    assert ward.ping(job, "fail", "POST", content=b"\xff\x00\xfe" * 5_000).status_code == 200
    assert ward.last_body() == (b"\xff\x00\xfe" * 5_000)[:9_999]
    assert ward.ping(job, "start", "GET", content=b"nobody reads this").status_code == 200
    assert ward.last_body() != b"nobody reads this"


def test_the_run_time_is_the_jobs_own_or_counted(ward: Ward) -> None:
    job = ward.create()
    ward.ping(job, "start")
    ward.ping(job, "success", headers={"X-Cronheart-Runtime-Ms": "86400000"})
    ward.ping(job, "fail", headers={"X-Cronheart-Runtime-Ms": "86400001"})
    ward.ping(job, "start")
    ward.ping(job, headers={"x-cronheart-runtime-ms": "fast"})
    found = ward.ask("GET", f"/monitors/{job['uuid']}/pings")["data"]
    bare, _, fail, success, start = (each["runtime_ms"] for each in found)
    assert (start, success, fail) == (None, 86_400_000, None)
    assert 0 <= bare < 30_000


def test_a_real_silence_and_a_real_failure_are_told(ward: Ward) -> None:
    with HttpReceiver() as receiver:
        ward = Ward(ward.server, "told@example.com")
        native = ward.server.api(ward.server.key("tocsin", ward.email))
        native.post("/channels", {"kind": "webhook", "label": "hook", "config": {"url": receiver.url}})
        job = ward.create(grace_seconds=0)
        [made] = native.get("/monitors")["monitors"]
        # Cronheart's shortest interval is half a minute.
        assert native.call("PATCH", f"/monitors/{made['id']}", json=every(1)).is_success
        ward.ping(job)
        receiver.wait_for(1)
        assert ward.ask("GET", f"/monitors/{job['uuid']}")["status"] == "late"
        ward.ping(job, "fail")
        assert ward.ask("GET", f"/monitors/{job['uuid']}")["status"] == "down"
        assert native.call("PATCH", f"/monitors/{made['id']}", json=every(60)).is_success
        ward.ping(job, "ok")
        receiver.wait_for(2)
        ward.ping(job, "3")
        events = [request.json()["event"] for request in receiver.wait_for(3)]
        assert events == ["monitor.down", "monitor.up", "monitor.down"]
        found = ward.ask("GET", f"/monitors/{job['uuid']}/alerts")
    assert [each["kind"] for each in found["data"]] == ["fail", "recovered", "late"]
    assert {len(each["dispatched_to"]) for each in found["data"]} == {1}
    [told] = found["data"][0]["dispatched_to"]
    assert told == {"id": told["id"], "kind": "webhook", "label": "hook"}


def test_hosted_limits_a_monitors_pings(serve: Serve) -> None:
    ward = Ward(serve(plans="hosted"))
    job, other = ward.create(), ward.create()
    answers = [ward.ping(job) for _ in range(31)]
    assert {answer.status_code for answer in answers[:30]} == {200}
    assert (answers[30].status_code, answers[30].text) == (429, "Rate limited")
    assert 1 <= int(answers[30].headers["retry-after"]) <= 60
    assert ward.ping(other).status_code == 200
    assert len(ward.kinds(job)) == 30


def test_the_page_moves_somebody_in_a_minute(ward: Ward) -> None:
    known = {
        "https://tocsin.example.com": ward.server.url,
        "cmk_your_token_here": ward.headers["Authorization"].split()[1],
    }
    create, start, success, listed, *_ = re.findall(r"^```bash\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    known["MONITOR_UUID"] = json.loads(typed(create, known))["uuid"]
    assert (typed(start, known), typed(success, known)) == ("OK", "OK")
    assert [each["kind"] for each in json.loads(typed(listed, known))["data"]] == ["success", "start"]
    assert ward.last_body() == b"42 tables saved"


def typed(command: str, known: dict[str, str]) -> str:
    """What a command of the page prints when its placeholders are filled in."""
    for placeholder, value in known.items():
        command = command.replace(placeholder, value)
    environment = {**os.environ, "no_proxy": "127.0.0.1"}
    done = subprocess.run(
        ["bash", "-ec", command], capture_output=True, check=True, text=True, timeout=30, env=environment
    )
    return done.stdout

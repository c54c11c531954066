"""Monitors as Cronheart's page and wire contract have them (docs/dialects/cronheart.md)."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select, update
from starlette.requests import Request

from tests.faces import Caller, Faces
from tocsin.domain.monitor import SECOND
from tocsin.store import tables
from tocsin.store.sqlite import SqliteStore
from tocsin.web.dialects.cronheart.shapes import window

MONITORS = "/api/v1/monitors"
SAMPLE: dict[str, Any] = {
    "name": "nightly-backup",
    "schedule_kind": "interval",
    "schedule_expr": "3600",
    "tz": "UTC",
    "grace_seconds": 60,
    "channel_ids": [],
}
UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00")
TOKENS = (
    "every_minute",
    "every_5_minutes",
    "every_10_minutes",
    "every_15_minutes",
    "every_30_minutes",
    "hourly",
    "every_2_hours",
    "every_6_hours",
    "daily",
    "daily_morning",
    "weekly",
    "monthly",
)
UNKNOWN = "00000000-0000-4000-8000-000000000000"
# Every address of a monitor: what is done to it, and with which body.
WRITES: tuple[tuple[str, str, dict[str, Any] | None], ...] = (
    ("PATCH", "", {"name": "other"}),
    ("DELETE", "", None),
    ("POST", "/pause", None),
    ("POST", "/resume", None),
    ("POST", "/snooze", {"duration": "1h"}),
    ("POST", "/unsnooze", None),
    ("POST", "/rotate-uuid", {"confirm": UNKNOWN}),
)
READS = (("GET", "", None), ("GET", "/pings", None), ("GET", "/alerts", None))


async def create(heart: Caller, **fields: Any) -> dict[str, Any]:
    return await heart.create(MONITORS, SAMPLE | fields)


async def errors(heart: Caller, body: object, path: str = MONITORS, method: str = "POST") -> dict[str, str]:
    answer = await heart.ask(method, path, body)
    problem = answer.json()
    assert answer.headers["content-type"] == "application/problem+json"
    assert (answer.status_code, problem["type"], problem["status"]) == (422, "about:blank", 422)
    assert problem["title"] == "Unprocessable Entity"
    assert problem["detail"] == "One or more fields are invalid."
    found: dict[str, str] = problem["errors"]
    return found


async def channel(faces: Faces, heart: Caller, label: str) -> str:
    """The id of a new channel, as the wire has it."""
    key = heart.headers["Authorization"].split()[1]
    actor = await faces.office.manage.authenticate(key, "cronheart")
    made = await faces.office.manage.create_channel(actor, "webhook", label, {"url": "https://example.com/x"})
    return str(made.id)


async def test_create_a_monitor(heart: Caller) -> None:
    answer = await heart.post(MONITORS, SAMPLE)
    assert answer.status_code == 201
    monitor = answer.json()
    uuid = monitor.pop("uuid")
    assert re.fullmatch(UUID, uuid)
    assert answer.headers["location"] == f"http://tocsin/cronheart/api/v1/monitors/{uuid}"
    assert TIME.fullmatch(monitor.pop("created_at"))
    badge = re.fullmatch(rf"http://tocsin/badge/({UUID})\.svg", monitor.pop("badge_url"))
    assert badge is not None
    assert badge[1] != uuid
    assert monitor == {
        "name": "nightly-backup",
        "schedule_kind": "interval",
        "schedule_expr": "3600",
        "tz": "UTC",
        "grace_seconds": 60,
        "channels": [],
        "status": "new",
        "next_expected_at": None,
        "snoozed_until": None,
        "last_ping_at": None,
        "ping_url": f"http://tocsin/ping/{uuid}",
    }
    followed = await heart.get(answer.headers["location"])
    assert followed.json() == answer.json()


async def test_zone_grace_and_channels_have_defaults(heart: Caller) -> None:
    answer = await heart.post(MONITORS, {"name": "ab", "schedule_kind": "interval", "schedule_expr": "30"})
    monitor = answer.json()
    assert (monitor["tz"], monitor["grace_seconds"], monitor["channels"]) == ("UTC", 60, [])


async def test_it_fans_out_and_mails_nobody_by_itself(faces: Faces, heart: Caller) -> None:
    await create(heart)
    columns = tables.monitor.c
    query = select(columns.dialect, columns.fan_out, columns.mail_channel_id, columns.channel_ids)
    assert [tuple(row) for row in await faces.office.rows(query)] == [("cronheart", True, None, "[]")]


@pytest.mark.parametrize(
    ("kind", "expression"),
    [
        ("cron", "*/5 9-17 * * mon-fri"),
        ("cron", "@yearly"),
        ("cron", "@ANNUALLY"),
        ("cron", "@Monthly"),
        ("cron", "@weekly"),
        ("cron", "@daily"),
        ("cron", "@midnight"),
        ("cron", "@hourly"),
        ("interval", "30"),
        ("interval", "31622400"),
        ("simple", "daily at 03:00"),
        ("simple", "hourly at 05"),
        ("simple", "weekly on monday at 09:30"),
        ("simple", "monthly on 1 at 00:00"),
        *(("simple", token) for token in TOKENS),
    ],
)
async def test_schedules_are_stored_verbatim(heart: Caller, kind: str, expression: str) -> None:
    created = await create(heart, schedule_kind=kind, schedule_expr=expression)
    shown = (await heart.get(f"{MONITORS}/{created['uuid']}")).json()
    assert (shown["schedule_kind"], shown["schedule_expr"]) == (kind, expression)


async def test_an_interval_may_be_a_number_and_reads_as_a_text(heart: Caller) -> None:
    created = await create(heart, schedule_expr=3600)
    assert created["schedule_expr"] == "3600"
    path = f"{MONITORS}/{created['uuid']}"
    assert (await heart.patch(path, {"schedule_expr": 60})).json()["schedule_expr"] == "60"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", "a"),
        ("name", "a" * 121),
        ("name", " a "),
        ("name", ""),
        ("name", "two\nlines"),
        ("name", None),
        ("name", 7),
        ("schedule_kind", "moon"),
        ("schedule_kind", None),
        ("schedule_kind", 1),
        ("schedule_expr", "29"),
        ("schedule_expr", "31622401"),
        ("schedule_expr", "1" * 5_000),
        ("schedule_expr", "٣٦٠٠"),
        ("schedule_expr", "3600.0"),
        ("schedule_expr", " 3600"),
        ("schedule_expr", "-60"),
        ("schedule_expr", ""),
        ("schedule_expr", 29),
        ("schedule_expr", -60),
        ("schedule_expr", 10**18),
        ("schedule_expr", 60.0),
        ("schedule_expr", True),
        ("schedule_expr", None),
        ("schedule_expr", []),
        ("tz", "Mars/Olympus"),
        ("tz", "x" * 65),
        ("tz", ""),
        ("tz", 0),
        ("tz", None),
        ("grace_seconds", -1),
        ("grace_seconds", 86_401),
        ("grace_seconds", "60"),
        ("grace_seconds", 60.0),
        ("grace_seconds", True),
        ("grace_seconds", None),
        ("channel_ids", ["4711"]),
        ("channel_ids", [4711]),
        ("channel_ids", ["x"]),
        ("channel_ids", ["-1"]),
        ("channel_ids", ["9" * 5_000]),
        ("channel_ids", [True]),
        ("channel_ids", [1.0]),
        ("channel_ids", [{}]),
        ("channel_ids", "17"),
        ("channel_ids", None),
        ("channel_ids", {}),
    ],
)
async def test_a_field_out_of_bounds_is_refused_by_its_name_and_changes_nothing(
    faces: Faces, heart: Caller, field: str, value: object
) -> None:
    path = f"{MONITORS}/{(await create(heart))['uuid']}"
    before = await faces.state()
    assert (await errors(heart, SAMPLE | {field: value})).keys() == {field}
    assert (await errors(heart, {field: value}, path, "PATCH")).keys() == {field}
    assert await faces.state() == before


@pytest.mark.parametrize(
    ("kind", "expression"),
    [
        ("cron", "* * * *"),
        ("cron", "* * * * * *"),
        ("cron", "61 * * * *"),
        ("cron", "0 0 30 2 *"),
        ("cron", "@reboot"),
        ("cron", "* " * 61),
        ("cron", 5),
        ("simple", "now and then"),
        ("simple", "daily at 24:00"),
        ("simple", "weekly on noday at 09:00"),
        ("simple", "monthly on 32 at 09:00"),
        ("simple", "every_3_minutes"),
        ("simple", 5),
    ],
)
async def test_an_expression_that_means_nothing_is_refused(
    heart: Caller, kind: str, expression: object
) -> None:
    body = SAMPLE | {"schedule_kind": kind, "schedule_expr": expression}
    assert (await errors(heart, body)).keys() == {"schedule_expr"}


async def test_bounds_are_inclusive(heart: Caller) -> None:
    for name in ("ab", "a" * 120):
        assert (await create(heart, name=name))["name"] == name
    for grace in (0, 86_400):
        assert (await create(heart, grace_seconds=grace))["grace_seconds"] == grace


async def test_all_fields_are_told_at_once(heart: Caller) -> None:
    everything = {
        "name": "x",
        "schedule_kind": "interval",
        "schedule_expr": "7",
        "tz": "Mars/Olympus",
        "grace_seconds": -1,
        "channel_ids": ["4711"],
    }
    assert (await errors(heart, everything)).keys() == everything.keys() - {"schedule_kind"}
    wrong_types = {"name": 1, "schedule_kind": 2, "schedule_expr": [], "tz": 3, "grace_seconds": "x"}
    assert (await errors(heart, wrong_types)).keys() == wrong_types.keys()
    assert (await errors(heart, {})).keys() == {"name", "schedule_kind", "schedule_expr"}


async def test_only_what_is_no_json_is_a_400(heart: Caller) -> None:
    for body in (b"", b"{", b"name=x"):
        answer = await heart.ask("POST", MONITORS, body)
        assert (answer.status_code, answer.json()["status"]) == (400, 400)
        assert answer.json().keys() == {"type", "title", "status", "detail"}
    for body in (b"[]", b'"name"', b"null", b"7"):
        answer = await heart.ask("POST", MONITORS, body)
        assert (answer.status_code, answer.json()["title"]) == (422, "Unprocessable Entity")


async def test_what_nobody_may_set_is_ignored_so_that_a_monitor_may_be_sent_back(heart: Caller) -> None:
    created = await create(heart)
    sent = created | {"name": "renamed", "status": "down", "uuid": UNKNOWN, "colour": "red"}
    answer = await heart.patch(f"{MONITORS}/{created['uuid']}", sent)
    assert answer.json() == created | {"name": "renamed"}


async def test_channels_are_named_by_ids_and_answered_in_their_order(faces: Faces, heart: Caller) -> None:
    ids = [await channel(faces, heart, f"hook {number}") for number in range(11)]
    created = await create(heart, channel_ids=[int(ids[10]), ids[1], ids[9], ids[1]])
    expected = [{"id": ids[number], "kind": "webhook", "label": f"hook {number}"} for number in (1, 9, 10)]
    assert created["channels"] == expected
    path = f"{MONITORS}/{created['uuid']}"
    assert (await heart.get(path)).json()["channels"] == expected
    assert (await heart.get(MONITORS)).json()["data"][0]["channels"] == expected
    assert (await heart.patch(path, {"channel_ids": [ids[0]]})).json()["channels"] == [
        {"id": ids[0], "kind": "webhook", "label": "hook 0"}
    ]
    assert (await heart.patch(path, {"channel_ids": []})).json()["channels"] == []


async def test_anothers_channel_is_unknown(faces: Faces, heart: Caller) -> None:
    other = await faces.caller("cronheart", plan="starter", email="else@example.com", project="theirs")
    theirs = await channel(faces, other, "theirs")
    assert (await errors(heart, SAMPLE | {"channel_ids": [theirs]})).keys() == {"channel_ids"}


async def test_list_newest_first_with_its_total(heart: Caller) -> None:
    for number in range(3):
        await create(heart, name=f"job {number}")
    page = (await heart.get(MONITORS)).json()
    assert page.keys() == {"data", "total", "limit", "offset"}
    assert [each["name"] for each in page["data"]] == ["job 2", "job 1", "job 0"]
    assert (page["total"], page["limit"], page["offset"]) == (3, 50, 0)
    part = (await heart.get(MONITORS, limit=1, offset=1)).json()
    assert [each["name"] for each in part["data"]] == ["job 1"]
    assert (part["total"], part["limit"], part["offset"]) == (3, 1, 1)
    assert (await heart.get(MONITORS, offset="9" * 100)).json()["data"] == []


@pytest.mark.parametrize(
    ("limit", "offset", "expected"),
    [
        ("50", "0", (50, 0)),
        ("100", "7", (100, 7)),
        ("101", "-7", (100, 0)),
        ("0", "x", (1, 0)),
        ("-5", "", (1, 0)),
        ("x", "1.5", (1, 0)),
        ("", "٣", (1, 0)),
        ("9" * 5_000, "9", (100, 9)),
        ("-" + "9" * 5_000, "0", (1, 0)),
    ],
)
async def test_limit_and_offset_are_clamped(limit: str, offset: str, expected: tuple[int, int]) -> None:
    assert window(asked(limit=limit, offset=offset)) == expected


@given(st.text(), st.text())
def test_no_limit_and_no_offset_break_the_bounds(limit: str, offset: str) -> None:
    found = window(asked(limit=limit, offset=offset))
    assert 1 <= found.limit <= 100
    assert found.offset >= 0


def asked(**query: str) -> Request:
    request = Request({"type": "http", "query_string": b"", "headers": []})
    request._query_params = query  # type: ignore[assignment]  # as Starlette would have decoded it
    return request


async def test_the_uuid_is_read_in_any_case(heart: Caller) -> None:
    created = await create(heart)
    assert (await heart.get(f"{MONITORS}/{created['uuid'].upper()}")).json() == created


async def test_change_some_fields(heart: Caller) -> None:
    created = await create(heart)
    changes = {
        "name": "weekly-backup",
        "schedule_kind": "cron",
        "schedule_expr": "0 3 * * 0",
        "tz": "Europe/Berlin",
        "grace_seconds": 600,
    }
    path = f"{MONITORS}/{created['uuid']}"
    answer = await heart.patch(path, changes)
    assert (answer.status_code, answer.json()) == (200, created | changes)
    assert (await heart.get(path)).json() == created | changes
    assert (await heart.patch(path, {"grace_seconds": 5})).json() == created | changes | {"grace_seconds": 5}
    assert (await errors(heart, {"schedule_kind": "interval"}, path, "PATCH")).keys() == {"schedule_expr"}


async def test_delete(heart: Caller) -> None:
    path = f"{MONITORS}/{(await create(heart))['uuid']}"
    answer = await heart.delete(path)
    assert (answer.status_code, answer.content) == (204, b"")
    for method, tail, body in (*READS, *WRITES):
        assert (await heart.ask(method, path + tail, body)).status_code == 404
    assert (await heart.get(MONITORS)).json()["total"] == 0


async def test_pause_and_resume(heart: Caller) -> None:
    created = await create(heart)
    path = f"{MONITORS}/{created['uuid']}"
    for _ in range(2):
        answer = await heart.post(f"{path}/pause")
        assert (answer.status_code, answer.json()) == (200, created | {"status": "paused"})
    for _ in range(2):
        answer = await heart.post(f"{path}/resume")
        assert (answer.status_code, answer.json()) == (200, created)


@pytest.mark.parametrize(("duration", "hours"), [("1h", 1), ("4h", 4), ("1d", 24), ("1w", 168)])
async def test_snooze_and_unsnooze(faces: Faces, heart: Caller, duration: str, hours: int) -> None:
    created = await create(heart)
    path = f"{MONITORS}/{created['uuid']}"
    answer = await heart.post(f"{path}/snooze", {"duration": duration})
    [row] = await faces.office.rows(select(tables.monitor_state.c.snoozed_until))
    assert (row.snoozed_until - faces.office.clock.now()) / SECOND == pytest.approx(hours * 3600)
    assert TIME.fullmatch(answer.json()["snoozed_until"])
    assert (answer.status_code, answer.json() | {"snoozed_until": None}) == (200, created)
    assert (await heart.get(path)).json() == answer.json()
    assert (await heart.post(f"{path}/unsnooze")).json() == created
    await heart.post(f"{path}/snooze", {"duration": duration})
    faces.office.hands.pass_(hours * 3600 + 1)
    assert (await heart.get(path)).json() == created


@pytest.mark.parametrize("body", [{}, {"duration": "2h"}, {"duration": 1}, {"duration": None}])
async def test_a_snooze_has_four_lengths(heart: Caller, body: dict[str, Any]) -> None:
    path = f"{MONITORS}/{(await create(heart))['uuid']}/snooze"
    assert (await errors(heart, body, path)).keys() == {"duration"}


async def test_rotate_uuid(heart: Caller) -> None:
    created = await create(heart)
    path = f"{MONITORS}/{created['uuid']}"
    answer = await heart.post(f"{path}/rotate-uuid", {"confirm": created["uuid"]})
    rotated = answer.json()
    assert answer.status_code == 200
    assert re.fullmatch(UUID, rotated["uuid"])
    assert rotated["uuid"] != created["uuid"]
    assert rotated == created | {
        "uuid": rotated["uuid"],
        "ping_url": f"http://tocsin/ping/{rotated['uuid']}",
    }
    assert (await heart.get(path)).status_code == 404
    assert (await heart.get(f"{MONITORS}/{rotated['uuid']}")).json() == rotated


async def test_a_rotation_must_be_confirmed_in_lower_case(heart: Caller) -> None:
    created = await create(heart)
    path = f"{MONITORS}/{created['uuid']}"
    for confirm in (None, UNKNOWN, created["uuid"].upper(), 7, [created["uuid"]]):
        assert (await errors(heart, {"confirm": confirm}, f"{path}/rotate-uuid")).keys() == {"confirm"}
    assert (await errors(heart, {}, f"{path}/rotate-uuid")).keys() == {"confirm"}
    assert (await heart.get(path)).json() == created


@pytest.mark.parametrize(
    ("stored", "word"),
    [
        ({"status": "new"}, "new"),
        ({"status": "up"}, "up"),
        ({"status": "up", "due_at": 1}, "up"),
        ({"status": "down", "reason": "missed"}, "late"),
        ({"status": "down", "reason": "unconfirmed"}, "late"),
        ({"status": "down", "reason": "failed"}, "down"),
        ({"status": "down", "reason": "overran"}, "down"),
        ({"status": "paused", "reason": "paused"}, "paused"),
    ],
)
async def test_what_a_status_is_called(
    faces: Faces, heart: Caller, stored: dict[str, Any], word: str
) -> None:
    created = await create(heart)
    await faces.office.store.write(
        lambda connection: connection.execute(update(tables.monitor_state).values(stored))
    )
    assert (await heart.get(f"{MONITORS}/{created['uuid']}")).json()["status"] == word
    badge = await faces.client.get(created["badge_url"].removeprefix("http://tocsin"))
    assert (badge.status_code, word in badge.text) == (200, True)


async def test_times_have_an_offset(faces: Faces, heart: Caller) -> None:
    created = await create(heart)
    heard = {
        "status": "up",
        "last_ping_at": 1_774_663_212_345_678,
        "due_at": 1_774_666_812_345_678,
        "snoozed_until": 2_000_000_000_000_000,
    }
    await faces.office.store.write(
        lambda connection: connection.execute(update(tables.monitor_state).values(heard))
    )
    shown = (await heart.get(f"{MONITORS}/{created['uuid']}")).json()
    assert shown["last_ping_at"] == "2026-03-28T02:00:12+00:00"
    assert shown["next_expected_at"] == "2026-03-28T03:00:12+00:00"
    assert shown["snoozed_until"] == "2033-05-18T03:33:20+00:00"


async def test_a_full_plan_is_a_403(store: SqliteStore) -> None:
    faces = Faces.open(store, plans="self-hosted")
    heart = await faces.caller("cronheart")
    await store.write(
        lambda connection: connection.execute(update(tables.project).values(monitor_count=1_000_000))
    )
    before = await faces.state()
    answer = await heart.post(MONITORS, SAMPLE)
    assert (answer.status_code, answer.json()["title"]) == (403, "Forbidden")
    assert answer.json()["detail"].startswith("Monitor limit reached (1000000)")
    assert await faces.state() == before


async def test_an_account_whose_address_nobody_confirmed_makes_no_monitor(store: SqliteStore) -> None:
    faces = Faces.open(store, signup_open=True)
    heart = await faces.caller("cronheart", plan="starter")
    await create(heart)
    await store.write(lambda connection: connection.execute(update(tables.account).values(verified_at=None)))
    before = await faces.state()
    answer = await heart.post(MONITORS, SAMPLE)
    assert (answer.status_code, answer.json()["title"]) == (403, "Forbidden")
    assert "Confirm" in answer.json()["detail"]
    assert await faces.state() == before


async def test_anothers_monitor_is_a_404_and_stays_as_it_is(faces: Faces, heart: Caller) -> None:
    other = await faces.caller("cronheart", plan="starter", email="else@example.com", project="theirs")
    theirs = await create(other)
    before = await faces.state()
    for method, tail, body in (*READS, *WRITES):
        for uuid in (theirs["uuid"], UNKNOWN, "1", "x" * 36):
            answer = await heart.ask(method, f"{MONITORS}/{uuid}{tail}", body)
            assert (answer.status_code, answer.json()["title"]) == (404, "Not Found")
    assert (await heart.get(MONITORS)).json()["data"] == []
    assert await faces.state() == before


async def test_a_read_only_token_reads_and_sees_no_credential(faces: Faces, heart: Caller) -> None:
    created = await create(heart)
    reader = await faces.caller("cronheart", read_only=True)
    listed = await reader.get(MONITORS)
    [shown] = listed.json()["data"]
    assert created["uuid"] not in listed.text
    assert re.fullmatch(UUID, shown["uuid"])
    assert shown == created | {"uuid": shown["uuid"], "ping_url": None}
    path = f"{MONITORS}/{shown['uuid']}"
    assert (await reader.get(path)).json() == shown
    assert (await reader.get(f"{path}/pings")).status_code == 200
    assert (await reader.get(f"{path}/alerts")).status_code == 200
    before = await faces.state()
    for method, tail, body in WRITES:
        answer = await reader.ask(method, path + tail, body)
        assert (answer.status_code, answer.json()["title"]) == (403, "Forbidden")
    assert (await reader.post(MONITORS, SAMPLE)).status_code == 403
    assert await faces.state() == before


async def test_monitors_made_elsewhere_are_shown_by_their_public_id(store: SqliteStore) -> None:
    faces = Faces.open(store, plans="self-hosted")
    heart = await faces.caller("cronheart")
    native, peek = await faces.caller("tocsin"), await faces.caller("cronpeek")
    body = {"name": "n", "schedule_kind": "interval", "schedule_expression": "5", "longest_run_seconds": 9}
    made = (await native.post("/api/tocsin/v1/monitors", body)).json()
    peeked = (await peek.post(MONITORS, {"name": "peeked", "schedule": 86400})).json()
    page = (await heart.get(MONITORS)).json()
    assert [each["name"] for each in page["data"]] == ["peeked", "n"]
    for shown, uid, address in (
        (page["data"][0], peeked["monitorId"], peeked["pingUrl"]),
        (page["data"][1], made["id"], made["ping_url"]),
    ):
        assert re.fullmatch(UUID, shown["uuid"])
        assert shown["uuid"].replace("-", "").startswith(uid)
        assert shown["ping_url"] == address
        path = f"{MONITORS}/{shown['uuid']}"
        assert (await heart.get(path)).json() == shown
        assert (await heart.get(path.upper().replace("/API/V1/MONITORS", MONITORS))).json() == shown
        assert (await heart.post(f"{path}/pause")).json()["status"] == "paused"
        assert (await heart.patch(path, {"grace_seconds": 7})).json()["grace_seconds"] == 7
        assert (await heart.post(f"{path}/resume")).json()["status"] == "new"
        confirm = {"confirm": shown["uuid"]}
        assert (await errors(heart, confirm, f"{path}/rotate-uuid")).keys() == {"confirm"}
        assert (await heart.get(f"{path}/pings")).json() == {"data": [], "next_cursor": None}
        assert (await heart.delete(path)).status_code == 204
    assert page["data"][1]["schedule_expr"] == "5"


async def test_a_monitor_of_ours_is_not_found_by_its_other_id(faces: Faces, heart: Caller) -> None:
    await create(heart)
    [row] = await faces.office.rows(select(tables.monitor.c.uid))
    uid = row.uid
    dashed = f"{uid[:8]}-{uid[8:12]}-{uid[12:16]}-{uid[16:20]}-{uid[20:]}"
    assert (await heart.get(f"{MONITORS}/{dashed}")).status_code == 404


async def test_a_retried_creation_makes_a_second_monitor_unless_it_has_a_key(heart: Caller) -> None:
    first, second = await create(heart), await create(heart)
    assert first["uuid"] != second["uuid"]
    kept = [await heart.ask("POST", MONITORS, SAMPLE, **{"Idempotency-Key": "nightly"}) for _ in range(2)]
    assert kept[0].content == kept[1].content
    assert kept[0].headers["location"] == kept[1].headers["location"]
    assert kept[1].headers["idempotency-replayed"] == "true"
    assert (await heart.get(MONITORS)).json()["total"] == 3

"""Cronping's published page (tests/seeds/cronping-com.txt), and what was settled beside it."""

from __future__ import annotations

import asyncio
import json
import re
from typing import Any

import httpx
import pytest
from sqlalchemy import select, update

from tests.faces import Caller, Faces
from tests.seeds.samples import samples
from tocsin.domain.monitor import SECOND
from tocsin.domain.plan import PRESETS, Plan, Plans
from tocsin.store import tables
from tocsin.store.sqlite import SqliteStore

HEARTBEATS = "/api/v1/heartbeats"
INTEGRATIONS = "/api/v1/integrations"
NATIVE = "/api/tocsin/v1"
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
NOWHERE = "550e8400-e29b-41d4-a716-446655440000"
# A heartbeat's keys, in the order of the page.
SAMPLE = next(
    one.value() for one in samples("cronping-com") if one.kind == "json" and "createdAt" in one.text
)
KEYS = [*SAMPLE["heartbeats"][0]]
SECRET = {"token", "pingUrl"}
DAILY = {"name": "Daily DB Backup", "scheduleType": "cron", "cronExpression": "0 3 * * *"}


@pytest.fixture
async def ping(faces: Faces) -> Caller:
    return await faces.caller("cronping")


async def create(caller: Caller, **fields: Any) -> dict[str, Any]:
    body = {"name": "job", **({} if "cronExpression" in fields else {"intervalSeconds": 300}), **fields}
    return await caller.create(HEARTBEATS, body)


async def get(caller: Caller, heartbeat: dict[str, Any]) -> dict[str, Any]:
    answer = await caller.get(f"{HEARTBEATS}/{heartbeat['id']}")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def change(caller: Caller, heartbeat: dict[str, Any], **fields: Any) -> httpx.Response:
    return await caller.patch(f"{HEARTBEATS}/{heartbeat['id']}", fields)


async def names(caller: Caller, query: str = "") -> list[str]:
    answer = await caller.ask("GET", HEARTBEATS + query)
    assert answer.status_code == 200, answer.text
    return [one["name"] for one in answer.json()["heartbeats"]]


async def set_state(faces: Faces, heartbeat: dict[str, Any], **state: Any) -> None:
    """Let the store say how a heartbeat stands."""
    mine = select(tables.monitor.c.id).where(tables.monitor.c.uid == heartbeat["id"].replace("-", ""))
    columns = tables.monitor_state
    change = update(columns).where(columns.c.monitor_id == mine.scalar_subquery()).values(**state)
    await faces.office.store.write(lambda connection: connection.execute(change))


def refusal(answer: httpx.Response, status: int) -> str:
    assert (answer.status_code, [*answer.json()]) == (status, ["error"]), answer.text
    text: str = answer.json()["error"]
    return text


# Keys


async def test_a_key_is_cpk_and_forty_letters_and_its_first_twelve_are_kept(faces: Faces) -> None:
    raw = await faces.office.key("cronping")
    assert re.fullmatch(r"cpk_[0-9A-Za-z]{40}", raw)
    actor = await faces.office.manage.authenticate(raw, "cronping")
    [view] = await faces.office.manage.list_keys(actor)
    assert view.prefix == raw[:12]
    listed = await faces.client.get(HEARTBEATS, headers={"X-API-KEY": raw})
    assert listed.json() == {"heartbeats": [], "total": 0, "limit": 50, "offset": 0}


@pytest.mark.parametrize("key", [None, "", "cpk_unknown", "x" * 5_000])
async def test_without_a_good_key_nobody_gets_in(faces: Faces, key: str | None) -> None:
    nobody = Caller(faces.client, {} if key is None else {"x-api-key": key})
    one = f"{HEARTBEATS}/{NOWHERE}"
    for method, path in (
        ("GET", HEARTBEATS),
        ("POST", HEARTBEATS),
        ("GET", one),
        ("PATCH", one),
        ("DELETE", one),
        ("POST", f"{one}/pause"),
        ("POST", f"{one}/resume"),
        ("GET", f"{one}/pings"),
        ("GET", f"/cronping{INTEGRATIONS}"),
    ):
        refusal(await nobody.ask(method, path), 401)


@pytest.mark.parametrize("dialect", ["tocsin", "cronpeek", "cronbeats"])
async def test_a_key_of_another_dialect_is_a_401(faces: Faces, dialect: str) -> None:
    key = await faces.office.key(dialect)
    refusal(await faces.client.get(f"/cronping{HEARTBEATS}", headers={"x-api-key": key}), 401)


async def test_a_read_only_key_reads_all_but_the_token_and_changes_nothing(
    faces: Faces, ping: Caller
) -> None:
    reader = await faces.caller("cronping", read_only=True)
    made = await create(ping)
    [item] = (await reader.get(HEARTBEATS)).json()["heartbeats"]
    assert [*item] == [key for key in KEYS if key not in SECRET]
    assert {*(await get(reader, made))} == {*item, "integrationIds"}
    assert made["token"] not in (await reader.get(f"{HEARTBEATS}/{made['id']}/pings")).text
    before = await faces.state()
    one = f"{HEARTBEATS}/{made['id']}"
    for method, path, body in (
        ("POST", HEARTBEATS, {"name": "x", "intervalSeconds": 60}),
        ("POST", HEARTBEATS, {"name": "job", "unique": "job", "intervalSeconds": 60}),
        ("PATCH", one, {"graceSeconds": 1}),
        ("DELETE", one, None),
        ("POST", f"{one}/pause", None),
        ("POST", f"{one}/resume", None),
    ):
        assert refusal(await reader.ask(method, path, body), 403) == "This key is read-only."
    assert await faces.state() == before


async def test_the_limit_of_the_plan_is_another_403(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = Plans({"cronping": {"small": Plan("small", monitor_limit=1)}})
    monkeypatch.setitem(PRESETS, "small", small)
    ping = await Faces.open(store, plans="small").caller("cronping")
    body = {"name": "job", "intervalSeconds": 300, "unique": "job"}
    assert (await ping.post(HEARTBEATS, body)).status_code == 201
    text = refusal(await ping.post(HEARTBEATS, {"name": "x", "intervalSeconds": 60}), 403)
    assert text == "Plan limit reached (1). Upgrade your plan for more heartbeats."
    assert (await ping.post(HEARTBEATS, body)).status_code == 200


async def test_an_interval_that_the_plan_has_not_is_a_400_that_names_it(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = Plans({"cronping": {"slow": Plan("slow", minimum_interval_seconds=600)}})
    monkeypatch.setitem(PRESETS, "slow", slow)
    ping = await Faces.open(store, plans="slow").caller("cronping")
    made = await create(ping, intervalSeconds=600)
    expected = "intervalSeconds: The shortest interval is 600 seconds."
    assert refusal(await ping.post(HEARTBEATS, {"name": "x", "intervalSeconds": 300}), 400) == expected
    assert refusal(await change(ping, made, intervalSeconds=300), 400) == expected


async def test_a_key_asks_a_hundred_times_a_minute(faces: Faces, ping: Caller) -> None:
    answers = [await ping.get(INTEGRATIONS) for _ in range(101)]
    assert [one.status_code for one in answers] == [200] * 100 + [429]
    assert answers[-1].json() == {"error": "Rate limit exceeded. Max 100 requests per minute."}
    assert 1 <= int(answers[-1].headers["retry-after"]) <= 60
    other = await faces.caller("cronping")
    assert (await other.get(INTEGRATIONS)).status_code == 200
    faces.office.hands.pass_(60)
    assert (await ping.get(INTEGRATIONS)).status_code == 200


# Making


async def test_what_is_not_said_is_the_default(faces: Faces, ping: Caller) -> None:
    answer = await ping.post(HEARTBEATS, {"name": "worker-node-1", "intervalSeconds": 300})
    made = answer.json()
    assert [*made] == [*KEYS, "integrationIds"]
    assert UUID.fullmatch(made["id"])
    assert answer.headers["location"] == f"http://tocsin/cronping{HEARTBEATS}/{made['id']}"
    assert re.fullmatch("[0-9a-f]{40}", made["token"])
    assert made["pingUrl"] == f"http://tocsin/{made['token']}"
    assert TIME.fullmatch(made["createdAt"])
    assert made["updatedAt"] == made["createdAt"]
    assert {key: made[key] for key in [*KEYS[1:14], "integrationIds"]} == {
        "name": "worker-node-1",
        "status": "new",
        "paused": False,
        "scheduleType": "interval",
        "intervalSeconds": 300,
        "cronExpression": None,
        "timezone": "UTC",
        "graceSeconds": 300,
        "tags": "",
        "emailAlertsEnabled": True,
        "reminderIntervalSeconds": 0,
        "lastPingAt": None,
        "nextExpectedAt": None,
        "integrationIds": [],
    }


async def test_everything_that_is_said_is_kept(faces: Faces, ping: Caller) -> None:
    channel = await hook(faces)
    said = {
        "name": "Daily DB Backup",
        "scheduleType": "cron",
        "cronExpression": "0 3 * * *",
        "timezone": "America/Sao_Paulo",
        "graceSeconds": 600,
        "tags": "prod db",
        "emailAlertsEnabled": False,
        "reminderIntervalSeconds": 3600,
        "integrationIds": [channel],
    }
    made = await create(ping, **said)
    assert {name: made[name] for name in said} == said
    assert made["intervalSeconds"] == 0
    assert await get(ping, made) == made
    [item] = (await ping.get(HEARTBEATS)).json()["heartbeats"]
    assert item == {key: made[key] for key in KEYS}


async def hook(faces: Faces) -> str:
    """The id of a new channel of the project."""
    owner = await faces.caller("tocsin")
    body = {"kind": "webhook", "label": "Hook", "config": {"url": "https://example.com/hook"}}
    await owner.post(f"{NATIVE}/channels", body)
    return str((await (await faces.caller("cronping")).get(INTEGRATIONS)).json()["integrations"][-1]["id"])


@pytest.mark.parametrize(
    ("field", "low", "high"),
    [
        ("intervalSeconds", 60, 2_592_000),
        ("graceSeconds", 0, 86_400),
        ("reminderIntervalSeconds", 0, 31_622_400),
    ],
)
async def test_numbers_have_their_published_bounds(
    faces: Faces, ping: Caller, field: str, low: int, high: int
) -> None:
    made = await create(ping)
    for value in (low, high):
        assert (await create(ping, **{field: value}))[field] == value
        assert (await change(ping, made, **{field: value})).json()[field] == value
    before = await faces.state()
    refused: list[Any] = [low - 1, high + 1, str(low), low + 0.5, float(high), True, None, [], 10**12]
    for wrong in refused:
        body = {"name": "job", "intervalSeconds": 300, field: wrong}
        assert field in refusal(await ping.post(HEARTBEATS, body), 400)
        assert field in refusal(await change(ping, made, **{field: wrong}), 400)
    assert await faces.state() == before


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"name": None}, "name"),
    ({"name": ""}, "name"),
    ({"name": "x" * 201}, "name"),
    ({"name": 7}, "name"),
    ({"scheduleType": "simple"}, "scheduleType"),
    ({"scheduleType": None}, "scheduleType"),
    ({"scheduleType": "cron"}, "cronExpression"),
    ({"scheduleType": "cron", "cronExpression": "61 * * * *"}, "cronExpression"),
    ({"scheduleType": "cron", "cronExpression": ""}, "cronExpression"),
    ({"scheduleType": "cron", "cronExpression": 7}, "cronExpression"),
    ({"scheduleType": "cron", "cronExpression": None}, "cronExpression"),
    ({"scheduleType": "cron", "cronExpression": "0 0 30 2 *"}, "cronExpression"),
    ({"cronExpression": "not cron"}, "cronExpression"),
    ({"timezone": "Mars/Olympus"}, "timezone"),
    ({"timezone": None}, "timezone"),
    ({"tags": ["prod"]}, "tags"),
    ({"tags": "a\nb"}, "tags"),
    ({"tags": "x" * 51}, "tags"),
    ({"tags": None}, "tags"),
    ({"emailAlertsEnabled": "true"}, "emailAlertsEnabled"),
    ({"emailAlertsEnabled": 1}, "emailAlertsEnabled"),
    ({"integrationIds": NOWHERE}, "integrationIds"),
    ({"integrationIds": [NOWHERE]}, "integrationIds"),
    ({"integrationIds": [7]}, "integrationIds"),
    ({"integrationIds": ["slack"]}, "integrationIds"),
]


@pytest.mark.parametrize(("fields", "name"), WRONG)
async def test_a_wrong_field_is_a_400_that_names_it(
    faces: Faces, ping: Caller, fields: dict[str, Any], name: str
) -> None:
    made = await create(ping)
    before = await faces.state()
    body = {"name": "job", "intervalSeconds": 300, **fields}
    assert name in refusal(await ping.post(HEARTBEATS, body), 400)
    assert name in refusal(await ping.post(HEARTBEATS, {**body, "unique": "job"}), 400)
    assert name in refusal(await change(ping, made, **fields), 400)
    assert await faces.state() == before


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b'{"name": NaN}', b'"x"'])
async def test_a_body_that_is_no_object_is_a_400(faces: Faces, ping: Caller, body: bytes) -> None:
    made = await create(ping)
    refusal(await ping.ask("POST", HEARTBEATS, body), 400)
    refusal(await ping.ask("PATCH", f"{HEARTBEATS}/{made['id']}", body), 400)


@pytest.mark.parametrize(
    ("body", "name"),
    [
        ({"intervalSeconds": 300}, "name"),
        ({"name": "x"}, "intervalSeconds"),
        ({"name": "x", "scheduleType": "interval"}, "intervalSeconds"),
        ({"name": "x", "cronExpression": "0 3 * * *"}, "intervalSeconds"),
        ({"name": "x", "scheduleType": "cron", "intervalSeconds": 300}, "cronExpression"),
        ({"name": "x", "intervalSeconds": 300, "unique": ""}, "unique"),
        ({"name": "x", "intervalSeconds": 300, "unique": None}, "unique"),
        ({"name": "x", "intervalSeconds": 300, "unique": 7}, "unique"),
    ],
)
async def test_what_is_needed_is_named(ping: Caller, body: dict[str, Any], name: str) -> None:
    assert name in refusal(await ping.post(HEARTBEATS, body), 400)


async def test_a_heartbeat_that_was_read_can_be_sent_back(ping: Caller) -> None:
    for made in (await create(ping), await create(ping, **DAILY)):
        again = (await change(ping, made, **made)).json()
        assert {**again, "updatedAt": ""} == {**made, "updatedAt": ""}
        copied = await create(ping, **{**made, "name": "copy"})
        assert copied["id"] != made["id"]
        assert copied["cronExpression"] == made["cronExpression"]


@pytest.mark.parametrize(("grace", "longest"), [(300, 300), (0, 1), (86_400, 86_400)])
async def test_a_run_may_take_as_long_as_the_grace(
    faces: Faces, ping: Caller, grace: int, longest: int
) -> None:
    native = await faces.caller("tocsin")
    made = await create(ping, graceSeconds=grace)
    [seen] = (await native.get(f"{NATIVE}/monitors")).json()["monitors"]
    assert (seen["grace_seconds"], seen["longest_run_seconds"]) == (grace, longest)
    await change(ping, made, graceSeconds=77)
    [seen] = (await native.get(f"{NATIVE}/monitors")).json()["monitors"]
    assert (seen["grace_seconds"], seen["longest_run_seconds"]) == (77, 77)


async def test_mail_goes_to_members_or_nobody_and_channels_only_where_named(
    faces: Faces, ping: Caller
) -> None:
    native = await faces.caller("tocsin")
    made = await create(ping)
    path = f"{NATIVE}/monitors/{made['id'].replace('-', '')}"
    seen = (await native.get(path)).json()
    assert (seen["mail"], seen["fan_out"], seen["channel_ids"]) == ("members", False, [])
    assert (await change(ping, made, emailAlertsEnabled=False)).json()["emailAlertsEnabled"] is False
    assert (await native.get(path)).json()["mail"] == "none"
    channel = await hook(faces)
    assert (await change(ping, made, integrationIds=[channel])).json()["integrationIds"] == [channel]
    assert (await native.get(path)).json()["channel_ids"] == [channel.replace("-", "")]
    assert (await change(ping, made, integrationIds=[])).json()["integrationIds"] == []


# The upsert


async def test_unique_makes_once_and_then_updates(faces: Faces, ping: Caller) -> None:
    body = {"name": "worker-node-1", "unique": "worker-node-1", "intervalSeconds": 300, "graceSeconds": 60}
    first = await ping.post(HEARTBEATS, body)
    second = await ping.post(HEARTBEATS, {**body, "graceSeconds": 90})
    assert (first.status_code, second.status_code) == (201, 200)
    assert second.json()["id"] == first.json()["id"]
    assert [*second.json()] == [*first.json()]
    assert second.json()["graceSeconds"] == 90
    assert await names(ping) == ["worker-node-1"]


async def test_unique_changes_only_what_is_given(ping: Caller) -> None:
    made = await create(
        ping,
        **{**DAILY, "timezone": "America/Sao_Paulo", "graceSeconds": 600},
        unique="k",
        tags="prod",
        emailAlertsEnabled=False,
    )
    body = {**DAILY, "name": "Renamed", "unique": "k", "cronExpression": "0 4 * * *"}
    answer = await ping.post(HEARTBEATS, body)
    assert answer.status_code == 200
    changed = {"name": "Renamed", "cronExpression": "0 4 * * *", "updatedAt": answer.json()["updatedAt"]}
    assert answer.json() == {**made, **changed}


async def test_unique_finds_the_stored_key_first_then_the_oldest_of_that_name(ping: Caller) -> None:
    old, _, keyed = await create(ping), await create(ping), await create(ping, name="other", unique="k")
    by_key = await ping.post(HEARTBEATS, {"name": "job", "unique": "k", "intervalSeconds": 60})
    by_name = await ping.post(HEARTBEATS, {"name": "job", "unique": "job", "intervalSeconds": 60})
    assert by_key.json()["id"] == keyed["id"]
    assert by_name.json()["id"] == old["id"]
    again = await ping.post(HEARTBEATS, {"name": "moved", "unique": "job", "intervalSeconds": 60})
    assert (again.status_code, again.json()["id"], again.json()["name"]) == (200, old["id"], "moved")


async def test_many_at_once_with_one_key_make_one(ping: Caller) -> None:
    body = {"name": "worker", "unique": "worker", "intervalSeconds": 300}
    answers = await asyncio.gather(*(ping.post(HEARTBEATS, body) for _ in range(10)))
    assert sorted(one.status_code for one in answers) == [200] * 9 + [201]
    assert len({one.json()["id"] for one in answers}) == 1


async def test_a_name_alone_is_no_key(ping: Caller) -> None:
    assert (await create(ping))["id"] != (await create(ping))["id"]


# Reading


async def test_the_list_is_newest_first_and_paged(ping: Caller) -> None:
    for number in range(3):
        await create(ping, name=f"job {number}")
    assert await names(ping) == ["job 2", "job 1", "job 0"]
    page = (await ping.get(HEARTBEATS, limit=1, offset=1)).json()
    assert [one["name"] for one in page["heartbeats"]] == ["job 1"]
    assert (page["total"], page["limit"], page["offset"]) == (3, 1, 1)


@pytest.mark.parametrize(
    ("query", "limit", "offset"),
    [
        ("", 50, 0),
        ("?limit=0", 1, 0),
        ("?limit=-7", 1, 0),
        ("?limit=101", 100, 0),
        (f"?limit={10**30}", 100, 0),
        ("?limit=007", 7, 0),
        ("?offset=-1", 50, 0),
        (f"?offset={10**30}", 50, 2**63 - 1),
    ],
)
async def test_a_limit_out_of_range_is_clamped(ping: Caller, query: str, limit: int, offset: int) -> None:
    page = (await ping.ask("GET", HEARTBEATS + query)).json()
    assert (page["limit"], page["offset"]) == (limit, offset)


@pytest.mark.parametrize("text", ["ten", "", "1.5", "1e2", "\u0663", " 1", "0x10", "9" * 5_000])
@pytest.mark.parametrize("field", ["limit", "offset"])
async def test_a_limit_that_is_no_number_is_a_400(ping: Caller, field: str, text: str) -> None:
    made = await create(ping)
    for path in (HEARTBEATS, f"{HEARTBEATS}/{made['id']}/pings"):
        assert field in refusal(await ping.get(path, **{field: text}), 400)


async def test_the_query_is_part_of_the_name_in_any_case(ping: Caller) -> None:
    await create(ping, name="Daily DB Backup")
    await create(ping, name="Hourly 100% sync")
    assert await names(ping, "?query=db+back") == ["Daily DB Backup"]
    assert await names(ping, "?query=100%25") == ["Hourly 100% sync"]
    assert await names(ping, "?query=nothing") == []


async def test_statuses_are_ored_and_tags_anded(faces: Faces, ping: Caller) -> None:
    now = faces.office.clock.now()
    past = {"status": "up", "due_at": now - 1}
    future = {"status": "up", "due_at": now + SECOND}
    stands: dict[str, dict[str, Any]] = {
        "new": {},
        "up": future,
        "late": past,
        "down": {"status": "down"},
        "paused": {"status": "paused"},
    }
    for status, state in stands.items():
        made = await create(ping, name=status, tags=f"all {status}")
        await set_state(faces, made, ping_count=1, **state)
    shown = {one["name"]: one["status"] for one in (await ping.get(HEARTBEATS)).json()["heartbeats"]}
    assert shown == {status: status for status in stands}
    for status in stands:
        assert await names(ping, f"?status={status}") == [status]
    assert await names(ping, "?status=up&status=down") == ["down", "up"]
    assert await names(ping, "?tag=all&tag=late") == ["late"]
    assert await names(ping, "?tag=late&tag=down") == []
    assert await names(ping, "?tag=al") == []
    page = (await ping.ask("GET", f"{HEARTBEATS}?tag=all&status=up&limit=1")).json()
    assert (len(page["heartbeats"]), page["total"]) == (1, 1)


async def test_between_a_start_and_its_end_it_is_running(faces: Faces, ping: Caller) -> None:
    run = json.dumps([[None, 1, None, None, None]])
    for status in ("new", "up", "down", "paused"):
        await set_state(faces, await create(ping, name=status), status=status, runs=run)
    shown = {one["name"]: one["status"] for one in (await ping.get(HEARTBEATS)).json()["heartbeats"]}
    assert shown == {"new": "running", "up": "running", "down": "down", "paused": "paused"}
    assert {"new", "up"} <= {*await names(ping, "?status=running")}
    assert await names(ping, "?status=up") == ["up"]


@pytest.mark.parametrize("word", ["healthy", "", "UP", "up,down"])
async def test_an_unknown_status_is_a_400(ping: Caller, word: str) -> None:
    assert "status" in refusal(await ping.get(HEARTBEATS, status=word), 400)


async def test_the_next_time_includes_the_grace_and_is_reckoned_in_the_zone(
    faces: Faces, ping: Caller
) -> None:
    made = await create(ping, **DAILY)
    at = 1_773_370_812_000_000
    heard = {"status": "up", "last_ping_at": at, "due_at": 1_773_457_200_000_000}
    await set_state(faces, made, **heard)
    seen = await get(ping, made)
    assert seen["lastPingAt"] == "2026-03-13T03:00:12.000Z"
    assert seen["nextExpectedAt"] == "2026-03-14T03:05:00.000Z"


async def test_an_unknown_heartbeat_is_a_404(faces: Faces, ping: Caller) -> None:
    theirs = await create(await faces.caller("cronping", email="else@example.com", project="theirs"))
    before = await faces.state()
    for name in (NOWHERE, theirs["id"], "1", "x" * 500, "%ff", theirs["token"]):
        one = f"{HEARTBEATS}/{name}"
        for method, path, body in (
            ("GET", one, None),
            ("PATCH", one, {"graceSeconds": 1}),
            ("DELETE", one, None),
            ("POST", f"{one}/pause", None),
            ("POST", f"{one}/resume", None),
            ("GET", f"{one}/pings", None),
        ):
            assert refusal(await ping.ask(method, path, body), 404) == "Heartbeat not found"
    assert await faces.state() == before


async def test_ids_are_read_in_any_case(ping: Caller) -> None:
    made = await create(ping)
    assert (await ping.get(f"{HEARTBEATS}/{made['id'].upper()}")).json() == made


async def test_other_methods_and_addresses_are_refused_in_the_same_shape(ping: Caller) -> None:
    answer = await ping.ask("PUT", f"{HEARTBEATS}/{NOWHERE}", {})
    refusal(answer, 405)
    assert set(answer.headers["allow"].split(", ")) == {"GET", "PATCH", "DELETE"}
    refusal(await ping.get(f"/cronping{HEARTBEATS}/"), 404)
    assert (await ping.ask("HEAD", HEARTBEATS)).content == b""


# Changing


async def test_patch_changes_what_is_sent(ping: Caller) -> None:
    made = await create(ping, **DAILY, timezone="America/Sao_Paulo", tags="prod db")
    answer = await change(ping, made, graceSeconds=600, tags="prod db critical")
    assert answer.status_code == 200
    changed = {"graceSeconds": 600, "tags": "prod db critical", "updatedAt": answer.json()["updatedAt"]}
    assert answer.json() == {**made, **changed}
    moved = (await change(ping, made, timezone="Europe/Berlin")).json()
    assert (moved["timezone"], moved["cronExpression"]) == ("Europe/Berlin", "0 3 * * *")


async def test_patch_ignores_unique_and_what_it_does_not_know(ping: Caller) -> None:
    made = await create(ping, unique="k")
    answer = await change(ping, made, unique=7, status="down", id="x", colour="red")
    assert answer.status_code == 200
    assert {**answer.json(), "updatedAt": ""} == {**made, "updatedAt": ""}
    assert (await ping.post(HEARTBEATS, {"name": "n", "unique": "k", "intervalSeconds": 60})).json()[
        "id"
    ] == made["id"]


async def test_a_schedule_type_needs_its_companion_sent_or_stored(faces: Faces, ping: Caller) -> None:
    interval, cron = await create(ping), await create(ping, **DAILY)
    before = await faces.state()
    assert "cronExpression" in refusal(await change(ping, interval, scheduleType="cron"), 400)
    assert "intervalSeconds" in refusal(await change(ping, cron, scheduleType="interval"), 400)
    assert "scheduleType" in refusal(await change(ping, interval, cronExpression="0 3 * * *"), 400)
    assert "scheduleType" in refusal(await change(ping, cron, intervalSeconds=300), 400)
    assert await faces.state() == before
    assert (await change(ping, interval, scheduleType="interval")).status_code == 200
    assert (await change(ping, cron, scheduleType="cron", graceSeconds=5)).status_code == 200
    turned = (await change(ping, interval, scheduleType="cron", cronExpression="5 4 * * *")).json()
    assert (turned["scheduleType"], turned["intervalSeconds"], turned["cronExpression"]) == (
        "cron",
        0,
        "5 4 * * *",
    )
    back = (await change(ping, turned, scheduleType="interval", intervalSeconds=600)).json()
    assert (back["scheduleType"], back["intervalSeconds"], back["cronExpression"]) == ("interval", 600, None)


async def test_pause_and_resume_answer_with_the_heartbeat(faces: Faces, ping: Caller) -> None:
    made = await create(ping)
    path = f"{HEARTBEATS}/{made['id']}"
    await set_state(faces, made, status="up", due_at=1, deadline_at=2**62)
    for _ in range(2):
        paused = await ping.post(f"{path}/pause")
        assert (paused.status_code, [*paused.json()]) == (200, [*made])
        seen = paused.json()
        assert (seen["status"], seen["paused"], seen["nextExpectedAt"]) == ("paused", True, None)
    resumed = (await ping.post(f"{path}/resume")).json()
    assert (resumed["status"], resumed["paused"]) == ("new", False)
    await set_state(faces, made, status="up")
    assert (await ping.post(f"{path}/resume")).json()["status"] == "up"


async def test_delete_takes_it_away_and_says_so(ping: Caller) -> None:
    made = await create(ping, unique="k")
    gone = await ping.delete(f"{HEARTBEATS}/{made['id']}")
    assert (gone.status_code, gone.json()) == (200, {"id": made["id"], "deleted": True})
    assert await names(ping) == []
    refusal(await ping.delete(f"{HEARTBEATS}/{made['id']}"), 404)
    assert (await create(ping, unique="k"))["id"] != made["id"]


# Integrations


async def test_integrations_are_the_projects_channels(faces: Faces, ping: Caller) -> None:
    assert (await ping.get(INTEGRATIONS)).json() == {"integrations": []}
    first, second = await hook(faces), await hook(faces)
    listed = (await ping.get(INTEGRATIONS)).json()["integrations"]
    assert [one["id"] for one in listed] == [first, second]
    assert [*listed[0]] == ["id", "channel", "name", "enabled", "createdAt", "updatedAt"]
    assert UUID.fullmatch(first)
    assert (listed[0]["channel"], listed[0]["name"], listed[0]["enabled"]) == ("webhook", "Hook", True)
    assert TIME.fullmatch(listed[0]["createdAt"])
    owner = await faces.caller("tocsin")
    await owner.patch(f"{NATIVE}/channels/{first.replace('-', '')}", {"enabled": False})
    assert (await ping.get(INTEGRATIONS)).json()["integrations"][0]["enabled"] is False
    stranger = await faces.caller("cronping", email="else@example.com", project="theirs")
    assert (await stranger.get(INTEGRATIONS)).json() == {"integrations": []}


async def test_an_integration_that_is_not_verified_is_not_enabled(store: SqliteStore) -> None:
    faces = Faces.open(store, signup_open=True)
    await hook(faces)
    [one] = (await (await faces.caller("cronping")).get(INTEGRATIONS)).json()["integrations"]
    assert one["enabled"] is False


# Beside the other dialects of a project


async def test_what_others_made_is_shown_changed_paused_and_deleted(faces: Faces, ping: Caller) -> None:
    native, peek = await faces.caller("tocsin"), await faces.caller("cronpeek")
    peeked = (await peek.post("/api/v1/monitors", {"name": "peek", "schedule": 90})).json()
    body = {
        "name": "words",
        "schedule_kind": "simple",
        "schedule_expression": "daily at 03:30",
        "timezone": "Europe/Berlin",
        "mail": "ops@example.com",
        "longest_run_seconds": 7,
        "reminder_seconds": 60,
        "tags": ["a", "b"],
    }
    made = (await native.post(f"{NATIVE}/monitors", body)).json()
    words, seen = (await ping.get(HEARTBEATS)).json()["heartbeats"]
    assert [*words] == [*seen] == KEYS
    assert (seen["name"], seen["intervalSeconds"], seen["graceSeconds"]) == ("peek", 90, 60)
    assert seen["id"].replace("-", "").startswith(peeked["monitorId"])
    assert seen["pingUrl"] == peeked["pingUrl"]
    assert (words["scheduleType"], words["cronExpression"]) == ("cron", "30 03 * * *")
    assert (words["timezone"], words["tags"], words["reminderIntervalSeconds"]) == (
        "Europe/Berlin",
        "a b",
        60,
    )
    assert (words["emailAlertsEnabled"], words["pingUrl"]) == (True, made["ping_url"])

    await change(ping, words, **{**words, "graceSeconds": 11, "intervalSeconds": 0})
    after = (await native.get(f"{NATIVE}/monitors/{made['id']}")).json()
    assert (after["grace_seconds"], after["longest_run_seconds"]) == (11, 7)
    assert (after["schedule_kind"], after["mail"]) == ("simple", "ops@example.com")
    await ping.post(f"{HEARTBEATS}/{seen['id']}/pause")
    status = await peek.get(f"/api/v1/monitors/{peeked['monitorId']}/status")
    assert status.json()["status"] == "paused"
    await ping.delete(f"{HEARTBEATS}/{seen['id']}")
    assert (await peek.get("/api/v1/monitors")).json()["count"] == 1


async def test_what_cronping_made_is_seen_by_the_others(faces: Faces, ping: Caller) -> None:
    native, peek = await faces.caller("tocsin"), await faces.caller("cronpeek")
    made = await create(ping, **DAILY, tags="prod db")
    seen = (await native.get(f"{NATIVE}/monitors/{made['id'].replace('-', '')}")).json()
    assert (seen["made_by"], seen["schedule_kind"], seen["schedule_expression"]) == (
        "cronping",
        "cron",
        "0 3 * * *",
    )
    assert (seen["tags"], seen["ping_url"]) == (["prod", "db"], made["pingUrl"])
    [shown] = (await peek.get("/api/v1/monitors")).json()["monitors"]
    assert (shown["name"], shown["schedule"], shown["grace"]) == ("Daily DB Backup", 86_400, 300)
    await peek.delete(f"/api/v1/monitors/{shown['monitorId']}")
    refusal(await ping.get(f"{HEARTBEATS}/{made['id']}"), 404)


async def test_the_document_names_what_there_is(faces: Faces) -> None:
    described = (await faces.nobody.get("/cronping/openapi.json")).json()
    assert described["servers"] == [{"url": "http://tocsin/cronping"}]
    found = {(method, path) for path, methods in described["paths"].items() for method in methods}
    one = f"{HEARTBEATS}/{{id}}"
    assert found == {
        ("get", HEARTBEATS),
        ("post", HEARTBEATS),
        ("get", one),
        ("patch", one),
        ("delete", one),
        ("post", f"{one}/pause"),
        ("post", f"{one}/resume"),
        ("get", f"{one}/pings"),
        ("get", INTEGRATIONS),
    }
    assert (await faces.nobody.get("/cronping/docs")).status_code == 200

"""CronBeats' published page (seeds/cronbeats.txt), and what was settled beside it: jobs, errors, limits."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import select, update

from tests.faces import Caller, Faces
from tocsin.domain.monitor import SECOND
from tocsin.engine.manage.monitors import MonitorDraft
from tocsin.store import tables

JOBS = "/api/v1/jobs"
SAMPLE = {
    "name": "Daily Database Backup",
    "expected_interval_seconds": 86400,
    "grace_seconds": 600,
    "description": "PostgreSQL backup to S3",
    "timezone": "UTC",
}
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
JOB_KEYS = {
    "id", "job_key", "name", "description", "expected_interval_seconds", "grace_seconds", "timezone",
    "ping_url", "is_enabled", "status", "last_ping_at", "next_expected_at", "created_at", "updated_at",
}  # fmt: skip


async def create(beats: Caller, **fields: Any) -> dict[str, Any]:
    made = await beats.create(JOBS, {"name": "job", "expected_interval_seconds": 3600, **fields})
    created: dict[str, Any] = made["data"]
    return created


async def job(beats: Caller, job_id: int) -> dict[str, Any]:
    answer = await beats.get(f"{JOBS}/{job_id}")
    assert answer.status_code == 200, answer.text
    shown: dict[str, Any] = answer.json()["data"]
    return shown


async def change_state(faces: Faces, job_id: int, **values: Any) -> None:
    """As if pings and time had done it."""
    state = tables.monitor_state
    statement = update(state).where(state.c.monitor_id == job_id).values(values)
    await faces.office.store.write(lambda connection: connection.execute(statement))


def assert_refused(answer: Any, status: int, word: str) -> dict[str, Any]:
    """That it is the error of the page; what it says."""
    error: dict[str, Any] = answer.json()
    assert (answer.status_code, error["success"], error["error"]) == (status, False, word)
    assert error["message"]
    assert TIME.fullmatch(error["meta"]["timestamp"])
    assert error.keys() - {"errors"} == {"success", "error", "message", "meta"}
    return error


async def test_create_job(beats: Caller) -> None:
    answer = await beats.post(JOBS, SAMPLE)
    assert (answer.status_code, answer.json()["success"]) == (201, True)
    created = answer.json()["data"]
    assert created.keys() == {"id", "job_key", "name", "ping_url", "is_enabled", "created_at"}
    assert type(created["id"]) is int
    assert re.fullmatch("[0-9A-Za-z]{8}", created["job_key"])
    assert created["ping_url"] == f"http://tocsin/ping/{created['job_key']}"
    assert (created["name"], created["is_enabled"]) == ("Daily Database Backup", True)
    assert TIME.fullmatch(created["created_at"])


async def test_get_job_shows_what_was_sent_and_the_current_state(beats: Caller) -> None:
    created = await create(beats, **SAMPLE)
    shown = await job(beats, created["id"])
    assert shown.keys() == JOB_KEYS
    assert shown | SAMPLE | created == shown
    assert (shown["status"], shown["last_ping_at"], shown["next_expected_at"]) == ("pending", None, None)
    assert shown["updated_at"] == shown["created_at"]


async def test_a_job_needs_a_name_and_an_interval_only(beats: Caller) -> None:
    shown = await job(beats, (await create(beats))["id"])
    assert (shown["grace_seconds"], shown["description"], shown["timezone"]) == (300, "", "UTC")


async def test_a_job_tells_all_channels_of_the_project_and_its_members(faces: Faces, beats: Caller) -> None:
    created = await create(beats)
    actor = await faces.office.manage.authenticate(beats.headers["x-api-key"], "cronbeats")
    monitor = await faces.office.manage.monitor(actor, created["id"])
    [targets] = await faces.office.manage.targets(actor, [monitor])
    assert (monitor.fan_out, monitor.channel_ids) == (True, ())
    assert (targets.mail, targets.webhook_url) == ("members", None)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", None), ("name", ""), ("name", "  "), ("name", "x" * 201), ("name", 5), ("name", "a\rb"),
        ("expected_interval_seconds", None), ("expected_interval_seconds", "3600"),
        ("expected_interval_seconds", 3600.0), ("expected_interval_seconds", True),
        ("expected_interval_seconds", 0), ("expected_interval_seconds", -1),
        ("expected_interval_seconds", 10**12), ("expected_interval_seconds", [60]),
        ("grace_seconds", -1), ("grace_seconds", "60"), ("grace_seconds", 1.5), ("grace_seconds", True),
        ("grace_seconds", 10**12), ("grace_seconds", None),
        ("description", "x" * 256), ("description", 5), ("description", None),
        ("timezone", "Mars/Olympus"), ("timezone", 5), ("timezone", ""), ("timezone", None),
    ],
)  # fmt: skip
async def test_a_wrong_field_is_a_422_that_names_it_at_creation_and_at_update(
    faces: Faces, beats: Caller, field: str, value: object
) -> None:
    created = await create(beats)
    before = await faces.state()
    for method, path in (("POST", JOBS), ("PUT", f"{JOBS}/{created['id']}/update")):
        body = {"name": "job", "expected_interval_seconds": 60, field: value}
        error = assert_refused(await beats.ask(method, path, body), 422, "validation_error")
        assert error["errors"].keys() == {field}
        assert field in error["message"]
    assert await faces.state() == before


async def test_all_wrong_fields_are_told_at_once(beats: Caller) -> None:
    wrong = {"expected_interval_seconds": "60", "grace_seconds": -1, "description": "x" * 256}
    answer = await beats.post(JOBS, {**wrong, "timezone": "Mars/Olympus"})
    assert answer.json()["errors"].keys() == {*wrong, "name", "timezone"}
    created = await create(beats)
    answer = await beats.ask(
        "PUT", f"{JOBS}/{created['id']}/update", {**wrong, "timezone": "Mars", "name": ""}
    )
    assert answer.json()["errors"].keys() == {*wrong, "name", "timezone"}


@pytest.mark.parametrize("length", [(200, 255), (1, 0)])
async def test_names_and_descriptions_may_be_as_long_as_published(
    beats: Caller, length: tuple[int, int]
) -> None:
    fields = {"name": "é" * length[0], "description": "ü" * length[1]}
    assert (await job(beats, (await create(beats, **fields))["id"])).items() >= fields.items()


@pytest.mark.parametrize("body", [b"", b"{", b"nonsense", b"[]", b'"text"', b'{"name": NaN}', b"\xff"])
async def test_what_is_no_json_object_is_a_400(faces: Faces, beats: Caller, body: bytes) -> None:
    created = await create(beats)
    before = await faces.state()
    for method, path in (
        ("POST", JOBS),
        ("PUT", f"{JOBS}/{created['id']}/update"),
        ("POST", f"{JOBS}/bulk/pause"),
        ("PUT", "/api/v1/integrations/slack"),
        ("PUT", "/api/v1/integrations/alert-rules"),
    ):
        assert_refused(await beats.ask(method, path, body), 400, "bad_request")
    assert await faces.state() == before


async def test_update_merges(beats: Caller) -> None:
    created = await create(beats, **SAMPLE)
    path = f"{JOBS}/{created['id']}/update"
    before = await job(beats, created["id"])
    for change in (
        {"name": "Weekly backup"},
        {"expected_interval_seconds": 604800},
        {"grace_seconds": 0},
        {"description": ""},
        {"timezone": "Europe/Berlin"},
        {},
    ):
        answer = await beats.ask("PUT", path, change)
        assert (answer.status_code, answer.json()["success"]) == (200, True)
        after = answer.json()["data"]
        assert after == {**before, **change, "updated_at": after["updated_at"]}
        before = after
    assert await job(beats, created["id"]) == before


async def test_a_whole_job_may_be_sent_back(beats: Caller) -> None:
    created = await create(beats, **SAMPLE)
    shown = await job(beats, created["id"])
    path = f"{JOBS}/{created['id']}"
    sent_back = await beats.ask("PUT", f"{path}/update", {**shown, "job_key": "XXXXXXXX", "name": "other"})
    assert sent_back.json()["data"] == {
        **shown,
        "name": "other",
        "updated_at": sent_back.json()["data"]["updated_at"],
    }
    refused = await beats.ask("PUT", f"{path}/update", {**shown, "is_enabled": False, "grace_seconds": -1})
    assert refused.json()["errors"].keys() == {"is_enabled", "grace_seconds"}


async def test_delete_is_soft_and_final(faces: Faces, beats: Caller) -> None:
    created = await create(beats)
    path = f"{JOBS}/{created['id']}"
    answer = await beats.post(f"{path}/delete")
    assert (answer.status_code, answer.content) == (204, b"")
    assert (await beats.get(JOBS)).json()["data"]["jobs"] == []
    for method, tail in (
        ("GET", ""), ("GET", "/signals"), ("PUT", "/update"), ("POST", "/delete"), ("POST", "/pause"),
        ("POST", "/resume"),
    ):  # fmt: skip
        answer = await beats.ask(method, path + tail, {} if method == "PUT" else None)
        assert assert_refused(answer, 404, "not_found")["message"] == "Job not found"
    [row] = await faces.office.rows(select(tables.monitor).where(tables.monitor.c.id == created["id"]))
    assert (row.name, row.deleted_at is not None) == ("job", True)


async def test_pause_and_resume(beats: Caller) -> None:
    path = f"{JOBS}/{(await create(beats))['id']}"
    paused = await beats.post(f"{path}/pause")
    assert (paused.status_code, paused.json()["data"].keys()) == (200, JOB_KEYS)
    assert (paused.json()["data"]["is_enabled"], paused.json()["data"]["status"]) == (False, "disabled")
    again = assert_refused(await beats.post(f"{path}/pause"), 400, "bad_request")
    assert again["message"] == "Job is already disabled"
    resumed = (await beats.post(f"{path}/resume")).json()["data"]
    assert (resumed["is_enabled"], resumed["status"]) == (True, "pending")
    again = assert_refused(await beats.post(f"{path}/resume"), 400, "bad_request")
    assert again["message"] == "Job is already enabled"


async def test_list_pages_newest_first(beats: Caller) -> None:
    created = [await create(beats, name=f"job {number}") for number in range(5)]
    page = (await beats.get(JOBS, page=2, per_page=2)).json()
    assert page["success"] is True
    assert [each["name"] for each in page["data"]["jobs"]] == ["job 2", "job 1"]
    assert page["data"]["pagination"] == {"page": 2, "per_page": 2, "total": 5, "total_pages": 3}
    assert page["data"]["jobs"][0] == await job(beats, created[2]["id"])
    beyond = (await beats.get(JOBS, page=9)).json()["data"]
    assert beyond == {
        "jobs": [],
        "pagination": {"page": 9, "per_page": 50, "total": 5, "total_pages": 1},
    }


@pytest.mark.parametrize(
    ("asked", "given"), [(None, 50), ("1", 1), ("100", 100), ("101", 100), ("9" * 9, 100)]
)
async def test_a_page_holds_50_and_at_most_100(beats: Caller, asked: str | None, given: int) -> None:
    query = {} if asked is None else {"per_page": asked}
    assert (await beats.get(JOBS, **query)).json()["data"]["pagination"]["per_page"] == given


async def test_a_page_of_a_hundred_really_has_a_hundred(faces: Faces, beats: Caller) -> None:
    actor = await faces.office.manage.authenticate(beats.headers["x-api-key"], "cronbeats")
    for number in range(101):
        await faces.office.monitor(actor, f"job {number}")
    listed = (await beats.get(JOBS, per_page=500)).json()["data"]
    assert (len(listed["jobs"]), listed["pagination"]["total_pages"]) == (100, 2)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("page", "0"), ("page", "-1"), ("page", "one"), ("page", ""), ("page", "1.5"), ("page", "9" * 30),
        ("per_page", "0"), ("per_page", "ten"), ("per_page", "٣"),
        ("status", "up"), ("status", "HEALTHY"), ("status", ""), ("status", "pending"),
    ],
)  # fmt: skip
async def test_a_wrong_query_is_a_422_that_names_it(beats: Caller, field: str, value: str) -> None:
    error = assert_refused(await beats.get(JOBS, **{field: value}), 422, "validation_error")
    assert error["errors"].keys() == {field}


async def test_a_cron_schedule_outlives_the_interval_that_stood_for_it(faces: Faces, beats: Caller) -> None:
    actor = await faces.office.manage.authenticate(beats.headers["x-api-key"], "cronbeats")
    draft = MonitorDraft("office hours", "tocsin", "cron", "*/5 9-17 * * *")
    made = await faces.office.manage.create_monitor(actor, draft)
    before, shown = dict[str, object](), set()
    for _ in range(24):
        faces.office.hands.pass_(1800)
        job = (await beats.get(f"{JOBS}/{made.id}")).json()["data"]
        shown.add(job["expected_interval_seconds"])
        sent = await beats.ask("PUT", f"{JOBS}/{made.id}/update", {**(before or job), "name": "x"})
        assert sent.status_code == 200, sent.text
        before = job
    assert len(shown) > 1
    after = await faces.office.manage.monitor(actor, made.id)
    assert (after.schedule_kind, after.schedule_expression, after.name) == ("cron", "*/5 9-17 * * *", "x")


async def test_status_filters(faces: Faces, beats: Caller) -> None:
    now = faces.services.now()
    ids = {}
    for name in ("pending", "healthy", "late", "down", "disabled"):
        ids[name] = (await create(beats, name=name))["id"]
    await change_state(faces, ids["healthy"], status="up", due_at=now + 60 * SECOND)
    await change_state(faces, ids["late"], status="up", due_at=now - 60 * SECOND)
    await change_state(faces, ids["down"], status="down")
    await beats.post(f"{JOBS}/{ids['disabled']}/pause")

    async def names(status: str) -> list[str]:
        listed = (await beats.get(JOBS, status=status)).json()["data"]
        assert listed["pagination"]["total"] == len(listed["jobs"])
        assert all(each["status"] == each["name"] for each in listed["jobs"])
        return [each["name"] for each in listed["jobs"]]

    assert await names("all") == ["disabled", "down", "late", "healthy", "pending"]
    assert await names("enabled") == ["down", "late", "healthy", "pending"]
    for status in ("disabled", "healthy", "late", "down"):
        assert await names(status) == [status]


async def test_the_times_of_a_job_have_no_fraction(faces: Faces, beats: Caller) -> None:
    created = await create(beats)
    heard = {"status": "up", "last_ping_at": 1_771_602_120_999_999, "due_at": 1_771_605_720_999_999}
    await change_state(faces, created["id"], **heard)
    shown = await job(beats, created["id"])
    assert shown["last_ping_at"] == "2026-02-20T15:42:00Z"
    assert shown["next_expected_at"] == "2026-02-20T16:42:00Z"


@pytest.mark.parametrize(
    "job_id", ["0", "-1", "1.0", "one", "1e3", "%31%00", "٣", "9" * 30, "007", "99999", "bulk"]
)
async def test_what_is_no_number_of_a_job_is_a_404(faces: Faces, beats: Caller, job_id: str) -> None:
    await create(beats)
    before = await faces.state()
    for method, tail in (
        ("GET", ""), ("GET", "/signals"), ("PUT", "/update"), ("POST", "/delete"), ("POST", "/pause"),
        ("POST", "/resume"),
    ):  # fmt: skip
        if job_id == "bulk" and method == "POST":
            continue
        answer = await beats.ask(method, f"{JOBS}/{job_id}{tail}", {"name": "x"} if method == "PUT" else None)
        assert_refused(
            answer, 400 if "%00" in job_id else 404, "bad_request" if "%00" in job_id else "not_found"
        )
    assert await faces.state() == before


async def test_another_projects_job_is_a_404(faces: Faces, beats: Caller) -> None:
    theirs = await create(
        await faces.caller("cronbeats", plan="business", email="else@example.com", project="theirs")
    )
    before = await faces.state()
    path = f"{JOBS}/{theirs['id']}"
    for method, tail in (
        ("GET", ""), ("GET", "/signals"), ("PUT", "/update"), ("POST", "/delete"), ("POST", "/pause"),
        ("POST", "/resume"),
    ):  # fmt: skip
        answer = await beats.ask(method, path + tail, {"name": "x"} if method == "PUT" else None)
        assert_refused(answer, 404, "not_found")
    for verb in ("pause", "resume", "delete"):
        answer = await beats.post(f"{JOBS}/bulk/{verb}", {"job_ids": [theirs["id"]]})
        assert answer.json()["data"]["failed"] == [{"id": theirs["id"], "error": "Job not found"}]
    assert (await beats.get(JOBS)).json()["data"]["pagination"]["total"] == 0
    assert await faces.state() == before


async def test_bulk_tells_of_each_job_that_failed(beats: Caller) -> None:
    one, two, three = [(await create(beats))["id"] for _ in range(3)]
    await beats.post(f"{JOBS}/{three}/pause")
    answer = await beats.post(f"{JOBS}/bulk/pause", {"job_ids": [one, two, three]})
    assert answer.status_code == 200
    assert answer.json() == {
        "success": True,
        "data": {
            "total_requested": 3,
            "successfully_paused": 2,
            "failed": [{"id": three, "error": "Job is already disabled"}],
        },
    }
    assert [(await job(beats, each))["is_enabled"] for each in (one, two, three)] == [False] * 3
    await beats.post(f"{JOBS}/{two}/resume")
    resumed = (await beats.post(f"{JOBS}/bulk/resume", {"job_ids": [one, two, 99999, three]})).json()["data"]
    assert resumed == {
        "total_requested": 4,
        "successfully_resumed": 2,
        "failed": [{"id": two, "error": "Job is already enabled"}, {"id": 99999, "error": "Job not found"}],
    }
    deleted = (await beats.post(f"{JOBS}/bulk/delete", {"job_ids": [one, two, one, -5]})).json()["data"]
    assert deleted == {
        "total_requested": 3,
        "successfully_deleted": 2,
        "failed": [{"id": -5, "error": "Job not found"}],
    }
    assert [each["id"] for each in (await beats.get(JOBS)).json()["data"]["jobs"]] == [three]


@pytest.mark.parametrize(
    "ids", [None, [], "1", 1, {}, [1, "2"], [True], [1.0], [None], [10**30], list(range(1, 102))]
)
@pytest.mark.parametrize("verb", ["pause", "resume", "delete"])
async def test_bulk_takes_1_to_100_whole_numbers(faces: Faces, beats: Caller, verb: str, ids: object) -> None:
    await create(beats)
    before = await faces.state()
    answer = await beats.post(f"{JOBS}/bulk/{verb}", {} if ids is None else {"job_ids": ids})
    assert assert_refused(answer, 422, "validation_error")["errors"].keys() == {"job_ids"}
    assert await faces.state() == before


async def test_bulk_takes_a_hundred(beats: Caller) -> None:
    answer = await beats.post(f"{JOBS}/bulk/pause", {"job_ids": list(range(1, 101))})
    assert answer.json()["data"]["total_requested"] == len(answer.json()["data"]["failed"]) == 100


@pytest.mark.parametrize("key", [None, "", "cb_unknown", "cpk_unknown", "x" * 5_000])
async def test_without_a_good_key_nobody_gets_in(faces: Faces, key: str | None) -> None:
    nobody = Caller(faces.client, {} if key is None else {"X-API-Key": key})
    for method, path in (
        ("GET", JOBS), ("POST", JOBS), ("GET", f"{JOBS}/1"), ("POST", f"{JOBS}/bulk/pause"),
        ("PUT", "/api/v1/integrations/slack"), ("GET", "/api/v1/integrations/alert-rules"),
        ("GET", "/cronbeats/api/v1/integrations"),
    ):  # fmt: skip
        answer = await nobody.ask(method, path)
        error = assert_refused(answer, 401, "invalid_api_key")
        assert error["message"] == "Invalid or expired API key"
        assert not [name for name in answer.headers if name.startswith("x-ratelimit")]


async def test_integrations_without_a_key_are_cronbeats(faces: Faces) -> None:
    answer = await faces.nobody.get("/api/v1/integrations")
    assert_refused(answer, 401, "invalid_api_key")


async def test_a_key_of_another_dialect_is_a_401(faces: Faces) -> None:
    for dialect in ("tocsin", "cronpeek"):
        key = await faces.office.key(dialect)
        answer = await faces.client.get(f"/cronbeats{JOBS}", headers={"x-api-key": key})
        assert_refused(answer, 401, "invalid_api_key")


async def test_the_workspace_header_is_taken_and_means_nothing(beats: Caller) -> None:
    for workspace in ("1", "99999", "nonsense", ""):
        answer = await beats.ask("GET", f"{JOBS}?status=healthy", None, **{"X-Workspace-ID": workspace})
        assert answer.status_code == 200


async def test_a_plan_without_the_api_is_a_403(faces: Faces) -> None:
    free = await faces.caller("cronbeats")
    assert "Free" in assert_refused(await free.get(JOBS), 403, "forbidden")["message"]


async def test_a_full_plan_is_a_403(faces: Faces, beats: Caller) -> None:
    await create(beats)
    project = update(tables.project).values(monitor_count=1_000_000)
    await faces.office.store.write(lambda connection: connection.execute(project))
    answer = await beats.post(JOBS, {"name": "one more", "expected_interval_seconds": 60})
    assert "1000000" in assert_refused(answer, 403, "forbidden")["message"]


async def test_a_read_only_key_reads_no_credential_and_changes_nothing(faces: Faces, beats: Caller) -> None:
    created = await create(beats)
    reader = await faces.caller("cronbeats", plan="business", read_only=True)
    shown = await job(reader, created["id"])
    assert (shown["id"], shown["job_key"], shown["ping_url"]) == (created["id"], None, None)
    assert created["job_key"] not in (await reader.get(JOBS)).text
    before = await faces.state()
    path = f"{JOBS}/{created['id']}"
    for method, where, body in (
        ("POST", JOBS, {"name": "x", "expected_interval_seconds": 60}),
        ("PUT", f"{path}/update", {"name": "x"}),
        ("POST", f"{path}/delete", None),
        ("POST", f"{path}/pause", None),
        ("POST", f"{path}/resume", None),
        ("POST", f"{JOBS}/bulk/pause", {"job_ids": [created["id"]]}),
        ("POST", f"{JOBS}/bulk/delete", {"job_ids": [created["id"]]}),
        ("PUT", "/api/v1/integrations/slack", {"is_enabled": False}),
        ("PUT", "/api/v1/integrations/alert-rules", {}),
        ("POST", "/api/v1/integrations/slack/test", None),
    ):
        assert_refused(await reader.ask(method, where, body), 403, "forbidden")
    assert await faces.state() == before


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/cronbeats/api/v1/nothing", 404), ("DELETE", f"{JOBS}/1", 405), ("PATCH", JOBS, 405)],
)
async def test_an_address_or_method_that_is_not_there(
    beats: Caller, method: str, path: str, status: int
) -> None:
    assert_refused(
        await beats.ask(method, path), status, {404: "not_found", 405: "method_not_allowed"}[status]
    )


async def test_a_method_that_an_address_does_not_take_is_told_which_it_takes(beats: Caller) -> None:
    for path, methods in ((JOBS, "POST, GET"), (f"{JOBS}/bulk/pause", "POST")):
        assert (await beats.ask("PUT", path)).headers["allow"] == methods


async def test_both_limits_are_in_the_headers_of_every_answer_to_a_known_key(
    faces: Faces, beats: Caller
) -> None:
    other = await faces.caller("cronbeats", plan="business")  # another key of the same workspace
    now = faces.services.now() // SECOND
    answers = [
        await beats.get(JOBS),
        await other.get(f"{JOBS}/99999"),
        await beats.post(JOBS, {}),
        await other.ask("POST", JOBS, b"{"),
        await beats.get("/cronbeats/api/v1/nothing"),
        await other.ask("DELETE", JOBS),
    ]
    for used, answer in enumerate(answers, 1):
        head = {name: int(value) for name, value in answer.headers.items() if name.startswith("x-ratelimit")}
        assert head == {
            "x-ratelimit-limit-minute": 60,
            "x-ratelimit-remaining-minute": 60 - used,
            "x-ratelimit-reset-minute": now + 60,
            "x-ratelimit-limit-day": 20000,
            "x-ratelimit-remaining-day": 20000 - used,
            "x-ratelimit-reset-day": (now // 86400 + 1) * 86400,
        }
    assert [answer.status_code for answer in answers] == [200, 404, 422, 400, 404, 405]


async def test_the_limit_of_a_minute_is_shared_by_the_keys_of_a_workspace(
    faces: Faces, beats: Caller
) -> None:
    other = await faces.caller("cronbeats", plan="business")
    stranger = await faces.caller("cronbeats", plan="business", email="else@example.com", project="theirs")
    for _ in range(30):
        assert (await beats.get(JOBS)).status_code == (await other.get(JOBS)).status_code == 200
    refused = await other.get(JOBS)
    resets_at = int(refused.headers["x-ratelimit-reset-minute"])
    assert refused.status_code == 429
    assert refused.json() == {
        "success": False,
        "message": "Rate limit exceeded",
        "error": {"type": "per_minute", "limit": 60, "reset_at": utc(resets_at)},
    }
    assert refused.headers["x-ratelimit-remaining-minute"] == "0"
    assert 1 <= int(refused.headers["retry-after"]) <= 60
    assert (await stranger.get(JOBS)).status_code == 200
    faces.office.hands.pass_(61)
    assert (await beats.get(JOBS)).status_code == 200


async def test_the_limit_of_a_day_ends_at_midnight_utc(faces: Faces, beats: Caller) -> None:
    actor = await faces.office.manage.authenticate(beats.headers["x-api-key"], "cronbeats")
    for _ in range(20_000):
        faces.services.rates.count(
            f"project:{actor.project_id}", faces.services.now(), per_minute=60_000, per_day=20_000
        )
    refused = await beats.get(JOBS)
    midnight = (faces.services.now() // SECOND // 86400 + 1) * 86400
    assert refused.status_code == 429
    assert refused.json()["error"] == {"type": "per_day", "limit": 20000, "reset_at": utc(midnight)}
    assert refused.json()["error"]["reset_at"].endswith(" 00:00:00")
    assert int(refused.headers["x-ratelimit-reset-day"]) == midnight
    faces.office.hands.pass_(midnight - faces.services.now() // SECOND + 1)
    assert (await beats.get(JOBS)).status_code == 200


def utc(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S")


async def test_monitors_that_were_made_elsewhere_are_jobs_too(faces: Faces, beats: Caller) -> None:
    native, peek = await faces.caller("tocsin"), await faces.caller("cronpeek")
    weekdays = {
        "name": "weekdays",
        "schedule_kind": "cron",
        "schedule_expression": "0 9 * * 1-5",
        "timezone": "Europe/Berlin",
        "grace_seconds": 60,
        "description": "d" * 1000,
    }
    made = (await native.post("/api/tocsin/v1/monitors", weekdays)).json()
    peeked = (await peek.post("/api/v1/monitors", {"name": "peeked", "schedule": 600})).json()
    second, first = (await beats.get(JOBS)).json()["data"]["jobs"]
    assert (first["name"], first["expected_interval_seconds"]) == ("weekdays", 3 * 86400)
    assert (first["timezone"], first["grace_seconds"], first["status"]) == ("Europe/Berlin", 60, "pending")
    assert first["description"] == "d" * 1000
    assert first["ping_url"] == made["ping_url"]
    assert first["job_key"] == made["ping_url"].rpartition("/")[2]
    assert (second["name"], second["expected_interval_seconds"]) == ("peeked", 600)
    assert second["ping_url"] == peeked["pingUrl"]
    paused = await beats.post(f"{JOBS}/{second['id']}/pause")
    assert paused.json()["data"]["status"] == "disabled"
    status = await peek.get(f"/api/v1/monitors/{peeked['monitorId']}/status")
    assert status.json()["status"] == "paused"


async def test_a_cron_schedule_is_not_lost_when_a_whole_job_is_sent_back(faces: Faces, beats: Caller) -> None:
    native = await faces.caller("tocsin")
    weekdays = {"name": "weekdays", "schedule_kind": "cron", "schedule_expression": "0 9 * * 1-5"}
    made = (await native.post("/api/tocsin/v1/monitors", {**weekdays, "description": "d" * 1000})).json()
    where = f"/api/tocsin/v1/monitors/{made['id']}"
    [shown] = (await beats.get(JOBS)).json()["data"]["jobs"]
    path = f"{JOBS}/{shown['id']}/update"
    assert (await beats.ask("PUT", path, {**shown, "name": "renamed"})).status_code == 200
    kept = (await native.get(where)).json()
    assert (kept["name"], kept["schedule_expression"]) == ("renamed", "0 9 * * 1-5")
    assert (await beats.ask("PUT", path, {"expected_interval_seconds": 60})).status_code == 200
    changed = (await native.get(where)).json()
    assert (changed["schedule_kind"], changed["schedule_expression"]) == ("interval", "60")


async def test_a_job_is_seen_by_the_native_api(faces: Faces, beats: Caller) -> None:
    created = await create(beats, **SAMPLE)
    [seen] = (await (await faces.caller("tocsin")).get("/api/tocsin/v1/monitors")).json()["monitors"]
    assert (seen["name"], seen["made_by"], seen["ping_url"]) == (
        SAMPLE["name"],
        "cronbeats",
        created["ping_url"],
    )
    assert (seen["schedule_kind"], seen["schedule_expression"]) == ("interval", "86400")
    assert (seen["grace_seconds"], seen["description"]) == (600, "PostgreSQL backup to S3")

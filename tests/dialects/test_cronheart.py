"""What Cronheart's published page says of all its addresses: tokens, plans, limits, the document."""

from __future__ import annotations

from typing import Any

import pytest

from tests.faces import Caller, Faces
from tocsin.domain.monitor import SECOND

MONITORS = "/api/v1/monitors"
SAMPLE: dict[str, Any] = {"name": "nightly-backup", "schedule_kind": "interval", "schedule_expr": "3600"}
UNKNOWN = "00000000-0000-4000-8000-000000000000"


async def test_every_answer_to_a_known_token_tells_of_the_limit(faces: Faces, heart: Caller) -> None:
    created = await heart.post(MONITORS, SAMPLE)
    refused = await heart.post(MONITORS, {})
    unknown = await heart.get(f"{MONITORS}/{UNKNOWN}")
    malformed = await heart.ask("POST", MONITORS, b"{")
    nowhere = await heart.get("/cronheart/api/v1/nothing")
    method = await heart.ask("PUT", MONITORS, {})
    answers = [created, refused, unknown, malformed, nowhere, method]
    assert [answer.status_code for answer in answers] == [201, 422, 404, 400, 404, 405]
    assert {answer.headers["x-ratelimit-limit"] for answer in answers} == {"120"}
    left = [int(answer.headers["x-ratelimit-remaining"]) for answer in answers]
    assert left == [119, 118, 117, 116, 115, 114]
    reset = faces.office.clock.now() // SECOND + 60
    assert {int(answer.headers["x-ratelimit-reset"]) for answer in answers} == {reset}


async def test_an_accounts_tokens_share_its_limit_over_the_last_minute(faces: Faces, heart: Caller) -> None:
    second = await faces.caller("cronheart")
    for caller in (heart, second) * 60:
        assert (await caller.get(MONITORS)).status_code == 200
    refused = await second.get(MONITORS)
    problem = refused.json()
    assert refused.status_code == 429
    assert refused.headers["content-type"] == "application/problem+json"
    assert (problem["status"], problem["title"]) == (429, "Too Many Requests")
    assert problem["retry_after"] == int(refused.headers["retry-after"]) == 60
    assert refused.headers["x-ratelimit-remaining"] == "0"
    assert int(refused.headers["x-ratelimit-reset"]) == faces.office.clock.now() // SECOND + 60
    other = await faces.caller("cronheart", plan="starter", email="else@example.com", project="theirs")
    assert (await other.get(MONITORS)).status_code == 200
    faces.office.hands.pass_(60)
    assert (await heart.get(MONITORS)).status_code == 200


@pytest.mark.parametrize(("plan", "limit"), [("starter", "120"), ("growth", "300"), ("scale", "600")])
async def test_a_plan_has_its_limit(faces: Faces, plan: str, limit: str) -> None:
    heart = await faces.caller("cronheart", plan=plan)
    assert (await heart.get(MONITORS)).headers["x-ratelimit-limit"] == limit


@pytest.mark.parametrize(
    "header",
    [None, "", "Bearer", "Bearer ", "Bearer cmk_unknown", "Basic cmk_unknown", "Bearer tsn_x", "cmk_unknown"],
)
async def test_without_a_good_token_nobody_gets_in(faces: Faces, header: str | None) -> None:
    nobody = Caller(faces.client, {} if header is None else {"Authorization": header})
    for method, path in (("GET", MONITORS), ("POST", MONITORS), ("PATCH", f"{MONITORS}/{UNKNOWN}")):
        assert_unauthorized(await nobody.ask(method, f"/cronheart{path}"))


async def test_a_token_ends_when_it_expires(faces: Faces) -> None:
    ends_at = faces.office.clock.now() + 10 * SECOND
    heart = await faces.caller("cronheart", plan="starter", expires_at=ends_at)
    assert (await heart.get(MONITORS)).status_code == 200
    faces.office.hands.pass_(10)
    assert_unauthorized(await heart.get(MONITORS))


async def test_a_token_ends_when_it_is_revoked(faces: Faces, heart: Caller) -> None:
    manage = faces.office.manage
    actor = await manage.authenticate(heart.headers["Authorization"].split()[1], "cronheart")
    [key] = await manage.list_keys(actor)
    assert (await heart.get(MONITORS)).status_code == 200
    await manage.revoke_key(actor, key.uid)
    assert_unauthorized(await heart.get(MONITORS))


async def test_a_token_of_another_dialect_is_a_401(faces: Faces) -> None:
    native = await faces.caller("tocsin")
    assert_unauthorized(await native.get(f"/cronheart{MONITORS}"))


def assert_unauthorized(answer: Any) -> None:
    assert answer.status_code == 401
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["www-authenticate"] == "Bearer"
    assert answer.json().keys() == {"type", "title", "status", "detail"}
    assert (answer.json()["title"], answer.json()["status"]) == ("Unauthorized", 401)
    assert not [name for name in answer.headers if name.startswith("x-ratelimit")]


async def test_a_plan_without_the_api_is_a_402_that_leads_somewhere(faces: Faces) -> None:
    free = await faces.caller("cronheart", plan="free")
    answer = await free.get(MONITORS)
    problem = answer.json()
    assert (answer.status_code, problem["status"], problem["title"]) == (402, 402, "Payment Required")
    assert answer.headers["content-type"] == "application/problem+json"
    assert problem["upgrade_url"] == "http://tocsin/"
    assert not [name for name in answer.headers if name.startswith("x-ratelimit")]


async def test_the_errors_of_the_published_page(heart: Caller) -> None:
    answer = await heart.post(MONITORS, SAMPLE | {"name": "x"})
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json() == {
        "type": "about:blank",
        "title": "Unprocessable Entity",
        "status": 422,
        "detail": "One or more fields are invalid.",
        "errors": {"name": "This value is too short."},
    }


async def test_a_long_name_is_told_in_the_same_words(heart: Caller) -> None:
    answer = await heart.post(MONITORS, SAMPLE | {"name": "x" * 121})
    assert answer.json()["errors"] == {"name": "This value is too long."}


async def test_the_document_is_public_and_names_every_address(faces: Faces) -> None:
    for address in ("/api/v1/openapi.json", "/cronheart/openapi.json"):
        answer = await faces.nobody.get(address)
        assert (answer.status_code, answer.headers["cache-control"]) == (200, "public, max-age=300")
        document = answer.json()
        assert document["servers"] == [{"url": "http://tocsin/cronheart"}]
        found = {(method.upper(), path) for path, methods in document["paths"].items() for method in methods}
        assert found >= {
            ("GET", MONITORS),
            ("POST", MONITORS),
            ("GET", f"{MONITORS}/{{uuid}}"),
            ("PATCH", f"{MONITORS}/{{uuid}}"),
            ("DELETE", f"{MONITORS}/{{uuid}}"),
            ("POST", f"{MONITORS}/{{uuid}}/pause"),
            ("POST", f"{MONITORS}/{{uuid}}/resume"),
            ("POST", f"{MONITORS}/{{uuid}}/snooze"),
            ("POST", f"{MONITORS}/{{uuid}}/unsnooze"),
            ("POST", f"{MONITORS}/{{uuid}}/rotate-uuid"),
            ("GET", f"{MONITORS}/{{uuid}}/pings"),
            ("GET", f"{MONITORS}/{{uuid}}/alerts"),
        }


async def test_an_address_that_is_not_there_is_a_problem(heart: Caller) -> None:
    answer = await heart.get("/cronheart/api/v1/nothing")
    assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json")
    answer = await heart.ask("PUT", MONITORS, {})
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, POST")

"""What every dialect's application has in common: keys, rates, errors."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import orjson
import pytest
from starlette.responses import Response

from tests.faces import Caller, Faces
from tocsin.domain.errors import Code, TocsinError
from tocsin.store.sqlite import SqliteStore
from tocsin.web.api import Call, Visit, assemble, json_response
from tocsin.web.dialect import Claim, Dialect, discover
from tocsin.web.openapi import Operation
from tocsin.web.rate import Standing
from tocsin.web.trouble import STATUSES

CRONPEEK = next(dialect for dialect in discover() if dialect.name == "cronpeek")


async def say_who(call: Call) -> Response:
    """Who asks."""
    return json_response({"project": call.actor.project_id})


async def refuse(visit: Visit) -> Response:
    """Refused as the query says."""
    raise TocsinError(Code(visit.request.query_params["code"]), "No.", {"grace_seconds": "Wrong."}, 7)


def limits(standing: Standing) -> dict[str, str]:
    return {"X-Left": f"{standing.minute.remaining}/{standing.day.remaining}"}


OPERATIONS = (
    Operation("GET", "/who", say_who, "Who asks", {200: None}),
    Operation("POST", "/who", say_who, "Who asks", {200: None}),
    Operation("GET", "/refuse", refuse, "Refuse", {200: None}, needs_key=False),
)


def dialect(**changes: Any) -> Dialect:
    made: Dialect = replace(
        CRONPEEK,
        claims=(Claim("/who", ("GET", "POST")), Claim("/refuse", ("GET",))),
        build=lambda services: assemble(made, services, OPERATIONS),
        rate_headers=limits,
        **changes,
    )
    return made


async def test_every_code_has_its_status_and_the_fields_their_wire_names(store: SqliteStore) -> None:
    faces = Faces.open(store, dialects=[dialect(statuses=STATUSES)])
    for code in Code:
        answer = await faces.nobody.get("/refuse", code=code)
        assert answer.status_code == STATUSES[code]
        assert answer.json() == {"error": "grace: Wrong."}
        assert answer.headers["retry-after"] == "7"


@pytest.mark.parametrize(("scope", "shared"), [("key", False), ("project", True)])
async def test_a_limit_belongs_to_a_key_or_to_its_project(
    store: SqliteStore, scope: str, *, shared: bool
) -> None:
    faces = Faces.open(store, dialects=[dialect(rate_scope=scope)])
    first, second = await faces.caller("cronpeek"), await faces.caller("cronpeek")
    assert (await first.get("/who")).headers["x-left"] == "59999/49999999"
    assert (await second.post("/who")).headers["x-left"] == ("59998/49999998" if shared else "59999/49999999")


async def test_over_the_limit_is_a_429_in_shape_that_says_when_to_come_back(store: SqliteStore) -> None:
    faces = Faces.open(store, dialects=[dialect()])
    caller = await faces.caller("cronpeek")
    actor = await faces.office.manage.authenticate(caller.headers["x-api-key"], "cronpeek")
    now = faces.office.clock.now()
    for _ in range(60_000):
        faces.services.rates.count(f"key:{actor.key_id}", now, per_minute=60_000, per_day=50_000_000)
    refused = await caller.get("/who")
    assert (refused.status_code, refused.headers["x-left"]) == (429, "0/49940000")
    assert refused.json() == {"error": "Rate limit exceeded. Max 60000 requests per minute."}
    assert refused.headers["retry-after"] == "60"
    faces.office.hands.pass_(60)
    assert (await caller.get("/who")).status_code == 200


async def test_what_needs_no_key_ignores_a_bad_one(store: SqliteStore) -> None:
    faces = Faces.open(store, dialects=[dialect()])
    bad = Caller(faces.client, {"x-api-key": "cpk_bad"})
    assert (await bad.get("/refuse", code="conflict")).status_code == 403
    assert (await bad.get("/who")).status_code == 401


async def test_an_unknown_method_names_all_that_there_are(store: SqliteStore) -> None:
    faces = Faces.open(store, dialects=[dialect()])
    answer = await faces.nobody.ask("DELETE", "/who")
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, POST")
    assert orjson.loads(answer.content).keys() == {"error"}


@pytest.mark.parametrize(("face", "base"), [("cronpeek", "/api/v1"), ("tocsin", "/api/tocsin/v1")])
async def test_a_database_that_cannot_be_written_just_now_is_a_503_in_shape(
    store: SqliteStore, face: str, base: str
) -> None:
    faces = Faces.open(store)
    caller = await faces.caller(face)
    await store.write(lambda connection: connection.exec_driver_sql("PRAGMA query_only = 1"))
    answer = await caller.post(
        f"{base}/monitors", {"name": "backup"} | ({"schedule": 60} if face == "cronpeek" else {})
    )
    shape = {"error"} if face == "cronpeek" else {"type", "title", "status", "detail"}
    assert (answer.status_code, answer.headers["retry-after"], answer.json().keys()) == (503, "5", shape)
    page = await faces.client.post("/sign-in", data={"email": "owner@example.com"})
    assert (page.status_code, page.headers["retry-after"]) == (503, "5")

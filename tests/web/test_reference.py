"""The pages about each API: its OpenAPI document, its page for people, its Postman collection."""

from __future__ import annotations

import json
import re

import pytest

from tests.faces import Faces
from tocsin.store.sqlite import SqliteStore
from tocsin.web.pages import with_code

BASES = {"cronbeats": "/cronbeats", "cronpeek": "/cronpeek", "tocsin": "/api/tocsin/v1"}


@pytest.fixture
def faces(store: SqliteStore) -> Faces:
    return Faces.open(store)


@pytest.mark.parametrize("base", BASES.values(), ids=BASES)
async def test_the_page_names_every_operation_and_loads_nothing_from_elsewhere(
    faces: Faces, base: str
) -> None:
    described = (await faces.nobody.get(f"{base}/openapi.json")).json()
    page = await faces.nobody.get(f"{base}/docs")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    for path, methods in described["paths"].items():
        assert path in page.text
        for operation in methods.values():
            assert f'id="{operation["operationId"]}"' in page.text
    assert not re.search(r"""(?:src|href)=["'](?:https?:)?//""", page.text)
    assert "<script" not in page.text


@pytest.mark.parametrize("base", BASES.values(), ids=BASES)
async def test_the_postman_collection_has_every_operation_ready_to_send(faces: Faces, base: str) -> None:
    described = (await faces.nobody.get(f"{base}/openapi.json")).json()
    collection = (await faces.nobody.get(f"{base}/postman.json")).json()
    assert collection["info"]["schema"].endswith("/v2.1.0/collection.json")
    expected = {
        (method.upper(), re.sub(r"\{(\w+)\}", r":\1", path))
        for path, methods in described["paths"].items()
        for method in methods
    }
    requests = [item["request"] for item in collection["item"]]
    assert {(each["method"], each["url"]["raw"].removeprefix("{{baseUrl}}")) for each in requests} == expected
    for each in requests:
        if "body" in each:
            json.loads(each["body"]["raw"])


async def test_the_samples_of_the_collection_are_accepted(faces: Faces) -> None:
    peek = await faces.caller("cronpeek")
    collection = (await peek.get("/cronpeek/postman.json")).json()
    create = next(item["request"] for item in collection["item"] if item["name"] == "Create a monitor")
    assert collection["auth"]["type"] == "apikey"
    assert (await peek.post("/api/v1/monitors", create["body"]["raw"].encode())).status_code == 201


@pytest.mark.parametrize("base", BASES.values(), ids=BASES)
async def test_every_operation_documents_its_errors_and_who_needs_a_key(faces: Faces, base: str) -> None:
    described = (await faces.nobody.get(f"{base}/openapi.json")).json()
    for methods in described["paths"].values():
        for operation in methods.values():
            statuses = operation["responses"].keys()
            assert {"400", "413", "429"} <= statuses
            assert ("401" in statuses) is ("security" in operation)
            assert operation["summary"]
            assert operation["description"]


def test_backticks_become_code_and_nothing_becomes_markup() -> None:
    assert with_code("`a<b` & c") == "<code>a&lt;b</code> &amp; c"


async def test_the_page_shows_no_backticks(faces: Faces) -> None:
    page = await faces.nobody.get("/api/tocsin/v1/docs")
    assert "`" not in page.text


@pytest.mark.parametrize("base", BASES.values(), ids=BASES)
async def test_another_method_is_told_the_one_that_there_is(faces: Faces, base: str) -> None:
    for page in ("openapi.json", "docs", "postman.json"):
        answer = await faces.nobody.post(f"{base}/{page}")
        assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD")

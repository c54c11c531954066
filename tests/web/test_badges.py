"""Badges: public, at an address that is no credential, in the words of the dialect that made the monitor."""

from __future__ import annotations

import re
from xml.etree import ElementTree as ET

import pytest

from tests.faces import Caller, Faces
from tocsin.engine.manage.monitors import MonitorDraft
from tocsin.store.sqlite import SqliteStore

NATIVE = "/api/tocsin/v1/monitors"


@pytest.fixture
def faces(store: SqliteStore) -> Faces:
    return Faces.open(store)


@pytest.fixture
async def native(faces: Faces) -> Caller:
    return await faces.caller("tocsin")


def words(svg: str) -> str:
    """What the badge reads aloud."""
    return ET.fromstring(svg).attrib["aria-label"]  # noqa: S314 - our own


async def test_a_badge_shows_name_and_status_to_anybody(faces: Faces, native: Caller) -> None:
    made = (await native.post(NATIVE, {"name": "Nightly <backup> & co"})).json()
    path = made["badge_url"].removeprefix("http://tocsin")
    assert re.fullmatch(r"/badge/[0-9A-Za-z]{24}\.svg", path)
    assert path[7:-4] not in made["ping_url"]
    answer = await faces.nobody.get(path)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/svg+xml")
    assert "no-cache" in answer.headers["cache-control"]
    assert words(answer.text) == "Nightly <backup> & co: new"
    await native.post(f"{NATIVE}/{made['id']}/pause")
    assert words((await faces.nobody.get(path)).text).endswith(": paused")
    assert (await faces.nobody.get(f"/tocsin{path}")).status_code == 200


async def test_a_name_that_xml_cannot_hold_is_drawn_all_the_same(faces: Faces, native: Caller) -> None:
    made = (await native.post(NATIVE, {"name": "a\ufffe\uffffb"})).json()
    answer = await faces.nobody.get(made["badge_url"].removeprefix("http://tocsin"))
    assert words(answer.text) == "a\ufffd\ufffdb: new"


async def test_a_deleted_or_unknown_badge_is_a_404_that_can_be_drawn(faces: Faces, native: Caller) -> None:
    made = (await native.post(NATIVE, {"name": "x" * 200})).json()
    path = made["badge_url"].removeprefix("http://tocsin")
    await native.delete(f"{NATIVE}/{made['id']}")
    for gone in (path, "/badge/nobody.svg", f"/badge/{'x' * 300}.svg"):
        answer = await faces.nobody.get(gone)
        assert (answer.status_code, words(answer.text)) == (404, "badge: unknown")


async def test_a_badge_is_no_ping_token_and_a_token_no_badge(faces: Faces) -> None:
    actor = await faces.office.actor()
    monitor = await faces.office.manage.create_monitor(actor, MonitorDraft("job", "tocsin"))
    assert (await faces.nobody.get(f"/badge/{monitor.token}.svg")).status_code == 404
    assert monitor.badge_key != monitor.token


async def test_a_badge_is_as_wide_as_its_letters(faces: Faces, native: Caller) -> None:
    widths = []
    for name in ("iiiiii", "nnnnnn", "WWWWWW", "漢字漢字漢字", "n\u0301" * 6):
        made = (await native.post(NATIVE, {"name": name})).json()
        answer = await faces.nobody.get(made["badge_url"].removeprefix("http://tocsin"))
        widths.append(int(ET.fromstring(answer.text).attrib["width"]))  # noqa: S314 - our own
    assert widths[0] < widths[1] == widths[4] < widths[2] < widths[3]

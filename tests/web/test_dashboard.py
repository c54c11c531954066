"""Signing in by a one-time link, and the plain pages behind it."""

from __future__ import annotations

import re

import httpx
import pytest

from tests.engine_room import Job, Room
from tests.faces import Faces
from tocsin.engine.manage.monitors import MonitorDraft
from tocsin.store.sqlite import SqliteStore

HTTPS = "https://tocsin"
FOREIGN = {"Origin": "https://evil.example.com", "Sec-Fetch-Site": "cross-site"}


@pytest.fixture
def faces(store: SqliteStore) -> Faces:
    return Faces.open(store)


async def setup_path(faces: Faces) -> str:
    link = await faces.office.manage.setup_link()
    assert link is not None
    return "/link/" + link.rpartition("/")[2]


async def signed_in(faces: Faces) -> httpx.AsyncClient:
    path = await setup_path(faces)
    answer = await faces.client.post(path, data={"email": "owner@example.com"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    return faces.client


async def test_a_stranger_reads_what_this_is_and_how_to_sign_in(faces: Faces) -> None:
    page = await faces.nobody.get("/")
    assert page.status_code == 200
    assert "/sign-in" in page.text
    assert "Sign out" not in page.text


async def test_opening_a_link_uses_nothing_up(faces: Faces) -> None:
    path = await setup_path(faces)
    for _ in range(2):
        page = await faces.nobody.get(path)
        assert page.status_code == 200
        assert "Your mail address" in page.text
        assert "set-cookie" not in page.headers


async def test_pressing_its_button_signs_in_once(faces: Faces) -> None:
    path = await setup_path(faces)
    first = await faces.client.post(path, data={"email": "owner@example.com"})
    cookie = first.headers["set-cookie"]
    assert {"HttpOnly", "Path=/", "SameSite=lax"} <= set(cookie.split("; "))
    assert "Secure" not in cookie
    assert (await faces.client.get("/")).text.count("owner@example.com") >= 1
    assert (await faces.client.post(path, data={"email": "other@example.com"})).status_code == 404


async def test_behind_tls_the_cookie_is_secure(store: SqliteStore) -> None:
    faces = Faces.open(store, url=HTTPS)
    cookie = (await faces.client.post(await setup_path(faces), data={"email": "o@example.com"})).headers[
        "set-cookie"
    ]
    assert cookie.startswith("__Host-tocsin=")
    assert "Secure" in cookie.split("; ")


async def test_a_bad_address_leaves_the_link_as_it_was(faces: Faces) -> None:
    path = await setup_path(faces)
    refused = await faces.client.post(path, data={"email": "<script>alert(1)</script>"})
    assert refused.status_code == 422
    assert "<script>alert" not in refused.text
    assert (await faces.client.get(path)).status_code == 200


async def test_a_form_on_another_site_does_nothing(faces: Faces) -> None:
    path = await setup_path(faces)
    assert (
        await faces.client.post(path, data={"email": "e@example.com"}, headers=FOREIGN)
    ).status_code == 403
    client = await signed_in(faces)
    assert (await client.post("/sign-out", headers=FOREIGN)).status_code == 403
    assert "Sign out" in (await client.get("/")).text


async def test_signing_out_ends_the_session_itself(faces: Faces) -> None:
    client = await signed_in(faces)
    stolen = {"Cookie": "; ".join(f"{name}={value}" for name, value in client.cookies.items())}
    assert "Sign out" in (await faces.at("203.0.113.8").get("/", headers=stolen)).text
    assert (await client.post("/sign-out")).status_code == 303
    assert "Sign out" not in (await client.get("/")).text
    assert "Sign out" not in (await faces.at("203.0.113.8").get("/", headers=stolen)).text


async def test_a_link_by_mail_signs_in(faces: Faces) -> None:
    await (await signed_in(faces)).post("/sign-out")
    for email in ("owner@example.com", "nobody@example.com"):
        answer = await faces.client.post("/sign-in", data={"email": email})
        assert "on its way" in answer.text
    assert [letter.to for letter in faces.office.letters] == ["owner@example.com"]
    link = f"/link/{faces.office.letters[0].link}"
    assert "Sign in" in (await faces.client.get(link)).text
    assert (await faces.client.post(link)).status_code == 303
    assert "owner@example.com" in (await faces.client.get("/")).text


async def test_links_by_mail_are_limited_by_address(faces: Faces) -> None:
    statuses = [
        (await faces.client.post("/sign-in", data={"email": "a@example.com"})).status_code for _ in range(6)
    ]
    assert statuses == [200] * 5 + [429]


async def test_the_list_shows_each_monitor_and_how_to_make_one(faces: Faces) -> None:
    client = await signed_in(faces)
    account = await faces.office.manage.session_account(next(iter(client.cookies.values())))
    assert account is not None
    (project,) = await faces.office.manage.projects_of(account.id)
    actor = await faces.office.manage.act_as(account, project.uid)
    hostile = "<img src=x onerror=alert(1)>"
    monitor = await faces.office.manage.create_monitor(
        actor, MonitorDraft(hostile, "tocsin", schedule_kind="cron", schedule_expression="0 3 * * *")
    )
    page = await client.get("/")
    assert "&lt;img src=x" in page.text
    assert hostile not in page.text
    assert "At 03:00 every day (UTC)" in page.text
    assert "curl http://tocsin/api/tocsin/v1/monitors" in page.text
    detail = await client.get(f"/monitors/{monitor.uid}")
    assert (detail.status_code, monitor.token in detail.text) == (200, True)


async def test_a_key_is_made_at_the_press_of_a_button_and_shown_once(faces: Faces) -> None:
    client = await signed_in(faces)
    form = re.search(r'action="(/projects/\w+/keys)"', (await client.get("/")).text)
    assert form is not None
    page = await client.post(form[1])
    key = re.search(r"tsn_[0-9A-Za-z]{40}", page.text)
    assert key is not None
    answer = await client.get("/api/tocsin/v1/project", headers={"Authorization": f"Bearer {key[0]}"})
    assert answer.status_code == 200
    assert key[0] not in (await client.get("/")).text


async def test_others_see_neither_the_monitor_nor_whether_there_is_one(faces: Faces) -> None:
    actor = await faces.office.actor(email="somebody@example.com")
    monitor = await faces.office.monitor(actor)
    assert (await faces.nobody.get(f"/monitors/{monitor.uid}")).headers["location"] == "/sign-in"


async def test_a_monitor_of_another_project_is_not_there(faces: Faces) -> None:
    client = await signed_in(faces)
    monitor = await faces.office.monitor(
        await faces.office.actor(email="somebody@example.com", project="theirs")
    )
    assert (await client.get(f"/monitors/{monitor.uid}")).status_code == 404
    assert (await client.post(f"/projects/{'0' * 32}/keys")).status_code == 404


@pytest.mark.parametrize("name", ["tocsin.css", "tocsin.svg"])
async def test_the_static_files_are_ours(faces: Faces, name: str) -> None:
    answer = await faces.nobody.get(f"/static/{name}")
    assert answer.status_code == 200
    assert "max-age" in answer.headers["cache-control"]


@pytest.mark.parametrize("name", ["..%2fviews.py", "views.py", ""])
async def test_no_other_file_is(faces: Faces, name: str) -> None:
    assert (await faces.nobody.get(f"/static/{name}")).status_code == 404


async def test_an_old_link_form_leads_to_the_link(faces: Faces) -> None:
    assert (await faces.nobody.get("/sign-in?token=abc")).headers["location"] == "/link/abc"


async def test_a_monitors_link_is_kept_through_the_sign_in(faces: Faces) -> None:
    await (await signed_in(faces)).post("/sign-out")
    monitor = await faces.office.monitor(await faces.office.actor())
    assert (await faces.client.get(f"/monitors/{monitor.uid}")).headers["location"] == "/sign-in"
    await faces.client.post("/sign-in", data={"email": "owner@example.com"})
    await faces.office.manage.settle()
    answer = await faces.client.post(f"/link/{faces.office.letters[-1].link}")
    assert answer.headers["location"] == f"/monitors/{monitor.uid}"
    assert "tocsin-back" not in faces.client.cookies


async def test_a_forged_way_back_leads_nowhere_else(faces: Faces) -> None:
    faces.client.cookies.set("tocsin-back", "//evil.example.com")
    await signed_in(faces)


async def test_what_is_down_comes_first(faces: Faces) -> None:
    client = await signed_in(faces)
    actor = await faces.office.actor()
    room = await Room.open(faces.office.store, faces.office.hands)
    broken = await faces.office.monitor(actor, "broken")
    await room.ping(Job(broken.id, broken.token), "fail")
    await faces.office.monitor(actor, "newer")
    text = (await client.get("/")).text
    assert 0 < text.index(">broken<") < text.index(">newer<")
    assert text.count(">broken<") == 1


async def test_a_setup_link_that_came_too_late_says_so(faces: Faces) -> None:
    path = await setup_path(faces)
    await faces.office.actor()
    page = await faces.client.get(path)
    assert (page.status_code, "an account already" in page.text) == (409, True)

"""Idempotency-Key on Cronheart's two creations: the published contract, concurrency, restarts."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import httpx
import pytest
from starlette.responses import Response

from tests.conftest import Serve
from tests.faces import Caller, Faces
from tests.server import Server
from tocsin.domain.errors import Code, TocsinError
from tocsin.store import tables
from tocsin.store.sqlite import SqliteStore
from tocsin.web.api import Call, assemble, json_response
from tocsin.web.dialects.cronheart import DIALECT
from tocsin.web.dialects.cronheart.idempotency import idempotent
from tocsin.web.openapi import Operation
from tocsin.web.payload import MalformedError

MONITORS, CHANNELS = "/api/v1/monitors", "/api/v1/channels"
MONITOR = {"name": "nightly-backup", "schedule_kind": "interval", "schedule_expr": "3600"}
CHANNEL = {"kind": "slack", "label": "alerts", "webhook_url": "https://hooks.slack.com/services/T/B/X"}
CREATIONS = [(MONITORS, MONITOR), (CHANNELS, CHANNEL)]


@pytest.fixture
def faces(store: SqliteStore) -> Faces:
    return Faces.open(store, plans="self-hosted")


@pytest.fixture
async def heart(faces: Faces) -> Caller:
    return await faces.caller("cronheart")


async def post(heart: Caller, path: str, body: object, key: str) -> httpx.Response:
    return await heart.ask("POST", path, body, **{"Idempotency-Key": key})


async def total(heart: Caller, path: str = MONITORS) -> int:
    found: int = (await heart.get(path)).json()["total"]
    return found


def is_conflict(answer: httpx.Response, text: str) -> bool:
    return answer.status_code == 409 and answer.json()["status"] == 409 and text in answer.json()["detail"]


@pytest.mark.parametrize(("path", "body"), CREATIONS)
async def test_the_same_request_is_carried_out_once(heart: Caller, path: str, body: dict[str, Any]) -> None:
    first = await post(heart, path, body, "retry-1")
    again = [await post(heart, path, body, key) for key in ("retry-1", " retry-1 ")]
    assert first.status_code == 201
    assert "idempotency-replayed" not in first.headers
    for replayed in again:
        assert (replayed.status_code, replayed.content) == (201, first.content)
        assert replayed.headers["location"] == first.headers["location"]
        assert replayed.headers["content-type"] == first.headers["content-type"]
        assert replayed.headers["idempotency-replayed"] == "true"
        assert "x-ratelimit-limit" in replayed.headers
    assert await total(heart, path) == 1


@pytest.mark.parametrize("key", ["", "  ", None])
@pytest.mark.parametrize(("path", "body"), CREATIONS)
async def test_without_a_key_every_request_counts(
    heart: Caller, path: str, body: dict[str, Any], key: str | None
) -> None:
    for _ in range(2):
        answer = await (heart.post(path, body) if key is None else post(heart, path, body, key))
        assert answer.status_code == 201
        assert "idempotency-replayed" not in answer.headers
    assert await total(heart, path) == 2


async def test_another_key_is_another_request(heart: Caller) -> None:
    await post(heart, MONITORS, MONITOR, "one")
    await post(heart, MONITORS, MONITOR, "two")
    await post(heart, MONITORS, MONITOR, "ONE")
    assert await total(heart) == 3


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (MONITORS, {**MONITOR, "name": "other"}),
        (MONITORS, b'{"name":  "nightly-backup"}'),
        (CHANNELS, MONITOR),
        (CHANNELS, CHANNEL),
    ],
)
async def test_the_same_key_for_another_request_is_a_conflict(heart: Caller, path: str, body: object) -> None:
    first = await post(heart, MONITORS, MONITOR, "key")
    assert is_conflict(await post(heart, path, body, "key"), "another request")
    assert (await total(heart), await total(heart, CHANNELS)) == (1, 0)
    assert (await post(heart, MONITORS, MONITOR, "key")).content == first.content


async def test_the_prefix_does_not_make_it_another_request(heart: Caller) -> None:
    first = await post(heart, MONITORS, MONITOR, "key")
    assert (await post(heart, f"/cronheart{MONITORS}", MONITOR, "key")).content == first.content
    assert await total(heart) == 1


@pytest.mark.parametrize(("length", "status"), [(255, 201), (256, 422), (5000, 422)])
async def test_a_key_has_at_most_255_characters(heart: Caller, length: int, status: int) -> None:
    answer = await post(heart, MONITORS, MONITOR, "k" * length)
    assert answer.status_code == status
    if status == 422:
        assert answer.json()["errors"].keys() == {"Idempotency-Key"}
    assert await total(heart) == (1 if status == 201 else 0)


@pytest.mark.parametrize(
    ("body", "status"), [({**MONITOR, "name": "x"}, 422), (b"{", 400), ({**MONITOR, "tz": "Mars"}, 422)]
)
async def test_what_was_refused_may_be_sent_again_with_its_key(
    faces: Faces, heart: Caller, body: object, status: int
) -> None:
    for _ in range(2):
        assert (await post(heart, MONITORS, body, "key")).status_code == status
    assert await faces.office.count(tables.replay) == 0
    assert (await post(heart, MONITORS, MONITOR, "key")).status_code == 201


async def test_a_limit_that_was_reached_is_no_answer_for_ever(store: SqliteStore) -> None:
    faces = Faces.open(store, plans="self-hosted")
    key = await faces.office.key("cronheart")
    actor = await faces.office.manage.authenticate(key, "cronheart")
    heart = Caller(faces.client, {"Authorization": f"Bearer {key}"})

    async def answered(used: int) -> int:
        changed = tables.project.update().where(tables.project.c.id == actor.project_id)
        await store.write(lambda connection: connection.execute(changed.values(monitor_count=used)))
        return (await post(heart, MONITORS, MONITOR, "key")).status_code

    assert [await answered(used) for used in (1_000_000, 0)] == [403, 201]


@pytest.mark.parametrize(("path", "body"), CREATIONS)
async def test_of_many_at_once_one_is_carried_out(heart: Caller, path: str, body: dict[str, Any]) -> None:
    answers = await asyncio.gather(*(post(heart, path, body, "key") for _ in range(20)))
    made = [answer for answer in answers if answer.status_code == 201]
    assert len({answer.content for answer in made}) == 1
    assert len([answer for answer in made if "idempotency-replayed" not in answer.headers]) == 1
    assert all(is_conflict(answer, "under way") for answer in answers if answer not in made)
    assert await total(heart, path) == 1
    assert (await post(heart, path, body, "key")).content == made[0].content


async def test_an_answer_is_kept_for_a_day(faces: Faces, heart: Caller) -> None:
    await post(heart, MONITORS, MONITOR, "key")
    faces.office.hands.pass_(24 * 3600 - 1)
    assert (await post(heart, MONITORS, MONITOR, "key")).headers["idempotency-replayed"] == "true"
    faces.office.hands.pass_(2)
    assert "idempotency-replayed" not in (await post(heart, MONITORS, MONITOR, "key")).headers
    assert await total(heart) == 2


async def test_a_key_belongs_to_its_project_and_to_all_its_tokens(faces: Faces, heart: Caller) -> None:
    first = await post(heart, MONITORS, MONITOR, "key")
    stranger = await faces.caller("cronheart", email="else@example.com", project="theirs")
    theirs = await post(stranger, MONITORS, MONITOR, "key")
    assert theirs.json()["uuid"] != first.json()["uuid"]
    colleague = await faces.caller("cronheart")
    assert (await post(colleague, MONITORS, MONITOR, "key")).content == first.content


async def test_a_read_only_token_cannot_read_a_kept_answer(faces: Faces, heart: Caller) -> None:
    created = await post(heart, MONITORS, MONITOR, "key")
    reader = await faces.caller("cronheart", read_only=True)
    refused = await post(reader, MONITORS, MONITOR, "key")
    assert refused.status_code == 403
    assert created.json()["ping_url"] not in refused.text


async def test_the_key_is_not_stored(faces: Faces, heart: Caller) -> None:
    await post(heart, MONITORS, MONITOR, "a-key-to-look-for")
    assert "a-key-to-look-for" not in str(await faces.office.rows(tables.replay.select()))


class Desk:
    """An operation of the test's own behind `idempotent`, which may be held up, and its answers in order."""

    def __init__(self, store: SqliteStore, *answers: Callable[[], Response]) -> None:
        self.calls = 0
        self.may_go_on = asyncio.Event()
        self.may_go_on.set()
        self._called = asyncio.Condition()
        self._answers = answers
        operation = Operation("POST", MONITORS, idempotent(self.handle), "Do it", {201: None})
        dialect = replace(DIALECT, build=lambda services: assemble(DIALECT, services, [operation]))
        self.faces = Faces.open(store, plans="self-hosted", dialects=[dialect])

    async def handle(self, _: Call) -> Response:
        async with self._called:
            number, self.calls = self.calls, self.calls + 1
            self._called.notify_all()
        await self.may_go_on.wait()
        return self._answers[min(number, len(self._answers) - 1)]()

    async def until_called(self, count: int) -> None:
        async with asyncio.timeout(10), self._called:
            await self._called.wait_for(lambda: self.calls >= count)


def made(number: int = 1) -> Callable[[], Response]:
    return lambda: json_response({"number": number}, 201)


def broken(error: Exception) -> Callable[[], Response]:
    def fail() -> Response:
        raise error

    return fail


@pytest.mark.parametrize(
    ("first", "status"),
    [
        (lambda: json_response({}, 503), 503),
        (lambda: json_response({}, 404), 404),
        (broken(TocsinError(Code.UNAVAILABLE, "Try again.")), 503),
        (broken(MalformedError("No.")), 400),
        (broken(ZeroDivisionError()), 500),
    ],
)
async def test_every_4xx_and_5xx_releases_the_key(
    store: SqliteStore, first: Callable[[], Response], status: int
) -> None:
    desk = Desk(store, first, made())
    heart = await desk.faces.caller("cronheart")
    assert (await post(heart, MONITORS, {}, "key")).status_code == status
    done = await post(heart, MONITORS, {}, "key")
    assert (done.status_code, desk.calls) == (201, 2)
    assert "idempotency-replayed" not in done.headers


@pytest.mark.parametrize(
    ("method", "answer", "status"),
    [
        ("keep_answer", made(), 201),
        ("release_request", lambda: json_response({}, 404), 404),
        ("release_request", broken(MalformedError("No.")), 400),
    ],
)
async def test_what_was_decided_is_told_though_it_cannot_be_kept(
    store: SqliteStore,
    monkeypatch: pytest.MonkeyPatch,
    method: str,
    answer: Callable[[], Response],
    status: int,
) -> None:
    desk = Desk(store, answer)
    heart = await desk.faces.caller("cronheart")

    async def fail(*_: object) -> None:
        raise TocsinError(Code.UNAVAILABLE, "The database cannot be used just now.")

    monkeypatch.setattr(desk.faces.office.manage, method, fail)
    assert (await post(heart, MONITORS, {}, "key")).status_code == status
    assert is_conflict(await post(heart, MONITORS, {}, "key"), "under way")


async def test_while_the_first_is_under_way_the_second_is_a_conflict(store: SqliteStore) -> None:
    desk = Desk(store, made())
    heart = await desk.faces.caller("cronheart")
    desk.may_go_on.clear()
    first = asyncio.create_task(post(heart, MONITORS, {}, "key"))
    await desk.until_called(1)
    assert is_conflict(await post(heart, MONITORS, {}, "key"), "under way")
    assert is_conflict(await post(heart, MONITORS, {"other": 1}, "key"), "another request")
    desk.may_go_on.set()
    done = await first
    assert (await post(heart, MONITORS, {}, "key")).content == done.content
    assert desk.calls == 1


async def test_a_claim_that_was_never_answered_is_free_after_a_minute(store: SqliteStore) -> None:
    desk = Desk(store, made())
    heart = await desk.faces.caller("cronheart")
    desk.may_go_on.clear()
    cut_off = asyncio.create_task(post(heart, MONITORS, {}, "key"))
    await desk.until_called(1)
    cut_off.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await cut_off
    desk.may_go_on.set()
    desk.faces.office.hands.pass_(59)
    assert is_conflict(await post(heart, MONITORS, {}, "key"), "under way")
    desk.faces.office.hands.pass_(2)
    assert (await post(heart, MONITORS, {}, "key")).status_code == 201
    assert desk.calls == 2


async def test_a_late_answer_does_not_replace_that_of_who_took_over(store: SqliteStore) -> None:
    desk = Desk(store, made(1), made(2))
    heart = await desk.faces.caller("cronheart")
    desk.may_go_on.clear()
    slow = asyncio.create_task(post(heart, MONITORS, {}, "key"))
    await desk.until_called(1)
    desk.faces.office.hands.pass_(61)
    quick = asyncio.create_task(post(heart, MONITORS, {}, "key"))
    await desk.until_called(2)
    desk.may_go_on.set()
    assert [(await slow).json(), (await quick).json()] == [{"number": 1}, {"number": 2}]
    assert (await post(heart, MONITORS, {}, "key")).json() == {"number": 2}


class Client:
    """A real server's Cronheart API; each thread may use it."""

    def __init__(self, server: Server, token: str) -> None:
        self._server = server
        self._token = token

    def post(self, key: str, name: str = "nightly-backup") -> httpx.Response:
        headers = {"Authorization": f"Bearer {self._token}", "Idempotency-Key": key}
        return self._server.client.post(MONITORS, json={**MONITOR, "name": name}, headers=headers)

    def names(self) -> list[str]:
        headers = {"Authorization": f"Bearer {self._token}"}
        found = self._server.client.get(MONITORS, params={"limit": 100}, headers=headers).json()
        return [one["name"] for one in found["data"]]


def test_the_real_server_creates_one_of_many_at_once_and_remembers_over_a_restart(serve: Serve) -> None:
    server = serve()
    client = Client(server, server.key("cronheart"))
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda _: client.post("key"), range(64)))
    assert {answer.status_code for answer in answers} <= {201, 409}
    [body] = {answer.content for answer in answers if answer.status_code == 201}
    server.restart()
    replayed = client.post("key")
    assert (replayed.status_code, replayed.content) == (201, body)
    assert replayed.headers["idempotency-replayed"] == "true"
    assert client.names() == ["nightly-backup"]


def test_after_a_kill_what_was_acknowledged_is_not_done_again_and_the_rest_can_be(serve: Serve) -> None:
    server = serve()
    client = Client(server, server.key("cronheart"))
    acknowledged: dict[str, bytes] = {}
    some = threading.Semaphore(0)

    def create(number: int) -> None:
        with contextlib.suppress(httpx.TransportError):
            answer = client.post(f"key {number}", f"job {number}")
            if answer.status_code == 201:
                acknowledged[f"job {number}"] = answer.content
                some.release()

    with ThreadPoolExecutor(8) as pool:
        work = [pool.submit(create, number) for number in range(80)]
        for _ in range(20):
            assert some.acquire(timeout=30)
        server.kill()
        for one in work:
            one.result()
    server.start()
    assert 20 <= len(acknowledged) < 80
    server.change("UPDATE replay SET created_at = created_at - 61000000 WHERE status IS NULL")
    for number in range(80):
        answer = client.post(f"key {number}", f"job {number}")
        assert answer.status_code == 201, answer.text
        if body := acknowledged.get(f"job {number}"):
            assert (answer.content, answer.headers["idempotency-replayed"]) == (body, "true")
    names = client.names()
    assert {f"job {number}" for number in range(80)} == set(names)
    assert sorted(name for name in names if name in acknowledged) == sorted(acknowledged)

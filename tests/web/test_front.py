"""The entry: bounds before anything is parsed, no slash redirects, and never a bare 500."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import httpx
import orjson
import pytest
from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from structlog.testing import capture_logs

from tests.faces import Faces
from tocsin.store.sqlite import SqliteStore
from tocsin.web.bounds import Bounds
from tocsin.web.dialect import Claim, Dialect, discover
from tocsin.web.front import Front
from tocsin.web.services import Services

CRONPEEK = next(dialect for dialect in discover() if dialect.name == "cronpeek")
KEY = {"x-api-key": "cpk_0123456789abcdef0123456789abcdef"}


@pytest.fixture
def faces(store: SqliteStore) -> Faces:
    return Faces.open(store)


async def parts(*contents: bytes) -> AsyncIterator[bytes]:
    for content in contents:
        yield content


async def test_a_path_that_starts_with_a_dialects_name_speaks_it_always(faces: Faces) -> None:
    peek, native = await faces.caller("cronpeek"), await faces.caller("tocsin")
    assert (await peek.get("/cronpeek/api/v1/monitors")).json() == {"monitors": [], "count": 0}
    assert (await native.get("/cronpeek/api/v1/monitors")).json().keys() == {"error"}
    assert (await native.get("/tocsin/api/tocsin/v1/monitors")).status_code == 200
    assert (await peek.get("/cronpeek/nothing")).json() == {"error": "There is nothing at this address."}


@pytest.mark.parametrize(
    "path", ["/api/v1/monitors/", "/cronpeek/api/v1/monitors/", "/api/tocsin/v1/monitors/"]
)
async def test_a_slash_too_many_is_not_redirected(faces: Faces, path: str) -> None:
    assert (await faces.nobody.get(path)).status_code in {401, 404}


async def test_a_body_over_the_limit_is_refused_in_the_dialects_shape_and_unread(faces: Faces) -> None:
    peek, native = await faces.caller("cronpeek"), await faces.caller("tocsin")
    huge = b'{"name": "' + b"x" * 1_000_000 + b'"}'
    refused = await peek.post("/api/v1/monitors", huge)
    assert (refused.status_code, refused.json().keys()) == (413, {"error"})
    streamed = await faces.client.post(
        "/api/tocsin/v1/monitors", content=parts(*[b"x" * 100_000] * 11), headers=native.headers
    )
    assert (streamed.status_code, streamed.headers["content-type"]) == (413, "application/problem+json")
    claimed = await peek.ask("POST", "/api/v1/monitors", b"{}", **{"content-length": "9" * 30})
    assert claimed.status_code == 413


async def test_an_address_or_a_head_over_the_limit_is_refused(faces: Faces) -> None:
    assert (await faces.nobody.get("/api/v1/monitors?" + "a" * 8_200)).status_code == 414
    many = {f"x-{number}": "1" for number in range(101)}
    assert (await faces.nobody.ask("GET", "/api/health", None, **many)).status_code == 431
    long = await faces.nobody.ask("GET", "/api/health", None, **{"x-long": "a" * 33_000})
    assert (long.status_code, long.json().keys()) == (431, {"error"})


@pytest.mark.parametrize(
    "path", ["/api/v1/monitors/%00/status", "/api/tocsin/v1/monitors?text=%00", "/monitors/%00"]
)
async def test_nul_in_an_address_is_refused(faces: Faces, path: str) -> None:
    assert (await faces.nobody.get(path)).status_code == 400


async def test_with_no_key_clients_of_all_dialects_read_something_useful(store: SqliteStore) -> None:
    def refuse_otherwise(dialect: Dialect, name: str) -> Dialect:
        return replace(dialect, name=name, body_fields=frozenset())

    faces = Faces.open(store, dialects=[CRONPEEK, refuse_otherwise(CRONPEEK, "other")])
    answer = await faces.nobody.get("/api/v1/monitors")
    assert (answer.status_code, answer.headers["content-type"]) == (401, "application/problem+json")
    assert {"title", "status", "detail", "error", "message"} <= answer.json().keys()


async def test_head_is_answered_as_get_without_the_body(faces: Faces) -> None:
    peek = await faces.caller("cronpeek")
    for path in ("/api/health", "/api/v1/monitors", "/healthz", "/", "/api/nothing"):
        get, head = await peek.get(path), await peek.ask("HEAD", path)
        assert (head.status_code, head.content) == (get.status_code, b"")
        assert head.headers["content-length"] == get.headers["content-length"]


async def test_what_nobody_has_below_api_is_a_404_that_programs_can_read(faces: Faces) -> None:
    answer = await faces.nobody.get("/api/v9/things")
    assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json")
    page = await faces.nobody.get("/things")
    assert (page.status_code, page.headers["content-type"]) == (404, "text/html; charset=utf-8")


async def test_every_answer_carries_the_security_headers(faces: Faces) -> None:
    for path in ("/", "/api/health", "/api/v1/monitors", "/api/nothing", "/healthz", "/nothing"):
        headers = (await faces.nobody.get(path)).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
        assert headers["cache-control"] == "no-store"
        assert "unsafe" not in headers["content-security-policy"]


def breaking(how: str) -> Dialect:
    """A dialect whose application breaks."""

    def build(_: Services) -> ASGIApp:
        async def endpoint(request: Request) -> Response:
            raise RuntimeError("secret details")

        async def bare(scope: Any, receive: Any, send: Any) -> None:
            if how == "late":
                await send({"type": "http.response.start", "status": 200, "headers": []})
            raise RuntimeError("secret details")

        if how != "in a framework":
            return bare
        app = FastAPI()
        app.add_api_route("/break", endpoint, methods=["GET"], response_class=Response)

        async def refuse(_request: Request, _error: Exception) -> Response:
            return Response('{"error":"ours"}', 500, media_type="application/json")

        app.add_exception_handler(Exception, refuse)
        return app

    return replace(CRONPEEK, build=build, claims=(Claim("/break", ("GET",)),))


@pytest.mark.parametrize("how", ["at once", "in a framework"])
async def test_what_breaks_is_logged_and_answered_in_the_dialects_shape(store: SqliteStore, how: str) -> None:
    faces = Faces.open(store, dialects=[breaking(how)])
    with capture_logs() as logs:
        answer = await faces.nobody.get("/break")
    assert (answer.status_code, answer.json().keys()) == (500, {"error"})
    assert "secret" not in answer.text
    assert [(log["event"], log["target"]) for log in logs] == [("request.broken", "cronpeek")]


async def test_what_breaks_after_the_answer_began_is_only_logged(store: SqliteStore) -> None:
    faces = Faces.open(store, dialects=[breaking("late")])
    with capture_logs() as logs, pytest.raises((AssertionError, httpx.HTTPError)):
        await faces.nobody.get("/break")
    assert [log["event"] for log in logs] == ["request.broken"]


async def test_a_client_that_goes_away_in_its_body_leaves_no_trace(faces: Faces) -> None:
    transport = faces.client._transport
    assert isinstance(transport, httpx.ASGITransport)
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": "/api/v1/monitors", "query_string": b"", "headers": []}
    with capture_logs() as logs:
        await transport.app(scope, receive, send)
    assert (sent, logs) == ([], [])


async def test_a_websocket_is_let_alone(faces: Faces) -> None:
    transport = faces.client._transport
    assert isinstance(transport, httpx.ASGITransport)

    async def never(*_: Any) -> Any:
        raise AssertionError

    await transport.app({"type": "websocket"}, never, never)


async def test_the_body_reaches_the_dialect_whole(faces: Faces) -> None:
    peek = await faces.caller("cronpeek")
    body = orjson.dumps({"name": "in parts", "schedule": 60})
    made = await faces.client.post(
        "/api/v1/monitors", content=parts(body[:10], b"", body[10:]), headers=peek.headers
    )
    assert (made.status_code, made.json()["name"]) == (201, "in parts")


async def test_requests_take_turns_and_others_come_in_between(faces: Faces) -> None:
    order: list[str] = []

    async def note(scope: Scope, receive: Receive, send: Send) -> None:
        order.append(scope["path"])
        await Response()(scope, receive, send)

    front = Front([], faces.services, {f"/{name}": note for name in "abc"}, note, Bounds())
    asking = [asyncio.create_task(ask(front, f"/{name}")) for name in "abc"]
    given_up = asyncio.create_task(ask(front, "/a"))
    asking.append(asyncio.create_task(ask(front, "/d")))
    await asyncio.sleep(0)
    given_up.cancel()
    while not all(task.done() for task in asking):
        order.append("-")
        await asyncio.sleep(0)
    begun = "".join(order)
    assert [each for each in begun.split("-") if each] == ["/a", "/b", "/c", "/d"]


async def ask(app: ASGIApp, path: str) -> None:
    scope = {"type": "http", "method": "GET", "path": path, "raw_path": path.encode(), "query_string": b""}

    async def receive() -> Message:
        return {"type": "http.request"}

    async def send(_message: Message) -> None:
        return

    await app({**scope, "headers": []}, receive, send)

"""The ASGI entry for everything but pings: bounds first, then who is meant, then that one's application.

A path that starts with a dialect's name speaks that dialect, always; else the dialects' claims decide
(choice.py); what nobody claims is the dashboard's.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import orjson
import structlog
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tocsin.domain.errors import TocsinError
from tocsin.web.bounds import Bounds, check_head, read_body, replay
from tocsin.web.choice import Choice, Claimant, Head
from tocsin.web.dialect import Dialect, Reply
from tocsin.web.payload import field_names
from tocsin.web.security import secured
from tocsin.web.services import Services
from tocsin.web.trouble import BROKEN, NO_FIELDS, STATUSES, Trouble, TroubleError, trouble_of

BADGES = "badge/"  # of all dialects, on the dashboard

log = structlog.get_logger(__name__)

_NOWHERE = Trouble(404, "There is nothing at this address.")
_NO_KEY = Trouble(
    401, "An API key is needed, in the header X-Api-Key or as Authorization: Bearer, as its dialect has it."
)


def refuse_neutrally(trouble: Trouble) -> Reply:
    """An error where no dialect is known: problem+json, with the members that clients of others read."""
    problem = {
        "type": "about:blank",
        "title": trouble.title,
        "status": trouble.status,
        "detail": trouble.message,
        "error": trouble.message,
        "message": trouble.message,
    }
    return Reply(trouble.status, b"application/problem+json", orjson.dumps(problem))


class Front:
    """The application that the HTTP server runs.

    `pages` are applications by their exact path (/healthz, …); `dashboard` has all that is nobody's.
    """

    def __init__(
        self,
        dialects: Sequence[Dialect],
        services: Services,
        pages: Mapping[str, ASGIApp],
        dashboard: ASGIApp,
        bounds: Bounds,
    ) -> None:
        self._dialects = {dialect.name: dialect for dialect in dialects}
        self._apps = {dialect.name: dialect.build(services) for dialect in dialects}
        self._choice = Choice(dialects)
        self._pages = pages
        self._dashboard = dashboard
        self._bounds = bounds
        self._turns = _Turns()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request. What breaks is logged, and answered in the dialect's shape."""
        if scope["type"] != "http":
            return
        await self._turns.wait()
        target = self._target(_head(scope))
        sending = _Sending(send, has_body=scope["method"] != "HEAD")
        try:
            await self._answer(target, scope, receive, sending)
        except TroubleError as error:
            await sending.reply(target.refuse(error.trouble), error.trouble.headers())
        except TocsinError as error:
            trouble = trouble_of(error, STATUSES, NO_FIELDS)
            await sending.reply(target.refuse(trouble), trouble.headers())
        except ClientDisconnect:
            return
        except Exception:
            log.exception("request.broken", method=scope["method"], target=target.name)
            await sending.reply(target.refuse(BROKEN), {})

    def _target(self, head: Head) -> _Target:
        """Who is meant, as far as the head tells."""
        first, _, rest = head.path[1:].partition("/")
        if first in self._dialects:
            head = head._replace(path=f"/{rest}")
            if not rest.startswith(BADGES):
                return self._speaking(self._dialects[first], head)
        if head.path in self._pages:
            return _Target("pages", head, self._pages[head.path])
        claimants = self._choice.claimants(head)
        if len(claimants) == 1:
            return self._speaking(claimants[0].dialect, head)
        if claimants:
            return _Target("undecided", head, None, claimants=claimants)
        return _Target("dashboard", head, _nowhere if head.path.startswith("/api/") else self._dashboard)

    def _speaking(self, dialect: Dialect, head: Head) -> _Target:
        return _Target(dialect.name, head, self._apps[dialect.name], dialect.refuse)

    async def _answer(self, target: _Target, scope: Scope, receive: Receive, send: Send) -> None:
        check_head(scope, self._bounds)
        body = await read_body(scope, receive, self._bounds)
        app, (method, path, _) = target.app or self._told_by_body(target, body), target.head
        meant = {**scope, "method": method, "path": path, "raw_path": path.encode()}
        await app(meant, replay(body, receive), send)

    def _told_by_body(self, target: _Target, body: bytes) -> ASGIApp:
        dialect = self._choice.decide(target.claimants, target.head, field_names(body))
        if dialect is None:
            raise TroubleError(_NO_KEY)
        return self._apps[dialect.name]


class _Turns:
    """Lets requests begin one after the other, each in a pass of the event loop of its own: what others wrote
    goes out in between, and pings come in."""

    def __init__(self) -> None:
        self._waiting: deque[asyncio.Future[None]] = deque()

    async def wait(self) -> None:
        """Return when it is one's turn."""
        loop = asyncio.get_running_loop()
        turn = loop.create_future()
        if not self._waiting:
            loop.call_soon(self._next, loop)
        self._waiting.append(turn)
        await turn

    def _next(self, loop: asyncio.AbstractEventLoop) -> None:
        turn = self._waiting.popleft()
        if not turn.done():
            turn.set_result(None)
        if self._waiting:
            loop.call_soon(self._next, loop)


class _Target(NamedTuple):
    """Who answers; `app` is None where only the body can tell which of the `claimants`."""

    name: str
    head: Head
    app: ASGIApp | None
    refuse: Callable[[Trouble], Reply] = refuse_neutrally
    claimants: Sequence[Claimant] = ()


class _Sending:
    """A `send` that adds the security headers and knows whether an answer has begun."""

    def __init__(self, send: Send, *, has_body: bool) -> None:
        self._send = send
        self._has_body = has_body
        self._has_begun = False

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._has_begun = True
            message = {**message, "headers": secured(message.get("headers", ()))}
        elif not self._has_body:
            message = {**message, "body": b""}
        await self._send(message)

    async def reply(self, reply: Reply, headers: Mapping[str, str]) -> None:
        """A whole answer, unless one has begun already."""
        if self._has_begun:
            return
        head = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
        head += [(b"content-type", reply.content_type), (b"content-length", b"%d" % len(reply.body))]
        await self({"type": "http.response.start", "status": reply.status, "headers": head})
        await self({"type": "http.response.body", "body": reply.body})


def _head(scope: Scope) -> Head:
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in reversed(scope["headers"])}
    # HEAD is a GET whose answer loses its body.
    method = "GET" if scope["method"] == "HEAD" else scope["method"]
    return Head(method, scope["path"], headers)


async def _nowhere(_scope: Scope, _receive: Receive, _send: Send) -> None:
    raise TroubleError(_NOWHERE)

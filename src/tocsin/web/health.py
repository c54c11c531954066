"""Whether the server is up (/healthz) and whether it can do its work (/readyz)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

LONGEST_LAG_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Readiness:
    """`database`: it answered just now. `engine`: its tasks are alive. `lag_seconds`: how long the oldest
    overdue decision has been waiting."""

    database: bool
    engine: bool
    lag_seconds: float

    @property
    def is_ready(self) -> bool:
        """Whether pings and alerts are taken care of."""
        return self.database and self.engine and self.lag_seconds <= LONGEST_LAG_SECONDS


def healthz(version: str) -> ASGIApp:
    """The process is up: nothing else is looked at."""
    body = orjson.dumps({"status": "ok", "version": version})
    return _page(lambda: _done(Response(body, media_type="application/json")))


def readyz(look: Callable[[], Awaitable[Readiness]]) -> ASGIApp:
    """200 where pings and alerts are taken care of, else 503; the body says what is amiss."""

    async def answer() -> Response:
        found = await look()
        body = orjson.dumps({"ready": found.is_ready, **asdict(found)})
        return Response(body, 200 if found.is_ready else 503, media_type="application/json")

    return _page(answer)


async def _done(response: Response) -> Response:
    return response


def _page(answer: Callable[[], Awaitable[Response]]) -> ASGIApp:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        method = Request(scope).method
        response = await answer() if method in {"GET", "HEAD"} else Response(status_code=405)
        await response(scope, receive, send)

    return app

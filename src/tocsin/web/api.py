"""A dialect's operations made into its application: keys, rates and errors, the same way for all."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, NamedTuple

import orjson
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, Router, compile_path
from starlette.types import ASGIApp, Receive, Scope, Send

from tocsin.domain.errors import TocsinError
from tocsin.domain.project import Actor
from tocsin.engine.manage import Manage
from tocsin.web.dialect import Dialect, Reply
from tocsin.web.openapi import Operation
from tocsin.web.payload import MalformedError, read_object
from tocsin.web.rate import Standing
from tocsin.web.services import Services
from tocsin.web.trouble import Trouble, TroubleError, too_often, trouble_of

Endpoint = Callable[[Request], Awaitable[Response]]
_TEXTS = {
    404: "There is nothing at this address.",
    405: "This address does not take this method.",
}


class Visit(NamedTuple):
    """A request that needs no key."""

    request: Request
    services: Services


class Call(NamedTuple):
    """A request of somebody who showed a key, at one moment: `now` is microseconds UTC."""

    request: Request
    services: Services
    actor: Actor
    now: int

    @property
    def manage(self) -> Manage:
        """The use cases."""
        return self.services.manage

    def part(self, name: str) -> str:
        """A part of the path."""
        value: str = self.request.path_params[name]
        return value

    async def fields(self) -> dict[str, Any]:
        """The JSON object in the body. Raises MalformedError."""
        return read_object(await self.request.body())


def json_response(content: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """`content`, encoded once."""
    return Response(orjson.dumps(content), status, headers, media_type="application/json")


def response_of(reply: Reply, headers: Mapping[str, str] | None = None) -> Response:
    """A dialect's reply as a response."""
    return Response(reply.body, reply.status, headers, media_type=reply.content_type.decode())


def assemble(
    dialect: Dialect, services: Services, operations: Sequence[Operation], more: Sequence[Route] = ()
) -> ASGIApp:
    """The application of these operations, in the dialect's manners, and of `more` as it is.

    Starlette serves what FastAPI describes (openapi.py): a request costs a third of what it costs there. What
    breaks is left to the front, which logs it.
    """
    return _Face(dialect, services, operations, more)


class _Endpoint:
    """A handler as a route has it. A class, since Starlette wraps functions in more than we need."""

    def __init__(self, answer: Callable[[Request, Endpoint], Awaitable[Response]], run: Endpoint) -> None:
        self._answer = answer
        self._run = run

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        response = await self._answer(Request(scope, receive), self._run)
        await response(scope, receive, send)


class _Face:
    """The dialect's manners around each handler."""

    def __init__(
        self, dialect: Dialect, services: Services, operations: Sequence[Operation], more: Sequence[Route]
    ) -> None:
        self._dialect = dialect
        self._services = services
        routes = [
            Route(each.path, _Endpoint(self.answer, self._run(each)), methods=[each.method])
            for each in operations
        ]
        self._router = Router([*routes, *more], redirect_slashes=False)
        self._methods = [(compile_path(operation.path)[0], operation.method) for operation in operations]
        self._methods += [
            (route.path_regex, method) for route in more for method in sorted(route.methods or ())
        ]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        scope["app"] = self  # so that the router raises what it refuses
        try:
            await self._router(scope, receive, send)
        except HTTPException as error:
            response = await self._refuse_address(Request(scope, receive), error.status_code)
            await response(scope, receive, send)

    async def answer(self, request: Request, run: Endpoint) -> Response:
        """What a handler answers, or its refusal in the dialect's shape."""
        try:
            response = await run(request)
        except TocsinError as error:
            trouble = trouble_of(error, self._dialect.statuses, self._dialect.field_names)
            response = self._refuse(trouble)
        except MalformedError as error:
            response = self._refuse(Trouble(400, str(error)))
        except TroubleError as error:
            response = self._refuse(error.trouble)
        return self._with_limits(request, response)

    async def _refuse_address(self, request: Request, status: int) -> Response:
        """A path or method that no operation has (404, 405). A known key is told its limits here, too."""
        response = self._refuse(Trouble(status, _TEXTS[status]))
        if status == 405:
            path = request.scope["path"]
            methods = dict.fromkeys(method for pattern, method in self._methods if pattern.match(path))
            response.headers["Allow"] = ", ".join(methods)
        try:
            await self._admit(request)
        except TocsinError:
            return response
        except TroubleError as trouble:
            response = self._refuse(trouble.trouble)
        return self._with_limits(request, response)

    def _run(self, operation: Operation) -> Endpoint:
        return self._with_key(operation) if operation.needs_key else self._without_key(operation)

    def _with_key(self, operation: Operation) -> Endpoint:
        async def run(request: Request) -> Response:
            actor = await self._admit(request)
            call = Call(request, self._services, actor, self._services.now())
            response: Response = await operation.handler(call)
            return response

        return run

    def _without_key(self, operation: Operation) -> Endpoint:
        async def run(request: Request) -> Response:
            response: Response = await operation.handler(Visit(request, self._services))
            return response

        return run

    async def _admit(self, request: Request) -> Actor:
        """Who asks, if they may: TocsinError for no good key, TroubleError for a broken limit."""
        key = self._dialect.credential.key(request.headers)
        actor = await self._services.manage.authenticate(key, self._dialect.name)
        self._count(request, actor)
        return actor

    def _with_limits(self, request: Request, response: Response) -> Response:
        standing: Standing | None = getattr(request.state, "standing", None)
        if standing:
            headers = self._dialect.rate_headers(standing).items()
            response.raw_headers += [(name.lower().encode(), value.encode()) for name, value in headers]
        return response

    def _count(self, request: Request, actor: Actor) -> None:
        who = actor.key_id if self._dialect.rate_scope == "key" else actor.project_id
        plan = actor.plan
        standing = self._services.rates.count(
            f"{self._dialect.rate_scope}:{who}",
            self._services.now(),
            per_minute=plan.requests_per_minute,
            per_day=plan.requests_per_day,
        )
        request.state.standing = standing
        if standing.exceeded:
            raise TroubleError(too_often(standing.exceeded))

    def _refuse(self, trouble: Trouble) -> Response:
        response = response_of(self._dialect.refuse(trouble), trouble.headers())
        if trouble.status == 401 and self._dialect.credential.scheme:
            response.headers["WWW-Authenticate"] = self._dialect.credential.scheme.title()
        return response

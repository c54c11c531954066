"""A dialect's operations made into its application: keys, rates and errors, the same way for all."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, NamedTuple

import orjson
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, compile_path

from tocsin.domain.errors import TocsinError
from tocsin.domain.project import Actor
from tocsin.engine.manage import Manage
from tocsin.web.dialect import Dialect, Reply
from tocsin.web.openapi import Operation
from tocsin.web.payload import MalformedError, read_object
from tocsin.web.rate import Standing
from tocsin.web.services import Services
from tocsin.web.trouble import BROKEN, Trouble, TroubleError, too_often, trouble_of

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
    """A request of somebody who showed a key."""

    request: Request
    services: Services
    actor: Actor

    @property
    def manage(self) -> Manage:
        """The use cases."""
        return self.services.manage

    @property
    def now(self) -> int:
        """The present moment, in microseconds UTC."""
        return self.services.now()

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
) -> Starlette:
    """The application of these operations, in the dialect's manners, and of `more` as it is.

    Starlette serves what FastAPI describes (openapi.py): a request costs a third of what it costs there.
    """
    face = _Face(dialect, services, operations, more)
    routes = [Route(each.path, face.endpoint(each), methods=[each.method]) for each in operations]
    app = Starlette(
        routes=[*routes, *more],
        exception_handlers={HTTPException: face.refuse_address, Exception: face.refuse_broken},
    )
    app.router.redirect_slashes = False
    return app


class _Face:
    """The dialect's manners around each handler."""

    def __init__(
        self, dialect: Dialect, services: Services, operations: Sequence[Operation], more: Sequence[Route]
    ) -> None:
        self._dialect = dialect
        self._services = services
        self._methods = [(compile_path(operation.path)[0], operation.method) for operation in operations]
        self._methods += [
            (route.path_regex, method) for route in more for method in sorted(route.methods or ())
        ]

    def endpoint(self, operation: Operation) -> Endpoint:
        """The handler with all its refusals in the dialect's shape."""
        run = self._with_key(operation) if operation.needs_key else self._without_key(operation)

        async def endpoint(request: Request) -> Response:
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

        return endpoint

    async def refuse_address(self, request: Request, error: Exception) -> Response:
        """A path or method that no operation has (404, 405). A known key is told its limits here, too."""
        status = error.status_code if isinstance(error, HTTPException) else 500
        response = self._refuse(Trouble(status, _TEXTS.get(status, BROKEN.message)))
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

    async def refuse_broken(self, _request: Request, _error: Exception) -> Response:
        """Our own mistake; the front logs it."""
        return self._refuse(BROKEN)

    def _with_key(self, operation: Operation) -> Endpoint:
        async def run(request: Request) -> Response:
            actor = await self._admit(request)
            response: Response = await operation.handler(Call(request, self._services, actor))
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
            response.headers.update(self._dialect.rate_headers(standing))
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

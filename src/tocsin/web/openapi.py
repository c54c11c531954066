"""What an application offers, and the OpenAPI document made of it."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from inspect import getdoc
from types import MappingProxyType
from typing import Any

from fastapi import FastAPI
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema
from starlette.responses import Response

_SCHEMA = "#/components/schemas/{model}"
_NOTHING: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of one path. The models document; the use cases check what is sent.

    `handler` takes an api.Call, or an api.Visit where `needs_key` is false; its name is the operation's id
    and its docstring the description. `answers` maps each status of success to its model, or to the content
    type of what is no JSON, or to None for no body. `refusals`: the statuses of its errors, besides those
    that every operation has.
    """

    method: str
    path: str
    handler: Callable[[Any], Awaitable[Response]]
    summary: str
    answers: Mapping[int, type[BaseModel] | str | None]
    takes: type[BaseModel] | None = None
    query: type[BaseModel] | None = None
    refusals: tuple[int, ...] = ()
    needs_key: bool = True
    tag: str = ""


@dataclass(frozen=True, slots=True)
class About:
    """The head of the document. `problem` is the model of every error and `problem_type` its content type;
    `security` is the one scheme, as OpenAPI writes it; `parts` describes parts of paths by their names."""

    title: str
    description: str
    problem: type[BaseModel]
    security: Mapping[str, Any]
    problem_type: str = "application/json"
    parts: Mapping[str, Mapping[str, Any]] = field(default_factory=lambda: _NOTHING)


def document(about: About, operations: Sequence[Operation], version: str, server: str) -> dict[str, Any]:
    """The OpenAPI document of an application that is reached at the address `server`."""
    app = FastAPI(title=about.title, version=version, description=about.description)
    for operation in operations:
        app.add_api_route(operation.path, **_options(about, operation))
    described = app.openapi()
    described["servers"] = [{"url": server}]
    described["components"] = {
        "schemas": _schemas(about, operations),
        "securitySchemes": {"key": dict(about.security)},
    }
    return described


def _options(about: About, operation: Operation) -> dict[str, Any]:
    """What FastAPI is told of an operation besides its path."""
    extra: dict[str, Any] = {"parameters": [*_path_parts(about, operation), *_query_parts(operation)]}
    if operation.takes:
        extra["requestBody"] = {"required": True, "content": _content("application/json", operation.takes)}
    if operation.needs_key:
        extra["security"] = [{"key": []}]
    return {
        "endpoint": _nothing,
        "methods": [operation.method],
        "summary": operation.summary,
        "description": getdoc(operation.handler),
        "tags": [operation.tag] if operation.tag else None,
        "operation_id": operation.handler.__name__,
        "status_code": min(operation.answers),
        "response_model": None,
        "response_class": Response,
        "responses": {**_answers(operation), **_refusals(about, operation)},
        "openapi_extra": extra,
    }


async def _nothing() -> Response:
    """Stands for a handler, whose arguments FastAPI would take for parameters."""
    return Response()


def _path_parts(about: About, operation: Operation) -> Iterable[dict[str, Any]]:
    for name in re.findall(r"\{(\w+)", operation.path):
        part = about.parts.get(name, _NOTHING)
        yield {"name": name, "in": "path", "required": True, "schema": {"type": "string"}, **part}


def _query_parts(operation: Operation) -> Iterable[dict[str, Any]]:
    if operation.query is None:
        return
    for name, schema in operation.query.model_json_schema()["properties"].items():
        description = schema.pop("description", "")
        yield {"name": name, "in": "query", "required": False, "schema": schema, "description": description}


def _answers(operation: Operation) -> dict[int | str, dict[str, Any]]:
    return {status: _answer(status, model) for status, model in operation.answers.items()}


def _answer(status: int, model: type[BaseModel] | str | None) -> dict[str, Any]:
    answer: dict[str, Any] = {"description": HTTPStatus(status).phrase}
    if isinstance(model, str):
        answer["content"] = {model: {"schema": {"type": "string"}}}
    elif model:
        answer["content"] = _content("application/json", model)
    if status == HTTPStatus.CREATED:
        answer["headers"] = {"Location": {"schema": {"type": "string"}}}
    return answer


def _refusals(about: About, operation: Operation) -> dict[int | str, dict[str, Any]]:
    statuses = {400, 413, 429, *([401] if operation.needs_key else []), *operation.refusals}
    content = _content(about.problem_type, about.problem)
    return {
        status: {"description": HTTPStatus(status).phrase, "content": content} for status in sorted(statuses)
    }


def _content(media_type: str, model: type[BaseModel]) -> dict[str, Any]:
    return {media_type: {"schema": {"$ref": _SCHEMA.format(model=model.__name__)}}}


def _schemas(about: About, operations: Sequence[Operation]) -> dict[str, Any]:
    models = {about.problem}
    for operation in operations:
        models |= {
            model for model in (operation.takes, *operation.answers.values()) if isinstance(model, type)
        }
    ordered = sorted(models, key=lambda model: model.__name__)
    _, schemas = models_json_schema([(model, "validation") for model in ordered], ref_template=_SCHEMA)
    found: dict[str, Any] = schemas["$defs"]
    return found

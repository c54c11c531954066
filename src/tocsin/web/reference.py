"""An API's OpenAPI document, and what is made of it: a page for people, a Postman collection."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from itertools import groupby
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from tocsin.web.api import assemble, json_response
from tocsin.web.dialect import Dialect
from tocsin.web.openapi import About, Operation, document
from tocsin.web.pages import page
from tocsin.web.postman import collection
from tocsin.web.sample import resolve, sample, type_words
from tocsin.web.services import Services

_KEPT = {"Cache-Control": "public, max-age=300"}


def assemble_with_reference(
    dialect: Dialect,
    services: Services,
    about: About,
    operations: Sequence[Operation],
    *,
    root: str = "",
    published_at: str = "",
    more: Sequence[Route] = (),
) -> ASGIApp:
    """The application (api.assemble) of a dialect's operations, and of the pages that describe them.

    The pages are below `root`, which begins every path of an API that is not reached by the dialect's name.
    `published_at` is a further path of the document: the one where the vendor has it.
    """
    server = services.public_url if root else f"{services.public_url}/{dialect.name}"
    described = cache(lambda: document(about, operations, services.version, server))
    document_paths = [path for path in (f"{root}/openapi.json", published_at) if path]
    return assemble(dialect, services, operations, [*_pages(described, root, document_paths), *more])


def _pages(
    described: Callable[[], dict[str, Any]], root: str, document_paths: Iterable[str]
) -> Iterable[Route]:
    async def openapi(_: Request) -> Response:
        return json_response(described(), headers=_KEPT)

    async def docs(_: Request) -> Response:
        return page("reference.html", headers=_KEPT, api=described(), chapters=chapters(described()))

    async def postman(_: Request) -> Response:
        return json_response(collection(described()), headers=_KEPT)

    yield from (Route(path, openapi) for path in document_paths)
    yield Route(f"{root}/docs", docs)
    yield Route(f"{root}/postman.json", postman)


def chapters(described: Mapping[str, Any]) -> list[tuple[str, list[dict[str, Any]]]]:
    """The operations by their tag, as the page shows them."""
    entries = [
        _entry(described, path, method, operation)
        for path, methods in described["paths"].items()
        for method, operation in methods.items()
    ]
    return [(tag, [*group]) for tag, group in groupby(entries, key=lambda entry: str(entry["tag"]))]


def _entry(
    described: Mapping[str, Any], path: str, method: str, operation: Mapping[str, Any]
) -> dict[str, Any]:
    schemas = described["components"]["schemas"]
    body = _schema(operation.get("requestBody", {}))
    return {
        "id": operation["operationId"],
        "tag": operation.get("tags", [""])[0],
        "method": method.upper(),
        "path": path,
        "summary": operation["summary"],
        "description": operation.get("description", ""),
        "needs_key": "security" in operation,
        "fields": [*_parameters(operation, schemas), *(_fields(body, schemas) if body else ())],
        "sample": json.dumps(sample(body, schemas), indent=2) if body else "",
        "answers": _answers(operation, schemas),
    }


def _schema(holder: Mapping[str, Any]) -> Mapping[str, Any] | None:
    content: Mapping[str, Any] = holder.get("content", {})
    return next((each["schema"] for each in content.values()), None)


def _parameters(operation: Mapping[str, Any], schemas: Mapping[str, Any]) -> Iterable[dict[str, Any]]:
    for parameter in operation.get("parameters", ()):
        yield _field(parameter["name"], parameter["in"], parameter["schema"], schemas) | {
            "needed": parameter["required"],
            "text": parameter.get("description", ""),
        }


def _fields(body: Mapping[str, Any], schemas: Mapping[str, Any]) -> Iterable[dict[str, Any]]:
    schema = resolve(body, schemas)
    for name, field in schema.get("properties", {}).items():
        yield _field(name, "body", field, schemas) | {"needed": name in schema.get("required", ())}


def _field(name: str, place: str, schema: Mapping[str, Any], schemas: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "name": name,
        "place": place,
        "type": type_words(schema, schemas),
        "needed": False,
        "default": json.dumps(schema["default"]) if "default" in schema else "",
        "text": schema.get("description", ""),
    }


def _answers(operation: Mapping[str, Any], schemas: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [
        {"status": status, "text": answer["description"], "model": _model(answer, schemas)}
        for status, answer in operation["responses"].items()
    ]


def _model(answer: Mapping[str, Any], schemas: Mapping[str, Any]) -> str:
    schema = _schema(answer)
    if schema is None:
        return ""
    resolved = resolve(schema, schemas)
    names = ", ".join(resolved.get("properties", ()))
    return f"{{ {names} }}" if names else ""

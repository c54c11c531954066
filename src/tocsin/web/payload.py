"""Strict reading of JSON bodies: what a database or a person's screen could not hold is refused here."""

from __future__ import annotations

from typing import Any

import orjson

JSON_DEPTH = 32


class MalformedError(ValueError):
    """A body that is no JSON object of ours; the text says why, for people."""


def read_json(body: bytes) -> Any:
    """The value of a JSON body. Of a repeated key the last counts.

    Raises MalformedError for no JSON (RFC 8259: no NaN, no byte order mark, only UTF-8), for nesting deeper
    than 32 and for NUL characters in any string or key.
    """
    if not body.strip():
        raise MalformedError("The body is empty; JSON is expected.")
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise MalformedError(f"The body is not valid JSON: {error}.") from error
    _check(value)
    return value


def read_object(body: bytes) -> dict[str, Any]:
    """As `read_json`, but only for a JSON object."""
    value = read_json(body)
    if not isinstance(value, dict):
        raise MalformedError("The body must be a JSON object.")
    return value


def field_names(body: bytes) -> list[str]:
    """The fields of a JSON object; none where the body is something else."""
    try:
        return [*read_object(body)]
    except MalformedError:
        return []


def _check(value: Any) -> None:
    level, depth = [value], 0
    while level:
        if depth >= JSON_DEPTH and any(isinstance(item, (dict, list)) for item in level):
            raise MalformedError(f"The JSON is nested deeper than {JSON_DEPTH} levels.")
        if any(isinstance(item, str) and "\x00" in item for item in level):
            raise MalformedError("The JSON contains a NUL character.")
        level = [inner for item in level for inner in _inside(item)]
        depth += 1


def _inside(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return [*value.keys(), *value.values()]
    return value if isinstance(value, list) else []

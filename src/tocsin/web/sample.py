"""A body that fits a schema, for the pages that show how to ask."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_EMPTY: Mapping[str, Any] = {
    "array": [],
    "boolean": True,
    "integer": 0,
    "null": None,
    "object": {},
    "string": "",
}


def resolve(schema: Mapping[str, Any], schemas: Mapping[str, Any]) -> Mapping[str, Any]:
    """The schema itself, or the one that it refers to."""
    reference = schema.get("$ref")
    found: Mapping[str, Any] = schemas[reference.rpartition("/")[2]] if reference else schema
    return found


def sample(schema: Mapping[str, Any], schemas: Mapping[str, Any]) -> Any:
    """An example: the first stated one, else the default, else something of the right type."""
    schema = resolve(schema, schemas)
    if schema.get("examples"):
        return schema["examples"][0]
    if schema.get("anyOf"):
        return sample(schema["anyOf"][0], schemas)
    if schema.get("type") == "object":
        needed = schema.get("required", ())
        fields: Mapping[str, Any] = schema.get("properties", {})
        return {name: sample(field, schemas) for name, field in fields.items() if name in needed}
    if schema.get("type") == "array":
        return [sample(schema["items"], schemas)] if schema.get("minItems") else []
    return schema.get("default", schema.get("enum", [_EMPTY[schema.get("type", "object")]])[0])


def type_words(schema: Mapping[str, Any], schemas: Mapping[str, Any]) -> str:
    """The type of a field for people: "integer", "text or null", "list of text"."""
    schema = resolve(schema, schemas)
    if schema.get("anyOf"):
        return " or ".join(type_words(each, schemas) for each in schema["anyOf"])
    if schema.get("enum"):
        return " | ".join(str(each) for each in schema["enum"])
    if schema.get("type") == "array":
        return f"list of {type_words(schema['items'], schemas)}"
    kind = str(schema.get("type", "any"))
    return {"string": "text", "boolean": "true or false"}.get(kind, kind)

"""A Postman collection (format 2.1) made from an OpenAPI document."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from tocsin.web.sample import sample

_FORMAT = "https://schema.getpostman.com/json/collection/v2.1.0/collection.json"


def collection(described: Mapping[str, Any]) -> dict[str, Any]:
    """Every operation as a request, with variables for the base address and the key."""
    return {
        "info": {
            "name": described["info"]["title"],
            "description": described["info"].get("description", ""),
            "schema": _FORMAT,
        },
        "auth": _auth(described["components"]["securitySchemes"]["key"]),
        "variable": [
            {"key": "baseUrl", "value": described["servers"][0]["url"]},
            {"key": "apiKey", "value": ""},
        ],
        "item": [
            _request(described, path, method, operation)
            for path, methods in described["paths"].items()
            for method, operation in methods.items()
        ],
    }


def _auth(scheme: Mapping[str, Any]) -> dict[str, Any]:
    if scheme["type"] == "http":
        return {"type": "bearer", "bearer": [{"key": "token", "value": "{{apiKey}}", "type": "string"}]}
    fields = {"key": scheme["name"], "value": "{{apiKey}}", "in": "header"}
    return {
        "type": "apikey",
        "apikey": [{"key": key, "value": text, "type": "string"} for key, text in fields.items()],
    }


def _request(
    described: Mapping[str, Any], path: str, method: str, operation: Mapping[str, Any]
) -> dict[str, Any]:
    request: dict[str, Any] = {
        "method": method.upper(),
        "header": [],
        "url": _url(path, operation.get("parameters", [])),
        "description": operation.get("description", ""),
    }
    if "security" not in operation:
        request["auth"] = {"type": "noauth"}
    if "requestBody" in operation:
        schema = operation["requestBody"]["content"]["application/json"]["schema"]
        body = sample(schema, described["components"]["schemas"])
        request["header"] = [{"key": "Content-Type", "value": "application/json"}]
        request["body"] = {
            "mode": "raw",
            "raw": json.dumps(body, indent=2),
            "options": {"raw": {"language": "json"}},
        }
    return {"name": operation["summary"], "request": request, "response": []}


def _url(path: str, parameters: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    # Postman writes the parts of a path as :name.
    path = re.sub(r"\{(\w+)\}", r":\1", path)
    query = [p for p in parameters if p["in"] == "query"]
    return {
        "raw": "{{baseUrl}}" + path,
        "host": ["{{baseUrl}}"],
        "path": path.strip("/").split("/"),
        "variable": [{"key": p["name"], "value": ""} for p in parameters if p["in"] == "path"],
        "query": [
            {"key": p["name"], "value": "", "disabled": True, "description": p.get("description", "")}
            for p in query
        ],
    }

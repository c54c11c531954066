"""Pages for people: templates, always escaped."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape
from starlette.responses import HTMLResponse

_TEMPLATES = Environment(
    loader=PackageLoader("tocsin.web.dashboard", "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_CODE = re.compile("`([^`]+)`")


def with_code(text: str) -> Markup:
    """Plain text in which backticks stand around code."""
    return Markup(_CODE.sub(r"<code>\1</code>", str(escape(text))))  # noqa: S704 - it is escaped first


_TEMPLATES.filters["with_code"] = with_code


def page(
    name: str, status: int = 200, headers: Mapping[str, str] | None = None, **values: Any
) -> HTMLResponse:
    """The template `name`, filled with `values`."""
    return HTMLResponse(_TEMPLATES.get_template(name).render(values), status, headers)

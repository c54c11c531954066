"""What went wrong with a request, before a dialect words it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from http import HTTPStatus
from types import MappingProxyType
from typing import NamedTuple

from tocsin.domain.errors import Code, TocsinError
from tocsin.web.rate import Window

NO_FIELDS: Mapping[str, str] = MappingProxyType({})

# The words of HTTP for our codes; a dialect that differs says so in its own table.
STATUSES: Mapping[Code, int] = MappingProxyType(
    {
        Code.INVALID: 422,
        Code.UNAUTHENTICATED: 401,
        Code.PAYMENT_REQUIRED: 402,
        Code.FORBIDDEN: 403,
        Code.NOT_FOUND: 404,
        Code.GONE: 410,
        Code.CONFLICT: 409,
        Code.LIMIT_REACHED: 403,
        Code.RATE_LIMITED: 429,
        Code.TOO_LARGE: 413,
        Code.UNAVAILABLE: 503,
        Code.UPSTREAM: 502,
    }
)


class Trouble(NamedTuple):
    """An HTTP status and a text for people. `fields`: what is wrong with each, by its name on the wire;
    `exceeded`: the limit that was broken, for a 429."""

    status: int
    message: str
    fields: Mapping[str, str] = NO_FIELDS
    retry_after_seconds: float | None = None
    exceeded: Window | None = None

    @property
    def title(self) -> str:
        """The status in HTTP's own words."""
        return HTTPStatus(self.status).phrase

    def headers(self) -> dict[str, str]:
        """The headers that belong to it in every dialect."""
        if self.retry_after_seconds is None:
            return {}
        return {"Retry-After": str(max(1, math.ceil(self.retry_after_seconds)))}


# What anybody learns of our own mistakes.
BROKEN = Trouble(500, "Something broke on our side. The server's log says what.")


def too_often(window: Window) -> Trouble:
    """The refusal of a request that broke this limit."""
    text = f"Rate limit exceeded. Max {window.limit} requests per {window.per}."
    return Trouble(429, text, retry_after_seconds=window.retry_after_seconds, exceeded=window)


class TroubleError(Exception):
    """Raised where a request is refused by the web itself, not by a use case."""

    def __init__(self, trouble: Trouble) -> None:
        super().__init__(trouble.message)
        self.trouble = trouble


def trouble_of(error: TocsinError, statuses: Mapping[Code, int], names: Mapping[str, str]) -> Trouble:
    """A use case's refusal, with the dialect's status and its `names` for the fields of a draft."""
    fields = {names.get(name, name): text for name, text in error.fields.items()}
    return Trouble(statuses[error.code], error.message, fields, error.retry_after_seconds)

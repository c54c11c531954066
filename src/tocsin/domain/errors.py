"""The one error that every part raises; each face (a dialect, the dashboard, the CLI) has its own table from
code to answer (style.md, rule 8)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Code(StrEnum):
    """What kind of refusal it is: the word that faces translate, and that logs hold."""

    INVALID = "invalid"
    UNAUTHENTICATED = "unauthenticated"
    PAYMENT_REQUIRED = "payment_required"
    FORBIDDEN = "forbidden"
    NOT_FOUND = "not_found"
    GONE = "gone"
    CONFLICT = "conflict"
    LIMIT_REACHED = "limit_reached"
    RATE_LIMITED = "rate_limited"
    TOO_LARGE = "too_large"
    UNAVAILABLE = "unavailable"
    UPSTREAM = "upstream"


@dataclass(eq=False)
class TocsinError(Exception):
    """A refusal that a caller can be told about.

    `message` is one or more plain sentences without secrets. `fields` maps the name of each refused field to
    its sentence, all fields at once. `retry_after_seconds` says when another attempt can succeed. Equal only
    to itself, as every exception.
    """

    code: Code
    message: str
    fields: Mapping[str, str] = field(default_factory=dict)
    retry_after_seconds: int | None = None

    def __post_init__(self) -> None:
        # `args` is what pickle and copy rebuild an exception from; keyword arguments alone would be lost.
        super().__init__(self.code, self.message, self.fields, self.retry_after_seconds)

    def __str__(self) -> str:
        return self.message


def invalid(field: str, message: str) -> TocsinError:
    """The error for one refused field; the caller raises it."""
    return TocsinError(Code.INVALID, message, {field: message})

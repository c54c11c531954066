"""What the bodies of the native API share. The models document; the use cases check what is sent."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from tocsin.domain.errors import Code, TocsinError
from tocsin.web.api import Call, json_response

Time = Annotated[str, Field(json_schema_extra={"format": "date-time"}, examples=["2026-03-28T02:00:12.000Z"])]
Seconds = Annotated[int, Field(ge=1, le=31_622_400)]
Uid = Annotated[str, Field(pattern="^[0-9a-f]{32}$", examples=["3f0a6c1be2a94e6f9d1c5b7a8e0f2d4c"])]
ScheduleKind = Literal["interval", "cron", "simple"]
Cursor = Annotated[str | None, Field(description="Send it as `cursor` to get the next page.")]
PingKind = Literal["start", "log", "progress", "success", "fail"]


class Taken(BaseModel):
    """A body that is sent to us."""

    model_config = ConfigDict(extra="forbid")


class Given(BaseModel):
    """A body that we answer with."""

    model_config = ConfigDict(extra="forbid")


class Problem(Given):
    """An error (RFC 9457). `errors` names every refused field."""

    type: str
    title: str
    status: int
    detail: str
    errors: dict[str, str] = {}


class PageQuery(BaseModel):
    """Which part of a list."""

    limit: int = Field(default=50, ge=1, le=100)
    cursor: str = Field(default="", pattern="^[0-9]{0,18}$", description="From `next_cursor`.")


async def taken(call: Call, model: type[BaseModel]) -> dict[str, Any]:
    """The fields of the body. Raises TocsinError(INVALID) for one that the model does not have."""
    fields = await call.fields()
    refuse_unknown(fields, model)
    return fields


def refuse_unknown(fields: dict[str, Any], model: type[BaseModel]) -> None:
    """Raise TocsinError(INVALID) for fields that the model does not have: a misspelt one is a mistake."""
    unknown = {name: "There is no such field." for name in fields if name not in model.model_fields}
    if unknown:
        raise TocsinError(Code.INVALID, "There is a field that does not exist.", unknown)


def listed(
    noun: str, items: list[dict[str, Any]], total: int | None = None, next_cursor: int | None = None
) -> Response:
    """A page of a list. A cursor is text on the wire: it is opaque."""
    cursor = None if next_cursor is None else str(next_cursor)
    return json_response({noun: items, "total": total, "next_cursor": cursor})

"""Channels, and the test that a channel gets."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field
from starlette.responses import Response

from tocsin.domain.errors import invalid
from tocsin.domain.record import ChannelView
from tocsin.web.api import Call, json_response
from tocsin.web.dialects.tocsin.shapes import Cursor, Given, Taken, Time, Uid, listed, taken
from tocsin.web.openapi import Operation
from tocsin.web.times import iso, iso_or_none


class NewChannel(Taken):
    """A channel to make. What `config` holds depends on the kind: see docs/channels."""

    kind: str = Field(examples=["webhook"])
    label: str = Field(min_length=1, max_length=100)
    config: dict[str, Any] = Field(examples=[{"url": "https://example.com/hook"}])


class ChannelChanges(Taken):
    """What may be changed. Fields of `config` that are missing or read "***" stay; null removes one."""

    label: str = Field(default="", min_length=1, max_length=100)
    enabled: bool = True
    config: dict[str, Any] = Field(default_factory=dict)


class Channel(Given):
    """A place to tell. Secrets in `config` read "***"."""

    id: Uid
    kind: str
    label: str
    config: dict[str, Any]
    enabled: bool
    disabled_reason: str | None
    verified_at: Time | None
    created_at: Time
    updated_at: Time


class Channels(Given):
    """All channels, oldest first, on one page."""

    channels: list[Channel]
    total: int | None
    next_cursor: Cursor


class TestReceipt(Given):
    """What became of a test; `code` is the receiver's."""

    outcome: Literal["delivered", "retry", "refused"]
    code: int | None
    detail: str


async def list_channels(call: Call) -> Response:
    """All channels of the project."""
    channels = await call.manage.channels(call.actor)
    return listed("channels", [_channel(each) for each in channels], len(channels))


async def create_channel(call: Call) -> Response:
    """A new channel. It takes part once it is verified: by a link (mail), or by a test that arrived."""
    fields = {"kind": None, "label": None, "config": None} | await taken(call, NewChannel)
    _check_config(fields)
    view = await call.manage.create_channel(call.actor, fields["kind"], fields["label"], fields["config"])
    address = f"{call.services.public_url}/api/tocsin/v1/channels/{view.uid}"
    return json_response(_channel(view), 201, {"Location": address})


async def get_channel(call: Call) -> Response:
    """One channel."""
    return json_response(_channel(await call.manage.channel(call.actor, call.part("channel_id"))))


async def update_channel(call: Call) -> Response:
    """Change what is sent."""
    changes = await taken(call, ChannelChanges)
    _check_config(changes)
    return json_response(
        _channel(await call.manage.update_channel(call.actor, call.part("channel_id"), changes))
    )


async def delete_channel(call: Call) -> Response:
    """Gone; what was not yet sent on it is withdrawn."""
    await call.manage.delete_channel(call.actor, call.part("channel_id"))
    return Response(status_code=204)


async def test_channel(call: Call) -> Response:
    """Send a test now, and say what the receiver answered."""
    receipt = await call.manage.test_channel(call.actor, call.part("channel_id"))
    return json_response({"outcome": receipt.outcome, "code": receipt.code, "detail": receipt.detail})


def _check_config(fields: dict[str, Any]) -> None:
    if not isinstance(fields.get("config", {}), dict):
        raise invalid("config", "This must be an object.")


def _channel(view: ChannelView) -> dict[str, Any]:
    return {
        "id": view.uid,
        "kind": view.kind,
        "label": view.label,
        "config": dict(view.config),
        "enabled": bool(view.enabled),
        "disabled_reason": view.disabled_reason,
        "verified_at": iso_or_none(view.verified_at),
        "created_at": iso(view.created_at),
        "updated_at": iso(view.updated_at),
    }


_ONE = "/channels/{channel_id}"
OPERATIONS = (
    Operation("GET", "/channels", list_channels, "List channels", {200: Channels}),
    Operation(
        "POST",
        "/channels",
        create_channel,
        "Create a channel",
        {201: Channel},
        takes=NewChannel,
        refusals=(403, 422),
    ),
    Operation("GET", _ONE, get_channel, "Get a channel", {200: Channel}, refusals=(404,)),
    Operation(
        "PATCH",
        _ONE,
        update_channel,
        "Change a channel",
        {200: Channel},
        takes=ChannelChanges,
        refusals=(403, 404, 422),
    ),
    Operation("DELETE", _ONE, delete_channel, "Delete a channel", {204: None}, refusals=(403, 404)),
    Operation(
        "POST", f"{_ONE}/test", test_channel, "Send a test", {200: TestReceipt}, refusals=(403, 404, 422)
    ),
)

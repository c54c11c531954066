"""Channels: the body is keyed by kind, and each is created unverified."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Literal

from pydantic import Field
from starlette.responses import Response

from tocsin.domain.channel import Outcome, Receipt
from tocsin.domain.errors import Code, TocsinError
from tocsin.domain.record import MASK, ChannelView
from tocsin.engine.manage.form import Form
from tocsin.web.api import Call, json_response
from tocsin.web.dialects.cronheart.idempotency import idempotent
from tocsin.web.dialects.cronheart.shapes import NAME, ROOT, Given, Id, Taken, Time, taken, time
from tocsin.web.openapi import Operation
from tocsin.web.query import read_id

CHANNELS, CHANNEL = "/channels", "/channels/{id}"
LONGEST_URL = 500
LABEL = (2, 80)
SECRET = (16, 200)
_CHAT_ID = re.compile(r"-?[0-9]+")
# Our names for fields of a config, and Cronheart's.
_WIRE_NAMES: Mapping[str, str] = MappingProxyType({"url": "webhook_url", "to": "address"})

Read = Callable[[Form, Mapping[str, Any]], dict[str, Any]]


class NewChannel(Taken):
    """A channel to make. Which other fields it needs depends on `kind`."""

    kind: Literal["telegram", "slack", "discord", "webhook", "email"]
    label: str = Field(min_length=LABEL[0], max_length=LABEL[1], examples=["ops"])
    chat_id: str | None = Field(
        default=None, pattern="^-?[0-9]+$", description="Of telegram.", examples=["-100123456789"]
    )
    webhook_url: str | None = Field(
        default=None,
        max_length=LONGEST_URL,
        description="Of slack, discord and webhook: a public https address.",
        examples=["https://hooks.slack.com/services/T000/B000/XXXX"],
    )
    secret: str | None = Field(
        default=None,
        min_length=SECRET[0],
        max_length=SECRET[1],
        description="Of webhook: signs its requests.",
    )
    address: str | None = Field(default=None, description="Of email.", examples=["ops@example.com"])


class ChannelChanges(Taken):
    """What may be changed."""

    label: str = Field(min_length=LABEL[0], max_length=LABEL[1], examples=["ops"])


class Channel(Given):
    """A place to tell. Secrets in `config` read "***"."""

    id: Id
    kind: str
    label: str
    verified: bool
    config: dict[str, Any]
    created_at: Time


class ChannelList(Given):
    """All channels, newest first."""

    data: list[Channel]
    total: int


class ChannelWithSecret(Channel):
    """A channel with its new secret, which is not shown again."""

    secret: str


class TestResult(Given):
    """What became of a test."""

    delivered: Literal[True]
    channel: Channel
    newly_verified: bool


async def list_channels(call: Call) -> Response:
    """All channels of the project, their secrets masked."""
    views = await call.manage.channels(call.actor)
    return json_response({"data": [_item(view) for view in reversed(views)], "total": len(views)})


@idempotent
async def create_channel(call: Call) -> Response:
    """A new channel, unverified: it is told nothing yet. A mail address is sent a link; the others are
    verified by the first test that arrives. With an Idempotency-Key the same request makes one channel."""
    await call.manage.check_owner(call.actor)
    fields = await taken(call)
    form = Form()
    label = form.text("label", fields.get("label"), *LABEL)
    kind = form.choice("kind", fields.get("kind"), tuple(_KINDS))
    config = {} if "kind" in form.problems else _config(form, kind, fields)
    view = await _created(call, kind, label, config, form.problems)
    address = f"{call.services.public_url}/{NAME}{ROOT}{CHANNELS}/{view.id}"
    return json_response(_item(view), 201, {"Location": address})


async def get_channel(call: Call) -> Response:
    """One channel."""
    return json_response(_item(await call.manage.channel(call.actor, _id(call))))


async def update_channel(call: Call) -> Response:
    """Rename a channel; nothing else of it can be changed."""
    fields = await taken(call)
    form = Form()
    label = form.text("label", fields.pop("label", None), *LABEL)
    for name in fields:
        form.refuse(name, "This cannot be changed.")
    form.finish()
    return json_response(_item(await call.manage.update_channel(call.actor, _id(call), {"label": label})))


async def delete_channel(call: Call) -> Response:
    """Gone; what was not yet sent on it is withdrawn."""
    await call.manage.delete_channel(call.actor, _id(call))
    return Response(status_code=204)


async def rotate_channel_secret(call: Call) -> Response:
    """A new secret for a webhook, shown in this answer only."""
    view, secret = await call.manage.rotate_secret(call.actor, _id(call))
    return json_response({**_item(view), "secret": secret})


async def test_channel(call: Call) -> Response:
    """Send a test now. The first that arrives verifies a channel, but for a mail address, whose owner has to
    follow the link."""
    before = await call.manage.channel(call.actor, _id(call))
    try:
        receipt = await call.manage.test_channel(call.actor, before.id)
    except TocsinError as error:
        if error.code is not Code.CONFLICT:
            raise
        raise TocsinError(Code.INVALID, error.message) from error
    if receipt.outcome is not Outcome.DELIVERED:
        raise _undelivered(receipt)
    after = await call.manage.channel(call.actor, before.id)
    is_new = _is_told(after) and not _is_told(before)
    return json_response({"delivered": True, "channel": _item(after), "newly_verified": is_new})


async def _created(
    call: Call, kind: str, label: str, config: Mapping[str, Any], refused: Mapping[str, str]
) -> ChannelView:
    try:
        return await call.manage.create_channel(
            call.actor, kind, label, config, verified=False, by_server=True, refused=refused
        )
    except TocsinError as error:
        fields = {_WIRE_NAMES.get(name, name): text for name, text in error.fields.items()}
        raise TocsinError(error.code, error.message, fields) from error


def _config(form: Form, kind: str, fields: Mapping[str, Any]) -> dict[str, Any]:
    """The config of a new channel, where Cronheart's bounds are narrower than ours; faults by our names."""
    config = _KINDS[kind](form, fields)
    if kind != "webhook" and fields.get("secret") is not None:
        form.refuse("secret", "Only a webhook has a secret.")
    return config


def _chat(form: Form, fields: Mapping[str, Any]) -> dict[str, Any]:
    chat_id = fields.get("chat_id")
    if not isinstance(chat_id, str) or not _CHAT_ID.fullmatch(chat_id):
        form.refuse("chat_id", "This must be the number of a chat, as text, such as -1001234567890.")
    return {"chat_id": chat_id}


def _chat_webhook(form: Form, fields: Mapping[str, Any]) -> dict[str, Any]:
    return {"webhook_url": _url(form, "webhook_url", fields)}


def _webhook(form: Form, fields: Mapping[str, Any]) -> dict[str, Any]:
    config = {"url": _url(form, "url", fields)}
    if fields.get("secret") is not None:
        form.text("secret", fields["secret"], *SECRET)
        config["secret"] = fields["secret"]
    return config


def _mailbox(form: Form, fields: Mapping[str, Any]) -> dict[str, Any]:
    return {"to": [form.address("to", fields.get("address"))]}


def _url(form: Form, name: str, fields: Mapping[str, Any]) -> str:
    return form.text(name, fields.get("webhook_url"), 1, LONGEST_URL)


_KINDS: Mapping[str, Read] = MappingProxyType(
    {
        "telegram": _chat,
        "slack": _chat_webhook,
        "discord": _chat_webhook,
        "webhook": _webhook,
        "email": _mailbox,
    }
)


def _undelivered(receipt: Receipt) -> TocsinError:
    # Without any answer, for good: this server did not even send it.
    if receipt.outcome is Outcome.REFUSED and receipt.code is None:
        return TocsinError(Code.INVALID, f"The channel cannot be tested: {receipt.detail}.")
    return TocsinError(Code.UPSTREAM, f"The destination did not take the test: {receipt.detail}.")


def _id(call: Call) -> int:
    channel_id = read_id(call.part("id"))
    if channel_id is None:
        raise TocsinError(Code.NOT_FOUND, "There is no such channel.")
    return channel_id


def _is_told(view: ChannelView) -> bool:
    """Whether alerts go there. Cronheart has no word for a channel that was switched off: it has to be
    verified again."""
    return view.enabled and view.verified_at is not None


def _item(view: ChannelView) -> dict[str, Any]:
    return {
        "id": str(view.id),
        "kind": view.kind,
        "label": view.label,
        "verified": _is_told(view),
        "config": _shown(view),
        "created_at": time(view.created_at),
    }


def _shown(view: ChannelView) -> dict[str, Any]:
    """The config in Cronheart's words; kinds that it does not have show what the native API shows."""
    config = view.config
    match view.kind:
        case "email":
            return {"address": "members" if "members" in config else ", ".join(config["to"])}
        case "webhook":
            secret = {"secret": MASK} if "secret" in config else {}
            return {"webhook_url": MASK, **secret}
        case _:
            return dict(config)


_READ, _WRITTEN = (402, 404), (402, 403, 404)
_WITH_FIELDS = (*_WRITTEN, 422)
OPERATIONS = (
    Operation("GET", CHANNELS, list_channels, "List channels", {200: ChannelList}, refusals=(402,)),
    Operation(
        "POST",
        CHANNELS,
        create_channel,
        "Create a channel",
        {201: Channel},
        takes=NewChannel,
        refusals=(402, 403, 409, 422),
    ),
    Operation("GET", CHANNEL, get_channel, "Get a channel", {200: Channel}, refusals=_READ),
    Operation(
        "PATCH",
        CHANNEL,
        update_channel,
        "Rename a channel",
        {200: Channel},
        takes=ChannelChanges,
        refusals=_WITH_FIELDS,
    ),
    Operation("DELETE", CHANNEL, delete_channel, "Delete a channel", {204: None}, refusals=_WRITTEN),
    Operation(
        "POST",
        f"{CHANNEL}/rotate-secret",
        rotate_channel_secret,
        "Give a webhook a new secret",
        {200: ChannelWithSecret},
        refusals=_WITH_FIELDS,
    ),
    Operation(
        "POST",
        f"{CHANNEL}/test",
        test_channel,
        "Send a test",
        {200: TestResult},
        refusals=(*_WITH_FIELDS, 502),
    ),
)

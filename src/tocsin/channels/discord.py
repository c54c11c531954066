"""Discord, through a channel's webhook: https://discord.com/developers/docs/resources/webhook."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from tocsin.channels import Tools, check_chat_webhook, post, read_body, receipt_of
from tocsin.domain.alert import Facts
from tocsin.domain.channel import Receipt, Sender
from tocsin.engine.note import SIGNS, Note, Tone, compose, fit, keep_quiet
from tocsin.outbound import Outbound, Reply

_DESCRIPTION_LONGEST = 3000  # Discord takes 4,096, and 6,000 of one message in all
_COLOURS = {Tone.BAD: 0xD64545, Tone.GOOD: 0x2EB67D, Tone.NEUTRAL: 0x8D99AE}
_MARKUP = re.compile(r"([\\*_~`|>#\[\]()<])")
# https://discord.com/developers/docs/topics/opcodes-and-status-codes#json
_ERRORS = {10015: "unknown webhook", 50027: "invalid webhook token", 50035: "invalid form body"}


class Discord:
    """Config: `webhook_url`."""

    name = "discord"
    for_people = True
    secrets = frozenset({"webhook_url"})
    lacks = ""

    def __init__(self, outbound: Outbound, public_url: str) -> None:
        self._outbound = outbound
        self._public_url = public_url

    def check(self, config: Mapping[str, Any]) -> dict[str, Any]:
        """The config. Raises TocsinError(INVALID)."""
        return check_chat_webhook(config, self._outbound)

    async def send(self, config: Mapping[str, Any], alerts: Sequence[Facts]) -> Receipt:
        """One message for all alerts."""
        note = compose(alerts, self._public_url)
        content = orjson.dumps(message(note))
        reply = await post(self._outbound, config["webhook_url"], content, note.id)
        return reply if isinstance(reply, Receipt) else receipt_of(reply, _error(reply))


def build(tools: Tools) -> Sender:
    """The sender of this kind."""
    return Discord(tools.outbound, tools.public_url)


def message(note: Note) -> dict[str, Any]:
    """The body of the request. `content` is what notifications show; the embed holds the rest."""
    embed = {
        "title": "Open in Tocsin",
        "url": note.url,
        "color": _COLOURS[note.tone],
        "description": "\n".join(fit([escape(one) for one in note.sentences], _DESCRIPTION_LONGEST)),
        "fields": [
            {"name": label, "value": escape(value)[:1024], "inline": len(value) <= 30}
            for label, value in note.details
        ],
    }
    return {
        "content": f"{SIGNS[note.tone]} {escape(note.headline)}",
        "embeds": [embed],
        "allowed_mentions": {"parse": []},
    }


def escape(text: str) -> str:
    """Text that Discord shows as it is."""
    return _MARKUP.sub(r"\\\1", keep_quiet(text))


def _error(reply: Reply) -> str:
    """Discord's own error code. Its words are not kept: a stranger at that address could repeat it."""
    if reply.status < 400:
        return ""
    code = read_body(reply).get("code")
    return _ERRORS.get(code, f"Discord's error {code}") if isinstance(code, int) and code else ""

"""Slack, through an incoming webhook: https://api.slack.com/messaging/webhooks."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from tocsin.channels import Tools, check_chat_webhook, post, receipt_of
from tocsin.domain.alert import Facts
from tocsin.domain.channel import Receipt, Sender
from tocsin.engine.note import SIGNS, Note, Tone, compose, escape_for_slack, fit
from tocsin.outbound import Outbound

# Slack cuts an attachment's text at 8,000 characters, and shows "Show more" long before.
_TEXT_LONGEST = 3000
_COLOURS = {Tone.BAD: "#d64545", Tone.GOOD: "#2eb67d", Tone.NEUTRAL: "#8d99ae"}
_ERROR = re.compile(rb"[a-z_]{1,60}")


class Slack:
    """Config: `webhook_url`. Mattermost and Rocket.Chat take the same messages."""

    name = "slack"
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
        if isinstance(reply, Receipt):
            return reply
        # Slack's errors are one word, such as no_service; anything else is not from Slack.
        error = reply.body_prefix if reply.status >= 400 and _ERROR.fullmatch(reply.body_prefix) else b""
        return receipt_of(reply, error.decode())


def build(tools: Tools) -> Sender:
    """The sender of this kind."""
    return Slack(tools.outbound, tools.public_url)


def message(note: Note) -> dict[str, Any]:
    """The body of the request. `text` is what notifications show; the attachment holds the rest."""
    attachment = {
        "color": _COLOURS[note.tone],
        "fallback": escape_for_slack(note.headline),
        "title": "Open in Tocsin",
        "title_link": note.url,
        "text": "\n".join(fit([escape_for_slack(one) for one in note.sentences], _TEXT_LONGEST)),
        "fields": [
            {"title": label, "value": escape_for_slack(value), "short": len(value) <= 30}
            for label, value in note.details
        ],
        "mrkdwn_in": [],
    }
    return {
        "text": f"{SIGNS[note.tone]} {escape_for_slack(note.headline)}",
        "mrkdwn": False,
        "unfurl_links": False,
        "attachments": [attachment],
    }

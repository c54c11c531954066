"""Telegram, through a bot: https://core.telegram.org/bots/api#sendmessage."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import orjson

from tocsin.channels import Form, Tools, judge, post, read_body, receipt_of
from tocsin.domain.alert import Facts
from tocsin.domain.channel import Outcome, Receipt, Sender
from tocsin.engine.note import SIGNS, Note, compose, fit, keep_quiet, one_line, shorten
from tocsin.outbound import Reply

_TEXT_LONGEST = 3000  # Telegram takes 4,096 characters in all, markup not counted
_TOKEN = re.compile(r"[0-9]{1,20}:[A-Za-z0-9_-]{1,150}")
_CHAT = re.compile(r"-?[0-9]{1,32}|@[A-Za-z0-9_]{1,64}")


class Telegram:
    """Config: `chat_id` (a number, or @name of a public channel) and `bot_token`, without which the server's
    own bot writes."""

    name = "telegram"
    for_people = True
    secrets = frozenset({"bot_token"})

    def __init__(self, tools: Tools) -> None:
        self._outbound = tools.outbound
        self._api_base = tools.telegram_api_base
        self._public_url = tools.public_url
        self._own_token = tools.telegram_bot_token
        self.lacks = "" if tools.telegram_bot_token else "TOCSIN_TELEGRAM_BOT_TOKEN"

    def check(self, config: Mapping[str, Any]) -> dict[str, Any]:
        """The config, its chat_id as text. Raises TocsinError(INVALID)."""
        chat_id = config.get("chat_id")
        if isinstance(chat_id, int) and not isinstance(chat_id, bool):
            config = {**config, "chat_id": str(chat_id)}
        form = Form(config)
        checked = {}
        if self._own_token is None or form.value("bot_token") is not None:
            checked["bot_token"] = form.text(
                "bot_token", 200, _TOKEN, "123456:ABC-DEF, as @BotFather gives it"
            )
        checked["chat_id"] = form.text("chat_id", 64, _CHAT, "123456789, -1001234567890 or @channel")
        form.finish()
        return checked

    async def send(self, config: Mapping[str, Any], alerts: Sequence[Facts]) -> Receipt:
        """One message for all alerts; to a group that moved, where it moved to."""
        token, chat_id = config.get("bot_token", self._own_token), config["chat_id"]
        if token is None:
            return Receipt(Outcome.REFUSED, detail=f"not sent: no bot is set ({self.lacks})")
        note = compose(alerts, self._public_url)
        reply = await self._call(token, chat_id, note)
        moved_to = _moved_to(reply)
        if moved_to is None:
            return _receipt(reply, token)
        receipt = _receipt(await self._call(token, moved_to, note), token)
        if receipt.outcome is not Outcome.DELIVERED:
            return receipt
        return replace(receipt, detail=f"delivered; the group's chat_id is now {moved_to}: enter it")

    async def _call(self, token: str, chat_id: str, note: Note) -> Reply | Receipt:
        url = f"{self._api_base}/bot{token}/sendMessage"
        content = orjson.dumps({"chat_id": chat_id, **message(note)})
        return await post(self._outbound, url, content, note.id)


def build(tools: Tools) -> Sender:
    """The sender of this kind."""
    return Telegram(tools)


def message(note: Note) -> dict[str, Any]:
    """The body of the request, but for the chat."""
    text = "\n".join(
        [
            f"{SIGNS[note.tone]} <b>{escape(note.headline)}</b>",
            "",
            *(escape(one) for one in fit(note.sentences, _TEXT_LONGEST)),
            "",
            *(f"<b>{escape(label)}</b>: {escape(shorten(value, 200))}" for label, value in note.details),
            f'<a href="{html.escape(note.url)}">Open in Tocsin</a>',
        ]
    )
    return {"text": text, "parse_mode": "HTML", "link_preview_options": {"is_disabled": True}}


def escape(text: str) -> str:
    """Text that Telegram shows as it is."""
    return html.escape(keep_quiet(text), quote=False)


def _receipt(reply: Reply | Receipt, token: str) -> Receipt:
    """Telegram says in the body what went wrong, and there alone when to come back."""
    if isinstance(reply, Receipt):
        return reply
    body = read_body(reply)
    says = shorten(one_line(str(body.get("description", "")).replace(token, "***")), 200)
    if body.get("ok") is not False:
        return receipt_of(reply)
    code = body.get("error_code")
    status = code if isinstance(code, int) and code >= 400 else max(reply.status, 400)
    wait = _parameters(body).get("retry_after", reply.headers.get("retry-after"))
    return judge(status, None if wait is None else str(wait), says)


def _moved_to(reply: Reply | Receipt) -> str | None:
    """The chat that a group became when it was made a supergroup."""
    if isinstance(reply, Receipt):
        return None
    chat_id = _parameters(read_body(reply)).get("migrate_to_chat_id")
    return str(chat_id) if isinstance(chat_id, int) else None


def _parameters(body: Mapping[str, Any]) -> Mapping[str, Any]:
    parameters = body.get("parameters")
    return parameters if isinstance(parameters, dict) else {}

"""The kinds of channels: each module of this package is one, and nothing lists them.

A module offers `build(tools) -> Sender`. What all of them need stands here: what they are made of, how a
config is read, and the one table from a receiver's answer to what becomes of the attempt.
"""

from __future__ import annotations

import importlib
import pkgutil
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from re import Pattern
from types import MappingProxyType
from typing import Any, cast
from urllib.parse import unquote, urlsplit

import orjson

from tocsin.domain.alert import Facts
from tocsin.domain.channel import Outcome, Receipt, Sender
from tocsin.domain.errors import Code, TocsinError
from tocsin.outbound import Failed, Forbidden, Outbound, Reply

# A webhook's payload, made of an alert and the address that it goes to (some vendors ask whose it is).
Format = Callable[[Facts, str], Mapping[str, Any]]

_DAY_SECONDS = 86_400.0
_WORTH_ANOTHER_TRY = {408, 409, 425, 429}
_GONE = {404, 410}
NO_HEADERS: Mapping[str, str] = MappingProxyType({})
CHAT_URL_LONGEST = 500


@dataclass(frozen=True, slots=True)
class SmtpConfig:
    """The mail server. `implicit_tls`: TLS from the start, else STARTTLS where the server offers it. `tls`
    trusts other authorities than the usual ones."""

    host: str
    port: int
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    implicit_tls: bool = False
    timeout_seconds: float = 30.0
    tls: ssl.SSLContext | None = None

    @classmethod
    def from_url(cls, url: str, timeout_seconds: float = 30.0) -> SmtpConfig:
        """`smtp[s]://user:password@host:port`, percent-encoded; ports 465, 587 (with a user) or 25 else."""
        parts = urlsplit(url)
        implicit_tls = parts.scheme == "smtps"
        usual_port = 465 if implicit_tls else 587 if parts.username else 25
        return cls(
            parts.hostname or "",
            parts.port or usual_port,
            unquote(parts.username) if parts.username else None,
            unquote(parts.password) if parts.password else None,
            implicit_tls,
            timeout_seconds,
        )


@dataclass(frozen=True, slots=True)
class Tools:
    """What a channel kind may use. Addresses end without a slash; `formats` are the webhook payloads that
    dialects bring along, by name; `telegram_bot_token` is the server's own bot."""

    outbound: Outbound
    smtp: SmtpConfig | None
    mail_from: str
    telegram_api_base: str
    public_url: str
    formats: Mapping[str, Format] = field(default_factory=dict)
    telegram_bot_token: str | None = field(default=None, repr=False)
    pagerduty_api_base: str = "https://events.pagerduty.com"


def load_senders(tools: Tools) -> dict[str, Sender]:
    """All kinds by name: one of each module in this package."""
    modules = (importlib.import_module(f"{__name__}.{one.name}") for one in pkgutil.iter_modules(__path__))
    senders = [cast("Sender", module.build(tools)) for module in modules]
    return {sender.name: sender for sender in senders}


async def post(
    outbound: Outbound,
    url: str,
    content: bytes,
    message_id: str,
    more_headers: Mapping[str, str] = NO_HEADERS,
) -> Reply | Receipt:
    """Send JSON; the answer, or the receipt of an attempt that got none. `message_id` is the same on every
    attempt, so that a receiver can tell that it has the message."""
    headers = {"content-type": "application/json", "idempotency-key": message_id, **more_headers}
    try:
        return await outbound.request("POST", url, content=content, headers=headers)
    except Forbidden as error:
        return Receipt(Outcome.REFUSED, detail=f"not sent: {error.reason}")
    except Failed as error:
        return Receipt(Outcome.RETRY, detail=error.reason)


def receipt_of(reply: Reply, says: str = "") -> Receipt:
    """What an answer means. `says`: what else the receiver said, free of secrets; its body as it is may
    repeat the address, and a chat service's address is one."""
    return judge(reply.status, reply.headers.get("retry-after"), says)


def read_body(reply: Reply) -> Mapping[str, Any]:
    """The JSON object that a receiver answered with; empty where it said something else."""
    try:
        body = orjson.loads(reply.body_prefix)
    except orjson.JSONDecodeError:
        return {}
    return body if isinstance(body, dict) else {}


def judge(status: int, retry_after: str | None = None, says: str = "") -> Receipt:
    """The table from a status code to what becomes of the attempt (rules.md, Flips and alerts)."""
    words = f"{_words(status)}: {says}" if says else _words(status)
    if 200 <= status < 300:
        return Receipt(Outcome.DELIVERED, status, words)
    if 300 <= status < 400:
        reason = f"{words}: redirects are not followed; enter the address that it leads to"
        return Receipt(Outcome.REFUSED, status, reason)
    if 400 <= status < 500 and status not in _WORTH_ANOTHER_TRY:
        return Receipt(Outcome.REFUSED, status, words, gone=status in _GONE)
    return Receipt(Outcome.RETRY, status, words, _seconds(retry_after))


def _words(status: int) -> str:
    known = {one.value: one.phrase for one in HTTPStatus}
    return f"{status} {known.get(status, '')}".rstrip()


def _seconds(retry_after: str | None) -> float | None:
    """A Retry-After header, seconds or a date, as seconds up to a day; None where it makes no sense."""
    if retry_after is None:
        return None
    try:
        seconds = float(retry_after)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(retry_after).timestamp() - time.time()
        except (ValueError, OverflowError):
            return None
    return min(max(seconds, 0.0), _DAY_SECONDS) if seconds == seconds else None  # noqa: PLR0124 - NaN


def check_chat_webhook(config: Mapping[str, Any], outbound: Outbound) -> dict[str, Any]:
    """The config of a chat service that is reached by a `webhook_url` alone. Raises TocsinError(INVALID)."""
    form = Form(config)
    checked = {"webhook_url": form.url("webhook_url", CHAT_URL_LONGEST, outbound)}
    form.finish()
    return checked


class Form:
    """Reads the fields of a config and collects what is wrong with them, so that all is told at once."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        self._config = config
        self._read: set[str] = set()
        self._faults: dict[str, str] = {}

    def value(self, name: str) -> Any:
        """A field as it is; None where it is not given."""
        self._read.add(name)
        return self._config.get(name)

    def text(self, name: str, longest: int, shape: Pattern[str] | None = None, example: str = "") -> str:
        """A required text without blanks around it."""
        return self.verbatim(name, longest, shape, example).strip()

    def verbatim(self, name: str, longest: int, shape: Pattern[str] | None = None, example: str = "") -> str:
        """A required text as it is; blanks around it do not count where its shape is looked at."""
        value = self.value(name)
        whole = value if isinstance(value, str) else ""
        text = whole.strip()
        if not text:
            self.fault(name, "is required" if value is None or value == "" else "must be a text")
        elif any("\ud800" <= one <= "\udfff" for one in text):
            self.fault(name, "must be a text")  # JSON can spell halves of characters; no encoding has them
        elif len(text) > longest:
            self.fault(name, f"must have at most {longest} characters")
        elif shape and not shape.fullmatch(text):
            self.fault(name, f"must look like {example}")
        return whole

    def url(self, name: str, longest: int, outbound: Outbound) -> str:
        """A required address that the guard lets pass as it is written."""
        text = self.text(name, longest)
        if name not in self._faults and (fault := outbound.fault(text)):
            self.fault(name, fault)
        return text

    def fault(self, name: str, sentence: str) -> None:
        """Note what is wrong with a field; the first fault of a field counts."""
        self._faults.setdefault(name, sentence)

    def finish(self) -> None:
        """Raise TocsinError(INVALID) for all faults, and for fields that nobody has read."""
        for name in self._config.keys() - self._read:
            self.fault(name, "is no field of this channel")
        if self._faults:
            message = "; ".join(f"{name}: {sentence}" for name, sentence in self._faults.items())
            raise TocsinError(Code.INVALID, message, self._faults)

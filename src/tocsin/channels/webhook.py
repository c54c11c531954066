"""Webhooks: one signed POST of JSON per alert, for programs."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

from tocsin.channels import NO_HEADERS, Form, Format, Tools, post, receipt_of
from tocsin.domain.alert import Facts, Subject
from tocsin.domain.channel import Outcome, Receipt, Sender
from tocsin.outbound import Outbound

URL_LONGEST = 2000
SECRET_LONGEST = 200

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Webhook:
    """Config: `url`, and perhaps `secret` (signs the body) and `format` ("house", or a dialect's)."""

    name = "webhook"
    for_people = False
    secrets = frozenset({"url", "secret"})
    lacks = ""

    def __init__(self, outbound: Outbound, formats: Mapping[str, Format]) -> None:
        self._outbound = outbound
        self._formats: Mapping[str, Format] = {"house": house, **formats}

    def check(self, config: Mapping[str, Any]) -> dict[str, Any]:
        """The config with its format named. Raises TocsinError(INVALID)."""
        form = Form(config)
        checked = {"url": form.url("url", URL_LONGEST, self._outbound)}
        # A signature that nobody can verify would be worse than none: an empty secret means none.
        if form.value("secret"):
            checked["secret"] = form.verbatim("secret", SECRET_LONGEST)
        checked["format"] = "house" if form.value("format") is None else form.text("format", 40)
        if checked["format"] not in self._formats:
            form.fault("format", f"must be one of {', '.join(sorted(self._formats))}")
        form.finish()
        return checked

    async def send(self, config: Mapping[str, Any], alerts: Sequence[Facts]) -> Receipt:
        """One attempt for one alert; webhooks get no digests."""
        [facts] = alerts
        payload = self._formats.get(config.get("format", "house"))
        if payload is None:
            return Receipt(Outcome.REFUSED, detail="not sent: this server does not know the format")
        content = orjson.dumps(payload(facts, config["url"]))
        secret = config.get("secret")
        headers = {"x-webhook-signature": sign(content, secret)} if secret else NO_HEADERS
        reply = await post(self._outbound, config["url"], content, facts.id, headers)
        return reply if isinstance(reply, Receipt) else receipt_of(reply)


def build(tools: Tools) -> Sender:
    """The sender of this kind."""
    return Webhook(tools.outbound, tools.formats)


def sign(content: bytes, secret: str) -> str:
    """The value of X-Webhook-Signature: `sha256=` and the HMAC-SHA256 of the raw body in hex."""
    return "sha256=" + hmac.new(secret.encode(), content, hashlib.sha256).hexdigest()


def house(facts: Facts, _url: str) -> dict[str, Any]:
    """Tocsin's own payload (design.md, Fixed interfaces)."""
    return {
        "id": facts.id,
        "event": facts.event,
        "at": _iso(facts.at),
        "reason": facts.reason,
        "monitor": _subject(facts.monitor),
        "previous_status": facts.previous_status,
        "last_ping_at": _iso(facts.last_ping_at),
        "deadline_at": _iso(facts.deadline_at),
        "message": " ".join((facts.message, *facts.lines)),
    }


def _subject(monitor: Subject | None) -> dict[str, Any] | None:
    if monitor is None:
        return None
    return {
        "id": monitor.id,
        "name": monitor.name,
        "slug": monitor.slug,
        "tags": list(monitor.tags),
        "status": monitor.status,
        "url": monitor.url,
    }


def _iso(at: int | None) -> str | None:
    """RFC 3339 in UTC with milliseconds, as everywhere in the native API."""
    if at is None:
        return None
    moment = _EPOCH + timedelta(microseconds=at)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")

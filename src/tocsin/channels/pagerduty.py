"""PagerDuty, through its Events API v2: https://developer.pagerduty.com/docs/send-alert-event."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, assert_never
from urllib.parse import urlsplit

import orjson

from tocsin.channels import Form, Tools, post, read_body, receipt_of
from tocsin.domain.alert import Event, Facts
from tocsin.domain.channel import Receipt, Sender
from tocsin.domain.monitor import Reason
from tocsin.engine.note import Note, compose, fit, one_line, shorten
from tocsin.outbound import Outbound, Reply

_ROUTING_KEY = re.compile(r"[A-Za-z0-9]{32}")
_SUMMARY_LONGEST = 1024
_TEXT_LONGEST = 3000  # PagerDuty takes 512 kB in all
_SOURCE_LONGEST = 255
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Pagerduty:
    """Config: `routing_key`, the integration key of a service or an event orchestration."""

    name = "pagerduty"
    # An incident is opened and resolved by the events of its own job, so a flood is no single message.
    for_people = False
    secrets = frozenset({"routing_key"})
    lacks = ""

    def __init__(self, outbound: Outbound, api_base: str, public_url: str) -> None:
        self._outbound = outbound
        self._url = f"{api_base}/v2/enqueue"
        self._public_url = public_url

    def check(self, config: Mapping[str, Any]) -> dict[str, Any]:
        """The config. Raises TocsinError(INVALID)."""
        form = Form(config)
        example = "the 32 letters and digits of an Events API v2 integration"
        checked = {"routing_key": form.text("routing_key", 32, _ROUTING_KEY, example)}
        form.finish()
        return checked

    async def send(self, config: Mapping[str, Any], alerts: Sequence[Facts]) -> Receipt:
        """One event for one alert; there are no digests."""
        [facts] = alerts
        key = config["routing_key"]
        content = orjson.dumps({"routing_key": key, **event(facts, self._public_url)})
        reply = await post(self._outbound, self._url, content, facts.id)
        return reply if isinstance(reply, Receipt) else receipt_of(reply, _errors(reply, key))


def build(tools: Tools) -> Sender:
    """The sender of this kind."""
    return Pagerduty(tools.outbound, tools.pagerduty_api_base, tools.public_url)


def event(facts: Facts, public_url: str) -> dict[str, Any]:
    """The body of the request, but for the routing key."""
    if facts.event is Event.UP:
        return {"event_action": "resolve", "dedup_key": dedup_key(facts)}
    note = compose([facts], public_url)
    return {
        "event_action": "trigger",
        "dedup_key": dedup_key(facts),
        "client": "Tocsin",
        "client_url": note.url,
        "links": [{"href": note.url, "text": "Open in Tocsin"}],
        "payload": _payload(facts, note, public_url),
    }


def dedup_key(facts: Facts) -> str:
    """What all events of one job share, so that its up resolves what its down has opened. What is about no
    job is an incident of its own."""
    return f"tocsin/{facts.monitor.id if facts.monitor else facts.id}"


def _payload(facts: Facts, note: Note, public_url: str) -> dict[str, Any]:
    """The event in PagerDuty's common format (PD-CEF). Its source is the job, which it calls the affected
    system; for what is about no job, this server."""
    job = facts.monitor
    source = one_line(job.name) if job else urlsplit(public_url).hostname or ""
    payload = {
        "summary": shorten(note.headline, _SUMMARY_LONGEST),
        "source": shorten(source, _SOURCE_LONGEST) or "Tocsin",
        "severity": _severity(facts),
        "timestamp": (_EPOCH + timedelta(microseconds=facts.at)).isoformat(timespec="milliseconds"),
        "class": facts.reason or facts.event.value,
        "custom_details": {
            "What happened": "\n".join(fit(note.sentences, _TEXT_LONGEST)),
            **dict(note.details),
        },
    }
    return payload | {"component": job.slug} if job and job.slug else payload


def _severity(facts: Facts) -> str:
    match facts.event:
        case Event.DOWN | Event.REMINDER | Event.UP:
            # The job may have run, and its ping may be lost; still, somebody has to look.
            return "error" if facts.reason == Reason.UNCONFIRMED else "critical"
        case Event.AWAY | Event.CHANNEL_DISABLED:
            return "warning"
        case Event.TEST:
            return "info"
        case _:
            assert_never(facts.event)


def _errors(reply: Reply, key: str) -> str:
    """What PagerDuty finds wrong with an event: {"status", "message", "errors": [text, …]}."""
    if reply.status < 400:
        return ""
    errors = read_body(reply).get("errors")
    if not isinstance(errors, list):
        return ""
    says = "; ".join(one for one in errors if isinstance(one, str))
    return shorten(one_line(says.replace(key, "***")), 200)

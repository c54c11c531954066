"""The webhook that CronPing publishes: four keys, and one more where a chat service would refuse them."""

from __future__ import annotations

from typing import Any, assert_never
from urllib.parse import urlsplit

from tocsin.domain.alert import Event, Facts
from tocsin.domain.monitor import Reason
from tocsin.engine.note import escape_for_slack, keep_quiet
from tocsin.web.times import plain, plain_or_none

_SLACK = "hooks.slack.com"
_DISCORD = ("discord.com", "discordapp.com")
_DISCORD_LONGEST = 2_000


def payload(facts: Facts, url: str) -> dict[str, Any]:
    """An alert as CronPing words it. Slack wants a `text`, Discord a `content`: both are told by `url`."""
    message = _message(facts)
    content: dict[str, Any] = {
        "monitor": facts.monitor.name if facts.monitor else None,
        "status": _status(facts),
        "last_ping": plain_or_none(facts.last_ping_at),
        "message": message,
    }
    return content | _for_chat(message, url)


def _for_chat(message: str, url: str) -> dict[str, str]:
    parts = urlsplit(url)
    host = (parts.hostname or "").rstrip(".")
    if host == _SLACK:
        return {"text": escape_for_slack(message)}
    is_discord = host in _DISCORD or host.endswith(tuple(f".{one}" for one in _DISCORD))
    if is_discord and parts.path.startswith("/api/webhooks/"):
        return {"content": keep_quiet(message)[:_DISCORD_LONGEST]}
    return {}


def _status(facts: Facts) -> str:
    match facts.event:
        case Event.DOWN | Event.REMINDER:
            return "down"
        case Event.UP:
            return "up"
        case Event.AWAY:
            return "away"
        case Event.CHANNEL_DISABLED:
            return "disabled"
        case Event.TEST:
            return "test"
        case _:
            assert_never(facts.event)


def _message(facts: Facts) -> str:
    if facts.monitor is None:
        return " ".join((facts.message, *facts.lines))
    last = "never" if facts.last_ping_at is None else plain(facts.last_ping_at)
    told = f"Monitor '{facts.monitor.name}' {_news(facts)}. Last ping: {last}"
    doubts = (facts.message,) if facts.reason == Reason.UNCONFIRMED and facts.event is Event.DOWN else ()
    more = (*doubts, *facts.lines)
    return f"{told}. {' '.join(more)}" if more else told


def _news(facts: Facts) -> str:
    match facts.event:
        case Event.UP:
            return "is back up"
        case Event.REMINDER:
            return "is still down"
        case Event.DOWN if facts.reason == Reason.FAILED:
            return "reported a failure"
        case Event.DOWN if facts.reason == Reason.OVERRAN:
            return "was started and did not finish in time"
        case Event.DOWN:
            return "missed its check-in"
        case _:
            return "is well: this is a test"

"""A message to people: one alert, or a digest, in plain words that a channel only lays out. Pure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import assert_never

from tocsin.domain.alert import Event, Facts, PingLine
from tocsin.domain.monitor import Reason
from tocsin.engine.wording import moment, span

_WHY = {
    Reason.MISSED: "no ping came in time",
    Reason.FAILED: "the job reported a failure",
    Reason.OVERRAN: "a run was started and did not end in time",
    Reason.UNCONFIRMED: "no ping came, and one may have been lost while Tocsin was away",
}
_MENTION = re.compile(r"(?<!\w)@(?=\w)")
_DIGEST_ORDER = (Event.DOWN, Event.REMINDER, Event.UP)


class Tone(StrEnum):
    """How bad it is, for colours and signs."""

    BAD = "bad"
    GOOD = "good"
    NEUTRAL = "neutral"


SIGNS = {Tone.BAD: "🔴", Tone.GOOD: "🟢", Tone.NEUTRAL: "🔔"}


@dataclass(frozen=True, slots=True)
class Note:
    """What to tell, unescaped, each text one line.

    `id` is the message's own, the same on every attempt. `sentences` say what happened; in a digest each is
    one alert. `details` are label and value, `pings` the last ones, newest first; a digest has neither.
    """

    id: str
    headline: str
    tone: Tone
    at: int
    url: str
    sentences: tuple[str, ...]
    details: tuple[tuple[str, str], ...] = ()
    pings: tuple[str, ...] = ()


def compose(alerts: Sequence[Facts], public_url: str) -> Note:
    """The message for one alert, or the digest of several (at least one)."""
    if len(alerts) > 1:
        return _digest(alerts, public_url)
    [facts] = alerts
    return Note(
        facts.id,
        _headline(facts),
        _tone(facts.event),
        facts.at,
        facts.monitor.url if facts.monitor else public_url,
        tuple(one_line(text) for text in (facts.message, *facts.lines)),
        tuple((label, one_line(value)) for label, value in _details(facts)),
        tuple(_ping(line) for line in facts.pings),
    )


def one_line(text: str) -> str:
    """A text without line breaks and control characters, which could forge headers and lines."""
    return "".join(one for one in " ".join(text.split()) if one.isprintable())


def shorten(text: str, longest: int) -> str:
    """At most `longest` characters, with a sign where something is missing."""
    return text if len(text) <= longest else text[: longest - 1] + "…"


def keep_quiet(text: str) -> str:
    """A text in which no chat service finds somebody to call: "@everyone" gets an invisible joint."""
    return _MENTION.sub("@\u2060", text)


def escape_for_slack(text: str) -> str:
    """A text that Slack shows as it is; `<!channel>` would call everybody."""
    return keep_quiet(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def fit(lines: Sequence[str], longest: int) -> list[str]:
    """As many whole lines as `longest` characters hold with their line breaks, and how many are missing."""
    reserve = len(f"and {len(lines)} more") + 1
    kept: list[str] = []
    left = longest - reserve
    for line in lines:
        left -= len(line) + 1
        if left < 0:
            break
        kept.append(line)
    if not kept and lines:
        kept = [shorten(lines[0], longest - reserve)]
    missing = len(lines) - len(kept)
    return [*kept, f"and {missing} more"] if missing else kept


def _digest(alerts: Sequence[Facts], public_url: str) -> Note:
    # Of a job that is told of twice the last word counts.
    last = {facts.monitor.id if facts.monitor else facts.id: facts.event for facts in alerts}
    counts = Counter(last.values())
    ordered = sorted(alerts, key=lambda facts: _rank(facts.event))
    return Note(
        alerts[0].id,
        ", ".join(_counted(counts)),
        Tone.BAD if counts[Event.DOWN] or counts[Event.REMINDER] else _tone(ordered[0].event),
        alerts[-1].at,
        public_url,
        tuple(one_line(" ".join((facts.message, *facts.lines))) for facts in ordered),
    )


def _rank(event: Event) -> int:
    return _DIGEST_ORDER.index(event) if event in _DIGEST_ORDER else len(_DIGEST_ORDER)


def _counted(counts: Counter[Event]) -> Iterator[str]:
    noun = " job"
    for event, state in zip(_DIGEST_ORDER, ("down", "still down", "up again"), strict=True):
        if count := counts[event]:
            yield f"{count}{noun}{'s' if noun and count > 1 else ''} {'is' if count == 1 else 'are'} {state}"
            noun = ""
    if rest := sum(counts.values()) - sum(counts[event] for event in _DIGEST_ORDER):
        yield "1 notice" if rest == 1 else f"{rest} notices"


def _headline(facts: Facts) -> str:
    name = shorten(one_line(facts.monitor.name), 200) if facts.monitor else "A job"
    match facts.event:
        case Event.DOWN:
            return f"{name} is down"
        case Event.UP:
            return f"{name} is up again"
        case Event.REMINDER:
            return f"{name} is still down"
        case Event.AWAY:
            return "Tocsin was away and may have missed pings"
        case Event.CHANNEL_DISABLED:
            return "A channel was switched off"
        case Event.TEST:
            return "Test message from Tocsin"
        case _:
            assert_never(facts.event)


def _tone(event: Event) -> Tone:
    match event:
        case Event.DOWN | Event.REMINDER:
            return Tone.BAD
        case Event.UP:
            return Tone.GOOD
        case Event.AWAY | Event.CHANNEL_DISABLED | Event.TEST:
            return Tone.NEUTRAL
        case _:
            assert_never(event)


def _details(facts: Facts) -> Iterator[tuple[str, str]]:
    if facts.monitor is None:
        return
    if facts.since_at is not None:
        label = "Was down since" if facts.event is Event.UP else "Down since"
        yield label, moment(facts.since_at, to_the_second=True)
    if facts.reason in _WHY:
        yield "Why", _WHY[Reason(facts.reason)]
    if facts.deadline_at is not None and facts.event is not Event.UP:
        yield "Expected by", moment(facts.deadline_at, to_the_second=True)
    heard_at = facts.last_ping_at
    yield "Last ping", "never" if heard_at is None else moment(heard_at, to_the_second=True)
    if facts.monitor.tags:
        yield "Tags", ", ".join(facts.monitor.tags)


def _ping(line: PingLine) -> str:
    code = "" if line.exit_code is None else f", exit code {line.exit_code}"
    return f"{moment(line.at, to_the_second=True)}  {line.kind}{code}{_took(line.duration_ms)}"


def _took(duration_ms: int | None) -> str:
    if duration_ms is None:
        return ""
    short = duration_ms < 60_000
    return f", took {duration_ms / 1000:.3g} s" if short else f", took {span(duration_ms * 1000)}"

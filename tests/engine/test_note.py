"""What messages to people say, before a channel lays them out."""

import pytest
from msgspec.structs import replace

from tests.channels.sample import AWAY, DOWN, PUBLIC_URL, TEST, UP, flood, named
from tocsin.domain.alert import Event, PingLine
from tocsin.domain.monitor import Reason
from tocsin.engine.note import Tone, compose, fit, keep_quiet, one_line, shorten


@pytest.mark.parametrize(
    ("event", "headline", "tone"),
    [
        (Event.DOWN, "Nightly backup is down", Tone.BAD),
        (Event.REMINDER, "Nightly backup is still down", Tone.BAD),
        (Event.UP, "Nightly backup is up again", Tone.GOOD),
        (Event.AWAY, "Tocsin was away and may have missed pings", Tone.NEUTRAL),
        (Event.CHANNEL_DISABLED, "A channel was switched off", Tone.NEUTRAL),
        (Event.TEST, "Test message from Tocsin", Tone.NEUTRAL),
    ],
)
def test_every_event_has_a_headline_and_a_tone(event: Event, headline: str, tone: Tone) -> None:
    note = compose([replace(DOWN, event=event)], PUBLIC_URL)
    assert (note.headline, note.tone) == (headline, tone)


@pytest.mark.parametrize("reason", [Reason.MISSED, Reason.FAILED, Reason.OVERRAN, Reason.UNCONFIRMED])
def test_every_reason_of_a_down_is_said_in_words(reason: Reason) -> None:
    details = dict(compose([replace(DOWN, reason=reason)], PUBLIC_URL).details)
    assert len(details["Why"]) > 10


def test_a_recovery_says_since_when_it_was_down_and_expects_nothing() -> None:
    details = dict(compose([UP], PUBLIC_URL).details)
    assert details["Was down since"] == "2026-03-28 02:00:00 UTC"
    assert "Why" not in details
    assert "Expected by" not in details


def test_a_job_that_was_never_heard_says_so() -> None:
    assert dict(compose([replace(DOWN, last_ping_at=None)], PUBLIC_URL).details)["Last ping"] == "never"


def test_a_message_about_no_monitor_leads_to_the_front_page() -> None:
    note = compose([AWAY], PUBLIC_URL)
    assert note.url == PUBLIC_URL
    assert note.sentences == (AWAY.message, "Nightly backup", "Invoices")
    assert note.details == ()


@pytest.mark.parametrize(
    ("line", "text"),
    [
        (PingLine(DOWN.at, "fail", 3, 90_000), "2026-03-28 02:00:00 UTC  fail, exit code 3, took 1 min 30 s"),
        (PingLine(DOWN.at, "success", None, 5), "2026-03-28 02:00:00 UTC  success, took 0.005 s"),
        (PingLine(DOWN.at, "log"), "2026-03-28 02:00:00 UTC  log"),
    ],
)
def test_a_ping_is_one_line(line: PingLine, text: str) -> None:
    assert compose([replace(DOWN, pings=(line,))], PUBLIC_URL).pings == (text,)


def test_a_digest_counts_each_job_by_its_last_word() -> None:
    [first, second, third] = flood(3)
    first_up = replace(UP, monitor=first.monitor)
    note = compose([first, second, third, first_up], PUBLIC_URL)
    assert note.headline == "2 jobs are down, 1 is up again"
    assert note.tone is Tone.BAD
    assert note.id == first.id
    assert len(note.sentences) == 4
    assert note.sentences[-1] == first_up.message


@pytest.mark.parametrize(
    ("events", "headline", "tone"),
    [
        ([Event.UP, Event.UP], "2 jobs are up again", Tone.GOOD),
        ([Event.DOWN, Event.REMINDER], "1 job is down, 1 is still down", Tone.BAD),
        ([Event.REMINDER, Event.REMINDER], "2 jobs are still down", Tone.BAD),
        ([Event.DOWN, Event.UP, Event.UP], "1 job is down, 2 are up again", Tone.BAD),
    ],
)
def test_a_digest_has_a_headline(events: list[Event], headline: str, tone: Tone) -> None:
    alerts = [replace(facts, event=event) for facts, event in zip(flood(len(events)), events, strict=True)]
    note = compose(alerts, PUBLIC_URL)
    assert (note.headline, note.tone) == (headline, tone)


def test_a_digest_keeps_other_notices() -> None:
    note = compose([AWAY, DOWN, TEST], PUBLIC_URL)
    assert note.headline == "1 job is down, 2 notices"
    assert note.sentences[0] == DOWN.message
    assert "Invoices" in note.sentences[1]
    assert compose([AWAY, TEST], PUBLIC_URL).headline == "2 notices"


def test_texts_are_one_line_each() -> None:
    note = compose([named("a\r\nb\x00\x1b[31m\u2028c\u202e")], PUBLIC_URL)
    assert note.headline == "a b[31m c is down"
    assert note.sentences == ("a b[31m c is late.",)
    assert one_line("  a \n b ") == "a b"


def test_what_is_too_long_is_shortened_visibly() -> None:
    assert shorten("abc", 3) == "abc"
    assert shorten("abcd", 3) == "ab…"


def test_lines_that_do_not_fit_are_counted() -> None:
    assert fit(["aaaa", "bbbb"], 100) == ["aaaa", "bbbb"]
    assert fit(["aaaa"] * 10, 30) == ["aaaa", "aaaa", "aaaa", "and 7 more"]
    assert fit(["a" * 50], 30) == ["a" * 18 + "…"]
    assert fit([], 30) == []
    assert all(len("\n".join(fit(["x" * 7] * 99, longest))) <= longest for longest in range(20, 900))


def test_a_mention_is_broken_and_an_address_is_not() -> None:
    assert keep_quiet("@all (@here) ann@example.com @ 5") == "@\u2060all (@\u2060here) ann@example.com @ 5"

"""Slack: the published message format, and names that must not call anybody."""

import pytest

from tests.channels.sample import AWAY, DOWN, PUBLIC_URL, UP, deliver, flood, http_target, make_senders, named
from tests.receivers import Answer, HttpReceiver
from tocsin.outbound import Outbound


async def test_a_message_says_which_job_since_when_and_why(outbound: Outbound) -> None:
    body = await deliver("slack", outbound, DOWN)
    assert body["text"] == "🔴 Nightly backup is down"
    [attachment] = body["attachments"]
    assert attachment["text"] == DOWN.message
    assert attachment["title_link"] == f"{PUBLIC_URL}/monitors/4c5d"
    assert attachment["fallback"]
    fields = {one["title"]: one["value"] for one in attachment["fields"]}
    assert fields == {
        "Down since": "2026-03-28 02:00:00 UTC",
        "Why": "no ping came in time",
        "Expected by": "2026-03-28 02:00:00 UTC",
        "Last ping": "2026-03-27 01:00:00 UTC",
        "Tags": "db, prod",
    }


async def test_a_recovery_looks_like_one(outbound: Outbound) -> None:
    down, up = [await deliver("slack", outbound, facts) for facts in (DOWN, UP)]
    assert up["text"] == "🟢 Nightly backup is up again"
    assert up["attachments"][0]["color"] != down["attachments"][0]["color"]


@pytest.mark.parametrize("name", ["<!channel>", "<!here|x>", "<@U012AB3CD>", "<https://evil.test|click>"])
async def test_a_name_calls_nobody_and_links_nowhere(name: str, outbound: Outbound) -> None:
    body = await deliver("slack", outbound, named(name))
    for text in (body["text"], body["attachments"][0]["text"], body["attachments"][0]["fallback"]):
        assert "&lt;" in text
        assert "<" not in text
        assert ">" not in text


async def test_ampersands_stay_what_they_are(outbound: Outbound) -> None:
    body = await deliver("slack", outbound, named("&lt;!channel&gt;"))
    assert "&amp;lt;!channel&amp;gt; is down" in body["text"]


async def test_mattermost_calls_nobody_either(outbound: Outbound) -> None:
    """It takes the same format, and reads "@all" in plain text."""
    body = await deliver("slack", outbound, named("@all and ops@example.com"))
    assert "@all" not in body["text"]
    assert "@\u2060all" in body["text"]
    assert "ops@example.com" in body["text"]


async def test_a_digest_counts_and_lists(outbound: Outbound) -> None:
    body = await deliver("slack", outbound, *flood(7))
    assert body["text"] == "🔴 7 jobs are down"
    assert body["attachments"][0]["text"].splitlines() == [f"Job {number} is late." for number in range(7)]
    assert body["attachments"][0]["title_link"] == PUBLIC_URL


async def test_every_line_of_an_alert_is_told(outbound: Outbound) -> None:
    body = await deliver("slack", outbound, AWAY)
    assert body["attachments"][0]["text"].splitlines() == [AWAY.message, "Nightly backup", "Invoices"]


@pytest.mark.parametrize(
    ("answer", "detail", "gone"),
    [
        (Answer(404, b"no_service"), "404 Not Found: no_service", True),
        (Answer(404, b"channel_not_found"), "404 Not Found: channel_not_found", True),
        (Answer(410, b"channel_is_archived"), "410 Gone: channel_is_archived", True),
        (Answer(403, b"invalid_token"), "403 Forbidden: invalid_token", False),
        (Answer(400, b"<html>anything else"), "400 Bad Request", False),
    ],
)
async def test_slack_says_what_is_wrong(answer: Answer, detail: str, gone: bool, outbound: Outbound) -> None:  # noqa: FBT001
    with HttpReceiver(answer) as receiver:
        slack, config = http_target("slack", outbound, receiver.url)
        receipt = await slack.send(config, [DOWN])
    assert (receipt.outcome, receipt.detail, receipt.gone) == ("refused", detail, gone)


def test_the_address_is_the_secret(outbound: Outbound) -> None:
    slack = make_senders(outbound)["slack"]
    assert slack.secrets == {"webhook_url"}
    assert slack.for_people
    url = "https://hooks.slack.com/services/T00/B00/xxx"
    assert slack.check({"webhook_url": url}) == {"webhook_url": url}

"""Discord: the published message format, and names that must not call anybody."""

import pytest

from tests.channels.sample import DOWN, PUBLIC_URL, UP, deliver, flood, http_target, make_senders, named
from tests.receivers import Answer, HttpReceiver
from tocsin.outbound import Outbound


async def test_a_message_says_which_job_since_when_and_why(outbound: Outbound) -> None:
    body = await deliver("discord", outbound, DOWN)
    assert body["content"] == "🔴 Nightly backup is down"
    [embed] = body["embeds"]
    assert embed["description"] == DOWN.message
    assert embed["url"] == f"{PUBLIC_URL}/monitors/4c5d"
    fields = {one["name"]: one["value"] for one in embed["fields"]}
    assert fields["Down since"] == "2026-03-28 02:00:00 UTC"
    assert fields["Why"] == "no ping came in time"
    assert fields["Last ping"] == "2026-03-27 01:00:00 UTC"


async def test_a_recovery_looks_like_one(outbound: Outbound) -> None:
    down, up = [await deliver("discord", outbound, facts) for facts in (DOWN, UP)]
    assert up["content"] == "🟢 Nightly backup is up again"
    assert up["embeds"][0]["color"] != down["embeds"][0]["color"]


@pytest.mark.parametrize("name", ["@everyone", "@here", "<@80351110224678912>", "<@&165511591545143296>"])
async def test_a_name_calls_nobody(name: str, outbound: Outbound) -> None:
    body = await deliver("discord", outbound, named(name))
    assert body["allowed_mentions"] == {"parse": []}
    assert name not in body["content"]


async def test_markup_in_a_name_is_shown_as_it_is(outbound: Outbound) -> None:
    body = await deliver("discord", outbound, named("[click](https://evil.test) *_`~|#>\\"))
    assert body["content"].startswith(r"🔴 \[click\]\(https://evil.test\) \*\_\`\~\|\#\>\\ is down")


async def test_a_digest_counts_and_lists(outbound: Outbound) -> None:
    body = await deliver("discord", outbound, *flood(7))
    assert body["content"] == "🔴 7 jobs are down"
    assert body["embeds"][0]["description"].splitlines() == [f"Job {number} is late." for number in range(7)]


async def test_limits_are_kept_with_the_longest_names(outbound: Outbound) -> None:
    body = await deliver("discord", outbound, named("*" * 5000))
    [embed] = body["embeds"]
    assert len(body["content"]) <= 2000
    assert len(embed["description"]) <= 4096
    assert all(len(field["value"]) <= 1024 for field in embed["fields"])


@pytest.mark.parametrize(
    ("status", "body", "detail"),
    [
        (404, b'{"message": "Unknown Webhook", "code": 10015}', "404 Not Found: unknown webhook"),
        (401, b'{"message": "Invalid", "code": 50027}', "401 Unauthorized: invalid webhook token"),
        (400, b'{"message": "x", "code": 12345}', "400 Bad Request: Discord's error 12345"),
        (400, b'{"message": "x", "code": 0}', "400 Bad Request"),
        (400, b'{"code": [1]}', "400 Bad Request"),
        (403, b"error code: 1020", "403 Forbidden"),
        (400, b"[1]", "400 Bad Request"),
    ],
)
async def test_discord_says_what_is_wrong(status: int, body: bytes, detail: str, outbound: Outbound) -> None:
    with HttpReceiver(Answer(status, body)) as receiver:
        discord, config = http_target("discord", outbound, receiver.url)
        receipt = await discord.send(config, [DOWN])
    assert (receipt.outcome, receipt.detail, receipt.gone) == ("refused", detail, status == 404)


def test_the_address_is_the_secret(outbound: Outbound) -> None:
    discord = make_senders(outbound)["discord"]
    assert discord.secrets == {"webhook_url"}
    assert discord.for_people
    url = "https://discord.com/api/webhooks/1/x"
    assert discord.check({"webhook_url": url}) == {"webhook_url": url}

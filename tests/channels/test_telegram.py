"""Telegram: the published call of the Bot API, its way of saying no, and names that must not call anybody."""

import json
from typing import Any

import pytest

from tests.channels.sample import DOWN, PUBLIC_URL, deliver, flood, http_target, make_senders, named
from tests.receivers import Answer, HttpReceiver
from tocsin.domain.channel import Receipt
from tocsin.domain.errors import TocsinError
from tocsin.outbound import Outbound

TOKEN = "123456:ABC-DEF_1234"


def refusal(code: int, description: str, http_status: int | None = None, **parameters: Any) -> Answer:
    body = {"ok": False, "error_code": code, "description": description, "parameters": parameters}
    return Answer(http_status or code, json.dumps(body).encode())


async def attempt(outbound: Outbound, *answers: Answer) -> tuple[Receipt, list[Any]]:
    with HttpReceiver(*answers) as receiver:
        telegram, config = http_target("telegram", outbound, receiver.url)
        receipt = await telegram.send(config, [DOWN])
        return receipt, [one.json() for one in receiver.requests]


async def test_a_message_says_which_job_since_when_and_why(outbound: Outbound) -> None:
    body = await deliver("telegram", outbound, DOWN)
    assert body["chat_id"] == "-100200"
    assert body["parse_mode"] == "HTML"
    assert body["link_preview_options"] == {"is_disabled": True}
    assert body["text"].splitlines() == [
        "🔴 <b>Nightly backup is down</b>",
        "",
        DOWN.message,
        "",
        "<b>Down since</b>: 2026-03-28 02:00:00 UTC",
        "<b>Why</b>: no ping came in time",
        "<b>Expected by</b>: 2026-03-28 02:00:00 UTC",
        "<b>Last ping</b>: 2026-03-27 01:00:00 UTC",
        "<b>Tags</b>: db, prod",
        f'<a href="{PUBLIC_URL}/monitors/4c5d">Open in Tocsin</a>',
    ]


async def test_the_token_is_in_the_path_of_the_set_api(outbound: Outbound) -> None:
    with HttpReceiver(Answer(body=b'{"ok": true}')) as receiver:
        telegram = make_senders(outbound, telegram_api_base=receiver.url)["telegram"]
        receipt = await telegram.send({"bot_token": TOKEN, "chat_id": "1"}, [DOWN])
        [request] = receiver.requests
    assert request.target == f"/bot{TOKEN}/sendMessage"
    assert receipt.outcome == "delivered"


@pytest.mark.parametrize(("config", "token"), [({}, "1:server"), ({"bot_token": TOKEN}, TOKEN)])
async def test_the_servers_own_bot_writes_where_a_channel_brings_none(
    config: dict[str, str], token: str, outbound: Outbound
) -> None:
    with HttpReceiver(Answer(body=b'{"ok": true}')) as receiver:
        telegram = make_senders(outbound, telegram_api_base=receiver.url, telegram_bot_token="1:server")[
            "telegram"
        ]
        checked = telegram.check({"chat_id": "5", **config})
        assert checked == {"chat_id": "5", **config}
        assert (await telegram.send(checked, [DOWN])).outcome == "delivered"
        [request] = receiver.requests
    assert request.target == f"/bot{token}/sendMessage"


async def test_without_any_bot_nothing_is_sent(outbound: Outbound) -> None:
    telegram = make_senders(outbound)["telegram"]
    assert telegram.lacks == "TOCSIN_TELEGRAM_BOT_TOKEN"
    with pytest.raises(TocsinError) as wrong:
        telegram.check({"chat_id": "5"})
    assert wrong.value.fields.keys() == {"bot_token"}
    receipt = await telegram.send({"chat_id": "5"}, [DOWN])
    assert (receipt.outcome, receipt.code) == ("refused", None)
    assert "TOCSIN_TELEGRAM_BOT_TOKEN" in receipt.detail


def test_with_a_bot_of_its_own_the_server_lacks_nothing(outbound: Outbound) -> None:
    telegram = make_senders(outbound, telegram_bot_token="1:server")["telegram"]
    assert telegram.lacks == ""
    for bad in ("", "abc", 7):
        with pytest.raises(TocsinError) as wrong:
            telegram.check({"chat_id": "5", "bot_token": bad})
        assert wrong.value.fields.keys() == {"bot_token"}


async def test_markup_and_mentions_in_a_name_are_shown_as_they_are(outbound: Outbound) -> None:
    text = (await deliver("telegram", outbound, named("<b>&</b> @everyone <a href='x'>")))["text"]
    assert "&lt;b&gt;&amp;&lt;/b&gt; @\u2060everyone &lt;a href='x'&gt; is down" in text


async def test_a_digest_counts_and_lists(outbound: Outbound) -> None:
    lines = (await deliver("telegram", outbound, *flood(7)))["text"].splitlines()
    assert lines[0] == "🔴 <b>7 jobs are down</b>"
    assert lines[2:9] == [f"Job {number} is late." for number in range(7)]


@pytest.mark.parametrize(
    ("code", "description", "gone"),
    [
        (400, "Bad Request: chat not found", False),
        (401, "Unauthorized", False),
        (403, "Forbidden: bot was blocked by the user", False),
        (404, "Not Found", True),
    ],
)
async def test_telegram_says_what_is_wrong(
    code: int,
    description: str,
    gone: bool,  # noqa: FBT001
    outbound: Outbound,
) -> None:
    receipt, _ = await attempt(outbound, refusal(code, description))
    assert (receipt.outcome, receipt.code, receipt.gone) == ("refused", code, gone)
    assert receipt.detail.endswith(description)


async def test_no_in_a_200_is_a_no(outbound: Outbound) -> None:
    receipt, _ = await attempt(outbound, refusal(403, "Forbidden", http_status=200))
    assert (receipt.outcome, receipt.code) == ("refused", 403)
    receipt, _ = await attempt(outbound, Answer(200, b'{"ok": false}'))
    assert receipt.outcome == "refused"


async def test_it_says_in_the_body_when_to_come_back(outbound: Outbound) -> None:
    receipt, _ = await attempt(outbound, refusal(429, "Too Many Requests", retry_after=14))
    assert (receipt.outcome, receipt.retry_after_seconds) == ("retry", 14)


async def test_a_group_that_became_a_supergroup_is_followed(outbound: Outbound) -> None:
    moved = refusal(400, "group chat was upgraded", migrate_to_chat_id=-1009)
    receipt, bodies = await attempt(outbound, moved, Answer(body=b'{"ok": true}'))
    assert receipt.outcome == "delivered"
    assert "-1009" in receipt.detail
    assert [body["chat_id"] for body in bodies] == ["-100200", "-1009"]


async def test_it_is_followed_once(outbound: Outbound) -> None:
    receipt, bodies = await attempt(outbound, refusal(400, "upgraded", migrate_to_chat_id=-1009))
    assert receipt.outcome == "refused"
    assert len(bodies) == 2


@pytest.mark.parametrize("body", [b"", b"[]", b"null", b'"no"', b'{"ok": true, "parameters": 7}'])
async def test_odd_bodies_are_judged_by_the_status(body: bytes, outbound: Outbound) -> None:
    assert (await attempt(outbound, Answer(200, body)))[0].outcome == "delivered"
    assert (await attempt(outbound, Answer(502, body)))[0].outcome == "retry"


@pytest.mark.parametrize("chat_id", ["123", "-1001234567890", "@my_channel", 123, -5])
def test_a_chat_is_a_number_or_a_name(chat_id: object, outbound: Outbound) -> None:
    telegram = make_senders(outbound)["telegram"]
    assert telegram.check({"bot_token": TOKEN, "chat_id": chat_id})["chat_id"] == str(chat_id)


@pytest.mark.parametrize(
    ("token", "chat_id", "fields"),
    [
        ("", "", {"bot_token", "chat_id"}),
        (TOKEN, True, {"chat_id"}),
        (TOKEN, "my channel", {"chat_id"}),
        (TOKEN, "1/../2", {"chat_id"}),
        ("123456:a/../../x", "1", {"bot_token"}),
        ("123456:a?b", "1", {"bot_token"}),
        ("abc", "1", {"bot_token"}),
    ],
)
def test_a_token_cannot_lead_elsewhere(
    token: str, chat_id: object, fields: set[str], outbound: Outbound
) -> None:
    with pytest.raises(TocsinError) as wrong:
        make_senders(outbound)["telegram"].check({"bot_token": token, "chat_id": chat_id})
    assert wrong.value.fields.keys() == fields

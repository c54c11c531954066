"""What every kind of channel does with what its receiver answers: one table for all that are found."""

import json
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from ipaddress import ip_network
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.channels.sample import AWAY, DOWN, TEST, UP, flood, http_target, make_senders
from tests.receivers import HANG, RESET, Answer, HttpReceiver, SmtpReceiver
from tocsin.channels import SmtpConfig
from tocsin.domain.channel import Outcome
from tocsin.domain.errors import TocsinError
from tocsin.outbound import Outbound

SENDERS = make_senders(Outbound())
KINDS = sorted(SENDERS)
HTTP_KINDS = [kind for kind in KINDS if kind != "email"]
FIELDS = ["url", "webhook_url", "secret", "format", "bot_token", "chat_id", "to", "members", "routing_key"]
PEOPLE = [kind for kind in HTTP_KINDS if SENDERS[kind].for_people]

DELIVERED, RETRY, REFUSED = Outcome.DELIVERED, Outcome.RETRY, Outcome.REFUSED

HTTP_TABLE = (
    dict.fromkeys((200, 201, 202, 204), DELIVERED)
    | dict.fromkeys((301, 302, 303, 304, 307, 308), REFUSED)
    | dict.fromkeys((400, 401, 402, 403, 404, 405, 406, 410, 413, 415, 418, 422, 451), REFUSED)
    | dict.fromkeys((408, 409, 425, 429), RETRY)
    | dict.fromkeys((500, 501, 502, 503, 504, 520, 599), RETRY)
)
SMTP_TABLE = {
    "250 2.0.0 OK": DELIVERED,
    "421 4.3.2 shutting down": RETRY,
    "451 4.7.1 greylisted": RETRY,
    "452 4.2.2 full": RETRY,
    "550 5.7.1 spam": REFUSED,
    "552 5.3.4 too big": REFUSED,
    "554 5.0.0 no": REFUSED,
}


def answers(kind: str) -> dict[str, Outcome]:
    """What the receivers of a kind may answer, and what becomes of the attempt."""
    return SMTP_TABLE if kind == "email" else {str(code): outcome for code, outcome in HTTP_TABLE.items()}


CASES = [(kind, answer, outcome) for kind in KINDS for answer, outcome in answers(kind).items()]


@pytest.mark.promise(8)
@pytest.mark.parametrize(("kind", "answer", "outcome"), CASES)
async def test_each_answer_has_its_outcome(
    kind: str, answer: str, outcome: Outcome, outbound: Outbound
) -> None:
    if kind == "email":
        with SmtpReceiver(at_data=[answer]) as server:
            sender = make_senders(outbound, smtp=SmtpConfig.from_url(server.url))["email"]
            receipt = await sender.send({"to": ["ann@example.com"]}, [DOWN])
    else:
        with HttpReceiver(Answer(int(answer), body=b"" if answer in {"204", "304"} else b"ok")) as receiver:
            sender, config = http_target(kind, outbound, receiver.url)
            receipt = await sender.send(config, [DOWN])
    assert (receipt.outcome, receipt.code) == (outcome, int(answer[:3]))
    assert receipt.gone == (answer in {"404", "410"})
    assert receipt.detail


@pytest.mark.parametrize("kind", HTTP_KINDS)
async def test_a_redirect_is_refused_and_says_so(kind: str, outbound: Outbound) -> None:
    with HttpReceiver() as elsewhere:
        moved = Answer(302, headers={"location": elsewhere.url})
        with HttpReceiver(moved) as receiver:
            sender, config = http_target(kind, outbound, receiver.url)
            receipt = await sender.send(config, [DOWN])
        assert elsewhere.connections == 0
    assert receipt.outcome is REFUSED
    assert "redirect" in receipt.detail


@pytest.mark.parametrize("kind", HTTP_KINDS)
@pytest.mark.parametrize(
    ("header", "seconds"),
    [("7", 7), ("0", 0), ("-5", 0), ("999999999", 86_400), ("1.5", 1.5), ("soon", None), ("nan", None)],
)
async def test_the_receiver_says_when_to_come_back(
    kind: str, header: str, seconds: float | None, outbound: Outbound
) -> None:
    with HttpReceiver(Answer(429, headers={"Retry-After": header})) as receiver:
        sender, config = http_target(kind, outbound, receiver.url)
        receipt = await sender.send(config, [DOWN])
    assert (receipt.outcome, receipt.retry_after_seconds) == (RETRY, seconds)


async def test_it_may_say_so_by_a_date(outbound: Outbound) -> None:
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=90), usegmt=True)
    with HttpReceiver(Answer(503, headers={"Retry-After": date})) as receiver:
        sender, config = http_target("webhook", outbound, receiver.url)
        receipt = await sender.send(config, [DOWN])
    assert receipt.retry_after_seconds == pytest.approx(90, abs=10)


@pytest.mark.promise(8)
@pytest.mark.parametrize("kind", HTTP_KINDS)
@pytest.mark.parametrize("answer", [HANG, RESET], ids=["hangs", "resets"])
async def test_a_receiver_without_an_answer_gets_another_try(kind: str, answer: Answer) -> None:
    outbound = Outbound([ip_network("127.0.0.0/8")], timeout_seconds=0.2)
    with HttpReceiver(answer) as receiver:
        sender, config = http_target(kind, outbound, receiver.url)
        receipt = await sender.send(config, [DOWN])
    assert (receipt.outcome, receipt.code) == (RETRY, None)
    assert receipt.detail


@pytest.mark.promise(12)
@pytest.mark.parametrize("kind", HTTP_KINDS)
async def test_what_the_guard_forbids_is_refused_for_good(kind: str) -> None:
    async def moved_inside(_host: str, _port: int) -> list[str]:
        return ["10.0.0.1"]

    sender, config = http_target(kind, Outbound(resolve=moved_inside), "https://receiver.test")
    receipt = await sender.send(config, [DOWN])
    assert (receipt.outcome, receipt.gone) == (REFUSED, False)
    assert "private" in receipt.detail


@pytest.mark.promise(11)
@pytest.mark.parametrize("kind", HTTP_KINDS)
@pytest.mark.parametrize("status", [200, 302, 400, 404, 500])
async def test_no_receipt_holds_a_secret_even_if_the_receiver_repeats_it(
    kind: str, status: int, outbound: Outbound
) -> None:
    said = {"ok": False, "error_code": 400, "code": 10015, "message": "T0PSECRET"}
    echo = json.dumps({**said, "description": "no such bot123456:T0PSECRET"}).encode()
    for body in (echo, b"T0PSECRET", b"/services/T00/B00/T0PSECRET"):
        with HttpReceiver(Answer(status, body, {"location": "https://x.test/T0PSECRET"})) as receiver:
            sender, config = http_target(kind, outbound, receiver.url)
            receipt = await sender.send(config, [DOWN])
        assert "T0PSECRET" not in repr(receipt)


@pytest.mark.promise(7)
@pytest.mark.parametrize("kind", HTTP_KINDS)
async def test_every_attempt_carries_the_same_id(kind: str, outbound: Outbound) -> None:
    with HttpReceiver(500, 200) as receiver:
        sender, config = http_target(kind, outbound, receiver.url)
        for _ in range(2):
            await sender.send(config, [DOWN])
        first, second = receiver.requests
    assert first.headers["idempotency-key"] == second.headers["idempotency-key"] == DOWN.id
    assert first.body == second.body


@pytest.mark.parametrize("kind", HTTP_KINDS)
@pytest.mark.parametrize("facts", [DOWN, UP, AWAY, TEST], ids=lambda facts: facts.event)
async def test_every_event_can_be_told(kind: str, facts: Any, outbound: Outbound) -> None:
    with HttpReceiver() as receiver:
        sender, config = http_target(kind, outbound, receiver.url)
        assert (await sender.send(config, [facts])).outcome is DELIVERED
        assert receiver.requests[0].json()


@pytest.mark.promise(8)
@pytest.mark.parametrize("kind", PEOPLE)
async def test_a_flood_is_one_message_of_a_length_that_is_taken(kind: str, outbound: Outbound) -> None:
    with HttpReceiver() as receiver:
        sender, config = http_target(kind, outbound, receiver.url)
        await sender.send(config, flood(2000))
        [request] = receiver.requests
    assert "2000 jobs are down" in request.body.decode()
    assert " more" in request.body.decode()
    assert len(request.json().get("text", "")) <= 4096
    assert len(request.body) < 8000
    assert request.headers["idempotency-key"] == "id0"


@pytest.mark.parametrize("kind", KINDS)
def test_a_config_without_its_fields_is_refused(kind: str) -> None:
    with pytest.raises(TocsinError) as refusal:
        SENDERS[kind].check({"colour": "red"})
    assert len(refusal.value.fields) >= 2
    assert refusal.value.fields["colour"] == "is no field of this channel"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("value", [17, True, [], {}, ["a"], "", "  ", "x" * 5000, "a\r\nb", "\x00"])
def test_no_value_of_any_field_is_more_than_refused(kind: str, value: object) -> None:
    with pytest.raises(TocsinError):
        SENDERS[kind].check(dict.fromkeys(FIELDS, value))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(codec=None)),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
SPELLINGS = st.from_regex(r"https?:[/\\\\]*[0-9a-zA-Z.:@\[\]%_-]{0,30}(/.*)?", fullmatch=True)


@pytest.mark.promise(10)
@given(
    kind=st.sampled_from(KINDS),
    config=st.dictionaries(st.sampled_from(FIELDS), JSON | SPELLINGS),
)
def test_no_config_at_all_is_more_than_refused(kind: str, config: dict[str, Any]) -> None:
    with suppress(TocsinError):
        json.dumps(SENDERS[kind].check(config)).encode()


@pytest.mark.promise(12)
@pytest.mark.parametrize("kind", ["webhook", "slack", "discord"])
@pytest.mark.parametrize("url", ["http://example.com/x", "https://10.0.0.1/x", "https://a:b@example.com/x"])
def test_an_address_that_may_not_be_reached_is_refused_when_it_is_saved(kind: str, url: str) -> None:
    field = "url" if kind == "webhook" else "webhook_url"
    with pytest.raises(TocsinError) as refusal:
        SENDERS[kind].check({field: url})
    assert list(refusal.value.fields) == [field]


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_is_named_as_its_module(kind: str) -> None:
    assert type(SENDERS[kind]).__module__ == f"tocsin.channels.{kind}"
    assert SENDERS[kind].secrets <= {"url", "secret", "webhook_url", "bot_token", "routing_key"}

"""Mail through a real SMTP server."""

import socket
import time
from dataclasses import replace
from typing import Any

import pytest

from tests.channels.sample import AWAY, DOWN, PUBLIC_URL, TEST, UP, flood, make_senders, named
from tests.receivers import Certificate, Mail, SmtpReceiver
from tocsin.channels import SmtpConfig
from tocsin.channels.email import Email
from tocsin.domain.alert import Facts
from tocsin.domain.channel import Receipt
from tocsin.domain.errors import TocsinError
from tocsin.outbound import Outbound

ANN, BOB = "ann@example.com", "bob@example.com"
GUARDED = Outbound()


def make_email(server: SmtpReceiver | None, **changes: Any) -> Email:
    smtp = replace(SmtpConfig.from_url(server.url, timeout_seconds=5), **changes) if server else None
    sender = make_senders(GUARDED, smtp=smtp)["email"]
    assert isinstance(sender, Email)
    return sender


async def mail_of(*alerts: Facts) -> Mail:
    with SmtpReceiver() as server:
        receipt = await make_email(server).send({"to": [ANN]}, alerts)
        assert receipt.outcome == "delivered", receipt
        [mail] = server.mails
        return mail


async def test_a_mail_says_which_job_since_when_why_last_pings_and_where_to_look() -> None:
    mail = await mail_of(DOWN)
    assert mail.sender == "tocsin@tocsin.test"
    assert mail.recipients == (ANN,)
    assert mail.message["From"] == "Tocsin <tocsin@tocsin.test>"
    assert mail.message["To"] == ANN
    assert mail.message["Subject"] == "Nightly backup is down"
    assert mail.part("plain").splitlines() == [
        "Nightly backup is down.",
        "",
        DOWN.message,
        "",
        "Down since:  2026-03-28 02:00:00 UTC",
        "Why:         no ping came in time",
        "Expected by: 2026-03-28 02:00:00 UTC",
        "Last ping:   2026-03-27 01:00:00 UTC",
        "Tags:        db, prod",
        "",
        "Last pings:",
        "  2026-03-27 01:00:00 UTC  success, exit code 0, took 4.52 s",
        "  2026-03-27 00:00:00 UTC  start",
        "",
        f"Open in Tocsin: {PUBLIC_URL}/monitors/4c5d",
    ]


async def test_the_html_says_the_same() -> None:
    page = (await mail_of(DOWN)).part("html")
    for text in ("Nightly backup is down", DOWN.message, "no ping came in time", "took 4.52 s"):
        assert text in page
    assert f'href="{PUBLIC_URL}/monitors/4c5d"' in page


@pytest.mark.parametrize(
    ("facts", "subject"),
    [
        (UP, "Nightly backup is up again"),
        (AWAY, "Tocsin was away and may have missed pings"),
        (TEST, "Test message from Tocsin"),
    ],
    ids=lambda one: getattr(one, "event", ""),
)
async def test_every_event_has_its_subject(facts: Facts, subject: str) -> None:
    mail = await mail_of(facts)
    assert mail.message["Subject"] == subject
    assert all(line in mail.part("plain") for line in (facts.message, *facts.lines))


@pytest.mark.parametrize("ending", ["\r\n", "\n", "\r", "\u2028", "\x0b", "\x85"])
async def test_a_name_cannot_add_headers(ending: str) -> None:
    mail = await mail_of(named(f"Backup{ending}Bcc: eve@example.com{ending}{ending}<script>"))
    assert mail.message["Bcc"] is None
    assert mail.recipients == (ANN,)
    assert mail.message["Subject"].startswith("Backup Bcc: eve@example.com <script> is")
    assert b"\nbcc:" not in mail.raw.lower()


@pytest.mark.parametrize(
    "text", ["q?Backup=0D=0ABcc:_eve@example.com=0D=0A=0D=0Ax", "b?DQpCY2M6IGVAeC55", "q?x"]
)
async def test_a_name_that_pretends_to_be_encoded_is_not_decoded(text: str) -> None:
    mail = await mail_of(named(f"=?utf-8?{text}?="))
    assert mail.message["Bcc"] is None
    assert mail.message["Subject"] == f"= ?utf-8?{text}?= is down"
    assert f"=?utf-8?{text}?= is down." in mail.part("plain")
    assert b"\nbcc:" not in mail.raw.lower()


async def test_a_name_cannot_add_markup() -> None:
    page = (await mail_of(named("<script>alert(1)</script>&"))).part("html")
    assert "<script" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;&amp; is down" in page


async def test_letters_of_all_kinds_arrive() -> None:
    mail = await mail_of(named("Sauvegarde Köln ☃ 夜"))
    assert mail.message["Subject"] == "Sauvegarde Köln ☃ 夜 is down"
    assert "Köln ☃ 夜" in mail.part("plain")


async def test_a_long_name_is_cut_in_the_subject() -> None:
    mail = await mail_of(named("x" * 5000))
    assert len(mail.message["Subject"]) <= 150
    assert max(map(len, mail.raw.split(b"\r\n"))) <= 998


@pytest.mark.promise(7)
async def test_the_message_id_is_the_alert_s_on_every_attempt() -> None:
    with SmtpReceiver(at_data=["451 later", "250 OK", "250 OK"]) as server:
        email = make_email(server)
        receipts = [await email.send({"to": [ANN]}, [DOWN]) for _ in range(3)]
        ids = {mail.message["Message-ID"] for mail in server.mails}
    assert [receipt.outcome for receipt in receipts] == ["retry", "delivered", "delivered"]
    assert ids == {"<0f3a@tocsin.test>"}


@pytest.mark.promise(8)
async def test_a_digest_counts_in_its_subject_and_lists_every_job() -> None:
    mail = await mail_of(*flood(7))
    assert mail.message["Subject"] == "7 jobs are down"
    assert mail.message["Message-ID"] == "<id0@tocsin.test>"
    assert all(f"Job {number} is late." in mail.part("plain") for number in range(7))
    assert all(f"Job {number} is late." in mail.part("html") for number in range(7))


async def test_a_digest_of_both_says_both() -> None:
    assert (await mail_of(*flood(3), UP)).message["Subject"] == "3 jobs are down, 1 is up again"


async def test_a_huge_digest_says_how_many_are_not_listed() -> None:
    mail = await mail_of(*flood(10_000))
    assert mail.message["Subject"] == "10000 jobs are down"
    assert len(mail.raw) < 500_000
    assert " more\n" in mail.part("plain")


async def test_a_machine_is_not_answered_by_a_machine() -> None:
    assert (await mail_of(DOWN)).message["Auto-Submitted"] == "auto-generated"


@pytest.mark.parametrize("implicit", [False, True], ids=["STARTTLS", "TLS from the start"])
async def test_tls_is_used_where_it_is_offered(implicit: bool) -> None:  # noqa: FBT001
    certificate = Certificate("127.0.0.1")
    login = None if implicit else ("us er", "p@ss:/")
    with SmtpReceiver(certificate=certificate, implicit_tls=implicit, login=login) as server:
        receipt = await make_email(server, tls=certificate.client_context()).send({"to": [ANN]}, [DOWN])
        assert receipt.outcome == "delivered", receipt
        [mail] = server.mails
    assert mail.over_tls
    assert mail.user == (None if implicit else "us er")


@pytest.mark.parametrize("implicit", [False, True], ids=["STARTTLS", "TLS from the start"])
async def test_a_certificate_that_nobody_trusts_gets_no_mail(implicit: bool) -> None:  # noqa: FBT001
    with SmtpReceiver(certificate=Certificate("127.0.0.1"), implicit_tls=implicit) as server:
        receipt = await make_email(server).send({"to": [ANN]}, [DOWN])
        assert server.mails == []
    assert receipt.outcome == "retry"
    assert "certificate" in receipt.detail


async def test_a_wrong_password_is_the_operator_s_matter_and_tried_again() -> None:
    with SmtpReceiver(login=("user", "right")) as server:
        receipt = await make_email(server, password="wr0ng").send({"to": [ANN]}, [DOWN])
    assert (receipt.outcome, receipt.code) == ("retry", 535)
    assert "wr0ng" not in repr(receipt)


@pytest.mark.parametrize(
    ("reply", "outcome"),
    [("450 4.2.1 later", "retry"), ("550 5.1.1 no such user", "refused"), ("551 moved", "refused")],
)
async def test_a_refused_address_is_judged_by_its_reply(reply: str, outcome: str) -> None:
    with SmtpReceiver(refuse={ANN: reply}) as server:
        receipt = await make_email(server).send({"to": [ANN]}, [DOWN])
    assert (receipt.outcome, receipt.code) == (outcome, int(reply[:3]))
    assert ANN in receipt.detail


async def test_one_refused_address_does_not_keep_the_others_waiting() -> None:
    with SmtpReceiver(refuse={BOB: "550 5.1.1 no such user"}) as server:
        receipt = await make_email(server).send({"to": [ANN, BOB]}, [DOWN])
        [mail] = server.mails
    assert mail.recipients == (ANN,)
    assert receipt.outcome == "delivered"
    assert "550" in receipt.detail


@pytest.mark.promise(8)
async def test_an_address_that_is_to_come_back_later_is_tried_again_alone() -> None:
    with SmtpReceiver(refuse={BOB: "450 4.2.1 greylisted"}) as server:
        email = make_email(server)
        first = await email.send({"to": [ANN, BOB]}, [DOWN])
        server.refuse.clear()
        second = await email.send({"to": [ANN, BOB]}, [DOWN])
        recipients = [mail.recipients for mail in server.mails]
    assert (first.outcome, second.outcome) == ("retry", "delivered")
    assert recipients == [(ANN,), (BOB,)]


async def test_a_server_that_is_not_there_is_tried_again() -> None:
    with SmtpReceiver() as server:
        email = make_email(server)
    receipt = await email.send({"to": [ANN]}, [DOWN])
    assert receipt.outcome == "retry"
    assert receipt.detail.startswith("no mail server")


async def test_a_server_that_says_nothing_is_given_up_in_time() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        smtp = SmtpConfig("127.0.0.1", silent.getsockname()[1], timeout_seconds=0.3)
        started = time.monotonic()
        receipt: Receipt = await make_senders(GUARDED, smtp=smtp)["email"].send({"to": [ANN]}, [DOWN])
    assert receipt.outcome == "retry"
    assert "did not answer" in receipt.detail
    assert time.monotonic() - started < 5


async def test_without_a_mail_server_or_an_address_nothing_is_sent() -> None:
    assert "TOCSIN_SMTP_URL" in (await make_email(None).send({"to": [ANN]}, [DOWN])).detail
    with SmtpReceiver() as server:
        nobody: list[dict[str, Any]] = [{"to": []}, {"members": True}]
        for config in nobody:
            assert (await make_email(server).send(config, [DOWN])).outcome == "refused"


async def test_a_link_is_mailed_or_said_not_to_be() -> None:
    with SmtpReceiver(at_data=["250 OK", "550 no"]) as server:
        email = make_email(server)
        await email.mail(ANN, "Your link", "https://tocsin.test/link/1\n")
        with pytest.raises(TocsinError, match="550 no"):
            await email.mail(ANN, "Your link", "https://tocsin.test/link/1\n")
        [mail] = server.mails
    assert mail.message["Subject"] == "Your link"
    assert mail.part("plain") == "https://tocsin.test/link/1\n"
    with pytest.raises(TocsinError, match="TOCSIN_SMTP_URL"):
        await make_email(None).mail(ANN, "Your link", "text")


async def test_the_subject_of_a_link_cannot_add_headers() -> None:
    with SmtpReceiver() as server:
        await make_email(server).mail(ANN, "Your\r\nBcc: eve@example.com", "text\n")
        [mail] = server.mails
    assert mail.message["Subject"] == "Your Bcc: eve@example.com"
    assert mail.message["Bcc"] is None


@pytest.mark.parametrize("address", ["a@b.c\r\nBcc: eve@example.com", "a@b.c\nX: y"])
async def test_no_address_can_add_headers(address: str) -> None:
    with SmtpReceiver() as server:
        assert (await make_email(server).send({"to": [address]}, [DOWN])).outcome == "refused"
        with pytest.raises(TocsinError):
            await make_email(server).mail(address, "Your link", "text")
        assert server.mails == []


def test_addresses_are_normalised_and_each_is_kept_once() -> None:
    email = make_email(None)
    given = ["Ann@EXAMPLE.com", "ops@mail.internal", "Ann@example.COM", "a@bücher.example"]
    assert email.check({"to": given}) == {
        "to": ["Ann@example.com", "ops@mail.internal", "a@xn--bcher-kva.example"]
    }
    assert email.check({"to": ANN}) == {"to": [ANN]}
    assert email.check({"members": True}) == {"members": True}


@pytest.mark.parametrize(
    "to",
    [
        [],
        ["ann"],
        ["ann@"],
        [ANN, 7],
        ["a b@example.com"],
        ["Ann <ann@example.com>"],
        ["ä@example.com"],
        7,
        None,
        [f"{number}@example.com" for number in range(51)],
    ],
)
def test_what_is_no_address_is_refused(to: object) -> None:
    with pytest.raises(TocsinError) as refusal:
        make_email(None).check({"to": to})
    assert refusal.value.fields.keys() == {"to"}


@pytest.mark.parametrize(
    ("url", "config"),
    [
        ("smtp://localhost", SmtpConfig("localhost", 25)),
        ("smtp://u:p@mail.test", SmtpConfig("mail.test", 587, "u", "p")),
        ("smtps://u%40x:p%3A%2F@mail.test", SmtpConfig("mail.test", 465, "u@x", "p:/", implicit_tls=True)),
        ("smtps://mail.test:2465", SmtpConfig("mail.test", 2465, implicit_tls=True)),
        ("smtp://[::1]:2525", SmtpConfig("::1", 2525)),
    ],
)
def test_the_mail_server_is_given_as_an_address(url: str, config: SmtpConfig) -> None:
    assert SmtpConfig.from_url(url) == config


@pytest.mark.promise(11)
def test_the_password_is_not_shown() -> None:
    assert "hush" not in repr(SmtpConfig.from_url("smtp://ann:hush@mail.test"))

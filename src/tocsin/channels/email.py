"""Mail, handed to the mail server that the operator has set."""

from __future__ import annotations

import asyncio
import html
import re
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from email.message import EmailMessage
from email.policy import SMTP as WIRE
from email.utils import formatdate, make_msgid, parseaddr
from typing import Any

import aiosmtplib

from tocsin.channels import Form, SmtpConfig, Tools
from tocsin.domain.alert import Facts
from tocsin.domain.channel import Outcome, Receipt, Sender
from tocsin.domain.errors import Code, TocsinError
from tocsin.domain.mail_address import normal_address
from tocsin.engine.note import Note, Tone, compose, fit, one_line, shorten
from tocsin.outbound import trusted_authorities

ADDRESSES_MOST = 50
# Mail servers take more, people do not read more.
_TEXT_LONGEST = 50_000
_SUBJECT_LONGEST = 150
_REMEMBERED = 1000
_COLOURS = {Tone.BAD: "#c0392b", Tone.GOOD: "#1e8449", Tone.NEUTRAL: "#566573"}
# Replies that say that we may not send at all: the operator's matter, not the address's.
_OUR_FAULT = {530, 534, 535, 538}


class Email:
    """Config: `to`, a list of addresses; or `members`: true, which becomes addresses before it is sent."""

    name = "email"
    for_people = True
    secrets: frozenset[str] = frozenset()

    def __init__(self, relay: Relay | None, mail_from: str, public_url: str) -> None:
        self._relay = relay
        self.lacks = "" if relay else "TOCSIN_SMTP_URL"
        self._mail_from = mail_from
        self._public_url = public_url

    def check(self, config: Mapping[str, Any]) -> dict[str, Any]:
        """The config, its addresses normalised and each once. Raises TocsinError(INVALID)."""
        form = Form(config)
        if form.value("members") is True and form.value("to") is None:
            form.finish()
            return {"members": True}
        checked = {"to": _addresses(form)}
        form.finish()
        return checked

    async def send(self, config: Mapping[str, Any], alerts: Sequence[Facts]) -> Receipt:
        """One mail to all addresses; on a later attempt only to those that have not got it yet."""
        recipients = list(config.get("to", ()))
        if self._relay is None:
            return Receipt(Outcome.REFUSED, detail="not sent: no mail server is set (TOCSIN_SMTP_URL)")
        if not recipients:
            return Receipt(Outcome.REFUSED, detail="not sent: there is no address to write to")
        note = compose(alerts, self._public_url)
        try:
            message = self._message(recipients, note.headline, plain_text(note), html_text(note))
        except ValueError:
            return Receipt(Outcome.REFUSED, detail="not sent: an address is not valid")
        # The same on every attempt, so that a mail that was doubled by a crash is shown once.
        message["Message-ID"] = f"<{re.sub(r'[^A-Za-z0-9._-]', '', note.id)}@{self._domain}>"
        return await self._relay.hand_over(message, recipients)

    async def mail(self, address: str, subject: str, text: str) -> None:
        """Send a plain mail, such as a link to sign in. Raises TocsinError(UNAVAILABLE or UPSTREAM)."""
        if self._relay is None:
            raise TocsinError(Code.UNAVAILABLE, "No mail server is set (TOCSIN_SMTP_URL).")
        try:
            message = self._message([address], subject, text)
        except ValueError:
            raise TocsinError(Code.INVALID, "The mail address is not valid.") from None
        message["Message-ID"] = make_msgid(domain=self._domain)
        receipt = await self._relay.hand_over(message, [address])
        if receipt.outcome is not Outcome.DELIVERED:
            raise TocsinError(Code.UPSTREAM, f"The mail was not taken: {receipt.detail}")

    @property
    def _domain(self) -> str:
        return parseaddr(self._mail_from)[1].rpartition("@")[2]

    def _message(
        self, recipients: Sequence[str], subject: str, text: str, markup: str | None = None
    ) -> EmailMessage:
        message = EmailMessage(policy=WIRE)
        message["From"] = self._mail_from
        message["To"] = ", ".join(recipients)
        # What looks like an encoded word (RFC 2047) would be decoded when it is set, line breaks and all.
        message["Subject"] = shorten(one_line(subject).replace("=?", "= ?"), _SUBJECT_LONGEST)
        message["Date"] = formatdate(localtime=False)
        message["Auto-Submitted"] = "auto-generated"  # no holiday replies
        message.set_content(text, cte="quoted-printable")
        if markup is not None:
            message.add_alternative(markup, subtype="html", cte="quoted-printable")
        return message


class Relay:
    """The mail server, and which addresses have already got a mail that is still being tried."""

    def __init__(self, smtp: SmtpConfig) -> None:
        self._smtp = smtp
        self._tls = smtp.tls or trusted_authorities()
        self._taken: OrderedDict[str, set[str]] = OrderedDict()

    async def hand_over(self, message: EmailMessage, recipients: Sequence[str]) -> Receipt:
        """One attempt. An address that the server refuses for ever does not keep the others waiting."""
        message_id = str(message["Message-ID"])
        taken = self._taken.pop(message_id, set())
        waiting = [one for one in recipients if one not in taken]
        try:
            async with asyncio.timeout(self._smtp.timeout_seconds):
                refusals = await self._transfer(message, waiting)
        except (aiosmtplib.SMTPException, OSError) as error:
            receipt = _failure(error, self._smtp.timeout_seconds)
        else:
            taken |= set(waiting) - refusals.keys()
            receipt = _verdict(refusals, len(taken), len(recipients))
        if receipt.outcome is Outcome.RETRY and taken:
            self._taken[message_id] = taken
            if len(self._taken) > _REMEMBERED:
                self._taken.popitem(last=False)
        return receipt

    async def _transfer(self, message: EmailMessage, recipients: Sequence[str]) -> dict[str, tuple[int, str]]:
        """Give the message to the server; the addresses that it refused, with its replies."""
        smtp = self._smtp
        connection = aiosmtplib.SMTP(
            hostname=smtp.host,
            port=smtp.port,
            username=smtp.username,
            password=smtp.password,
            use_tls=smtp.implicit_tls,
            start_tls=False if smtp.implicit_tls else None,
            tls_context=self._tls,
            timeout=smtp.timeout_seconds,
        )
        sender = parseaddr(str(message["From"]))[1]
        async with connection:
            try:
                refused, _ = await connection.sendmail(sender, list(recipients), bytes(message))
            except aiosmtplib.SMTPRecipientsRefused as error:
                return {one.recipient: (one.code, one.message) for one in error.recipients}
        return {address: (reply.code, reply.message) for address, reply in refused.items()}


def build(tools: Tools) -> Sender:
    """The sender of this kind; it refuses to send where no mail server is set."""
    return Email(Relay(tools.smtp) if tools.smtp else None, tools.mail_from, tools.public_url)


def plain_text(note: Note) -> str:
    """The mail for those who read text."""
    width = max((len(label) for label, _ in note.details), default=0) + 1
    blocks = [
        note.headline + ".",
        "\n".join(fit(note.sentences, _TEXT_LONGEST)),
        "\n".join(f"{label + ':':<{width}} {value}" for label, value in note.details),
        "\n".join(["Last pings:", *(f"  {line}" for line in note.pings)]) if note.pings else "",
        f"Open in Tocsin: {note.url}",
    ]
    return "\n\n".join(block for block in blocks if block) + "\n"


def html_text(note: Note) -> str:
    """The mail for those who read HTML; everything in it is escaped."""
    escaped = [html.escape(one) for one in fit(note.sentences, _TEXT_LONGEST)]
    details = "".join(
        f'<tr><td style="padding:2px 12px 2px 0;color:#566573">{html.escape(label)}</td>'
        f"<td>{html.escape(value)}</td></tr>"
        for label, value in note.details
    )
    pings = "<br>".join(html.escape(line) for line in note.pings)
    return "\n".join(
        [
            '<div style="font-family:sans-serif;max-width:40em">',
            f'<h2 style="color:{_COLOURS[note.tone]}">{html.escape(note.headline)}</h2>',
            *(f"<p>{one}</p>" for one in escaped),
            *([f"<table>{details}</table>"] if details else []),
            *([f"<p>Last pings:</p><pre>{pings}</pre>"] if pings else []),
            f'<p><a href="{html.escape(note.url)}">Open in Tocsin</a></p>',
            "</div>",
        ]
    )


def _addresses(form: Form) -> list[str]:
    given = form.value("to")
    addresses = [given] if isinstance(given, str) else given
    if not isinstance(addresses, list) or not addresses:
        form.fault("to", "must be a list of mail addresses")
        return []
    if len(addresses) > ADDRESSES_MOST:
        form.fault("to", f"must have at most {ADDRESSES_MOST} addresses")
    checked = [_address(one, form) for one in addresses[:ADDRESSES_MOST]]
    return list(dict.fromkeys(checked))


def _address(given: object, form: Form) -> str:
    address = normal_address(str(given))
    if address is None:
        form.fault("to", f"{shorten(one_line(str(given)), 100)} is not a mail address")
    return address or ""


def _failure(error: Exception, limit_seconds: float) -> Receipt:
    """What becomes of a mail that the server did not answer for, or refused as a whole."""
    if isinstance(error, TimeoutError):
        return Receipt(Outcome.RETRY, detail=f"the mail server did not answer within {limit_seconds:g} s")
    if not isinstance(error, aiosmtplib.SMTPResponseException):
        return Receipt(Outcome.RETRY, detail=f"no mail server: {shorten(one_line(str(error)), 200)}")
    says = _says(error.code, error.message)
    if isinstance(error, aiosmtplib.SMTPAuthenticationError) or error.code in _OUR_FAULT:
        return Receipt(Outcome.RETRY, error.code, f"the mail server does not let Tocsin send: {says}")
    is_permanent = error.code >= 500 and not isinstance(error, aiosmtplib.SMTPConnectResponseError)
    return Receipt(Outcome.REFUSED if is_permanent else Outcome.RETRY, error.code, says)


def _verdict(refusals: Mapping[str, tuple[int, str]], taken: int, in_all: int) -> Receipt:
    """What becomes of a mail that some addresses may have refused. Replies of 4yz are worth another try."""
    if not refusals:
        return Receipt(Outcome.DELIVERED, 250, "taken by the mail server")
    says = "; ".join(f"{address}: {_says(*reply)}" for address, reply in refusals.items())
    detail = shorten(f"taken for {taken} of {in_all}; {says}" if taken else says, 500)
    code = min(code for code, _ in refusals.values())
    if code < 500:
        return Receipt(Outcome.RETRY, code, detail)
    return Receipt(Outcome.DELIVERED if taken else Outcome.REFUSED, code, detail)


def _says(code: int, text: str) -> str:
    return f"{code} {shorten(one_line(text), 200)}"

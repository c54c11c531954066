"""One-time links: random, remembered by their hash, short-lived, used once, and mailed after the commit."""

from __future__ import annotations

from dataclasses import dataclass

import structlog
from sqlalchemy import Connection

from tocsin.domain.monitor import SECOND
from tocsin.engine.manage.credentials import digest, new_secret
from tocsin.engine.manage.desk import Desk, not_found
from tocsin.store import accounts
from tocsin.store.accounts import Link

LASTS = 30 * 60 * SECOND
AGAIN_AFTER = 5 * 60 * SECOND  # nobody's mail box is filled by asking again and again

SETUP = "setup"
SIGN_IN = "sign-in"
RECOVER = "recover"  # followed by ":" and the dialect
CONFIRM = "confirm"  # followed by ":" and the project's id
VERIFY_CHANNEL = "verify-channel"

_LETTERS = {
    SIGN_IN: ("Sign in to Tocsin", "Open this address to sign in:"),
    RECOVER: (
        "Your Tocsin account",
        (
            "Somebody, probably you, asked for an account for this address, which has one already.\n"
            "Open this address to get a new API key for it:"
        ),
    ),
    CONFIRM: (
        "Confirm your address",
        (
            "Somebody, probably you, made a Tocsin account with this address.\n"
            "Open this address to have alerts sent here:"
        ),
    ),
    VERIFY_CHANNEL: (
        "Alerts from Tocsin",
        (
            "Somebody, probably you, wants alerts about jobs to be sent to this address.\n"
            "Open this address to agree:"
        ),
    ),
}

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Letter:
    """A mail with a link, to be posted once its transaction is committed."""

    to: str
    subject: str
    text: str


class Links(Desk):
    """What the nouns share that hand out links."""

    def _make_link(self, connection: Connection, link: Link, now: int) -> str:
        """A new link's address."""
        return self._tools.addresses.page(make_link(connection, link, now))

    def _write_letter(self, connection: Connection, to: str, link: Link, now: int) -> Letter | None:
        """A letter with a new link; None where no mail is sent here, or one like it was sent just now."""
        recent = now + LASTS - AGAIN_AFTER
        if self._tools.mail is None or accounts.has_link_since(connection, link, recent):
            return None
        subject, text = _LETTERS[purpose_of(link)]
        address = self._make_link(connection, link, now)
        closing = "The link works once, for 30 minutes. If it was not you, do nothing."
        return Letter(to, subject, f"{text}\n\n{address}\n\n{closing}\n")

    def _post(self, letter: Letter | None) -> None:
        """Send a letter behind the caller's back: how long it takes must not tell who has an account."""
        if letter is not None:
            self._run_errand(self._send(letter))

    async def _send(self, letter: Letter) -> None:
        if self._tools.mail is None:
            return
        try:
            await self._tools.mail(letter.to, letter.subject, letter.text)
        except Exception:  # whoever waits for it can ask again
            log.exception("letter_not_sent", subject=letter.subject)


def make_link(connection: Connection, link: Link, now: int) -> str:
    """A new link: its path."""
    raw = new_secret()
    accounts.purge(connection, now)
    accounts.add_link(connection, digest(raw), link, now + LASTS)
    return f"/link/{raw}"


def purpose_of(link: Link) -> str:
    """What a link is for, without what it is about."""
    return link.purpose.partition(":")[0]


def subject_of(link: Link) -> str:
    """What a link is about: a dialect or a project's id."""
    return link.purpose.partition(":")[2]


def use_link(connection: Connection, raw: str, now: int, *purposes: str) -> Link:
    """Take a link's force. NOT_FOUND where it has none, or not for any of these purposes."""
    link = accounts.use_link(connection, digest(raw), now)
    if link is None or purpose_of(link) not in purposes:
        raise not_found("link: it was used, or is older than 30 minutes")
    return link

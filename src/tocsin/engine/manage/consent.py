"""Whether those agree whose mailboxes a channel names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection

from tocsin.engine.manage.desk import not_found
from tocsin.engine.manage.links import AGAIN_AFTER, LASTS, VERIFY_CHANNEL, Letter, Links, subject_of
from tocsin.store import accounts, channels
from tocsin.store.accounts import Link
from tocsin.store.channels import ChannelRow

MOST_LETTERS = 5  # to one address, whoever asks, in the time after which one is asked again
MAIL = "email"


class Consent(Links):
    """What channels and the links to them share."""

    def _sealed(self, kind: str, config: Mapping[str, Any]) -> dict[str, str]:
        vault = self._tools.vault
        return {"config": vault.seal(config), "fingerprint": vault.fingerprint(kind, config)}

    def _open(self, row: ChannelRow) -> dict[str, Any]:
        return self._tools.vault.open(row.config)

    def _ask(self, connection: Connection, row: ChannelRow, index: int, now: int) -> Letter | None:
        """A letter to the owner of an address of a mail channel that is not verified; they are asked one
        after another. The link is about this very config: it does not verify what is typed later. None where
        no address is left, or its owner was asked often enough."""
        addresses = self._unasked(row, index)
        if not addresses:
            return None
        mailbox = self._tools.vault.fingerprint(MAIL, {"to": [addresses[0].lower()]})
        if accounts.count_links(connection, f":{mailbox}", now + LASTS - AGAIN_AFTER) >= MOST_LETTERS:
            return None
        link = Link(f"{VERIFY_CHANNEL}:{index}:{row.fingerprint}:{mailbox}", None, row.id)
        return self._write_letter(connection, addresses[0], link, now)

    def _unasked(self, row: ChannelRow, index: int) -> Sequence[str]:
        """The addresses from `index` on of a mail channel that is not verified."""
        addresses = self._open(row).get("to", ()) if row.kind == MAIL and row.verified_at is None else ()
        return tuple(addresses)[index:]

    def _verify(self, connection: Connection, link: Link, now: int) -> Letter | None:
        """What a link of a mail channel does: ask the next address, or be done."""
        index, fingerprint, _ = subject_of(link).split(":")
        row = channels.get_all(connection, [link.channel_id or 0]).get(link.channel_id or 0)
        if row is None or row.fingerprint != fingerprint:
            raise not_found("channel any more")
        if self._unasked(row, int(index) + 1):
            return self._ask(connection, row, int(index) + 1, now)
        channels.change(connection, row.id, {"verified_at": now, "updated_at": now})
        return None

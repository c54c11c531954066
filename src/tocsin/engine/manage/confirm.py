"""Links by which people agree to be told."""

from __future__ import annotations

from sqlalchemy import Connection

from tocsin.engine.manage.accounts import Accounts, account_of
from tocsin.engine.manage.channels import Channels
from tocsin.engine.manage.consent import MAIL
from tocsin.engine.manage.links import CONFIRM, VERIFY_CHANNEL, Letter, purpose_of, subject_of, use_link
from tocsin.store import accounts, channels, projects


class Confirm(Accounts, Channels):
    """The use case that is about accounts and channels alike."""

    async def confirm(self, raw: str) -> None:
        """Use a link of purpose "confirm" (an account's address) or "verify-channel". NOT_FOUND for a link
        without force."""
        now = self._now()

        def use(connection: Connection) -> Letter | None:
            link = use_link(connection, raw, now, CONFIRM, VERIFY_CHANNEL)
            if purpose_of(link) == VERIFY_CHANNEL:
                return self._verify(connection, link, now)
            account = account_of(connection, link)
            accounts.verify(connection, account.id, now)
            project_id = int(subject_of(link))
            projects.want_alerts(connection, account.id, project_id)
            self._verify_mailbox(connection, project_id, account.email, now)
            return None

        self._post(await self._tools.store.write(use))

    def _verify_mailbox(self, connection: Connection, project_id: int, address: str, now: int) -> None:
        """What monitors of this project send to the same address needs no link of its own."""
        fingerprint = self._tools.vault.fingerprint(MAIL, {"to": [address]})
        found = channels.find_hidden(connection, project_id, fingerprint)
        if found is not None:
            channels.change(connection, found, {"verified_at": now, "updated_at": now})

"""A monitor's own mail and webhook: hidden channels, one for each address that a project uses."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from tocsin.domain.errors import TocsinError
from tocsin.domain.project import Actor
from tocsin.domain.record import MASK, NO_CHANNELS, ChannelView, Monitor, Targets
from tocsin.engine.manage.channels import Channels
from tocsin.engine.manage.credentials import new_uid
from tocsin.engine.manage.form import LONGEST_URL, Form
from tocsin.engine.manage.links import Letter
from tocsin.engine.owners import MEMBERS, members_channel
from tocsin.store import channels, projects

MAIL = "email"
WEBHOOK = "webhook"
HOUSE = "house"
FEW = 20
_WEBHOOK_FIELDS = {"url": "webhook_url", "format": "webhook_format", "secret": "webhook_secret"}

Config = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Own:
    """Checked configs of a monitor's own channels; None: it has none of the kind."""

    mail: Config | None = None
    webhook: Config | None = None


class OwnChannels(Channels):
    """What monitors share that have a mail or a webhook of their own."""

    async def targets(self, actor: Actor, monitors: Sequence[Monitor]) -> list[Targets]:
        """The monitors' own mail and webhook, opened, in their order."""
        ids = {each for one in monitors for each in (one.mail_channel_id, one.webhook_channel_id) if each}

        def read(connection: Connection) -> dict[int, Config]:
            # Opened here, beside the event loop if there are many: of thousands it takes half a second.
            rows = channels.get_all(connection, ids)
            mine = {each: row for each, row in rows.items() if row.project_id == actor.project_id}
            return {each: self._tools.vault.open(row.config) for each, row in mine.items()}

        configs = await self._tools.store.read(read, is_short=len(ids) <= FEW)
        return [_targets(one, configs) for one in monitors]

    async def channels_of(self, actor: Actor, monitors: Sequence[Monitor]) -> list[list[ChannelView]]:
        """The monitors' explicit channels, in their order, each by ascending id."""
        if all(one.channel_text == NO_CHANNELS for one in monitors):
            return [[] for _ in monitors]
        views = {view.id: view for view in await self.channels(actor)}
        return [[views[each] for each in sorted(one.channel_ids) if each in views] for one in monitors]

    async def _own_webhook(
        self, actor: Actor, monitor: Monitor, changes: Mapping[str, Any]
    ) -> dict[str, Any]:
        """The monitor's own webhook, as the fields it was made with, under `changes`. The masked address, as
        people read it, means the one that is stored."""
        ids = [monitor.webhook_channel_id] if monitor.webhook_channel_id else []
        rows = await self._tools.store.read(lambda connection: channels.get_all(connection, ids))
        stored = {
            field: config.get(name)
            for row in rows.values()
            if row.project_id == actor.project_id and (config := self._tools.vault.open(row.config))
            for name, field in _WEBHOOK_FIELDS.items()
        }
        shown = Targets(webhook_url=stored.get("webhook_url")).masked_webhook_url
        is_same = shown is not None and changes.get("webhook_url") == shown
        return {**stored, **changes, **({"webhook_url": stored["webhook_url"]} if is_same else {})}

    async def _read_own(self, form: Form, actor: Actor, given: Mapping[str, Any]) -> Own:
        """Check the fields of `mail` and the webhook, destinations included."""
        mail = self._read_mail(form, given["mail"]) if "mail" in given else None
        webhook = None
        if given.get("webhook_url") is not None:
            webhook = await self._read_webhook(form, given)
        elif given.get("webhook_secret") is not None or given.get("webhook_format", HOUSE) != HOUSE:
            form.refuse("webhook_url", "A webhook's format and secret need its address.")
        for kind, config in ((MAIL, mail), (WEBHOOK, webhook)):
            if config is not None:
                self._may_use(actor, kind)
        return Own(mail, webhook)

    def _read_mail(self, form: Form, value: Any) -> Config | None:
        if value == "none":
            return None
        if value == "members":
            return MEMBERS
        address = form.address("mail", value)
        return {"to": [address]}

    async def _read_webhook(self, form: Form, given: Mapping[str, Any]) -> Config | None:
        url = form.text("webhook_url", given["webhook_url"], 1, LONGEST_URL)
        config: dict[str, Any] = {"url": url, "format": given.get("webhook_format", HOUSE)}
        if given.get("webhook_secret") is not None:
            config["secret"] = given["webhook_secret"]
        if MASK in url:
            form.refuse("webhook_url", f"{MASK} stands for what is hidden: the whole address is needed.")
        if form.problems.keys() & _WEBHOOK_FIELDS.values():
            return None
        try:
            checked = self._tools.kinds[WEBHOOK].check(config)
            await self._tools.check_url(checked["url"])
        except TocsinError as error:
            form.adopt(error, "webhook_url", _WEBHOOK_FIELDS)
            return None
        return checked

    def _own_columns(
        self, connection: Connection, project_id: int, own: Own, given: Collection[str], now: int
    ) -> dict[str, int | None]:
        """The monitor's columns for its own channels, of those that were `given`; found or made."""
        columns: dict[str, int | None] = {}
        if "mail" in given:
            columns["mail_channel_id"] = self._hidden(connection, project_id, MAIL, own.mail, now)
        if "webhook_url" in given:
            columns["webhook_channel_id"] = self._hidden(connection, project_id, WEBHOOK, own.webhook, now)
        return columns

    def _hidden(
        self, connection: Connection, project_id: int, kind: str, config: Config | None, now: int
    ) -> int | None:
        if config is None:
            return None
        if config == MEMBERS:
            return members_channel(connection, project_id, self._tools.vault.seal(config), now)
        fingerprint = self._tools.vault.fingerprint(kind, config)
        found = channels.find_hidden(connection, project_id, fingerprint)
        if found is not None:
            # Whoever names it anew wants it tried anew.
            channels.enable(connection, found, now)
            return found
        is_trusted = kind != MAIL or self._is_trusted(connection, project_id, config["to"][0])
        values = {
            "uid": new_uid(),
            "project_id": project_id,
            "kind": kind,
            "label": kind,
            "config": self._tools.vault.seal(config),
            "fingerprint": fingerprint,
            "hidden": True,
            "verified_at": now if is_trusted else None,
            "created_at": now,
            "updated_at": now,
        }
        return channels.add(connection, values)

    def _is_trusted(self, connection: Connection, project_id: int, address: str) -> bool:
        """Whether mail may go there at once. Where anybody can sign up, a mailbox is first asked, unless it
        is a member's who was asked before; where sign-up is closed, whoever runs the server let them in."""
        return not self._tools.signup_open or projects.has_verified_member(
            connection, project_id, address.lower()
        )

    async def _ask_mailboxes(self, monitors: Iterable[Monitor]) -> None:
        """Mail a link to the monitors' own mailboxes that are not verified; nothing is told there before."""
        ids = {one.mail_channel_id for one in monitors if one.mail_channel_id}
        if not (self._tools.signup_open and ids):
            return
        now = self._now()

        def ask(connection: Connection) -> list[Letter | None]:
            rows = channels.get_all(connection, ids).values()
            return [self._ask(connection, row, 0, now) for row in rows]

        for letter in await self._tools.store.write(ask):
            self._post(letter)


def _targets(monitor: Monitor, configs: Mapping[int, Config]) -> Targets:
    mail = configs.get(monitor.mail_channel_id or 0)
    webhook = configs.get(monitor.webhook_channel_id or 0, {})
    return Targets(
        mail=_mail(mail),
        webhook_url=webhook.get("url"),
        webhook_format=webhook.get("format", HOUSE),
        webhook_has_secret="secret" in webhook,
    )


def _mail(config: Config | None) -> str:
    if config is None:
        return "none"
    return "members" if config.get("members") else str(config["to"][0])

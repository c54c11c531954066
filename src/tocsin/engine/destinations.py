"""Where channels lead: their sealed settings are opened here, when something is to be sent, and only here."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from functools import lru_cache
from typing import Any, Protocol
from urllib.parse import urlsplit

from sqlalchemy import Connection

from tocsin.domain.channel import Sender
from tocsin.engine.lanes import Destination
from tocsin.store import channels
from tocsin.store.channels import ChannelRow
from tocsin.store.routing import MAIL, member_addresses
from tocsin.store.vault import VaultError

OPENED = 2_000
REMEMBERED_HOSTS = 100_000


class Opener(Protocol):
    """store.vault.Vault, as far as it is needed here."""

    def open(self, text: str) -> dict[str, Any]:
        """What was sealed. VaultError where the key does not fit."""


class Destinations:
    """Reads channels, and remembers the hosts that they lead to."""

    def __init__(self, vault: Opener, senders: Mapping[str, Sender]) -> None:
        # A storm sends thousands of alerts on a few channels.
        self._open = lru_cache(maxsize=OPENED)(vault.open)
        self._senders = senders
        self._hosts: dict[int, str] = {}

    def host(self, channel_id: int) -> str | None:
        """The host that a channel led to when it was last read, if that is remembered."""
        return self._hosts.get(channel_id)

    def is_for_people(self, kind: str) -> bool:
        """Whether a flood on such a channel becomes digests."""
        return kind in self._senders and self._senders[kind].for_people

    def read(self, connection: Connection, channel_ids: Collection[int]) -> dict[int, Destination]:
        """Where these channels lead; deleted ones are missing."""
        rows = channels.get_all(connection, channel_ids)
        found = _with_members(connection, {each: self._destination(row) for each, row in rows.items()})
        if len(self._hosts) > REMEMBERED_HOSTS:
            self._hosts.clear()
        self._hosts.update({each: destination.host for each, destination in found.items()})
        return found

    def _destination(self, row: ChannelRow) -> Destination:
        if row.kind not in self._senders:
            return Destination(row, row.kind, {}, f"this Tocsin has no channel kind {row.kind}")
        try:
            config = self._open(row.config)
        except VaultError as error:
            return Destination(row, row.kind, {}, str(error))
        refusal = "" if row.enabled else "the channel is switched off"
        return Destination(row, _host(row.kind, config), config, refusal)


def _host(kind: str, config: Mapping[str, Any]) -> str:
    """The host of the address that a config holds; the kind where it holds none (Telegram, SMTP)."""
    for name in ("url", "webhook_url"):
        if isinstance(config.get(name), str):
            try:
                return urlsplit(config[name]).hostname or kind
            except ValueError:
                return kind
    return "smtp" if kind == MAIL else kind


def _with_members(connection: Connection, found: dict[int, Destination]) -> dict[int, Destination]:
    """Put in the addresses of a project's members where they are to be told."""
    projects = {each: one.channel.project_id for each, one in found.items() if one.config.get("members")}
    addresses = member_addresses(connection, set(projects.values()))
    for channel_id, project_id in projects.items():
        to = addresses.get(project_id, [])
        refusal = found[channel_id].refusal or ("" if to else "no verified member wants alerts")
        found[channel_id] = replace(found[channel_id], config={"to": to}, refusal=refusal)
    return found

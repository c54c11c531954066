"""The use cases on a real store, under a clock that the test turns.

office = Office(store)
actor = await office.actor("cronpeek")
monitor = await office.manage.create_monitor(actor, MonitorDraft("backup", "cronpeek"))
office.hands.pass_(3600)
"""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_network
from typing import Any, NamedTuple

from sqlalchemy import Connection, Table, func, select

from tests.engine_room import Hands
from tocsin.channels import Tools as ChannelTools
from tocsin.channels import load_senders
from tocsin.domain.monitor import Gap
from tocsin.domain.plan import PRESETS
from tocsin.domain.project import Actor
from tocsin.domain.record import Monitor
from tocsin.engine.alerts import Voice
from tocsin.engine.clock import Clock
from tocsin.engine.manage import Manage
from tocsin.engine.manage.desk import Addresses, Tools
from tocsin.engine.manage.issue import KeyWish, issue_key
from tocsin.engine.manage.monitors import MonitorDraft
from tocsin.outbound import Outbound
from tocsin.store.sqlite import SqliteStore
from tocsin.store.vault import Vault
from tocsin.web.dialect import discover, webhook_formats


class Letter(NamedTuple):
    """A mail that was sent."""

    to: str
    subject: str
    text: str

    @property
    def link(self) -> str:
        """The secret of the link in it."""
        return next(word for word in self.text.split() if "/link/" in word).rpartition("/")[2]


class Office:
    """Everything around `Manage`; nothing is replaced but the mail server and the hands of the clock.

    `means`: what channels may use besides, as the fields of their Tools.
    """

    def __init__(
        self, store: SqliteStore, *, plans: str = "hosted", signup_open: bool = False, **means: Any
    ) -> None:
        self.store = store
        self.hands = Hands()
        self.clock = Clock(lambda: self.hands.wall_at, lambda: self.hands.boot_at)
        self.vault = Vault("a key of the tests")
        self.plans = PRESETS[plans]
        self.letters: list[Letter] = []
        self.wakes = 0
        self.gaps: tuple[Gap, ...] = ()
        self.outbound = Outbound([ip_network("127.0.0.0/8")], 2.0)
        self.manage = Manage(
            Tools(
                store=store,
                clock=self.clock,
                vault=self.vault,
                kinds=load_senders(replace(self._channel_tools(), **means)),
                plans=self.plans,
                addresses=Addresses("http://tocsin"),
                check_url=self.outbound.check,
                wake=self._wake,
                voice_of=lambda: Voice("http://tocsin", None),
                mail=self._mail,
                signup_open=signup_open,
                gaps=lambda: self.gaps,
            )
        )

    async def key(self, dialect: str = "tocsin", **wish: Any) -> str:
        """A raw key, as `tocsin key create` makes it."""
        wanted = KeyWish(dialect, **{"email": "owner@example.com", **wish})
        now = self.clock.now()
        return await self.store.write(lambda connection: issue_key(connection, self.plans, wanted, now))

    async def actor(self, dialect: str = "tocsin", **wish: Any) -> Actor:
        """Who carries such a key."""
        plan = wish.pop("monitor_limit", None)
        actor = await self.manage.authenticate(await self.key(dialect, **wish), dialect)
        return actor if plan is None else replace(actor, plan=replace(actor.plan, monitor_limit=plan))

    async def monitor(self, actor: Actor, name: str = "job", **fields: Any) -> Monitor:
        """A new monitor."""
        return await self.manage.create_monitor(actor, MonitorDraft(name, actor.dialect, **fields))

    async def count(self, table: Table, *conditions: Any) -> int:
        """How many rows there are."""
        query = select(func.count()).select_from(table).where(*conditions)
        return await self.store.read(lambda connection: connection.execute(query).scalar_one())

    async def rows(self, query: Any) -> list[Any]:
        """What a query finds."""

        def read(connection: Connection) -> list[Any]:
            return list(connection.execute(query))

        return await self.store.read(read)

    async def close(self) -> None:
        """Finish what was begun."""
        await self.manage.settle()
        await self.outbound.close()

    def _channel_tools(self) -> ChannelTools:
        return ChannelTools(
            outbound=self.outbound,
            smtp=None,
            mail_from="t@localhost",
            telegram_api_base="http://127.0.0.1",
            public_url="",
            formats=webhook_formats(discover()),
        )

    def _wake(self) -> None:
        self.wakes += 1

    async def _mail(self, to: str, subject: str, text: str) -> None:
        self.letters.append(Letter(to, subject, text))

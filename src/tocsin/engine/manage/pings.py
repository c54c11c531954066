"""What was received, and what became of it."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import TypeVar

from sqlalchemy import Connection

from tocsin.domain.monitor import SECOND
from tocsin.domain.project import Actor
from tocsin.domain.record import FlipView, IncidentView, Page, PingView
from tocsin.engine.manage.desk import Desk, bounded, not_found
from tocsin.engine.manage.monitors import get_own
from tocsin.store import flips, pings

DAY = 86_400 * SECOND
MOST_STEPS = 20_000  # a filter is applied along the chain, which pruning keeps about this short

Item = TypeVar("Item", PingView, FlipView, IncidentView)


class Pings(Desk):
    """Use cases around pings, flips and incidents. All lists are newest first; a cursor is an id."""

    async def pings(
        self,
        actor: Actor,
        monitor_id: int,
        *,
        limit: int = 50,
        offset: int = 0,
        cursor: int | None = None,
        kinds: Collection[int] = (),
    ) -> Page[PingView]:
        """A monitor's pings in true order. `kinds`: domain.ping.Kind, all where empty. `total` is the kept
        ping count where nothing is filtered. NOT_FOUND."""
        oldest_at = self._oldest_at(actor)

        def read(connection: Connection) -> Page[PingView]:
            monitor = get_own(connection, actor, monitor_id)
            start = monitor.last_ping_id
            if cursor is not None:
                start = pings.before(connection, monitor_id, bounded(cursor))
            found = pings.page(
                connection,
                start,
                limit=limit + 1,
                offset=min(offset, MOST_STEPS),
                kinds=kinds,
                oldest_at=oldest_at,
                steps=MOST_STEPS,
            )
            return _page(found, limit, None if kinds else monitor.ping_count)

        return await self._tools.store.read(read)

    async def ping_body(self, actor: Actor, monitor_id: int, ping_id: int) -> bytes:
        """What a ping carried; empty where it carried nothing. NOT_FOUND."""
        oldest_at = self._oldest_at(actor)

        def read(connection: Connection) -> bytes:
            get_own(connection, actor, monitor_id)
            body = pings.body(connection, monitor_id, bounded(ping_id), oldest_at)
            if body is None:
                raise not_found("ping")
            return body

        return await self._tools.store.read(read)

    async def ping_bodies(self, actor: Actor, monitor_id: int, ping_ids: Collection[int]) -> dict[int, bytes]:
        """What some of a monitor's pings carried, by their ids; those that carried nothing are missing."""

        def read(connection: Connection) -> dict[int, bytes]:
            get_own(connection, actor, monitor_id)
            return pings.bodies(connection, monitor_id, [bounded(each) for each in ping_ids])

        return await self._tools.store.read(read)

    async def flips(
        self, actor: Actor, monitor_id: int | None = None, *, limit: int = 50, cursor: int | None = None
    ) -> Page[FlipView]:
        """Changes of status of one monitor, or of the project. NOT_FOUND."""
        return await self._history(actor, monitor_id, limit, cursor, flips.page)

    async def incidents(
        self, actor: Actor, monitor_id: int | None = None, *, limit: int = 50, cursor: int | None = None
    ) -> Page[IncidentView]:
        """Spans from a down flip to the next flip that ends it. NOT_FOUND."""
        return await self._history(actor, monitor_id, limit, cursor, flips.incidents)

    def _oldest_at(self, actor: Actor) -> int:
        """Where the history that the plan shows begins."""
        days = actor.plan.history_days
        return 0 if days is None else self._now() - days * DAY

    async def _history(
        self,
        actor: Actor,
        monitor_id: int | None,
        limit: int,
        cursor: int | None,
        query: Callable[..., list[Item]],
    ) -> Page[Item]:
        def read(connection: Connection) -> Page[Item]:
            if monitor_id is not None:
                get_own(connection, actor, monitor_id)
            below = None if cursor is None else bounded(cursor)
            found = query(connection, actor.project_id, monitor_id, limit=limit + 1, cursor=below)
            return _page(found, limit, None)

        return await self._tools.store.read(read)


def _page(found: list[Item], limit: int, total: int | None) -> Page[Item]:
    """A page of `limit`, of a list with one more if there is more."""
    items = found[:limit]
    return Page(items, total, items[-1].id if items and len(found) > limit else None)

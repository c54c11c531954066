"""What was told to whom, and with which result."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import Connection

from tocsin.domain.project import Actor
from tocsin.domain.record import NotificationView, Page
from tocsin.engine.manage.desk import Desk, bounded, not_found, sound
from tocsin.engine.manage.monitors import get_own
from tocsin.store import notifications


class Notifications(Desk):
    """Use cases around notifications, newest first; a cursor is an id."""

    async def notifications(
        self,
        actor: Actor,
        *,
        monitor_id: int | None = None,
        statuses: Collection[str] = (),
        limit: int = 50,
        cursor: int | None = None,
    ) -> Page[NotificationView]:
        """Notifications of the project, or of one monitor. NOT_FOUND."""

        def read(connection: Connection) -> list[NotificationView]:
            if monitor_id is not None:
                get_own(connection, actor, monitor_id)
            return notifications.page(
                connection,
                actor.project_id,
                monitor_id=monitor_id,
                statuses=[sound(status) for status in statuses],
                limit=bounded(limit) + 1,
                cursor=None if cursor is None else bounded(cursor),
            )

        found = await self._tools.store.read(read)
        items = found[:limit]
        return Page(items, None, items[-1].id if items and len(found) > limit else None)

    async def notification(self, actor: Actor, uid: str) -> NotificationView:
        """One, with its attempts. NOT_FOUND."""
        view = await self._tools.store.read(
            lambda connection: notifications.find(connection, actor.project_id, sound(uid))
        )
        if view is None:
            raise not_found("notification")
        return view

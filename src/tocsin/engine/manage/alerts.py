"""The alerts that a monitor has given."""

from __future__ import annotations

from sqlalchemy import Connection

from tocsin.domain.project import Actor
from tocsin.domain.record import AlertView, Page
from tocsin.engine.manage.desk import Desk, bounded
from tocsin.engine.manage.monitors import get_own
from tocsin.store import announced


class Alerts(Desk):
    """Use cases around alerts."""

    async def alerts(
        self, actor: Actor, monitor_id: int, *, limit: int = 50, offset: int = 0
    ) -> Page[AlertView]:
        """A monitor's announced flips, the last written first, each with the channels that it went to.
        NOT_FOUND."""

        def read(connection: Connection) -> Page[AlertView]:
            get_own(connection, actor, monitor_id)
            found = announced.page(connection, monitor_id, limit=limit, offset=bounded(offset))
            return Page(found, announced.count(connection, monitor_id), None)

        return await self._tools.store.read(read)

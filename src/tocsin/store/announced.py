"""Alerts as people read them: the announced flips of a monitor, and the channels that each went to."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import Connection, func, select

from tocsin.domain.record import AlertView, ToldChannel
from tocsin.store.notifications import Delivery
from tocsin.store.tables import channel, flip, notification

_ANNOUNCED = flip.c.announced.is_(True)
_WENT_OUT = notification.c.status.in_((Delivery.PENDING, Delivery.DELIVERED))


def page(connection: Connection, monitor_id: int, *, limit: int, offset: int) -> list[AlertView]:
    """A monitor's alerts, the last written first. A channel belongs to one while it is being told, and once
    it was: not where its alert is held back, was withdrawn, or failed."""
    query = select(flip.c.id, flip.c.at, flip.c.created_at, flip.c.new, flip.c.reason)
    query = query.where(flip.c.monitor_id == monitor_id, _ANNOUNCED).order_by(flip.c.id.desc())
    rows = connection.execute(query.limit(limit).offset(offset)).all()
    told = _told(connection, monitor_id, [row.id for row in rows])
    return [AlertView(*row, tuple(told.get(row.id, ()))) for row in rows]


def count(connection: Connection, monitor_id: int) -> int:
    """How many alerts a monitor has given."""
    query = select(func.count()).select_from(flip).where(flip.c.monitor_id == monitor_id, _ANNOUNCED)
    return connection.execute(query).scalar_one()


def _told(connection: Connection, monitor_id: int, flip_ids: Collection[int]) -> dict[int, list[ToldChannel]]:
    query = (
        select(notification.c.flip_id, channel.c.id, channel.c.kind, channel.c.label)
        .join(channel, channel.c.id == notification.c.channel_id)
        .where(notification.c.monitor_id == monitor_id, notification.c.flip_id.in_(flip_ids), _WENT_OUT)
        .order_by(channel.c.id)
    )
    told: dict[int, list[ToldChannel]] = {}
    for flip_id, *one in connection.execute(query):
        told.setdefault(flip_id, []).append(ToldChannel(*one))
    return told

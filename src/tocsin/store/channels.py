"""Channels; their configs are sealed, and nothing here opens them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

from sqlalchemy import Connection, bindparam, insert, select, update

from tocsin.store.tables import channel


class ChannelRow(NamedTuple):
    """A channel as it is stored."""

    id: int
    uid: str
    project_id: int
    kind: str
    label: str
    config: str
    fingerprint: str
    hidden: bool
    enabled: bool
    disabled_reason: str | None
    verified_at: int | None
    refusals: int
    created_at: int
    updated_at: int


_ROW = select(*(channel.c[name] for name in ChannelRow._fields)).where(channel.c.deleted_at.is_(None))
_SHOWN = _ROW.where(channel.c.hidden.is_(False))
_HIDDEN = (
    select(channel.c.id)
    .where(channel.c.project_id == bindparam("project_id"))
    .where(channel.c.fingerprint == bindparam("fingerprint"))
    .where(channel.c.hidden.is_(True), channel.c.deleted_at.is_(None))
    .limit(1)
)


def of_project(connection: Connection, project_id: int) -> list[ChannelRow]:
    """The project's channels but the hidden ones, oldest first."""
    rows = connection.execute(_SHOWN.where(channel.c.project_id == project_id).order_by(channel.c.id))
    return [ChannelRow._make(row) for row in rows]


def of_all(connection: Connection) -> list[ChannelRow]:
    """Every project's channels but the hidden ones, oldest first."""
    return [ChannelRow._make(row) for row in connection.execute(_SHOWN.order_by(channel.c.id))]


def find(connection: Connection, project_id: int, ref: str | int) -> ChannelRow | None:
    """One by its uid or id; hidden ones are not found."""
    column = channel.c.id if isinstance(ref, int) else channel.c.uid
    row = connection.execute(_SHOWN.where(channel.c.project_id == project_id, column == ref)).first()
    return ChannelRow._make(row) if row else None


def get_all(connection: Connection, ids: Collection[int]) -> dict[int, ChannelRow]:
    """Channels by id, hidden ones among them."""
    if not ids:
        return {}
    rows = connection.execute(_ROW.where(channel.c.id.in_(ids)))
    return {row.id: ChannelRow._make(row) for row in rows}


def find_hidden(connection: Connection, project_id: int, fingerprint: str) -> int | None:
    """The hidden channel that was made for this kind and config before."""
    values = {"project_id": project_id, "fingerprint": fingerprint}
    return connection.execute(_HIDDEN, values).scalar()


def enable(connection: Connection, channel_id: int, now: int) -> None:
    """Use a channel again that was switched off for what its receiver answered."""
    off = (channel.c.id == channel_id) & channel.c.enabled.is_(False)
    values = {"enabled": True, "disabled_reason": None, "refusals": 0, "updated_at": now}
    connection.execute(update(channel).where(off).values(values))


def add(connection: Connection, values: Mapping[str, Any]) -> int:
    """A new channel; its id."""
    new_id: int = connection.execute(insert(channel).values(values).returning(channel.c.id)).scalar_one()
    return new_id


def change(connection: Connection, channel_id: int, values: Mapping[str, Any]) -> None:
    """Change columns."""
    connection.execute(update(channel).where(channel.c.id == channel_id).values(values))

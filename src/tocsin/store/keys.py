"""Keys of the APIs, known by their hashes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from sqlalchemy import Connection, insert, select, update

from tocsin.domain.record import KeyView
from tocsin.store.tables import account, key, project

_VIEW = select(
    key.c.id,
    key.c.uid,
    key.c.dialect,
    key.c.prefix,
    key.c.label,
    key.c.read_only,
    key.c.expires_at,
    key.c.revoked_at,
    key.c.last_used_at,
    key.c.created_at,
)


class Holder(NamedTuple):
    """What a key says about who carries it."""

    key_id: int
    dialect: str
    read_only: bool
    expires_at: int | None
    last_used_at: int | None
    project_id: int
    project_uid: str
    plan: str
    project_dialect: str
    owner_id: int
    owner_email: str


_HOLDER = (
    select(
        key.c.id,
        key.c.dialect,
        key.c.read_only,
        key.c.expires_at,
        key.c.last_used_at,
        project.c.id,
        project.c.uid,
        project.c.plan,
        project.c.dialect,
        account.c.id,
        account.c.email,
    )
    .join(project, project.c.id == key.c.project_id)
    .join(account, account.c.id == project.c.owner_id)
    .where(key.c.revoked_at.is_(None), project.c.deleted_at.is_(None))
)


def holder(connection: Connection, hashed: str) -> Holder | None:
    """Who carries a key that is not revoked; whether it has expired is the caller's to judge."""
    row = connection.execute(_HOLDER.where(key.c.hash == hashed)).first()
    return Holder._make(row) if row else None


def add(connection: Connection, values: Mapping[str, Any]) -> KeyView:
    """A new key."""
    new_id = connection.execute(insert(key).values(values).returning(key.c.id)).scalar_one()
    return KeyView._make(connection.execute(_VIEW.where(key.c.id == new_id)).one())


def of_project(connection: Connection, project_id: int) -> list[KeyView]:
    """The keys that are not revoked, newest first."""
    query = _VIEW.where(key.c.project_id == project_id, key.c.revoked_at.is_(None)).order_by(key.c.id.desc())
    return [KeyView._make(row) for row in connection.execute(query)]


def all_with_project(connection: Connection) -> list[tuple[KeyView, str]]:
    """Every key that is not revoked, oldest first, each with its project's name."""
    query = _VIEW.add_columns(project.c.name).join(project, project.c.id == key.c.project_id)
    rows = connection.execute(query.where(key.c.revoked_at.is_(None)).order_by(key.c.id))
    return [(KeyView._make(row[:-1]), row[-1]) for row in rows]


def revoke(connection: Connection, uid: str, now: int, project_id: int | None = None) -> KeyView | None:
    """End a key (of that project); None where there is none that could be ended."""
    ended = update(key).where(key.c.uid == uid, key.c.revoked_at.is_(None)).values(revoked_at=now)
    if project_id is not None:
        ended = ended.where(key.c.project_id == project_id)
    if not connection.execute(ended).rowcount:
        return None
    return KeyView._make(connection.execute(_VIEW.where(key.c.uid == uid)).one())


def revoke_all(connection: Connection, project_id: int, now: int) -> None:
    """End all keys of a project."""
    ended = update(key).where(key.c.project_id == project_id, key.c.revoked_at.is_(None))
    connection.execute(ended.values(revoked_at=now))


def touch(connection: Connection, key_id: int, now: int) -> None:
    """The key was used."""
    connection.execute(update(key).where(key.c.id == key_id).values(last_used_at=now))

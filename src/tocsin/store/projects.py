"""Projects and their members."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, bindparam, insert, select, update

from tocsin.domain.project import Role
from tocsin.domain.record import ProjectView
from tocsin.store.prepared import Prepared
from tocsin.store.tables import account, member, project

_VIEW = (
    select(
        project.c.id,
        project.c.uid,
        project.c.name,
        project.c.dialect,
        project.c.owner_id,
        account.c.email,
        project.c.plan,
        project.c.alert_on_down,
        project.c.alert_on_recovery,
        project.c.monitor_count,
        project.c.created_at,
    )
    .join(account, account.c.id == project.c.owner_id)
    .where(project.c.deleted_at.is_(None))
    .order_by(project.c.id)
)
_COUNT = select(project.c.monitor_count).where(project.c.id == bindparam("project_id"))
_PREPARED_COUNT = Prepared(_COUNT)
_COUNT_LOCKED = _COUNT.with_for_update()
_ADD_COUNT = (
    update(project)
    .where(project.c.id == bindparam("counted_id"))
    .values(monitor_count=project.c.monitor_count + bindparam("change"))
)


def get(connection: Connection, project_id: int) -> ProjectView | None:
    """A project that is not deleted."""
    row = connection.execute(_VIEW.where(project.c.id == project_id)).first()
    return ProjectView._make(row) if row else None


def find(
    connection: Connection,
    *,
    uid: str | None = None,
    name: str | None = None,
    owner_id: int | None = None,
    dialect: str | None = None,
) -> ProjectView | None:
    """The oldest project with all that is given."""
    query = _VIEW.limit(1)
    if uid is not None:
        query = query.where(project.c.uid == uid)
    if name is not None:
        query = query.where(project.c.name == name)
    if owner_id is not None:
        query = query.where(project.c.owner_id == owner_id)
    if dialect is not None:
        query = query.where(project.c.dialect == dialect)
    row = connection.execute(query).first()
    return ProjectView._make(row) if row else None


def of_member(connection: Connection, account_id: int) -> list[tuple[ProjectView, Role]]:
    """The projects in which an account has a role, oldest first."""
    query = _VIEW.add_columns(member.c.role).join(member, member.c.project_id == project.c.id)
    rows = connection.execute(query.where(member.c.account_id == account_id))
    return [(ProjectView._make(row[:-1]), Role(row[-1])) for row in rows]


def add(connection: Connection, values: Mapping[str, Any], *, wants_alerts: bool) -> int:
    """A new project, whose owner becomes its member; its id."""
    new_id: int = connection.execute(insert(project).values(values).returning(project.c.id)).scalar_one()
    add_member(connection, new_id, values["owner_id"], Role.OWNER, wants_alerts=wants_alerts)
    return new_id


def add_member(
    connection: Connection, project_id: int, account_id: int, role: Role, *, wants_alerts: bool
) -> None:
    """A new member."""
    values = {"project_id": project_id, "account_id": account_id, "role": role, "wants_alerts": wants_alerts}
    connection.execute(insert(member).values(values))


def has_verified_member(connection: Connection, project_id: int, email: str) -> bool:
    """Whether a member's account, which has proved its address, has this one (in lower case)."""
    query = select(member.c.account_id).join(account, account.c.id == member.c.account_id)
    query = query.where(member.c.project_id == project_id, account.c.email == email)
    return connection.execute(query.where(account.c.verified_at.is_not(None)).limit(1)).first() is not None


def wants_alerts(connection: Connection, account_id: int, project_id: int) -> bool:
    """Whether a member has agreed to be told, or made the project by proof of the address."""
    query = select(member.c.wants_alerts)
    query = query.where(member.c.account_id == account_id, member.c.project_id == project_id)
    return bool(connection.execute(query).scalar_one_or_none())


def want_alerts(connection: Connection, account_id: int, project_id: int | None = None) -> None:
    """A member who agreed to be told, of one project or of all."""
    mine = member.c.account_id == account_id
    if project_id is not None:
        mine &= member.c.project_id == project_id
    connection.execute(update(member).where(mine).values(wants_alerts=True))


def change(connection: Connection, project_id: int, values: Mapping[str, Any]) -> None:
    """Change columns."""
    connection.execute(update(project).where(project.c.id == project_id).values(values))


def monitor_count(connection: Connection, project_id: int) -> int:
    """How many monitors the project has; kept, not counted."""
    row = _PREPARED_COUNT.first(connection, {"project_id": project_id})
    return int(row[0]) if row else 0


def lock_monitor_count(connection: Connection, project_id: int) -> int:
    """How many monitors the project has; nobody changes it before this transaction ends."""
    count: int = connection.execute(_COUNT_LOCKED, {"project_id": project_id}).scalar_one()
    return count


def add_monitor_count(connection: Connection, project_id: int, change: int) -> None:
    """Keep the count."""
    connection.execute(_ADD_COUNT, {"counted_id": project_id, "change": change})

"""The project itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection

from tocsin.domain.plan import Plans
from tocsin.domain.project import Actor
from tocsin.domain.record import ProjectView
from tocsin.engine.manage.credentials import new_uid
from tocsin.engine.manage.desk import Desk, may_write, not_found
from tocsin.engine.manage.form import LONGEST_NAME, Form
from tocsin.store import projects


class Projects(Desk):
    """Use cases around the actor's project."""

    async def project(self, actor: Actor) -> ProjectView:
        """The actor's project."""
        return await self._tools.store.read(
            lambda connection: _get(connection, actor.project_id), is_short=True
        )

    async def update_project(self, actor: Actor, changes: Mapping[str, Any]) -> ProjectView:
        """Change `name`, `alert_on_down`, `alert_on_recovery`. INVALID."""
        may_write(actor)
        values = _check(changes)

        def change(connection: Connection) -> ProjectView:
            if values:
                projects.change(connection, actor.project_id, values)
            return _get(connection, actor.project_id)

        return await self._tools.store.write(change)


def add_project(
    connection: Connection,
    plans: Plans,
    *,
    name: str,
    dialect: str,
    owner_id: int,
    now: int,
    plan: str | None = None,
    wants_alerts: bool = True,
) -> ProjectView:
    """Make a project with its owner as a member, on the dialect's default plan unless one is named."""
    values = {
        "uid": new_uid(),
        "name": name,
        "dialect": dialect,
        "owner_id": owner_id,
        "plan": plan or plans.default(dialect).name,
        "created_at": now,
    }
    return _get(connection, projects.add(connection, values, wants_alerts=wants_alerts))


def _check(changes: Mapping[str, Any]) -> dict[str, Any]:
    form = Form()
    values: dict[str, Any] = {}
    for field, value in changes.items():
        if field == "name":
            values[field] = form.text(field, value, 1, LONGEST_NAME)
        elif field in ("alert_on_down", "alert_on_recovery"):
            values[field] = form.flag(field, value)
        else:
            form.refuse(field, "There is no such field.")
    form.finish()
    return values


def _get(connection: Connection, project_id: int) -> ProjectView:
    view = projects.get(connection, project_id)
    if view is None:
        raise not_found("project")
    return view

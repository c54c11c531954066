"""Changes of status, and the spans of trouble between them."""

from __future__ import annotations

from sqlalchemy import Connection, Select, select

from tocsin.domain.monitor import Status
from tocsin.domain.record import FlipView, IncidentView
from tocsin.store.tables import flip, monitor

_END = flip.alias("end")
_FLIPS = (
    select(
        flip.c.id,
        flip.c.monitor_id,
        monitor.c.uid,
        monitor.c.name,
        flip.c.at,
        flip.c.old,
        flip.c.new,
        flip.c.reason,
        flip.c.announced,
    )
    .join(monitor, monitor.c.id == flip.c.monitor_id)
    .where(monitor.c.deleted_at.is_(None))
    .order_by(flip.c.id.desc())
)
_ENDED_AT = (
    select(_END.c.at)
    .where(_END.c.monitor_id == flip.c.monitor_id, _END.c.id > flip.c.id, _END.c.old == Status.DOWN)
    .order_by(_END.c.id)
    .limit(1)
    .scalar_subquery()
)
_INCIDENTS = (
    select(
        flip.c.id,
        flip.c.monitor_id,
        monitor.c.uid,
        monitor.c.name,
        flip.c.at,
        _ENDED_AT,
        flip.c.reason,
    )
    .join(monitor, monitor.c.id == flip.c.monitor_id)
    .where(monitor.c.deleted_at.is_(None), flip.c.new == Status.DOWN)
    .order_by(flip.c.id.desc())
)


def page(
    connection: Connection, project_id: int, monitor_id: int | None, *, limit: int, cursor: int | None
) -> list[FlipView]:
    """Flips of a project, or of one monitor whoever owns it, the last written first."""
    query = _bounded(_FLIPS, project_id, monitor_id, cursor).limit(limit)
    return [FlipView._make(row) for row in connection.execute(query)]


def incidents(
    connection: Connection, project_id: int, monitor_id: int | None, *, limit: int, cursor: int | None
) -> list[IncidentView]:
    """Down flips with the time of the flip that ended each."""
    query = _bounded(_INCIDENTS, project_id, monitor_id, cursor).limit(limit)
    return [IncidentView._make(row) for row in connection.execute(query)]


def _bounded(
    query: Select[*tuple[object, ...]], project_id: int, monitor_id: int | None, cursor: int | None
) -> Select[*tuple[object, ...]]:
    # Never both columns: the planner might take the index of the wider one.
    narrow = flip.c.project_id == project_id if monitor_id is None else flip.c.monitor_id == monitor_id
    query = query.where(narrow)
    return query if cursor is None else query.where(flip.c.id < cursor)

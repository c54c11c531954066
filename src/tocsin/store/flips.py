"""Changes of status, and the spans of trouble between them."""

from __future__ import annotations

from sqlalchemy import Connection, Select, and_, or_, select

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
# By time, then by id: a late ping may write an outage that was before one that is known.
_IS_LATER = or_(_END.c.at > flip.c.at, and_(_END.c.at == flip.c.at, _END.c.id > flip.c.id))
_ENDED_AT = (
    select(_END.c.at)
    .where(_END.c.monitor_id == flip.c.monitor_id, _IS_LATER, _END.c.old == Status.DOWN)
    .order_by(_END.c.at, _END.c.id)
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
    .order_by(flip.c.at.desc(), flip.c.id.desc())
)


def page(
    connection: Connection, project_id: int, monitor_id: int | None, *, limit: int, cursor: int | None
) -> list[FlipView]:
    """Flips of a project, or of one monitor whoever owns it, the last written first."""
    query = _narrowed(_FLIPS, project_id, monitor_id).limit(limit)
    if cursor is not None:
        query = query.where(flip.c.id < cursor)
    return [FlipView._make(row) for row in connection.execute(query)]


def incidents(
    connection: Connection, project_id: int, monitor_id: int | None, *, limit: int, cursor: int | None
) -> list[IncidentView]:
    """Down flips with the time of the flip that ended each, the latest first."""
    query = _narrowed(_INCIDENTS, project_id, monitor_id).limit(limit)
    if cursor is not None:
        last_at = select(_END.c.at).where(_END.c.id == cursor).scalar_subquery()
        query = query.where(or_(flip.c.at < last_at, and_(flip.c.at == last_at, flip.c.id < cursor)))
    return [IncidentView._make(row) for row in connection.execute(query)]


def _narrowed(
    query: Select[*tuple[object, ...]], project_id: int, monitor_id: int | None
) -> Select[*tuple[object, ...]]:
    # Never both columns: the planner might take the index of the wider one.
    narrow = flip.c.project_id == project_id if monitor_id is None else flip.c.monitor_id == monitor_id
    return query.where(narrow)

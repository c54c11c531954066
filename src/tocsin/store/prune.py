"""Old pings go, a small step at a time."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import (
    Case,
    ColumnElement,
    Connection,
    and_,
    bindparam,
    case,
    delete,
    exists,
    false,
    literal,
    or_,
    select,
    true,
)

from tocsin.domain.monitor import SECOND
from tocsin.domain.plan import History
from tocsin.store import tables
from tocsin.store.chunks import chunks
from tocsin.store.gather import Gathered

DAY = 86_400 * SECOND

_ping, _state, _monitor, _project = tables.ping, tables.monitor_state, tables.monitor, tables.project


class OldPings:
    """Finds pings whose time is over. `histories`: how long the plans of projects keep them, the first that
    fits counts (domain.plan.Plans.histories); empty where no plan limits it."""

    def __init__(self, histories: Sequence[History] = ()) -> None:
        self._step = Gathered(
            select(
                _ping.c.id,
                or_(
                    _ping.c.arrived_at < bindparam("oldest_at"),
                    _ping.c.number <= _state.c.ping_count - bindparam("keep"),
                    _state.c.monitor_id.is_(None),
                    _is_beyond(histories) if histories else false(),
                ).label("is_old"),
            )
            .outerjoin(_state, _state.c.monitor_id == _ping.c.monitor_id)
            .where(_ping.c.id > bindparam("after"))
            .order_by(_ping.c.id)
            .limit(bindparam("limit")),
            list,
        )
        self._needs_now = bool(histories)

    def find(
        self, connection: Connection, after: int, *, now: int, days: int, keep: int, limit: int
    ) -> tuple[list[int], int | None]:
        """Among the `limit` pings after the id `after`: those older than `days`, or than their project's
        plan keeps them, with `keep` newer ones of their monitor, or without a monitor. Returns their ids, and
        the last id looked at (None at the end)."""
        bounds = {"after": after, "oldest_at": now - days * DAY, "keep": keep, "limit": limit}
        rows = self._step.rows(connection, bounds | ({"now": now} if self._needs_now else {}))
        return [ping_id for ping_id, is_old in rows if is_old], max((row[0] for row in rows), default=None)


def remove(connection: Connection, ids: list[int]) -> None:
    """Delete pings and their bodies. A chain that leads to one ends there."""
    for some in chunks(ids):
        connection.execute(delete(tables.ping_body).where(tables.ping_body.c.ping_id.in_(some)))
        connection.execute(delete(_ping).where(_ping.c.id.in_(some)))


def _is_beyond(histories: Sequence[History]) -> ColumnElement[bool]:
    """Whether a ping is older than the history of its project's plan. Only pings older than the shortest one
    have their project looked up."""
    now: ColumnElement[int] = bindparam("now", type_=tables.Time)
    shortest = literal(min(one.days for one in histories if one.days is not None) * DAY, tables.Time)
    of_project = (
        exists()
        .select_from(_monitor.join(_project, _project.c.id == _monitor.c.project_id))
        .where(_monitor.c.id == _ping.c.monitor_id)
        .where(_ping.c.arrived_at < now - _history(histories))
        .correlate(_ping)
    )
    # SQLite works out both sides of an AND whose value is asked for; of a CASE it does not.
    return case((_ping.c.arrived_at < now - shortest, of_project), else_=false())


def _history(histories: Sequence[History]) -> Case[int | None]:
    """How long a project's plan keeps its pings; NULL, which nothing is older than, for no limit."""
    return case(
        *(
            (
                and_(
                    true() if one.dialect is None else _project.c.dialect == one.dialect,
                    true() if one.plan is None else _project.c.plan == one.plan,
                ),
                literal(None if one.days is None else one.days * DAY, tables.Time),
            )
            for one in histories
        )
    )

"""Stored times of the future, moved back."""

from __future__ import annotations

import orjson
from sqlalchemy import Connection, bindparam, case, select, update

from tocsin.store import tables

_STATE_TIMES = ("due_at", "deadline_at", "snoozed_until", "remind_at", "look_at")


def move_back(connection: Connection, now: int, size: int) -> None:
    """Everything planned is planned `size` microseconds earlier; a last ping that would lie ahead of the
    clock is taken as of now."""
    state = tables.monitor_state
    moved = {name: state.c[name] - size for name in _STATE_TIMES}
    for name in ("last_ping_at", "last_success_at", "since_at"):
        ahead = state.c[name] > now - size
        moved[name] = case((ahead, now - size), else_=state.c[name])
    connection.execute(update(state).values(moved))
    _move_runs(connection, size)
    connection.execute(update(tables.watch).values(look_at=tables.watch.c.look_at - size))
    notification = tables.notification
    connection.execute(
        update(notification)
        .where(notification.c.status == "pending")
        .values(next_attempt_at=notification.c.next_attempt_at - size, lease_until=None)
    )
    connection.execute(update(tables.process).values(mark_at=now - size))


def _move_runs(connection: Connection, size: int) -> None:
    """Open runs began as long ago as before, and have as long to go."""
    state = tables.monitor_state
    rows = connection.execute(select(state.c.monitor_id, state.c.runs).where(state.c.runs.is_not(None)))
    moved = [{"id": row.monitor_id, "moved": _moved(row.runs, size)} for row in rows]
    if moved:
        one = update(state).where(state.c.monitor_id == bindparam("id")).values(runs=bindparam("moved"))
        connection.execute(one, moved)


def _moved(runs: str, size: int) -> str:
    """The text of `monitor_state.runs`: ids stay, times move."""
    moved = [[run[0], *(None if at is None else at - size for at in run[1:])] for run in orjson.loads(runs)]
    return orjson.dumps(moved).decode()

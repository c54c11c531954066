"""Stored times of the future, moved back."""

from __future__ import annotations

from sqlalchemy import Connection, case, update

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
    connection.execute(update(tables.watch).values(look_at=tables.watch.c.look_at - size))
    notification = tables.notification
    connection.execute(
        update(notification)
        .where(notification.c.status == "pending")
        .values(next_attempt_at=notification.c.next_attempt_at - size, lease_until=None)
    )
    connection.execute(update(tables.process).values(mark_at=now - size))

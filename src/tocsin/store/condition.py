"""What `tocsin doctor` reads."""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import Connection, func, select

from tocsin.store.notifications import IS_DEAD
from tocsin.store.tables import notification, process, watch


class Condition(NamedTuple):
    """How the engine stands, by what it left in the database.

    `mark_at`: when a server was last alive, None where none ever was. `look_at`: the oldest deadline or
    other event that is not decided. `dead_letters`: alerts that were given up since a time.
    """

    mark_at: int | None
    look_at: int | None
    dead_letters: int


def read_condition(connection: Connection, since: int) -> Condition:
    """The condition; dead letters since then."""
    dead = select(func.count()).select_from(notification).where(IS_DEAD, notification.c.finished_at >= since)
    return Condition(
        connection.execute(select(func.max(process.c.mark_at))).scalar(),
        connection.execute(select(func.min(watch.c.look_at))).scalar(),
        connection.execute(dead).scalar_one(),
    )

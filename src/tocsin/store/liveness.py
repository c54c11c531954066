"""Rows of the ledger: processes, their marks, gaps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import Connection, func, insert, select, update

from tocsin.domain.monitor import SECOND, Gap, Reason, Status
from tocsin.store import tables

# A window of judgement is never longer than twice the longest grace.
REMEMBERED = 2 * 366 * 86_400 * SECOND


class NewGap(NamedTuple):
    """A gap to write; named as the columns are."""

    process_id: int
    from_at: int
    until_at: int
    cause: str


def last_stamp(connection: Connection) -> int:
    """The greatest stamp that was ever committed, 0 where there is none."""
    newest_ping = select(tables.ping.c.arrived_at).order_by(tables.ping.c.id.desc()).limit(1)
    mark = select(func.max(tables.process.c.mark_at))
    return max(connection.scalar(newest_ping) or 0, connection.scalar(mark) or 0)


def register(connection: Connection, node: str, now: int) -> tuple[int, list[Gap]]:
    """Add this process, and a gap for each that ended without a successor. Returns its id and all gaps."""
    process = tables.process
    unended = connection.execute(select(process.c.id, process.c.mark_at).where(process.c.ended_at.is_(None)))
    gaps = [NewGap(row.id, min(row.mark_at, now), now, "stop") for row in unended]
    connection.execute(update(process).where(process.c.ended_at.is_(None)).values(ended_at=now))
    write_gaps(connection, gaps)
    added = insert(process).values(node=node, started_at=now, mark_at=now).returning(process.c.id)
    return connection.execute(added).scalar_one(), known_gaps(connection, now)


def known_gaps(connection: Connection, now: int) -> list[Gap]:
    """The gaps that may still matter, in the order of their ends."""
    gap = tables.gap
    query = select(gap.c.from_at, gap.c.until_at).where(gap.c.until_at > now - REMEMBERED)
    return [Gap(*row) for row in connection.execute(query.order_by(gap.c.until_at, gap.c.id))]


def write_gaps(connection: Connection, gaps: Sequence[NewGap]) -> None:
    """Add gaps to the ledger."""
    if gaps:
        connection.execute(insert(tables.gap), [gap._asdict() for gap in gaps])


def write_mark(connection: Connection, process_id: int, mark_at: int) -> None:
    """Every ping that this process took before `mark_at` is committed."""
    process = tables.process
    connection.execute(update(process).where(process.c.id == process_id).values(mark_at=mark_at))


class UntoldGap(NamedTuple):
    """A gap whose notices are still to be written."""

    id: int
    gap: Gap


def untold_gaps(connection: Connection, before: int) -> list[UntoldGap]:
    """Gaps that ended before then, and that nobody was told of yet."""
    gap = tables.gap
    query = select(gap.c.id, gap.c.from_at, gap.c.until_at)
    query = query.where(gap.c.told_at.is_(None), gap.c.until_at < before).order_by(gap.c.id)
    return [UntoldGap(row.id, Gap(row.from_at, row.until_at)) for row in connection.execute(query)]


def expected_in(connection: Connection, untold: UntoldGap) -> dict[int, list[int]]:
    """By project: the monitors that were expected in the gap and have not been heard since."""
    state, monitor, gap = tables.monitor_state, tables.monitor, untold.gap
    is_open = (state.c.status == Status.UP) | (state.c.reason == Reason.UNCONFIRMED)
    query = (
        select(monitor.c.project_id, monitor.c.id)
        .join(state, state.c.monitor_id == monitor.c.id)
        .where(state.c.due_at.between(gap.from_at, gap.until_at), is_open, monitor.c.deleted_at.is_(None))
    )
    found: dict[int, list[int]] = {}
    for project_id, monitor_id in connection.execute(query):
        found.setdefault(project_id, []).append(monitor_id)
    return found


def mark_told(connection: Connection, gap_id: int, now: int) -> None:
    """The gap's notices are written."""
    connection.execute(update(tables.gap).where(tables.gap.c.id == gap_id).values(told_at=now))

"""Notifications as rows: written, withdrawn, released, read.

How they are delivered: store/outbox.py.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from enum import StrEnum
from typing import Any, NamedTuple

from msgspec import Struct, json
from msgspec.structs import replace
from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    and_,
    delete,
    func,
    literal_column,
    or_,
    select,
    update,
)

from tocsin.domain.alert import Event, Facts
from tocsin.domain.monitor import Status
from tocsin.domain.record import AttemptView, NotificationView
from tocsin.store import tables
from tocsin.store.chunks import Addition, Among, chunks
from tocsin.store.prepared import Row


class Delivery(StrEnum):
    """Where a notification stands. `held` while its monitor is snoozed; the last three are final."""

    PENDING = "pending"
    HELD = "held"
    DELIVERED = "delivered"
    FAILED = "failed"
    WITHDRAWN = "withdrawn"


_notification = tables.notification
_state = tables.monitor_state.c
# A literal, since a planner cannot match a bound value with the condition of a partial index.
PENDING: ColumnElement[str] = literal_column(f"'{Delivery.PENDING}'")
FAILED: ColumnElement[str] = literal_column(f"'{Delivery.FAILED}'")
IS_PENDING = _notification.c.status == PENDING
IS_DEAD = _notification.c.status == FAILED
_UNSENT = _notification.c.status.in_((Delivery.PENDING, Delivery.HELD))
_FINAL = _notification.c.status.in_((Delivery.DELIVERED, Delivery.FAILED, Delivery.WITHDRAWN))


class Draft(Struct, frozen=True, gc=False):
    """A notification to be written. Its facts get their id then."""

    project_id: int
    channel_id: int
    facts: Facts
    monitor_id: int | None = None
    flip_id: int | None = None
    held: bool = False


class Told(Struct, frozen=True, array_like=True, gc=False):
    """What is known of a notification about a monitor's ups and downs."""

    id: int
    monitor_id: int
    channel_id: int
    flip_id: int | None
    event: str
    status: str
    created_at: int


class OutboxSummary(NamedTuple):
    """How delivery stands. `oldest_pending_at`: when the alert that waits longest was written."""

    pending: int
    oldest_pending_at: int | None
    dead_letters: int


def _told(ids: Any) -> Select[*tuple[Any, ...]]:
    query = select(*(_notification.c[name] for name in Told.__struct_fields__))
    of_flips = or_(_notification.c.event == Event.DOWN, _notification.c.event == Event.UP)
    is_known = _notification.c.status != Delivery.WITHDRAWN
    return query.where(_notification.c.monitor_id.in_(ids), of_flips, is_known)


_TOLD = Among(_told, Told)
_ADDED = (
    "uid", "project_id", "channel_id", "monitor_id", "flip_id", "event", "facts", "status", "next_attempt_at",
    "created_at",
)  # fmt: skip
_ADDITION = Addition(_notification, _ADDED)
_ENCODER, _DECODER = json.Encoder(), json.Decoder(Facts)


def write_facts(facts: Facts) -> str:
    """Facts as the JSON that is stored."""
    return _ENCODER.encode(facts).decode()


def read_facts(text: str) -> Facts:
    """Facts from the JSON that is stored."""
    return _DECODER.decode(text)


def add(connection: Connection, drafts: Sequence[Draft], uids: Sequence[str], now: int) -> None:
    """Write notifications, in their order, one under each uid: held ones, or ones to be delivered at once."""
    if drafts:
        pairs = zip(drafts, uids, strict=True)
        _ADDITION.add(connection, [_row(draft, uid, now) for draft, uid in pairs])


def withdraw(connection: Connection, monitor_ids: Collection[int], now: int) -> None:
    """Take back what has not been sent about monitors: they were paused or deleted."""
    for some in chunks(monitor_ids):
        _withdraw(connection, _notification.c.monitor_id.in_(some), now)


def withdraw_channels(connection: Connection, channel_ids: Collection[int], now: int) -> None:
    """Take back what waits on channels: they were deleted. What is held follows when its snooze ends."""
    for some in chunks(channel_ids):
        _withdraw(connection, and_(_notification.c.channel_id.in_(some), IS_PENDING), now)


def withdraw_ids(connection: Connection, ids: Collection[int], now: int) -> None:
    """Take back these, where they have not been sent."""
    for some in chunks(ids):
        _withdraw(connection, _notification.c.id.in_(some), now)


def release(connection: Connection, ids: Collection[int], now: int) -> None:
    """Let held notifications go out."""
    for some in chunks(ids):
        these = (_notification.c.id.in_(some), _notification.c.status == Delivery.HELD)
        values = {"status": Delivery.PENDING, "next_attempt_at": now}
        connection.execute(update(_notification).where(*these).values(values))


def channels_told(
    connection: Connection, monitor_ids: Collection[int], flip_ids: Collection[int]
) -> dict[int, dict[int, str]]:
    """Monitor → channel → status of the notifications of these flips that were not withdrawn."""
    wanted = set(flip_ids)
    found: dict[int, dict[int, str]] = {}
    for one in _TOLD.rows(connection, monitor_ids):
        if one.flip_id in wanted:
            found.setdefault(one.monitor_id, {})[one.channel_id] = one.status
    return found


def read_told(connection: Connection, monitor_ids: Collection[int]) -> list[Told]:
    """Every notification of an up or a down of these monitors that was not withdrawn, oldest first."""
    return sorted(_TOLD.rows(connection, monitor_ids), key=lambda told: told.id)


def outbox_summary(connection: Connection) -> OutboxSummary:
    """How delivery stands, for /metrics, /readyz and doctor."""
    waiting = select(func.count(), func.min(_notification.c.created_at)).where(IS_PENDING)
    pending, oldest_pending_at = connection.execute(waiting).one()
    dead = select(func.count()).select_from(_notification).where(IS_DEAD)
    return OutboxSummary(pending, oldest_pending_at, connection.scalar(dead) or 0)


def page(
    connection: Connection,
    project_id: int,
    *,
    monitor_id: int | None = None,
    statuses: Collection[str] = (),
    limit: int = 50,
    cursor: int | None = None,
) -> list[NotificationView]:
    """A project's notifications, newest first; `cursor` is the id of the last one seen."""
    query = _views().where(_notification.c.project_id == project_id)
    if monitor_id is not None:
        query = query.where(_notification.c.monitor_id == monitor_id)
    if statuses:
        query = query.where(_notification.c.status.in_(statuses))
    if cursor is not None:
        query = query.where(_notification.c.id < cursor)
    rows = connection.execute(query.order_by(_notification.c.id.desc()).limit(limit))
    return [_view(row) for row in rows]


def find(connection: Connection, project_id: int, uid: str) -> NotificationView | None:
    """One notification, with its attempts, oldest first."""
    these = (_notification.c.project_id == project_id, _notification.c.uid == uid)
    row = connection.execute(_views().where(*these)).one_or_none()
    return None if row is None else _view(row, _attempts(connection, row.id))


def find_old(connection: Connection, after: int, *, before: int, limit: int) -> tuple[list[int], int | None]:
    """Among the `limit` notifications after the id `after`: the finished ones written before a time. Returns
    their ids, and the last id that was looked at (None where nothing older follows).

    Those of a monitor that is still down stay: its recovery is told where its down was (promise 4).
    """
    is_down = select(_state.monitor_id).where(
        _state.monitor_id == _notification.c.monitor_id, _state.status == Status.DOWN
    )
    may_go = and_(_FINAL, ~is_down.exists())
    query = select(_notification.c.id, _notification.c.created_at, may_go.label("may_go"))
    query = query.where(_notification.c.id > after).order_by(_notification.c.id).limit(limit)
    old = [row for row in connection.execute(query) if row.created_at < before]
    return [row.id for row in old if row.may_go], old[-1].id if old else None


def remove(connection: Connection, ids: Collection[int]) -> None:
    """Delete notifications and their attempts."""
    for some in chunks(ids):
        connection.execute(delete(tables.attempt).where(tables.attempt.c.notification_id.in_(some)))
        connection.execute(delete(_notification).where(_notification.c.id.in_(some)))


def _row(draft: Draft, uid: str, now: int) -> Row:
    # Words, not members: sqlite3 binds a plain str at once.
    status, next_at = (Delivery.HELD.value, None) if draft.held else (Delivery.PENDING.value, now)
    facts = replace(draft.facts, id=uid)
    return (
        uid,
        draft.project_id,
        draft.channel_id,
        draft.monitor_id,
        draft.flip_id,
        facts.event.value,
        write_facts(facts),
        status,
        next_at,
        now,
    )


def _withdraw(connection: Connection, condition: ColumnElement[bool], now: int) -> None:
    # The lease stays: an attempt that is under way may still end, and then says what really happened.
    values = {"status": Delivery.WITHDRAWN, "next_attempt_at": None, "finished_at": now}
    connection.execute(update(_notification).where(condition, _UNSENT).values(values))


def _views() -> Select[Any]:
    monitor, channel = tables.monitor, tables.channel
    return (
        select(
            _notification,
            monitor.c.uid.label("monitor_uid"),
            monitor.c.name.label("monitor_name"),
            channel.c.uid.label("channel_uid"),
            channel.c.kind.label("channel_kind"),
            channel.c.label.label("channel_label"),
            channel.c.hidden.label("channel_hidden"),
        )
        .join(channel, channel.c.id == _notification.c.channel_id)
        .outerjoin(monitor, monitor.c.id == _notification.c.monitor_id)
    )


def _view(row: Any, attempts: Iterable[AttemptView] = ()) -> NotificationView:
    facts = read_facts(row.facts)
    return NotificationView(
        id=row.id,
        uid=row.uid,
        event=row.event,
        status=row.status,
        message=facts.message,
        reason=facts.reason,
        at=facts.at,
        monitor_id=row.monitor_id,
        monitor_uid=row.monitor_uid,
        monitor_name=row.monitor_name,
        channel_id=row.channel_id,
        channel_uid=None if row.channel_hidden else row.channel_uid,
        channel_kind=row.channel_kind,
        channel_label=row.channel_label,
        attempts=row.attempts,
        next_attempt_at=row.next_attempt_at,
        created_at=row.created_at,
        finished_at=row.finished_at,
        attempt_list=tuple(attempts),
    )


def _attempts(connection: Connection, notification_id: int) -> list[AttemptView]:
    attempt = tables.attempt.c
    query = select(*(attempt[name] for name in AttemptView._fields))
    rows = connection.execute(query.where(attempt.notification_id == notification_id).order_by(attempt.id))
    return [AttemptView(*row) for row in rows]

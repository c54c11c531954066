"""Monitors as people see them; the engine's own way to them is store/hot."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import lru_cache
from operator import attrgetter
from typing import Any, NamedTuple

import orjson
from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    and_,
    bindparam,
    delete,
    func,
    insert,
    literal,
    or_,
    select,
    update,
)

from tocsin.domain.record import Monitor
from tocsin.store.gather import Gathered
from tocsin.store.prepared import Prepared
from tocsin.store.tables import (
    attempt,
    flip,
    monitor,
    monitor_state,
    notification,
    ping,
    ping_body,
    project,
    token,
    watch,
)

DAY = 86_400_000_000
KEPT_BY_CRONBEATS = 30 * DAY  # its published rule for a deleted job

_id = attrgetter("id")
_STORED_NAMES = {"tag_text": "tags", "channel_text": "channel_ids", "run_text": "runs"}


def _column(field: str) -> ColumnElement[Any]:
    name = _STORED_NAMES.get(field, field)
    if field == "token":
        return token.c.token
    return monitor.c[name] if name in monitor.c else monitor_state.c[name]


# Outer joins keep the planner from starting anywhere but at the list's index.
_ROWS = (
    select(*(_column(field) for field in Monitor.__struct_fields__))
    .outerjoin(monitor_state, monitor_state.c.monitor_id == monitor.c.id)
    .outerjoin(token, and_(token.c.monitor_id == monitor.c.id, token.c.dialect == monitor.c.dialect))
    .where(monitor.c.deleted_at.is_(None))
)
_SOUGHT: ColumnElement[Any] = bindparam("sought")
_OF_PROJECT = monitor.c.project_id == bindparam("project_id")
_KNOWN_TOKEN = select(token.c.monitor_id).where(
    token.c.token == _SOUGHT, token.c.dialect == bindparam("dialect")
)
_BEGINNING = _ROWS.where(monitor.c.uid >= _SOUGHT, monitor.c.uid < _SOUGHT.concat("g"))
# Made once: to build a statement costs more than to run it.
_OF_IDS = _ROWS.where(monitor.c.id.in_(bindparam("ids", expanding=True)))
_GET = Prepared(_ROWS.where(monitor.c.id == _SOUGHT))
_BY_UID = Prepared(_ROWS.where(monitor.c.uid == _SOUGHT))
_BY_PREFIX = Prepared(_BEGINNING.order_by(_OF_PROJECT.desc(), monitor.c.id).limit(1))
_BY_TOKEN = Prepared(_ROWS.where(monitor.c.id == _KNOWN_TOKEN.scalar_subquery()))
_BY_BADGE = Prepared(_ROWS.where(monitor.c.badge_key == _SOUGHT))
_BY_UNIQUE_KEY = Prepared(_ROWS.where(_OF_PROJECT, monitor.c.unique_key == _SOUGHT))
_BY_NAME = Prepared(_ROWS.where(_OF_PROJECT, monitor.c.name == _SOUGHT).order_by(monitor.c.id).limit(1))
_TOKENS = select(token.c.token).where(token.c.token.in_(bindparam("texts", expanding=True)))
_ADD = insert(monitor).returning(monitor.c.id, sort_by_parameter_order=True)
_ADD_STATE, _ADD_TOKEN = insert(monitor_state), insert(token)
_TOP = 2**62
_CHUNK = 500  # of a long list; what is decoded in one go keeps the event loop waiting


class Search(NamedTuple):
    """The filters of a list: part of the name in any case, any of the statuses, all of the tags. What late
    and snoozed mean depends on `now`."""

    text: str = ""
    statuses: frozenset[str] = frozenset()
    tags: tuple[str, ...] = ()
    now: int = 0

    @property
    def is_empty(self) -> bool:
        """Everything matches."""
        return not (self.text or self.statuses or self.tags)

    @property
    def shape(self) -> Shape:
        """What its SQL depends on."""
        return Shape(bool(self.text), self.statuses, len(self.tags))

    @property
    def values(self) -> dict[str, Any]:
        """What is bound in its SQL."""
        escaped = self.text.replace("/", "//").replace("%", "/%").replace("_", "/_")
        tags = {f"tag_{number}": f" {tag} " for number, tag in enumerate(self.tags)}
        return {"name_like": f"%{escaped}%", "now": self.now, **tags}


class Shape(NamedTuple):
    """Which filters a statement has."""

    has_text: bool
    statuses: frozenset[str]
    tag_count: int


EVERYTHING = Search()


def page(
    connection: Connection,
    project_id: int,
    *,
    limit: int,
    offset: int = 0,
    cursor: int | None = None,
    search: Search = EVERYTHING,
    total: int | None = None,
) -> list[Monitor]:
    """A project's monitors, newest first. `total`: how many match, where that is known."""
    found: list[Monitor] = []
    below = _TOP if cursor is None else cursor
    while len(found) < limit:
        size = min(_CHUNK, limit - len(found))
        bounds = {"project_id": project_id, "below": below, "limit": size}
        query, skipped = _query(search, offset, total if cursor is None else None)
        rows = query.rows(connection, {**search.values, **bounds, "offset": skipped})
        found += sorted(rows, key=_id, reverse=True)
        if len(rows) < size:
            break
        below, offset = found[-1].id, 0
    return found


def count(connection: Connection, project_id: int, search: Search) -> int:
    """How many monitors of a project match."""
    values = {**search.values, "project_id": project_id}
    total: int = connection.execute(_count(search.shape), values).scalar_one()
    return total


def of_all(
    connection: Connection, project_name: str | None, search: Search, limit: int
) -> list[tuple[Monitor, str]]:
    """Monitors of every project, or of those of that name, newest first, each with its project's name."""
    query = _ROWS.add_columns(project.c.name).join(project, project.c.id == monitor.c.project_id)
    query = query.where(*_conditions(search.shape)).order_by(monitor.c.id.desc()).limit(limit)
    if project_name is not None:
        query = query.where(project.c.name == project_name)
    return [(Monitor(*row[:-1]), row[-1]) for row in connection.execute(query, search.values)]


def get(connection: Connection, monitor_id: int) -> Monitor | None:
    """The monitor of an id, in any project."""
    return _one(connection, _GET, sought=monitor_id)


def get_all(connection: Connection, ids: Collection[int]) -> dict[int, Monitor]:
    """Monitors by id, in any project."""
    return {row.id: Monitor(*row) for row in connection.execute(_OF_IDS, {"ids": list(ids)})}


def find_by_uid(connection: Connection, uid: str) -> Monitor | None:
    """The monitor of a uid, in any project."""
    return _one(connection, _BY_UID, sought=uid)


def find_by_prefix(connection: Connection, prefix: str, project_id: int) -> Monitor | None:
    """The monitor whose uid starts with `prefix` (hex digits), one of this project first."""
    return _one(connection, _BY_PREFIX, sought=prefix, project_id=project_id)


def find_by_beginning(connection: Connection, start: str) -> list[Monitor]:
    """Up to two monitors of any project whose uids start with these hex digits."""
    return [Monitor(*row) for row in connection.execute(_BEGINNING.limit(2), {"sought": start})]


def find_by_token(connection: Connection, text: str, dialect: str) -> Monitor | None:
    """The monitor that a token of this dialect leads to, in any project."""
    return _one(connection, _BY_TOKEN, sought=text, dialect=dialect)


def find_by_badge(connection: Connection, badge_key: str) -> Monitor | None:
    """The monitor that a badge shows, in any project."""
    return _one(connection, _BY_BADGE, sought=badge_key)


def find_by_unique_key(connection: Connection, project_id: int, unique_key: str) -> Monitor | None:
    """The project's monitor with this `unique_key`."""
    return _one(connection, _BY_UNIQUE_KEY, sought=unique_key, project_id=project_id)


def find_by_name(connection: Connection, project_id: int, name: str) -> Monitor | None:
    """The project's oldest monitor with exactly this name."""
    return _one(connection, _BY_NAME, sought=name, project_id=project_id)


def unique_keys(connection: Connection, project_id: int, keys: Collection[str]) -> set[str]:
    """Which of these are in use."""
    if not keys:
        return set()
    query = select(monitor.c.unique_key).where(
        monitor.c.project_id == project_id, monitor.c.unique_key.in_(keys), monitor.c.deleted_at.is_(None)
    )
    return {key for key in connection.execute(query).scalars() if key is not None}


def add_all(
    connection: Connection, rows: Sequence[Mapping[str, Any]], tokens: Sequence[str], now: int
) -> list[int]:
    """New monitors, each with its state and its token; their ids, in the same order."""
    ids = list(connection.execute(_ADD, [dict(row) for row in rows]).scalars())
    connection.execute(_ADD_STATE, [{"monitor_id": each, "since_at": now} for each in ids])
    values = [
        {"token": text, "monitor_id": each, "dialect": row["dialect"]}
        for text, each, row in zip(tokens, ids, rows, strict=True)
    ]
    connection.execute(_ADD_TOKEN, values)
    return ids


def change(connection: Connection, monitor_id: int, values: Mapping[str, Any]) -> None:
    """Change columns of `monitor`."""
    connection.execute(update(monitor).where(monitor.c.id == monitor_id).values(values))


def forget_channel(connection: Connection, project_id: int, channel_id: int) -> None:
    """Take a channel out of the explicit ones of the project's monitors: those who named only this one
    tell the project's channels again, if they fan out."""
    explicit = (monitor.c.project_id == project_id) & (monitor.c.channel_ids != "[]")
    query = select(monitor.c.id, monitor.c.channel_ids).where(explicit, monitor.c.deleted_at.is_(None))
    for row in connection.execute(query).all():
        ids = orjson.loads(row.channel_ids)
        if channel_id in ids:
            left = orjson.dumps([each for each in ids if each != channel_id]).decode()
            change(connection, row.id, {"channel_ids": left})


def tokens_in_use(connection: Connection, texts: Collection[str]) -> set[str]:
    """Which of these tokens are taken."""
    return set(connection.execute(_TOKENS, {"texts": list(texts)}).scalars())


def replace_token(connection: Connection, monitor_id: int, dialect: str, text: str) -> None:
    """Give the monitor another token of this dialect; the old one is unknown from now on."""
    connection.execute(delete(token).where(token.c.monitor_id == monitor_id, token.c.dialect == dialect))
    connection.execute(insert(token).values(token=text, monitor_id=monitor_id, dialect=dialect))


def mark_deleted(connection: Connection, ids: Collection[int], now: int) -> None:
    """Out of every list, unknown to every ping, expected no more."""
    connection.execute(update(monitor).where(monitor.c.id.in_(ids)).values(deleted_at=now, updated_at=now))
    connection.execute(delete(token).where(token.c.monitor_id.in_(ids)))
    connection.execute(delete(watch).where(watch.c.monitor_id.in_(ids)))
    nothing = {"due_at": None, "deadline_at": None, "runs": None, "remind_at": None, "look_at": None}
    connection.execute(update(monitor_state).where(monitor_state.c.monitor_id.in_(ids)).values(nothing))


def purge_deleted(connection: Connection, before: int, limit: int) -> int:
    """Remove up to about `limit` rows of monitors that were deleted before then; how many it removed.

    0 means that none is left. (cronbeats keeps a deleted job for 30 days.) Call it again and again, each
    time in a transaction of its own.
    """
    query = (
        select(monitor.c.id)
        .where(monitor.c.deleted_at < before)
        .where(or_(monitor.c.dialect != "cronbeats", monitor.c.deleted_at < before - KEPT_BY_CRONBEATS))
        .order_by(monitor.c.deleted_at)
        .limit(limit)
    )
    removed = 0
    for monitor_id in connection.execute(query).scalars().all():
        if removed >= limit:
            break
        removed += _purge(connection, monitor_id, limit - removed)
    return removed


def _one(connection: Connection, query: Prepared, **values: Any) -> Monitor | None:
    row = query.first(connection, values)
    return Monitor(*row) if row else None


def _query(search: Search, offset: int, total: int | None) -> tuple[Gathered[Monitor], int]:
    """The query for a part of a list, and how many rows it has to skip: from the nearer end."""
    if not offset or not search.is_empty:
        return _list(search.shape), offset
    after = -1 if total is None else total - 1 - offset
    return (_list_from(from_end=True), after) if 0 <= after < offset else (_list_from(from_end=False), offset)


@lru_cache(maxsize=2)
def _list_from(*, from_end: bool) -> Gathered[Monitor]:
    """The list without filters, after an offset: only the list's index is read up to there, while OFFSET in
    the list itself would join every row that it skips. `from_end` counts the monitors after the first one."""
    skipped = monitor.alias("skipped")
    mine = (skipped.c.project_id == bindparam("project_id")) & skipped.c.deleted_at.is_(None)
    first = select(skipped.c.id).where(mine, skipped.c.id < bindparam("below"))
    first = first.order_by(skipped.c.id.asc() if from_end else skipped.c.id.desc())
    first = first.limit(1).offset(bindparam("offset"))
    query = _ROWS.where(_OF_PROJECT)
    query = query.where(monitor.c.id <= first.scalar_subquery()).order_by(monitor.c.id.desc())
    return Gathered(query.limit(bindparam("limit")), Monitor)


@lru_cache(maxsize=256)
def _list(shape: Shape) -> Gathered[Monitor]:
    query = _ROWS.where(_OF_PROJECT, monitor.c.id < bindparam("below"))
    query = query.where(*_conditions(shape)).order_by(monitor.c.id.desc())
    return Gathered(query.limit(bindparam("limit")).offset(bindparam("offset")), Monitor)


@lru_cache(maxsize=256)
def _count(shape: Shape) -> Select[int]:
    query = (
        select(func.count())
        .select_from(monitor)
        .join(monitor_state, monitor_state.c.monitor_id == monitor.c.id)
        .where(monitor.c.deleted_at.is_(None), monitor.c.project_id == bindparam("project_id"))
    )
    return query.where(*_conditions(shape))


def _conditions(shape: Shape) -> list[ColumnElement[bool]]:
    conditions = [_has_tag(f"tag_{number}") for number in range(shape.tag_count)]
    if shape.has_text:
        like = func.lower(bindparam("name_like"))
        conditions.append(func.lower(monitor.c.name).like(like, escape="/"))
    if shape.statuses:
        conditions.append(or_(*(_has_status(status) for status in sorted(shape.statuses))))
    return conditions


def _has_tag(parameter: str) -> ColumnElement[bool]:
    # `replace` heeds capitals on every database, LIKE does not.
    padded = literal(" ") + monitor.c.tags + literal(" ")
    return func.replace(padded, bindparam(parameter), "") != padded


def _has_status(status: str) -> ColumnElement[bool]:
    state = monitor_state.c
    now: ColumnElement[int] = bindparam("now")
    match status:
        case "late":
            return and_(state.status == "up", state.due_at <= now)
        case "up":
            return and_(state.status == "up", func.coalesce(state.due_at, _TOP) > now)
        case "running":
            return state.runs.is_not(None)
        case "snoozed":
            return state.snoozed_until > now
        case _:
            return state.status == status


def _purge(connection: Connection, monitor_id: int, limit: int) -> int:
    """One step of one monitor: what hangs on it first, the row itself once nothing does."""
    removed = _purge_pings(connection, monitor_id, limit)
    removed += _purge_flips(connection, monitor_id, max(0, limit - removed))
    removed += _purge_notifications(connection, monitor_id, max(0, limit - removed))
    if removed >= limit:
        return removed
    connection.execute(delete(monitor_state).where(monitor_state.c.monitor_id == monitor_id))
    connection.execute(delete(monitor).where(monitor.c.id == monitor_id))
    return removed + 1


def _purge_pings(connection: Connection, monitor_id: int, limit: int) -> int:
    state = monitor_state.c
    start = connection.execute(select(state.last_ping_id).where(state.monitor_id == monitor_id)).scalar()
    if start is None:
        return 0
    chain = select(ping.c.id, ping.c.prev_id, literal(1).label("step")).where(ping.c.id == start)
    walked = chain.cte("chain", recursive=True)
    older = select(ping.c.id, ping.c.prev_id, walked.c.step + 1).join(walked, ping.c.id == walked.c.prev_id)
    walked = walked.union_all(older.where(walked.c.step < limit))
    rows = connection.execute(select(walked.c.id, walked.c.prev_id).order_by(walked.c.step)).all()
    ids = [row.id for row in rows]
    for at in range(0, len(ids), 500):
        some = ids[at : at + 500]
        connection.execute(delete(ping_body).where(ping_body.c.ping_id.in_(some)))
        connection.execute(delete(ping).where(ping.c.id.in_(some)))
    head = rows[-1].prev_id if rows else None
    connection.execute(update(monitor_state).where(state.monitor_id == monitor_id).values(last_ping_id=head))
    return len(ids)


def _purge_flips(connection: Connection, monitor_id: int, limit: int) -> int:
    some = select(flip.c.id).where(flip.c.monitor_id == monitor_id).order_by(flip.c.id).limit(limit)
    return connection.execute(delete(flip).where(flip.c.id.in_(some))).rowcount


def _purge_notifications(connection: Connection, monitor_id: int, limit: int) -> int:
    query = select(notification.c.id).where(notification.c.monitor_id == monitor_id)
    ids = connection.execute(query.order_by(notification.c.id).limit(limit)).scalars().all()
    connection.execute(delete(attempt).where(attempt.c.notification_id.in_(ids)))
    connection.execute(delete(notification).where(notification.c.id.in_(ids)))
    return len(ids)

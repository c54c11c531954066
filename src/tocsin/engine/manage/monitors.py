"""Monitors: made, changed, read."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

from sqlalchemy import Connection

from tocsin.domain.errors import Code, TocsinError
from tocsin.domain.project import Actor
from tocsin.domain.record import Monitor, Page
from tocsin.engine.manage.desk import bounded, not_found, sound
from tocsin.engine.manage.targets import OwnChannels
from tocsin.store import monitors, projects

BULK_LIMIT = 1_000
SHORT_PAGE = 100
SHORT_OFFSET = 10_000
STATUSES = frozenset({"new", "up", "down", "paused", "late", "running", "snoozed"})


@dataclass(frozen=True, slots=True)
class MonitorRef:
    """How a face names a monitor. `tells_foreign`: another project's monitor is FORBIDDEN, not NOT_FOUND."""

    by: str  # id, uid, prefix, token, uuid
    value: str | int
    dialect: str = ""
    tells_foreign: bool = False

    @classmethod
    def of_id(cls, value: int) -> Self:
        """The number (cronbeats)."""
        return cls("id", value)

    @classmethod
    def of_uid(cls, value: str, *, tells_foreign: bool = False) -> Self:
        """32 hex digits (native); a UUID with dashes and capitals means the same (cronping)."""
        return cls("uid", value, tells_foreign=tells_foreign)

    @classmethod
    def of_prefix(cls, value: str, *, tells_foreign: bool = False) -> Self:
        """The first 16 hex digits of the uid (cronpeek)."""
        return cls("prefix", value, tells_foreign=tells_foreign)

    @classmethod
    def of_token(cls, value: str, dialect: str) -> Self:
        """The token, where the dialect's public id is its token (cronheart)."""
        return cls("token", value, dialect)

    @classmethod
    def of_uuid(cls, value: str, dialect: str) -> Self:
        """As `of_token`; monitors of other dialects have no such token, and go by their uid with dashes."""
        return cls("uuid", value, dialect)


@dataclass(frozen=True, slots=True)
class MonitorDraft:
    """What a face asks for; nothing of it is believed before it is checked, so numbers may be anything.

    `channel_ids`: uids of channels. `mail`: "none", "members" or an address. `webhook_format`: "house" or a
    vendor's. `slug` is made from the name where it is None. Field errors carry these names.
    """

    name: Any
    dialect: str
    schedule_kind: Any = "interval"
    schedule_expression: Any = "3600"
    timezone: Any = "UTC"
    grace_seconds: Any = 300
    longest_run_seconds: Any = None
    shortest_run_seconds: Any = None
    failures_before_alert: Any = 1
    successes_before_recovery: Any = 1
    reminder_seconds: Any = None
    tags: Any = ()
    description: Any = ""
    channel_ids: Any = ()
    fan_out: Any = True
    mail: Any = "members"
    webhook_url: Any = None
    webhook_format: Any = "house"
    webhook_secret: Any = None
    unique_key: Any = None
    slug: Any = None


@dataclass(frozen=True, slots=True)
class MonitorQuery:
    """Which monitors, newest first. `statuses` (any of): new, up, down, paused, late, running, snoozed; an
    up monitor that is late is not in `up`. `tags`: all of them. `text`: part of the name, in any case.
    `cursor` (the id of the last one seen) and `offset` exclude each other."""

    text: str = ""
    statuses: frozenset[str] = frozenset()
    tags: tuple[str, ...] = ()
    limit: int = 50
    offset: int = 0
    cursor: int | None = None
    with_total: bool = True

    @property
    def is_short(self) -> bool:
        """The index leads to it, over few rows."""
        is_filtered = self.text or self.statuses or self.tags
        return not is_filtered and self.limit <= SHORT_PAGE and self.offset <= SHORT_OFFSET


class Monitors(OwnChannels):
    """Use cases around monitors."""

    async def monitor(self, actor: Actor, ref: int | MonitorRef) -> Monitor:
        """One monitor. NOT_FOUND, or FORBIDDEN where the ref says so."""
        named = MonitorRef.of_id(ref) if isinstance(ref, int) else ref
        return await self._tools.store.read(lambda connection: _find(connection, actor, named), is_short=True)

    async def monitor_of_badge(self, badge_key: str) -> Monitor:
        """The monitor that a badge shows, to anybody who knows the key. NOT_FOUND."""
        key = sound(badge_key)
        monitor = await self._tools.store.read(
            lambda connection: monitors.find_by_badge(connection, key), is_short=True
        )
        if monitor is None:
            raise not_found("badge")
        return monitor

    async def monitors(self, actor: Actor, query: MonitorQuery) -> Page[Monitor]:
        """A page, newest first. `total` is kept, not counted, where nothing is filtered. INVALID."""
        if unknown := query.statuses - STATUSES:
            message = f"There is no status {', '.join(sorted(unknown))}."
            raise TocsinError(Code.INVALID, message, {"status": message})
        now = self._now()
        return await self._tools.store.read(
            lambda connection: _page(connection, actor, query, now), is_short=query.is_short
        )


def get_own(connection: Connection, actor: Actor, monitor_id: int) -> Monitor:
    """The actor's monitor of this id. NOT_FOUND."""
    return _find(connection, actor, MonitorRef.of_id(monitor_id))


def refuse_many(items: Sequence[object]) -> None:
    """Refuse (INVALID) more than one transaction may carry."""
    if len(items) > BULK_LIMIT:
        raise TocsinError(Code.INVALID, f"At most {BULK_LIMIT} at once.")


def _find(connection: Connection, actor: Actor, ref: MonitorRef) -> Monitor:
    monitor = _look_up(connection, actor, ref)
    if monitor is None:
        raise not_found("monitor")
    if monitor.project_id != actor.project_id:
        if ref.tells_foreign:
            raise TocsinError(Code.FORBIDDEN, "This monitor belongs to another account.")
        raise not_found("monitor")
    return monitor


def _look_up(connection: Connection, actor: Actor, ref: MonitorRef) -> Monitor | None:
    value = ref.value
    if isinstance(value, int):
        return monitors.get(connection, value) if 0 < value < 2**63 else None
    if ref.by == "token":
        return monitors.find_by_token(connection, sound(value), ref.dialect)
    if ref.by == "uuid":
        return _by_uuid(connection, sound(value).lower(), ref.dialect)
    digits = value.replace("-", "").lower()
    if not digits.isascii() or not digits.isalnum():
        return None
    if ref.by == "prefix":
        return monitors.find_by_prefix(connection, digits, actor.project_id) if len(digits) == 16 else None
    return monitors.find_by_uid(connection, digits) if len(digits) == 32 else None


def _by_uuid(connection: Connection, uuid: str, dialect: str) -> Monitor | None:
    own = monitors.find_by_token(connection, uuid, dialect)
    if own is not None or not re.fullmatch(
        "-".join(f"[0-9a-f]{{{size}}}" for size in (8, 4, 4, 4, 12)), uuid
    ):
        return own
    other = monitors.find_by_uid(connection, uuid.replace("-", ""))
    return None if other is None or other.dialect == dialect else other


def _page(connection: Connection, actor: Actor, query: MonitorQuery, now: int) -> Page[Monitor]:
    tags = tuple(sound(tag) for tag in query.tags)
    search = monitors.Search(sound(query.text), query.statuses, tags, now)
    total = _total(connection, actor.project_id, search) if query.with_total else None
    items = monitors.page(
        connection,
        actor.project_id,
        limit=query.limit + 1,
        offset=bounded(query.offset),
        cursor=None if query.cursor is None else bounded(query.cursor),
        search=search,
        total=total,
    )
    more = len(items) > query.limit
    items = items[: query.limit]
    return Page(items, total, items[-1].id if more and items else None)


def _total(connection: Connection, project_id: int, search: monitors.Search) -> int:
    if search.is_empty:
        return projects.monitor_count(connection, project_id)
    return monitors.count(connection, project_id, search)

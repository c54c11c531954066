"""Who is told (docs/delivery.md): the channels of a monitor, and the ways to a project's owners."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from itertools import chain
from typing import Any, NamedTuple

import orjson
from msgspec import Struct
from sqlalchemy import ColumnElement, Connection, Select, and_, select

from tocsin.store import tables
from tocsin.store.alerts import Watched
from tocsin.store.chunks import Among, chunks

MAIL = "email"

_channel = tables.channel.c
_USABLE = and_(_channel.enabled.is_(True), _channel.deleted_at.is_(None), _channel.verified_at.is_not(None))
_SHARED = and_(_USABLE, _channel.hidden.is_(False))


class Recipient(NamedTuple):
    """A channel that is told."""

    channel_id: int
    kind: str


class Rules(Struct, frozen=True, array_like=True, gc=False):
    """A project's rules for alerts. They may be 1 or 0, as databases have them."""

    project_id: int
    on_down: bool | int
    on_recovery: bool | int


class _Channel(Struct, array_like=True, gc=False):
    project_id: int
    id: int
    kind: str


def _rules(ids: Any) -> Select[*tuple[Any, ...]]:
    project = tables.project.c
    query = select(project.id, project.alert_on_down, project.alert_on_recovery)
    return query.where(project.id.in_(ids), project.deleted_at.is_(None))


def _among_channels(condition: ColumnElement[bool], column: ColumnElement[int]) -> Among[_Channel]:
    query = select(_channel.project_id, _channel.id, _channel.kind).where(condition)
    return Among(lambda ids: query.where(column.in_(ids)), _Channel)


_RULES = Among(_rules, Rules)
_USABLE_BY_ID = _among_channels(_USABLE, _channel.id)
_SHARED_BY_PROJECT = _among_channels(_SHARED, _channel.project_id)


def read_rules(connection: Connection, project_ids: Collection[int]) -> dict[int, Rules]:
    """The rules of the projects among these that are not deleted."""
    return {rules.project_id: rules for rules in _RULES.rows(connection, project_ids)}


def find_recipients(connection: Connection, monitors: Collection[Watched]) -> dict[int, list[Recipient]]:
    """Who is told about each monitor: its explicit channels, else with fan_out the project's; then its own
    mail and webhook. Each channel once, in that order."""
    shared = _shared(connection, {one.project_id for one in monitors if one.fan_out})
    own = {one.id: _own(one) for one in monitors}
    named = find_usable(connection, set(chain.from_iterable(own.values())))
    found = {}
    for one in monitors:
        chosen = [named[each] for each in own[one.id] if each in named]
        if one.fan_out and one.channel_ids == "[]":
            chosen = [*shared[one.project_id], *chosen]
        found[one.id] = list(dict.fromkeys(chosen))
    return found


def find_shared(connection: Connection, project_id: int, *, without: int | None = None) -> list[Recipient]:
    """The project's usable, verified channels that are not a monitor's own."""
    found = _shared(connection, {project_id})[project_id]
    return [one for one in found if one.channel_id != without]


def find_usable(connection: Connection, channel_ids: Collection[int]) -> dict[int, Recipient]:
    """Those of the channels that may be told anything, by id."""
    return {one.id: Recipient(one.id, one.kind) for one in _USABLE_BY_ID.rows(connection, channel_ids)}


def member_addresses(connection: Connection, project_ids: Collection[int]) -> dict[int, list[str]]:
    """The verified addresses of the members who want alerts, by project."""
    member, account = tables.member.c, tables.account.c
    query = (
        select(member.project_id, account.email)
        .join(tables.account, account.id == member.account_id)
        .where(member.wants_alerts.is_(True), account.verified_at.is_not(None))
        .order_by(account.id)
    )
    found: dict[int, list[str]] = {}
    for some in chunks(project_ids):
        for project_id, email in connection.execute(query.where(member.project_id.in_(some))):
            found.setdefault(project_id, []).append(email)
    return found


def _own(monitor: Watched) -> list[int]:
    explicit = [] if monitor.channel_ids == "[]" else orjson.loads(monitor.channel_ids)
    ids = (*explicit, monitor.mail_channel_id, monitor.webhook_channel_id)
    return [each for each in ids if each is not None]


def _shared(connection: Connection, project_ids: Collection[int]) -> dict[int, list[Recipient]]:
    found: dict[int, list[Recipient]] = defaultdict(list)
    for one in sorted(_SHARED_BY_PROJECT.rows(connection, project_ids), key=lambda one: one.id):
        found[one.project_id].append(Recipient(one.id, one.kind))
    return found

"""Who is told (docs/delivery.md): the channels of a monitor, and the ways to a project's owners."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable
from typing import NamedTuple

import orjson
from sqlalchemy import ColumnElement, Connection, and_, select

from tocsin.store import tables
from tocsin.store.alerts import Watched
from tocsin.store.chunks import chunks

MAIL = "email"

_channel = tables.channel.c
_USABLE = and_(_channel.enabled.is_(True), _channel.deleted_at.is_(None), _channel.verified_at.is_not(None))
_SHARED = and_(_USABLE, _channel.hidden.is_(False))


class Recipient(NamedTuple):
    """A channel that is told."""

    channel_id: int
    kind: str


class Rules(NamedTuple):
    """A project's rules for alerts."""

    on_down: bool
    on_recovery: bool


def read_rules(connection: Connection, project_ids: Collection[int]) -> dict[int, Rules]:
    """The rules of the projects among these that are not deleted."""
    project = tables.project.c
    query = select(project.id, project.alert_on_down, project.alert_on_recovery)
    query = query.where(project.deleted_at.is_(None))
    return {
        row.id: Rules(row.alert_on_down, row.alert_on_recovery)
        for some in chunks(project_ids)
        for row in connection.execute(query.where(project.id.in_(some)))
    }


def find_recipients(connection: Connection, monitors: Collection[Watched]) -> dict[int, list[Recipient]]:
    """Who is told about each monitor: its explicit channels, else with fan_out the project's; then its own
    mail and webhook. Each channel once, in that order."""
    explicit = {text: _parse(text) for text in {one.channel_ids for one in monitors}}
    shared = _shared(connection, {one.project_id for one in monitors if one.fan_out})
    named = find_usable(connection, {channel_id for one in monitors for channel_id in _own(one, explicit)})
    found = {}
    for one in monitors:
        chosen = [named[each] for each in _own(one, explicit) if each in named]
        if one.fan_out and not explicit[one.channel_ids]:
            chosen = [*shared[one.project_id], *chosen]
        found[one.id] = list(dict.fromkeys(chosen))
    return found


def find_shared(connection: Connection, project_id: int, *, without: int | None = None) -> list[Recipient]:
    """The project's usable, verified channels that are not a monitor's own."""
    found = _shared(connection, {project_id})[project_id]
    return [one for one in found if one.channel_id != without]


def find_usable(connection: Connection, channel_ids: Collection[int]) -> dict[int, Recipient]:
    """Those of the channels that may be told anything, by id."""
    rows = _read(connection, _USABLE, _channel.id, channel_ids)
    return {recipient.channel_id: recipient for _, recipient in rows}


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


def _parse(text: str) -> tuple[int, ...]:
    return () if text == "[]" else tuple(orjson.loads(text))


def _own(monitor: Watched, explicit: dict[str, tuple[int, ...]]) -> Iterable[int]:
    ids = (*explicit[monitor.channel_ids], monitor.mail_channel_id, monitor.webhook_channel_id)
    return (each for each in ids if each is not None)


def _shared(connection: Connection, project_ids: Collection[int]) -> dict[int, list[Recipient]]:
    found: dict[int, list[Recipient]] = defaultdict(list)
    for project_id, recipient in _read(connection, _SHARED, _channel.project_id, project_ids):
        found[project_id].append(recipient)
    return found


def _read(
    connection: Connection,
    condition: ColumnElement[bool],
    column: ColumnElement[int],
    ids: Collection[int],
) -> Iterable[tuple[int, Recipient]]:
    query = select(_channel.project_id, _channel.id, _channel.kind).where(condition).order_by(_channel.id)
    for some in chunks(ids):
        for project_id, channel_id, kind in connection.execute(query.where(column.in_(some))):
            yield project_id, Recipient(channel_id, kind)

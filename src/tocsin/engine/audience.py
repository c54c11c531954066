"""Who is to be told about a batch of monitors, and what they want to know: a few queries for all."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

from sqlalchemy import Connection

from tocsin.domain.alert import PingLine
from tocsin.domain.monitor import Status
from tocsin.store import alerts as rows
from tocsin.store.alerts import Watched
from tocsin.store.routing import Recipient, Rules, find_recipients, read_rules


class Audience(NamedTuple):
    """What was read, by monitor (`rules` by project). Deleted ones are missing."""

    monitors: dict[int, Watched]
    rules: dict[int, Rules]
    recipients: dict[int, list[Recipient]]
    pings: dict[int, list[PingLine]]

    def may_hear(self, monitor_id: int, status: Status) -> bool:
        """Whether anybody may be told that the monitor got this status."""
        monitor = self.monitors.get(monitor_id)
        rules = self.rules.get(monitor.project_id) if monitor else None
        if rules is None:
            return False
        return bool(rules.on_recovery if status is Status.UP else rules.on_down)


def read_audience(
    connection: Connection,
    monitor_ids: Collection[int],
    machine_kinds: frozenset[str],
    *,
    with_pings: Collection[int] = (),
) -> Audience:
    """`machine_kinds`: channel kinds that do not want the last pings; these are read for `with_pings`, and
    where any other kind is told."""
    monitors = rows.read_watched(connection, monitor_ids)
    rules = read_rules(connection, {one.project_id for one in monitors.values()})
    recipients = find_recipients(connection, monitors.values())
    told_people = {
        monitor_id
        for monitor_id, channels in recipients.items()
        if any(channel.kind not in machine_kinds for channel in channels)
    }
    return Audience(monitors, rules, recipients, rows.recent_pings(connection, told_people.union(with_pings)))

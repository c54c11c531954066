"""Which notifications are taken next: what is due, in order, for hosts that have room.

It is looked for on a reader's connection, since a long backlog must not hold up the writer, and taken on the
writer's by compare-and-set.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from sqlalchemy import Connection

from tocsin.domain.monitor import SECOND
from tocsin.engine.destinations import Destinations
from tocsin.engine.digest import Floods, Message
from tocsin.engine.lanes import Destination, Parcel, Room
from tocsin.store import notifications, outbox
from tocsin.store.outbox import Waiting

PAGE = 256
SCAN_PAGE = 1_000
MOST_ON_ONE_CHANNEL = 20_000
# Longer lists cost a query more than the rows cost that it would leave out.
MOST_CLOSED = 200
SCAN_SECONDS = 0.02
SCAN_PAUSE = SECOND // 4


class Pick(NamedTuple):
    """A message to be taken."""

    destination: Destination
    message: Message


@dataclass(slots=True)
class Plan:
    """What is to be taken. `orphans`: notifications whose channel is gone. `again_at`: when to look again
    if nothing happens until then."""

    picks: list[Pick] = field(default_factory=list)
    orphans: list[int] = field(default_factory=list)
    again_at: int | None = None

    def look_again(self, at: int | None) -> None:
        """Look again by then."""
        if at is not None and (self.again_at is None or at < self.again_at):
            self.again_at = at


class Claims:
    """Chooses notifications, and takes them."""

    def __init__(
        self, destinations: Destinations, floods: Floods, lease_seconds: Callable[[str], float]
    ) -> None:
        self._destinations = destinations
        self._floods = floods
        self._lease_seconds = lease_seconds
        self._scanned: Waiting | None = None
        self._scan_at = 0

    def look(self, connection: Connection, now: int, room: Room) -> Plan:
        """Choose what to take now, as far as there is room."""
        choosing = _Choosing(connection, now, room, self._destinations, self._floods)
        self._scan(choosing)
        choosing.plan.look_again(outbox.next_due_at(connection, now))
        for until in self._floods.held_back(now).values():
            choosing.plan.look_again(until)
        return choosing.plan

    def take(self, connection: Connection, plan: Plan, now: int) -> list[Parcel]:
        """Lease what was chosen, as far as it is still to be had."""
        notifications.withdraw_ids(connection, plan.orphans, now)
        singles: dict[int, dict[int, Destination]] = {}
        parcels = []
        for destination, message in plan.picks:
            until = now + int(self._lease_seconds(destination.channel.kind) * SECOND)
            if message.batch is None:
                singles.setdefault(until, {})[message.ids[0]] = destination
            elif leased := outbox.lease(connection, message.ids, now, until, message.batch):
                parcels.append(Parcel(destination, tuple(leased), message.batch, now, until))
        for until, wanted in singles.items():
            leased = outbox.lease(connection, wanted, now, until)
            parcels += [Parcel(wanted[item.id], (item,), None, now, until) for item in leased]
        return parcels

    def note(self, parcel: Parcel) -> None:
        """A parcel is on its way."""
        channel = parcel.destination.channel
        if self._destinations.is_for_people(channel.kind):
            message = Message(tuple(item.id for item in parcel.items), parcel.batch)
            self._floods.note(channel.id, message, parcel.leased_at)

    def _scan(self, choosing: _Choosing) -> None:
        """Look at the longest due first. Behind a backlog for hosts without room there may be work for
        others: look there too, now and then, and go on next time where this time ended."""
        page = choosing.read(None, PAGE)
        if page is None:
            return
        is_too_early = 0 < self._scan_at - choosing.now <= SCAN_PAUSE
        if is_too_early or choosing.room.in_all <= 0:
            choosing.plan.look_again(choosing.now + SCAN_PAUSE)
            return
        after = max(page, self._scanned or page, key=_place)
        ends_at = time.monotonic() + SCAN_SECONDS
        self._scan_at = choosing.now + SCAN_PAUSE
        while True:
            self._scanned = page = choosing.read(after, SCAN_PAGE)
            if page is None:
                return
            after = page
            if choosing.room.in_all <= 0 or time.monotonic() > ends_at:
                choosing.plan.look_again(self._scan_at)
                return


class _Choosing:
    """One look: what was chosen so far, and what room is left."""

    def __init__(
        self, connection: Connection, now: int, room: Room, destinations: Destinations, floods: Floods
    ) -> None:
        self.now = now
        self.room = room
        self.plan = Plan()
        self._connection = connection
        self._destinations = destinations
        self._floods = floods
        # Channels from which all that may go out has been chosen, or nothing may.
        self._closed = set(floods.held_back(now))
        for channel_id in room.full_channels:
            self._close(channel_id)

    def read(self, after: Waiting | None, limit: int) -> Waiting | None:
        """Choose from a page of what is due; the last of it, or None where nothing comes after it."""
        page = outbox.read_due(self._connection, self.now, limit, after=after, closed=self._closed)
        self._choose([one for one in page if self._may_have_room(one.channel_id)])
        return page[-1] if len(page) == limit else None

    def _choose(self, page: Collection[Waiting]) -> None:
        found = self._destinations.read(self._connection, {one.channel_id for one in page})
        people = {each: one for each, one in found.items() if self._is_for_people(one)}
        for one in page:
            if one.channel_id not in found:
                self.plan.orphans.append(one.id)
            elif one.channel_id not in people:
                self._pick(found[one.channel_id], [Message((one.id,), one.batch)])
        self._choose_for_people(people)

    def _choose_for_people(self, found: Mapping[int, Destination]) -> None:
        waiting: dict[int, list[Waiting]] = {}
        for one in outbox.read_waiting(self._connection, found, MOST_ON_ONE_CHANNEL):
            waiting.setdefault(one.channel_id, []).append(one)
        for channel_id, rows in waiting.items():
            self._pick(found[channel_id], self._floods.choose(channel_id, rows, self.now))
        self._closed |= set(found)

    def _close(self, channel_id: int) -> None:
        if len(self._closed) < MOST_CLOSED:
            self._closed.add(channel_id)

    def _pick(self, destination: Destination, messages: Iterable[Message]) -> None:
        for message in messages:
            if not destination.refusal:
                if not self.room.has(destination.host):
                    self._close(destination.channel.id)
                    return
                self.room.use(destination.host)
            self.plan.picks.append(Pick(destination, message))

    def _may_have_room(self, channel_id: int) -> bool:
        host = self._destinations.host(channel_id)
        return host is None or self.room.has(host)

    def _is_for_people(self, destination: Destination) -> bool:
        return not destination.refusal and self._destinations.is_for_people(destination.channel.kind)


def _place(one: Waiting) -> tuple[int, int]:
    return one.next_attempt_at, one.id

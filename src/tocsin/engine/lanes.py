"""What is being sent, and what is leased and waits for its turn: one lane for each host."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tocsin.store.channels import ChannelRow
from tocsin.store.outbox import Leased

# What is being sent, and twice as many that wait.
HELD = 3


@dataclass(frozen=True, slots=True)
class Destination:
    """Where a channel leads. `refusal` says why nothing can be sent there; empty where something can."""

    channel: ChannelRow
    host: str
    config: Mapping[str, Any]
    refusal: str = ""


@dataclass(frozen=True, slots=True)
class Parcel:
    """One message that this process may send until the lease ends. More than one item: a digest."""

    destination: Destination
    items: tuple[Leased, ...]
    batch: str | None
    leased_at: int
    lease_until: int


@dataclass(slots=True)
class Room:
    """How many parcels may still be taken: in all, and for each host. `full_channels`: of hosts that have
    none."""

    in_all: int
    per_host: int
    by_host: dict[str, int]
    full_channels: set[int]

    def has(self, host: str) -> bool:
        """Whether there is room for one more."""
        return self.in_all > 0 and self.by_host.get(host, self.per_host) > 0

    def use(self, host: str) -> None:
        """One more is taken."""
        self.in_all -= 1
        self.by_host[host] = self.by_host.get(host, self.per_host) - 1


@dataclass(slots=True)
class _Lane:
    active: int = 0
    waiting: deque[Parcel] = field(default_factory=deque)


class Lanes:
    """Lets so many run for each host, and so many in all; hosts take turns.

    Twice as many may wait, so that a host that answers fast is never without work while the database is
    asked for more.
    """

    def __init__(self, per_host: int, in_all: int) -> None:
        self._per_host = per_host
        self._in_all = in_all
        self._lanes: dict[str, _Lane] = {}
        self._ready: dict[str, _Lane] = {}
        self.active = 0
        self.waiting = 0

    def room(self) -> Room:
        """The room there is at this moment."""
        most = HELD * self._per_host
        by_host = {host: most - lane.active - len(lane.waiting) for host, lane in self._lanes.items()}
        full_channels = {
            parcel.destination.channel.id
            for host, lane in self._lanes.items()
            if by_host[host] <= 0
            for parcel in lane.waiting
        }
        return Room(HELD * self._in_all - self.active - self.waiting, most, by_host, full_channels)

    def add(self, parcel: Parcel) -> None:
        """Let a parcel wait for its turn."""
        host = parcel.destination.host
        lane = self._lanes.setdefault(host, _Lane())
        lane.waiting.append(parcel)
        self.waiting += 1
        self._note(host, lane)

    def take(self) -> Parcel | None:
        """The next parcel to be sent, if one may be; `done` must follow."""
        if self.active >= self._in_all or not self._ready:
            return None
        host = next(iter(self._ready))
        lane = self._ready.pop(host)
        parcel = lane.waiting.popleft()
        lane.active += 1
        self.active += 1
        self.waiting -= 1
        self._note(host, lane)
        return parcel

    def done(self, parcel: Parcel) -> None:
        """A parcel that was taken has been tried."""
        host = parcel.destination.host
        lane = self._lanes[host]
        lane.active -= 1
        self.active -= 1
        if lane.active or lane.waiting:
            self._note(host, lane)
        else:
            del self._lanes[host]

    def empty(self) -> list[Parcel]:
        """Take out all that waits."""
        parcels = [parcel for lane in self._lanes.values() for parcel in lane.waiting]
        for lane in self._lanes.values():
            lane.waiting.clear()
        self._ready.clear()
        self.waiting = 0
        return parcels

    def _note(self, host: str, lane: _Lane) -> None:
        if lane.waiting and lane.active < self._per_host:
            self._ready.setdefault(host, lane)

"""Which alerts for one person's channel go out one by one, and which as one message (docs/delivery.md).

More than `threshold` at once, or within the last ten seconds, are a flood: they are frozen into digests, at
most once in ten seconds. A digest keeps its members whatever happens, so that a retry says the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from msgspec.structs import replace

from tocsin.domain.alert import Facts
from tocsin.domain.monitor import SECOND
from tocsin.store.outbox import Waiting

# A message has to be written and read in one piece.
LARGEST = 1_000
_REMEMBERED = 1_000


class Message(NamedTuple):
    """Notifications to be sent as one message. `batch` names a digest, and is None for a single one."""

    ids: tuple[int, ...]
    batch: str | None


class Floods:
    """Remembers what was sent on people's channels in the last ten seconds."""

    def __init__(self, threshold: int, window_seconds: float) -> None:
        self._threshold = threshold
        self._window = int(window_seconds * SECOND)
        self._singles: dict[int, list[int]] = {}
        self._digest_at: dict[int, int] = {}
        self._held_back: dict[int, int] = {}

    def held_back(self, now: int) -> dict[int, int]:
        """Channels on which nothing goes out before a time, since a digest did just now."""
        # A time further away was noted before the clock was set back.
        latest = now + self._window
        self._held_back = {each: until for each, until in self._held_back.items() if now < until <= latest}
        return self._held_back

    def choose(self, channel_id: int, waiting: Iterable[Waiting], now: int) -> list[Message]:
        """What is to be sent now. `waiting`: all that waits on the channel, as it was written."""
        frozen, loose = _sort_out(waiting, now)
        messages = [Message(tuple(one.id for one in ids), batch) for batch, ids in frozen.items()]
        recent = [at for at in self._singles.get(channel_id, ()) if self._is_recent(at, now)]
        if len(recent) + len(loose) <= self._threshold:
            return [*messages, *(Message((one.id,), None) for one in _first_of_each(loose))]
        digest_at = self._digest_at.get(channel_id)
        if digest_at is not None and self._is_recent(digest_at, now):
            self._held_back[channel_id] = digest_at + self._window
            return messages
        return [*messages, *_freeze(loose)]

    def note(self, channel_id: int, message: Message, now: int) -> None:
        """A message is on its way."""
        if message.batch is not None:
            self._digest_at[channel_id] = now
        else:
            recent = [at for at in self._singles.get(channel_id, ()) if self._is_recent(at, now)]
            self._singles[channel_id] = [*recent, now]
        if len(self._singles) + len(self._digest_at) > _REMEMBERED:
            self._forget(now)

    def _is_recent(self, at: int, now: int) -> bool:
        return now - self._window < at <= now

    def _forget(self, now: int) -> None:
        singles, digests = self._singles, self._digest_at
        self._singles = {each: times for each, times in singles.items() if self._is_recent(times[-1], now)}
        self._digest_at = {each: at for each, at in digests.items() if self._is_recent(at, now)}


def _sort_out(waiting: Iterable[Waiting], now: int) -> tuple[dict[str, list[Waiting]], list[Waiting]]:
    """Digests that are due, and single ones that may go out in this order: none whose monitor has an earlier
    one that may not."""
    frozen: dict[str, list[Waiting]] = {}
    loose: list[Waiting] = []
    blocked: set[int | None] = set()
    for one in waiting:
        is_due = one.next_attempt_at <= now
        if one.batch is not None and is_due:
            frozen.setdefault(one.batch, []).append(one)
        if one.batch is None and is_due and one.monitor_id not in blocked:
            loose.append(one)
        elif one.monitor_id is not None:
            blocked.add(one.monitor_id)
    return frozen, loose


def _first_of_each(loose: Iterable[Waiting]) -> list[Waiting]:
    first: dict[int, Waiting] = {}
    for one in loose:
        # Without a monitor there is no order to keep.
        first.setdefault(-one.id if one.monitor_id is None else one.monitor_id, one)
    return list(first.values())


def _freeze(loose: Sequence[Waiting]) -> list[Message]:
    parts = [loose[start : start + LARGEST] for start in range(0, len(loose), LARGEST)]
    return [Message(tuple(one.id for one in part), part[0].uid if len(part) > 1 else None) for part in parts]


def as_sent(alerts: list[Facts], batch: str | None) -> list[Facts]:
    """The alerts of a message. The first bears the message's id, which stays when members are withdrawn."""
    if batch is None or alerts[0].id == batch:
        return alerts
    return [replace(alerts[0], id=batch), *alerts[1:]]

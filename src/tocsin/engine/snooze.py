"""What goes out when a snooze ends (docs/delivery.md). Pure."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from tocsin.domain.alert import Event
from tocsin.domain.monitor import SECOND, Status
from tocsin.store.notifications import Delivery, Told

# Nobody has to be reminded of what was said just now.
FRESH = 60 * SECOND


def held_of(told: Sequence[Told]) -> list[Told]:
    """Those that the snooze held back."""
    return [one for one in told if one.status == Delivery.HELD]


def choose_release(told: Sequence[Told], status: Status) -> int | None:
    """Which held notification of one monitor on one channel goes out, by id; the others are withdrawn.

    `told`: its ups and downs, oldest first. Still down: the last down. Recovered: the last up, if the channel
    believes the monitor to be down.
    """
    held = held_of(told)
    sent = [one for one in told if one.status != Delivery.HELD]
    if not held:
        return None
    if status is Status.DOWN:
        is_last = not sent or sent[-1].id < held[-1].id
        return held[-1].id if is_last and held[-1].event == Event.DOWN else None
    ups = [one.id for one in held if one.event == Event.UP]
    knows_of_down = bool(sent) and sent[-1].event == Event.DOWN
    return ups[-1] if status is Status.UP and ups and knows_of_down else None


def was_told_just_now(told: Sequence[Told], released: Collection[int], now: int) -> bool:
    """Whether the channel hears of the monitor anyway."""
    sent = [one for one in told if one.status != Delivery.HELD]
    return any(one.id in released for one in told) or (bool(sent) and sent[-1].created_at > now - FRESH)

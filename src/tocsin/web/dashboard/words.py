"""Times and schedules in words, for pages."""

from __future__ import annotations

from tocsin.domain.record import Monitor
from tocsin.domain.schedule import describe, parse_schedule

SECOND = 1_000_000
_UNITS = (("day", 86_400), ("hour", 3_600), ("minute", 60), ("second", 1))


def distance(at: int | None, now: int) -> str:
    """How far a time is from now: "3 minutes ago", "in 2 hours", "just now"; empty for None."""
    if at is None:
        return ""
    seconds = abs(at - now) // SECOND
    unit, size = next((each for each in _UNITS if seconds >= each[1]), ("", 0))
    if not size:
        return "just now"
    count = seconds // size
    words = f"{count} {unit}{'' if count == 1 else 's'}"
    return f"{words} ago" if at < now else f"in {words}"


def schedule_words(monitor: Monitor) -> str:
    """The schedule as a sentence, with its zone where that matters."""
    schedule = parse_schedule(monitor.schedule_kind, monitor.schedule_expression, monitor.timezone)
    words = describe(schedule)
    return words if schedule.kind == "interval" else f"{words} ({monitor.timezone})"

"""Times as the wire has them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import lru_cache

SECOND = 1_000_000
_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - all is UTC here, and an offset would be printed
_EPOCH_UTC = datetime(1970, 1, 1, tzinfo=UTC)


def iso(at: int) -> str:
    """RFC 3339 in UTC with milliseconds: 2026-03-28T02:00:12.000Z."""
    return f"{to_the_second(at)}.{at % SECOND // 1000:03d}Z"


# For times that are shown again and again, such as a monitor's creation.
iso_kept = lru_cache(maxsize=16_384)(iso)


def iso_or_none(at: int | None) -> str | None:
    """As `iso`; None stays None."""
    return None if at is None else iso(at)


def plain(at: int) -> str:
    """In UTC to the second, without saying so: 2026-03-28 02:00:12."""
    return to_the_second(at).replace("T", " ")


def plain_or_none(at: int | None) -> str | None:
    """As `plain`; None stays None."""
    return None if at is None else plain(at)


def parse_iso(text: str) -> int | None:
    """Microseconds UTC of an RFC 3339 time with an offset or Z; None for anything else."""
    try:
        moment = datetime.fromisoformat(text)
        return (moment - _EPOCH_UTC) // timedelta(microseconds=1) if moment.tzinfo else None
    except (ValueError, OverflowError):
        return None


def to_the_second(at: int) -> str:
    """In UTC to the second, without saying so: 2026-03-28T02:00:12."""
    return _second(at // SECOND)


@lru_cache(maxsize=8192)
def _second(seconds: int) -> str:
    # Remembered: pings of the same second, and jobs that are due together, share it.
    return (_EPOCH + timedelta(seconds=seconds)).isoformat()

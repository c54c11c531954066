"""Times on the command line: typed and shown."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import click

_DURATION = re.compile(r"([1-9][0-9]{0,5})([smhdw])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


class When(click.ParamType[int]):
    """A time to come: RFC 3339 (a date means its first moment in UTC), or a duration from now such as 30d."""

    name = "WHEN"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Microseconds UTC."""
        if isinstance(value, int):
            return value
        now = datetime.now(UTC)
        when = _parse(str(value).strip(), now)
        if when is None:
            self.fail(
                "must be a time such as 2027-01-31T12:00:00Z, a date, or a duration such as 30d", param, ctx
            )
        if when <= now:
            self.fail("must be a time to come", param, ctx)
        return round(when.timestamp() * 1_000_000)


def show(at: int | None) -> str:
    """A time in UTC, to the second; a dash where there is none."""
    return "-" if at is None else f"{datetime.fromtimestamp(at / 1_000_000, UTC):%Y-%m-%dT%H:%M:%SZ}"


def _parse(text: str, now: datetime) -> datetime | None:
    if match := _DURATION.fullmatch(text):
        try:
            return now + timedelta(**{_UNITS[match[2]]: int(match[1])})
        except OverflowError:
            return None
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        return None
    return when if when.tzinfo else when.replace(tzinfo=UTC)

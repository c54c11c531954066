"""A schedule: when a job is expected. docs/schedules.md explains the three kinds to users.

All times are integers of microseconds UTC. Nothing here reads a clock; the rules of the time zones come from
the zone database (the system's, else the package tzdata), those of cron from the library cronsim (promise 9).
"""

from __future__ import annotations

import re
from bisect import bisect_left
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from functools import cache, lru_cache
from importlib.resources import files
from itertools import pairwise
from typing import Literal, assert_never
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

from tocsin.domain.errors import Code, TocsinError, invalid

Kind = Literal["interval", "cron", "simple"]

SECOND = 1_000_000
MINUTE = 60 * SECOND
LONGEST_INTERVAL_SECONDS = 366 * 86_400
LONGEST_EXPRESSION = 120
LONGEST_TIMEZONE = 64
# cronsim looks at most 50 years ahead, and Python's calendar ends with the year 9999.
SEARCH_END_AT = int(datetime(9900, 1, 1, tzinfo=UTC).timestamp()) * SECOND

ALIASES = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}

# cronheart's closed list. Its vendor does not publish what the last four mean: daily, weekly and monthly are
# cron's own @daily, @weekly and @monthly here, and a morning begins at nine.
TOKENS = {
    "every_minute": "* * * * *",
    "every_5_minutes": "*/5 * * * *",
    "every_10_minutes": "*/10 * * * *",
    "every_15_minutes": "*/15 * * * *",
    "every_30_minutes": "*/30 * * * *",
    "hourly": "0 * * * *",
    "every_2_hours": "0 */2 * * *",
    "every_6_hours": "0 */6 * * *",
    "daily": "0 0 * * *",
    "daily_morning": "0 9 * * *",
    "weekly": "0 0 * * 0",
    "monthly": "0 0 1 * *",
}

_CLOCK = r"(?P<hour>[0-9]{1,2}):(?P<minute>[0-9]{2})"
_WEEKDAY = r"(?P<weekday>sun|mon|tue|wed|thu|fri|sat|(?:sun|mon|tues|wednes|thurs|fri|satur)day)"
_WORDINGS = (
    (re.compile(rf"daily at {_CLOCK}"), "{minute} {hour} * * *"),
    (re.compile(r"hourly at (?P<minute>[0-9]{1,2})"), "{minute} * * * *"),
    (re.compile(rf"weekly on {_WEEKDAY} at {_CLOCK}"), "{minute} {hour} * * {weekday:.3}"),
    (re.compile(rf"monthly on (?P<day>[0-9]{{1,2}}) at {_CLOCK}"), "{minute} {hour} {day} * *"),
)

_CRON_FIELDS = (
    ("minute", "0 to 59"),
    ("hour", "0 to 23"),
    ("day of month", "1 to 31, L (last day) or LW (last weekday)"),
    ("month", "1 to 12 or JAN to DEC"),
    ("day of week", "0 to 7 or SUN to SAT (0 and 7 are Sunday)"),
)
_NEVER = "This cron expression never matches: no calendar has such a day."
_SIMPLE = (
    'A simple schedule is "daily at HH:MM", "hourly at MM", "weekly on <day> at HH:MM", '
    '"monthly on D at HH:MM" or one of ' + ", ".join(TOKENS) + "."
)
_UNITS = (("day", 86_400), ("hour", 3_600), ("minute", 60), ("second", 1))
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_ONE_SECOND = timedelta(seconds=1)
# Longer than any shift (24 hours at the date line), shorter than the time between two shifts of one zone.
_WINDOW_SECONDS = 2 * 86_400


@dataclass(frozen=True, slots=True)
class Schedule:
    """When a job is expected; made by `parse_schedule`, which checks it.

    `expression` is what the user wrote, verbatim: whole seconds (interval), five cron fields or an @name
    (cron), a token or a wording (simple). `timezone` is an IANA name; an interval does not depend on it.
    """

    kind: Kind
    expression: str
    timezone: str


@dataclass(frozen=True, slots=True)
class Occurrence:
    """One expected time: exact, and as ISO 8601 to the second in the schedule's zone and in UTC ("Z")."""

    at: int
    local: str
    utc: str


def parse_schedule(kind: str, expression: str, timezone: str) -> Schedule:
    """The schedule that a user described. Remembered: asking again costs a dictionary look-up.

    Raises TocsinError(INVALID) whose fields are `schedule`, `timezone` or both.
    """
    return _parsed(kind, expression, timezone)


def next_after(schedule: Schedule, at: int) -> int:
    """The first expected time strictly after `at`.

    Raises TocsinError(INVALID), for cron and simple only, where `at` is before 1970 or after 9899.
    """
    if schedule.kind == "interval":
        return at + int(schedule.expression) * SECOND
    found = _first_after(schedule, at // MINUTE * MINUTE)
    # Not later only where an offset has seconds: the last such zone gave them up in 1972.
    return found if found > at else _first_after(schedule, at)


def upcoming(schedule: Schedule, at: int, count: int) -> tuple[int, ...]:
    """The next `count` expected times after `at`, ascending; an interval's as if each came on time."""
    found: list[int] = []
    for _ in range(count):
        at = next_after(schedule, at)
        found.append(at)
    return tuple(found)


def cron_expression(schedule: Schedule) -> str | None:
    """The five cron fields that a schedule of a calendar kind stands for, or None for an interval."""
    return None if schedule.kind == "interval" else _cron(schedule)


def longest_distance_seconds(schedule: Schedule, at: int) -> int:
    """The longest distance between the next 10 expected times: what a dialect shows that knows only
    intervals (rules.md, Who is told)."""
    if schedule.kind == "interval":
        return int(schedule.expression)
    return _longest_distance_from(schedule, next_after(schedule, at))


def has_stood_for(schedule: Schedule, seconds: int, at: int) -> bool:
    """Whether `longest_distance_seconds` was this at some time in the hour before `at`: what a client read
    then, it may send back now."""
    if schedule.kind == "interval":
        return seconds == int(schedule.expression)
    first_at = next_after(schedule, at - 60 * MINUTE)
    last_at = next_after(schedule, at)
    while first_at <= last_at:
        if _longest_distance_from(schedule, first_at) == seconds:
            return True
        first_at = next_after(schedule, first_at)
    return False


@lru_cache(maxsize=1_024)
def shortest_distance_seconds(schedule: Schedule) -> int:
    """The shortest distance between expected times: what a plan's shortest interval means for cron. Looked
    for in as many times as an hour has minutes, and one more, so that each of its minutes has its turn."""
    if schedule.kind == "interval":
        return int(schedule.expression)
    times = upcoming(schedule, 0, 61)
    return min(later - earlier for earlier, later in pairwise(times)) // SECOND


def preview(schedule: Schedule, at: int, count: int = 10) -> tuple[Occurrence, ...]:
    """The next expected times in local time and UTC (promise 9)."""
    zone = _zone(schedule.timezone)
    return tuple(_occurrence(found, zone) for found in upcoming(schedule, at, count))


def describe(schedule: Schedule) -> str:
    """The schedule in English words, without its zone: "At 03:00 every day"."""
    if schedule.kind == "interval":
        return _interval_in_words(int(schedule.expression))
    return _cron_in_words(_cron(schedule))


@lru_cache(maxsize=16_384)
def _parsed(kind: str, expression: str, timezone: str) -> Schedule:
    problems = {"schedule": _schedule_problem(kind, expression), "timezone": _timezone_problem(timezone)}
    fields = {field: problem for field, problem in problems.items() if problem}
    if fields:
        raise TocsinError(Code.INVALID, " ".join(fields.values()), fields)
    return Schedule(kind, expression, timezone)  # type: ignore[arg-type]  # an unknown kind is a problem


def _schedule_problem(kind: str, expression: str) -> str | None:
    """What is wrong with the expression, in a sentence."""
    if len(expression) > LONGEST_EXPRESSION:
        return f"A schedule has at most {LONGEST_EXPRESSION} characters."
    if not (expression.isascii() and expression.replace("\t", " ").isprintable()):
        return "A schedule is written in plain letters, digits and signs (ASCII)."
    match kind:
        case "interval":
            return _interval_problem(expression)
        case "cron":
            return _cron_problem(expression)
        case "simple":
            return _simple_problem(expression)
        case _:
            return 'The kind of a schedule is "interval", "cron" or "simple".'


def _interval_problem(expression: str) -> str | None:
    if expression.isdecimal() and 1 <= int(expression) <= LONGEST_INTERVAL_SECONDS:
        return None
    return (
        f"An interval is a whole number of seconds from 1 to {LONGEST_INTERVAL_SECONDS} (366 days), "
        "in digits only."
    )


def _cron_problem(expression: str) -> str | None:
    if expression.lstrip().startswith("@"):
        known = expression.strip().lower() in ALIASES
        return None if known else f"The only names for a cron expression are {', '.join(ALIASES)}."
    fields = expression.split()
    if len(fields) != len(_CRON_FIELDS):
        names = ", ".join(name for name, _ in _CRON_FIELDS)
        return f"A cron expression has 5 fields ({names}); this one has {len(fields)}."
    return _bad_field(fields) or (None if _matches_ever(expression) else _NEVER)


def _bad_field(fields: list[str]) -> str | None:
    """Judge each field alone, so that a date which no calendar has is not called a bad field."""
    for index, (name, values) in enumerate(_CRON_FIELDS):
        alone = ["*"] * len(fields)
        alone[index] = fields[index]
        try:
            CronSim(" ".join(alone), _EPOCH)
        except CronSimError:
            return (
                f'The {name} of the cron expression cannot be "{fields[index]}": it takes {values}, '
                "with lists (1,2), ranges (1-5) and steps (*/5)."
            )
    return None


def _matches_ever(expression: str) -> bool:
    """Whether any day fits. The rarest ones, such as a 29 February that is a Sunday, are 40 years apart."""
    try:
        return next(CronSim(expression, _EPOCH), None) is not None
    except CronSimError:
        return False


def _simple_problem(expression: str) -> str | None:
    cron = _simple_as_cron(expression)
    return None if cron and not _cron_problem(cron) else _SIMPLE


def _simple_as_cron(expression: str) -> str | None:
    """The cron expression that a token or a wording stands for (dialects.md, cronheart); numbers are not
    yet checked."""
    wording = " ".join(expression.lower().split())
    if wording in TOKENS:
        return TOKENS[wording]
    for pattern, cron in _WORDINGS:
        if match := pattern.fullmatch(wording):
            return cron.format(**match.groupdict())
    return None


def _timezone_problem(timezone: str) -> str | None:
    names = _zone_names()
    if timezone in names:
        return None
    if len(timezone) > LONGEST_TIMEZONE:
        return f"The name of a time zone has at most {LONGEST_TIMEZONE} characters."
    meant = next((name for name in names if name.lower() == timezone.strip().lower()), None)
    if meant:
        return f"There is no such time zone. Did you mean {meant}?"
    return "There is no such time zone: use a name of the IANA database such as Europe/Berlin or UTC."


@lru_cache(maxsize=1)
def _zone_names() -> frozenset[str]:
    """The names that are accepted. The package's list, since the system's folder may also hold other files,
    and may not tell upper from lower case."""
    return frozenset(files("tzdata").joinpath("zones").read_text(encoding="ascii").split())


@cache
def _zone(timezone: str) -> tzinfo:
    """The zone of a checked name: at most all of them are kept, where zoneinfo by itself would keep eight."""
    return UTC if timezone == "UTC" else ZoneInfo(timezone)


def _cron(schedule: Schedule) -> str:
    """The five cron fields that a schedule of a calendar kind stands for."""
    match schedule.kind:
        case "cron":
            return ALIASES.get(schedule.expression.strip().lower(), schedule.expression)
        case "simple":
            return _simple_as_cron(schedule.expression) or ""
        case "interval":
            raise invalid("schedule", "An interval is no cron expression.")
        case _:
            assert_never(schedule.kind)


@lru_cache(maxsize=16_384)
def _first_after(schedule: Schedule, at: int) -> int:
    """As `next_after`, remembered: monitors that share a schedule ask for the same minute many times."""
    if not 0 <= at < SEARCH_END_AT:
        raise invalid("at", "Expected times are known from 1970 to 9899.")
    cron = _cron(schedule)
    minute, hour, *_ = cron.split()
    search = _search_by_wall_clock if "*" in {minute[0], hour[0]} else _search_by_date
    found = search(cron, _zone(schedule.timezone), at // SECOND)
    if found is None:
        raise invalid("schedule", _NEVER)
    return found * SECOND


@lru_cache(maxsize=16_384)
def _longest_distance_from(schedule: Schedule, first_at: int) -> int:
    times = (first_at, *upcoming(schedule, first_at, 9))
    return max(later - earlier for earlier, later in pairwise(times)) // SECOND


def _search_by_date(cron: str, zone: tzinfo, second: int) -> int | None:
    """The next run of a job with fixed minutes and hours: a time that the zone skips counts at the end of the
    skipped span, one that it repeats counts once, the first time. Seconds since 1970; None: never."""
    found: datetime | None = datetime.fromtimestamp(second, zone)
    # In the second pass of a repeated hour, cronsim begins with times of the first.
    while found is not None and (found - _EPOCH) // _ONE_SECOND <= second:
        found = next(CronSim(cron, found), None)
    return None if found is None else (found - _EPOCH) // _ONE_SECOND


def _search_by_wall_clock(cron: str, zone: tzinfo, second: int) -> int | None:
    """The next run of a job whose minute or hour is a wildcard: whenever the wall clock shows a time that
    matches, so not in a skipped hour and twice in a repeated one. Seconds since 1970; None: never.

    cronsim has the same rule, but loses its way where a zone shifts at midnight or by other than whole hours
    (docs/schedules.md); so it is asked for the calendar alone, and the offset is ours.
    """
    offset = _offset(zone, second)
    while True:
        wall = next(CronSim(cron, _EPOCH + timedelta(seconds=second + offset)), None)
        if wall is None:
            return None
        found = (wall - _EPOCH) // _ONE_SECOND - offset
        edge = min(found, second + _WINDOW_SECONDS)
        if _offset(zone, edge) != offset:
            second = _shift(zone, second, edge) - 1
            offset = _offset(zone, second + 1)
        elif edge == found:
            return found
        else:
            second = max(edge, found - _WINDOW_SECONDS)
            offset = _offset(zone, second)


def _offset(zone: tzinfo, second: int) -> int:
    """Seconds east of UTC."""
    return (datetime.fromtimestamp(second, zone).utcoffset() or timedelta()) // _ONE_SECOND


def _shift(zone: tzinfo, second: int, end: int) -> int:
    """The first second after `second` that has the offset of `end`, where the zone shifts once between."""
    after = _offset(zone, end)
    span = range(second + 1, end + 1)
    return span[bisect_left(span, True, key=lambda moment: _offset(zone, moment) == after)]


def _occurrence(at: int, zone: tzinfo) -> Occurrence:
    exact = _EPOCH + timedelta(microseconds=at)
    local = exact.astimezone(zone).isoformat(timespec="seconds")
    return Occurrence(at, local, exact.strftime("%Y-%m-%dT%H:%M:%SZ"))


def _interval_in_words(seconds: int) -> str:
    parts = []
    for unit, size in _UNITS:
        count, seconds = divmod(seconds, size)
        if count:
            parts.append(f"{count} {unit}" if count == 1 else f"{count} {unit}s")
    words = " ".join(parts)
    return "Every " + (words.removeprefix("1 ") if len(parts) == 1 else words)


def _cron_in_words(cron: str) -> str:
    """In cronsim's words, not cron-descriptor's: those say "or" where Debian cron means "and"
    (`0 0 */2 * 1`), and lose the L of `MON,5L`."""
    sim = CronSim(cron, _EPOCH)
    if _any_day(sim):
        # cronsim would name only the other of the two days.
        minute, hour, _, month, _ = cron.split()
        sim = CronSim(f"{minute} {hour} * {month} *", _EPOCH)
    return sim.explain()


def _any_day(sim: CronSim) -> bool:
    """Whether either day is enough (neither begins with a star) and one of the two takes all, as 1-31."""
    weekdays = {day % 7 for day in sim.weekdays if isinstance(day, int)}
    return not sim.day_and and (set(range(1, 32)) <= sim.days or len(weekdays) == 7)

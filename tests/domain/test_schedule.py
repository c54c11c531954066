"""Schedules. Promise 9: zones and DST follow Debian cron. Two oracles, neither of which is our code: cronsim
used directly, and a wall clock read minute by minute."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import pairwise
from pathlib import Path
from zoneinfo import ZoneInfo, available_timezones

import pytest
from cronsim import CronSim
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tocsin.domain.errors import Code, TocsinError
from tocsin.domain.schedule import (
    ALIASES,
    TOKENS,
    Schedule,
    describe,
    has_stood_for,
    longest_distance_seconds,
    next_after,
    parse_schedule,
    preview,
    shortest_distance_seconds,
    upcoming,
)

PAGE = Path(__file__).parents[2] / "docs" / "schedules.md"
SECOND = 1_000_000
MINUTE = 60 * SECOND
DAY = 86_400 * SECOND
END_AT = int(datetime(2200, 1, 1, tzinfo=UTC).timestamp()) * SECOND

ZONES = [
    "Africa/Cairo",  # midnight that does not exist
    "Africa/Casablanca",  # four shifts a year, around Ramadan
    "America/Caracas",  # half an hour, twice for good
    "America/Havana",  # shifts at midnight
    "America/New_York",
    "America/Sao_Paulo",  # shifts at midnight, until 2019
    "America/St_Johns",  # shifts at one minute past midnight, until 2011
    "Antarctica/Troll",  # two hours
    "Asia/Beirut",
    "Asia/Kathmandu",  # UTC+5:45
    "Asia/Kolkata",
    "Asia/Pyongyang",
    "Australia/Lord_Howe",  # half an hour
    "Europe/Berlin",
    "Europe/Dublin",  # negative DST
    "Pacific/Apia",  # left out 30 December 2011
    "Pacific/Chatham",  # shifts at a quarter to three
    "UTC",
]
# Where cronsim alone is right for wildcards too: docs/schedules.md says where it is not.
WHOLE_HOURS = [
    "America/New_York",
    "Antarctica/Troll",
    "Asia/Kolkata",
    "Europe/Berlin",
    "Europe/Dublin",
    "UTC",
]
FIXED = [
    "0 0 * * *", "30 0 * * *", "0,30 1 * * *", "30 2 * * *", "15 2,3 * * *", "0-59/20 1-3 * * *",
    "45 2 * * 0", "10 3 1-31 * *", "0 12 * * *", "59 23 * * *", "0 0 * * 0,5", "30 1 L * *",
]  # fmt: skip
WILDCARDS = [
    "* * * * *", "*/7 * * * *", "0 * * * *", "45 * * * *", "*/15 0 * * *", "* 3 * * *", "*/20 2 * * *",
    "0 */2 * * *", "15 */3 * * 5-6", "*/15 0 * * 5-6", "*/30 0-3 * * 0", "30 * 1-15 * *",
]  # fmt: skip

# Expression, zone, asked after, and the next two expected times on the wall clock.
SHIFTS = """
# A skipped time counts at the end of the skipped span, and once.
30 2 * * *   | Europe/Berlin       | 2026-03-28T12:00Z | 2026-03-29T03:00+02:00 | 2026-03-30T02:30+02:00
0,30 2 * * * | Europe/Berlin       | 2026-03-28T12:00Z | 2026-03-29T03:00+02:00 | 2026-03-30T02:00+02:00
0 12 30 12 * | Pacific/Apia        | 2011-12-01T00:00Z | 2011-12-31T00:00+14:00 | 2012-12-30T12:00+14:00
0 0 * * *    | America/Sao_Paulo   | 2018-11-03T12:00Z | 2018-11-04T01:00-02:00 | 2018-11-05T00:00-02:00
15 2 * * *   | Australia/Lord_Howe | 2026-10-03T00:00Z | 2026-10-04T02:30+11:00 | 2026-10-05T02:15+11:00
0 2 * * *    | Antarctica/Troll    | 2026-03-28T12:00Z | 2026-03-29T03:00+02:00 | 2026-03-30T02:00+02:00
# A repeated time counts once, the first time, even when it is asked for in the second pass.
30 2 * * *   | Europe/Berlin       | 2026-10-24T12:00Z | 2026-10-25T02:30+02:00 | 2026-10-26T02:30+01:00
45 2 * * *   | Europe/Berlin       | 2026-10-25T01:30Z | 2026-10-26T02:45+01:00 | 2026-10-27T02:45+01:00
# A wildcard follows the wall clock: twice in a repeated hour, not at all in a skipped one.
*/30 2 * * * | Europe/Berlin       | 2026-10-25T00:10Z | 2026-10-25T02:30+02:00 | 2026-10-25T02:00+01:00
*/30 2 * * * | Europe/Berlin       | 2026-03-28T12:00Z | 2026-03-30T02:00+02:00 | 2026-03-30T02:30+02:00
*/15 3 * * * | Pacific/Chatham     | 2026-04-04T14:05Z | 2026-04-05T03:00+12:45 | 2026-04-05T03:15+12:45
*/15 0 * * 5 | Africa/Cairo        | 2026-04-23T20:00Z | 2026-05-01T00:00+03:00 | 2026-05-01T00:15+03:00
30 * * * *   | Australia/Lord_Howe | 2026-10-03T14:45Z | 2026-10-04T01:30+10:30 | 2026-10-04T02:30+11:00
# No shift at all.
30 9 * * 1   | Asia/Kolkata        | 2026-01-01T00:00Z | 2026-01-05T09:30+05:30 | 2026-01-12T09:30+05:30
"""


def exact(moment: datetime) -> int:
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


def at(moment: str) -> int:
    """Microseconds of an ISO 8601 time with offset."""
    return exact(datetime.fromisoformat(moment))


def cron(expression: str, zone: str = "UTC") -> Schedule:
    return parse_schedule("cron", expression, zone)


def attempt(kind: str, expression: str, zone: str) -> Schedule | TocsinError:
    try:
        return parse_schedule(kind, expression, zone)
    except TocsinError as error:
        return error


@cache
def shifts(zone: str) -> tuple[int, ...]:
    """Seconds at which the zone changes its offset: the first and the last dozen, 2005 to 2030."""

    def offset(second: int) -> timedelta | None:
        return datetime.fromtimestamp(second, ZoneInfo(zone)).utcoffset()

    found = []
    for second in range(at("2005-01-01T00:00Z") // SECOND, at("2031-01-01T00:00Z") // SECOND, 86_400):
        low, high = second, second + 86_400
        if offset(low) == offset(high):
            continue
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if offset(middle) == offset(low) else (low, middle)
        found.append(high)
    return tuple(sorted({*found[:12], *found[-12:]}))


def by_cronsim(expression: str, zone: str, after: int) -> Iterator[int]:
    """What cronsim says, without what it repeats or what is past in the second pass of a repeated hour."""
    latest = after
    for moment in CronSim(expression, datetime.fromtimestamp(after // SECOND, ZoneInfo(zone))):
        if exact(moment) > latest:
            latest = exact(moment)
            yield latest


def by_wall_clock(expression: str, zone: str, after: int, until: int) -> list[int]:
    """Each minute in (after, until] at which a clock in the zone shows a time that matches."""
    sim = CronSim(expression, datetime(2000, 1, 1, tzinfo=UTC))
    found = []
    for moment in range(after // MINUTE * MINUTE + MINUTE, until + 1, MINUTE):
        wall = datetime.fromtimestamp(moment // SECOND, ZoneInfo(zone))
        if wall.minute in sim.minutes and wall.hour in sim.hours and wall.month in sim.months:
            found += [moment] if sim.match_day(wall.date()) else []
    return found


def ours(schedule: Schedule, after: int, until: int) -> list[int]:
    found = []
    while (after := next_after(schedule, after)) <= until:
        found.append(after)
    return found


def field(low: int, high: int) -> st.SearchStrategy[str]:
    number = st.integers(low, high)
    span = st.tuples(number, number).map(sorted)
    item = st.one_of(
        number.map(str),
        span.map(lambda ends: f"{ends[0]}-{ends[1]}"),
        st.tuples(span, st.integers(1, high)).map(lambda two: f"{two[0][0]}-{two[0][1]}/{two[1]}"),
        st.integers(1, high).map(lambda step: f"*/{step}"),
        st.just("*"),
    )
    return st.one_of(st.just("*"), item, st.lists(item, min_size=2, max_size=3).map(",".join))


DAYS = st.one_of(field(1, 28), st.sampled_from(["L", "LW", "31", "29", "*"]))
WEEKDAYS = st.one_of(field(0, 7), st.sampled_from(["SUN", "mon-fri", "5L", "1#2", "*"]))
CRON = st.tuples(field(0, 59), field(0, 23), DAYS, st.one_of(st.just("*"), field(1, 12)), WEEKDAYS).map(
    " ".join
)
MOMENTS = st.one_of(
    st.integers(0, END_AT),
    st.sampled_from(ZONES).flatmap(
        lambda zone: st.builds(
            lambda second, off: second * SECOND + off,
            st.sampled_from(shifts(zone) or (0,)).map(lambda second: max(second, 200_000)),
            st.integers(-2 * DAY, DAY),
        )
    ),
)
SIMPLE = st.one_of(
    st.sampled_from(sorted(TOKENS)),
    st.builds("daily at {:02}:{:02}".format, st.integers(0, 23), st.integers(0, 59)),
    st.builds("hourly at {:02}".format, st.integers(0, 59)),
    st.builds("monthly on {} at {:02}:30".format, st.integers(1, 31), st.integers(0, 23)),
)


@st.composite
def schedules(draw: st.DrawFn) -> Schedule:
    kind = draw(st.sampled_from(["interval", "cron", "simple"]))
    seconds = st.integers(1, 31_622_400).map(str)
    expression = draw({"interval": seconds, "cron": CRON, "simple": SIMPLE}[kind])
    schedule = attempt(kind, expression, draw(st.sampled_from(ZONES)))
    assume(isinstance(schedule, Schedule) or "never matches" not in schedule.message)
    assert isinstance(schedule, Schedule), (expression, schedule)
    return schedule


# Order, whatever the schedule


@given(schedules(), MOMENTS, st.integers(1, 12))
@settings(deadline=None)
def test_expected_times_ascend_and_do_not_depend_on_how_they_are_asked_for(
    schedule: Schedule, moment: int, split: int
) -> None:
    found = upcoming(schedule, moment, 12)
    assert all(earlier < later for earlier, later in pairwise((moment, *found)))
    assert found == upcoming(schedule, moment, split) + upcoming(schedule, found[split - 1], 12 - split)
    assert [occurrence.at for occurrence in preview(schedule, moment, 12)] == list(found)


@given(schedules().filter(lambda schedule: schedule.kind != "interval"), MOMENTS, st.floats(0, 1))
@settings(deadline=None)
def test_the_next_expected_time_stays_the_same_until_it_has_come(
    schedule: Schedule, moment: int, share: float
) -> None:
    due = next_after(schedule, moment)
    between = moment + int((due - 1 - moment) * share)
    assert next_after(schedule, between) == due
    assert next_after(schedule, due - 1) == due
    assert next_after(schedule, due) > due


@given(schedules(), st.integers(0, END_AT))
@settings(deadline=None)
def test_any_time_from_1970_to_2200_has_its_next_ten(schedule: Schedule, moment: int) -> None:
    found = upcoming(schedule, moment, 11)
    longest = max(later - earlier for earlier, later in pairwise(found[:10]))
    assert longest_distance_seconds(schedule, moment) == longest // SECOND


# Zones


@pytest.mark.promise(9)
@pytest.mark.parametrize("zone", ZONES)
def test_fixed_times_on_days_of_a_shift_are_those_of_cronsim(zone: str) -> None:
    for shift in shifts(zone) or (at("2026-03-29T01:00Z") // SECOND,):
        for expression in FIXED:
            for start in (shift - 90_000, shift - 1_800, shift, shift + 1_500):
                direct = by_cronsim(expression, zone, start * SECOND)
                expected = tuple(next(direct) for _ in range(4))
                assert upcoming(cron(expression, zone), start * SECOND, 4) == expected, (expression, start)


@pytest.mark.promise(9)
@pytest.mark.parametrize("zone", WHOLE_HOURS)
def test_wildcards_on_days_of_a_shift_are_those_of_cronsim(zone: str) -> None:
    for shift in shifts(zone) or (at("2026-03-29T01:00Z") // SECOND,):
        for expression in WILDCARDS:
            for start in (shift - 9_000, shift - 1_800, shift + 1_500):
                direct = by_cronsim(expression, zone, start * SECOND)
                expected = tuple(next(direct) for _ in range(4))
                assert upcoming(cron(expression, zone), start * SECOND, 4) == expected, (expression, start)


@pytest.mark.promise(9)
@pytest.mark.parametrize("zone", ZONES)
def test_wildcards_on_days_of_a_shift_follow_the_wall_clock(zone: str) -> None:
    for shift in shifts(zone) or (at("2026-03-29T01:00Z") // SECOND,):
        start, end = (shift - 14_400) * SECOND, (shift + 18_000) * SECOND
        for expression in WILDCARDS:
            expected = by_wall_clock(expression, zone, start, end)
            assert ours(cron(expression, zone), start, end) == expected, (expression, shift)


@given(CRON, st.sampled_from(ZONES), MOMENTS)
@settings(deadline=None)
def test_any_wildcard_follows_the_wall_clock(expression: str, zone: str, moment: int) -> None:
    fields = expression.split()
    assume("*" in {fields[0][0], fields[1][0]})
    # Before 1972 some offsets have seconds, and then no whole minute of UTC is one of the wall clock.
    start = max(moment, at("1990-01-01T00:00Z"))
    schedule = attempt("cron", expression, zone)
    assume(isinstance(schedule, Schedule))
    assert isinstance(schedule, Schedule)
    assert ours(schedule, start, start + DAY) == by_wall_clock(expression, zone, start, start + DAY)


@pytest.mark.promise(9)
@pytest.mark.parametrize("row", [row for row in SHIFTS.splitlines() if "|" in row])
def test_a_shift_counts_as_in_debian_cron(row: str) -> None:
    expression, zone, after, *expected = (cell.strip() for cell in row.split("|"))
    found = preview(cron(expression, zone), at(after), 2)
    assert [occurrence.local.replace(":00+", "+").replace(":00-", "-") for occurrence in found] == expected


@pytest.mark.parametrize(
    ("expression", "zone", "after"),
    [
        ("*/15 3 * * *", "Pacific/Chatham", "2026-04-04T14:05Z"),
        ("*/15 0 * * 5", "Africa/Cairo", "2026-04-23T20:00Z"),
        ("30 * * * *", "Australia/Lord_Howe", "2026-10-03T15:15Z"),
    ],
)
def test_cronsim_still_loses_its_way_where_we_do_not_follow_it(
    expression: str, zone: str, after: str
) -> None:
    """When this fails, cronsim was repaired: search by wall clock may go, and docs/schedules.md with it."""
    found = next(CronSim(expression, datetime.fromtimestamp(at(after) // SECOND, ZoneInfo(zone))))
    assert exact(found) != next_after(cron(expression, zone), at(after))


def test_every_zone_of_the_database_is_taken() -> None:
    for zone in available_timezones() - {"localtime"}:
        assert preview(cron("0 3 * * *", zone), 0, 1)[0].local[11:16] == "03:00"


def test_an_offset_with_seconds_is_kept() -> None:
    """Liberia was 44 minutes and 30 seconds behind UTC until 7 January 1972."""
    schedule = cron("*/5 * * * *", "Africa/Monrovia")
    start = at("1971-06-01T00:00Z")
    for moment in range(start, start + 10 * MINUTE, SECOND):
        due = next_after(schedule, moment)
        assert 0 < due - moment <= 5 * MINUTE
        assert due % (5 * MINUTE) == 4 * MINUTE + 30 * SECOND


# Previews


@pytest.mark.promise(9)
def test_a_preview_is_the_next_ten_in_local_time_and_utc() -> None:
    found = preview(cron("30 3 * * *", "Asia/Kathmandu"), at("2026-01-01T00:00Z"))
    assert len(found) == 10
    assert (found[0].local, found[0].utc) == ("2026-01-02T03:30:00+05:45", "2026-01-01T21:45:00Z")
    assert all(occurrence.at == at(occurrence.utc) == at(occurrence.local) for occurrence in found)


def test_an_interval_is_previewed_from_the_moment_itself() -> None:
    found = preview(parse_schedule("interval", "90", "Europe/Berlin"), at("2026-01-01T00:00:00.250Z"), 2)
    assert [occurrence.at for occurrence in found] == [
        at("2026-01-01T00:01:30.250Z"),
        at("2026-01-01T00:03:00.250Z"),
    ]
    assert [occurrence.local for occurrence in found] == [
        "2026-01-01T01:01:30+01:00",
        "2026-01-01T01:03:00+01:00",
    ]


# Distances


@pytest.mark.parametrize(
    ("kind", "expression", "zone", "seconds"),
    [
        ("interval", "3600", "UTC", 3_600),
        ("cron", "*/5 * * * *", "UTC", 300),
        ("cron", "0 9 * * 1-5", "UTC", 3 * 86_400),
        ("cron", "0 0 1 * *", "UTC", 31 * 86_400),
        ("cron", "0 0 1 * *", "Europe/Berlin", 31 * 86_400 + 3_600),
        ("simple", "daily at 03:00", "UTC", 86_400),
        ("simple", "monthly on 31 at 00:00", "UTC", 61 * 86_400),
    ],
)
def test_the_longest_distance_is_that_between_the_next_ten(
    kind: str, expression: str, zone: str, seconds: int
) -> None:
    assert (
        longest_distance_seconds(parse_schedule(kind, expression, zone), at("2026-02-03T04:05Z")) == seconds
    )


@pytest.mark.parametrize(
    ("kind", "expression", "seconds"),
    [
        ("interval", "90", 90),
        ("cron", "* * * * *", 60),
        ("cron", "0 3 * * *", 86_400),
        ("cron", "58,2 * * * *", 240),
        ("cron", "0,1 12 1 * *", 60),
        ("cron", "0,6,12,18,24,30,36,42,48,54,55 * * * *", 60),
        ("cron", "0 0 29 2 *", 1461 * 86_400),
        ("simple", "hourly", 3_600),
    ],
)
def test_the_shortest_distance_is_found_wherever_in_the_hour_it_is(
    kind: str, expression: str, seconds: int
) -> None:
    assert shortest_distance_seconds(parse_schedule(kind, expression, "UTC")) == seconds


# What is taken


@pytest.mark.parametrize("seconds", [1, 30, 31_622_400])
def test_an_interval_counts_from_the_moment(seconds: int) -> None:
    schedule = parse_schedule("interval", str(seconds), "UTC")
    assert next_after(schedule, 7) == 7 + seconds * SECOND


@pytest.mark.parametrize(("name", "expression"), ALIASES.items())
def test_a_name_stands_for_its_expression_in_any_case(name: str, expression: str) -> None:
    for spelling in (name, name.upper(), f" {name} "):
        schedule = cron(spelling, "Europe/Berlin")
        assert schedule.expression == spelling
        assert upcoming(schedule, 0, 20) == upcoming(cron(expression, "Europe/Berlin"), 0, 20)


@pytest.mark.parametrize(
    ("wording", "expression"),
    [
        *TOKENS.items(),
        ("daily at 03:00", "0 3 * * *"),
        ("Daily  AT 23:59 ", "59 23 * * *"),
        ("hourly at 05", "5 * * * *"),
        ("hourly at 0", "0 * * * *"),
        ("weekly on Sunday at 00:30", "30 0 * * 0"),
        ("weekly on monday at 7:05", "5 7 * * 1"),
        ("weekly on tue at 07:05", "5 7 * * 2"),
        ("weekly on wednesday at 07:05", "5 7 * * 3"),
        ("weekly on THURSDAY at 07:05", "5 7 * * 4"),
        ("weekly on friday at 07:05", "5 7 * * 5"),
        ("weekly on saturday at 07:05", "5 7 * * 6"),
        ("\tmonthly on 1 at 00:00", "0 0 1 * *"),
        ("monthly on 31 at 12:00", "0 12 31 * *"),
    ],
)
def test_a_simple_wording_stands_for_a_cron_expression(wording: str, expression: str) -> None:
    schedule = parse_schedule("simple", wording, "America/New_York")
    assert schedule.expression == wording
    same = cron(expression, "America/New_York")
    assert upcoming(schedule, at("2026-01-01T00:00Z"), 30) == upcoming(same, at("2026-01-01T00:00Z"), 30)


def test_the_page_says_what_each_token_means() -> None:
    rows = re.findall(r"^\| `(\w+)` \| `([^`]+)` \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert dict(rows) == TOKENS


def test_a_month_without_the_31st_is_left_out() -> None:
    schedule = parse_schedule("simple", "monthly on 31 at 00:00", "UTC")
    found = [occurrence.utc[:10] for occurrence in preview(schedule, at("2026-01-01T00:00Z"), 3)]
    assert found == ["2026-01-31", "2026-03-31", "2026-05-31"]


def test_a_day_that_comes_only_every_28_or_40_years_is_taken() -> None:
    found = preview(cron("0 0 29 2 */7"), at("2050-01-01T00:00Z"), 3)
    assert [occurrence.utc[:4] for occurrence in found] == ["2060", "2088", "2128"]


def test_the_same_schedule_is_made_once() -> None:
    assert cron("17 4 * * *") is cron("17 4 * * *")


# What is refused

BAD_ZONES = [
    "", " ", "Mars/Base", "europe/berlin", "utc", "UTC ", "+02:00", "UTC+2", "localtime", "posixrules",
    "right/UTC", "posix/UTC", "../UTC", "Europe/../UTC", "/etc/passwd", "/usr/share/zoneinfo/UTC", "Europe",
    "Europe/", "UTC\0", "zone.tab", "Europe/Berlin\n", "\uff25urope/Berlin", "\ud800", "A" * 65,
    "A" * 10_000,
]  # fmt: skip
BAD_INTERVALS = [
    "", " ", "0", "00", "-1", "+60", "31622401", "1.5", "1e3", "60 ", " 60", "1_000", "0x10", "\u0663\u0660",
    "\uff16\uff10", "\u00b2", "60\0", "60\n", "sixty", "9" * 120, "9" * 10_000, "* * * * *", "NaN",
]  # fmt: skip
BAD_CRONS = [
    "", " ", "*", "* * * *", "* * * * * *", "* * * * * * *", "60 * * * *", "* 24 * * *", "* * 0 * *",
    "* * 32 * *", "* * * 0 *", "* * * 13 *", "* * * * 8", "-1 * * * *", "*/0 * * * *", "*/-5 * * * *",
    "5-1 * * * *", "1,,2 * * * *", "a * * * *", "* * * FOO *", "* * * * MONDAY", "? * * * *", "* * * * MON#6",
    "* * 15W * *", "\u0663 * * * *", "* * * * \u017fun", "0 0 30 2 *", "0 0 31 4,6,9,11 *",
    "0 0 */31 * MON#2",
    "@reboot", "@every 5m", "@", "@daily @daily", "@dailyx", "0 0 * * *\n", "0 0\0* * *", "0\u00a00 * * *",
    "* " * 5_000, "0" * 10_000, " ".join([",".join(map(str, range(24)))] * 2 + ["*"] * 3),
]  # fmt: skip
BAD_WORDINGS = [
    "", "every_3_minutes", "every minute", "fortnightly", "daily at", "daily at 24:00", "daily at 12:60",
    "daily at 3", "daily at 03:0", "daily at 3pm", "daily at 03:00:00", "hourly at 60", "hourly at -1",
    "hourly at 123", "weekly at 03:00", "weekly on at 03:00", "weekly on funday at 03:00",
    "weekly on 1 at 03:00", "weekly on tuesd at 03:00", "weekly on mon,tue at 03:00", "monthly on 0 at 03:00",
    "monthly on 32 at 03:00", "monthly on L at 03:00", "monthly on 1st at 03:00", "daily at \u0660\u0663:00",
    "daily\nat 03:00", "daily at 03:00; x", "0 3 * * *", "@daily", "dailyat 03:00", "da\u0131ly",
    "daily" + " " * 200,
]  # fmt: skip
BAD_KINDS = ["", "Interval", "cronn", "CRON", "interval ", "\0", "heartbeat"]
BAD_SCHEDULES = [
    *[("interval", expression) for expression in BAD_INTERVALS],
    *[("cron", expression) for expression in BAD_CRONS],
    *[("simple", expression) for expression in BAD_WORDINGS],
    *[(kind, "60") for kind in BAD_KINDS],
]


@pytest.mark.promise(10)
@pytest.mark.parametrize("zone", BAD_ZONES)
def test_a_bad_zone_is_named(zone: str) -> None:
    with pytest.raises(TocsinError) as refused:
        parse_schedule("interval", "60", zone)
    assert refused.value.code is Code.INVALID
    assert set(refused.value.fields) == {"timezone"}


@pytest.mark.promise(10)
@pytest.mark.parametrize(("kind", "expression"), BAD_SCHEDULES)
def test_a_bad_schedule_is_named(kind: str, expression: str) -> None:
    with pytest.raises(TocsinError) as refused:
        parse_schedule(kind, expression, "UTC")
    assert refused.value.code is Code.INVALID
    assert set(refused.value.fields) == {"schedule"}
    assert len(refused.value.message) < 500


@pytest.mark.promise(10)
def test_all_bad_fields_are_named_at_once() -> None:
    with pytest.raises(TocsinError) as refused:
        parse_schedule("interval", "0", "Mars/Base")
    assert set(refused.value.fields) == {"schedule", "timezone"}
    assert refused.value.message == " ".join(refused.value.fields.values())


@pytest.mark.parametrize(
    ("kind", "expression", "zone", "hint"),
    [
        ("cron", "* * * * * *", "UTC", "this one has 6"),
        ("cron", "0 25 * * *", "UTC", 'The hour of the cron expression cannot be "25": it takes 0 to 23'),
        ("cron", "0 0 * * MONDAY", "UTC", "0 to 7 or SUN to SAT"),
        ("cron", "0 0 30 2 *", "UTC", "never matches"),
        ("cron", "@reboot", "UTC", "@hourly"),
        ("interval", "0", "UTC", "from 1 to 31622400"),
        ("simple", "daily at 25:00", "UTC", "daily at HH:MM"),
        ("interval", "60", "europe/berlin", "Did you mean Europe/Berlin?"),
    ],
)
def test_a_refusal_tells_a_person_what_to_do(kind: str, expression: str, zone: str, hint: str) -> None:
    with pytest.raises(TocsinError, match=re.escape(hint)):
        parse_schedule(kind, expression, zone)


@pytest.mark.parametrize("moment", [-1, at("9900-01-01T00:00Z"), 10**30])
def test_a_time_outside_the_calendar_is_refused(moment: int) -> None:
    with pytest.raises(TocsinError) as refused:
        next_after(cron("* * * * *"), moment)
    assert set(refused.value.fields) == {"at"}


KINDS = st.one_of(st.sampled_from(["interval", "cron", "simple"]), st.text())
CRONLIKE = st.one_of(
    st.text("0123456789*/,-#LWSUNMOJAF @", max_size=40),
    st.lists(st.text("0123456789*/,-#LW", min_size=1, max_size=6), min_size=5, max_size=5).map(" ".join),
)


@pytest.mark.promise(10)
@given(KINDS, st.one_of(st.text(), CRONLIKE, CRON, SIMPLE), st.one_of(st.just("UTC"), st.text()))
@settings(deadline=None, max_examples=500)
def test_whatever_is_typed_is_either_taken_and_works_or_refused(
    kind: str, expression: str, zone: str
) -> None:
    schedule = attempt(kind, expression, zone)
    if isinstance(schedule, Schedule):
        assert (schedule.kind, schedule.expression, schedule.timezone) == (kind, expression, zone)
        assert len(preview(schedule, at("2199-12-31T23:59Z"))) == 10
        assert describe(schedule)
    else:
        assert schedule.fields
        assert set(schedule.fields) <= {"schedule", "timezone"}


# Words


@pytest.mark.parametrize(
    ("kind", "expression", "words"),
    [
        ("interval", "1", "Every second"),
        ("interval", "3600", "Every hour"),
        ("interval", "172800", "Every 2 days"),
        ("interval", "5400", "Every 1 hour 30 minutes"),
        ("interval", "90061", "Every 1 day 1 hour 1 minute 1 second"),
        ("cron", "0 3 * * *", "At 03:00 every day"),
        ("cron", "@daily", "At 00:00 every day"),
        ("cron", "*/5 * * * *", "Every fifth minute of every hour"),
        ("cron", "30 2 * * MON#2", "At 02:30 on the second Monday of the month"),
        ("cron", "0 9 LW * *", "At 09:00 on the last weekday of every month"),
        # Debian cron: either day is enough, unless one of the two begins with a star.
        ("cron", "0 0 1 * 1", "At 00:00 on the first day of month and on Monday"),
        ("cron", "0 0 */2 * 1", "At 00:00 on every second day of month if it's on Monday"),
        ("cron", "0 0 1-31 * 1", "At 00:00 every day"),
        ("cron", "0 0 1 * 0-7", "At 00:00 every day"),
        ("simple", "every_minute", "Every minute"),
        ("simple", "weekly on friday at 07:05", "At 07:05 on Friday"),
    ],
)
def test_a_schedule_is_put_into_words(kind: str, expression: str, words: str) -> None:
    assert describe(parse_schedule(kind, expression, "UTC")) == words


def test_what_stood_for_a_schedule_within_the_last_hour_is_known() -> None:
    office_hours = parse_schedule("cron", "*/5 9-17 * * *", "UTC")
    for time, seconds in (("2026-02-03T17:00Z", 300), ("2026-02-03T17:15Z", 54_300)):
        assert longest_distance_seconds(office_hours, at(time)) == seconds
    assert has_stood_for(office_hours, 300, at("2026-02-03T17:15Z"))
    assert has_stood_for(office_hours, 54_300, at("2026-02-03T17:15Z"))
    assert not has_stood_for(office_hours, 600, at("2026-02-03T17:15Z"))
    assert not has_stood_for(office_hours, 54_300, at("2026-02-03T19:15Z"))
    hourly = parse_schedule("interval", "3600", "UTC")
    assert has_stood_for(hourly, 3600, at("2026-02-03T17:15Z"))
    assert not has_stood_for(hourly, 3601, at("2026-02-03T17:15Z"))

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tocsin.web.times import iso, iso_or_none, parse_iso, plain, plain_or_none

A_TIME = 1_774_663_212_000_000


def test_a_time_is_written_with_milliseconds_and_z() -> None:
    assert iso(A_TIME) == "2026-03-28T02:00:12.000Z"
    assert iso(A_TIME + 123_999) == "2026-03-28T02:00:12.123Z"
    assert iso_or_none(None) is None


def test_a_plain_time_is_cut_to_the_second() -> None:
    assert plain(A_TIME + 999_999) == "2026-03-28 02:00:12"
    assert plain_or_none(None) is None
    assert plain_or_none(A_TIME) == "2026-03-28 02:00:12"


@given(st.integers(0, 4_000_000_000_000))
def test_what_is_written_is_read_again(milliseconds: int) -> None:
    assert parse_iso(iso(milliseconds * 1000)) == milliseconds * 1000


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-03-28T02:00:12Z", A_TIME),
        ("2026-03-28T03:00:12+01:00", A_TIME),
        ("2026-03-28T02:00:12", None),
        ("2026-03-28", None),
        ("tomorrow", None),
        ("", None),
        ("0001-01-01T00:00:00+23:59", -62135683140000000),
    ],
)
def test_a_time_needs_an_offset(text: str, expected: int | None) -> None:
    assert parse_iso(text) == expected

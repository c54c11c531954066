"""Reading a ping: what its path and its query say."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from tocsin.domain.ping import (
    LONGEST_RUN_ID,
    Kind,
    Ping,
    Reading,
    Signal,
    kind_of_exit_code,
    query_value,
    read_plain,
    word,
)


def signal(action: str, query: bytes = b"") -> Signal:
    return Signal("token", action, query, "GET", [], "192.0.2.1", b"", body_was_cut=False)


@pytest.mark.parametrize(
    ("action", "kind"),
    [
        ("", Kind.SUCCESS),
        ("start", Kind.START),
        ("success", Kind.SUCCESS),
        ("fail", Kind.FAIL),
        ("log", Kind.LOG),
    ],
)
def test_an_action_is_a_kind(action: str, kind: Kind) -> None:
    assert read_plain(signal(action)) == Reading(kind)


@pytest.mark.parametrize("code", range(256))
def test_an_exit_code_is_a_success_if_0_else_a_failure_and_is_kept(code: int) -> None:
    kind = Kind.FAIL if code else Kind.SUCCESS
    assert read_plain(signal(str(code))) == Reading(kind, exit_code=code)
    assert kind_of_exit_code(code) is kind


@pytest.mark.parametrize(
    "action",
    [
        "256",
        "-1",
        "007",
        "00",
        "+1",
        "1.0",
        "1e1",
        "٣",
        "START",
        "Fail",
        "progress",
        "start/",
        "log/x",
        " ",
        "x",
    ],
)
def test_any_other_action_is_none(action: str) -> None:
    assert read_plain(signal(action)) is None
    assert read_plain(signal(action, b"rid=1")) is None


@pytest.mark.parametrize("action", ["", "start", "success", "fail", "log", "3"])
def test_the_query_names_the_run_of_every_action(action: str) -> None:
    bare = read_plain(signal(action))
    assert bare is not None
    assert read_plain(signal(action, b"rid=nightly-7")) == replace(bare, run_id="nightly-7")
    assert read_plain(signal(action, b"other=1")) == bare


@pytest.mark.parametrize(
    ("query", "value"),
    [
        (b"rid=a", "a"),
        (b"x=1&rid=a", "a"),
        (b"rid=a&rid=b", "a"),
        (b"rid=a%20b+c", "a b c"),
        (b"rid=%C3%BC", "ü"),
        (b"rid=a=b", "a=b"),
        (b"rid=a%00b", "ab"),
        (b"rid=" + b"x" * LONGEST_RUN_ID, "x" * LONGEST_RUN_ID),
    ],
)
def test_a_value_is_the_first_of_its_name_without_its_escapes(query: bytes, value: str) -> None:
    assert query_value(query, b"rid") == value


@pytest.mark.parametrize(
    "query",
    [
        b"",
        b"rid",
        b"rid=",
        b"&&",
        b"RID=a",
        b"grid=a",
        b"ridx=a",
        b"rid=%00",
        b"rid=" + b"x" * (LONGEST_RUN_ID + 1),
    ],
)
def test_there_is_no_value_where_it_is_missing_empty_or_too_long(query: bytes) -> None:
    assert query_value(query, b"rid") is None


@given(st.binary(max_size=300))
def test_no_query_is_refused_and_none_gives_a_run_id_that_cannot_be_stored(query: bytes) -> None:
    for text in (query_value(query, b"rid"), query_value(b"rid=" + query, b"rid")):
        assert text is None or 0 < len(text) <= LONGEST_RUN_ID
        assert "\x00" not in (text or "")
        (text or "").encode()


@given(st.text(max_size=20), st.binary(max_size=40))
def test_no_path_and_no_query_is_refused(action: str, query: bytes) -> None:
    reading = read_plain(signal(action, query))
    assert reading is None or isinstance(reading.kind, Kind)


def test_the_true_order_is_arrival_then_start_log_progress_success_fail_then_id() -> None:
    ordered = [
        Ping(1, Kind.FAIL, 9),
        Ping(2, Kind.START, 8),
        Ping(2, Kind.LOG, 7),
        Ping(2, Kind.PROGRESS, 6),
        Ping(2, Kind.SUCCESS, 4),
        Ping(2, Kind.SUCCESS, 5),
        Ping(2, Kind.FAIL, 3),
        Ping(3, Kind.START, 2),
    ]
    mixed = [ordered[index] for index in (5, 2, 7, 0, 4, 1, 6, 3)]
    assert sorted(mixed, key=lambda ping: ping.order) == ordered


def test_every_kind_has_its_word() -> None:
    assert [word(kind) for kind in Kind] == ["start", "log", "progress", "success", "fail"]

"""store/tally.py: the counts behind the rate limits, and what happens to their file."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from limits.errors import StorageError

from tocsin.store.tally import SWEEP_EVERY, Tally

NOON = 1_774_699_200  # 2026-03-28 12:00:00 UTC
MIDNIGHT = NOON + 12 * 3600
MINUTE, DAY = 60, 86_400


def rows(path: Path) -> list[tuple[int, ...]]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute("SELECT at, until, count FROM hit ORDER BY at").fetchall()


def count_in_day(tally: Tally, second: int, key: str = "k") -> int:
    with tally.at(second):
        return tally.incr(key, DAY)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "made" / "rates.db"


def test_a_thousand_requests_in_a_second_are_one_row(path: Path) -> None:
    tally = Tally(path)
    for _ in range(1000):
        with tally.at(NOON):
            assert tally.acquire_entry("k", 60_000, MINUTE)
    assert rows(path) == [(NOON, NOON + MINUTE, 1000)]


def test_a_moving_window_starts_with_its_first_request(path: Path) -> None:
    tally = Tally(path)
    with tally.at(NOON):
        assert tally.get_moving_window("k", 3, MINUTE) == (NOON, 0)
        assert tally.acquire_entry("k", 3, MINUTE, amount=2)
        assert not tally.acquire_entry("k", 3, MINUTE, amount=2)
    with tally.at(NOON + 20):
        assert tally.acquire_entry("k", 3, MINUTE)
        assert not tally.acquire_entry("k", 3, MINUTE)
        assert tally.get_moving_window("k", 3, MINUTE) == (NOON, 3)
    with tally.at(NOON + 60):
        assert tally.get_moving_window("k", 3, MINUTE) == (NOON + 20, 1)


def test_a_fixed_window_ends_at_a_multiple_of_its_length(path: Path) -> None:
    tally = Tally(path)
    assert [count_in_day(tally, at) for at in (NOON, NOON, MIDNIGHT - 1, MIDNIGHT)] == [1, 2, 3, 1]
    with tally.at(NOON):
        assert (tally.get("k"), tally.get_expiry("k")) == (3, MIDNIGHT)
        assert (tally.get("other"), tally.get_expiry("other")) == (0, NOON)


def test_what_breaks_off_is_not_counted(path: Path) -> None:
    tally = Tally(path)
    with pytest.raises(TypeError), tally.at(NOON):
        len(tally.incr("k", DAY))  # type: ignore[arg-type]
    assert count_in_day(tally, NOON) == 1


def test_keys_can_be_forgotten_one_by_one_and_all_at_once(path: Path) -> None:
    tally = Tally(path)
    assert tally.check()
    for key in ("a", "b", "c"):
        count_in_day(tally, NOON, key)
    with tally.at(NOON):
        tally.clear("a")
        assert (tally.get("a"), tally.get("b")) == (0, 1)
        assert tally.reset() == 2
        assert tally.get("b") == 0


def test_no_key_can_be_read_from_the_file(path: Path) -> None:
    tally = Tally(path)
    count_in_day(tally, NOON, "token:T0PSECRET")
    assert b"T0PSECRET" not in path.read_bytes()


def test_rows_whose_time_is_over_go(path: Path) -> None:
    tally = Tally(path)
    for number in range(20 * SWEEP_EVERY):
        with tally.at(NOON + number):
            assert tally.acquire_entry(f"address:{number}", 1, MINUTE)
    assert len(rows(path)) <= MINUTE + SWEEP_EVERY


def test_rows_far_ahead_go_after_the_clock_was_set_back(path: Path) -> None:
    tally = Tally(path)
    for number in range(10):
        count_in_day(tally, NOON + 400 * DAY, f"then:{number}")
    for _ in range(SWEEP_EVERY):
        count_in_day(tally, NOON)
    assert [at for at, *_ in rows(path)] == [NOON - NOON % DAY]


def test_the_file_has_a_bound_at_which_everything_is_forgotten(path: Path) -> None:
    tally = Tally(path, most_pages=20)
    count_in_day(tally, NOON, "first")
    failures = 0
    for number in range(20_000):
        try:
            count_in_day(tally, NOON, f"address:{number}")
        except StorageError:
            failures += 1
    assert 1 <= failures <= 20
    assert path.stat().st_size <= 20 * 4096
    assert count_in_day(tally, NOON, "first") == 1


def test_two_share_a_file_that_was_taken_away_under_them(path: Path) -> None:
    one, other = Tally(path), Tally(path)
    assert [count_in_day(one, NOON), count_in_day(other, NOON)] == [1, 2]
    path.unlink()
    assert [count_in_day(one, NOON + 1), count_in_day(other, NOON + 1)] == [1, 2]


@pytest.mark.parametrize("garbage", [b"no database" * 1000, b"", b"SQLite format 3\0" + b"\xff" * 5000])
def test_a_broken_file_is_thrown_away(path: Path, garbage: bytes) -> None:
    one, other = Tally(path), Tally(path)
    count_in_day(one, NOON)
    count_in_day(other, NOON)
    path.write_bytes(garbage)
    with pytest.raises(StorageError):
        count_in_day(one, NOON)
    assert count_in_day(one, NOON + 1) == 1
    assert count_in_day(other, NOON + 1) == 2


def test_a_file_of_something_else_is_thrown_away(path: Path) -> None:
    path.parent.mkdir()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE hit (something TEXT)")
    tally = Tally(path)
    with pytest.raises(StorageError):
        count_in_day(tally, NOON)
    assert count_in_day(tally, NOON) == 1


def test_a_locked_file_is_waited_for_but_not_for_long(path: Path) -> None:
    tally = Tally(path, patience_seconds=0.05)
    count_in_day(tally, NOON)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("BEGIN EXCLUSIVE")
        with pytest.raises(StorageError):
            count_in_day(tally, NOON)
        assert not tally.check()
        connection.execute("ROLLBACK")
    assert count_in_day(tally, NOON) == 2


def test_a_full_disk_is_no_count(path: Path) -> None:
    path.parent.mkdir()
    path.symlink_to("/dev/full")
    tally = Tally(path)
    with pytest.raises(StorageError):
        count_in_day(tally, NOON)
    assert Path("/dev/full").exists()


def test_a_place_where_no_file_can_be_is_no_count(path: Path) -> None:
    path.mkdir(parents=True)
    tally = Tally(path)
    with pytest.raises(StorageError):
        count_in_day(tally, NOON)
    path.rmdir()
    path.parent.rmdir()
    path.parent.write_text("a file where the folder should be")
    with pytest.raises(StorageError):
        count_in_day(tally, NOON)

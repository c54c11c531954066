from __future__ import annotations

import os
import re
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.cli.conftest import Tocsin
from tests.server import Server


def rows(data: Path, query: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(data / "tocsin.db")) as connection:
        return connection.execute(query).fetchall()


def test_a_key_is_printed_alone_and_all_that_is_missing_is_made(tocsin: Tocsin, data: Path) -> None:
    arguments = ("--project", "work", "--email", "Me@Example.com", "--plan", "pro", "--read-only")
    ended = tocsin("key", "create", "--dialect", "cronpeek", *arguments)
    assert (ended.status, ended.err) == (0, "")
    assert re.fullmatch(r"cpk_[0-9a-f]{32}\n", ended.out)
    assert rows(data, "SELECT email, verified_at IS NOT NULL FROM account") == [("me@example.com", 1)]
    assert rows(data, "SELECT name, plan, dialect FROM project") == [("work", "pro", "cronpeek")]
    assert rows(data, "SELECT read_only, expires_at FROM key") == [(1, None)]


def test_no_encryption_key_is_made(tocsin: Tocsin, data: Path) -> None:
    tocsin("key", "create", "--dialect", "tocsin")
    assert {path.name for path in data.iterdir()} == {"tocsin.db"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("30d", timedelta(days=30)),
        ("2w", timedelta(days=14)),
        ("12h", timedelta(hours=12)),
        ("2999-01-31", datetime(2999, 1, 31, tzinfo=UTC)),
        ("2999-01-31T12:00:00+02:00", datetime(2999, 1, 31, 10, tzinfo=UTC)),
        ("2999-01-31T12:00:00Z", datetime(2999, 1, 31, 12, tzinfo=UTC)),
    ],
)
def test_a_key_expires_when_it_is_told_to(
    tocsin: Tocsin, data: Path, text: str, expected: timedelta | datetime
) -> None:
    assert tocsin("key", "create", "--dialect", "tocsin", "--expires", text).status == 0
    [[expires_at]] = rows(data, "SELECT expires_at FROM key")
    assert isinstance(expires_at, int)
    due = expected if isinstance(expected, datetime) else datetime.now(UTC) + expected
    assert abs(expires_at / 1_000_000 - due.timestamp()) < 60


@pytest.mark.parametrize("text", ["2001-01-31", "0d", "-1d", "30", "30x", "999999w", "tomorrow", ""])
def test_a_key_does_not_expire_at_a_time_that_makes_no_sense(tocsin: Tocsin, data: Path, text: str) -> None:
    ended = tocsin("key", "create", "--dialect", "tocsin", "--expires", text)
    assert (ended.status, ended.out) == (2, "")
    assert not data.exists()


def test_a_plan_is_one_that_there_is(tocsin: Tocsin, monkeypatch: pytest.MonkeyPatch) -> None:
    ended = tocsin("key", "create", "--dialect", "cronpeek", "--plan", "gold")
    assert "self-hosted, free, pro" in ended.err
    monkeypatch.setenv("TOCSIN_PLANS", "hosted")
    assert "only: free, pro" in tocsin("key", "create", "--dialect", "cronpeek", "--plan", "gold").err


def test_plans_of_ones_own_come_from_a_file(
    tocsin: Tocsin, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plans = data.parent / "plans.toml"
    plans.write_text("[cronpeek.gold]\nmonitor_limit = 7\n")
    monkeypatch.setenv("TOCSIN_PLANS", str(plans))
    assert tocsin("key", "create", "--dialect", "cronpeek", "--plan", "gold").status == 0
    plans.write_text("[cronpeek.gold]\nmonitor_limit = 0\n")
    ended = tocsin("key", "create", "--dialect", "cronpeek")
    assert (ended.status, "cronpeek.gold: monitor_limit must be" in ended.err) == (1, True)


def test_keys_are_listed_and_revoked(tocsin: Tocsin) -> None:
    raw = tocsin("key", "create", "--dialect", "tocsin", "--label", "for CI").out.strip()
    listed = tocsin("key", "list")
    assert (raw[:12] in listed.out, raw in listed.out, "for CI" in listed.out) == (True, False, True)
    uid = listed.out.splitlines()[1].split()[0]
    assert tocsin("key", "revoke", uid).out == f"revoked {raw[:12]}…\n"
    assert tocsin("key", "revoke", uid).status == 1
    assert len(tocsin("key", "list").out.splitlines()) == 1


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_another_users_data_is_refused(tocsin: Tocsin, data: Path) -> None:
    tocsin("key", "create", "--dialect", "tocsin")
    os.chown(data, 12_345, -1)
    ended = tocsin("key", "create", "--dialect", "tocsin")
    assert (ended.status, ended.out) == (1, "")
    assert "belongs to user 12345" in ended.err


def test_another_schema_is_refused_and_left_alone(tocsin: Tocsin, data: Path) -> None:
    tocsin("key", "create", "--dialect", "tocsin")
    with closing(sqlite3.connect(data / "tocsin.db")) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = '0000'")
    ended = tocsin("key", "create", "--dialect", "tocsin")
    assert (ended.status, "schema 0000" in ended.err) == (1, True)
    assert rows(data, "SELECT version_num FROM alembic_version") == [("0000",)]


def test_a_key_is_made_and_ended_beside_a_running_server(server: Server) -> None:
    raw = server.command("key", "create", "--dialect", "tocsin").strip()
    headers = {"Authorization": f"Bearer {raw}"}

    def status() -> int:
        return server.client.get("/api/tocsin/v1/monitors", headers=headers).status_code

    assert status() == 200
    uid = server.command("key", "list").splitlines()[-1].split()[0]
    server.command("key", "revoke", uid)
    server.wait_until(lambda: status() == 401, "the key is refused")


def test_a_key_of_a_dialect_that_is_not_spoken_is_not_made(tocsin: Tocsin, data: Path) -> None:
    ended = tocsin("key", "create", "--dialect", "klingon")
    assert (ended.status, ended.out, data.exists()) == (1, "", False)
    assert "klingon, only: anethoth, cronbeats, cronheart, cronpeek, cronping, tocsin" in ended.err

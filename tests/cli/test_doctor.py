from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest

from tests.cli.conftest import Tocsin
from tests.receivers import SmtpReceiver
from tocsin.store.sqlite import sqlite_engine
from tocsin.store.vault import Vault, check_canary, load_key

SECOND = 1_000_000


@pytest.fixture
def healthy(tocsin: Tocsin, data: Path) -> Path:
    """What a running server leaves behind: a key, a mark of just now."""
    tocsin("key", "create", "--dialect", "tocsin")
    engine = sqlite_engine(data / "tocsin.db")
    with engine.connect() as connection:
        check_canary(connection, Vault(load_key(data)))
    engine.dispose()
    run(data, "INSERT INTO process (node, started_at, mark_at) VALUES ('n', 1, ?)", now())
    return data


def now() -> int:
    return time.time_ns() // 1000


def run(data: Path, statement: str, *values: object) -> None:
    with closing(sqlite3.connect(data / "tocsin.db")) as connection, connection:
        connection.execute(statement, values)


def wrong(report: str) -> list[str]:
    """The first words of what is wrong."""
    return [line.split()[1].rstrip(":") for line in report.splitlines() if line.startswith("WRONG")]


def test_a_healthy_server_has_nothing_wrong(tocsin: Tocsin, healthy: Path) -> None:
    ended = tocsin("doctor")
    assert (ended.status, ended.err, wrong(ended.out)) == (0, "", [])
    for part in (
        "settings",
        "plans",
        "database",
        "secret key",
        "clock",
        "server",
        "lag",
        "dead letters",
        "mail",
    ):
        assert f"ok     {part}: " in ended.out


def test_no_database_is_wrong(tocsin: Tocsin, data: Path) -> None:
    ended = tocsin("doctor")
    assert (ended.status, wrong(ended.out)) == (1, ["database"])
    assert not data.exists()


def test_a_server_that_never_ran_is_not_wrong(tocsin: Tocsin) -> None:
    tocsin("key", "create", "--dialect", "tocsin")
    ended = tocsin("doctor")
    assert (ended.status, "has not run yet" in ended.out) == (0, True)


def test_bad_settings_are_the_only_finding(tocsin: Tocsin, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOCSIN_PORT", "x")
    ended = tocsin("doctor")
    assert (ended.status, wrong(ended.out), len(ended.out.splitlines())) == (1, ["settings"], 1)


def test_a_silent_server_is_wrong(tocsin: Tocsin, healthy: Path) -> None:
    run(healthy, "UPDATE process SET mark_at = ?", now() - 60 * SECOND)
    assert wrong(tocsin("doctor").out) == ["server"]


def test_a_clock_behind_the_database_is_wrong(tocsin: Tocsin, healthy: Path) -> None:
    run(healthy, "UPDATE process SET mark_at = ?", now() + 3600 * SECOND)
    assert wrong(tocsin("doctor").out) == ["clock"]


def test_an_undecided_deadline_is_wrong(tocsin: Tocsin, healthy: Path) -> None:
    run(healthy, "INSERT INTO watch VALUES (1, ?)", now() - 3600 * SECOND)
    ended = tocsin("doctor")
    assert (wrong(ended.out), "3600 s ago" in ended.out) == (["lag"], True)


def test_a_dead_letter_of_this_week_is_wrong(tocsin: Tocsin, healthy: Path) -> None:
    columns = "uid, project_id, channel_id, event, facts, status, created_at, finished_at"
    letter = f"INSERT INTO notification ({columns}) VALUES (?, 1, 1, 'monitor.down', '{{}}', 'failed', 1, ?)"
    run(healthy, letter, "old", now() - 8 * 86_400 * SECOND)
    assert wrong(tocsin("doctor").out) == []
    run(healthy, letter, "new", now())
    assert wrong(tocsin("doctor").out) == ["dead"]


def test_another_secret_key_is_wrong(tocsin: Tocsin, healthy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOCSIN_SECRET_KEY", "x" * 32)
    assert wrong(tocsin("doctor").out) == ["secret"]


def test_a_mail_server_is_greeted(tocsin: Tocsin, healthy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with SmtpReceiver() as mails:
        monkeypatch.setenv("TOCSIN_SMTP_URL", mails.url)
        assert "answers" in tocsin("doctor").out
    assert wrong(tocsin("doctor").out) == ["mail"]


def test_an_address_is_told_only_where_it_was_set(tocsin: Tocsin, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "http://" not in tocsin("doctor").out.splitlines()[0]
    monkeypatch.setenv("TOCSIN_PUBLIC_URL", "https://tocsin.example.com")
    assert "at https://tocsin.example.com" in tocsin("doctor").out

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import insert

from tests.cli.conftest import Tocsin
from tocsin.store import monitors, tables
from tocsin.store.sqlite import sqlite_engine

NOW = 1_800_000_000_000_000


@pytest.fixture
def uids(tocsin: Tocsin, data: Path) -> list[str]:
    """Two monitors in two projects; the first has a ping and a change of status."""
    for project in ("one", "two"):
        tocsin("key", "create", "--dialect", "tocsin", "--project", project)
    rows = [
        {
            "uid": character * 32,
            "badge_key": character,
            "project_id": project,
            "dialect": "tocsin",
            "name": f"job of {project}",
            "slug": "job",
            "schedule_kind": "cron",
            "schedule_expression": "0 3 * * *",
            "grace_seconds": 60,
            "created_at": NOW,
            "updated_at": NOW,
        }
        for project, character in ((1, "a"), (2, "b"))
    ]
    engine = sqlite_engine(data / "tocsin.db")
    with engine.connect() as connection:
        [first, _] = monitors.add_all(connection, rows, ["token 1", "token 2"], NOW)
        ping = {"id": 1, "monitor_id": first, "number": 1, "arrived_at": NOW, "kind": 4, "exit_code": 7}
        connection.execute(insert(tables.ping).values(ping))
        state = tables.monitor_state
        down = {"status": "down", "reason": "failed", "last_ping_id": 1, "last_ping_at": NOW}
        connection.execute(state.update().where(state.c.monitor_id == first).values(down))
        flip = {"project_id": 1, "monitor_id": first, "at": NOW, "old": "up", "new": "down"}
        told = {"reason": "failed", "announced": True, "created_at": NOW}
        connection.execute(insert(tables.flip).values({**flip, **told}))
    engine.dispose()
    return [str(row["uid"]) for row in rows]


def test_monitors_are_listed_newest_first(tocsin: Tocsin, uids: list[str]) -> None:
    lines = tocsin("monitor", "list").out.splitlines()
    assert [line.split()[0] for line in lines[1:]] == uids[::-1]
    assert "0 3 * * *" in lines[1]


def test_a_list_can_be_narrowed(tocsin: Tocsin, uids: list[str]) -> None:
    for arguments in (("--project", "one"), ("--status", "down"), ("--status", "late", "--status", "down")):
        lines = tocsin("monitor", "list", *arguments).out.splitlines()
        assert [line.split()[0] for line in lines[1:]] == uids[:1]
    assert len(tocsin("monitor", "list", "--limit", "1").out.splitlines()) == 2


def test_a_monitor_is_shown_with_its_history_and_without_its_token(tocsin: Tocsin, uids: list[str]) -> None:
    for wanted in (uids[0], uids[0][:4], uids[0].upper()):
        ended = tocsin("monitor", "show", wanted)
        assert (ended.status, "token" in ended.out) == (0, False)
        for part in ("job of 1", "down", "failed", "fail  7", "up to down", "2027-01-15T08:00:00Z"):
            assert part in ended.out


def test_an_id_that_fits_none_or_several_is_told(tocsin: Tocsin, uids: list[str], data: Path) -> None:
    assert "no monitor" in tocsin("monitor", "show", "c").err
    assert "no monitor" in tocsin("monitor", "show", "%").err
    with closing(sqlite3.connect(data / "tocsin.db")) as connection, connection:
        connection.execute("UPDATE monitor SET uid = 'ab' WHERE id = 2")
    assert "several monitors" in tocsin("monitor", "show", "a").err

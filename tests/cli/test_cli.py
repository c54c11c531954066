from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.cli.conftest import Tocsin
from tocsin import __version__
from tocsin.cli import COMMANDS

HEAVY = {"sqlalchemy", "pydantic", "fastapi", "uvicorn", "httpx", "cryptography", "asyncio"}


def test_version_is_printed_alone(tocsin: Tocsin) -> None:
    assert tocsin("version") == (0, f"{__version__}\n", "")


def test_version_loads_nothing_heavy() -> None:
    code = "import sys; from tocsin.cli import run; run(['version']); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    assert HEAVY & set(done.stdout.split()) == set()


def test_version_starts_quickly() -> None:
    quickest = min(_seconds() for _ in range(3))
    assert quickest < 0.2


def _seconds() -> float:
    started_at = time.perf_counter()
    subprocess.run([Path(sys.executable).with_name("tocsin"), "version"], capture_output=True, check=True)
    return time.perf_counter() - started_at


def test_help_names_every_command(tocsin: Tocsin) -> None:
    for arguments in ((), ("--help",), ("-h",)):
        ended = tocsin(*arguments)
        assert (ended.status, ended.err) == (0, "")
        assert all(name in ended.out for name in COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself(tocsin: Tocsin, name: str) -> None:
    ended = tocsin(name, "--help")
    assert (ended.status, ended.err) == (0, "")
    assert len(ended.out.splitlines()) > 5


def test_help_of_serve_lists_all_settings(tocsin: Tocsin) -> None:
    assert "TOCSIN_TRUSTED_PROXIES" in tocsin("serve", "--help").out


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (["nonsense"], 2),
        (["key", "nonsense"], 2),
        (["key", "create"], 2),
        (["key", "create", "--dialect", "nonsense"], 1),
        (["key", "create", "--dialect", "tocsin", "--expires", "soon"], 2),
        (["serve", "--port", "x"], 2),
        (["serve", "--port", "99999"], 1),
        (["monitor", "list", "--status", "lost"], 2),
        (["monitor", "list"], 1),
        (["monitor", "show", "x"], 1),
        (["send-test"], 1),
        (["key", "list"], 1),
        (["key", "revoke", "x"], 1),
    ],
)
def test_a_mistake_is_one_line_and_a_status(tocsin: Tocsin, arguments: list[str], status: int) -> None:
    ended = tocsin(*arguments)
    assert (ended.status, ended.out) == (status, "")
    assert ended.err.startswith("tocsin: ")
    assert ended.err.count("\n") == 1


def test_a_wrong_setting_is_one_line_that_names_it(tocsin: Tocsin, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOCSIN_DATBASE_URL", "sqlite:///x")
    ended = tocsin("key", "list")
    assert (ended.status, ended.err.count("\n")) == (1, 1)
    assert "TOCSIN_DATBASE_URL" in ended.err


def test_a_reader_that_stops_reading_is_no_error(tocsin: Tocsin) -> None:
    command = f"{sys.executable} -m tocsin --help | true"
    done = subprocess.run(["sh", "-c", command], capture_output=True, check=True, text=True)
    assert done.stderr == ""

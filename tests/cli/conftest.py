from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from tocsin.cli import run


class Ended(NamedTuple):
    """What a command left."""

    status: int
    out: str
    err: str


Tocsin = Callable[..., Ended]


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder that is not there yet, named by the environment; nothing else is set."""
    for name in [name for name in os.environ if name.startswith("TOCSIN_")]:
        monkeypatch.delenv(name)
    folder = tmp_path / "data"
    monkeypatch.setenv("TOCSIN_DATA", str(folder))
    monkeypatch.chdir(tmp_path)
    return folder


@pytest.fixture
def tocsin(data: Path, capsys: pytest.CaptureFixture[str]) -> Tocsin:
    """Run a command in this process."""

    def call(*arguments: str) -> Ended:
        capsys.readouterr()
        status = run(arguments)
        printed = capsys.readouterr()
        return Ended(status, printed.out, printed.err)

    return call

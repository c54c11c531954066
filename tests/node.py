"""Node.js for the tests that run vendors' own clients (tests/clients), where `make install` found it."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

CLIENTS = Path(__file__).parent / "clients"


def require_node() -> None:
    """Skip the test where there is no Node.js, but never in CI."""
    if shutil.which("node") is not None and (CLIENTS / "node_modules").is_dir():
        return
    if "CI" in os.environ:
        pytest.fail("CI has to run the clients for Node.js: is npm missing?")
    pytest.skip("there is no Node.js, or `make install` was run without it")


def run_node(*arguments: str) -> str:
    """What a program prints that finds the clients."""
    done = subprocess.run(
        ["node", *arguments], cwd=CLIENTS, capture_output=True, check=False, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stdout

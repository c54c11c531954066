"""What a newcomer types: the README from top to bottom. The vendors' pages are in tests/seeds."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Serve
from tests.receivers import HttpReceiver, SmtpReceiver
from tests.server import every, free_port

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
README_HOST = "http://127.0.0.1:8000"


def test_the_readme_works_from_top_to_bottom(tmp_path: Path) -> None:
    blocks = re.findall(r"^```sh\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
    commands = [block for block in blocks if "curl" in block]
    exports = [block for block in blocks if "export" in block]
    [targets] = [block for block in blocks if "make serve" in block]
    [key_command] = [block for block in blocks if "key create" in block]
    assert len(blocks) == len(commands) + len(exports) + 2
    assert re.findall(r"^make (\w+)", targets, re.MULTILINE) == ["serve", "test"]

    with made_to_serve(tmp_path, "".join(exports)) as (url, link):
        page = subprocess.run(["curl", "-sSf", link], capture_output=True, check=True, text=True)
        assert "<html" in page.stdout.lower()
        known = {README_HOST: url}
        account, monitor, ping = (typed(block, known, learns=known) for block in commands)
        assert account["apiKey"] == known["cpk_your_key_here"]
        assert monitor["name"] == "Nightly DB Backup"
        assert ping == {"ok": True, "monitor": "Nightly DB Backup", "status": "up"}
        key = subprocess.run(
            ["bash", "-ec", key_command], cwd=tmp_path, capture_output=True, check=True, text=True, timeout=30
        ).stdout
        jobs = typed(f'curl -sf -H "X-API-Key: {key.strip()}" {url}/cronbeats/api/v1/jobs', {})
        assert jobs["success"] is True


class made_to_serve:  # noqa: N801 - read as `with made_to_serve(...)`
    """`make serve` in a folder like a clone, after typing `exports`: its address and its link."""

    def __init__(self, folder: Path, exports: str) -> None:
        shutil.copy(ROOT / "Makefile", folder)
        (folder / ".venv").symlink_to(sys.prefix)
        self._folder = folder
        self._exports = exports

    def __enter__(self) -> tuple[str, str]:
        # The environment is there: what it takes to build it is tested by whoever runs `make test`.
        command = f"{self._exports}\nexec make --assume-old=.venv/installed serve"
        clean = {
            name: value for name, value in os.environ.items() if not name.startswith(("TOCSIN_", "MAKE"))
        }
        self._process = subprocess.Popen(
            ["bash", "-ec", command],
            cwd=self._folder,
            env={**clean, "TOCSIN_PORT": str(free_port())},
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
        )
        lines = self._lines()
        url = next(line for line in lines if "listens on" in line).split()[-1]
        return url, next(line for line in lines if "/link/" in line).split()[-1]

    def __exit__(self, *exc: object) -> None:
        os.killpg(self._process.pid, signal.SIGTERM)
        try:
            self._process.wait(20)
        finally:
            if self._process.poll() is None:
                os.killpg(self._process.pid, signal.SIGKILL)
                self._process.wait()
            assert self._process.stdout
            self._process.stdout.close()

    def _lines(self) -> Iterator[str]:
        assert self._process.stdout
        for line in self._process.stdout:
            yield line.strip()
        pytest.fail("the server ended")


def typed(command: str, known: dict[str, str], learns: dict[str, str] | None = None) -> Any:
    """What a command says when the placeholders are filled in; adds what its reply tells to `learns`."""
    for placeholder, value in known.items():
        command = command.replace(placeholder, value)
    done = subprocess.run(
        ["bash", "-ec", command], capture_output=True, check=True, text=True, timeout=30, env=no_proxy()
    )
    reply = json.loads(done.stdout)
    if learns is not None:
        if "apiKey" in reply:
            learns["cpk_your_key_here"] = reply["apiKey"]
        if "pingUrl" in reply:
            learns["YOUR_PING_TOKEN"] = reply["pingUrl"].rpartition("/")[2]
    return reply


def no_proxy() -> dict[str, str]:
    return {**os.environ, "no_proxy": "127.0.0.1", "NO_PROXY": "127.0.0.1"}


def test_a_second_account_is_not_made_by_whoever_comes_along(serve: Serve) -> None:
    server = serve(signup="closed")
    first = server.client.post("/api/v1/accounts", json={"email": "you@example.com"})
    assert first.status_code == 201
    answer = server.client.post("/api/v1/accounts", json={"email": "other@example.com"})
    assert answer.status_code == 403
    assert answer.json().keys() == {"error"}


def test_a_silent_job_is_told_by_mail_and_webhook_and_so_is_its_return(serve: Serve) -> None:
    with SmtpReceiver() as mailbox, HttpReceiver() as receiver:
        server = serve(smtp_url=mailbox.url)
        job = server.api().create("Nightly DB Backup", mail="members", webhook_url=receiver.url, **every(2))
        server.ping(job)
        told_down(receiver, mailbox)
        server.ping(job)
        assert receiver.wait_for(2)[1].json()["event"] == "monitor.up"
        assert mailbox.wait_for(2)[1].recipients == ("owner@example.com",)


def test_fail_alerts_at_once(serve: Serve) -> None:
    with HttpReceiver() as receiver:
        server = serve()
        job = server.api().create(webhook_url=receiver.url)
        began = time.monotonic()
        server.ping(job, "fail")
        [request] = receiver.wait_for(1)
        assert request.at - began < 3
    assert request.json()["reason"] == "failed"


def told_down(receiver: HttpReceiver, mailbox: SmtpReceiver) -> None:
    [request] = receiver.wait_for(1)
    [mail] = mailbox.wait_for(1)
    assert (request.json()["event"], request.json()["reason"]) == ("monitor.down", "missed")
    assert "Nightly DB Backup" in mail.message["Subject"]

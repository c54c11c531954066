"""What docs/dialects/cronbeats.md prints works as it is printed, but for host, key and job key."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.node import require_node, run_node
from tests.server import Server

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/dialects/cronbeats.md").read_text(encoding="utf-8")
HOST, KEY, JOB_KEY = "https://tocsin.example.com", "cb_your_api_key_here", "abc123de"


def printed(language: str) -> list[str]:
    """The page's blocks of a language, in their order."""
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


def run(*command: str) -> str:
    direct = {**os.environ, "no_proxy": "127.0.0.1"}
    done = subprocess.run(command, capture_output=True, check=False, text=True, timeout=30, env=direct)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_page_works_as_it_is_printed(server: Server) -> None:
    headers = {"X-API-Key": server.key("cronbeats")}
    create, ping, webhook = (block.replace(HOST, server.url) for block in printed("bash"))
    job = json.loads(run("bash", "-ec", create.replace(KEY, headers["X-API-Key"])))["data"]
    assert json.loads(run("bash", "-ec", ping.replace(JOB_KEY, job["job_key"])))["action"] == "end"
    [python] = printed("python")
    run(sys.executable, "-c", python.replace(HOST, server.url).replace(JOB_KEY, job["job_key"]))
    told = json.loads(run("bash", "-ec", webhook.replace(KEY, headers["X-API-Key"])))
    assert told["data"] == {"is_enabled": True, "url": "***", "secret": "***"}

    def ask(path: str) -> Any:
        return server.client.get(f"/api/v1/jobs{path}", headers=headers).json()["data"]

    signals = ask(f"/{job['id']}/signals")["signals"]
    assert [each["type"] for each in signals] == ["success", "progress", "start", "success"]
    assert ask(f"/{job['id']}").keys() == documented("of a job")
    assert signals[0].keys() == documented("of a signal")


def test_the_page_works_in_node_too(server: Server) -> None:
    require_node()
    headers = {"X-API-Key": server.key("cronbeats")}
    body = {"name": "job", "expected_interval_seconds": 3600}
    job = server.client.post("/api/v1/jobs", headers=headers, json=body).json()["data"]
    [script] = printed("js")
    script = script.replace(HOST, server.url).replace(JOB_KEY, job["job_key"])
    run_node("--input-type=module", "--eval", script)
    signals = server.client.get(f"/api/v1/jobs/{job['id']}/signals", headers=headers).json()["data"][
        "signals"
    ]
    assert [each["type"] for each in signals] == ["success", "progress", "start"]


def documented(table: str) -> set[str]:
    """The fields in the first column of a table."""
    [rows] = re.findall(rf"^\| {table} \|.*?\n\|[-|]+\|\n((?:\|.*\n)+)", PAGE, re.MULTILINE)
    return {name for row in rows.splitlines() for name in re.findall(r"`(\w+)`", row.split("|")[1])}

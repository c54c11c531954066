"""CronPeek's page from top to bottom: every sample runs, and is answered as the page says."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import Serve
from tests.receivers import Certificate
from tests.seeds.replay import Page, with_tls
from tests.seeds.shape import Expected

HOST = "https://cronpeek.web.app"
KEY, TOKENS = "cpk_your_key_here", ("YOUR_PING_TOKEN", "YOUR_TOKEN", "abc123def456...")
MONITOR = "a1b2c3d4e5f67890"
NODE = (267, 296)
OWN = {"monitorId", "pingUrl", "lastPing", "pingCount"}


@pytest.fixture
def page(serve: Serve, tmp_path: Path) -> Page:
    server = serve(signup="open", plans="hosted")
    return Page("cronpeek", server, tmp_path, {HOST: server.url})


def test_every_sample_of_the_page_works(page: Page) -> None:
    quick_start(page)
    reference(page)
    examples(page, crontab, bash, python, celery, github_actions, kubernetes)
    ran = {path.name for path in page.folder.rglob("*.ran")}
    assert ran == {"backup.sh.ran", "process-data.sh.ran", "app-backup.sh.ran", "process.sh.ran", "etl.ran"}
    limit(page)
    assert page.left() == [f"code in line {line}" for line in NODE]


@pytest.mark.skipif(
    shutil.which("node") is None and "CI" not in os.environ, reason="there is no Node.js here"
)
def test_every_sample_of_node_works(page: Page) -> None:
    page.known[KEY] = page.curl(15, 201).json()["apiKey"]
    created = page.curl(23, 201).json()
    learn(page, created["pingUrl"], created["monitorId"])
    examples(page, node, lambda_)
    assert not {f"code in line {line}" for line in NODE} & {*page.left()}


def quick_start(page: Page) -> None:
    page.known[KEY] = page.curl(15, 201, account(page)).json()["apiKey"]
    created = page.curl(23, 201, Expected(page.value(116), {*OWN, "grace"})).json()
    assert created["grace"] == 8640
    learn(page, created["pingUrl"], created["monitorId"])
    page.curl(33, 200, Expected(page.value(224)))
    listed = page.curl(47, 200, Expected(page.value(140), {*OWN, "grace"})).json()
    assert listed["monitors"][0]["pingCount"] == 1


def reference(page: Page) -> None:
    page.curl(66, 201, account(page))
    page.ask("DELETE", f"/api/v1/monitors/{page.known[MONITOR]}", 200, headers=key(page))
    created = page.curl(104, 201, Expected(page.value(116), OWN)).json()
    assert re.fullmatch(r"[0-9a-f]{16}", created["monitorId"])
    learn(page, created["pingUrl"], created["monitorId"])
    for line in (214, 220):
        page.curl(line, 200, Expected(page.value(224)))
    head = page.curl(217, 200)
    assert head.headers["content-type"] == "application/json"
    assert head.body.endswith("\r\n\r\n") or head.body.endswith("\n\n")
    page.curl(135, 200, Expected(page.value(140), OWN))
    assert page.curl(171, 200, Expected(page.value(176), OWN)).json()["pingCount"] == 3
    page.curl(238, 200, Expected(page.value(242), {"timestamp"}))


def examples(page: Page, *runs: Callable[[Page], None]) -> None:
    """Each of the code samples pings once, after the job that it is about."""
    page.known["/usr/local/bin/backup.sh"] = str(page.stub("backup.sh"))
    page.known["/usr/local/bin/process-data.sh"] = str(page.stub("process-data.sh"))
    page.known["/app/backup.sh"] = str(page.stub("app-backup.sh"))
    page.stub("scripts/process.sh")
    for run in runs:
        before = pings(page)
        run(page)
        assert pings(page) == before + 1, run.__name__


def crontab(page: Page) -> None:
    line = page.text(256, "crontab")
    page.run(["/bin/sh", "-c", line.split(maxsplit=5)[5]])


def bash(page: Page) -> None:
    script = page.folder / "job.sh"
    script.write_text(page.text(260, "code"))
    page.run(["bash", str(script)])


def node(page: Page) -> None:
    certificate = Certificate("127.0.0.1")
    with with_tls(page.server.port, certificate) as https:
        page.node(over(https, page, page.text(NODE[0], "code")), certificate)


def python(page: Page) -> None:
    script = page.folder / "job.py"
    script.write_text(page.text(280, "code"))
    page.run(["python", str(script)])


def lambda_(page: Page) -> None:
    certificate = Certificate("127.0.0.1")
    with with_tls(page.server.port, certificate) as https:
        (page.folder / "index.cjs").write_text(over(https, page, page.text(NODE[1], "code")))
        called = (
            "globalThis.doWork = async () => 1; const done = await require('./index.cjs').handler({});"
            "if (done.statusCode !== 200) throw new Error(done);"
        )
        page.node(called, certificate)


def celery(page: Page) -> None:
    (page.folder / "etl.py").write_text("open('etl.ran', 'w').close()\n")
    script = page.folder / "pipeline.py"
    script.write_text(page.text(315, "code"))
    page.run(["python", str(script)])


def github_actions(page: Page) -> None:
    """All `run:` lines, with the secret filled in as GitHub would."""
    page.known["${{ secrets.CRONPEEK_TOKEN }}"] = page.known["YOUR_TOKEN"]
    steps = re.findall(r"run: (.+)", page.text(333, "code"))
    assert len(steps) == 2
    for step in steps:
        page.run(["bash", "-e", "-c", step])


def kubernetes(page: Page) -> None:
    shell, flag, command = re.findall(r"^ +- (/bin/sh|-c|\".*\")$", page.text(350, "code"), re.MULTILINE)
    page.run([shell, flag, json.loads(command)], CRONPEEK_TOKEN=page.known["YOUR_TOKEN"])


def limit(page: Page) -> None:
    page.curl(195, 200, Expected(page.value(201)))
    for _ in range(5):
        page.curl(104, 201)
    page.ask(
        "POST",
        "/api/v1/monitors",
        403,
        Expected(page.value(408)),
        headers=key(page),
        json={"name": "x", "schedule": 60},
    )


def account(page: Page) -> Expected:
    return Expected(page.value(72), {"apiKey"})


def learn(page: Page, ping_url: str, monitor_id: str) -> None:
    """What stands for the page's monitor and its token from now on."""
    assert ping_url.startswith(f"{page.server.url}/api/v1/ping/")
    page.known |= dict.fromkeys(TOKENS, ping_url.rpartition("/")[2]) | {MONITOR: monitor_id}


def key(page: Page) -> dict[str, str]:
    return {"x-api-key": page.known[KEY]}


def pings(page: Page) -> int:
    status = page.ask("GET", f"/api/v1/monitors/{page.known[MONITOR]}/status", 200, headers=key(page)).json()
    count: int = status["pingCount"]
    return count


def over(https: str, page: Page, text: str) -> str:
    return text.replace(page.server.url, https)

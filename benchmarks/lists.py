"""Lists of monitors, and how fast monitors are made."""

from __future__ import annotations

import time
from pathlib import Path

from benchmarks import seed
from benchmarks.load import Run, http, run_load
from benchmarks.processes import Server, call
from benchmarks.report import Budget, Figure, Row, Section, amount
from benchmarks.scale import BenchmarkError, Scale

CONNECTIONS = 16
# An unpaged list takes so long that a short run would hardly see one.
UNPAGED_SECONDS = 10
BULK = 1_000
NATIVE = "/api/tocsin/v1/monitors"
CRONPEEK = "/cronpeek/api/v1/monitors"
NOTE = """\
Pages of 50 are drawn from all over the list, by the cursors that the list itself gave. cronpeek's published
list has no pages: every answer holds all monitors."""
HEADS = ("request", "connections", "per second", "p50", "p95", "p99", "refused")


def measure(scale: Scale) -> Section:
    """A project of the native API and one of cronpeek's, with as many monitors each."""
    data = scale.ground / "lists"
    peek_key, uid = _make_cronpeek_project(data)
    seed.copy_monitor(data, uid, scale.listed)
    with Server(data) as server:
        native_key = server.make_key("tocsin", "native")
        bulk = _create_in_bulk(server, native_key, scale.listed)
        cursors = _walk(server, native_key, scale.ground / "cursors")
        native = _list_pages(scale, server, native_key, cursors)
        created = _create_one_by_one(scale, server)
        alone = _list_all(scale, server, peek_key, 1)
        # Last: what wrk no longer waits for at its end keeps the server busy for a while.
        peek = _list_all(scale, server, peek_key, CONNECTIONS)
    figures = [
        Figure(f"page of 50 of {scale.listed:,}, native: p95", native.p95_ms, "ms", Budget("<=", 25)),
        Figure(f"page of 50 of {scale.listed:,}, native", native.rate, "/s", Budget(">=", 800)),
        Figure(f"cronpeek's list of {scale.listed:,}: p95", peek.p95_ms, "ms", Budget("<=", 400)),
        Figure(
            f"cronpeek's list of {scale.listed:,}, one connection: p95", alone.p95_ms, "ms", Budget("<=", 400)
        ),
        Figure("monitors made, native, 1,000 a request", bulk, "/s"),
        Figure("monitors made, cronpeek, one a request", created.rate, "/s"),
    ]
    rows = [
        _row("native page of 50", CONNECTIONS, native),
        _row(f"cronpeek list of {scale.listed:,}", CONNECTIONS, peek),
        _row(f"cronpeek list of {scale.listed:,}", 1, alone),
        _row("cronpeek POST", CONNECTIONS, created),
    ]
    return Section("Lists", NOTE, figures, HEADS, rows)


def _make_cronpeek_project(data: Path) -> tuple[str, str]:
    """Its key, and how the uid of its first monitor starts."""
    with Server(data) as server:
        key = server.make_key("cronpeek", "listed")
        made = call("POST", server.url + CRONPEEK, key, {"name": "nightly backup", "schedule": 86400})
    return key, made["monitorId"]


def _create_in_bulk(server: Server, key: str, count: int) -> float:
    """Monitors made a second."""
    started = time.perf_counter()
    for first in range(0, count, BULK):
        monitors = [
            {"name": f"job {number}", "mail": "none"} for number in range(first, min(first + BULK, count))
        ]
        made = call("POST", f"{server.url}{NATIVE}/bulk", key, {"monitors": monitors})
        if made["refused"]:
            raise BenchmarkError(f"{made['refused']} of {BULK} monitors were refused")
    return count / (time.perf_counter() - started)


def _walk(server: Server, key: str, path: Path) -> Path:
    """The cursors of all pages, the first's empty one too, one a line."""
    cursors = [""]
    while (
        cursor := call("GET", f"{server.url}{NATIVE}?limit=50&cursor={cursors[-1]}", key)["next_cursor"]
    ) is not None:
        cursors.append(cursor)
    path.write_text("\n".join(cursors) + "\n", encoding="ascii")
    return path


def _list_pages(scale: Scale, server: Server, key: str, cursors: Path) -> Run:
    headers = [f"Authorization: Bearer {key}"]
    request = http("GET", f"{NATIVE}?limit=50&cursor={{word}}", headers=headers)
    return _run(scale, server, request, CONNECTIONS, words=cursors)


def _list_all(scale: Scale, server: Server, key: str, connections: int) -> Run:
    request = http("GET", CRONPEEK, headers=[f"X-Api-Key: {key}"])
    return _run(scale, server, request, connections, seconds=max(scale.seconds, UNPAGED_SECONDS))


def _create_one_by_one(scale: Scale, server: Server) -> Run:
    headers = [f"X-Api-Key: {server.make_key('cronpeek', 'made')}", "Content-Type: application/json"]
    request = http("POST", CRONPEEK, headers=headers, body='{"name":"nightly backup","schedule":86400}')
    return _run(scale, server, request, CONNECTIONS)


def _run(
    scale: Scale,
    server: Server,
    request: str,
    connections: int,
    *,
    words: Path | None = None,
    seconds: int | None = None,
) -> Run:
    seconds = seconds or scale.seconds
    run = run_load(
        server.port, [request], words, connections=connections, seconds=seconds, ground=scale.ground
    )
    if run.refused or run.broken or not run.acknowledged:
        request_line = request.partition("\r\n")[0]
        raise BenchmarkError(
            f"{request_line}: {run.refused} refused, {run.broken} broken of {run.acknowledged}"
        )
    return run


def _row(what: str, connections: int, run: Run) -> Row:
    return (
        what,
        str(connections),
        amount(run.rate),
        amount(run.p50_ms, "ms"),
        amount(run.p95_ms, "ms"),
        amount(run.p99_ms, "ms"),
        str(run.refused),
    )

"""Lists of monitors in every dialect, and how fast monitors are made in each."""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from benchmarks.load import Run, http, run_load
from benchmarks.processes import Server, call
from benchmarks.report import Budget, Figure, Row, Section, amount
from benchmarks.scale import BenchmarkError, Scale

CONNECTIONS = 16
PAGE = 50
# An unpaged list takes so long that a short run would hardly see one.
UNPAGED_SECONDS = 10
BULK = 1_000
NATIVE = "/api/tocsin/v1/monitors"
NOTE = """\
One project, made through the native API, and read with a key of each dialect. Pages of 50 are drawn from all
over the list: the native ones by the cursors that the list itself gave, the others by number or offset. The
published lists of anethoth and cronpeek have no pages: every answer holds all monitors. Each dialect makes
monitors in a project of its own."""
HEADS = ("request", "connections", "per second", "p50", "p95", "p99", "refused")


class Speech(NamedTuple):
    """How a dialect is asked. `page` asks for the page `{word}`, None where there are no pages; `body` makes
    a monitor."""

    header: str
    path: str
    page: str | None
    body: str


SPEECHES = {
    "tocsin": Speech("Authorization: Bearer ", NATIVE, "limit=50&cursor={word}", '{"name":"nightly backup"}'),
    "cronping": Speech(
        "X-Api-Key: ",
        "/cronping/api/v1/heartbeats",
        "limit=50&offset={word}",
        '{"name":"nightly backup","intervalSeconds":86400}',
    ),
    "cronbeats": Speech(
        "X-Api-Key: ",
        "/cronbeats/api/v1/jobs",
        "per_page=50&page={word}",
        '{"name":"nightly backup","expected_interval_seconds":86400}',
    ),
    "cronheart": Speech(
        "Authorization: Bearer ",
        "/cronheart/api/v1/monitors",
        "limit=50&offset={word}",
        '{"name":"nightly backup","schedule_kind":"interval","schedule_expr":"86400","tz":"UTC"}',
    ),
    "anethoth": Speech(
        "Authorization: Bearer ",
        "/anethoth/api/v1/monitors",
        None,
        '{"name":"nightly backup","schedule_minutes":1440}',
    ),
    "cronpeek": Speech(
        "X-Api-Key: ", "/cronpeek/api/v1/monitors", None, '{"name":"nightly backup","schedule":86400}'
    ),
}


def measure(scale: Scale) -> Section:
    """A project with as many monitors as a list has, and one for each dialect to make some in."""
    figures: list[Figure] = []
    rows: list[Row] = []
    with Server(scale.ground / "lists") as server:
        keys = {dialect: server.make_key(dialect, "listed") for dialect in SPEECHES}
        bulk = _create_in_bulk(server, keys["tocsin"], scale.listed)
        words = _words(scale, server, keys["tocsin"])
        paged = [dialect for dialect, speech in SPEECHES.items() if speech.page]
        unpaged = [dialect for dialect in SPEECHES if dialect not in paged]
        for dialect in paged:
            run = _list_pages(scale, server, dialect, keys[dialect], words[dialect])
            what = f"page of {PAGE} of {scale.listed:,}, {dialect}"
            figures += [
                Figure(f"{what}: p95", run.p95_ms, "ms", Budget("<=", 25)),
                Figure(what, run.rate, "/s", Budget(">=", 800)),
            ]
            rows.append(_row(f"{dialect} page of {PAGE}", CONNECTIONS, run))
        for dialect in SPEECHES:
            run = _create_one_by_one(scale, server, dialect)
            figures.append(
                Figure(f"monitors made, {dialect}, one a request", run.rate, "/s", Budget(">=", 300))
            )
            rows.append(_row(f"{dialect} creation", CONNECTIONS, run))
        figures.append(Figure("monitors made, tocsin, 1,000 a request", bulk, "/s"))
        # Last: what wrk no longer waits for at its end keeps the server busy for a while.
        for connections, dialect in [(count, each) for count in (1, CONNECTIONS) for each in unpaged]:
            run = _list_all(scale, server, dialect, keys[dialect], connections)
            what = f"unpaged list of {scale.listed:,}, {dialect}, {_connections(connections)}: p95"
            figures.append(Figure(what, run.p95_ms, "ms", Budget("<=", 400)))
            rows.append(_row(f"{dialect} list of {scale.listed:,}", connections, run))
    return Section("Lists", NOTE, figures, HEADS, rows)


def _connections(count: int) -> str:
    return "one connection" if count == 1 else f"{count} connections"


def _words(scale: Scale, server: Server, key: str) -> dict[str, Path]:
    """What names each page of the list, by dialect, one a line."""
    pages = range(scale.listed // PAGE)
    offsets = [str(PAGE * page) for page in pages]
    lines: dict[str, Iterable[str]] = {
        "tocsin": _cursors(server, key),
        "cronping": offsets,
        "cronbeats": [str(page + 1) for page in pages],
        "cronheart": offsets,
    }
    paths = {dialect: scale.ground / f"pages of {dialect}" for dialect in lines}
    for dialect, path in paths.items():
        path.write_text("\n".join(lines[dialect]) + "\n", encoding="ascii")
    return paths


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


def _cursors(server: Server, key: str) -> list[str]:
    """The cursors of all pages, the first's empty one too."""
    cursors = [""]
    while (
        cursor := call("GET", f"{server.url}{NATIVE}?limit={PAGE}&cursor={cursors[-1]}", key)["next_cursor"]
    ) is not None:
        cursors.append(cursor)
    return cursors


def _list_pages(scale: Scale, server: Server, dialect: str, key: str, words: Path) -> Run:
    speech = SPEECHES[dialect]
    request = http("GET", f"{speech.path}?{speech.page}", headers=[speech.header + key])
    return _run(scale, server, request, CONNECTIONS, words=words)


def _list_all(scale: Scale, server: Server, dialect: str, key: str, connections: int) -> Run:
    speech = SPEECHES[dialect]
    request = http("GET", speech.path, headers=[speech.header + key])
    return _run(scale, server, request, connections, seconds=max(scale.seconds, UNPAGED_SECONDS))


def _create_one_by_one(scale: Scale, server: Server, dialect: str) -> Run:
    speech = SPEECHES[dialect]
    headers = [
        speech.header + server.make_key(dialect, f"made in {dialect}"),
        "Content-Type: application/json",
    ]
    return _run(scale, server, http("POST", speech.path, headers=headers, body=speech.body), CONNECTIONS)


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

"""Promise 10: bad input gets a clear error, never a 5xx, and changes nothing; and nobody waits for it."""

from __future__ import annotations

import contextlib
import re
import select
import socket
import time
from collections.abc import Iterator
from typing import Any, NamedTuple

import psutil
import pytest

from tests.conftest import Serve
from tests.pinger import Pinger
from tests.server import Api, Made, Server

pytestmark = pytest.mark.promise(10)

MEGABYTE = 1_000_000


class Shared(NamedTuple):
    """A server for many questions. `path` is the ping address of a monitor."""

    server: Server
    api: Api
    path: str
    cronpeek_key: str


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory, made: Made) -> Iterator[Shared]:
    settings = {"request_timeout_seconds": 3, "unknown_token_limit_per_minute": 1_000_000}
    with Server(tmp_path_factory.mktemp("server"), made=made, **settings) as server:
        api = server.api()
        yield Shared(server, api, path_of(api.create()), server.key("cronpeek", "peek@example.com"))
        assert server.is_running
        assert "Traceback" not in server.output()


def path_of(monitor: dict[str, Any]) -> str:
    return "/" + str(monitor["ping_url"]).split("/", 3)[3]


MALFORMED = {
    "no HTTP at all": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 hello\r\n\r\n",
    "a line only": b"GET\r\n\r\n",
    "an unknown method": b"BREW {path} HTTP/1.1\r\nHost: x\r\n\r\n",
    "a lower-case method": b"get {path} HTTP/1.1\r\nHost: x\r\n\r\n",
    "an unknown version": b"GET {path} HTTP/9.9\r\nHost: x\r\n\r\n",
    "a space in the address": b"GET {path} /x HTTP/1.1\r\nHost: x\r\n\r\n",
    "NUL in the address": b"GET {path}\x00 HTTP/1.1\r\nHost: x\r\n\r\n",
    "NUL in a header": b"GET {path} HTTP/1.1\r\nHost: x\r\nX-A: a\x00b\r\n\r\n",
    "NUL in a header's name": b"GET {path} HTTP/1.1\r\nHost: x\r\nX\x00A: b\r\n\r\n",
    "a header without a colon": b"GET {path} HTTP/1.1\r\nHost: x\r\nwhat is this\r\n\r\n",
    "a space before the colon": b"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length : 1\r\n\r\na",
    "a bad length": b"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: ten\r\n\r\n0123456789",
    "a negative length": b"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
    "an endless length": b"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 9999999999999999999999\r\n\r\n",
    "two lengths": b"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
    "a length and chunks": (
        b"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    ),
    "a bad chunk": (
        b"POST {path} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nab\r\n0\r\n\r\n"
    ),
    "a chunk that is longer than it says": (
        b"POST {path} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nabc\r\n0\r\n\r\n"
    ),
    "an endless chunk": (
        b"POST {path} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\nabc"
    ),
    "an unknown transfer encoding": b"POST {path} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: rot13\r\n\r\nabc",
    "an endless address": b"GET {path}?" + b"a" * 100_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    "an endless header": b"GET {path} HTTP/1.1\r\nHost: x\r\nX-A: " + b"a" * 200_000 + b"\r\n\r\n",
    "endless headers": b"GET {path} HTTP/1.1\r\nHost: x\r\n" + b"X-A: aaaaaaaaaa\r\n" * 20_000 + b"\r\n",
}


@pytest.mark.parametrize("request_bytes", MALFORMED.values(), ids=MALFORMED.keys())
@pytest.mark.parametrize("kind", ["ping", "api"])
def test_what_is_no_proper_request_gets_a_4xx_and_a_closed_connection_and_stores_nothing(
    shared: Shared, kind: str, request_bytes: bytes
) -> None:
    before = stored(shared.server)
    path = shared.path if kind == "ping" else "/api/tocsin/v1/monitors"
    sent = request_bytes.replace(b"{path}", path.encode())
    with connected(shared.server) as line:
        with contextlib.suppress(ConnectionError):
            line.sendall(sent)
        received = until_closed(line)
    assert_no_success(received)
    assert stored(shared.server) == before
    assert_alive(shared)


ODD = {
    "a bad percent escape": "/%zz",
    "half a percent escape": "/%",
    "NUL, escaped": "/%00",
    "no UTF-8, escaped": "/%ff%fe",
    "dots": "/../../etc/passwd",
    "a code over 255": "/256",
    "a negative code": "/-1",
    "an unknown action": "/nonsense",
    "two actions": "/start/fail",
}


@pytest.mark.parametrize("tail", ODD.values(), ids=ODD.keys())
def test_an_odd_address_is_no_ping_and_no_crash(shared: Shared, tail: str) -> None:
    before = stored(shared.server)
    for path in (shared.path + tail, "/ping" + tail, "/api/tocsin/v1/monitors" + tail, tail):
        assert (
            400
            <= status_of(exchange(shared.server, f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode()))
            < 500
        )
    assert stored(shared.server) == before


@pytest.mark.parametrize(
    "query", ["?rid=%00", "?rid=" + "a" * 5000, "?rid=%ff", "?rid=%zz", "?rid", "?&&=&", "?"]
)
def test_an_odd_query_never_loses_a_ping(shared: Shared, query: str) -> None:
    pings = stored(shared.server)[0]
    assert (
        status_of(exchange(shared.server, f"GET {shared.path}{query} HTTP/1.1\r\nHost: x\r\n\r\n".encode()))
        == 200
    )
    assert stored(shared.server)[0] == pings + 1


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "PROPFIND"])
def test_another_method_is_no_ping(shared: Shared, method: str) -> None:
    before = stored(shared.server)
    received = exchange(shared.server, f"{method} {shared.path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    assert status_of(received) in (400, 405)
    assert stored(shared.server) == before


def test_head_counts_and_has_no_body(shared: Shared) -> None:
    pings = stored(shared.server)[0]
    for path in (shared.path, shared.path + "/start"):
        received = exchange(
            shared.server, f"HEAD {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode()
        )
        head, _, body = received.partition(b"\r\n\r\n")
        assert (status_of(received), body) == (200, b"")
        assert int(re.findall(rb"(?i)content-length: (\d+)", head)[0]) > 0
    assert stored(shared.server)[0] == pings + 2


def test_head_of_an_unknown_token_has_no_body(shared: Shared) -> None:
    received = exchange(shared.server, b"HEAD /ping/nobody HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert (status_of(received), received.partition(b"\r\n\r\n")[2]) == (404, b"")


def test_a_client_that_expects_100_is_told_to_go_on(shared: Shared) -> None:
    request = f"POST {shared.path} HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n"
    with connected(shared.server) as line:
        line.sendall(request.encode())
        assert line.recv(1000).startswith(b"HTTP/1.1 100 ")
        line.sendall(b"hello")
        assert status_of(line.recv(10_000)) == 200
    assert newest_body(shared.server) == b"hello"


@pytest.mark.parametrize("chunked", [False, True], ids=["with a length", "in chunks"])
def test_a_body_of_five_megabytes_is_cut_and_the_ping_is_not_lost(shared: Shared, *, chunked: bool) -> None:
    body = b"0123456789" * 500_000

    def parts() -> Iterator[bytes]:
        for at in range(0, len(body), 65_536):
            yield body[at : at + 65_536]

    response = shared.server.client.post(shared.path, content=parts() if chunked else body)
    assert response.status_code == 200
    assert newest_body(shared.server) == body[:10_000]
    monitor_id = next(shared.api.items("/monitors"))["id"]
    newest = next(shared.api.items(f"/monitors/{monitor_id}/pings"))
    assert (newest["has_body"], newest["body_was_cut"]) == (True, True)


def test_a_body_just_at_the_limit_is_not_cut(shared: Shared) -> None:
    assert shared.server.client.post(shared.path, content=b"a" * 10_000).status_code == 200
    monitor_id = next(shared.api.items("/monitors"))["id"]
    newest = next(shared.api.items(f"/monitors/{monitor_id}/pings"))
    assert (newest["has_body"], newest["body_was_cut"]) == (True, False)


def test_an_api_body_over_the_limit_is_refused_before_it_is_read(shared: Shared) -> None:
    head = f"POST /api/tocsin/v1/monitors HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {shared.api.key}\r\n"
    request = f"{head}Content-Type: application/json\r\nContent-Length: {50 * MEGABYTE}\r\n\r\n{{"
    assert status_of(exchange(shared.server, request.encode())) == 413


def test_pipelined_requests_of_all_kinds_are_answered_in_their_order(shared: Shared) -> None:
    pings = stored(shared.server)[0]
    targets = [
        shared.path,
        "/healthz",
        f"{shared.path}/start",
        "/api/tocsin/v1/monitors",
        "/ping/nobody",
        shared.path,
    ]
    expected = [200, 200, 200, 401, 404, 200]
    requests = [f"GET {target} HTTP/1.1\r\nHost: x\r\n\r\n".encode() for target in targets * 5]
    with connected(shared.server) as line:
        line.sendall(b"".join(requests))
        assert answers(line, len(requests)) == expected * 5
    assert stored(shared.server)[0] == pings + 15


def test_pipelined_pings_before_a_bad_request_are_stored_and_answered(shared: Shared) -> None:
    pings = stored(shared.server)[0]
    good = f"GET {shared.path} HTTP/1.1\r\nHost: x\r\n\r\n".encode()
    with connected(shared.server) as line:
        line.sendall(good)
        assert answers(line, 1) == [200]
        line.sendall(b"nonsense\r\n\r\n")
        assert_no_success(until_closed(line))
    assert stored(shared.server)[0] == pings + 1


@pytest.mark.parametrize("body", [b"", b"hello"], ids=["GET", "POST"])
def test_a_client_that_offers_http_2_is_answered_in_http_1(shared: Shared, body: bytes) -> None:
    # As Java's HttpClient and `curl --http2` do with every plain http address.
    pings = stored(shared.server)[0]
    offer = "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAAAA\r\n"
    method = "POST" if body else "GET"
    head = f"{method} {shared.path} HTTP/1.1\r\nHost: x\r\n{offer}Content-Length: {len(body)}\r\n\r\n"
    plain = f"GET {shared.path} HTTP/1.1\r\nHost: x\r\n\r\n"
    with connected(shared.server) as line:
        line.sendall(head.encode() + body)
        assert answers(line, 1) == [200]
        line.sendall(plain.encode())
        assert answers(line, 1) == [200]
    assert stored(shared.server)[0] == pings + 2


def test_an_old_client_that_keeps_nothing_alive_is_answered(shared: Shared) -> None:
    with connected(shared.server) as line:
        line.sendall(f"GET {shared.path} HTTP/1.0\r\n\r\n".encode())
        assert status_of(until_closed(line)) == 200


def test_an_address_with_its_host_is_a_ping_as_a_proxy_may_send_it(shared: Shared) -> None:
    pings = stored(shared.server)[0]
    request = f"GET http://tocsin.example:80{shared.path} HTTP/1.1\r\nHost: tocsin.example:80\r\n\r\n"
    assert status_of(exchange(shared.server, request.encode())) == 200
    assert stored(shared.server)[0] == pings + 1


@pytest.mark.parametrize("target", ["/ping/nobody", "/healthz"])
def test_whoever_sends_without_reading_is_not_read_from_for_ever(serve: Serve, target: str) -> None:
    server = serve()
    process = psutil.Process(server.pid)
    before = process.memory_info().rss
    flood = f"GET {target} HTTP/1.1\r\nHost: x\r\n\r\n".encode() * 1000
    with connected(server) as line:
        sent = send_all_that_is_taken(line, flood, seconds=4)
        assert process.memory_info().rss - before < 60 * MEGABYTE
        assert sent < 10 * MEGABYTE
    assert server.client.get("/healthz").status_code == 200


def send_all_that_is_taken(line: socket.socket, part: bytes, seconds: float) -> int:
    """How many bytes the other side took in that time, if it never gets one read."""
    line.setblocking(False)
    sent, end, left = 0, time.monotonic() + seconds, part
    while time.monotonic() < end:
        try:
            taken = line.send(left)
        except BlockingIOError:
            time.sleep(0.01)
        except ConnectionError:
            break
        else:
            sent, left = sent + taken, left[taken:] or part
    return sent


def test_a_long_pipeline_that_is_refused_at_once_keeps_nobody_elses_answer(shared: Shared) -> None:
    refused = f"PUT {shared.path} HTTP/1.1\r\nHost: x\r\n\r\n".encode() * 900
    ping = f"GET {shared.path} HTTP/1.1\r\nHost: x\r\n\r\n".encode()
    with connected(shared.server) as line, connected(shared.server) as other:
        for _ in range(5):
            line.sendall(ping + refused)
            other.sendall(ping)
            assert answers(other, 1) == [200]
            assert answers(line, 901) == [200] + [405] * 900


def test_a_ping_byte_by_byte_is_a_ping(shared: Shared) -> None:
    request = f"POST {shared.path}?rid=slowly HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc".encode()
    with connected(shared.server) as line:
        for byte in request:
            line.sendall(bytes([byte]))
            time.sleep(0.002)
        assert answers(line, 1) == [200]
    assert newest_body(shared.server) == b"abc"


HALVES = {
    "half a line": b"GET /pi",
    "half a head": b"GET {path} HTTP/1.1\r\nHost: x\r\n",
    "half a body": b"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nabc",
    "half a chunk": b"POST {path} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n10\r\nabc",
    "half an API body": b"POST /api/v1/accounts HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{",
}


@pytest.mark.parametrize("part", HALVES.values(), ids=HALVES.keys())
def test_half_a_request_is_no_request_and_is_not_waited_for(shared: Shared, part: bytes) -> None:
    before = stored(shared.server)
    began = time.monotonic()
    with connected(shared.server) as line:
        line.sendall(part.replace(b"{path}", shared.path.encode()))
        line.settimeout(15)
        assert_no_success(until_closed(line))
    assert time.monotonic() - began < 6
    assert stored(shared.server) == before


@pytest.mark.timeout(60)
async def test_two_hundred_slow_senders_delay_nobody_and_do_not_stay(shared: Shared) -> None:
    path = shared.path.encode()
    slow = [socket.create_connection(("127.0.0.1", shared.server.port), timeout=20) for _ in range(200)]
    for number, line in enumerate(slow):
        if number % 2:
            line.sendall(b"GET " + path + b" HTTP/1.1\r\nHost: x\r\nX-A: ")
        else:
            line.sendall(b"POST " + path + b" HTTP/1.1\r\nHost: x\r\nContent-Length: 10000\r\n\r\n")
    before = stored(shared.server)
    pinger = Pinger(shared.server.port, [shared.path], connections=8)
    over = time.monotonic() + 10
    open_ = set(slow)
    async with pinger.running():
        while open_ and time.monotonic() < over:
            await pinger.until_acknowledged(len(pinger.acknowledged) + 100, 2)
            open_ -= drip(open_)
    for line in slow:
        line.close()
    assert not open_
    assert set(pinger.statuses) == {200}
    assert stored(shared.server)[0] == before[0] + len(pinger.acknowledged)


def drip(lines: set[socket.socket]) -> set[socket.socket]:
    """Send one more byte on each; those that have been closed."""
    closed = set()
    for line in lines:
        readable, _, _ = select.select([line], [], [], 0)
        try:
            if readable and not line.recv(1000):
                closed.add(line)
            line.send(b"a")
        except OSError:
            closed.add(line)
    return closed


@pytest.mark.timeout(60)
def test_a_server_without_file_descriptors_keeps_its_promises_and_recovers(serve: Serve) -> None:
    server = serve(open_files=128)
    job = server.api().create()
    path = path_of(job)
    with contextlib.ExitStack() as lines:
        mine = lines.enter_context(connected(server))
        for _ in range(300):
            with contextlib.suppress(OSError):
                line = socket.create_connection(("127.0.0.1", server.port), timeout=0.2)
                lines.enter_context(contextlib.closing(line))
        mine.sendall(f"GET {path}?rid=amid HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        assert answers(mine, 1) == [200]
    server.wait_until(lambda: is_answered(server, path), "it takes pings again", 20)
    assert len(server.rows("SELECT id FROM ping WHERE run_id = 'amid'")) == 1


def is_answered(server: Server, path: str) -> bool:
    try:
        return status_of(exchange(server, f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())) == 200
    except (OSError, AssertionError):
        return False


BODIES = {
    "nothing": b"",
    "no JSON": b"{",
    "no UTF-8": b'{"name": "\xff"}',
    "a list": b"[]",
    "a number": b"1",
    "null": b"null",
    "a lone surrogate": rb'{"name": "\ud800"}',
    "NUL": rb'{"name": "a\u0000b", "email": "a\u0000@b.com", "label": "\u0000", "kind": "\u0000"}',
    "a deep nest": b"[" * 100_000,
    "a deep name": b'{"name": ' + b"[" * 5_000 + b"]" * 5_000 + b"}",
    "an endless number": b'{"schedule": 1' + b"0" * 5_000 + b', "name": "x"}',
    "not a number": b'{"schedule": NaN, "name": "x"}',
    "infinity": b'{"schedule": 1e999, "name": "x"}',
    "a boolean for a number": b'{"schedule": true, "name": "x", "grace_seconds": true}',
    "a float for a number": b'{"schedule": 60.5, "name": "x", "grace_seconds": 1.5}',
    "text for a number": b'{"schedule": "60", "name": "x", "grace_seconds": "60"}',
    "twice the same": b'{"name": "a", "name": 1}',
    "objects everywhere": b'{"name": {}, "email": {}, "schedule": {}, "label": {}, "config": 1, "kind": {}}',
    "a long name": b'{"schedule": 60, "name": "' + b"x" * 100_000 + b'"}',
    "a bad address": b'{"schedule": 60, "name": "x", "alertWebhook": "http://[", "webhook_url": "http://["}',
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES.keys())
def test_a_bad_body_is_refused_by_every_endpoint_and_changes_nothing(shared: Shared, body: bytes) -> None:
    before = stored(shared.server)
    monitor = next(shared.api.items("/monitors"))["id"]
    for method, template in operations(shared):
        path = re.sub(r"\{[a-z_A-Z]+\}", monitor, template)
        for content_type in ("application/json", "text/plain", "multipart/form-data"):
            response = shared.server.client.request(
                method,
                path,
                content=body,
                headers={
                    "Authorization": f"Bearer {shared.api.key}",
                    "X-Api-Key": shared.cronpeek_key,
                    "Content-Type": content_type,
                },
            )
            assert 400 <= response.status_code < 500, (method, path, content_type, response.text)
            assert response.headers["Content-Type"].startswith(
                ("application/json", "application/problem+json")
            )
    assert stored(shared.server) == before


def operations(shared: Shared) -> list[tuple[str, str]]:
    """All operations that take a body, of every dialect that this server speaks."""
    found = []
    for root in ("/api/tocsin/v1/openapi.json",):
        paths = shared.server.client.get(root).json()["paths"]
        for path, methods in paths.items():
            found += [(method.upper(), path) for method, one in methods.items() if "requestBody" in one]
    return [*found, ("POST", "/cronpeek/api/v1/monitors"), ("POST", "/cronpeek/api/v1/accounts")]


def stored(server: Server) -> tuple[int, ...]:
    """How many rows there are of what requests can make."""
    tables = ("ping", "monitor", "channel", "account", "project", "flip")
    return tuple(server.rows(f"SELECT count(*) AS n FROM {table}")[0]["n"] for table in tables)


def newest_body(server: Server) -> bytes:
    return bytes(server.rows("SELECT body FROM ping_body ORDER BY ping_id DESC LIMIT 1")[0]["body"])


@contextlib.contextmanager
def connected(server: Server) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as line:
        yield line


def exchange(server: Server, request: bytes) -> bytes:
    """What comes back on a new connection, up to the end of the first answer."""
    with connected(server) as line:
        line.sendall(request)
        received = b""
        while not is_complete(received):
            part = line.recv(65_536)
            if not part:
                break
            received += part
        return received


def is_complete(received: bytes) -> bool:
    head, end, body = received.partition(b"\r\n\r\n")
    lengths = re.findall(rb"(?i)content-length: (\d+)", head)
    return bool(end) and bool(lengths) and len(body) >= int(lengths[0])


def until_closed(line: socket.socket) -> bytes:
    received = b""
    with contextlib.suppress(ConnectionResetError):
        while part := line.recv(65_536):
            received += part
    return received


def answers(line: socket.socket, count: int) -> list[int]:
    """The statuses of so many answers in a row."""
    received = b""
    statuses: list[int] = []
    while len(statuses) < count:
        while is_complete(received):
            head, _, rest = received.partition(b"\r\n\r\n")
            statuses.append(status_of(head))
            received = rest[int(re.findall(rb"(?i)content-length: (\d+)", head)[0]) :]
        if len(statuses) < count:
            part = line.recv(65_536)
            assert part, f"closed after {statuses}"
            received += part
    return statuses


def status_of(received: bytes) -> int:
    found = re.match(rb"HTTP/1\.1 (\d{3})", received)
    assert found, received[:200]
    return int(found[1])


def assert_no_success(received: bytes) -> None:
    """Nothing was said, or a 4xx."""
    assert not received or 400 <= status_of(received) < 500, received[:500]


def assert_alive(shared: Shared) -> None:
    assert shared.server.client.get("/healthz").status_code == 200

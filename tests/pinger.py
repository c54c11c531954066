"""Many connections that ping without pause, and remember which pings were acknowledged."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from itertools import count

RECONNECT_SECONDS = 0.02


class Pinger:
    """Pings `paths` in turn over `connections` connections, each with an id of its own in `rid`.

    Every `post_every`-th is a POST whose body is `body_of` its id. `acknowledged` holds the ids that got a
    2xx, `posted` those of them that carried a body; `statuses` counts all answers.
    """

    def __init__(
        self, port: int, paths: Sequence[str], *, connections: int = 32, post_every: int = 4, name: str = "p"
    ) -> None:
        self.acknowledged: set[str] = set()
        self.posted: set[str] = set()
        self.statuses: Counter[int] = Counter()
        self.sent = 0
        self._port = port
        self._paths = paths
        self._post_every = post_every
        self._name = name
        self._numbers = count()
        self._connections = connections
        self._is_running = False
        self._news = asyncio.Event()

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Ping inside of this block. A connection that is lost is opened again, until then."""
        self._is_running = True
        tasks = [asyncio.create_task(self._keep_connected()) for _ in range(self._connections)]
        try:
            yield
        finally:
            self._is_running = False
            await asyncio.gather(*tasks)

    async def until_acknowledged(self, number: int, timeout_seconds: float = 60) -> None:
        """Return when so many pings have been acknowledged in all."""
        async with asyncio.timeout(timeout_seconds):
            while len(self.acknowledged) < number:
                self._news.clear()
                await self._news.wait()

    def next_request(self) -> tuple[str, bool, bytes]:
        """The next ping: its id, whether it has a body, and its bytes."""
        number = next(self._numbers)
        ping_id = f"{self._name}-{number}"
        target = f"{self._paths[number % len(self._paths)]}?rid={ping_id}"
        self.sent += 1
        if number % self._post_every:
            return ping_id, False, f"GET {target} HTTP/1.1\r\nHost: tocsin\r\n\r\n".encode()
        body = body_of(ping_id)
        head = f"POST {target} HTTP/1.1\r\nHost: tocsin\r\nContent-Length: {len(body)}\r\n\r\n"
        return ping_id, True, head.encode() + body

    def note(self, status: int, ping_id: str, *, has_body: bool) -> None:
        """Called for each answer."""
        self.statuses[status] += 1
        if 200 <= status < 300:
            self.acknowledged.add(ping_id)
            if has_body:
                self.posted.add(ping_id)
            self._news.set()

    @property
    def is_running(self) -> bool:
        return self._is_running

    async def _keep_connected(self) -> None:
        loop = asyncio.get_running_loop()
        while self._is_running:
            try:
                _, line = await loop.create_connection(lambda: _Line(self), "127.0.0.1", self._port)
            except OSError:
                await asyncio.sleep(RECONNECT_SECONDS)
            else:
                await line.closed


class _Line(asyncio.Protocol):
    """One connection: a ping, its answer, the next ping."""

    def __init__(self, pinger: Pinger) -> None:
        self.closed = asyncio.get_running_loop().create_future()
        self._pinger = pinger
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._ping()

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, end, body = self._received.partition(b"\r\n\r\n")
        if not end or len(body) < _content_length(head):
            return
        self._received = b""
        self._pinger.note(int(head[9:12]), self._ping_id, has_body=self._has_body)
        if self._pinger.is_running:
            self._ping()
        else:
            self._transport.close()

    def connection_lost(self, _exc: Exception | None) -> None:
        self.closed.set_result(None)

    def _ping(self) -> None:
        self._ping_id, self._has_body, request = self._pinger.next_request()
        self._transport.write(request)


def body_of(ping_id: str) -> bytes:
    """What the ping of that id carries."""
    return f"the log of {ping_id}\n".encode() * 4


def _content_length(head: bytes) -> int:
    _, found, rest = head.lower().partition(b"content-length:")
    return int(rest.partition(b"\r\n")[0]) if found else 0

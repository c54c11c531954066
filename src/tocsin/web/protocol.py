"""The HTTP protocol of a connection: uvicorn's, with a lane of its own for pings.

A ping is answered from here, without a task, a scope or a framework; everything else goes the ASGI way. The
sweep closes what sends too slowly or nothing at all, which uvicorn never does.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sized
from dataclasses import dataclass
from typing import Any

import httptools
from typing_extensions import override
from uvicorn.config import Config
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from tocsin.domain.ping import Signal
from tocsin.web.ping import METHODS, PingLane, Target

LONGEST_URL = 16_384
LONGEST_HEAD = 65_536
SWEEP_SECONDS = 1.0

_NAMES = {
    400: b"Bad Request",
    408: b"Request Timeout",
    414: b"URI Too Long",
    431: b"Request Header Fields Too Large",
}


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """`request_seconds`: a request must have arrived completely within. `idle_seconds`: how long an unused
    connection is kept. `connections`: how many may be open; further ones are told to come back."""

    request_seconds: float = 30.0
    idle_seconds: float = 75.0
    connections: int = 10_000


class _Never:
    """In place of an event that nobody waits for."""

    def set(self) -> None:
        """Nobody waits."""


_NEVER = _Never()
_OFFER = {b"connection", b"http2-settings", b"upgrade"}


class _Flow(FlowControl):
    """Reads on only when nothing waits and the client takes its answers; uvicorn reads on for every request
    that asks for its body, and a client that sends without end would fill the memory."""

    def __init__(self, transport: asyncio.Transport, pipeline: Sized) -> None:
        super().__init__(transport)
        self._pipeline = pipeline

    @override
    def resume_reading(self) -> None:
        if not self._pipeline and not self.write_paused:
            super().resume_reading()


class PingCycle:
    """One ping on a connection, in the place where uvicorn keeps a request's cycle."""

    __slots__ = (
        "body",
        "body_was_cut",
        "disconnected",
        "headers",
        "is_its_turn",
        "keep_alive",
        "method",
        "more_body",
        "protocol",
        "response_complete",
        "target",
    )
    message_event = _NEVER

    def __init__(self, protocol: Protocol, target: Target, method: bytes, *, keep_alive: bool) -> None:
        self.protocol = protocol
        self.target = target
        self.method = method.decode("latin-1")
        self.headers = protocol.headers
        self.keep_alive = keep_alive
        self.body = b""
        self.body_was_cut = False
        self.more_body = True
        self.is_its_turn = False
        self.response_complete = False
        self.disconnected = False

    def add(self, part: bytes, limit: int) -> None:
        """More of the body; what is over the limit is dropped, never refused."""
        room = limit - len(self.body)
        self.body_was_cut = self.body_was_cut or len(part) > room
        if room > 0:
            self.body += part[:room]

    def go_on(self) -> None:
        """Hand the ping over once it is complete and all requests before it are answered."""
        if self.more_body or not self.is_its_turn:
            return
        lane, protocol, target = self.protocol.lane, self.protocol, self.target
        if self.method not in METHODS:
            self.reply(lane.refusal(405, target, self.method))
            return
        peer = protocol.client[0] if protocol.client else ""
        signal = Signal(
            target.token,
            target.action,
            target.query,
            self.method,
            self.headers,
            lane.address_of(peer, self.headers),
            self.body,
            self.body_was_cut,
        )
        lane.submit(signal, target, self.reply)

    def reply(self, response: bytes) -> None:
        """Write the whole response."""
        self.response_complete = True
        protocol = self.protocol
        if self.disconnected or protocol.transport.is_closing():
            return
        if self.keep_alive:
            protocol.transport.write(response)
        else:
            head, _, body = response.partition(b"\r\n\r\n")
            protocol.transport.write(head + b"\r\nConnection: close\r\n\r\n" + body)
            protocol.transport.close()
        protocol.on_response_complete()


class Protocol(HttpToolsProtocol):
    """One connection."""

    def __init__(
        self, lane: PingLane, limits: ConnectionLimits, on_refused: Callable[[], None], **rest: Any
    ) -> None:
        super().__init__(**rest)
        self.lane = lane
        self._limits = limits
        self._on_refused = on_refused
        self._head_bytes = 0
        self._refusal = 400
        self._is_advancing = False
        self.waiting_since: float | None = self.loop.time()
        self.is_receiving = False

    @override
    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.flow = _Flow(transport, self.pipeline)
        if len(self.connections) > self._limits.connections:
            self._on_refused()
            transport.write(
                b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 2\r\nContent-Length: 0\r\n"
                b"Connection: close\r\n\r\n"
            )
            transport.close()

    @override
    def data_received(self, data: bytes) -> None:
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as offer:
            self._decline(data[offer.args[0] :])
        except httptools.HttpParserError:
            self.refuse(self._refusal)

    def _decline(self, rest: bytes) -> None:
        """Nobody need upgrade (RFC 9110, 7.8): the same request, read again as one that does not offer it."""
        method = self.parser.get_method()
        if method == b"CONNECT":
            self.refuse(400)
            return
        kept = [b"%s: %s\r\n" % header for header in self.headers if header[0] not in _OFFER]
        self.parser = httptools.HttpRequestParser(self)
        self.data_received(b"%s %s HTTP/1.1\r\n%s\r\n%s" % (method, self.url, b"".join(kept), rest))

    def refuse(self, status: int) -> None:
        """Answer what is no proper request, and close."""
        name = _NAMES[status]
        self.transport.write(
            b"HTTP/1.1 %d %s\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: %d\r\n"
            b"Connection: close\r\n\r\n%s" % (status, name, len(name), name)
        )
        self.transport.close()

    @override
    def on_message_begin(self) -> None:
        self.url = b""
        self.headers = []
        self.expect_100_continue = False
        self._head_bytes = 0
        self.waiting_since = self.loop.time()
        self.is_receiving = True

    @override
    def on_url(self, url: bytes) -> None:
        self.url += url
        if len(self.url) > LONGEST_URL:
            self._refusal = 414
            raise ValueError

    @override
    def on_header(self, name: bytes, value: bytes) -> None:
        self._head_bytes += len(name) + len(value)
        if self._head_bytes > LONGEST_HEAD:
            self._refusal = 431
            raise ValueError
        super().on_header(name, value)

    @override
    def on_headers_complete(self) -> None:
        if self.parser.should_upgrade():
            return
        target = self.lane.match(self.url, self.headers)
        if target is None:
            self._begin_asgi()
            return
        existing: Any = self.cycle
        keep_alive = self.parser.should_keep_alive()
        cycle = PingCycle(self, target, self.parser.get_method(), keep_alive=keep_alive)
        self.cycle = cycle  # type: ignore[assignment]
        if existing is None or existing.response_complete:
            cycle.is_its_turn = True
        else:
            self.flow.pause_reading()
            self.pipeline.appendleft((cycle, self.app))  # type: ignore[arg-type]
        if self.expect_100_continue:
            self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def _begin_asgi(self) -> None:
        """Everything that is no ping: build what uvicorn builds for each request, now that it is needed."""
        url, headers, expects = self.url, self.headers, self.expect_100_continue
        super().on_message_begin()
        self.url, self.headers, self.expect_100_continue = url, headers, expects
        self.scope["headers"] = headers
        super().on_headers_complete()

    @override
    def _start_asgi_task(self, cycle: RequestResponseCycle | PingCycle, app: Any) -> None:
        if isinstance(cycle, PingCycle):
            cycle.is_its_turn = True
            cycle.go_on()
        else:
            super()._start_asgi_task(cycle, app)

    @override
    def on_body(self, body: bytes) -> None:
        cycle: Any = self.cycle
        if type(cycle) is PingCycle:
            cycle.add(body, self.lane.body_bytes)
        else:
            super().on_body(body)

    @override
    def on_message_complete(self) -> None:
        if self.parser.should_upgrade():
            return
        self.is_receiving = False
        cycle: Any = self.cycle
        if type(cycle) is PingCycle:
            self.waiting_since = None
            cycle.more_body = False
            cycle.go_on()
        else:
            self.waiting_since = None
            super().on_message_complete()

    @override
    def on_response_complete(self) -> None:
        self.server_state.total_requests += 1
        self.waiting_since = self.loop.time()
        self._unset_keepalive_if_required()
        self._advance()

    def _advance(self) -> None:
        """Begin what waits in the pipeline, until something takes its time; then read on. A loop, since a
        thousand requests that are answered at once would be a thousand calls deep."""
        if self._is_advancing:
            return
        self._is_advancing = True
        is_free = True
        while is_free and self.pipeline and not self.transport.is_closing():
            cycle, app = self.pipeline.pop()
            self._start_asgi_task(cycle, app)
            is_free = cycle.response_complete
        self._is_advancing = False
        if is_free and not self.transport.is_closing():
            self.flow.resume_reading()

    @override
    def pause_writing(self) -> None:
        """The client does not read its answers: nothing more is read from it."""
        super().pause_writing()
        self.flow.pause_reading()

    @override
    def resume_writing(self) -> None:
        super().resume_writing()
        existing: Any = self.cycle
        if existing is None or existing.response_complete:
            self.flow.resume_reading()

    def close_if_overdue(self, now: float) -> None:
        """Close a connection that has been sending a request, or been unused, for too long."""
        if self.waiting_since is None or self.transport is None:
            return
        allowed = self._limits.request_seconds if self.is_receiving else self._limits.idle_seconds
        if now - self.waiting_since <= allowed or self.transport.is_closing():
            return
        if self.is_receiving:
            self.refuse(408)
        else:
            self.transport.close()


async def sweep(state: ServerState) -> None:
    """Close overdue connections once a second, until cancelled."""
    while True:
        now = asyncio.get_running_loop().time()
        for connection in list(state.connections):
            if isinstance(connection, Protocol):
                connection.close_if_overdue(now)
        await asyncio.sleep(SWEEP_SECONDS)


def protocol_factory(
    lane: PingLane, limits: ConnectionLimits, on_refused: Callable[[], None]
) -> Callable[..., Protocol]:
    """What uvicorn calls for each connection."""

    def make(config: Config, server_state: ServerState, app_state: dict[str, Any], **rest: Any) -> Protocol:
        return Protocol(
            lane, limits, on_refused, config=config, server_state=server_state, app_state=app_state, **rest
        )

    return make

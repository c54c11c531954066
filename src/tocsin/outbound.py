"""The only HTTP client (promise 12): every destination that a user typed is reached through its guard.

A name is resolved once per connection, each address that it resolves to is judged, and the connection goes
to one of exactly these addresses; TLS and the Host header keep the name. So a name that changes between two
look-ups gains nothing, and a connection that is kept alive stays at the address that was judged.

The parts are httpcore's HTTP/1.1 connection and a plain list of idle ones. With 64 requests in flight httpx
took 4.2 ms of CPU each and httpcore's own pool 9 ms (both ask the socket of every idle connection, each
time); this takes 0.4 ms. httpx also logs addresses, in which chat services hide their secrets.
"""

from __future__ import annotations

import asyncio
import contextlib
import json as json_codec
import os
import re
import socket
import ssl
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from ipaddress import IPv4Address, ip_address
from typing import Any, NamedTuple

import httpcore
import httpx

from tocsin import __version__
from tocsin.domain.errors import invalid
from tocsin.domain.network import Address, Network, is_within, special_kind

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
Connection = httpcore.AsyncHTTP11Connection

BODY_LIMIT_BYTES = 65_536
IDLE_PER_HOST = 64
IDLE_IN_ALL = 256
IDLE_SECONDS = 30.0

_PORTS = {"http": 80, "https": 443}
_LABEL = rb"[a-z0-9_-]{1,63}"
_HOST = re.compile(rb"%b(\.%b)*\.?|[0-9a-f:.]*:[0-9a-f:.]*(%%[a-z0-9]+)?" % (_LABEL, _LABEL))
_ONLY_HTTPS = "it must be an https address; plain http is for TOCSIN_ALLOWED_NETWORKS only"


class Failed(Exception):  # noqa: N818 - it and its kinds read as what happened
    """A request without an answer. `reason` is for people and names no part of the address."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Forbidden(Failed):
    """The guard refuses the destination."""


class Unreachable(Failed):
    """The name does not resolve, TLS fails, or the connection fails or breaks."""


class TimedOut(Failed):
    """The whole exchange took longer than it may."""


@dataclass(frozen=True, slots=True)
class Reply:
    """A final answer, redirects included. Header names are lower case; `body_prefix` is at most 64 kB."""

    status: int
    headers: Mapping[str, str]
    body_prefix: bytes
    duration_ms: int


class Origin(NamedTuple):
    """What a connection belongs to. `host` is a name in ASCII, or an address without brackets."""

    scheme: str
    host: str
    port: int


async def look_up(host: str, port: int) -> list[str]:
    """All addresses of a host, as text; "0x7f.1" and its like are read as the system reads them.

    Raises OSError where there is none.
    """
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(entry[4][0]) for entry in found]


class Outbound:
    """Sends requests to public addresses, and to `allowed_networks`, which may also be plain http.

    No redirect is followed, no proxy or password is read from the environment, no cookie is kept. Up to 64
    idle connections per host and 256 in all are kept for reuse; how many requests run at once is the
    caller's concern. Use it within one event loop, and close it there.
    """

    def __init__(
        self,
        allowed_networks: Sequence[Network] = (),
        timeout_seconds: float = 10.0,
        *,
        resolve: Resolve = look_up,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._guard = _Guard(allowed_networks, resolve)
        self._timeout_seconds = timeout_seconds
        self._tls = tls or trusted_authorities()
        self._network = httpcore.AnyIOBackend()
        self._idle = _Idle()

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        content: bytes = b"",
        json: Any = None,
        timeout_seconds: float | None = None,
    ) -> Reply:
        """Send one request and read its answer; `json` is sent instead of `content` where it is given.

        `timeout_seconds` is for everything from the look-up to the last byte. Raises Forbidden, Unreachable
        or TimedOut.
        """
        limit_seconds = timeout_seconds or self._timeout_seconds
        parsed = _parse(url)
        fields = {name.lower(): value for name, value in (headers or {}).items()}
        if json is not None:
            content = json_codec.dumps(json).encode()
            fields.setdefault("content-type", "application/json")
        request = _build(method, parsed, fields, content)
        with _typed_errors(limit_seconds):
            async with asyncio.timeout(limit_seconds):
                return await self._exchange(_origin(parsed), request)

    async def check(self, url: str) -> None:
        """Judge an address when it is saved. Raises TocsinError(INVALID), whose field is "url".

        A name that does not resolve is accepted: it is judged again for each connection.
        """
        try:
            async with asyncio.timeout(self._timeout_seconds):
                await self._guard.admit(_origin(_parse(url)))
        except Forbidden as error:
            raise invalid("url", error.reason) from None
        except (Unreachable, TimeoutError):
            return

    def fault(self, url: str) -> str | None:
        """What is wrong with an address as it is written, without a look-up; None if nothing is."""
        try:
            self._guard.admit_as_written(_origin(_parse(url)))
        except Forbidden as error:
            return error.reason
        return None

    async def close(self) -> None:
        """Close all idle connections."""
        await self._idle.close()

    async def _exchange(self, origin: Origin, request: httpcore.Request) -> Reply:
        started = time.monotonic()
        connection = await self._idle.take(origin) or await self._connect(origin)
        try:
            response = await connection.handle_async_request(request)
            prefix = await _read_prefix(response)
        finally:
            await self._idle.put(origin, connection)
        duration_ms = round((time.monotonic() - started) * 1000)
        return Reply(response.status, _decode(response.headers), prefix, duration_ms)

    async def _connect(self, origin: Origin) -> Connection:
        stream = await self._open(await self._guard.admit(origin), origin.port)
        try:
            if origin.scheme == "https":
                stream = await stream.start_tls(self._tls, origin.host)
        except BaseException:
            await stream.aclose()
            raise
        wire_origin = httpcore.Origin(origin.scheme.encode(), origin.host.encode(), origin.port)
        return Connection(wire_origin, stream, keepalive_expiry=IDLE_SECONDS)

    async def _open(self, addresses: Sequence[Address], port: int) -> httpcore.AsyncNetworkStream:
        """Connect to the first of the addresses that takes us; each gets its share of the time."""
        share_seconds = self._timeout_seconds / len(addresses)
        failures: list[Exception] = []
        for address in addresses:
            try:
                return await self._network.connect_tcp(str(address), port, timeout=share_seconds)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failures.append(error)
        raise failures[0]


class _Guard:
    """Decides which addresses may be connected to."""

    def __init__(self, allowed_networks: Sequence[Network], resolve: Resolve) -> None:
        self._allowed_networks = tuple(allowed_networks)
        self._resolve = resolve

    async def admit(self, origin: Origin) -> list[Address]:
        """The addresses of a host, once all of them are judged. Raises Forbidden or Unreachable."""
        self.admit_as_written(origin)
        try:
            found = await self._resolve(origin.host, origin.port)
        except (OSError, UnicodeError):
            found = []
        if not found:
            raise Unreachable("the host name does not resolve")
        addresses = [ip_address(one) for one in dict.fromkeys(found)]
        for address in addresses:
            self._judge(origin, address)
        return addresses

    def admit_as_written(self, origin: Origin) -> None:
        """Judge what needs no look-up. Raises Forbidden."""
        if origin.scheme == "http" and not self._allowed_networks:
            raise Forbidden(_ONLY_HTTPS)
        if address := _literal(origin.host):
            self._judge(origin, address)

    def _judge(self, origin: Origin, address: Address) -> None:
        if is_within(address, self._allowed_networks):
            return
        if kind := special_kind(address):
            raise Forbidden(
                f"its host has a {kind} address, which only TOCSIN_ALLOWED_NETWORKS can make reachable"
            )
        if origin.scheme == "http":
            raise Forbidden(_ONLY_HTTPS)


class _Idle:
    """Connections that wait for their next request."""

    def __init__(self) -> None:
        self._connections: dict[Origin, list[Connection]] = {}
        self._count = 0
        self._sweeper: asyncio.Task[None] | None = None

    async def take(self, origin: Origin) -> Connection | None:
        """The one used last: it is the least likely to have been closed by the other side."""
        waiting = self._connections.get(origin)
        while waiting:
            connection = waiting.pop()
            self._count -= 1
            if not connection.has_expired():
                return connection
            await connection.aclose()
        return None

    async def put(self, origin: Origin, connection: Connection) -> None:
        """Keep a connection that has finished its exchange, or close it."""
        waiting = self._connections.setdefault(origin, [])
        if not connection.is_idle() or len(waiting) >= IDLE_PER_HOST or self._count >= IDLE_IN_ALL:
            await connection.aclose()
            return
        waiting.append(connection)
        self._count += 1
        if self._sweeper is None or self._sweeper.done():
            self._sweeper = asyncio.create_task(self._sweep())

    async def close(self) -> None:
        """Close all."""
        if self._sweeper:
            self._sweeper.cancel()
        for connection in self._drain(lambda _: True):
            await connection.aclose()

    async def _sweep(self) -> None:
        # Without it, sockets that the other side has closed would pile up.
        while self._connections:
            await asyncio.sleep(IDLE_SECONDS)
            for connection in self._drain(Connection.has_expired):
                await connection.aclose()

    def _drain(self, is_wanted: Callable[[Connection], bool]) -> list[Connection]:
        drained: list[Connection] = []
        for origin, waiting in list(self._connections.items()):
            out = [one for one in waiting if is_wanted(one)]
            waiting[:] = [one for one in waiting if one not in out]
            drained += out
            if not waiting:
                del self._connections[origin]
        self._count -= len(drained)
        return drained


def _parse(url: str) -> httpx.URL:
    try:
        parsed = httpx.URL(url)
        host = parsed.host  # decodes xn--; what no name can be made of is a ValueError
    except (httpx.InvalidURL, ValueError):
        raise Forbidden("it is not a valid address") from None
    if parsed.scheme not in _PORTS or not host:
        raise Forbidden("it must be an address such as https://example.com/alerts")
    if parsed.userinfo:
        raise Forbidden("it must not hold a user name or a password")
    if not _HOST.fullmatch(parsed.raw_host) or not 1 <= _origin(parsed).port <= 65_535:
        raise Forbidden("it is not a valid address")
    return parsed


def _origin(url: httpx.URL) -> Origin:
    port = _PORTS[url.scheme] if url.port is None else url.port
    return Origin(url.scheme, url.raw_host.decode("ascii"), port)


def _literal(host: str) -> Address | None:
    """The address that a host spells out, in any of the spellings that a resolver takes for one."""
    try:
        return ip_address(host)
    except ValueError:
        with contextlib.suppress(OSError):
            return IPv4Address(socket.inet_aton(host))
    return None


def _build(method: str, url: httpx.URL, fields: Mapping[str, str], content: bytes) -> httpcore.Request:
    headers = {
        "host": url.netloc.decode("ascii"),
        "user-agent": f"Tocsin/{__version__}",
        "accept": "*/*",
        "accept-encoding": "identity",  # what is not unpacked cannot burst
        **({"content-length": str(len(content))} if content or method in {"POST", "PUT", "PATCH"} else {}),
        **fields,
    }
    target = httpcore.URL(
        scheme=url.raw_scheme, host=url.raw_host, port=_origin(url).port, target=url.raw_path
    )
    pairs = [(name.encode("ascii"), value.encode("utf-8")) for name, value in headers.items()]
    return httpcore.Request(method, target, headers=pairs, content=content)


def _decode(headers: Sequence[tuple[bytes, bytes]]) -> dict[str, str]:
    """Headers by their names in lower case; the first one counts where a name comes twice."""
    return {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in reversed(headers)}


async def _read_prefix(response: httpcore.Response) -> bytes:
    """The first 64 kB of the body. The rest is left unread, and its connection is not used again."""
    prefix = bytearray()
    try:
        async for chunk in response.aiter_stream():
            prefix += chunk
            if len(prefix) > BODY_LIMIT_BYTES:
                break
    finally:
        await response.aclose()
    return bytes(prefix[:BODY_LIMIT_BYTES])


@contextlib.contextmanager
def _typed_errors(limit_seconds: float) -> Iterator[None]:
    try:
        yield
    except (TimeoutError, httpcore.TimeoutException) as error:
        raise TimedOut(f"no complete answer within {limit_seconds:g} s") from error
    except (httpcore.NetworkError, httpcore.RemoteProtocolError) as error:
        raise Unreachable(_why(error)) from error


def _why(error: Exception) -> str:
    """The plain reason at the root of a chain of errors."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"its certificate is not valid: {cause.verify_message}"
        if isinstance(cause, ssl.SSLError):
            return "it does not speak TLS as it should"
        if isinstance(cause, OSError) and cause.errno:
            return os.strerror(cause.errno).lower()
        cause = cause.__cause__ or cause.__context__
    if isinstance(error, httpcore.RemoteProtocolError):
        return "it closed the connection or broke HTTP before its answer was complete"
    return "the connection failed"


@cache
def trusted_authorities() -> ssl.SSLContext:
    """TLS that trusts the authorities of certifi and of this machine, so that a company's own ones count.
    Reading them takes a quarter of a second, once."""
    context = httpx.create_ssl_context(trust_env=False)
    context.load_default_certs()
    return context

"""What is refused before anything is parsed, and the reading of a body within its bounds."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from starlette.requests import ClientDisconnect
from starlette.types import Message, Receive, Scope

from tocsin.web.trouble import Trouble, TroubleError


@dataclass(frozen=True, slots=True)
class Bounds:
    """The largest request that is looked at. `target_bytes` is path and query as sent."""

    body_bytes: int = 1_000_000
    target_bytes: int = 8_192
    header_count: int = 100
    header_bytes: int = 32_768


def check_head(scope: Scope, bounds: Bounds) -> None:
    """Raise TroubleError (400, 414, 431) for a head that no API asks for."""
    target = scope.get("raw_path") or scope["path"].encode()
    query: bytes = scope["query_string"]
    headers: list[tuple[bytes, bytes]] = scope["headers"]
    if len(target) + len(query) > bounds.target_bytes:
        raise _refused(414, f"The address is longer than {bounds.target_bytes} bytes.")
    if len(headers) > bounds.header_count:
        raise _refused(431, f"More than {bounds.header_count} headers.")
    if sum(len(name) + len(value) for name, value in headers) > bounds.header_bytes:
        raise _refused(431, f"The headers are longer than {bounds.header_bytes} bytes.")
    # A database that stores text as text cannot even compare it with NUL.
    if "\x00" in scope["path"] or b"%00" in query or b"\x00" in query:
        raise _refused(400, "The address contains a NUL character.")


async def read_body(scope: Scope, receive: Receive, bounds: Bounds) -> bytes:
    """The whole body. Raises TroubleError (413) as soon as it is known to be too long."""
    if (_content_length(scope["headers"]) or 0) > bounds.body_bytes:
        raise _too_long(bounds)
    parts: list[bytes] = []
    length = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        parts.append(message.get("body", b""))
        length += len(parts[-1])
        if length > bounds.body_bytes:
            raise _too_long(bounds)
        if not message.get("more_body", False):
            return b"".join(parts)


def replay(body: bytes, receive: Receive) -> Receive:
    """A `receive` that gives the body which was read already, then what still comes."""
    unread: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive_again() -> Message:
        return unread.pop() if unread else await receive()

    return receive_again


def _content_length(headers: Iterable[tuple[bytes, bytes]]) -> int | None:
    for name, value in headers:
        if name == b"content-length" and value.isdigit():
            return int(value[:20])
    return None


def _too_long(bounds: Bounds) -> TroubleError:
    return _refused(413, f"The request is larger than {bounds.body_bytes} bytes.")


def _refused(status: int, message: str) -> TroubleError:
    return TroubleError(Trouble(status, message))

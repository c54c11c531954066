"""The ping lane: from the bytes of a request to the intake, and from its answer to the bytes of the reply.

No framework and no task per ping. Whose words a ping speaks is told by its token's row, whatever path it
came by (docs/rules.md, Tokens and identities); an unknown token is answered in the dialect of the path, or
of its shape.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import NamedTuple

from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import FixedWindowRateLimiter

from tocsin.domain.ping import Signal
from tocsin.engine.intake import Answer, Full, Intake
from tocsin.web.address import Network, client_address
from tocsin.web.dialect import Dialect, Reply

LONGEST_TOKEN = 64
METHODS = ("GET", "POST", "HEAD")
RETRY_AFTER_SECONDS = 2

_STATUS_LINES = {
    status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode() for status in HTTPStatus
}


class Target(NamedTuple):
    """What the address of a ping says. `dialect` is the one whose path it is, where only one has it."""

    token: str
    action: str
    query: bytes
    dialect: str | None


@dataclass(frozen=True, slots=True)
class PingConfig:
    """`body_bytes`: how much of a body is kept. `unknown_per_minute`: unknown tokens an address may try."""

    body_bytes: int = 10_000
    unknown_per_minute: int = 60
    trusted_proxies: Sequence[Network] = ()


class PingLane:
    """Everything about pings that does not depend on the connection."""

    def __init__(self, intake: Intake, dialects: Sequence[Dialect], config: PingConfig) -> None:
        self.body_bytes = config.body_bytes
        self._intake = intake
        self._dialects = {dialect.name: dialect for dialect in dialects}
        self._prefixes = _prefixes(dialects)
        self._first = tuple({prefix for prefix, _ in self._prefixes})
        self._named = re.compile(rb"^/(%s)(?=/)" % b"|".join(name.encode() for name in self._dialects))
        self._trusted = config.trusted_proxies
        self._unknown = FixedWindowRateLimiter(MemoryStorage())
        self._unknown_limit = RateLimitItemPerMinute(config.unknown_per_minute)

    def match(self, url: bytes) -> Target | None:
        """What a request's target says, if it is a ping's."""
        dialect = None
        if not url.startswith(b"/"):
            url = _without_host(url)
        if not url.startswith(self._first):
            named = self._named.match(url)
            if named is None:
                return None
            url, dialect = url[named.end() :], named[1].decode()
        path, _, query = url.partition(b"?")
        for prefix, owner in self._prefixes:
            if path.startswith(prefix):
                token, _, action = path[len(prefix) :].partition(b"/")
                return Target(token.decode("latin-1"), action.decode("latin-1"), query, dialect or owner)
        return None

    def submit(self, signal: Signal, target: Target, reply: Callable[[bytes], None]) -> None:
        """Store the ping, then reply; or reply why it was not stored."""

        def answer(result: Answer | Exception | None) -> None:
            if type(result) is Answer:
                reply(self._accepted(result, signal.method))
            elif result is None:
                reply(self._not_found(signal, target))
            else:
                reply(self.refusal(503, target, signal.method))

        if not 0 < len(signal.token) <= LONGEST_TOKEN:
            reply(self._not_found(signal, target))
            return
        try:
            self._intake.submit(signal, answer)
        except Full:
            reply(self.refusal(503, target, signal.method))

    def refusal(self, status: int, target: Target, method: str) -> bytes:
        """An error in the shape of the dialect that the request seems to speak."""
        reply = self._dialects[self._speaker(target)].pings.refuse(status)
        extra = b""
        if status in (429, 503):
            extra = b"Retry-After: %d\r\n" % (60 if status == 429 else RETRY_AFTER_SECONDS)
        elif status == 405:
            extra = b"Allow: %s\r\n" % ", ".join(METHODS).encode()
        return render(reply, method, extra)

    def address_of(self, peer: str, headers: list[tuple[bytes, bytes]]) -> str:
        """The client's address, through trusted proxies."""
        if not self._trusted:
            return peer
        values = [value for name, value in headers if name == b"x-forwarded-for"]
        return client_address(peer, b",".join(values).decode("latin-1"), self._trusted)

    def _accepted(self, answer: Answer, method: str) -> bytes:
        return render(self._dialects[answer.dialect].pings.reply(answer), method)

    def _not_found(self, signal: Signal, target: Target) -> bytes:
        is_within_limit = self._unknown.hit(self._unknown_limit, signal.address)
        return self.refusal(404 if is_within_limit else 429, target, signal.method)

    def _speaker(self, target: Target) -> str:
        if target.dialect is not None:
            return target.dialect
        for dialect in self._dialects.values():
            shape = dialect.pings.token_shape
            if shape is not None and shape.fullmatch(target.token):
                return dialect.name
        return next(iter(self._dialects))


def render(reply: Reply, method: str, extra: bytes = b"") -> bytes:
    """A whole response. HEAD gets the same head and no body."""
    status, content_type, body = reply
    head = b"%sContent-Type: %s\r\nContent-Length: %d\r\nCache-Control: no-store\r\n%s\r\n" % (
        _STATUS_LINES[status],
        content_type,
        len(body),
        extra,
    )
    return head if method == "HEAD" else head + body


def _without_host(url: bytes) -> bytes:
    """The path of a target in absolute form (RFC 9112, 3.2.2), as one sends it to a proxy."""
    _scheme, _, rest = url.partition(b"://")
    return rest[rest.find(b"/") :] if b"/" in rest else b""


def _prefixes(dialects: Sequence[Dialect]) -> list[tuple[bytes, str | None]]:
    """Where pings come in, longest first, and whose the path is if only one dialect has it."""
    owners: dict[bytes, set[str]] = {}
    for dialect in dialects:
        for path in dialect.pings.paths:
            prefix = path.partition("{")[0].partition("*")[0].encode()
            owners.setdefault(prefix, set()).add(dialect.name)
    single = [(prefix, names.pop() if len(names) == 1 else None) for prefix, names in owners.items()]
    return sorted(single, key=lambda pair: -len(pair[0]))

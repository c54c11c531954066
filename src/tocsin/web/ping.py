"""The ping lane: from the bytes of a request to the intake, and from its answer to the bytes of the reply.

No framework and no task per ping. Whose words a ping speaks is told by its token's row, whatever path it
came by (docs/rules.md, Tokens and identities); an unknown token is answered in the dialect of the path, or
of its shape.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import NamedTuple

from tocsin.domain.ping import Signal
from tocsin.engine.intake import Answer, Full, Intake
from tocsin.web.address import Network, client_address, network_of
from tocsin.web.dialect import Dialect, Reply
from tocsin.web.rate import Rates

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


class PingLimits(NamedTuple):
    """How many pings a minute: for one token, and of one sender. None: no limit."""

    of_token: int | None
    of_address: int | None


@dataclass(frozen=True, slots=True)
class PingConfig:
    """`body_bytes`: how much of a body is kept. `unknown_per_minute`: unknown tokens an address may try.
    `host`: where every path is a ping (TOCSIN_PING_URL), unless people come there too. `limits`: those of
    a dialect's first plan; whose plan it is, nobody knows before the ping is stored."""

    body_bytes: int = 10_000
    unknown_per_minute: int = 60
    trusted_proxies: Sequence[Network] = ()
    host: str = ""
    limits: Mapping[str, PingLimits] = field(default_factory=dict)


class PingLane:
    """Everything about pings that does not depend on the connection."""

    def __init__(
        self,
        intake: Intake,
        dialects: Sequence[Dialect],
        config: PingConfig,
        rates: Rates,
        now: Callable[[], int],
    ) -> None:
        self.body_bytes = config.body_bytes
        self._intake = intake
        self._rates = rates
        self._now = now
        self._limits = config.limits
        self._host = config.host
        self._root = next((dialect for dialect in dialects if dialect.pings.at_root), None)
        self._any_case = _any_case(dialects)
        self._dialects = {dialect.name: dialect for dialect in dialects}
        self._prefixes = _prefixes(dialects)
        self._first = tuple({prefix for prefix, _ in self._prefixes})
        self._named = re.compile(rb"^/(%s)(?=/)" % b"|".join(name.encode() for name in self._dialects))
        self._trusted = config.trusted_proxies
        self._unknown_limit = config.unknown_per_minute

    def match(self, url: bytes, headers: Sequence[tuple[bytes, bytes]] = ()) -> Target | None:
        """What a request's target says, if it is a ping's."""
        dialect = None
        if not url.startswith(b"/"):
            url = _without_host(url)
        if not url.startswith(self._first):
            named = self._named.match(url)
            if named is None:
                return self._at_root(url, dialect, headers)
            url, dialect = url[named.end() :], named[1].decode()
        for prefix, owner in self._prefixes:
            if url.startswith(prefix):
                return self._address(url[len(prefix) :], dialect or owner)
        return self._at_root(url, dialect, ())

    def _at_root(
        self, url: bytes, dialect: str | None, headers: Sequence[tuple[bytes, bytes]]
    ) -> Target | None:
        """A ping without a path of its own: of a token whose shape nothing else has, or on the ping host."""
        if self._root is None or dialect not in (None, self._root.name):
            return None
        target = self._address(url[1:], self._root.name)
        shape = self._root.pings.token_shape
        is_known = shape is not None and shape.fullmatch(target.token)
        return target if is_known or (self._host and _host(headers) == self._host) else None

    def _address(self, rest: bytes, dialect: str | None) -> Target:
        """What stands behind the prefix: token, action, query."""
        path, _, query = rest.partition(b"?")
        head, _, action = path.partition(b"/")
        token = head.decode("latin-1")
        if self._any_case is not None and self._any_case.fullmatch(token):
            token = token.lower()
        return Target(token, action.decode("latin-1"), query, dialect)

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
        if self._limits and (wait_seconds := self._must_wait(signal, target)):
            reply(self.refusal(429, target, signal.method, wait_seconds))
            return
        try:
            self._intake.submit(signal, answer)
        except Full:
            reply(self.refusal(503, target, signal.method))

    def refusal(
        self, status: int, target: Target, method: str, retry_after_seconds: int = RETRY_AFTER_SECONDS
    ) -> bytes:
        """An error in the shape of the dialect that the request seems to speak."""
        reply = self._dialects[self._speaker(target)].pings.refuse(status)
        extra = b""
        if status in (429, 503):
            extra = b"Retry-After: %d\r\n" % retry_after_seconds
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
        caller = f"unknown:{network_of(signal.address)}"
        window = self._rates.count_minute(caller, self._now(), self._unknown_limit)
        status = 429 if window.is_exceeded else 404
        return self.refusal(status, target, signal.method, window.retry_after_seconds)

    def _must_wait(self, signal: Signal, target: Target) -> int:
        """For how many seconds a token, or a sender, must be quiet; 0 where it need not."""
        # The shape first: a token of a limited dialect may come by the path of another.
        shaped = self._shaped(target.token)
        limits = self._limits.get(shaped or "") or self._limits.get(self._speaker(target))
        if limits is None:
            return 0
        callers = (
            (f"token:{signal.token}", limits.of_token),
            (f"pings:{network_of(signal.address)}", limits.of_address),
        )
        for caller, limit in callers:
            if limit is not None:
                window = self._rates.count_minute(caller, self._now(), limit)
                if window.is_exceeded:
                    return window.retry_after_seconds
        return 0

    def _speaker(self, target: Target) -> str:
        return target.dialect or self._shaped(target.token) or next(iter(self._dialects))

    def _shaped(self, token: str) -> str | None:
        """The dialect whose tokens look like this one."""
        for dialect in self._dialects.values():
            shape = dialect.pings.token_shape
            if shape is not None and shape.fullmatch(token):
                return dialect.name
        return None


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


def _host(headers: Sequence[tuple[bytes, bytes]]) -> str:
    """The host that was asked, as `host_of` writes it."""
    return next((host_of(value.decode("latin-1")) for name, value in headers if name == b"host"), "")


def host_of(authority: str) -> str:
    """A host without the port that its scheme has anyway, in lower case."""
    return authority.lower().removesuffix(":443").removesuffix(":80")


def _any_case(dialects: Sequence[Dialect]) -> re.Pattern[str] | None:
    """The tokens whose case does not count."""
    shapes = [one.pings.token_shape for one in dialects if one.pings.any_case]
    patterns = [shape.pattern for shape in shapes if shape is not None]
    return re.compile("|".join(patterns)) if patterns else None


def _without_host(url: bytes) -> bytes:
    """The path of a target in absolute form (RFC 9112, 3.2.2), as one sends it to a proxy."""
    _scheme, _, rest = url.partition(b"://")
    return rest[rest.find(b"/") :] if b"/" in rest else b""


def _prefixes(dialects: Sequence[Dialect]) -> list[tuple[bytes, str | None]]:
    """Where pings come in, longest first, and whose the path is if only one dialect has it."""
    owners: dict[bytes, set[str]] = {}
    for dialect in dialects:
        for path in dialect.pings.paths if not dialect.pings.at_root else ():
            prefix = path.partition("{")[0].partition("*")[0].encode()
            owners.setdefault(prefix, set()).add(dialect.name)
    single = [(prefix, names.pop() if len(names) == 1 else None) for prefix, names in owners.items()]
    return sorted(single, key=lambda pair: -len(pair[0]))

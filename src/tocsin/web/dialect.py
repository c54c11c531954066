"""What a dialect declares about itself. The modules of tocsin.web.dialects are found, never listed.

A dialect is one module (or package) there that holds `DIALECT = Dialect(...)`. All of it is data but for
`build`, which makes the ASGI application, so that the front can tell requests apart (docs/dialects/README.md)
without knowing any dialect by name.
"""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

from starlette.types import ASGIApp

from tocsin.domain.alert import Facts
from tocsin.domain.errors import Code
from tocsin.domain.ping import Reading, Signal, read_plain
from tocsin.domain.record import Monitor
from tocsin.engine.intake import Answer
from tocsin.web import dialects
from tocsin.web.rate import Standing
from tocsin.web.services import Services
from tocsin.web.trouble import NO_FIELDS, STATUSES, Trouble


class Reply(NamedTuple):
    """A whole answer. HEAD requests get it without the body."""

    status: int
    content_type: bytes
    body: bytes


# What most dialects say of a ping that was not stored, where their vendors publish nothing.
PING_TEXTS: Mapping[int, str] = MappingProxyType(
    {
        405: "Use GET, POST or HEAD",
        429: "Too many requests. Try again later.",
        503: "The ping could not be stored. Try again.",
    }
)


@dataclass(frozen=True, slots=True)
class Pings:
    """How a dialect answers on ping paths (web/ping.py asks it; a stored token's own dialect answers).

    `paths`: where its pings come in, as `Claim.path`. `refuse(status)` is the answer for 400, 404, 405, 413,
    429 and 503. `token_shape`: an unknown token of this shape gets this dialect's 404; with `any_case` its
    capitals do not count. `read` understands a signal; None is an address that this dialect does not have
    (404). `at_root`: every path of the ping host is a ping, and so is `token_shape` at the root of any host.
    """

    paths: tuple[str, ...]
    reply: Callable[[Answer], Reply]
    refuse: Callable[[int], Reply]
    token_shape: re.Pattern[str] | None = None
    read: Callable[[Signal], Reading | None] = read_plain
    any_case: bool = False
    at_root: bool = False


@dataclass(frozen=True, slots=True)
class Claim:
    """A path that a dialect answers without its prefix.

    `{}` stands for one segment, `*` at the end for everything below. `methods`: a method that none of the
    path's claimants has is answered (405) by the one whose key was sent. `keyless`: who answers where
    several have the path and nothing in the request tells them apart.
    """

    path: str
    methods: tuple[str, ...]
    keyless: bool = False


@dataclass(frozen=True, slots=True)
class Credential:
    """Where the dialect's key travels: a header (lower case), and what its value starts with.

    `scheme` is the word before the key ("bearer"), compared in any case; empty where there is none.
    """

    header: str
    key_prefix: str
    scheme: str = ""

    def key(self, headers: Mapping[str, str]) -> str | None:
        """The key of a request with these (lower-case) headers, of whatever dialect; None without one."""
        value = headers.get(self.header)
        if value is None or not self.scheme:
            return value
        scheme, _, key = value.partition(" ")
        return key.strip() if scheme.lower() == self.scheme else None

    def fits(self, headers: Mapping[str, str]) -> bool:
        """Whether the request carries a key that looks like this dialect's."""
        return (self.key(headers) or "").startswith(self.key_prefix)


def no_headers(_: Standing) -> dict[str, str]:
    """The rate headers of a dialect that has none."""
    return {}


@dataclass(frozen=True, slots=True)
class Dialect:
    """One API family spoken on the wire.

    `refuse` puts any error into the dialect's shape; the front asks it too, for what it finds before the
    application is called (400, 413, 414, 431) and for what broke in it (500). `body_fields`: fields of a JSON
    body that only this dialect knows, to tell apart requests without a key. `field_names`: its names for the
    fields of a draft (engine/manage/monitors.py) where they differ. `rate_headers`: what it says about limits
    on each answer to a known key; `rate_scope`: who shares a limit. `status_word`: what it calls a monitor's
    status at a moment (microseconds UTC). `webhook_format`: its vendor's payload, of an alert and the address
    that it goes to, for monitors whose own webhook asks for it by the dialect's name.
    """

    name: str
    build: Callable[[Services], ASGIApp]
    refuse: Callable[[Trouble], Reply]
    claims: tuple[Claim, ...]
    credential: Credential
    pings: Pings
    body_fields: frozenset[str] = frozenset()
    statuses: Mapping[Code, int] = field(default_factory=lambda: STATUSES)
    field_names: Mapping[str, str] = field(default_factory=lambda: NO_FIELDS)
    rate_headers: Callable[[Standing], dict[str, str]] = no_headers
    rate_scope: Literal["key", "project"] = "key"
    status_word: Callable[[Monitor, int], str] = Monitor.shown_status
    webhook_format: Callable[[Facts, str], Mapping[str, Any]] | None = None


def ping_address(services: Services, monitor: Monitor) -> str:
    """Where a monitor's job reports, in the words of the dialect that made it. A credential: a read-only key
    must not see it."""
    return f"{services.ping_url or services.public_url}{_ping_paths()[monitor.dialect]}{monitor.token}"


def badge_address(services: Services, monitor: Monitor) -> str:
    """Where a monitor's badge is; public."""
    return f"{services.public_url}/badge/{monitor.badge_key}.svg"


@cache
def _ping_paths() -> dict[str, str]:
    """What stands before the token, by dialect."""
    return {dialect.name: dialect.pings.paths[0].partition("{")[0] for dialect in discover()}


def webhook_formats(dialects: Sequence[Dialect]) -> dict[str, Callable[[Facts, str], Mapping[str, Any]]]:
    """The payloads that vendors publish, by dialect."""
    return {one.name: one.webhook_format for one in dialects if one.webhook_format is not None}


def discover() -> list[Dialect]:
    """Every dialect in tocsin.web.dialects, by name."""
    names = sorted(module.name for module in pkgutil.iter_modules(dialects.__path__))
    modules = (importlib.import_module(f"{dialects.__name__}.{name}") for name in names if name[0] != "_")
    return [module.DIALECT for module in modules]

"""Which dialect a request without a prefix speaks, from what the dialects declare.

In this order (docs/dialects/README.md): the path, the credential, the method, the body's fields, the header
that is present, and last the claim that says it answers keyless requests.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

from tocsin.web.dialect import Claim, Dialect

REMEMBERED = 1_024  # paths


class Head(NamedTuple):
    """A request without its body. `headers` have lower-case names; of a repeated one the first counts."""

    method: str
    path: str
    headers: Mapping[str, str]


class Claimant(NamedTuple):
    """A dialect that has the path, by this claim."""

    dialect: Dialect
    claim: Claim


class Choice:
    """The claims of all dialects, ready to be asked."""

    def __init__(self, dialects: Iterable[Dialect]) -> None:
        self._claims = [
            (_pattern(claim.path), Claimant(dialect, claim))
            for dialect in dialects
            for claim in dialect.claims
        ]
        self._having = lru_cache(REMEMBERED)(self._find)

    def claimants(self, head: Head) -> list[Claimant]:
        """Who may be meant by this head: none where nobody has the path, several where the body must tell."""
        found = self._having(head.path)
        if len(found) > 1:
            found = [c for c in found if c.dialect.credential.fits(head.headers)] or found
        return [c for c in found if head.method in c.claim.methods] or found

    def _find(self, path: str) -> list[Claimant]:
        return [claimant for pattern, claimant in self._claims if pattern.fullmatch(path)]

    def decide(self, found: Sequence[Claimant], head: Head, fields: Iterable[str]) -> Dialect | None:
        """The one of several claimants that a body with these fields, or the header present, speaks of."""
        known = set(fields)
        by_body = [c.dialect for c in found if not known.isdisjoint(c.dialect.body_fields)]
        by_header = [c.dialect for c in found if c.dialect.credential.key(head.headers) is not None]
        keyless = [c.dialect for c in found if c.claim.keyless]
        return next((told[0] for told in (by_body, by_header, keyless) if len(told) == 1), None)


def _pattern(path: str) -> re.Pattern[str]:
    start, rest = (path[:-1], ".*") if path.endswith("*") else (path, "")
    return re.compile("[^/]+".join(re.escape(part) for part in start.split("{}")) + rest, re.DOTALL)

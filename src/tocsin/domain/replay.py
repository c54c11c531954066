"""Requests that may be sent twice and are carried out once, by a key that their sender makes up."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from tocsin.domain.monitor import SECOND

LASTS = 24 * 3600 * SECOND
# A process that was killed never answers; no request that is carried out takes this long.
GIVEN_UP_AFTER = 60 * SECOND


class Slot(NamedTuple):
    """A project's place for one key. `created_at` (microseconds UTC) tells one claim on it from the next."""

    project_id: int
    key_hash: str
    created_at: int


@dataclass(frozen=True, slots=True)
class Answered:
    """An answer as it was given. `headers`: those that are no other request's."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


class Kept(NamedTuple):
    """What is known of a key; `answered` is None while the request is under way."""

    fingerprint: str
    answered: Answered | None
    created_at: int

    def is_void(self, now: int) -> bool:
        """Whether the key is free again: an answer after 24 hours, a claim without one after a minute."""
        return now - self.created_at > (LASTS if self.answered else GIVEN_UP_AFTER)

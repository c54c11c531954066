"""What the engine asks of a channel kind, and what an attempt can end in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

from tocsin.domain.alert import Facts


class Outcome(StrEnum):
    """What became of one attempt."""

    DELIVERED = "delivered"
    RETRY = "retry"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Receipt:
    """The result of one attempt. `detail` is for people and holds no secret; `gone` where the refusal says
    that the address is no more (HTTP 404, 410), which disables the channel after three in a row."""

    outcome: Outcome
    code: int | None = None
    detail: str = ""
    retry_after_seconds: float | None = None
    gone: bool = False


class Sender(Protocol):
    """A channel kind: each module in tocsin.channels offers `build(tools)`, which makes one of these.

    `name`: the kind. `for_people`: whether a flood is told as one digest message. `secrets`: the names of
    config fields that are masked when read. `lacks`: the setting without which this server has no means of
    its own to send by this kind; empty where it has, or needs none.
    """

    name: str
    for_people: bool
    secrets: frozenset[str]
    lacks: str

    def check(self, config: Mapping[str, Any]) -> dict[str, Any]:
        """The config to store, completed and normalised. Raises TocsinError(INVALID) with all its fields."""

    async def send(self, config: Mapping[str, Any], alerts: Sequence[Facts]) -> Receipt:
        """One attempt. More than one alert is a digest (people's channels only). Never raises for what the
        receiver did; `id` of the first alert (or the digest's) is the message's own id."""

"""What becomes of notifications after an attempt, written down for many at once."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import assert_never

import structlog
from sqlalchemy import Connection

from tocsin.domain.channel import Outcome, Receipt
from tocsin.engine.alerts import Voice, record_channel_disabled
from tocsin.engine.lanes import Parcel
from tocsin.engine.retry import RetryConfig, retry_at
from tocsin.store import channels, outbox
from tocsin.store.channels import ChannelRow
from tocsin.store.notifications import Delivery
from tocsin.store.outbox import Ending, Leased, Try

GONE_IN_A_ROW = 3
LONGEST_DETAIL = 500

log = structlog.get_logger()
_random = secrets.SystemRandom().random


@dataclass(frozen=True, slots=True)
class Result:
    """One attempt and its end. `at`: when it began."""

    parcel: Parcel
    receipt: Receipt
    at: int
    duration_ms: int


@dataclass(slots=True)
class Settled:
    """How many notifications reached their end."""

    delivered: int = 0
    failed: int = 0


class Settlement:
    """Writes results. `chance` gives numbers from 0 to 1 for the jitter of retries."""

    def __init__(self, retry: RetryConfig, chance: Callable[[], float] = _random) -> None:
        self._retry = retry
        self._chance = chance
        # Channels whose last answer was a refusal, or may have been.
        self._suspects: set[int] = set()

    def write(self, connection: Connection, results: Sequence[Result], now: int, voice: Voice) -> Settled:
        """Write attempts and endings; switch off channels whose address is gone."""
        settled = Settled()
        first_at = _first_attempts(connection, results)
        endings: list[Ending] = []
        tries: list[Try] = []
        for result in results:
            status, again_at = self._verdict(result, first_at, now)
            finished_at = now if again_at is None else None
            for item in result.parcel.items:
                endings.append(Ending(item.id, result.parcel.lease_until, status, again_at, finished_at))
                tries.append(_try(result, item))
                settled.delivered += status is Delivery.DELIVERED
                settled.failed += status is Delivery.FAILED
        outbox.finish(connection, endings, tries)
        settled.failed += self._judge_channels(connection, results, now, voice)
        return settled

    def _verdict(self, result: Result, first_at: Mapping[int, int], now: int) -> tuple[Delivery, int | None]:
        """What becomes of all that was in the parcel, and when it is tried again. A digest's members are
        tried again at one time, or the retry would not say the same."""
        match result.receipt.outcome:
            case Outcome.DELIVERED:
                return Delivery.DELIVERED, None
            case Outcome.REFUSED:
                return Delivery.FAILED, None
            case Outcome.RETRY:
                items = result.parcel.items
                again_at = retry_at(
                    self._retry,
                    attempts=max(item.attempts for item in items) + 1,
                    first_at=min(first_at.get(item.id, result.at) for item in items),
                    now=now,
                    chance=self._chance,
                    retry_after_seconds=result.receipt.retry_after_seconds,
                )
                return (Delivery.FAILED if again_at is None else Delivery.PENDING), again_at
            case _:
                assert_never(result.receipt.outcome)

    def _judge_channels(
        self, connection: Connection, results: Iterable[Result], now: int, voice: Voice
    ) -> int:
        """Count refusals that say that the address is no more. Returns how many notifications died of it."""
        by_channel: dict[int, list[Receipt]] = {}
        for result in results:
            channel = result.parcel.destination.channel
            by_channel.setdefault(channel.id, []).append(result.receipt)
            if result.receipt.gone or channel.refusals:
                self._suspects.add(channel.id)
        return sum(
            self._judge_channel(connection, channel_id, by_channel[channel_id], now, voice)
            for channel_id in self._suspects & by_channel.keys()
        )

    def _judge_channel(
        self, connection: Connection, channel_id: int, receipts: Iterable[Receipt], now: int, voice: Voice
    ) -> int:
        row = channels.get_all(connection, [channel_id]).get(channel_id)
        if row is None or not row.enabled:
            self._suspects.discard(channel_id)
            return 0
        refusals = row.refusals
        for receipt in receipts:
            refusals = _count(refusals, receipt)
            if receipt.gone and refusals >= GONE_IN_A_ROW:
                reason = f"it answered {_answer(receipt)} {refusals} times in a row"
                return _switch_off(
                    connection, row._replace(disabled_reason=reason, refusals=refusals), now, voice
                )
        if refusals != row.refusals:
            channels.change(connection, channel_id, {"refusals": refusals})
        if not refusals:
            self._suspects.discard(channel_id)
        return 0


def _switch_off(connection: Connection, row: ChannelRow, now: int, voice: Voice) -> int:
    log.warning("channel_disabled", channel=row.uid, kind=row.kind, reason=row.disabled_reason)
    off = {"enabled": False, "disabled_reason": row.disabled_reason, "refusals": row.refusals}
    channels.change(connection, row.id, {**off, "updated_at": now})
    record_channel_disabled(connection, row, now, voice)
    return outbox.fail_channel(connection, row.id, now)


def _first_attempts(connection: Connection, results: Iterable[Result]) -> dict[int, int]:
    """When those that are to be tried again were tried first."""
    again = {
        item.id
        for result in results
        if result.receipt.outcome is Outcome.RETRY
        for item in result.parcel.items
        if item.attempts
    }
    return outbox.first_attempts(connection, again)


def _try(result: Result, item: Leased) -> Try:
    receipt = result.receipt
    # What a receiver sends may hold what no database takes.
    detail = receipt.detail.replace("\0", "").encode(errors="replace").decode()[:LONGEST_DETAIL]
    return Try(item.id, result.at, receipt.outcome, receipt.code, detail, result.duration_ms)


def _count(refusals: int, receipt: Receipt) -> int:
    if receipt.outcome is Outcome.DELIVERED:
        return 0
    return refusals + 1 if receipt.gone else refusals


def _answer(receipt: Receipt) -> str:
    return "that it is no more" if receipt.code is None else str(receipt.code)

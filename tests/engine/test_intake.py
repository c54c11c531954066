"""What a dialect's reading makes of a ping: flags, duplicates, bodies. Batches go into a real store."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select

from tests.domain.timeline import at
from tests.shelf import Job, Shelf
from tocsin.domain.ping import Flag, Kind, Reading, Signal
from tocsin.engine.alerts import Voice
from tocsin.engine.intake import Answer, Waiting, _Batch, whole_characters
from tocsin.store import tables


class Said(NamedTuple):
    """A ping with what its dialect reads in it."""

    seconds: float
    reading: Reading
    body: bytes = b""
    was_cut: bool = False


def heartbeat(seconds: float) -> Said:
    return Said(seconds, Reading(Kind.SUCCESS, flags=Flag.HEARTBEAT, duplicate_seconds=2))


def said(seconds: float, kind: Kind = Kind.SUCCESS) -> Said:
    return Said(seconds, Reading(kind, duplicate_seconds=2))


@pytest.fixture
def job(shelf: Shelf) -> Job:
    return Job(shelf)


def take(job: Job, *batch: Said) -> list[Answer]:
    """Store a batch."""
    signals = [
        Waiting(
            at(one.seconds),
            Signal(job.token, str(number), b"", "POST", [], "192.0.2.1", one.body, one.was_cut),
            lambda _answer: None,
        )
        for number, one in enumerate(batch)
    ]
    readers = {"tocsin": lambda signal: batch[int(signal.action)].reading}
    answers = _Batch(job.store, readers, signals, (), [], Voice("", None))(job.connection)
    return [answer for answer in answers if answer is not None]


def duplicates(job: Job, batches: Sequence[Sequence[Said]]) -> list[bool]:
    return [answer.is_duplicate for batch in batches for answer in take(job, *batch)]


def rows(job: Job) -> list[Any]:
    mine = tables.ping.c.monitor_id == job.id
    return list(job.connection.execute(select(tables.ping).where(mine).order_by(tables.ping.c.id)))


@pytest.mark.parametrize("apart", [True, False], ids=["a batch each", "one batch"])
@pytest.mark.parametrize(
    ("pings", "expected"),
    [
        ([said(1.0), said(2.9)], [False, True]),
        ([said(10.9), said(12.0)], [False, False]),
        ([said(10.0), said(11.9), said(13.1)], [False, True, False]),
        ([said(10.0), said(11.0), said(12.0), said(13.0)], [False, True, True, True]),
        ([said(1.0), said(1.0, Kind.FAIL), said(1.1), said(1.2, Kind.FAIL)], [False, False, True, True]),
        ([heartbeat(1.0), said(1.1), heartbeat(1.2), said(1.3)], [False, False, True, True]),
        ([Said(1.0, Reading(Kind.SUCCESS)), Said(1.1, Reading(Kind.SUCCESS))], [False, False]),
    ],
)
def test_a_duplicate_is_the_same_kind_within_two_whole_seconds(
    job: Job, pings: list[Said], expected: list[bool], *, apart: bool
) -> None:
    batches = [[one] for one in pings] if apart else [pings]
    assert duplicates(job, batches) == expected
    assert [bool((row.flags or 0) & Flag.DUPLICATE) for row in rows(job)] == expected


def test_a_duplicate_is_found_behind_many_pings_of_other_kinds(job: Job) -> None:
    others = [said(1.0 + number / 100, Kind.LOG) for number in range(50)]
    take(job, said(1.0), *others)
    assert duplicates(job, [[said(1.9)]]) == [True]


def test_a_paused_monitor_has_duplicates_too(job: Job) -> None:
    job.pause(1)
    assert duplicates(job, [[said(2)], [said(3)]]) == [False, True]
    assert len(rows(job)) == 2


def test_flags_of_the_reading_are_stored_beside_those_of_the_body(job: Job) -> None:
    take(
        job,
        Said(1, Reading(Kind.SUCCESS, flags=Flag.ODD), b"text"),
        Said(5, Reading(Kind.SUCCESS, keeps_body=False), b"text"),
        Said(9, Reading(Kind.SUCCESS), "naïv".encode()[:3], was_cut=True),
    )
    assert [row.flags for row in rows(job)] == [Flag.ODD | Flag.BODY, None, Flag.BODY | Flag.BODY_CUT]
    bodies = select(tables.ping_body.c.body).order_by(tables.ping_body.c.ping_id)
    assert list(job.connection.execute(bodies).scalars()) == [b"text", b"na"]


@given(st.text(min_size=1), st.integers(0, 200))
def test_a_cut_body_ends_with_a_whole_character(text: str, size: int) -> None:
    cut = text.encode("utf-8", "replace")[:size]
    kept = whole_characters(cut)
    assert cut.startswith(kept)
    assert len(cut) - len(kept) < 4
    kept.decode()


@given(st.binary(max_size=20))
def test_a_cut_body_that_is_no_text_loses_at_most_three_bytes(body: bytes) -> None:
    kept = whole_characters(body)
    assert body.startswith(kept)
    assert len(body) - len(kept) < 4

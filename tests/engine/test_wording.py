"""What people read at three in the morning."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from msgspec import structs

from tests.outbox import MINUTE, standing
from tocsin.domain.monitor import SECOND, Flip, Reason, Status
from tocsin.domain.ping import Kind
from tocsin.engine import wording
from tocsin.store.alerts import Watched

AT = 1_774_750_200 * SECOND  # 2026-03-29 02:10 UTC
DAY = 86_400 * SECOND
JOB = Watched(1, "f" * 32, 1, "Nightly DB Backup", "nightly", "", 900, 60, "[]", True, None, None)
FLIP = Flip(AT, Status.UP, Status.DOWN, Reason.MISSED, announced=True, deadline_at=AT)
STATE = standing(at=AT, last_success_at=AT - DAY)
AWAY = {"reason": Reason.UNCONFIRMED, "away_from": AT - 70 * MINUTE, "away_until": AT - 10 * MINUTE}


@pytest.mark.parametrize(
    ("flip", "state", "last_ping_at", "message"),
    [
        (
            {},
            {},
            AT - DAY,
            (
                "Nightly DB Backup has not been heard from since 2026-03-28 02:10 UTC; "
                "it was due by 2026-03-29 02:10 UTC."
            ),
        ),
        (
            {},
            {"last_success_at": AT - 8 * SECOND},
            AT - 8 * SECOND,
            (
                "Nightly DB Backup has not been heard from since 2026-03-29 02:09:52 UTC; "
                "it was due by 2026-03-29 02:10:00 UTC."
            ),
        ),
        (
            {},
            {},
            AT - 5 * MINUTE,
            (
                "Nightly DB Backup has not succeeded since 2026-03-28 02:10 UTC; "
                "it was due by 2026-03-29 02:10 UTC."
            ),
        ),
        (
            {},
            {"last_success_at": None},
            None,
            "Nightly DB Backup has not been heard from; it was due by 2026-03-29 02:10 UTC.",
        ),
        (
            {"reason": Reason.FAILED, "exit_code": 3},
            {"failures": 1},
            AT,
            "Nightly DB Backup reported a failure (exit code 3), at 2026-03-29 02:10 UTC.",
        ),
        (
            {"reason": Reason.FAILED},
            {"failures": 3},
            AT,
            "Nightly DB Backup reported a failure, 3 times in a row, at 2026-03-29 02:10 UTC.",
        ),
        (
            {"reason": Reason.FAILED},
            {"last_kind": Kind.SUCCESS, "last_ping_at": AT, "last_duration_ms": 2_000},
            AT,
            (
                "Nightly DB Backup ended too soon, at 2026-03-29 02:10 UTC: after 2 seconds, "
                "and a good run takes 1 minute."
            ),
        ),
        (
            {"reason": Reason.OVERRAN},
            {},
            AT - 15 * MINUTE,
            "Nightly DB Backup was started at 2026-03-29 01:55 UTC and did not finish within 15 minutes.",
        ),
        (
            AWAY,
            {},
            AT - DAY,
            (
                "Nightly DB Backup has not been heard from since 2026-03-28 02:10 UTC; "
                "it was due by 2026-03-29 02:10 UTC. Tocsin itself was away from 2026-03-29 01:00 UTC to "
                "2026-03-29 02:00 UTC, and the ping may have been lost."
            ),
        ),
        (
            {**AWAY, "deadline_at": AT + DAY},
            {},
            AT - DAY,
            (
                "Nightly DB Backup was started, and by 2026-03-29 02:10 UTC nothing was heard of its end. "
                "Tocsin itself was away from 2026-03-29 01:00 UTC to 2026-03-29 02:00 UTC, "
                "and the ping may have been lost."
            ),
        ),
    ],
)
def test_a_down_says_why(
    flip: dict[str, Any], state: dict[str, Any], last_ping_at: int | None, message: str
) -> None:
    assert (
        wording.down_message(JOB, replace(FLIP, **flip), structs.replace(STATE, **state), last_ping_at)
        == message
    )


@pytest.mark.parametrize(
    ("since_at", "message"),
    [
        (AT - 125 * MINUTE, "Backup is up again after 2 h 5 min."),
        (None, "Backup is up again."),
    ],
)
def test_a_recovery_says_after_how_long(since_at: int | None, message: str) -> None:
    assert wording.up_message("Backup", FLIP, since_at) == message


@pytest.mark.parametrize(
    ("reason", "because"),
    [
        (Reason.MISSED, "it has not been heard from"),
        (Reason.FAILED, "it reported a failure"),
        (Reason.OVERRAN, "it was started and did not finish in time"),
        (Reason.UNCONFIRMED, "it was not heard from, though a ping may have been lost while Tocsin was away"),
    ],
)
def test_a_reminder_says_why(reason: Reason, because: str) -> None:
    message = wording.reminder_message("Backup", structs.replace(STATE, reason=reason), AT + DAY)
    assert message == f"Backup is still down, for 1 day now, since 2026-03-29 02:10 UTC: {because}."


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-5, "less than a second"),
        (0, "less than a second"),
        (1, "1 second"),
        (59, "59 seconds"),
        (60, "1 minute"),
        (61, "1 min 1 s"),
        (900, "15 minutes"),
        (7_500, "2 h 5 min"),
        (7_205, "2 hours"),
        (90_000, "1 d 1 h"),
        (86_400 * 3 + 59, "3 days"),
    ],
)
def test_a_duration_has_at_most_two_units(seconds: int, text: str) -> None:
    assert wording.span(seconds * SECOND) == text


def test_long_lists_of_names_are_cut() -> None:
    lines = wording.name_lines([str(number) for number in range(60)])
    assert (len(lines), lines[-1]) == (51, "and 10 more")

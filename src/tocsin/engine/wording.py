"""What alerts say, in plain words for somebody who was woken at three. Pure."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import assert_never

from tocsin.domain.monitor import SECOND, Flip, Gap, Reason, State
from tocsin.domain.ping import Kind
from tocsin.store.alerts import Watched

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_UNITS = ((86_400, "d", "day"), (3_600, "h", "hour"), (60, "min", "minute"), (1, "s", "second"))
_NAMES_SHOWN = 50
# Minutes say nothing where both times of a sentence lie in the same few.
_CLOSE = 600 * SECOND


def moment(at: int, *, to_the_second: bool = False) -> str:
    """A time as "2026-03-28 02:00 UTC"."""
    minute, second = divmod(at // SECOND, 60)
    return f"{_minute(minute)}:{second:02} UTC" if to_the_second else f"{_minute(minute)} UTC"


@lru_cache(maxsize=4096)
def _minute(minute: int) -> str:
    """In an alert storm thousands of alerts name the same minutes."""
    return (_EPOCH + timedelta(minutes=minute)).strftime("%Y-%m-%d %H:%M")


def span(microseconds: int) -> str:
    """A duration as "15 minutes", or "2 h 5 min" where it needs two units."""
    left = max(microseconds, 0) // SECOND
    parts: list[tuple[int, str, str]] = []
    for size, short, long in _UNITS:
        count, left = divmod(left, size)
        if count and len(parts) < 2:
            parts.append((count, short, long))
        elif parts:
            break
    if not parts:
        return "less than a second"
    if len(parts) == 1:
        [(count, _, long)] = parts
        return f"{count} {long}" if count == 1 else f"{count} {long}s"
    return " ".join(f"{count} {short}" for count, short, _ in parts)


def down_message(monitor: Watched, flip: Flip, state: State, last_ping_at: int | None) -> str:
    """Why a monitor is down. `last_ping_at`: of the pings before the flip, its own included."""
    match flip.reason:
        case Reason.FAILED if _ended_too_soon(flip, state):
            return _too_soon(monitor, flip, state)
        case Reason.FAILED:
            return _failed(monitor.name, flip, state)
        case Reason.OVERRAN:
            return _overran(monitor, flip)
        case Reason.UNCONFIRMED:
            return f"{_unheard(monitor, flip, state, last_ping_at)} {_away(flip)}"
        case _:
            return _missed(monitor.name, flip, state, last_ping_at)


def up_message(name: str, flip: Flip, since_at: int | None) -> str:
    """That a monitor recovered, and after how long."""
    after = "" if since_at is None else f" after {span(flip.at - since_at)}"
    return f"{name} is up again{after}."


def reminder_message(name: str, state: State, now: int) -> str:
    """That a monitor is still down."""
    lasts = f"for {span(now - state.since_at)} now, since {moment(state.since_at)}"
    return f"{name} is still down, {lasts}: {_because(state.reason)}."


def away_message(gap: Gap, count: int) -> str:
    """That pings may have been lost in a gap of our own."""
    from_at, until_at = _range(gap.from_at, gap.until_at)
    jobs = "1 job was" if count == 1 else f"{count} jobs were"
    return (
        f"Tocsin was away from {from_at} to {until_at} ({span(gap.until_at - gap.from_at)}), when {jobs} "
        "expected. Pings that were sent meanwhile may have been lost; each job has time until its next ping."
    )


def name_lines(names: list[str]) -> tuple[str, ...]:
    """Names one by one, and how many more there are."""
    more = len(names) - _NAMES_SHOWN
    return (*names[:_NAMES_SHOWN], *([f"and {more} more"] if more > 0 else []))


def disabled_message(label: str, kind: str, reason: str) -> str:
    """That a channel was switched off."""
    return (
        f"The {kind} channel {label} was switched off: {reason or 'it refused for good'}. "
        "No more alerts go there until it is corrected and switched on again."
    )


def silence_line(last_heard_at: int) -> str:
    """The doubt that the network is broken and not the jobs (rules.md, Own deafness)."""
    at = (_EPOCH + timedelta(microseconds=last_heard_at)).strftime("%H:%M")
    return f"no job has been heard since {at} UTC: check the network in front of Tocsin"


def _missed(name: str, flip: Flip, state: State, last_ping_at: int | None) -> str:
    deadline_at = flip.deadline_at or flip.at
    if last_ping_at is None:
        return f"{name} has not been heard from; it was due by {moment(deadline_at)}."
    heard, since_at = "been heard from since", last_ping_at
    success_at = state.last_success_at
    if success_at is not None and success_at < last_ping_at:
        # It was heard, by a start, a log line or a failure, but did not say that it succeeded.
        heard, since_at = "succeeded since", success_at
    since, due = _range(since_at, deadline_at)
    return f"{name} has not {heard} {since}; it was due by {due}."


def _failed(name: str, flip: Flip, state: State) -> str:
    code = "" if flip.exit_code is None else f" (exit code {flip.exit_code})"
    again = f", {state.failures} times in a row" if state.failures > 1 else ""
    return f"{name} reported a failure{code}{again}, at {moment(flip.at)}."


def _ended_too_soon(flip: Flip, state: State) -> bool:
    return state.last_kind == Kind.SUCCESS and state.last_ping_at == flip.at


def _too_soon(monitor: Watched, flip: Flip, state: State) -> str:
    took = span((state.last_duration_ms or 0) * 1000)
    least = span((monitor.shortest_run_seconds or 0) * SECOND)
    return f"{monitor.name} ended too soon, at {moment(flip.at)}: after {took}, and a good run takes {least}."


def _overran(monitor: Watched, flip: Flip) -> str:
    longest = (monitor.longest_run_seconds or 0) * SECOND
    started = moment(flip.at - longest, to_the_second=longest < _CLOSE)
    return f"{monitor.name} was started at {started} and did not finish within {span(longest)}."


def _unheard(monitor: Watched, flip: Flip, state: State, last_ping_at: int | None) -> str:
    if flip.deadline_at == flip.at or monitor.longest_run_seconds is None:
        return _missed(monitor.name, flip, state, last_ping_at)
    return f"{monitor.name} was started, and by {moment(flip.at)} nothing was heard of its end."


def _away(flip: Flip) -> str:
    if flip.away_from is None or flip.away_until is None:
        return "Its ping may have been lost while Tocsin was away."
    from_at, until_at = _range(flip.away_from, flip.away_until)
    return f"Tocsin itself was away from {from_at} to {until_at}, and the ping may have been lost."


def _range(from_at: int, until_at: int) -> tuple[str, str]:
    close = until_at - from_at < _CLOSE
    return moment(from_at, to_the_second=close), moment(until_at, to_the_second=close)


def _because(reason: Reason | None) -> str:
    match reason:
        case Reason.FAILED:
            return "it reported a failure"
        case Reason.OVERRAN:
            return "it was started and did not finish in time"
        case Reason.UNCONFIRMED:
            return "it was not heard from, though a ping may have been lost while Tocsin was away"
        case Reason.MISSED | Reason.PING | Reason.PAUSED | Reason.RESUMED | None:
            return "it has not been heard from"
        case _:
            assert_never(reason)

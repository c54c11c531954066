"""Open runs: what a start opens and an end closes. Pure; docs/rules.md, Runs."""

from __future__ import annotations

from tocsin.domain.monitor import SECOND, Policy, Run
from tocsin.domain.ping import Ping

FORGOTTEN = 24 * 3600 * SECOND
OPEN_RUNS = 20

Runs = tuple[Run, ...]


def open_run(policy: Policy, runs: Runs, start: Ping) -> Runs:
    """The open runs after a start. A second start with the same run id begins that run anew; so does one
    without an id, where no limit has to be watched: an end could only ever end the later one."""
    limit_at = None
    if policy.longest_run_seconds is not None:
        limit_at = start.arrived_at + policy.longest_run_seconds * SECOND
    remembered = _remembered(runs, start.arrived_at)
    kept = [
        run for run in remembered if run.id != start.run_id or (run.id is None and run.limit_at is not None)
    ]
    return _bounded([*kept, Run(start.run_id, start.arrived_at, limit_at)])


def close_run(runs: Runs, end: Ping) -> tuple[Runs, int | None]:
    """The runs that stay open, and the run time in milliseconds of the one that the ping ends.

    An end with a run id ends the run of that id. One without ends the latest run without, and those that
    began before it: they cannot be told apart, and a start that was sent twice must not raise an alarm.
    """
    runs = _remembered(runs, end.arrived_at)
    mine = [run for run in runs if run.id == end.run_id]
    if not mine:
        return runs, None
    duration_ms = (end.arrived_at - mine[-1].started_at) // 1000
    return tuple(run for run in runs if run.id != end.run_id), duration_ms


def ended_too_soon(policy: Policy, duration_ms: int | None) -> bool:
    """Whether a run took less than the shortest run time, where both are known."""
    shortest = policy.shortest_run_seconds
    return shortest is not None and duration_ms is not None and duration_ms < shortest * 1000


def relimit(policy: Policy, runs: Runs, at: int) -> Runs:
    """Open runs under a new longest run time. One that would be over already has it from now, unless nobody
    watched it any more: a change alone neither raises an alarm nor puts one off for ever."""
    if policy.longest_run_seconds is None:
        return tuple(Run(run.id, run.started_at, None) for run in runs)
    length = policy.longest_run_seconds * SECOND
    return tuple(Run(run.id, run.started_at, _new_limit(run, length, at)) for run in runs)


def _new_limit(run: Run, length: int, at: int) -> int | None:
    limit_at = run.started_at + length
    if limit_at > at:
        return limit_at
    return None if run.limit_at is None else at + length


def swap(runs: Runs, old: Run, new: Run) -> Runs:
    """The runs with `new` in the place of `old`."""
    return tuple(new if run is old else run for run in runs)


def _remembered(runs: Runs, at: int) -> Runs:
    """A run without a limit that never ended is forgotten after a day."""
    return tuple(run for run in runs if run.limit_at is not None or at - run.started_at <= FORGOTTEN)


def _bounded(runs: list[Run]) -> Runs:
    """At most OPEN_RUNS: without the oldest that has no limit, else without the newest. The earliest limits
    stay, so that starts which keep coming never put off an alarm."""
    if len(runs) > OPEN_RUNS:
        del runs[next((index for index, run in enumerate(runs) if run.limit_at is None), OPEN_RUNS)]
    return tuple(runs)

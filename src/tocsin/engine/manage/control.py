"""What a person does to a running monitor: pause, resume, snooze, delete."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import TypeVar

from msgspec.structs import replace
from sqlalchemy import Connection

from tocsin.domain.errors import Code, TocsinError
from tocsin.domain.monitor import SECOND, Flip, State
from tocsin.domain.project import Actor
from tocsin.domain.record import Monitor
from tocsin.domain.transition import end_snooze, pause, resume, snooze
from tocsin.engine.alerts import Change, record_flips, release_snoozed
from tocsin.engine.manage.desk import Desk, may_write, not_found
from tocsin.engine.manage.monitors import get_own, refuse_many
from tocsin.engine.manage.overdue import decide
from tocsin.store import monitors, notifications, projects
from tocsin.store.database import Tracked

LONGEST_SNOOZE = 366 * 86_400 * SECOND

Result = TypeVar("Result")
Turn = Callable[[State, int], tuple[State, tuple[Flip, ...]]]


class Control(Desk):
    """Use cases that change how a monitor stands."""

    async def pause(self, actor: Actor, monitor_id: int, *, strict: bool = False) -> Monitor:
        """To paused; as it is where it is paused already, CONFLICT if `strict`."""
        return _only(await self.pause_many(actor, [monitor_id], strict=strict))

    async def resume(self, actor: Actor, monitor_id: int, *, strict: bool = False) -> Monitor:
        """From paused to new; as it is where it is not paused, CONFLICT if `strict`."""
        return _only(await self.resume_many(actor, [monitor_id], strict=strict))

    async def pause_many(
        self, actor: Actor, monitor_ids: Sequence[int], *, strict: bool = False
    ) -> list[Monitor | TocsinError]:
        """As `pause`, for up to 1,000, each for itself, in one transaction."""
        return await self._turn(actor, monitor_ids, pause, "The monitor is paused already." if strict else "")

    async def resume_many(
        self, actor: Actor, monitor_ids: Sequence[int], *, strict: bool = False
    ) -> list[Monitor | TocsinError]:
        """As `resume`, for up to 1,000, each for itself, in one transaction."""
        return await self._turn(actor, monitor_ids, resume, "The monitor is not paused." if strict else "")

    async def snooze(self, actor: Actor, monitor_id: int, until_at: int) -> Monitor:
        """Hold alerts back until then. INVALID (`until_at`) for a time that is past or over a year away."""
        may_write(actor)
        now = self._now()
        if not now < until_at <= now + LONGEST_SNOOZE:
            message = "This must be a time to come, at most 366 days away."
            raise TocsinError(Code.INVALID, message, {"until_at": message})

        def change(connection: Connection) -> Monitor:
            tracked = self._load(connection, actor, monitor_id)
            self._save(connection, [replace(tracked, state=snooze(tracked.state, until_at))])
            return get_own(connection, actor, monitor_id)

        return await self._write(change)

    async def unsnooze(self, actor: Actor, monitor_id: int) -> Monitor:
        """End a snooze now; what is still down is told. As it is where it is not snoozed."""
        may_write(actor)
        now = self._now()
        voice = self._tools.voice_of()

        def change(connection: Connection) -> Monitor:
            tracked = self._load(connection, actor, monitor_id)
            if tracked.state.snoozed_until is not None:
                woken = replace(tracked, state=end_snooze(tracked.policy, tracked.state, now))
                self._save(connection, [woken])
                release_snoozed(connection, [woken], now, voice)
            return get_own(connection, actor, monitor_id)

        return await self._write(change)

    async def delete(self, actor: Actor, monitor_id: int) -> None:
        """Gone from every face at once; what hangs on it is purged in the background. NOT_FOUND."""
        [result] = await self.delete_many(actor, [monitor_id])
        if isinstance(result, TocsinError):
            raise result

    async def delete_many(self, actor: Actor, monitor_ids: Sequence[int]) -> list[int | TocsinError]:
        """As `delete`, for up to 1,000; an id where it was deleted."""
        may_write(actor)
        refuse_many(monitor_ids)
        now = self._now()

        def change(connection: Connection) -> list[int | TocsinError]:
            mine = _mine(connection, actor, monitor_ids)
            monitors.mark_deleted(connection, mine, now)
            notifications.withdraw(connection, mine, now)
            projects.add_monitor_count(connection, actor.project_id, -len(mine))
            return [each if each in mine else not_found("monitor") for each in monitor_ids]

        return await self._write(change)

    async def _turn(
        self, actor: Actor, monitor_ids: Sequence[int], turn: Turn, complaint: str
    ) -> list[Monitor | TocsinError]:
        """Take monitors to another status; with a `complaint`, one that is there is refused."""
        may_write(actor)
        refuse_many(monitor_ids)
        moment = self._moment()

        def change(connection: Connection) -> list[Monitor | TocsinError]:
            mine = _mine(connection, actor, monitor_ids)
            changes: list[Change] = []
            turned: list[Tracked] = []
            known = self._tools.store.hot.load(connection, mine)
            # Of those that the turn means; the others are the watcher's.
            for tracked in decide(connection, [one for one in known if turn(one.state, 0)[1]], moment):
                state, flips = turn(tracked.state, max(moment.now, tracked.state.since_at + 1))
                turned.append(replace(tracked, state=state))
                changes += [Change(tracked.monitor_id, tracked.project_id, flip, state) for flip in flips]
            self._save(connection, turned)
            record_flips(connection, changes, moment.now, moment.voice)
            return _results(connection, monitor_ids, mine, {one.monitor_id for one in turned}, complaint)

        return await self._write(change)

    def _load(self, connection: Connection, actor: Actor, monitor_id: int) -> Tracked:
        get_own(connection, actor, monitor_id)
        [tracked] = self._tools.store.hot.load(connection, [monitor_id])
        return tracked

    def _save(self, connection: Connection, tracked: Sequence[Tracked]) -> None:
        if tracked:
            self._tools.store.hot.save_look(connection, tracked)

    async def _write(self, change: Callable[[Connection], Result]) -> Result:
        result = await self._tools.store.write(change)
        self._tools.wake()
        return result


def _mine(connection: Connection, actor: Actor, monitor_ids: Collection[int]) -> set[int]:
    """Those of the ids that are the actor's monitors."""
    known = {each for each in monitor_ids if 0 < each < 2**63}
    found = monitors.get_all(connection, known) if known else {}
    return {each for each, monitor in found.items() if monitor.project_id == actor.project_id}


def _results(
    connection: Connection,
    monitor_ids: Sequence[int],
    mine: Collection[int],
    turned: Collection[int],
    complaint: str,
) -> list[Monitor | TocsinError]:
    after = monitors.get_all(connection, mine) if mine else {}
    results: list[Monitor | TocsinError] = []
    for each in monitor_ids:
        if each not in mine:
            results.append(not_found("monitor"))
        elif complaint and each not in turned:
            results.append(TocsinError(Code.CONFLICT, complaint))
        else:
            results.append(after[each])
    return results


def _only(results: Sequence[Monitor | TocsinError]) -> Monitor:
    [result] = results
    if isinstance(result, TocsinError):
        raise result
    return result

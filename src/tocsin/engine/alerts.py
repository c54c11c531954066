"""What a flip, a reminder, a gap or a refusing channel says, and to whom (docs/delivery.md).

Everything here is called inside the transaction of what it tells of (promise 3), with a whole batch at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple, Protocol

import orjson
from msgspec import Struct
from msgspec.structs import replace
from sqlalchemy import Connection

from tocsin.domain.alert import Event, Facts, Subject
from tocsin.domain.monitor import Flip, Gap, State, Status
from tocsin.domain.transition import is_snoozed
from tocsin.engine import wording
from tocsin.engine.audience import Audience, read_audience
from tocsin.engine.owners import ways_to_owners
from tocsin.engine.snooze import choose_release, held_of, was_told_just_now
from tocsin.engine.uid import new_alert_ids
from tocsin.store import alerts as rows
from tocsin.store import notifications
from tocsin.store.alerts import FlipRow, Watched
from tocsin.store.channels import ChannelRow
from tocsin.store.notifications import Delivery, Draft, Told
from tocsin.store.routing import Recipient, find_usable

_DETAIL = ("deadline_at", "exit_code", "run_id", "away_from", "away_until")


class Change(Struct, frozen=True, gc=False):
    """One flip of one monitor, in order. `state` is the one after it, or after what followed in its batch."""

    monitor_id: int
    project_id: int
    flip: Flip
    state: State


class Reminder(Struct, frozen=True, gc=False):
    """A monitor that is down, of which people are to be told again."""

    monitor_id: int
    project_id: int
    state: State


class Voice(Struct, frozen=True):
    """What texts and routing need of the server.

    `last_heard_at` is set when no job was heard for an hour. `members_config`: {"members": true}, sealed;
    None where no mail can be sent, and owners are told through the project's channels. `machine_kinds`:
    channel kinds that are not for people, and get no last pings.
    """

    public_url: str
    last_heard_at: int | None
    members_config: str | None = None
    machine_kinds: frozenset[str] = frozenset({"webhook"})


class Standing(Protocol):
    """A monitor and its state: a Reminder, or store.database.Tracked."""

    @property
    def monitor_id(self) -> int:
        """The monitor."""

    @property
    def project_id(self) -> int:
        """Its project."""

    @property
    def state(self) -> State:
        """How it stands."""


class _Told(NamedTuple):
    """A monitor's last down: when, and on which channels it was told (channel → status)."""

    at: int | None
    channels: Mapping[int, str]


_NEVER_TOLD = _Told(None, {})


def record_flips(connection: Connection, changes: Sequence[Change], now: int, voice: Voice) -> None:
    """Write flips, and the notifications of those that are announced: pending, or held while snoozed.

    A monitor that is paused has its unsent notifications withdrawn. Call it after the pings and states of
    the batch are written; 10,000 changes are a matter of a second.
    """
    if not changes:
        return
    # Before the new flips are written, so that the newest flip is the one before this batch.
    told = _told_downs(connection, changes)
    flip_ids = rows.add_flips(connection, [_flip_row(change, now) for change in changes])
    announced = [pair for pair in zip(changes, flip_ids, strict=True) if pair[0].flip.announced]
    if announced:
        _announce(connection, announced, told, now, voice)
    paused = {change.monitor_id for change in changes if change.flip.new is Status.PAUSED}
    notifications.withdraw(connection, paused, now)


def record_reminders(connection: Connection, reminders: Sequence[Standing], now: int, voice: Voice) -> None:
    """Write notifications that say that monitors are still down; none for one that is snoozed."""
    due = [one for one in reminders if not is_snoozed(one.state, now)]
    audience = read_audience(connection, {one.monitor_id for one in due}, voice.machine_kinds)
    drafts: list[Draft] = []
    for one in due:
        if audience.may_hear(one.monitor_id, Status.DOWN):
            drafts += _drafts(audience, one, _reminder_facts(audience, one, now, voice), voice)
    _write(connection, drafts, now)


def release_snoozed(connection: Connection, woken: Sequence[Standing], now: int, voice: Voice) -> None:
    """End snoozes: what was held goes out or is withdrawn, so that each channel knows how a monitor stands.

    Still down: one down goes out, or a reminder where it was told before the snooze. Recovered: nothing,
    unless the channel had been told of the down. `woken`: states with the snooze taken out already.
    """
    told = _by_monitor_and_channel(notifications.read_told(connection, {one.monitor_id for one in woken}))
    status = {one.monitor_id: one.state.status for one in woken}
    chosen = {choose_release(pair, status[monitor_id]) for (monitor_id, _), pair in told.items()}
    released = {each for each in chosen if each is not None}
    held = {one.id for pair in told.values() for one in held_of(pair)}
    notifications.release(connection, released, now)
    notifications.withdraw_ids(connection, held - released, now)
    rows.note_alerts(
        connection, {one.monitor_id for pair in told.values() for one in pair if one.id in released}, now
    )
    spoken = {monitor_id for (monitor_id, _), pair in told.items() if was_told_just_now(pair, released, now)}
    quiet = [one for one in woken if one.state.status is Status.DOWN and one.monitor_id not in spoken]
    record_reminders(connection, quiet, now, voice)


def record_away(
    connection: Connection, project_id: int, gap: Gap, monitor_ids: Sequence[int], now: int, voice: Voice
) -> None:
    """Tell a project's owners of a gap, and of the monitors whose expectation fell into it."""
    names = sorted(one.name for one in rows.read_watched(connection, monitor_ids).values())
    if not names:
        return
    facts = Facts(
        id="",
        event=Event.AWAY,
        at=gap.until_at,
        message=wording.away_message(gap, len(names)),
        since_at=gap.from_at,
        lines=wording.name_lines(names),
    )
    _tell_owners(connection, project_id, facts, now, voice)


def record_channel_disabled(connection: Connection, channel: ChannelRow, now: int, voice: Voice) -> None:
    """Tell a project's owners, by another way, that a channel was switched off, and why."""
    message = wording.disabled_message(channel.label, channel.kind, channel.disabled_reason or "")
    facts = Facts(
        id="", event=Event.CHANNEL_DISABLED, at=now, message=message, reason=channel.disabled_reason
    )
    _tell_owners(connection, channel.project_id, facts, now, voice, without=channel.id)


def _told_downs(connection: Connection, changes: Iterable[Change]) -> dict[int, _Told]:
    recovered = {change.monitor_id for change in changes if _is_recovery(change.flip)}
    downs = rows.last_downs(connection, recovered)
    channels = notifications.channels_told(connection, downs, {down.flip_id for down in downs.values()})
    return {monitor_id: _Told(down.at, channels.get(monitor_id, {})) for monitor_id, down in downs.items()}


def _is_recovery(flip: Flip) -> bool:
    return flip.new is Status.UP and flip.announced


def _flip_row(change: Change, now: int) -> FlipRow:
    flip = change.flip
    detail = {name: value for name in _DETAIL if (value := getattr(flip, name)) is not None}
    return FlipRow(
        change.project_id,
        change.monitor_id,
        flip.at,
        flip.old.value,
        flip.new.value,
        flip.reason.value,
        flip.announced,
        orjson.dumps(detail).decode() if detail else None,
        now,
    )


def _announce(
    connection: Connection,
    announced: Sequence[tuple[Change, int]],
    told: dict[int, _Told],
    now: int,
    voice: Voice,
) -> None:
    # Monitors that were heard after their flip: the last ping before it has to be looked up.
    behind = {change.monitor_id for change, _ in announced if _was_heard_after(change)}
    monitor_ids = {change.monitor_id for change, _ in announced}
    audience = read_audience(connection, monitor_ids, voice.machine_kinds, with_pings=behind)
    former = _former(connection, audience, told)
    drafts: list[Draft] = []
    for change, flip_id in announced:
        flip = change.flip
        if not audience.may_hear(change.monitor_id, flip.new):
            continue
        before = told.get(change.monitor_id, _NEVER_TOLD)
        held = is_snoozed(change.state, flip.at)
        facts = _flip_facts(audience, change, before.at, voice)
        # Who was told of the down hears of its end, though others may be told by now.
        also = [former[each] for each in before.channels if each in former] if flip.new is Status.UP else []
        written = _drafts(audience, change, facts, voice, flip_id=flip_id, held=held, also=also)
        if flip.new is Status.UP:
            written = [draft for draft in written if _knows_of_down(before, draft)]
        else:
            status = Delivery.HELD if held else Delivery.PENDING
            told[change.monitor_id] = _Told(flip.at, {draft.channel_id: status for draft in written})
        drafts += written
    _write(connection, drafts, now)


def _former(connection: Connection, audience: Audience, told: Mapping[int, _Told]) -> dict[int, Recipient]:
    """Channels that were told of a monitor's down and are not among its recipients any more."""
    found: set[int] = set()
    for monitor_id, before in told.items():
        present = {one.channel_id for one in audience.recipients.get(monitor_id, ())}
        found.update(before.channels.keys() - present)
    return find_usable(connection, found)


def _knows_of_down(told: _Told, draft: Draft) -> bool:
    """A recovery is told where its down was; after a down that is still held, it is held too."""
    status = told.channels.get(draft.channel_id)
    return status is not None and (draft.held or status != Delivery.HELD)


def _was_heard_after(change: Change) -> bool:
    return change.state.last_ping_at is not None and change.state.last_ping_at > change.flip.at


def _by_monitor_and_channel(told: Iterable[Told]) -> dict[tuple[int, int], list[Told]]:
    pairs: dict[tuple[int, int], list[Told]] = {}
    for one in told:
        pairs.setdefault((one.monitor_id, one.channel_id), []).append(one)
    return pairs


def _flip_facts(audience: Audience, change: Change, down_at: int | None, voice: Voice) -> Facts:
    flip, state, monitor = change.flip, change.state, audience.monitors[change.monitor_id]
    pings = [ping for ping in audience.pings.get(monitor.id, ()) if ping.at <= flip.at]
    last_ping_at = state.last_ping_at
    if _was_heard_after(change):
        last_ping_at = pings[0].at if pings else None
    is_up = flip.new is Status.UP
    return Facts(
        id="",
        event=Event.UP if is_up else Event.DOWN,
        at=flip.at,
        message=wording.up_message(monitor.name, flip, down_at)
        if is_up
        else wording.down_message(monitor, flip, state, last_ping_at),
        reason=flip.reason,
        monitor=_subject(monitor, flip.new, voice),
        previous_status=flip.old,
        since_at=down_at if is_up else flip.at,
        last_ping_at=last_ping_at,
        deadline_at=flip.deadline_at,
        lines=() if is_up else _doubts(voice),
        pings=tuple(pings),
    )


def _reminder_facts(audience: Audience, one: Standing, now: int, voice: Voice) -> Facts:
    state, monitor = one.state, audience.monitors[one.monitor_id]
    return Facts(
        id="",
        event=Event.REMINDER,
        at=now,
        message=wording.reminder_message(monitor.name, state, now),
        reason=state.reason,
        monitor=_subject(monitor, state.status, voice),
        previous_status=state.status,
        since_at=state.since_at,
        last_ping_at=state.last_ping_at,
        lines=_doubts(voice),
        pings=tuple(audience.pings.get(monitor.id, ())),
    )


def _subject(monitor: Watched, status: Status, voice: Voice) -> Subject:
    page = f"{voice.public_url}/monitors/{monitor.uid}"
    return Subject(monitor.uid, monitor.name, monitor.slug, tuple(monitor.tags.split()), status, page)


def _doubts(voice: Voice) -> tuple[str, ...]:
    return () if voice.last_heard_at is None else (wording.silence_line(voice.last_heard_at),)


def _drafts(
    audience: Audience,
    one: Standing | Change,
    facts: Facts,
    voice: Voice,
    *,
    flip_id: int | None = None,
    held: bool = False,
    also: Sequence[Recipient] = (),
) -> list[Draft]:
    terse = replace(facts, pings=()) if facts.pings else facts
    return [
        Draft(
            one.project_id,
            channel.channel_id,
            terse if channel.kind in voice.machine_kinds else facts,
            one.monitor_id,
            flip_id,
            held,
        )
        for channel in dict.fromkeys([*audience.recipients[one.monitor_id], *also])
    ]


def _write(connection: Connection, drafts: Sequence[Draft], now: int) -> None:
    notifications.add(connection, drafts, new_alert_ids(len(drafts)), now)
    told = {draft.monitor_id for draft in drafts if draft.monitor_id is not None and not draft.held}
    rows.note_alerts(connection, told, now)


def _tell_owners(
    connection: Connection,
    project_id: int,
    facts: Facts,
    now: int,
    voice: Voice,
    *,
    without: int | None = None,
) -> None:
    ways = ways_to_owners(connection, project_id, voice.members_config, now, without=without)
    drafts = [Draft(project_id, channel_id, facts) for channel_id in ways]
    notifications.add(connection, drafts, new_alert_ids(len(drafts)), now)

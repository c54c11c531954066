"""Monitors made and changed."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from msgspec.structs import replace
from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from tocsin.domain.errors import Code, TocsinError
from tocsin.domain.project import Actor
from tocsin.domain.record import Monitor
from tocsin.domain.transition import reschedule
from tocsin.engine.manage import drafts
from tocsin.engine.manage.credentials import new_badge_key, new_token, new_uid
from tocsin.engine.manage.desk import may_write, not_found
from tocsin.engine.manage.form import MOST_CHANNELS, Form
from tocsin.engine.manage.monitors import MonitorDraft, Monitors, get_own, refuse_many
from tocsin.engine.manage.overdue import Moment, decide
from tocsin.engine.manage.targets import Own
from tocsin.store import monitors, projects


@dataclass(frozen=True, slots=True)
class _Checked:
    """A draft, or changes, whose every field was found good. `given`: the fields that are meant."""

    given: frozenset[str]
    columns: Mapping[str, Any]
    own: Own


class Editing(Monitors):
    """Use cases that write what a monitor is."""

    async def create_monitor(self, actor: Actor, draft: MonitorDraft) -> Monitor:
        """A new monitor. INVALID, FORBIDDEN (read-only), LIMIT_REACHED, CONFLICT (unique_key in use)."""
        [made] = await self.create_monitors(actor, [draft])
        if isinstance(made, TocsinError):
            raise made
        return made

    async def create_monitors(
        self, actor: Actor, drafts: Sequence[MonitorDraft]
    ) -> list[Monitor | TocsinError]:
        """Up to 1,000 in one transaction, each for itself: one that is refused does not stop the others."""
        may_write(actor)
        refuse_many(drafts)
        checked = await self._check_all(actor, drafts)
        now = self._now()

        def create(connection: Connection) -> list[Monitor | TocsinError]:
            return self._create(connection, actor, list(zip(drafts, checked, strict=True)), now)

        results = await self._tools.store.write(create)
        await self._ask_mailboxes(one for one in results if isinstance(one, Monitor))
        return results

    async def put_monitor(
        self, actor: Actor, draft: MonitorDraft, given: Collection[str]
    ) -> tuple[Monitor, bool]:
        """Update the monitor with the draft's unique_key (else with exactly that name, the oldest) with the
        `given` fields, or create it; True where it was created. One transaction. A schedule's kind and
        expression go together: one of them given means both of the draft's."""
        may_write(actor)
        [checked] = await self._check_all(actor, [draft])
        if isinstance(checked, TocsinError):
            raise checked
        moment = self._moment()

        def put(connection: Connection) -> tuple[Monitor, bool]:
            found = _find_same(connection, actor.project_id, checked.columns)
            if found is not None:
                changes = _restrict(checked, given, found)
                return self._change(connection, actor, found, changes, moment), False
            [made] = self._create(connection, actor, [(draft, checked)], moment.now)
            if isinstance(made, TocsinError):
                raise made
            return made, True

        monitor, is_new = await self._tools.store.write(put)
        self._tools.wake()
        if is_new or "mail" in given:
            await self._ask_mailboxes([monitor])
        return monitor, is_new

    async def update_monitor(self, actor: Actor, monitor_id: int, changes: Mapping[str, Any]) -> Monitor:
        """Change fields of the draft, by their names. INVALID, FORBIDDEN, NOT_FOUND, CONFLICT."""
        may_write(actor)
        before = await self.monitor(actor, monitor_id)
        checked = await self._check(actor, await self._completed(actor, before, changes))
        moment = self._moment()

        def change(connection: Connection) -> Monitor:
            found = get_own(connection, actor, monitor_id)
            return self._change(connection, actor, found, checked, moment)

        monitor = await self._tools.store.write(change)
        self._tools.wake()
        if "mail" in changes:
            await self._ask_mailboxes([monitor])
        return monitor

    async def rotate_token(self, actor: Actor, monitor_id: int, present: str | None = None) -> Monitor:
        """A new ping address; the old one is unknown from now on. `present`: the token that is to be
        replaced. NOT_FOUND where that is another by now."""
        may_write(actor)
        now = self._now()

        def rotate(connection: Connection) -> Monitor:
            monitor = get_own(connection, actor, monitor_id)
            if present not in (None, monitor.token):
                raise not_found("monitor any more")
            [token] = _new_tokens(connection, [monitor.dialect])
            monitors.replace_token(connection, monitor_id, monitor.dialect, token)
            monitors.change(connection, monitor_id, {"updated_at": now})
            return replace(monitor, token=token, updated_at=now)

        return await self._tools.store.write(rotate)

    async def _check_all(self, actor: Actor, drafts: Sequence[MonitorDraft]) -> list[_Checked | TocsinError]:
        results: list[_Checked | TocsinError] = []
        for draft in drafts:
            given = {field.name: getattr(draft, field.name) for field in fields(draft)}
            del given["dialect"]
            if given["slug"] is None:
                del given["slug"]
            try:
                results.append(await self._check(actor, given))
            except TocsinError as error:
                results.append(error)
        return results

    async def _check(self, actor: Actor, given: Mapping[str, Any]) -> _Checked:
        """Judge all fields, and raise all problems at once."""
        form = Form()
        columns = drafts.read_columns(form, given, actor.plan)
        own = await self._read_own(form, actor, given)
        if "channel_ids" in given:
            columns["channel_ids"] = await self._read_channels(form, actor, given["channel_ids"])
        form.finish()
        return _Checked(frozenset(given), columns, own)

    async def _read_channels(self, form: Form, actor: Actor, value: Any) -> str:
        """Uids of the project's channels, as the JSON list of ids that is stored."""
        uids = form.texts("channel_ids", value, MOST_CHANNELS)
        if not uids:
            return "[]"
        ids = {row.uid: row.id for row in await self._channel_rows(actor)}
        if unknown := [uid for uid in uids if uid not in ids]:
            form.refuse("channel_ids", f"There is no such channel: {unknown[0]:.40}.")
        return json.dumps(sorted(ids[uid] for uid in uids if uid in ids))

    async def _completed(self, actor: Actor, before: Monitor, changes: Mapping[str, Any]) -> dict[str, Any]:
        """The changes, with what is stored for fields that are judged together."""
        given = dict(changes)
        if any(field in changes for field in drafts.SCHEDULE):
            stored = {field: getattr(before, field) for field in drafts.SCHEDULE}
            given = stored | given
        is_taken_away = "webhook_url" in changes and changes["webhook_url"] is None
        if not is_taken_away and any(field in changes for field in drafts.OWN_WEBHOOK):
            given |= await self._own_webhook(actor, before, changes)
        return given

    def _create(
        self,
        connection: Connection,
        actor: Actor,
        asked: Sequence[tuple[MonitorDraft, _Checked | TocsinError]],
        now: int,
    ) -> list[Monitor | TocsinError]:
        room = actor.plan.monitor_limit - projects.lock_monitor_count(connection, actor.project_id)
        wanted = [one.columns["unique_key"] for _, one in asked if isinstance(one, _Checked)]
        taken = monitors.unique_keys(connection, actor.project_id, {key for key in wanted if key})
        results: list[Monitor | TocsinError | None] = []
        rows: list[dict[str, Any]] = []
        for draft, checked in asked:
            refusal = _refusal(checked, taken, room - len(rows), actor)
            results.append(refusal)
            if refusal is None and isinstance(checked, _Checked):
                rows.append(self._new_row(connection, actor, draft, checked, now))
                taken.add(checked.columns["unique_key"])
        made = iter(_add(connection, actor.project_id, rows, now))
        return [next(made) if result is None else result for result in results]

    def _new_row(
        self, connection: Connection, actor: Actor, draft: MonitorDraft, checked: _Checked, now: int
    ) -> dict[str, Any]:
        own = self._own_columns(connection, actor.project_id, checked.own, checked.given, now)
        columns = drafts.complete(dict(checked.columns), {"slug": draft.slug})
        head = {
            "uid": new_uid(),
            "project_id": actor.project_id,
            "dialect": draft.dialect,
            "badge_key": new_badge_key(draft.dialect),
        }
        return {**head, **columns, **own, "created_at": now, "updated_at": now}

    def _change(
        self, connection: Connection, actor: Actor, found: Monitor, checked: _Checked, moment: Moment
    ) -> Monitor:
        columns = dict(checked.columns)
        columns |= self._own_columns(connection, actor.project_id, checked.own, checked.given, moment.now)
        is_moved = any(
            field in columns and columns[field] != getattr(found, field) for field in drafts.POLICY
        )
        if is_moved:
            self._decide(connection, found.id, moment)
        try:
            monitors.change(connection, found.id, {**columns, "updated_at": moment.now})
        except IntegrityError:
            raise _key_in_use() from None
        if is_moved:
            self._reschedule(connection, found.id, moment.now)
        return get_own(connection, actor, found.id)

    def _decide(self, connection: Connection, monitor_id: int, moment: Moment) -> None:
        """What the old schedule had to say is said before it goes."""
        hot = self._tools.store.hot
        tracked = hot.load(connection, [monitor_id])
        decided = decide(connection, tracked, moment)
        if decided != tracked:
            hot.save_look(connection, decided)

    def _reschedule(self, connection: Connection, monitor_id: int, now: int) -> None:
        hot = self._tools.store.hot
        tracked = hot.load(connection, [monitor_id])
        hot.save_look(
            connection, [replace(one, state=reschedule(one.policy, one.state, now)) for one in tracked]
        )


def _find_same(connection: Connection, project_id: int, columns: Mapping[str, Any]) -> Monitor | None:
    unique_key = columns["unique_key"]
    found = monitors.find_by_unique_key(connection, project_id, unique_key) if unique_key else None
    return found or monitors.find_by_name(connection, project_id, columns["name"])


def _restrict(checked: _Checked, given: Collection[str], found: Monitor) -> _Checked:
    """Of a whole draft what an update is to change; a stored unique_key stays what it is."""
    meant = set(given) & checked.given
    if meant & {"schedule_kind", "schedule_expression"}:
        meant |= {"schedule_kind", "schedule_expression"}
    if meant & set(drafts.OWN_WEBHOOK):
        meant.add("webhook_url")
    meant.discard("unique_key")
    if found.unique_key is None:
        meant.add("unique_key")
    columns = {field: value for field, value in checked.columns.items() if field in meant}
    return _Checked(frozenset(meant), columns, checked.own)


def _refusal(
    checked: _Checked | TocsinError, taken: Collection[str], room: int, actor: Actor
) -> TocsinError | None:
    if isinstance(checked, TocsinError):
        return checked
    if room <= 0:
        limit = actor.plan.monitor_limit
        return TocsinError(
            Code.LIMIT_REACHED, f"Monitor limit reached ({limit}). Upgrade your plan for more monitors."
        )
    if checked.columns["unique_key"] is not None and checked.columns["unique_key"] in taken:
        return _key_in_use()
    return None


def _key_in_use() -> TocsinError:
    message = "Another monitor has this key already."
    return TocsinError(Code.CONFLICT, message, {"unique_key": message})


def _add(
    connection: Connection, project_id: int, rows: Sequence[Mapping[str, Any]], now: int
) -> list[Monitor]:
    if not rows:
        return []
    tokens = _new_tokens(connection, [row["dialect"] for row in rows])
    ids = monitors.add_all(connection, rows, tokens, now)
    projects.add_monitor_count(connection, project_id, len(ids))
    made = monitors.get_all(connection, ids)
    return [made[each] for each in ids]


def _new_tokens(connection: Connection, dialects: Sequence[str]) -> list[str]:
    """A token for each, none of them in use: the shortest kind is only 8 characters long."""
    tokens = [new_token(dialect) for dialect in dialects]
    while len(set(tokens)) < len(tokens) or (monitors.tokens_in_use(connection, tokens)):
        tokens = [new_token(dialect) for dialect in dialects]
    return tokens

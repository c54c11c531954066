"""Channels."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from types import MappingProxyType
from typing import Any

from sqlalchemy import Connection

from tocsin.domain.alert import Event, Facts
from tocsin.domain.channel import Outcome, Receipt, Sender
from tocsin.domain.errors import Code, TocsinError, invalid
from tocsin.domain.project import Actor
from tocsin.domain.record import MASK, ChannelView
from tocsin.engine.manage.consent import MAIL, Consent
from tocsin.engine.manage.credentials import new_secret, new_uid
from tocsin.engine.manage.desk import bounded, may_write, not_found, sound
from tocsin.engine.manage.form import Form
from tocsin.engine.manage.links import Letter
from tocsin.store import channels, monitors, notifications, projects
from tocsin.store.channels import ChannelRow

LONGEST_LABEL = 100
WEBHOOK = "webhook"
NOTHING: Mapping[str, str] = MappingProxyType({})


class Channels(Consent):
    """Use cases around the project's channels; a monitor's own (hidden) ones are not among them.

    A channel is named by its uid; cronheart's by `ChannelView.id` (an int).
    """

    async def channels(self, actor: Actor) -> list[ChannelView]:
        """All, oldest first."""
        return [self._view(row) for row in await self._channel_rows(actor)]

    async def channel(self, actor: Actor, ref: str | int) -> ChannelView:
        """One. NOT_FOUND."""
        return self._view(await self._channel_row(actor, ref))

    async def create_channel(
        self,
        actor: Actor,
        kind: str,
        label: str,
        config: Mapping[str, Any],
        *,
        verified: bool | None = None,
        by_server: bool = False,
        refused: Mapping[str, str] = NOTHING,
    ) -> ChannelView:
        """A new channel. One that is not `verified` waits for its addresses' owners to follow a link (mail),
        or for a successful test (others). None: verified where sign-up is closed, since then everybody here
        was let in by whoever runs the server. `by_server`: the channel brings no means of its own, such as a
        bot. `refused`: fields that the face has found bad already, to be told with the others. INVALID
        (`kind`, `label`, and the kind's own fields), FORBIDDEN (read-only, or not in the plan), CONFLICT
        (`by_server`, and this server has no means to send by that kind)."""
        form = Form()
        form.problems.update(refused)
        values = await self._new_channel(actor, form, kind, label, config, by_server=by_server)
        verified = not self._tools.signup_open if verified is None else verified
        values["verified_at"] = values["created_at"] if verified else None
        return await self._add_channel(actor, values)

    async def create_first_channel(
        self,
        actor: Actor,
        kind: str,
        config: Mapping[str, Any],
        *,
        enabled: bool,
        refused: Mapping[str, str] = NOTHING,
    ) -> ChannelView:
        """As `create_channel`, verified, and only where the project has no verified one of the kind; else
        CONFLICT, also for the later of two that come at once."""
        form = Form()
        form.problems.update(refused)
        values = await self._new_channel(actor, form, kind, kind.title(), config)
        values |= {"enabled": enabled, "verified_at": values["created_at"]}
        return await self._add_channel(actor, values, is_first=True)

    async def update_channel(self, actor: Actor, ref: str | int, changes: Mapping[str, Any]) -> ChannelView:
        """Change `label`, `enabled`, `config`. Fields of `config` that are missing or read "***" stay; None
        removes one. Another mail address has to be verified again. INVALID, NOT_FOUND."""
        may_write(actor)
        now = self._now()
        done = None
        while done is None:
            before = await self._channel_row(actor, ref)
            values = await self._changed(before, changes, now)
            done = await self._tools.store.write(
                partial(self._write_channel, actor=actor, before=before, values=values)
            )
        row, letter = done
        self._post(letter)
        self._tools.wake()
        return self._view(row)

    async def delete_channel(self, actor: Actor, ref: str | int) -> None:
        """Gone at once, from the monitors that named it too; what was not sent is withdrawn. NOT_FOUND."""
        may_write(actor)
        now = self._now()

        def delete(connection: Connection) -> None:
            row = _get(connection, actor, ref)
            # The secret goes at once, not only the row's visibility.
            gone = {"deleted_at": now, "updated_at": now, "enabled": False}
            channels.change(connection, row.id, {**gone, **self._sealed(row.kind, {})})
            monitors.forget_channel(connection, actor.project_id, row.id)
            notifications.withdraw_channels(connection, [row.id], now)

        await self._tools.store.write(delete)
        self._tools.wake()

    async def test_channel(self, actor: Actor, ref: str | int) -> Receipt:
        """Send a test now. A delivered one verifies the channel, and switches it on again if it was switched
        off for what it answered. CONFLICT for a mail channel that is not verified, after its link was mailed
        again. NOT_FOUND."""
        may_write(actor)
        row = await self._channel_row(actor, ref)
        now = self._now()
        if row.kind == MAIL and row.verified_at is None:
            self._post(await self._tools.store.write(lambda connection: self._ask(connection, row, 0, now)))
            raise TocsinError(
                Code.CONFLICT, "The owner of the address has to follow the link in a mail first."
            )
        receipt = await self._sender(row.kind).send(self._open(row), [self._test(row)])
        is_news = row.verified_at is None or row.disabled_reason is not None
        if receipt.outcome is Outcome.DELIVERED and is_news:
            await self._tools.store.write(lambda connection: _note_arrival(connection, actor, row, now))
        return receipt

    async def rotate_secret(self, actor: Actor, ref: str | int) -> tuple[ChannelView, str]:
        """A new secret that signs a webhook's requests from now on, readable in this answer only. INVALID
        (`kind`) for a channel that is no webhook. NOT_FOUND."""
        may_write(actor)
        row = await self._channel_row(actor, ref)
        if row.kind != WEBHOOK:
            raise invalid("kind", "Only a webhook has a secret.")
        secret = new_secret()
        now = self._now()

        def rotate(connection: Connection) -> ChannelRow:
            config = self._open(_get(connection, actor, row.id)) | {"secret": secret}
            channels.change(connection, row.id, {**self._sealed(WEBHOOK, config), "updated_at": now})
            return _get(connection, actor, row.id)

        return self._view(await self._tools.store.write(rotate)), secret

    def _write_channel(
        self, connection: Connection, actor: Actor, before: ChannelRow, values: Mapping[str, Any]
    ) -> tuple[ChannelRow, Letter | None] | None:
        """Write the columns; None where the config that they were made of is another's by now."""
        has_config = "config" in values
        if has_config and _get(connection, actor, before.id).config != before.config:
            return None
        channels.change(connection, before.id, values)
        row = _get(connection, actor, before.id)
        return row, self._ask(connection, row, 0, row.updated_at) if has_config else None

    async def _new_channel(
        self,
        actor: Actor,
        form: Form,
        kind: str,
        label: str,
        config: Mapping[str, Any],
        *,
        by_server: bool = False,
    ) -> dict[str, Any]:
        """A new channel's columns, checked together with what `form` holds already."""
        may_write(actor)
        kind = form.choice("kind", kind, tuple(self._tools.kinds))
        if by_server and "kind" not in form.problems:
            self._needs_means(kind)
        label = form.text("label", label, 1, LONGEST_LABEL)
        checked = {} if "kind" in form.problems else await self._check_config(form, kind, config)
        form.finish()
        self._may_use(actor, kind)
        now = self._now()
        return {
            "uid": new_uid(),
            "project_id": actor.project_id,
            "kind": kind,
            "label": label,
            **self._sealed(kind, checked),
            "created_at": now,
            "updated_at": now,
        }

    async def _add_channel(
        self, actor: Actor, values: Mapping[str, Any], *, is_first: bool = False
    ) -> ChannelView:
        def add(connection: Connection) -> tuple[ChannelRow, Letter | None]:
            if is_first:
                _refuse_second(connection, actor, values["kind"])
            row = _get(connection, actor, channels.add(connection, values))
            return row, self._ask(connection, row, 0, values["created_at"])

        row, letter = await self._tools.store.write(add)
        self._post(letter)
        return self._view(row)

    def _needs_means(self, kind: str) -> None:
        """Refuse (CONFLICT) a kind by which this server cannot send on its own."""
        if lacks := self._sender(kind).lacks:
            raise TocsinError(
                Code.CONFLICT,
                f"That channel kind is temporarily disabled: {lacks} is not set on this server.",
            )

    def _may_use(self, actor: Actor, kind: str) -> None:
        """Refuse (FORBIDDEN) a kind that the plan does not have."""
        kinds = actor.plan.channel_kinds
        if kinds is not None and kind not in kinds:
            raise TocsinError(Code.FORBIDDEN, f"The plan {actor.plan.label} has no channels of kind {kind}.")

    async def _channel_rows(self, actor: Actor) -> list[ChannelRow]:
        project_id = actor.project_id
        return await self._tools.store.read(lambda connection: channels.of_project(connection, project_id))

    async def _channel_row(self, actor: Actor, ref: str | int) -> ChannelRow:
        return await self._tools.store.read(lambda connection: _get(connection, actor, ref), is_short=True)

    async def _check_config(self, form: Form, kind: str, config: Any) -> dict[str, Any]:
        """The kind's own check, and that every destination may be reached."""
        if not isinstance(config, Mapping):
            form.refuse("config", "This must be an object.")
            return {}
        sender = self._tools.kinds[kind]
        try:
            checked = sender.check(config)
            for value in checked.values():
                if isinstance(value, str) and value.startswith(("http://", "https://")):
                    await self._tools.check_url(value)
        except TocsinError as error:
            form.adopt(error, _destination(config))
            return {}
        return checked

    async def _changed(self, before: ChannelRow, changes: Mapping[str, Any], now: int) -> dict[str, Any]:
        """The columns that `changes` ask for."""
        form = Form()
        values: dict[str, Any] = {"updated_at": now}
        for field, value in changes.items():
            match field:
                case "label":
                    values[field] = form.text(field, value, 1, LONGEST_LABEL)
                case "enabled":
                    values |= _switch(is_on=form.flag(field, value))
                case "config":
                    values |= await self._changed_config(form, before, value)
                case _:
                    form.refuse(field, "There is no such field.")
        form.finish()
        return values

    async def _changed_config(self, form: Form, before: ChannelRow, config: Any) -> dict[str, Any]:
        if not isinstance(config, Mapping):
            return await self._check_config(form, before.kind, config)
        old = self._open(before)
        kept = {name: value for name, value in old.items() if config.get(name, MASK) == MASK}
        given = {name: value for name, value in config.items() if value not in (MASK, None)}
        checked = await self._check_config(form, before.kind, kept | given)
        if before.kind == MAIL and not set(checked.get("to", ())) <= set(old.get("to", ())):
            return {**self._sealed(before.kind, checked), "verified_at": None}
        return self._sealed(before.kind, checked)

    def _sender(self, kind: str) -> Sender:
        sender = self._tools.kinds.get(kind)
        if sender is None:
            raise TocsinError(Code.CONFLICT, f"Channels of kind {kind} are switched off on this server.")
        return sender

    def _test(self, row: ChannelRow) -> Facts:
        message = f'This is a test of the channel "{row.label}". Alerts will arrive like this.'
        return Facts(id=new_uid(), event=Event.TEST, at=self._now(), message=message)

    def _view(self, row: ChannelRow) -> ChannelView:
        sender = self._tools.kinds.get(row.kind)
        config = self._open(row)
        hidden = set(config) if sender is None else sender.secrets
        masked = {name: MASK if name in hidden else value for name, value in config.items()}
        return ChannelView(
            row.id,
            row.uid,
            row.kind,
            row.label,
            masked,
            row.enabled,
            row.disabled_reason,
            row.verified_at,
            row.created_at,
            row.updated_at,
        )


def _get(connection: Connection, actor: Actor, ref: str | int) -> ChannelRow:
    known = bounded(ref) if isinstance(ref, int) else sound(ref)
    row = channels.find(connection, actor.project_id, known)
    if row is None:
        raise not_found("channel")
    return row


def _refuse_second(connection: Connection, actor: Actor, kind: str) -> None:
    # Two that come at once wait for each other here, whatever the database.
    projects.lock_monitor_count(connection, actor.project_id)
    rows = channels.of_project(connection, actor.project_id)
    if any(row.kind == kind and row.verified_at is not None for row in rows):
        raise TocsinError(Code.CONFLICT, f"There is a channel of kind {kind} already.")


def _note_arrival(connection: Connection, actor: Actor, tested: ChannelRow, now: int) -> None:
    """What a test that arrived shows, unless the channel has become another meanwhile."""
    row = channels.find(connection, actor.project_id, tested.id)
    if row is None or row.fingerprint != tested.fingerprint:
        return
    on = {} if row.disabled_reason is None else _switch(is_on=True)
    channels.change(connection, row.id, {"verified_at": row.verified_at or now, "updated_at": now, **on})


def _switch(*, is_on: bool) -> dict[str, Any]:
    """Switching a channel on forgives what it was disabled for."""
    return {"enabled": True, "disabled_reason": None, "refusals": 0} if is_on else {"enabled": False}


def _destination(config: Mapping[str, Any]) -> str:
    """The field that holds the address, for an error that names none."""
    return next((name for name in ("webhook_url", "url") if name in config), "config")

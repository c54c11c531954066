"""Keys of the APIs."""

from __future__ import annotations

from typing import NamedTuple

import structlog
from sqlalchemy import Connection

from tocsin.domain.errors import Code, TocsinError
from tocsin.domain.monitor import SECOND
from tocsin.domain.project import Actor
from tocsin.domain.record import KeyView
from tocsin.engine.manage.credentials import DIALECTS, PREFIX_LENGTH, digest, new_key, new_uid
from tocsin.engine.manage.desk import Desk, Tools, may_write, not_found, sound
from tocsin.engine.manage.form import Form
from tocsin.store import keys

REMEMBERED_FOR = 1 * SECOND  # a key that another process revokes works no longer than this
REMEMBERED = 10_000
NOTED_EVERY = 60 * SECOND
LONGEST_KEY = 300
LONGEST_LABEL = 100

log = structlog.get_logger()


class _Known(NamedTuple):
    holder: keys.Holder
    actor: Actor
    read_at: int


class Keys(Desk):
    """Use cases around keys."""

    def __init__(self, tools: Tools) -> None:
        super().__init__(tools)
        self._known: dict[str, _Known] = {}
        self._noted: dict[int, int] = {}

    async def authenticate(self, raw_key: str | None, dialect: str, *, now: int | None = None) -> Actor:
        """Who carries this key. UNAUTHENTICATED where it is missing, unknown, of another dialect, expired
        or revoked; PAYMENT_REQUIRED where the plan has no API. Cheap: remembered for a second, and
        forgotten at once when a key is revoked here."""
        now = self._now() if now is None else now
        known = await self._look_up(raw_key, now) if raw_key and len(raw_key) <= LONGEST_KEY else None
        if known is None or known.actor.dialect != dialect or _is_over(known.holder, now):
            raise TocsinError(Code.UNAUTHENTICATED, "The API key is missing, unknown, expired or revoked.")
        plan = known.actor.plan
        if not plan.api_access:
            raise TocsinError(Code.PAYMENT_REQUIRED, f"The plan {plan.label} has no API access.")
        self._note_use(known.holder, now)
        return known.actor

    async def create_key(
        self,
        actor: Actor,
        *,
        dialect: str | None = None,
        label: str = "",
        read_only: bool = False,
        expires_at: int | None = None,
    ) -> tuple[KeyView, str]:
        """A new key of the actor's project (of the actor's dialect unless named), and its raw text."""
        may_write(actor)
        now = self._now()
        form = Form()
        dialect = form.choice("dialect", actor.dialect if dialect is None else dialect, DIALECTS)
        label = form.text("label", label, 0, LONGEST_LABEL)
        form.flag("read_only", read_only)
        if expires_at is not None and expires_at <= now:
            form.refuse("expires_at", "This must be a time to come.")
        form.finish()

        def add(connection: Connection) -> tuple[KeyView, str]:
            return add_key(
                connection,
                actor.project_id,
                dialect,
                now,
                label=label,
                read_only=read_only,
                expires_at=expires_at,
            )

        return await self._tools.store.write(add)

    async def list_keys(self, actor: Actor) -> list[KeyView]:
        """The project's keys that are not revoked, newest first."""
        return await self._tools.store.read(lambda connection: keys.of_project(connection, actor.project_id))

    async def revoke_key(self, actor: Actor, uid: str) -> KeyView:
        """End a key at once. NOT_FOUND."""
        may_write(actor)
        now = self._now()
        view = await self._tools.store.write(
            lambda connection: keys.revoke(connection, sound(uid), now, actor.project_id)
        )
        self._forget_keys()
        if view is None:
            raise not_found("key")
        return view

    async def _look_up(self, raw_key: str, now: int) -> _Known | None:
        hashed = digest(raw_key)
        known = self._known.get(hashed)
        if known is not None and now - known.read_at < REMEMBERED_FOR:
            return known
        remembered = self._known
        holder = await self._tools.store.read(
            lambda connection: keys.holder(connection, hashed), is_short=True
        )
        if holder is None:
            self._known.pop(hashed, None)
            return None
        known = _Known(holder, self._actor(holder), now)
        if remembered is self._known:
            if len(self._known) >= REMEMBERED:
                self._known.clear()
            self._known[hashed] = known
        return known

    def _actor(self, holder: keys.Holder) -> Actor:
        return Actor(
            holder.project_id,
            holder.project_uid,
            holder.dialect,
            self._tools.plans.plan(holder.dialect, holder.plan, holder.project_dialect),
            holder.key_id,
            holder.read_only,
            holder.owner_id,
            holder.owner_email,
        )

    def _note_use(self, holder: keys.Holder, now: int) -> None:
        """Write when the key was last used, at most once a minute, behind the request's back."""
        last = max(self._noted.get(holder.key_id, 0), holder.last_used_at or 0)
        if now - last < NOTED_EVERY:
            return
        if len(self._noted) >= REMEMBERED:
            self._noted.clear()
        self._noted[holder.key_id] = now
        self._run_errand(self._write_use(holder.key_id, now))

    async def _write_use(self, key_id: int, now: int) -> None:
        try:
            await self._tools.store.write(lambda connection: keys.touch(connection, key_id, now))
        except Exception:  # the request itself was served; the next one notes it again
            log.exception("key_use_not_noted", key=key_id)

    def _forget_keys(self) -> None:
        """What was known of keys and their plans is no longer true. A new dict, so that a look-up that is
        under way does not put the old answer back."""
        self._known = {}


def add_key(
    connection: Connection,
    project_id: int,
    dialect: str,
    now: int,
    *,
    label: str = "",
    read_only: bool = False,
    expires_at: int | None = None,
) -> tuple[KeyView, str]:
    """Make a key and remember its hash; the raw text exists only in what is returned."""
    raw = new_key(dialect)
    values = {
        "uid": new_uid(),
        "project_id": project_id,
        "dialect": dialect,
        "hash": digest(raw),
        "prefix": raw[:PREFIX_LENGTH],
        "label": label,
        "read_only": read_only,
        "expires_at": expires_at,
        "created_at": now,
    }
    return keys.add(connection, values), raw


def _is_over(holder: keys.Holder, now: int) -> bool:
    return holder.expires_at is not None and holder.expires_at <= now

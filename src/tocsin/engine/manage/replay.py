"""Requests that may be sent twice and are carried out once: the answer to an Idempotency-Key is kept."""

from __future__ import annotations

from sqlalchemy import Connection

from tocsin.domain.errors import Code, TocsinError
from tocsin.domain.project import Actor
from tocsin.domain.replay import Answered, Slot
from tocsin.engine.manage.credentials import digest
from tocsin.engine.manage.desk import Desk, may_write
from tocsin.store import projects, replays


class Replay(Desk):
    """Use cases around the keys that senders make up; each is its project's.

    A face claims the key, carries the request out, and then keeps the answer or releases the key.
    """

    async def claim_request(self, actor: Actor, key: str, fingerprint: str) -> Slot | Answered:
        """The right to carry a request out, or the answer that the same request was given before.

        `fingerprint`: a hash of all that makes the request. FORBIDDEN for a read-only key, which might read
        there what it must not. CONFLICT while the request is under way, and where the key was used for
        another one. When a key is free again: `Kept.is_void`.
        """
        may_write(actor)
        now = self._now()
        slot = Slot(actor.project_id, digest(key), now)

        def claim(connection: Connection) -> Slot | Answered:
            # Two that come at once wait for each other here, whatever the database.
            projects.lock_monitor_count(connection, actor.project_id)
            kept = replays.find(connection, slot.project_id, slot.key_hash)
            if kept is None or kept.is_void(now):
                replays.claim(connection, slot, fingerprint)
                return slot
            if kept.fingerprint != fingerprint:
                raise TocsinError(Code.CONFLICT, "This Idempotency-Key was used for another request.")
            if kept.answered is None:
                raise TocsinError(Code.CONFLICT, "The request with this Idempotency-Key is still under way.")
            return kept.answered

        return await self._tools.store.write(claim)

    async def keep_answer(self, slot: Slot, answered: Answered) -> None:
        """Give this answer to the same request from now on."""
        await self._tools.store.write(lambda connection: replays.keep(connection, slot, answered))

    async def release_request(self, slot: Slot) -> None:
        """The request was refused: the next one with its key is carried out."""
        await self._tools.store.write(lambda connection: replays.release(connection, slot))

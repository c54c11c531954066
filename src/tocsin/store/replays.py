"""What requests with an Idempotency-Key were answered, and the claims of those that are under way."""

from __future__ import annotations

import orjson
from sqlalchemy import ColumnElement, Connection, delete, insert, select, tuple_, update

from tocsin.domain.replay import Answered, Kept, Slot
from tocsin.store.tables import replay

_ROW = select(replay.c.fingerprint, replay.c.status, replay.c.headers, replay.c.body, replay.c.created_at)


def find(connection: Connection, project_id: int, key_hash: str) -> Kept | None:
    """What is known of a key."""
    row = connection.execute(_ROW.where(_of_key(project_id, key_hash))).first()
    if row is None:
        return None
    answered = None if row.status is None else Answered(row.status, row.body, orjson.loads(row.headers))
    return Kept(row.fingerprint, answered, row.created_at)


def claim(connection: Connection, slot: Slot, fingerprint: str) -> None:
    """A request is under way; what was there before is forgotten."""
    connection.execute(delete(replay).where(_of_key(slot.project_id, slot.key_hash)))
    connection.execute(insert(replay).values(fingerprint=fingerprint, **slot._asdict()))


def keep(connection: Connection, slot: Slot, answered: Answered) -> None:
    """Remember the answer, unless another request has taken the place meanwhile."""
    headers = orjson.dumps(dict(answered.headers)).decode()
    values = {"status": answered.status, "headers": headers, "body": answered.body}
    connection.execute(update(replay).where(_under_way(slot)).values(values))


def release(connection: Connection, slot: Slot) -> None:
    """Free the place, unless another request has taken it meanwhile."""
    connection.execute(delete(replay).where(_under_way(slot)))


def find_old(connection: Connection, before: int, limit: int) -> list[tuple[int, str]]:
    """Project and key hash of the oldest rows that were made before, at most `limit`."""
    query = select(replay.c.project_id, replay.c.key_hash).where(replay.c.created_at < before)
    rows = connection.execute(query.order_by(replay.c.created_at).limit(limit))
    return [(project_id, key_hash) for project_id, key_hash in rows]


def remove(connection: Connection, found: list[tuple[int, str]], before: int) -> None:
    """Delete these rows, but for places that were taken again meanwhile."""
    listed = tuple_(replay.c.project_id, replay.c.key_hash).in_(found)
    connection.execute(delete(replay).where(listed, replay.c.created_at < before))


def _of_key(project_id: int, key_hash: str) -> ColumnElement[bool]:
    return (replay.c.project_id == project_id) & (replay.c.key_hash == key_hash)


def _under_way(slot: Slot) -> ColumnElement[bool]:
    same = _of_key(slot.project_id, slot.key_hash) & (replay.c.created_at == slot.created_at)
    return same & replay.c.status.is_(None)

"""store/chunks.py: many ids and many rows keep their order, however they are cut."""

from __future__ import annotations

import pytest
from sqlalchemy import Connection, select

from tocsin.store import tables
from tocsin.store.alerts import FlipRow, add_flips
from tocsin.store.chunks import Among, chunks
from tocsin.store.sqlite import SqliteStore

_NEWEST = Among(lambda ids: select(tables.flip.c.id, tables.flip.c.at).where(tables.flip.c.id.in_(ids)), list)


@pytest.mark.parametrize("count", [1, 3, 343, 1_000])
async def test_flips_get_their_ids_in_their_order(store: SqliteStore, count: int) -> None:
    def add(connection: Connection) -> tuple[list[int], list[list[int]]]:
        # Two of one monitor at one time, too.
        rows = [FlipRow(1, 1, at // 2, "up", "down", "missed", True, None, 0) for at in range(count)]
        ids = add_flips(connection, rows)
        return ids, _NEWEST.rows(connection, ids)

    first, _ = await store.write(add)
    ids, found = await store.write(add)
    assert ids == list(range(first[-1] + 1, first[-1] + 1 + count))
    assert sorted(found) == [[flip_id, at // 2] for at, flip_id in enumerate(ids)]


def test_ids_are_cut_in_ascending_order_without_repetition() -> None:
    assert [len(some) for some in chunks([*range(12_000), 7])] == [5_000, 5_000, 2_000]
    assert list(chunks([3, 1, 3])) == [[1, 3]]
    assert not list(chunks([]))

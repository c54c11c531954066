"""Many ids or rows, cut to what one statement may carry.

SQLite gets them in one piece: it lets go of the interpreter lock at every row (store/gather.py).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from itertools import chain
from typing import Any, Generic, TypeVar

import orjson
from sqlalchemy import Connection, Select, Table, bindparam, func, insert, select

from tocsin.store.gather import Gathered
from tocsin.store.prepared import Row, driver

T = TypeVar("T")

# PostgreSQL takes 32,767 parameters in a statement, SQLite 32,766.
LARGEST = 5_000
ROWS = (256, 64, 16, 4, 1)


def chunks(ids: Collection[int]) -> Iterator[list[int]]:
    """The ids in ascending order and without repetition, in lists of at most LARGEST."""
    ordered = sorted(set(ids))
    for start in range(0, len(ordered), LARGEST):
        yield ordered[start : start + LARGEST]


def json_of(ids: Iterable[int]) -> str:
    """The ids as SQLite's json_each takes them."""
    return orjson.dumps(list(ids)).decode()


class Among(Generic[T]):
    """A query about many ids, as `Gathered` takes it; to be made once. `query` is given what its condition
    needs: `lambda ids: select(...).where(column.in_(ids))`."""

    def __init__(self, query: Callable[[Any], Select[*tuple[Any, ...]]], row: type[T]) -> None:
        each = func.json_each(bindparam("ids")).table_valued("value")
        self._in_one = Gathered(query(select(each.c.value)), row)
        self._in_chunks = Gathered(query(bindparam("ids", expanding=True)), row)

    def rows(self, connection: Connection, ids: Collection[int]) -> list[T]:
        """All rows, in no certain order."""
        if not ids:
            return []
        if connection.dialect.name == "sqlite":
            return self._in_one.rows(connection, {"ids": json_of(ids)})
        return [row for some in chunks(ids) for row in self._in_chunks.rows(connection, {"ids": some})]


class Addition:
    """How rows with these columns are added to a table; to be made once. `tail` ends the statement, on SQLite
    only."""

    def __init__(self, table: Table, columns: Sequence[str], tail: str = "") -> None:
        head = f"INSERT INTO {table.name} ({', '.join(columns)}) VALUES "
        row = f"({', '.join('?' * len(columns))})"
        self._table = table
        self._columns = columns
        self._text = {count: head + ", ".join([row] * count) + tail for count in ROWS}

    def add(self, connection: Connection, rows: Sequence[Row]) -> None:
        """Add rows of numbers and plain texts, in their order, in few statements."""
        if connection.dialect.name != "sqlite":
            connection.execute(
                insert(self._table), [dict(zip(self._columns, row, strict=True)) for row in rows]
            )
            return
        execute, flat, width = driver(connection).execute, list(chain.from_iterable(rows)), len(self._columns)
        at = 0
        for count in ROWS:
            while len(flat) - at >= count * width:
                execute(self._text[count], flat[at : at + count * width])
                at += count * width

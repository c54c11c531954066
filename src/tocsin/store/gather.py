"""Lists that are read in one piece.

SQLite lets go of the interpreter lock at every row, and with many requests at once each row waits to get it
back: a page of 50 at 16 connections took 86 ms. As one JSON text it is one row.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Generic, TypeVar

import msgspec
from sqlalchemy import Connection, Select, func, select

from tocsin.store.prepared import Prepared

T = TypeVar("T")


class Gathered(Generic[T]):
    """A query as `Prepared` takes it, whose rows are all wanted; to be made once. `row` is list, or a struct
    (array_like) of the query's columns."""

    def __init__(self, query: Select[*tuple[Any, ...]], row: type[T]) -> None:
        rows = query.subquery()
        self._query = query
        self._type = list[row]  # type: ignore[valid-type]
        self._in_one = Prepared(select(func.json_group_array(func.json_array(*rows.c))))
        self._decoder = msgspec.json.Decoder(self._type)

    def rows(self, connection: Connection, values: Mapping[str, Any]) -> list[T]:
        """All rows, in no certain order."""
        if connection.dialect.name != "sqlite":
            found = [tuple(row) for row in connection.execute(self._query, values)]
            return msgspec.convert(found, self._type)
        row = self._in_one.first(connection, values)
        return self._decoder.decode(row[0]) if row else []

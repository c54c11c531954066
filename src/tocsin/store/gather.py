"""Lists that are read in one piece.

SQLite lets go of the interpreter lock at every row, and with many requests at once each row waits to get it
back: a page of 50 at 16 connections took 86 ms. As one JSON text it is one row.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson
from sqlalchemy import Connection, Select, func, select


class Gathered:
    """A query whose rows are numbers and texts, to be made once: making it costs more than running it.

    On SQLite true and false read as 1 and 0.
    """

    def __init__(self, query: Select[*tuple[Any, ...]]) -> None:
        self._query = query
        rows = query.subquery()
        self._in_one = select(func.json_group_array(func.json_array(*rows.c)))

    def rows(self, connection: Connection, values: Mapping[str, Any]) -> list[list[Any]]:
        """All rows, in no certain order."""
        if connection.dialect.name != "sqlite":
            return [list(row) for row in connection.execute(self._query, values)]
        text = connection.execute(self._in_one, values).scalar_one()
        found: list[list[Any]] = orjson.loads(text)
        return found

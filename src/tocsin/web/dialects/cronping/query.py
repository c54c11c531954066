"""What stands behind the question mark."""

from __future__ import annotations

import re

from starlette.requests import Request

from tocsin.engine.manage.form import Form

LARGEST = 2**63 - 1
_NUMBER = re.compile("-?[0-9]{1,4000}")


class Query(Form):
    """Reads a query's values; `finish` raises TocsinError(INVALID) with all that was refused."""

    def __init__(self, request: Request) -> None:
        super().__init__()
        self._given = request.query_params

    def word(self, field: str) -> str:
        """A text, empty where it is missing."""
        return self._given.get(field, "")

    def clamped(self, field: str, default: int, low: int, high: int = LARGEST) -> int:
        """A whole number; one that is out of range counts as the nearest that is not."""
        text = self._given.get(field)
        if text is None:
            return default
        if not _NUMBER.fullmatch(text):
            self.refuse(field, "This must be a whole number.")
            return default
        return max(low, min(int(text), high))

    def words(self, field: str, choices: tuple[str, ...]) -> frozenset[str]:
        """A field that may be repeated, of a few words."""
        return frozenset(self.choice(field, word, choices) for word in self._given.getlist(field))

    def many(self, field: str) -> tuple[str, ...]:
        """A field that may be repeated; empty ones do not count."""
        return tuple(filter(None, self._given.getlist(field)))

"""What stands behind the question mark, and other numbers in addresses."""

from __future__ import annotations

import re

from starlette.requests import Request

from tocsin.engine.manage.form import Form

LARGEST = 2**63 - 1
_LONGEST = 18  # digits; more do not fit into a database
_NUMBER = re.compile("-?[0-9]{1,4000}")


def read_id(text: str) -> int | None:
    """The number that an address names; None for what cannot be one."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= _LONGEST else None


class Query(Form):
    """Reads a query's values; `finish` raises TocsinError(INVALID) with all that was refused."""

    def __init__(self, request: Request) -> None:
        super().__init__()
        self._given = request.query_params

    def word(self, field: str) -> str:
        """A text, empty where it is missing."""
        return self._given.get(field, "")

    def number(self, field: str, default: int, high: int) -> int:
        """A whole number from 1 to `high`."""
        text = self._given.get(field)
        return default if text is None else self.whole(field, read_id(text), 1, high)

    def clamped(self, field: str, default: int, low: int, high: int = LARGEST) -> int:
        """A whole number; one that is out of range counts as the nearest that is not."""
        text = self._given.get(field)
        if text is None:
            return default
        if not _NUMBER.fullmatch(text):
            self.refuse(field, "This must be a whole number.")
            return default
        return max(low, min(int(text), high))

    def cursor(self) -> int | None:
        """Where the last page ended."""
        text = self.word("cursor")
        if text and read_id(text) is None:
            self.refuse("cursor", "This is no cursor: send what `next_cursor` said.")
        return read_id(text) if text else None

    def many(self, field: str) -> list[str]:
        """A field that may be repeated; empty ones do not count."""
        return [text for text in self._given.getlist(field) if text]

    def words(self, field: str, choices: tuple[str, ...]) -> list[str]:
        """A field that may be repeated, of a few words."""
        return [self.choice(field, word, choices) for word in self._given.getlist(field)]

"""Checking what people send: every problem is collected, and all are told at once (promise 10)."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from typing import Any

from tocsin.domain.errors import Code, TocsinError
from tocsin.domain.mail_address import normal_address

LONGEST_TIME = 366 * 86_400
LONGEST_NAME = 200
LONGEST_DESCRIPTION = 2_000
LONGEST_URL = 2_000
LONGEST_TAG = 50
MOST_TAGS = 20
MOST_CHANNELS = 100
LARGEST_COUNT = 1_000

_SLUG = re.compile(r"[a-z0-9]+(?:[-_.][a-z0-9]+)*")
_SPACES = "\t\n"


class Form:
    """Reads values one by one. A refused value reads as a harmless one of the same type, so that the
    others can still be judged; `finish` raises TocsinError(INVALID) with everything that was refused."""

    def __init__(self) -> None:
        self.problems: dict[str, str] = {}

    def finish(self) -> None:
        """Raise what was found, if anything was."""
        if self.problems:
            raise TocsinError(Code.INVALID, " ".join(self.problems.values()), self.problems)

    def refuse(self, field: str, message: str) -> None:
        """Note a problem; the first one of a field stays."""
        self.problems.setdefault(field, message)

    def adopt(self, error: TocsinError, default: str, names: Mapping[str, str] | None = None) -> None:
        """Note the problems of another check: under its own names for fields, or under those of `names`.
        `default` is for a problem that names no field."""
        if error.code is not Code.INVALID:
            raise error
        for field, message in (error.fields or {default: error.message}).items():
            self.refuse(field if names is None else names.get(field, default), message)

    def text(self, field: str, value: Any, shortest: int, longest: int, *, lines: bool = False) -> str:
        """Text without surrounding blanks and control characters; `lines` allows tabs and line ends."""
        if not isinstance(value, str):
            self.refuse(field, "This must be text." if value is not None else "This is needed.")
            return ""
        text = value.strip()
        if any(_is_forbidden(letter, lines=lines) for letter in text):
            self.refuse(field, "This must not contain control characters.")
        elif not shortest <= len(text) <= longest:
            least = f"{shortest} to " if shortest else "at most "
            self.refuse(field, f"This must have {least}{longest} characters.")
        return text

    def whole(self, field: str, value: Any, low: int, high: int) -> int:
        """A real integer: no float, no text, no true."""
        if isinstance(value, bool) or not isinstance(value, int):
            self.refuse(field, "This must be a whole number.")
            return low
        if not low <= value <= high:
            self.refuse(field, f"This must be a whole number from {low} to {high}.")
            return low
        return value

    def whole_or_none(self, field: str, value: Any, low: int, high: int) -> int | None:
        """As `whole`; None switches a limit off."""
        return None if value is None else self.whole(field, value, low, high)

    def flag(self, field: str, value: Any) -> bool:
        """True or false."""
        if not isinstance(value, bool):
            self.refuse(field, "This must be true or false.")
        return value is True

    def choice(self, field: str, value: Any, choices: tuple[str, ...]) -> str:
        """One of a few words."""
        if not isinstance(value, str) or value not in choices:
            self.refuse(field, f"This must be one of: {', '.join(choices)}.")
            return choices[0]
        return value

    def texts(self, field: str, value: Any, most: int) -> list[str]:
        """A list of texts, each once."""
        if not isinstance(value, (list, tuple)) or not all(isinstance(each, str) for each in value):
            self.refuse(field, "This must be a list of texts.")
            return []
        if len(value) > most:
            self.refuse(field, f"This must have at most {most} entries.")
            return []
        return list(dict.fromkeys(value))

    def tags(self, field: str, value: Any) -> str:
        """Tags, joined by one blank as they are stored."""
        tags = self.texts(field, value, MOST_TAGS)
        for tag in tags:
            if not 1 <= len(tag) <= LONGEST_TAG or any(_is_forbidden(each) or each.isspace() for each in tag):
                self.refuse(field, f"A tag must have 1 to {LONGEST_TAG} characters, and no blanks.")
                return ""
        return " ".join(tags)

    def slug(self, field: str, value: Any) -> str:
        """A short name for addresses."""
        slug = self.text(field, value, 1, 100)
        if not _SLUG.fullmatch(slug):
            self.refuse(field, "This must be small letters, digits and single - _ . between them.")
        return slug

    def address(self, field: str, value: Any) -> str:
        """A mail address, its domain in lower case."""
        text = self.text(field, value, 3, 254)
        if field in self.problems:
            return ""
        address = normal_address(text)
        if address is None:
            self.refuse(field, "This must be a mail address such as you@example.com.")
        return address or ""


def slug_of(name: str) -> str:
    """A slug made of a name: "Nightly DB backup" is nightly-db-backup."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:100].rstrip("-") or "monitor"


def _is_forbidden(letter: str, *, lines: bool = False) -> bool:
    if lines and letter in _SPACES:
        return False
    return unicodedata.category(letter) in {"Cc", "Cs", "Zl", "Zp"}

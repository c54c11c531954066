"""What the vendors print in their pages: every sample of a seed, found by its look and named by its line.

The seeds are the pages as copied, with the marks of code lost: a line of prose may follow a sample without
a break (`}'Response: 201 Created`), and code of one language the code of another.
"""

from __future__ import annotations

import json
import re
from bisect import bisect
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any, Literal

FOLDER = Path(__file__).parent
SEEDS = {path.stem: path for path in sorted(FOLDER.glob("*.txt"))}
Kind = Literal["code", "crontab", "curl", "json", "inline", "headers", "request"]

# What code of each language begins with; it ends where the next begins, or a line of prose (a capital).
CODE = re.compile(
    r"(?<!subprocess\n)^(?:#!/bin/bash|const https = require|import |# \.github/|apiVersion: )",
    re.MULTILINE,
)
PROSE = re.compile(r"^[A-Z]", re.MULTILINE)
CRONTAB = re.compile(r"^[\d*][\d*/,-]*(?: [\d*][\d*/,-]*){4} .+$", re.MULTILINE)
CURL = re.compile(r"^curl ", re.MULTILINE)
JSON = re.compile(r"^\{", re.MULTILINE)
INLINE = re.compile(r"(?<=\S )\{[^{}\n]*\"[^{}\n]*\}")
HEADERS = re.compile(r"^(?:(?:Header: )?(?:X-[A-Z]|Retry-|Authorization)[\w-]*: .+\n?)+", re.MULTILINE)
REQUEST = re.compile(r"^[A-Z]+ /\S* HTTP/1\.1\n(?:[\w-]+: .+\n?)+", re.MULTILINE)
# A closed body, or dots, that a word follows: the page goes on there.
GLUED = re.compile(r"(?:(?<=\}')|(?<=\.\.\.))(?=[A-Z])")
METHODS = "GET|POST|PUT|PATCH|DELETE|HEAD"
# Paths are lower case, so a capital after one is prose again.
ENDPOINT = re.compile(rf"\b((?:{METHODS})(?:(?: / | )(?:{METHODS}))*) (/[a-z0-9/:{{}}_?=&.-]+)")


@dataclass(frozen=True, slots=True)
class Sample:
    """One sample; `line` is where it begins, counted from 1."""

    kind: Kind
    line: int
    text: str

    def value(self) -> Any:
        """The JSON value of a body or an answer; in prose `[...]` and `N` stand for any list and number."""
        text = self.text if self.kind == "json" else re.sub(r"\bN\b", "0", self.text.replace("[...]", "[]"))
        return json.loads(text)

    def sent(self) -> Any:
        """The JSON value that a command sends."""
        return json.loads(self.text.partition("-d '")[2].rpartition("'")[0])


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An operation that a page names; a part of `path` in braces or after a colon is any segment."""

    method: str
    path: str

    @property
    def pattern(self) -> re.Pattern[str]:
        """What addresses of it look like, without a query."""
        parts = re.split(r"\{\w+\}|:\w+", self.path.partition("?")[0].rstrip("."))
        return re.compile("[^/]+".join(re.escape(part) for part in parts))


def samples(seed: str) -> list[Sample]:
    """All samples of a seed in their order; what lies within another's text is not one of its own."""
    text = SEEDS[seed].read_text(encoding="utf-8")
    starts = [0, *accumulate(len(line) for line in text.splitlines(keepends=True))]
    found: list[Sample] = []
    taken = -1
    for start, end, kind in sorted(_spans(text), key=lambda span: (span[0], -span[1])):
        if start >= taken:
            found.append(Sample(kind, bisect(starts, start), text[start:end].strip()))
            taken = end
    return found


def endpoints(seed: str) -> set[Endpoint]:
    """All operations that a seed names in words."""
    text = SEEDS[seed].read_text(encoding="utf-8")
    return {
        Endpoint(method, match[2].rstrip("."))
        for match in ENDPOINT.finditer(text)
        for method in re.findall(METHODS, match[1])
    }


def _spans(text: str) -> Iterator[tuple[int, int, Kind]]:
    yield from ((start, end, "code") for start, end in _code(text))
    yield from ((match.start(), match.end(), "crontab") for match in CRONTAB.finditer(text))
    yield from (
        (match.start(), _end_of_command(text, match.start()), "curl") for match in CURL.finditer(text)
    )
    for match in JSON.finditer(text):
        _, end = json.JSONDecoder().raw_decode(text, match.start())
        yield match.start(), end, "json"
    yield from ((match.start(), match.end(), "inline") for match in INLINE.finditer(text))
    yield from ((match.start(), match.end(), "headers") for match in HEADERS.finditer(text))
    for match in REQUEST.finditer(text):
        glued = GLUED.search(text, match.start(), match.end())
        yield match.start(), glued.start() if glued else match.end(), "request"


def _code(text: str) -> Iterator[tuple[int, int]]:
    bounds = [*(match.start() for match in CODE.finditer(text)), len(text)]
    for start, following in pairwise(bounds):
        ends = [match.start() for match in (PROSE.search(text, start), GLUED.search(text, start)) if match]
        yield start, min([following, *ends])


def _end_of_command(text: str, start: int) -> int:
    """Where a shell command ends: at the first end of a line that is neither quoted nor escaped."""
    quote = ""
    for at in range(start, len(text)):
        letter = text[at]
        if quote:
            quote = "" if letter == quote else quote
            if not quote and GLUED.match(text, at + 1):
                return at + 1
        elif letter in "'\"":
            quote = letter
        elif letter == "\n" and text[at - 1] != "\\":
            return at
    return len(text)

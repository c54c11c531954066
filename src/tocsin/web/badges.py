"""Badges: a monitor's status as a small SVG, for a README or a wall, at an address that is no credential."""

from __future__ import annotations

import re
from collections.abc import Sequence
from unicodedata import combining, east_asian_width

from markupsafe import escape
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tocsin.domain.errors import Code, TocsinError
from tocsin.domain.record import Monitor
from tocsin.web.dialect import Dialect
from tocsin.web.services import Services

PATH = "/badge/{key}.svg"
COLOURS = {"up": "#2e7d4f", "late": "#a86500", "down": "#c0392b"}  # by the stored or read status
OTHER = "#6b7280"
PADDING = 10
# How wide letters of 11 px are, about; `textLength` makes it so.
NARROW, NORMAL, WIDE, FULL = 4, 7, 10, 11
LONGEST_NAME = 40
# XML has no place for these two, not even escaped: a badge with one is drawn nowhere.
_UNDRAWABLE = re.compile("[\ufffe\uffff]")
# A page that shows it may be cached by others: for as long as a minute's interval lets it be true.
_HEADERS = {"Cache-Control": "no-cache, max-age=0"}
_SVG = """<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="20" role="img" \
aria-label="{name}: {word}"><title>{name}: {word}</title>\
<clipPath id="r"><rect width="{width}" height="20" rx="3"/></clipPath><g clip-path="url(#r)">\
<rect width="{left}" height="20" fill="#444"/>\
<rect x="{left}" width="{right}" height="20" fill="{colour}"/></g>\
<g fill="#fff" font-family="Verdana,DejaVu Sans,sans-serif" font-size="11" text-anchor="middle">\
<text x="{name_at}" y="14" textLength="{name_length}" lengthAdjust="spacingAndGlyphs">{name}</text>\
<text x="{word_at}" y="14" textLength="{word_length}" lengthAdjust="spacingAndGlyphs">{word}</text></g></svg>
"""


def badge_route(services: Services, dialects: Sequence[Dialect]) -> Route:
    """The badges of all dialects: the monitor's own says what its status is called."""
    words = {dialect.name: dialect.status_word for dialect in dialects}

    async def badge(request: Request) -> Response:
        """A monitor's badge."""
        try:
            monitor = await services.manage.monitor_of_badge(request.path_params["key"])
        except TocsinError as error:
            if error.code is not Code.NOT_FOUND:
                raise
            return _drawn("badge", "unknown", OTHER, 404)
        now = services.now()
        word = words.get(monitor.dialect, Monitor.shown_status)(monitor, now)
        return _drawn(monitor.name, word, COLOURS.get(monitor.shown_status(now), OTHER), 200)

    return Route(PATH, badge)


def _width(text: str) -> int:
    return sum(_letter_width(letter) for letter in text)


def _letter_width(letter: str) -> int:
    if combining(letter):
        return 0
    if east_asian_width(letter) in "WF":
        return FULL
    return NARROW if letter in " !'(),.:;I[]fijlrt|" else WIDE if letter in "%@GMOQWmw" else NORMAL


def _drawn(name: str, word: str, colour: str, status: int) -> Response:
    shown = _UNDRAWABLE.sub("\N{REPLACEMENT CHARACTER}", name)
    if len(shown) > LONGEST_NAME:
        shown = shown[: LONGEST_NAME - 1] + "\N{HORIZONTAL ELLIPSIS}"
    left, right = (_width(text) + PADDING for text in (shown, word))
    content = _SVG.format(
        width=left + right,
        left=left,
        right=right,
        colour=colour,
        name=escape(shown),
        word=escape(word),
        name_at=left / 2,
        word_at=left + right / 2,
        name_length=left - PADDING,
        word_length=right - PADDING,
    )
    return Response(content, status, _HEADERS, media_type="image/svg+xml")

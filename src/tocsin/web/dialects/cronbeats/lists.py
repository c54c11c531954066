"""The pages of a list."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from tocsin.engine.manage.form import Form
from tocsin.web.query import read_id

USUAL_PER_PAGE, MOST_PER_PAGE = 50, 100
LAST_PAGE = 10**12


class Part(NamedTuple):
    """Which page is wanted."""

    page: int
    per_page: int

    @property
    def offset(self) -> int:
        """How many come before it."""
        return (self.page - 1) * self.per_page

    def pagination(self, total: int) -> dict[str, Any]:
        """What an answer says beside the items."""
        return {
            "page": self.page,
            "per_page": self.per_page,
            "total": total,
            "total_pages": -(-total // self.per_page),
        }


def read_part(form: Form, query: Mapping[str, str]) -> Part:
    """`page` and `per_page` of a query. More than 100 a page means 100: who asks for more, pages by the
    answer's own numbers."""
    page = _number(form, query, "page", 1, LAST_PAGE)
    per_page = _number(form, query, "per_page", USUAL_PER_PAGE, LAST_PAGE)
    return Part(page, min(per_page, MOST_PER_PAGE))


def _number(form: Form, query: Mapping[str, str], name: str, usual: int, most: int) -> int:
    text = query.get(name)
    if text is None:
        return usual
    return form.whole(name, read_id(text), 1, most)

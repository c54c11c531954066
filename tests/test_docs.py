"""The documents: every link leads somewhere, every page can be found, CONTRIBUTING stays short."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = [*sorted(ROOT.glob("*.md")), *sorted(DOCS.rglob("*.md"))]
LINK = re.compile(r"\[[^\]]*\]\((?P<target>[^)#\s]+)(?:#[^)]*)?\)")


def linked(page: Path) -> set[Path]:
    """Files of the repository to which a page links."""
    targets = [match["target"] for match in LINK.finditer(page.read_text(encoding="utf-8"))]
    return {(page.parent / target).resolve() for target in targets if "://" not in target}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_link_leads_somewhere(page: Path) -> None:
    assert [target for target in linked(page) if not target.exists()] == []


def test_every_page_is_reached_from_the_index() -> None:
    reached: set[Path] = set()
    pending = {DOCS / "README.md"}
    while pending:
        page = pending.pop()
        reached.add(page)
        pending |= {target for target in linked(page) if target.suffix == ".md" and target.exists()} - reached
    assert [page.relative_to(ROOT).as_posix() for page in PAGES if page not in reached] == []


def test_contributing_is_short() -> None:
    assert len((ROOT / "CONTRIBUTING.md").read_text().splitlines()) <= 100

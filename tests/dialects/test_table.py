"""docs/dialects/README.md names every operation of every vendor's dialect, and tests that are there."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from tests.faces import Faces
from tests.tongues import TONGUES, read_document
from tocsin.store.sqlite import SqliteStore

TESTS = Path(__file__).parents[1]
README = (TESTS.parent / "docs" / "dialects" / "README.md").read_text(encoding="utf-8")
TABLE = README.partition("## What is shown by which test")[2]
ROW = re.compile(r"^\| (?P<what>.+) \| `(?P<file>[\w/]+\.py)::(?P<test>\w+)` \|$", re.MULTILINE)
VENDORS = [name for name in TONGUES if name != "tocsin"]


def section(name: str) -> str:
    return re.split(r"^### ", TABLE.partition(f"### {name}\n")[2], maxsplit=1, flags=re.MULTILINE)[0]


def functions_of(file: str) -> set[str]:
    tree = ast.parse((TESTS / file).read_text(encoding="utf-8"))
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


def test_every_row_names_a_test_that_is_there() -> None:
    rows = [match.groupdict() for match in ROW.finditer(TABLE)]
    lines = [line for line in TABLE.splitlines() if line.startswith("| ") and line != "| what | test |"]
    assert len(rows) == len(lines) > 150
    assert [row for row in rows if row["test"] not in functions_of(row["file"])] == []


@pytest.mark.parametrize("name", VENDORS)
async def test_every_operation_of_a_dialect_is_in_its_table(store: SqliteStore, name: str) -> None:
    faces = Faces.open(store)
    described = await read_document(faces.nobody, TONGUES[name])
    offered = {
        f"`{method.upper()} {path}`" for path, methods in described["paths"].items() for method in methods
    }
    named = {match["what"] for match in ROW.finditer(section(name)) if match["what"].startswith("`")}
    # CronHeart's document is an endpoint that its vendor publishes, but describes all but itself.
    assert named - {"`GET /api/v1/openapi.json`"} == offered

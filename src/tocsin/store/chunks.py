"""Long lists of ids, cut to what one statement may carry."""

from __future__ import annotations

from collections.abc import Collection, Iterator

# PostgreSQL takes 32,767 parameters in a statement, SQLite 32,766.
LARGEST = 5_000


def chunks(ids: Collection[int]) -> Iterator[list[int]]:
    """The ids in ascending order and without repetition, in lists of at most LARGEST."""
    ordered = sorted(set(ids))
    for start in range(0, len(ordered), LARGEST):
        yield ordered[start : start + LARGEST]

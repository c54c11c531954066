from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from tests.management import Office
from tests.shelf import Shelf, open_shelf
from tocsin.domain.project import Actor
from tocsin.store.sqlite import SqliteStore


@pytest.fixture
async def office(store: SqliteStore) -> AsyncIterator[Office]:
    """The use cases on an empty store."""
    office = Office(store)
    yield office
    await office.close()


@pytest.fixture
async def actor(office: Office) -> Actor:
    """Who carries a native key."""
    return await office.actor()


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shelf]:
    """One database for all examples: each has a monitor of its own."""
    with open_shelf(tmp_path_factory.mktemp("shelf")) as shelf:
        yield shelf

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.management import Office
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

"""What the tests of the dialects ask for. Who needs other plans or settings has fixtures of these names."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.faces import Caller, Faces
from tests.server import Server
from tocsin.store.sqlite import SqliteStore


@pytest.fixture
def faces(store: SqliteStore) -> Faces:
    """All dialects on an empty store, with the plans of a hosted server."""
    return Faces.open(store)


@pytest.fixture
async def beats(faces: Faces) -> Caller:
    """Somebody who speaks CronBeats, with a plan that has all of it."""
    return await faces.caller("cronbeats", plan="business")


@pytest.fixture
async def heart(faces: Faces) -> Caller:
    """Somebody who speaks Cronheart, with a plan that has the API."""
    return await faces.caller("cronheart", plan="starter")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One running server for all tests of a file: to start one takes longer than most of them."""
    with Server(tmp_path_factory.mktemp("server"), allowed_networks="127.0.0.0/8") as server:
        yield server

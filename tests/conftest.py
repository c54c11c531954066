"""What every test may ask for: a migrated store, a running server, the native API."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from tests.server import Api, Server
from tocsin.store.schema import migrate
from tocsin.store.sqlite import SqliteStore

Serve = Callable[..., Server]

# How long an example takes is the machine's business: on a busy one, none would be quick enough.
settings.register_profile("tocsin", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("tocsin")


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty database of our schema, to be copied: a migration takes as long as some tests."""
    path = tmp_path_factory.mktemp("migrated") / "tocsin.db"
    migrate(f"sqlite:///{path}")
    return path


@pytest.fixture
async def store(migrated: Path, tmp_path: Path) -> AsyncIterator[SqliteStore]:
    """A migrated SQLite database in a temporary file."""
    path = tmp_path / "tocsin.db"
    shutil.copy(migrated, path)
    store = SqliteStore(path)
    yield store
    await store.close()


@pytest.fixture
def serve(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serve]:
    """Start servers: `serve(http_timeout_seconds=1)`. Alerts may go to receivers on this machine."""
    with contextlib.ExitStack() as running:

        def start(**options: Any) -> Server:
            chosen = {"allowed_networks": "127.0.0.0/8", **options}
            return running.enter_context(Server(tmp_path_factory.mktemp("server"), **chosen))

        yield start


@pytest.fixture
def server(serve: Serve) -> Server:
    """A running server with the default settings, which may reach receivers on this machine."""
    return serve()


@pytest.fixture
def api(server: Server) -> Api:
    """The native API of `server`, with a key of an account of its own."""
    return server.api()

"""The servers of these tests have an account and its key from the start, so that each is up sooner."""

from __future__ import annotations

from functools import partial

import pytest

from tests.conftest import Serve
from tests.server import Made, make_data


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """The data that each server begins with a copy of."""
    return make_data(tmp_path_factory.mktemp("made"))


@pytest.fixture
def serve(serve: Serve, made: Made) -> Serve:
    """Start servers, as everywhere, with `server.api()` at hand."""
    return partial(serve, made=made)

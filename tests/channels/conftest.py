from collections.abc import AsyncIterator
from ipaddress import ip_network

import pytest

from tocsin.outbound import Outbound


@pytest.fixture
async def outbound() -> AsyncIterator[Outbound]:
    """A client that may reach the receivers on this machine."""
    made = Outbound([ip_network("127.0.0.0/8")], timeout_seconds=5)
    yield made
    await made.close()

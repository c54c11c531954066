"""Promise 12: outgoing requests cannot reach inside. test_outbound.py looks at each address and name."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.conftest import Serve
from tests.receivers import Answer, HttpReceiver
from tests.server import Made, Server

pytestmark = pytest.mark.promise(12)

INSIDE = [
    "https://127.0.0.1/",
    "https://127.0.0.1:{port}/",
    "http://127.0.0.1:{port}/",
    "https://localhost:{port}/",
    "https://[::1]:{port}/",
    "https://[::ffff:127.0.0.1]:{port}/",
    "https://0.0.0.0:{port}/",
    "https://2130706433:{port}/",
    "https://0x7f.1:{port}/",
    "https://169.254.169.254/latest/meta-data/",
    "https://10.0.0.1/",
    "https://192.168.1.1/",
    "https://[fd00::1]/",
    "https://[64:ff9b::7f00:1]:{port}/",
    "http://example.com/",
    "file:///etc/passwd",
    "gopher://127.0.0.1:{port}/",
    "https://user:password@127.0.0.1:{port}/",
]


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory, made: Made) -> Iterator[Server]:
    """A server that may reach public addresses only."""
    with Server(tmp_path_factory.mktemp("server"), made=made) as server:
        yield server


@pytest.fixture(scope="module")
def inside() -> Iterator[HttpReceiver]:
    with HttpReceiver() as receiver:
        yield receiver


@pytest.mark.parametrize("url", INSIDE)
def test_an_address_inside_is_refused_where_it_is_typed(
    closed: Server, inside: HttpReceiver, url: str
) -> None:
    api = closed.api(_key(closed, "tocsin"))
    url = url.format(port=inside.port)
    answers = [
        api.call("POST", "/monitors", json={"name": "x", "webhook_url": url}),
        api.call("POST", "/channels", json={"kind": "webhook", "label": "x", "config": {"url": url}}),
        api.call("POST", "/channels", json={"kind": "slack", "label": "x", "config": {"webhook_url": url}}),
        closed.client.post(
            "/cronpeek/api/v1/monitors",
            json={"name": "x", "schedule": 60, "alertWebhook": url},
            headers={"x-api-key": _key(closed, "cronpeek")},
        ),
    ]
    assert [answer.status_code for answer in answers] == [422, 422, 422, 400]
    assert closed.rows("SELECT id FROM monitor UNION ALL SELECT id FROM channel") == []
    assert inside.requests == []


def test_an_address_that_was_allowed_once_is_judged_anew_at_each_delivery(serve: Serve) -> None:
    with HttpReceiver() as receiver:
        server = serve()
        job = server.api().create(webhook_url=receiver.url)
        server.stop()
        del server.environment["TOCSIN_ALLOWED_NETWORKS"]
        server.start()
        server.ping(job, "fail")
        server.wait_until(lambda: server.rows("SELECT id FROM attempt"), "it was tried")
        assert receiver.requests == []
        assert receiver.connections == 0
    [attempt] = server.rows("SELECT * FROM attempt")
    assert attempt["outcome"] != "delivered"


def test_a_redirect_is_not_followed(serve: Serve) -> None:
    with HttpReceiver() as target:
        answer = Answer(307, headers={"Location": target.url})
        with HttpReceiver(answer) as receiver:
            server = serve()
            server.ping(server.api().create(webhook_url=receiver.url), "fail")
            receiver.wait_for(1)
            server.wait_until(lambda: server.rows("SELECT id FROM attempt"), "it was tried")
        assert target.requests == []
    assert {row["outcome"] for row in server.rows("SELECT outcome FROM attempt")} != {"delivered"}


_KEYS: dict[tuple[str, str], str] = {}


def _key(server: Server, dialect: str) -> str:
    """One key of each dialect for all tests."""
    known = (server.url, dialect)
    if known not in _KEYS:
        _KEYS[known] = server.key(dialect)
    return _KEYS[known]

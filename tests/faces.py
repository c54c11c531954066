"""The web on a real store, asked over ASGI: no socket, no engine, a clock that the test turns.

faces = await Faces.open(store)
peek = await faces.caller("cronpeek")
created = await peek.post("/api/v1/monitors", {"name": "backup", "schedule": 60})
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import httpx
from sqlalchemy import Connection, select

from tests.management import Office
from tocsin.store import tables
from tocsin.store.sqlite import SqliteStore
from tocsin.web.billing import Billing, BillingConfig
from tocsin.web.bounds import Bounds
from tocsin.web.dashboard.views import build_dashboard
from tocsin.web.dialect import Dialect, discover
from tocsin.web.front import Front
from tocsin.web.health import Readiness, healthz, readyz
from tocsin.web.metrics import Reading, metrics
from tocsin.web.services import Services

URL = "http://tocsin"
# What a request may change that is refused; keys note when they were used.
COUNTED = (
    tables.account, tables.project, tables.key, tables.link, tables.session, tables.monitor, tables.token,
    tables.monitor_state, tables.channel, tables.notification, tables.flip,
)  # fmt: skip


class Caller:
    """Somebody with a key, or without one. Bodies are JSON unless they are bytes."""

    def __init__(self, client: httpx.AsyncClient, headers: dict[str, str]) -> None:
        self.client = client
        self.headers = headers

    async def ask(self, method: str, path: str, body: object = None, **headers: str) -> httpx.Response:
        rest: dict[str, Any] = {} if body is None else {"json": body}
        if isinstance(body, bytes):
            rest = {"content": body}
        if body is not None:
            headers = {"Content-Type": "application/json", **headers}
        return await self.client.request(method, path, headers={**self.headers, **headers}, **rest)

    async def get(self, path: str, **query: Any) -> httpx.Response:
        return await self.client.get(path, params=query or None, headers=self.headers)

    async def post(self, path: str, body: object = None) -> httpx.Response:
        return await self.ask("POST", path, body)

    async def create(self, path: str, body: object) -> dict[str, Any]:
        """What a POST has made."""
        answer = await self.post(path, body)
        assert answer.status_code == 201, answer.text
        created: dict[str, Any] = answer.json()
        return created

    async def patch(self, path: str, body: object) -> httpx.Response:
        return await self.ask("PATCH", path, body)

    async def delete(self, path: str) -> httpx.Response:
        return await self.ask("DELETE", path)


class Faces:
    """A front with all dialects, and the office behind it."""

    def __init__(self, office: Office, services: Services, client: httpx.AsyncClient) -> None:
        self.office = office
        self.services = services
        self.client = client
        self.nobody = Caller(client, {})

    @classmethod
    def open(
        cls,
        store: SqliteStore,
        *,
        dialects: Sequence[Dialect] | None = None,
        url: str = URL,
        billing: BillingConfig | None = None,
        **office: Any,
    ) -> Faces:
        """`office`: the keyword arguments of Office."""
        made = Office(store, **office)
        sales = Billing(billing or BillingConfig())
        services = Services(made.manage, made.clock.now, "1.2.3", url, billing=sales)
        pages = {
            "/healthz": healthz("1.2.3"),
            "/readyz": readyz(_ready),
            "/metrics": metrics(_readings, "a token"),
        }
        front = Front(
            discover() if dialects is None else dialects, services, pages, build_dashboard(services), Bounds()
        )
        transport = httpx.ASGITransport(front, client=("203.0.113.7", 4711))
        return cls(made, services, httpx.AsyncClient(transport=transport, base_url=url))

    def at(self, address: str) -> httpx.AsyncClient:
        """A client with another address."""
        transport = self.client._transport
        assert isinstance(transport, httpx.ASGITransport)
        return httpx.AsyncClient(
            transport=httpx.ASGITransport(transport.app, client=(address, 4711)),
            base_url=self.client.base_url,
        )

    async def caller(self, dialect: str, **wish: Any) -> Caller:
        """Somebody with a new key of a dialect; `project` and `email` make a tenant of its own."""
        key = await self.office.key(dialect, **wish)
        bearer = dialect in ("tocsin", "anethoth", "cronheart")
        return Caller(self.client, {"Authorization": f"Bearer {key}"} if bearer else {"x-api-key": key})

    async def state(self) -> list[list[tuple[Any, ...]]]:
        """All rows of what requests can change."""

        def read(connection: Connection) -> list[list[tuple[Any, ...]]]:
            columns = [[column for column in table.c if column.name != "last_used_at"] for table in COUNTED]
            return [[tuple(row) for row in connection.execute(select(*each))] for each in columns]

        return await self.office.store.read(read)


async def _ready() -> Readiness:
    return Readiness(database=True, engine=True, lag_seconds=0.0)


async def _readings() -> list[Reading]:
    return [Reading("tocsin_pings", "counter", "Pings that were stored.", 3)]

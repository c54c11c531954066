"""Rows for tests of alerts and their delivery: a project, its people, channels and monitors, on a real store.

outbox = await Outbox.open(store)
hook = await outbox.channel("webhook", {"url": receiver.url})
job = await outbox.monitor(fan_out=True)
await outbox.flip(down(job))
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any, Self

from msgspec import structs
from msgspec.structs import replace
from sqlalchemy import Connection, Table, insert, select, update

from tocsin.domain.alert import Facts
from tocsin.domain.channel import Outcome, Receipt
from tocsin.domain.monitor import SECOND, Flip, Reason, State, Status
from tocsin.engine.alerts import Change, Voice, record_flips
from tocsin.engine.clock import wall_clock
from tocsin.store import tables
from tocsin.store.notifications import read_facts
from tocsin.store.sqlite import SqliteStore
from tocsin.store.vault import Vault

MINUTE = 60 * SECOND
BADGES = count()
VOICE = Voice("https://tocsin.example.com", None)
DELIVERED = Receipt(Outcome.DELIVERED, 200, "200 OK")
BUSY = Receipt(Outcome.RETRY, 503, "503 Service Unavailable")
REFUSED = Receipt(Outcome.REFUSED, 400, "400 Bad Request")
GONE = Receipt(Outcome.REFUSED, 410, "410 Gone", gone=True)


@dataclass(frozen=True, slots=True)
class Note:
    """A notification as it is stored, with what it says."""

    id: int
    channel_id: int
    monitor_id: int | None
    event: str
    status: str
    attempts: int
    batch: str | None
    facts: Facts


@dataclass(slots=True)
class Recorder:
    """A channel kind that keeps what it is given, and answers as told: the last answer from then on."""

    name: str = "webhook"
    for_people: bool = False
    secrets: frozenset[str] = frozenset()
    lacks: str = ""
    answers: list[Receipt] = field(default_factory=lambda: [DELIVERED])
    sent: list[tuple[Mapping[str, Any], list[Facts]]] = field(default_factory=list)
    before_answer: Callable[[Mapping[str, Any]], Awaitable[None]] | None = None

    def check(self, config: Mapping[str, Any]) -> dict[str, Any]:
        return dict(config)

    async def send(self, config: Mapping[str, Any], alerts: Sequence[Facts]) -> Receipt:
        answer = self.answers[min(len(self.sent), len(self.answers) - 1)]
        self.sent.append((config, list(alerts)))
        if self.before_answer is not None:
            await self.before_answer(config)
        return answer

    def ids(self) -> list[list[str]]:
        """The ids of the alerts, message by message."""
        return [[one.id for one in alerts] for _, alerts in self.sent]

    def events(self) -> list[list[str]]:
        """The events of the alerts, message by message."""
        return [[one.event.value for one in alerts] for _, alerts in self.sent]


class Outbox:
    """One project."""

    def __init__(self, store: SqliteStore) -> None:
        self.store = store
        self.vault = Vault("a key for tests")
        self.project_id = 0
        self._numbers = count(1)

    @classmethod
    async def open(cls, store: SqliteStore, **rules: bool) -> Self:
        outbox = cls(store)
        columns = {"name": "p", "dialect": "tocsin", "owner_id": 1, "plan": "self-hosted", "created_at": 1}
        outbox.project_id = await outbox.add(tables.project, **columns, **rules)
        return outbox

    async def add(self, table: Table, **columns: Any) -> int:
        """A row; a uid is made where the table has one."""
        if "uid" in table.c:
            columns.setdefault("uid", f"{table.name}-{next(self._numbers)}")

        key, *_ = table.primary_key.columns
        statement = insert(table).values(columns).returning(key)
        return await self.store.write(lambda connection: int(connection.scalars(statement).one()))

    async def channel(
        self, kind: str = "webhook", config: Mapping[str, Any] | None = None, **more: Any
    ) -> int:
        columns = {
            "project_id": self.project_id,
            "kind": kind,
            "label": f"the {kind}",
            "config": self.vault.seal(config or {"url": f"https://{next(self._numbers)}.example.com/"}),
            "fingerprint": str(next(self._numbers)),
            "verified_at": 1,
            "created_at": 1,
            "updated_at": 1,
        }
        return await self.add(tables.channel, **{**columns, **more})

    async def monitor(self, name: str = "Nightly backup", **more: Any) -> int:
        columns = {
            "project_id": self.project_id,
            "dialect": "tocsin",
            "name": name,
            "badge_key": f"badge {next(BADGES)}",
            "slug": "nightly-backup",
            "tags": "db prod",
            "schedule_kind": "interval",
            "schedule_expression": "3600",
            "grace_seconds": 600,
            "fan_out": True,
            "created_at": 1,
            "updated_at": 1,
        }
        monitor_id = await self.add(tables.monitor, **{**columns, **more})
        await self.add(tables.monitor_state, monitor_id=monitor_id, since_at=1)
        return monitor_id

    async def pings(self, monitor_id: int, *times: int) -> None:
        """A chain of successes, oldest first."""
        last_id = None
        for number, at in enumerate(times, 1):
            row = {
                "monitor_id": monitor_id,
                "number": number,
                "arrived_at": at,
                "kind": 3,
                "prev_id": last_id,
            }
            last_id = await self.add(tables.ping, **row)
        await self.set(tables.monitor_state, "monitor_id", monitor_id, last_ping_id=last_id)

    async def member(self, email: str, *, wants_alerts: bool = True, verified: bool = True) -> None:
        verified_at = 1 if verified else None
        account_id = await self.add(tables.account, email=email, verified_at=verified_at, created_at=1)
        ids = {"project_id": self.project_id, "account_id": account_id}
        await self.add(tables.member, **ids, role="owner", wants_alerts=wants_alerts)

    async def set(self, table: Table, key: str, value: int, **columns: Any) -> None:
        """Change columns of rows."""
        statement = update(table).where(table.c[key] == value).values(columns)
        await self.store.write(lambda connection: connection.execute(statement))

    async def flip(self, *changes: Change, now: int | None = None, voice: Voice = VOICE) -> None:
        """Record changes, all in one transaction."""
        mine = [replace(change, project_id=self.project_id) for change in changes]
        at = wall_clock() if now is None else now
        await self.store.write(lambda connection: record_flips(connection, mine, at, voice))

    async def notes(self, **columns: Any) -> list[Note]:
        """Notifications with these columns, oldest first."""
        table = tables.notification
        query = select(table).where(*(table.c[name] == value for name, value in columns.items()))
        query = query.order_by(table.c.id)

        def read(connection: Connection) -> list[Note]:
            return [
                Note(
                    row.id,
                    row.channel_id,
                    row.monitor_id,
                    row.event,
                    row.status,
                    row.attempts,
                    row.batch,
                    read_facts(row.facts),
                )
                for row in connection.execute(query)
            ]

        return await self.store.read(read)

    async def rows(self, table: Table, *columns: str) -> list[tuple[Any, ...]]:
        """Some columns of all rows, as they were added."""
        query = select(*(table.c[name] for name in columns)).order_by(*table.primary_key.columns)
        return await self.store.read(lambda connection: [tuple(row) for row in connection.execute(query)])


def standing(status: Status = Status.DOWN, at: int = 0, **more: Any) -> State:
    """A state after a flip."""
    known = State(status=status, since_at=at, last_ping_at=at - 70 * MINUTE, last_success_at=at - 70 * MINUTE)
    return structs.replace(known, **more)


def down(monitor_id: int, at: int | None = None, reason: Reason = Reason.MISSED, **state: Any) -> Change:
    """A monitor goes down."""
    at = wall_clock() if at is None else at
    flip = Flip(at, Status.UP, Status.DOWN, reason, announced=True, deadline_at=at)
    return Change(monitor_id, 0, flip, standing(at=at, reason=reason, **state))


def up(monitor_id: int, at: int | None = None, **state: Any) -> Change:
    """A monitor recovers."""
    at = wall_clock() if at is None else at
    flip = Flip(at, Status.DOWN, Status.UP, Reason.PING, announced=True)
    return Change(monitor_id, 0, flip, standing(Status.UP, at, **{"last_ping_at": at, **state}))


def paused(monitor_id: int) -> Change:
    """Somebody pauses a monitor."""
    at = wall_clock()
    flip = Flip(at, Status.DOWN, Status.PAUSED, Reason.PAUSED, announced=False)
    return Change(monitor_id, 0, flip, standing(Status.PAUSED, at))

"""The port to a database: three verbs. Query functions are plain functions of a SQLAlchemy connection."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple, Protocol, TypeVar

from msgspec import Struct
from sqlalchemy import Connection

from tocsin.domain.monitor import Policy, State

T = TypeVar("T")


class Tracked(Struct, frozen=True, gc=False):
    """A monitor as the engine handles it: what it expects, how it stands, how it is stored.

    `dialect` is the face that answers its ping where it was found by a token, else the one it was made
    through. `look_at`: when the watcher will look at it, as stored; `last_ping_id`: head of its chain.
    """

    monitor_id: int
    project_id: int
    dialect: str
    uid: str
    name: str
    policy: Policy
    state: State
    look_at: int | None
    last_ping_id: int | None


class StoredPing(NamedTuple):
    """A row of `ping`, in the order of the table's columns."""

    id: int
    prev_id: int | None
    monitor_id: int
    number: int
    arrived_at: int
    kind: int
    run_id: str | None
    exit_code: int | None
    duration_ms: int | None
    address: str | None
    user_agent: str | None
    flags: int | None


class Hot(Protocol):
    """The batch paths, written per database as plain SQL. All run inside `Store.write`."""

    def find(self, connection: Connection, tokens: Iterable[str]) -> dict[str, Tracked]:
        """The monitors behind tokens; unknown ones are missing."""

    def load(self, connection: Connection, monitor_ids: Iterable[int]) -> list[Tracked]:
        """The monitors that exist among these."""

    def overdue(self, connection: Connection, now: int, limit: int) -> list[Tracked]:
        """The monitors whose time to be looked at lies before `now`, earliest first."""

    def next_look_at(self, connection: Connection) -> int | None:
        """The earliest time at which any monitor is to be looked at."""

    def reserve_ping_ids(self, connection: Connection, count: int) -> int:
        """The first of `count` ids in a row that no ping has or had."""

    def add_pings(
        self, connection: Connection, pings: Sequence[StoredPing], bodies: Sequence[tuple[int, bytes]]
    ) -> None:
        """Append pings, and bodies as (ping id, body)."""

    def save(self, connection: Connection, tracked: Sequence[Tracked]) -> int | None:
        """Store states and chain heads, and move the watcher's time where it has to look earlier.

        Returns the earliest time that was moved to, or None."""

    def save_look(self, connection: Connection, tracked: Sequence[Tracked]) -> None:
        """Store states as `save` does, and set the watcher's time to exactly the next event."""


class Store(Protocol):
    """A database in use. Where it cannot work just now, both ways raise TocsinError(UNAVAILABLE)."""

    @property
    def hot(self) -> Hot:
        """The batch paths, as this database has them."""

    async def read(self, fn: Callable[[Connection], T], *, is_short: bool = False) -> T:
        """Run `fn` in a read transaction. `is_short`: it reads a few rows by an index, and may run twice."""

    async def write(self, fn: Callable[[Connection], T], *, is_short: bool = False) -> T:
        """Run `fn` in a write transaction: committed durably when this returns, rolled back if it raises.
        `is_short`: it takes some milliseconds at most."""

    async def close(self) -> None:
        """Finish what was begun, then close."""

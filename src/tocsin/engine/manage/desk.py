"""What every use case works with."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tocsin.domain.channel import Sender
from tocsin.domain.errors import Code, TocsinError
from tocsin.domain.monitor import Gap
from tocsin.domain.plan import Plans
from tocsin.domain.project import Actor
from tocsin.engine.alerts import Voice
from tocsin.engine.clock import Clock
from tocsin.engine.manage.overdue import Moment
from tocsin.store.database import Store
from tocsin.store.vault import Vault

LARGEST = 2**63 - 1

Mailer = Callable[[str, str, str], Awaitable[None]]  # address, subject, plain text
UrlCheck = Callable[[str], Awaitable[None]]  # raises TocsinError(INVALID) for a forbidden destination


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where people and jobs reach this server; no address ends with a slash."""

    public_url: str
    ping_url: str | None = None

    def page(self, path: str) -> str:
        """The address of a page, of a path that starts with a slash."""
        return self.public_url + path


@dataclass(frozen=True, slots=True)
class Tools:
    """What app.py hands to the use cases.

    `wake` is called after a commit that may have moved a deadline or written notifications. `mail` sends
    links to people; None where no mail server is set. `signup_open`: TOCSIN_SIGNUP. `gaps`: the ledger's.
    """

    store: Store
    clock: Clock
    vault: Vault
    kinds: Mapping[str, Sender]
    plans: Plans
    addresses: Addresses
    check_url: UrlCheck
    wake: Callable[[], None]
    voice_of: Callable[[], Voice]
    mail: Mailer | None = None
    signup_open: bool = False
    gaps: Callable[[], Sequence[Gap]] = tuple


class Desk:
    """The ground of all nouns: `Manage(tools)`."""

    def __init__(self, tools: Tools) -> None:
        self._tools = tools
        self._errands: set[asyncio.Task[None]] = set()

    async def settle(self) -> None:
        """Return when what runs behind the callers' backs (mails, notes of use) is done."""
        await asyncio.gather(*self._errands)

    def _run_errand(self, work: Coroutine[Any, Any, None]) -> None:
        """Do something that nobody waits for; it must not raise."""
        task = asyncio.get_running_loop().create_task(work)
        self._errands.add(task)
        task.add_done_callback(self._errands.discard)

    def _now(self) -> int:
        return self._tools.clock.now()

    def _moment(self) -> Moment:
        return Moment(self._now(), self._tools.gaps(), self._tools.voice_of())


def bounded(number: int) -> int:
    """A number as a database can compare it: nothing out there is larger than 63 bits, or below 0."""
    return max(0, min(number, LARGEST))


def sound(text: str) -> str:
    """Text as a database can compare it: without NUL and halves of surrogate pairs."""
    return text.replace("\0", "\ufffd").encode("utf-8", "replace").decode()


def may_write(actor: Actor) -> None:
    """Refuse a read-only key, or a viewer."""
    if actor.read_only:
        raise TocsinError(Code.FORBIDDEN, "This key is read-only.")


def not_found(what: str) -> TocsinError:
    """The error for something that is not there, or not the actor's."""
    return TocsinError(Code.NOT_FOUND, f"There is no such {what}.")

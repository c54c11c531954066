"""A ping: one received signal, as the rules see it. Order of a monitor's pings: rules.md, Arrival."""

from __future__ import annotations

from enum import IntEnum
from typing import assert_never
from urllib.parse import unquote_plus

from msgspec import Struct
from msgspec.structs import replace


class Kind(IntEnum):
    """What a ping says. The value is its rank among pings of the same microsecond, and what is stored."""

    START = 0
    LOG = 1
    PROGRESS = 2
    SUCCESS = 3
    FAIL = 4


class Flag:
    """Bits of a stored ping's `flags`. HEARTBEAT: it came without a word, where a dialect makes a difference
    between that and a success; ODD: with a word that the dialect does not know, but takes."""

    DUPLICATE = 1
    BODY = 2
    BODY_CUT = 4
    HEARTBEAT = 8
    ODD = 16


class Ping(Struct, frozen=True, gc=False):
    """What the transition needs of a ping."""

    arrived_at: int
    kind: Kind
    id: int = 0
    run_id: str | None = None
    exit_code: int | None = None
    duration_ms: int | None = None

    @property
    def order(self) -> tuple[int, int, int]:
        """The true order of a monitor's pings."""
        return (self.arrived_at, self.kind, self.id)


class Signal(Struct, frozen=True, gc=False):
    """A complete request on a ping path, not yet understood: whose words it speaks, its token's row tells.

    `action` is what follows the token and a slash in the path; `headers` are as received,
    names in lower case. `body` is cut to the limit.
    """

    token: str
    action: str
    query: bytes
    method: str
    headers: list[tuple[bytes, bytes]]
    address: str
    body: bytes
    body_was_cut: bool


class Reading(Struct, frozen=True, gc=False):
    """What a signal says in its dialect. `exit_code` of a progress is its percentage.

    `flags` are stored with the ping. A ping of the same kind (HEARTBEAT is one of its own) within
    `duplicate_seconds` whole Unix seconds of another is stored, and flagged as a duplicate.
    """

    kind: Kind
    run_id: str | None = None
    exit_code: int | None = None
    duration_ms: int | None = None
    flags: int = 0
    keeps_body: bool = True
    duplicate_seconds: int = 0


def kind_of_exit_code(code: int) -> Kind:
    """0 is success, any other code a failure."""
    return Kind.SUCCESS if code == 0 else Kind.FAIL


def word(kind: Kind) -> str:
    """The native API's word for a kind."""
    match kind:
        case Kind.START:
            return "start"
        case Kind.LOG:
            return "log"
        case Kind.PROGRESS:
            return "progress"
        case Kind.SUCCESS:
            return "success"
        case Kind.FAIL:
            return "fail"
        case _:
            assert_never(kind)


_PLAIN = {
    "": Reading(Kind.SUCCESS),
    "start": Reading(Kind.START),
    "success": Reading(Kind.SUCCESS),
    "fail": Reading(Kind.FAIL),
    "log": Reading(Kind.LOG),
    **{str(code): Reading(kind_of_exit_code(code), exit_code=code) for code in range(256)},
}
LONGEST_RUN_ID = 64


def read_plain(signal: Signal) -> Reading | None:
    """What most dialects mean: nothing = success, start, success, fail, log, an exit code 0-255, and `rid`
    in the query for the run. None for any other action."""
    reading = _PLAIN.get(signal.action)
    if reading is None or not signal.query:
        return reading
    return replace(reading, run_id=query_value(signal.query, b"rid"))


def query_value(query: bytes, name: bytes) -> str | None:
    """The first value of that name, or None where there is none, it is empty, or too long for a run id."""
    for part in query.split(b"&"):
        key, _, value = part.partition(b"=")
        if key == name and value:
            text = unquote_plus(value.decode("ascii", "replace")).replace("\x00", "")
            return text if 0 < len(text) <= LONGEST_RUN_ID else None
    return None

"""Deadlines that have passed and are not decided yet: a person's change must not lose them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from msgspec.structs import replace
from sqlalchemy import Connection

from tocsin.domain.monitor import Gap
from tocsin.domain.transition import judge
from tocsin.engine.alerts import Change, Voice, record_flips
from tocsin.store.database import Tracked


class Moment(NamedTuple):
    """When a change is made, and what has to be known then: the ledger's gaps, and what texts need."""

    now: int
    gaps: Sequence[Gap]
    voice: Voice


def decide(connection: Connection, tracked: Sequence[Tracked], moment: Moment) -> list[Tracked]:
    """Judge monitors as they were until now, and record their flips with their alerts; the caller stores
    the states."""
    decided: list[Tracked] = []
    changes: list[Change] = []
    for one in tracked:
        state, flips = judge(one.policy, one.state, moment.now, moment.gaps)
        decided.append(replace(one, state=state))
        changes += [Change(one.monitor_id, one.project_id, flip, state) for flip in flips]
    record_flips(connection, changes, moment.now, moment.voice)
    return decided

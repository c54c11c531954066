"""The ways to a project's owners, for what concerns Tocsin itself and no job."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any
from uuid import uuid4

import orjson
from sqlalchemy import Connection

from tocsin.store import channels
from tocsin.store.routing import MAIL, find_shared

MEMBERS: Mapping[str, Any] = {"members": True}


def fingerprint(kind: str, config: Mapping[str, Any]) -> str:
    """What a hidden channel is found by again: the same for the same kind and config."""
    content = orjson.dumps([kind, dict(config)], option=orjson.OPT_SORT_KEYS)
    return hashlib.sha256(content).hexdigest()


def ways_to_owners(
    connection: Connection,
    project_id: int,
    members_config: str | None,
    now: int,
    *,
    without: int | None = None,
) -> list[int]:
    """Channels to tell a project's owners by: mail to its members, else all other channels of the project.

    `members_config`: {"members": true}, sealed; None where no mail can be sent. `without`: a channel that
    does not work.
    """
    by_mail = None if members_config is None else members_channel(connection, project_id, members_config, now)
    if by_mail is not None and by_mail != without:
        return [by_mail]
    return [one.channel_id for one in find_shared(connection, project_id, without=without)]


def members_channel(connection: Connection, project_id: int, sealed: str, now: int) -> int:
    """The project's hidden mail channel to its members, made where it is missing."""
    mark = fingerprint(MAIL, MEMBERS)
    found = channels.find_hidden(connection, project_id, mark)
    if found is not None:
        return found
    values = {
        "uid": uuid4().hex,
        "project_id": project_id,
        "kind": MAIL,
        "label": "members",
        "config": sealed,
        "fingerprint": mark,
        "hidden": True,
        "verified_at": now,
        "created_at": now,
        "updated_at": now,
    }
    return channels.add(connection, values)

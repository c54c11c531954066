"""Accounts made through the APIs: the rule that the dialects share, and its limit."""

from __future__ import annotations

from typing import Any

from tocsin.engine.manage.accounts import NewKey
from tocsin.web.api import Visit
from tocsin.web.trouble import TroubleError, too_often

PER_MINUTE, PER_DAY = 10, 100  # of one address


async def sign_up(visit: Visit, email: Any, dialect: str) -> NewKey:
    """A new account's key. TroubleError (429) where its sender made too many; else as
    `Manage.create_account`."""
    services, request = visit.services, visit.request
    standing = services.rates.count(
        f"sign-up:{services.sender(request)}", services.now(), per_minute=PER_MINUTE, per_day=PER_DAY
    )
    if standing.exceeded:
        raise TroubleError(too_often(standing.exceeded))
    return await services.manage.create_account(email, dialect, from_loopback=services.is_local(request))

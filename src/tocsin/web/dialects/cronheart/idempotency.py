"""Idempotency-Key: the same request, sent twice, is carried out once (docs/dialects/cronheart.md)."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Awaitable, Callable
from functools import wraps

import structlog
from starlette.requests import Request
from starlette.responses import Response

from tocsin.domain.errors import TocsinError, invalid
from tocsin.domain.replay import Answered, Slot
from tocsin.web.api import Call

Handler = Callable[[Call], Awaitable[Response]]

HEADER = "Idempotency-Key"
LONGEST_KEY = 255
_KEPT_HEADERS = ("content-type", "location")

log = structlog.get_logger(__name__)


def idempotent(handler: Handler) -> Handler:
    """The handler, which answers a request that it has answered before as it did then.

    The same key for another request, or while the first is under way, is a CONFLICT; what was refused may
    be sent again. Without a key, or with a blank one, every request counts.
    """

    @wraps(handler)
    async def once(call: Call) -> Response:
        key = _key(call.request)
        if not key:
            return await handler(call)
        claimed = await call.manage.claim_request(call.actor, key, await _fingerprint(call.request))
        if isinstance(claimed, Answered):
            return _replayed(claimed)
        return await _carry_out(handler, call, claimed)

    return once


async def _carry_out(handler: Handler, call: Call, slot: Slot) -> Response:
    # When we are cancelled nobody knows how far the handler got: the claim then stays until it is void.
    try:
        response = await handler(call)
    except Exception:
        with contextlib.suppress(TocsinError):  # what was wrong first is what is told
            await call.manage.release_request(slot)
        raise
    try:
        if response.status_code >= 400:
            await call.manage.release_request(slot)
        else:
            await call.manage.keep_answer(slot, _answered(response))
    except TocsinError:
        # It is done all the same, and a 503 would ask for a repetition.
        log.warning("answer_not_kept", status=response.status_code)
    return response


def _key(request: Request) -> str:
    key = request.headers.get(HEADER, "").strip()
    if len(key) > LONGEST_KEY:
        raise invalid(HEADER, f"This must have at most {LONGEST_KEY} characters.")
    return key


async def _fingerprint(request: Request) -> str:
    head = f"{request.method} {request.scope['path']}\n"
    return hashlib.sha256(head.encode() + await request.body()).hexdigest()


def _answered(response: Response) -> Answered:
    headers = {name: response.headers[name] for name in _KEPT_HEADERS if name in response.headers}
    return Answered(response.status_code, bytes(response.body), headers)


def _replayed(answered: Answered) -> Response:
    return Response(answered.body, answered.status, {**answered.headers, "Idempotency-Replayed": "true"})

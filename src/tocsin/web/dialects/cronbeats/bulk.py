"""The same to many jobs at once. One that is refused does not stop the others."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.responses import Response

from tocsin.domain.errors import TocsinError, invalid
from tocsin.web.api import Call
from tocsin.web.dialects.cronbeats.answers import success
from tocsin.web.dialects.cronbeats.jobs import DISABLED, ENABLED, NOT_FOUND, said_of_job
from tocsin.web.dialects.cronbeats.shapes import MOST_IN_BULK


async def pause_jobs(call: Call) -> Response:
    """Pause up to 100 jobs."""
    ids = await _ids(call)
    results = await call.manage.pause_many(call.actor, ids, strict=True)
    return _told(ids, results, "successfully_paused", DISABLED)


async def resume_jobs(call: Call) -> Response:
    """Resume up to 100 jobs."""
    ids = await _ids(call)
    results = await call.manage.resume_many(call.actor, ids, strict=True)
    return _told(ids, results, "successfully_resumed", ENABLED)


async def delete_jobs(call: Call) -> Response:
    """Delete up to 100 jobs."""
    ids = await _ids(call)
    return _told(ids, await call.manage.delete_many(call.actor, ids), "successfully_deleted", NOT_FOUND)


async def _ids(call: Call) -> list[int]:
    """The jobs that are meant, each once."""
    ids = (await call.fields()).get("job_ids")
    are_numbers = isinstance(ids, list) and all(
        isinstance(each, int) and not isinstance(each, bool) for each in ids
    )
    if not isinstance(ids, list) or not are_numbers or not 1 <= len(ids) <= MOST_IN_BULK:
        raise invalid("job_ids", f"This must be a list of 1 to {MOST_IN_BULK} whole numbers.")
    return list(dict.fromkeys(ids))


def _told(ids: Sequence[int], results: Sequence[object], done: str, conflict: str) -> Response:
    failed = [
        {"id": each, "error": said_of_job(result, conflict)}
        for each, result in zip(ids, results, strict=True)
        if isinstance(result, TocsinError)
    ]
    return success({"total_requested": len(ids), done: len(ids) - len(failed), "failed": failed})

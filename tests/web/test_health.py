from __future__ import annotations

import httpx
import pytest

from tocsin.web.health import Readiness, healthz, readyz


async def ask(app: object, method: str = "GET") -> httpx.Response:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://t") as client:  # type: ignore[arg-type]
        return await client.request(method, "/")


def ready(*, database: bool = True, engine: bool = True, lag_seconds: float = 0.0) -> object:
    async def look() -> Readiness:
        return Readiness(database, engine, lag_seconds)

    return readyz(look)


async def test_a_process_that_answers_is_up() -> None:
    answer = await ask(healthz("1.2.3"))
    assert (answer.status_code, answer.json()) == (200, {"status": "ok", "version": "1.2.3"})


async def test_ready_is_who_reaches_the_database_has_a_living_engine_and_keeps_up() -> None:
    answer = await ask(ready())
    assert answer.status_code == 200
    assert answer.json() == {"ready": True, "database": True, "engine": True, "lag_seconds": 0.0}


@pytest.mark.parametrize("trouble", [{"database": False}, {"engine": False}, {"lag_seconds": 31.0}])
async def test_anything_less_is_a_503_that_says_what(trouble: dict[str, float]) -> None:
    answer = await ask(ready(**trouble))  # type: ignore[arg-type]
    assert answer.status_code == 503
    assert answer.json()["ready"] is False
    assert trouble.items() <= answer.json().items()


async def test_only_reading_is_allowed() -> None:
    assert (await ask(healthz("1"), "POST")).status_code == 405
    assert (await ask(ready(), "HEAD")).status_code == 200

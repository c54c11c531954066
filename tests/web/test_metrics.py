from __future__ import annotations

from collections.abc import Sequence

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tocsin.web.metrics import Reading, metrics

READINGS = (
    Reading("tocsin_pings", "counter", "Pings that were stored.", 3),
    Reading("tocsin_queue", "gauge", "Pings that wait.", 0.5),
    Reading("tocsin_notifications", "gauge", "By status.", {"pending": 1, "failed": 2}, "status"),
)


async def read() -> Sequence[Reading]:
    return READINGS


async def ask(address: str, token: str | None = "s3cret", **headers: str | bytes) -> httpx.Response:
    transport = httpx.ASGITransport(metrics(read, token), client=(address, 4711))
    async with httpx.AsyncClient(transport=transport, base_url="http://t") as client:
        return await client.get(
            "/metrics",
            headers=[
                (name.encode(), text if isinstance(text, bytes) else text.encode())
                for name, text in headers.items()
            ],
        )


async def test_prometheus_reads_what_was_injected() -> None:
    answer = await ask("127.0.0.1")
    samples = [sample for family in text_string_to_metric_families(answer.text) for sample in family.samples]
    found = {(sample.name, *sample.labels.values()): sample.value for sample in samples}
    assert found["tocsin_pings_total",] == 3
    assert found["tocsin_queue",] == 0.5
    assert found["tocsin_notifications", "failed"] == 2
    assert found["process_resident_memory_bytes",] > 0


@pytest.mark.parametrize(
    ("address", "token", "headers", "status"),
    [
        ("127.0.0.1", None, {}, 200),
        ("127.0.0.1", "s3cret", {}, 200),
        ("127.0.0.1", None, {"X-Forwarded-For": "203.0.113.9"}, 404),
        ("203.0.113.9", None, {}, 404),
        ("203.0.113.9", None, {"Authorization": "Bearer "}, 404),
        ("203.0.113.9", "s3cret", {}, 404),
        ("203.0.113.9", "s3cret", {"Authorization": "Bearer wrong"}, 404),
        ("203.0.113.9", "s3cret", {"Authorization": "Bearer ümläut".encode()}, 404),
        ("203.0.113.9", "s3cret", {"Authorization": "bearer s3cret"}, 200),
    ],
)
async def test_only_this_machine_or_the_token_may_read(
    address: str, token: str | None, headers: dict[str, str | bytes], status: int
) -> None:
    assert (await ask(address, token, **headers)).status_code == status

"""What Prometheus reads (/metrics): only from this machine, or with the token."""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from typing import Literal, NamedTuple

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.registry import Collector
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from tocsin.web.address import is_from_this_machine


class Reading(NamedTuple):
    """One metric as it stands. `value` is a number, or numbers by the value of `label`.

    A counter's name has no `_total` at its end: the format adds it.
    """

    name: str
    kind: Literal["counter", "gauge"]
    help: str
    value: float | Mapping[str, float]
    label: str = ""


def metrics(read: Callable[[], Awaitable[Sequence[Reading]]], token: str | None) -> ASGIApp:
    """The page. `read` is asked each time; `token` None: nobody from elsewhere may read it."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope)
        if _may_read(request, token):
            response = Response(_text(await read()), media_type=CONTENT_TYPE_LATEST)
        else:
            # Not 401: whoever has no business here need not learn that there is something.
            response = Response("Not Found\n", 404, media_type="text/plain")
        await response(scope, receive, send)

    return app


def _may_read(request: Request, token: str | None) -> bool:
    if token is not None:
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and hmac.compare_digest(given.strip().encode(), token.encode()):
            return True
    return is_from_this_machine(request.client.host if request.client else "", request.headers)


def _text(readings: Iterable[Reading]) -> bytes:
    registry = CollectorRegistry(auto_describe=False)
    ProcessCollector(registry=registry)
    registry.register(_Readings(readings))
    return generate_latest(registry)


class _Readings(Collector):
    def __init__(self, readings: Iterable[Reading]) -> None:
        self._readings = readings

    def collect(self) -> Iterator[Metric]:
        """What the registry asks for."""
        return (_family(reading) for reading in self._readings)


def _family(reading: Reading) -> Metric:
    kind = CounterMetricFamily if reading.kind == "counter" else GaugeMetricFamily
    if not isinstance(reading.value, Mapping):
        return kind(reading.name, reading.help, value=reading.value)
    family = kind(reading.name, reading.help, labels=[reading.label])
    for label, value in reading.value.items():
        family.add_metric([label], value)
    return family

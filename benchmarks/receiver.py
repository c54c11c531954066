"""A webhook receiver that takes its time, and remembers when it answered what."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import httpx
import orjson
import uvicorn
from starlette.types import Receive, Scope, Send

from benchmarks.processes import Child, free_port

TAKES_SECONDS = 0.1


class Delivery(NamedTuple):
    """An alert that was answered with 200. `at`: when the monitor went down; `answered_at`: Unix seconds."""

    id: str
    at: str
    answered_at: float


class Receiver(NamedTuple):
    """How the other processes reach it."""

    url: str

    def answered(self) -> int:
        """How many alerts it has answered."""
        return int(httpx.get(f"{self.url}/count", timeout=30).json())

    def take(self) -> list[Delivery]:
        """What it has answered since it was last asked."""
        return [Delivery(*each) for each in httpx.get(f"{self.url}/take", timeout=30).json()]


class Application:
    """POST: an alert. GET /count, GET /take: what was answered."""

    def __init__(self) -> None:
        self._answered: list[Delivery] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] == "POST":
            alert = orjson.loads(await _read(receive))
            await asyncio.sleep(TAKES_SECONDS)
            await _reply(send, b"")
            self._answered.append(Delivery(alert["id"], alert["at"], time.time()))
        elif scope["path"] == "/count":
            await _reply(send, orjson.dumps(len(self._answered)))
        else:
            taken, self._answered = self._answered, []
            await _reply(send, orjson.dumps(taken, default=list))


async def _read(receive: Receive) -> bytes:
    parts: list[bytes] = []
    while True:
        message = await receive()
        parts.append(message.get("body", b""))
        if not message.get("more_body"):
            return b"".join(parts)


async def _reply(send: Send, body: bytes) -> None:
    headers = [(b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


@contextmanager
def slow_receiver(ground: Path) -> Iterator[Receiver]:
    """A receiver in a process of its own."""
    receiver = Receiver(f"http://127.0.0.1:{free_port()}")
    port = receiver.url.rpartition(":")[2]
    with Child([sys.executable, "-m", "benchmarks.receiver", port], ground / "receiver.log") as child:
        child.wait_for(f"{receiver.url}/count")
        yield receiver


if __name__ == "__main__":
    uvicorn.run(
        Application(),
        port=int(sys.argv[1]),
        lifespan="off",
        log_config=None,
        access_log=False,
        loop="uvloop",
        http="httptools",
    )

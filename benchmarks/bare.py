"""The empty 200 of the same HTTP server: uvicorn with the same loop and parser, and nothing behind it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import uvicorn
from starlette.types import Receive, Scope, Send

from benchmarks.processes import Child, free_port

START = {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]}
BODY = {"type": "http.response.body", "body": b""}


async def answer(_scope: Scope, _receive: Receive, send: Send) -> None:
    """Nothing but 200."""
    await send(START)
    await send(BODY)


@contextmanager
def bare_server(ground: Path) -> Iterator[tuple[Child, int]]:
    """A process that answers everything with an empty 200, and its port."""
    port = free_port()
    with Child([sys.executable, "-m", "benchmarks.bare", str(port)], ground / "bare server.log") as child:
        child.wait_for(f"http://127.0.0.1:{port}/")
        yield child, port


if __name__ == "__main__":
    uvicorn.run(
        answer,
        port=int(sys.argv[1]),
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=False,
        backlog=4_096,
        loop="uvloop",
        http="httptools",
    )

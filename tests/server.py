"""The real server for everybody's tests: started as people start it, frozen, killed, and never left behind.

    with Server(tmp_path, http_timeout_seconds=1) as server:
        api = server.api()                   # a new account's key, and the native API with it
        monitor = api.create("backup", **every(2, grace_seconds=1), webhook_url=receiver.url)
        server.ping(monitor)
        server.kill()                        # kill -9
        server.start()                       # on the same port, with the same data

Settings are the fields of tocsin.settings. Nothing of the environment's own TOCSIN_* gets through.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import random
import resource
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Self

import httpx

PATIENCE_SECONDS = 30.0
# Below the ports that the kernel gives to outgoing connections: nobody takes ours while the server is down.
PORTS = range(15_000, 32_000)
PR_SET_PDEATHSIG = 1
SECOND = 1_000_000


class Made(NamedTuple):
    """A data folder that was in use, and the native key of the account in it."""

    data: Path
    key: str


class Server:
    """`tocsin serve` on a port of its own, with its data in `folder`.

    `made`: data to begin with, as a copy; else the server begins with nothing. `open_files` caps how many
    files the process may have open. `now()` and all times in rows are microseconds UTC.
    """

    def __init__(
        self, folder: Path, *, made: Made | None = None, open_files: int | None = None, **settings: object
    ) -> None:
        self.folder = folder
        self._made = made
        if made is not None:
            shutil.copytree(made.data, folder / "data")
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.environment = _environment(folder / "data", settings)
        self.log = folder / "server.log"
        self.errors: Path | None = None  # where standard error goes, if not into the log
        self.client = httpx.Client(base_url=self.url, timeout=PATIENCE_SECONDS, trust_env=False)
        self._open_files = open_files
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.kill()
        self.client.close()

    @property
    def database(self) -> Path:
        return self.folder / "data" / "tocsin.db"

    @property
    def pid(self) -> int:
        assert self._process is not None, "the server is not running"
        return self._process.pid

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start, and return when it is ready."""
        assert self._process is None, "the server is running already"
        command = [sys.executable, "-m", "tocsin", "serve", "--port", str(self.port)]
        with self.log.open("ab") as log, (self.errors or self.log).open("ab") as errors:
            self._process = subprocess.Popen(
                command,
                cwd=self.folder,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=errors,
                preexec_fn=self._bind_to_us,  # noqa: PLW1509 - two system calls, no lock is taken
            )
        self.wait_until(self.is_ready, "the server is ready")

    def stop(self) -> int:
        """Stop as systemd does, with SIGTERM; the exit status."""
        assert self._process is not None, "the server is not running"
        process, self._process = self._process, None
        process.terminate()
        try:
            return process.wait(PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise

    def kill(self) -> None:
        """End it at once (kill -9), whatever state it is in."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def freeze(self) -> None:
        """SIGSTOP: it is there, and does nothing."""
        os.kill(self.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """SIGCONT."""
        os.kill(self.pid, signal.SIGCONT)

    def restart(self) -> None:
        self.stop()
        self.start()

    def output(self) -> str:
        """All that it has printed, over all starts."""
        return self.log.read_text(errors="replace")

    def is_ready(self) -> bool:
        assert self.is_running, f"the server ended:\n{self.output()[-4000:]}"
        try:
            return self.client.get("/readyz", timeout=2).status_code == 200
        except httpx.TransportError:
            return False

    def command(self, *arguments: str, succeeds: bool | None = True) -> str:
        """What another `tocsin …` prints, beside the running server. `succeeds`: None means either."""
        done = subprocess.run(
            [sys.executable, "-m", "tocsin", *arguments],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            check=False,
            text=True,
            timeout=PATIENCE_SECONDS,
        )
        if succeeds is None:
            return done.stdout + done.stderr
        assert (done.returncode == 0) is succeeds, done.stdout + done.stderr
        return done.stdout if succeeds else done.stderr

    def key(self, dialect: str = "tocsin", email: str = "owner@example.com", *more: str) -> str:
        """A new raw key, as `tocsin key create` prints it."""
        return self.command("key", "create", "--dialect", dialect, "--email", email, *more).strip()

    def api(self, key: str | None = None) -> Api:
        """The native API with this key, or with that of an account of its own."""
        return Api(self, key or (self._made.key if self._made else self.key()))

    def ping(self, monitor: Mapping[str, Any], action: str = "", **query: str) -> httpx.Response:
        """Ping once, without retry, as a healthy job does."""
        path = httpx.URL(monitor["ping_url"]).path
        return self.client.get(f"{path}/{action}" if action else path, params=query)

    def rows(self, query: str, *parameters: object) -> list[sqlite3.Row]:
        """Read the database beside the server."""
        with contextlib.closing(sqlite3.connect(self.database, timeout=PATIENCE_SECONDS)) as connection:
            connection.row_factory = sqlite3.Row
            return connection.execute(query, parameters).fetchall()

    def change(self, statement: str, *parameters: object) -> int:
        """Write to the database beside the server; how many rows it changed."""
        with contextlib.closing(sqlite3.connect(self.database, timeout=PATIENCE_SECONDS)) as connection:
            changed = connection.execute(statement, parameters).rowcount
            connection.commit()
            return changed

    @contextlib.contextmanager
    def locked_database(self) -> Iterator[None]:
        """Meanwhile no commit of the server gets through; each waits."""
        connection = sqlite3.connect(self.database, timeout=PATIENCE_SECONDS, isolation_level=None)
        with contextlib.closing(connection):
            connection.execute("BEGIN IMMEDIATE")
            yield
            connection.execute("ROLLBACK")

    def wait_until(
        self, is_so: Callable[[], object], what: str, timeout_seconds: float = PATIENCE_SECONDS
    ) -> None:
        """Look again and again. Raises AssertionError with the end of the server's output."""
        end = time.monotonic() + timeout_seconds
        while not is_so():
            assert time.monotonic() < end, f"not after {timeout_seconds} s: {what}\n{self.output()[-4000:]}"
            time.sleep(0.02)

    def _bind_to_us(self) -> None:
        # If we are killed, nobody else will end it.
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if self._open_files is not None:
            resource.setrlimit(resource.RLIMIT_NOFILE, (self._open_files, self._open_files))


class Api:
    """The native API with one key. Each verb returns what was answered, decoded, and fails on any error."""

    def __init__(self, server: Server, key: str) -> None:
        self.key = key
        self._server = server

    def call(self, method: str, path: str, **rest: Any) -> httpx.Response:
        """Any answer, an error too."""
        headers = {"Authorization": f"Bearer {self.key}", **rest.pop("headers", {})}
        return self._server.client.request(method, f"/api/tocsin/v1{path}", headers=headers, **rest)

    def get(self, path: str, **query: Any) -> Any:
        return _decoded(self.call("GET", path, params=query))

    def post(self, path: str, body: object = None) -> Any:
        return _decoded(self.call("POST", path, json=body))

    def create(self, name: str = "job", **fields: Any) -> dict[str, Any]:
        """A new monitor, by default one that expects a ping every hour and tells nobody by mail."""
        created: dict[str, Any] = self.post("/monitors", {"name": name, "mail": "none", **fields})
        return created

    def create_many(self, drafts: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        """As `create`, many at once; each draft has a name."""
        made = self.post("/monitors/bulk", {"monitors": [{"mail": "none", **draft} for draft in drafts]})
        assert made["refused"] == 0, made["results"]
        return [result["monitor"] for result in made["results"]]

    def items(self, path: str, **query: Any) -> Iterator[dict[str, Any]]:
        """All items of a list, newest first, over all its pages."""
        noun = path.rpartition("/")[2]
        while True:
            page = self.get(path, **{"limit": 100, **query})
            yield from page[noun]
            if not page["next_cursor"]:
                return
            query["cursor"] = page["next_cursor"]

    def flips(self, monitor: Mapping[str, Any]) -> list[dict[str, Any]]:
        """A monitor's changes of status, oldest first."""
        return list(self.items(f"/monitors/{monitor['id']}/flips"))[::-1]


def make_data(folder: Path) -> Made:
    """Data with one account and its native key: quicker to copy than to make."""
    server = Server(folder)
    key = server.key()
    server.client.close()
    return Made(folder / "data", key)


def every(seconds: int, grace_seconds: int = 0) -> dict[str, Any]:
    """The fields of a monitor that expects a ping so often."""
    return {
        "schedule_kind": "interval",
        "schedule_expression": str(seconds),
        "grace_seconds": grace_seconds,
    }


def now() -> int:
    """The machine's wall clock, in microseconds UTC."""
    return time.time_ns() // 1000


def _decoded(response: httpx.Response) -> Any:
    assert response.is_success, f"{response.request.method} {response.url}: {response.text}"
    return response.json() if response.content else None


def _environment(data: Path, settings: Mapping[str, object]) -> dict[str, str]:
    ours = {name: value for name, value in os.environ.items() if not name.startswith("TOCSIN_")}
    given = {f"TOCSIN_{name.upper()}": str(value) for name, value in settings.items()}
    return {**ours, "TOCSIN_DATA": str(data), "PYTHONUNBUFFERED": "1", **given}


def free_port() -> int:
    """A port on which nobody listens, and that no outgoing connection will take."""
    while True:
        port = random.choice(PORTS)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port

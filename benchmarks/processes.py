"""The processes under test: started, watched, always ended."""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

import httpx
import psutil

from benchmarks.scale import BenchmarkError

START_SECONDS = 60
STOP_SECONDS = 30
ROOT = Path(__file__).parents[1]
TOCSIN = Path(sys.executable).with_name("tocsin")
PR_SET_PDEATHSIG = 1


class Usage(NamedTuple):
    """What a process used over a span: percent of one core, and resident megabytes at its end."""

    cpu_percent: float
    rss_mb: float


class Child:
    """A process that ends with the block that it was started for, and with us, whatever happens."""

    def __init__(
        self, command: list[str], log: Path, folder: Path = ROOT, environment: Mapping[str, str] | None = None
    ) -> None:
        self._log = log
        with log.open("ab") as output:
            self._popen = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd=folder,
                env=None if environment is None else dict(environment),
                preexec_fn=_end_with_parent,  # noqa: PLW1509 - no thread of ours is running yet
            )
        self._watched = psutil.Process(self._popen.pid)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._popen.send_signal(signal.SIGTERM)
        try:
            self._popen.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._popen.kill()
            self._popen.wait()
            if _error is None:
                raise BenchmarkError(f"{self._name} did not stop within {STOP_SECONDS} s") from None

    @property
    def cpu_seconds(self) -> float:
        """Processor time used so far."""
        times = self._watched.cpu_times()
        return float(times.user + times.system)

    @property
    def rss_mb(self) -> float:
        """Resident memory now."""
        return float(self._watched.memory_info().rss) / 2**20

    @contextmanager
    def usage(self) -> Iterator[list[Usage]]:
        """Measure over a block; the result is the list's one item after it."""
        result: list[Usage] = []
        started, cpu = time.perf_counter(), self.cpu_seconds
        yield result
        spent = self.cpu_seconds - cpu
        result.append(Usage(100 * spent / (time.perf_counter() - started), self.rss_mb))

    def wait_for(self, url: str) -> None:
        """Return when the address answers 200."""
        give_up_at = time.monotonic() + START_SECONDS
        while time.monotonic() < give_up_at:
            if self._popen.poll() is not None:
                raise BenchmarkError(f"{self._name} ended at its start: {self._last_words()}")
            try:
                if httpx.get(url, timeout=5).status_code == 200:
                    return
            except httpx.TransportError:
                pass
            time.sleep(0.05)
        raise BenchmarkError(f"{self._name} did not answer within {START_SECONDS} s: {self._last_words()}")

    @property
    def _name(self) -> str:
        return self._log.stem

    def _last_words(self) -> str:
        lines = self._log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        return lines[-1] if lines else "it said nothing"


class Server(Child):
    """`tocsin serve` with its data in a folder and the defaults, but for the settings that are named."""

    def __init__(self, data: Path, settings: Mapping[str, str] | None = None) -> None:
        self.data = data
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._environment = _environment(data, settings or {})
        command = [str(TOCSIN), "serve", "--data", str(data), "--port", str(self.port)]
        if not TOCSIN.exists():
            raise BenchmarkError("there is no tocsin command beside this Python: make install")
        # Not in our folder, where a developer's own tocsin.toml may lie.
        super().__init__(command, data.with_suffix(".log"), data.parent, self._environment)

    def __enter__(self) -> Self:
        try:
            self.wait_for(f"{self.url}/readyz")
        except BaseException as error:
            self.__exit__(type(error), error, None)
            raise
        return self

    def make_key(self, dialect: str, project: str) -> str:
        """A new key of the project, which is made where there is none of that name."""
        command = [str(TOCSIN), "key", "create", "--dialect", dialect, "--project", project]
        made = subprocess.run(
            command, cwd=self.data.parent, env=self._environment, capture_output=True, check=False, text=True
        )
        if made.returncode:
            raise BenchmarkError(
                f"tocsin key create failed: {(made.stderr.strip().splitlines() or ['?'])[-1]}"
            )
        return made.stdout.strip()


def call(method: str, url: str, key: str, body: object = None) -> Any:
    """The decoded reply of an API; BenchmarkError for anything but a 2xx."""
    headers = {"Authorization": f"Bearer {key}"} if key.startswith("tsn_") else {"X-Api-Key": key}
    reply = httpx.request(method, url, json=body, headers=headers, timeout=60)
    if not reply.is_success:
        raise BenchmarkError(f"{method} {url} was answered with {reply.status_code}: {reply.text[:200]}")
    return reply.json()


def free_port() -> int:
    """A port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _environment(data: Path, settings: Mapping[str, str]) -> dict[str, str]:
    """Ours, without settings of another Tocsin."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("TOCSIN_")}
    return {**clean, "TOCSIN_DATA": str(data), **settings}


def _end_with_parent() -> None:
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)

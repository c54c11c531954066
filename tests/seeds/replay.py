"""A vendor's page replayed against a server: its samples run as they are, but for the host and the keys."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import shlex
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import httpx

from tests.receivers import Certificate
from tests.seeds.samples import Sample, endpoints, samples
from tests.seeds.shape import Expected
from tests.server import Server

PATIENCE_SECONDS = 30
QUIET_SECONDS = 0.5
BIN = Path(sys.executable).parent
# The samples use `require`, and `await` outside of functions, as Node's own prompt takes them.
REQUIRE = 'import { createRequire } from "node:module"; globalThis.require = createRequire(import.meta.url);'


class Answer(NamedTuple):
    """What came back. Header names are lower case."""

    status: int
    headers: Mapping[str, str]
    body: str

    def json(self) -> Any:
        return json.loads(self.body)


class Page:
    """One seed, the server that it is tried on, and which of its samples were.

    `known`: what stands in the page → what stands for it here; longer ones first win.
    """

    def __init__(self, seed: str, server: Server, folder: Path, known: Mapping[str, str]) -> None:
        self.server = server
        self.folder = folder
        self.known = dict(known)
        self._seed = seed
        self._samples = {sample.line: sample for sample in samples(seed)}
        self._taken: set[int] = set()
        self._asked: set[tuple[str, str]] = set()
        (folder / ".curlrc").write_text(f'dump-header = "{folder / "head"}"\nsilent\nnoproxy = "*"\n')

    def sample(self, line: int, kind: str) -> Sample:
        """The sample that begins in this line of the seed; it counts as tried."""
        sample = self._samples[line]
        assert sample.kind == kind, sample
        self._taken.add(line)
        return sample

    def text(self, line: int, kind: str) -> str:
        """A sample with everything that is known filled in."""
        return self.filled(self.sample(line, kind).text)

    def filled(self, text: str) -> str:
        for placeholder in sorted(self.known, key=len, reverse=True):
            text = text.replace(placeholder, self.known[placeholder])
        return text

    def value(self, line: int) -> Any:
        """The value of a JSON sample, as it is printed."""
        kind = self._samples[line].kind
        return self.sample(line, kind).value()

    def body(self, line: int) -> Any:
        """The value of a JSON sample that is sent, filled in."""
        return json.loads(self.text(line, "json"))

    def curl(self, line: int, status: int, expected: Expected | None = None) -> Answer:
        """Run a curl sample. Its answer has this status and looks as expected."""
        command = self.text(line, "curl")
        answer = self.shell(command)
        self._note(command)
        return judged(answer, status, expected, f"line {line}: {command}")

    def ask(
        self, method: str, path: str, status: int, expected: Expected | None = None, **rest: Any
    ) -> Answer:
        """A request that the page names only in words. `rest` is httpx's."""
        response = self.server.client.request(method, path, **rest)
        self._asked.add((method, path.partition("?")[0]))
        answer = Answer(response.status_code, dict(response.headers), response.text)
        return judged(answer, status, expected, f"{method} {path}")

    def shell(self, command: str, **variables: str) -> Answer:
        """Run a command; the answer is that of its last curl."""
        (self.folder / "head").unlink(missing_ok=True)
        output = self.run(["bash", "-ec", command], **variables)
        # Of several blocks the last: curl writes one for each attempt.
        block = (self.folder / "head").read_text().strip().replace("\r", "").split("\n\n")[-1].split("\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in block[1:])}
        return Answer(int(block[0].split()[1]), headers, output)

    def run(self, command: Sequence[str], **variables: str) -> str:
        """What a command prints, run in the page's folder as a job would be."""
        clean = {name: value for name, value in os.environ.items() if "proxy" not in name.lower()}
        own = {"CURL_HOME": str(self.folder), "HOME": str(self.folder), "PATH": f"{BIN}:{clean['PATH']}"}
        done = subprocess.run(
            command,
            cwd=self.folder,
            env={**clean, **own, **variables},
            capture_output=True,
            check=False,
            text=True,
            timeout=PATIENCE_SECONDS,
        )
        assert done.returncode == 0, (command, done.stdout, done.stderr)
        return done.stdout

    def node(self, script: str, certificate: Certificate) -> None:
        """Run a module of Node that trusts this certificate."""
        for name, text in (("require.mjs", REQUIRE), ("script.mjs", script), ("ca.pem", certificate.pem)):
            (self.folder / name).write_text(text)
        command = ["node", "--import", "./require.mjs", "script.mjs"]
        self.run(command, NODE_EXTRA_CA_CERTS=str(self.folder / "ca.pem"))

    def stub(self, name: str) -> Path:
        """A job that a sample invents: it notes that it ran in `name`.ran."""
        job = self.folder / name
        job.parent.mkdir(parents=True, exist_ok=True)
        job.write_text(f"#!/bin/sh\ntouch {shlex.quote(str(job))}.ran\n")
        job.chmod(0o755)
        return job

    def left(self) -> list[str]:
        """Samples that were not tried, and endpoints of the page that nothing asked for."""
        untried = [
            f"{one.kind} in line {line}" for line, one in self._samples.items() if line not in self._taken
        ]
        unasked = [
            f"{one.method} {one.path}"
            for one in endpoints(self._seed)
            if not any(one.method == method and one.pattern.fullmatch(path) for method, path in self._asked)
        ]
        return untried + sorted(unasked)

    def _note(self, command: str) -> None:
        """Remember what a curl command asks for."""
        url = re.search(r"https?://[^\s\"]+", command)
        assert url is not None
        method = re.search(r"-X (\w+)", command)
        is_head = re.search(r"^curl -I ", command)
        path = httpx.URL(url[0]).path
        self._asked.add((method[1] if method else "HEAD" if is_head else "GET", path))


def judged(answer: Answer, status: int, expected: Expected | None, what: str) -> Answer:
    """The answer, if it is as it should be."""
    assert answer.status == status, (what, answer)
    if expected is not None:
        try:
            expected.check(answer.json())
        except AssertionError as error:
            raise AssertionError(f"{what}\n{answer.body}\n{error}") from error
    return answer


@contextlib.contextmanager
def with_tls(port: int, certificate: Certificate) -> Iterator[str]:
    """An https address that leads to a port of this machine: what samples of Node insist on.

    A quiet connection is ended soon, as proxies do: the samples never read their answer, and Node waits for
    that as long as the connection stands.
    """
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    server = asyncio.run_coroutine_threadsafe(_relay(port, certificate.server_context()), loop).result()
    try:
        yield f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        asyncio.run_coroutine_threadsafe(_end(server), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def _relay(port: int, context: ssl.SSLContext) -> asyncio.Server:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            await asyncio.gather(_pump(reader, inner_writer), _pump(inner_reader, writer))
        finally:
            for end in (writer, inner_writer):
                end.transport.abort()

    return await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError, TimeoutError):
        while data := await asyncio.wait_for(reader.read(65_536), QUIET_SECONDS):
            writer.write(data)
            await writer.drain()
    writer.close()


async def _end(server: asyncio.Server) -> None:
    server.close()
    rest = asyncio.all_tasks() - {asyncio.current_task()}
    for task in rest:
        task.cancel()
    await asyncio.gather(*rest, return_exceptions=True)
    await asyncio.sleep(0.01)  # connection_lost of what was aborted

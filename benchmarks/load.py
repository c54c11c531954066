"""wrk, with a script made for each load."""

from __future__ import annotations

import json
import resource
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from benchmarks.scale import BenchmarkError

WORD = "{word}"
# What curl sends, as most jobs do.
AGENT = "User-Agent: curl/7.88.1\r\nAccept: */*\r\n"
TIMEOUT_SECONDS = 10

SCRIPT = """\
local heads, tails, words, turn, word = {%(heads)s}, {%(tails)s}, {}, 0, ""
function init()
  for line in io.lines(%(words)s) do words[#words + 1] = line end
  math.randomseed(%(seed)d)
end
function request()
  turn = turn %% #heads + 1
  if turn == 1 then word = words[math.random(#words)] end
  return heads[turn] .. word .. tails[turn]
end
function done(summary, latency)
  local errors = summary.errors
  io.write(string.format(
    '{"answered":%%d,"refused":%%d,"broken":%%d,"microseconds":%%d,"p50":%%d,"p95":%%d,"p99":%%d}\\n',
    summary.requests, errors.status, errors.connect + errors.read + errors.write + errors.timeout,
    summary.duration, latency:percentile(50), latency:percentile(95), latency:percentile(99)))
end
"""


class Run(NamedTuple):
    """What wrk saw. `acknowledged`: answers with 2xx; `refused`: other answers; `broken`: connections that
    failed or took too long. `generator_percent`: what wrk itself used of one core."""

    rate: float
    p50_ms: float
    p95_ms: float
    p99_ms: float
    acknowledged: int
    refused: int
    broken: int
    generator_percent: float


def http(method: str, path: str, *, headers: Sequence[str] = (), body: str = "", close: bool = False) -> str:
    """One request as it goes over the wire; `{word}` in it is replaced by another word each time."""
    lines = list(headers)
    if body:
        lines.append(f"Content-Length: {len(body)}")
    if close:
        lines.append("Connection: close")
    head = "".join(f"{line}\r\n" for line in lines)
    return f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{AGENT}{head}\r\n{body}"


def run_load(
    port: int, requests: Sequence[str], words: Path | None, *, connections: int, seconds: float, ground: Path
) -> Run:
    """Send the requests in turn, each turn with one word of the file, as fast as they are answered."""
    script = ground / "load.lua"
    if words is None:
        words = ground / "no words"
        words.write_text("\n", encoding="ascii")
    script.write_text(_script(requests, words), encoding="ascii")
    command = [
        "wrk", "--threads", "1", "--connections", str(connections), "--duration", f"{round(seconds)}s",
        "--timeout", f"{TIMEOUT_SECONDS}s", "--script", str(script), f"http://127.0.0.1:{port}",
    ]  # fmt: skip
    cpu, started = _children_seconds(), time.perf_counter()
    ended = subprocess.run(command, capture_output=True, check=False, text=True)
    used = 100 * (_children_seconds() - cpu) / (time.perf_counter() - started)
    return _read(ended, used)


def _script(requests: Sequence[str], words: Path) -> str:
    parts = [request.partition(WORD) for request in requests]
    return SCRIPT % {
        "heads": ", ".join(json.dumps(head) for head, _, _ in parts),
        "tails": ", ".join(json.dumps(tail) for _, _, tail in parts),
        "words": json.dumps(str(words)),
        "seed": time.time_ns() % 2**31,
    }


def _read(ended: subprocess.CompletedProcess[str], generator_percent: float) -> Run:
    lines = [line for line in ended.stdout.splitlines() if line.startswith("{")]
    if ended.returncode or not lines:
        said = (ended.stderr or ended.stdout).strip().splitlines()
        raise BenchmarkError(f"wrk failed: {said[-1] if said else 'it said nothing'}")
    seen = json.loads(lines[-1])
    return Run(
        rate=seen["answered"] / (seen["microseconds"] / 1e6),
        p50_ms=seen["p50"] / 1_000,
        p95_ms=seen["p95"] / 1_000,
        p99_ms=seen["p99"] / 1_000,
        acknowledged=seen["answered"] - seen["refused"],
        refused=seen["refused"],
        broken=seen["broken"],
        generator_percent=generator_percent,
    )


def _children_seconds() -> float:
    """Processor time of the children that have ended; during a load that is wrk alone."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime

"""What the figures were measured on, and the load generator that must be there."""

from __future__ import annotations

import os
import platform
import shutil
import sqlite3
import statistics
import subprocess
import time
from importlib.metadata import version
from pathlib import Path

import psutil

from benchmarks.report import Row, amount
from benchmarks.scale import BenchmarkError

SYNCS = 200
IN_MEMORY = ("tmpfs", "ramfs")


def describe(ground: Path) -> list[Row]:
    """The machine, without its name."""
    memory = psutil.virtual_memory().total / 2**30
    return [
        ("processor", f"{_processor()}, {os.cpu_count()} cores"),
        ("load before the run", f"{os.getloadavg()[0]:.2f}"),
        ("memory", amount(memory, "GiB")),
        ("kernel", f"{platform.system()} {platform.release()}"),
        ("disk", f"{_file_system(ground)}, {_sync_latency(ground)}"),
        ("Python", platform.python_version()),
        ("SQLite", sqlite3.sqlite_version),
        ("uvicorn", version("uvicorn")),
        ("load generator", "wrk, 1 thread; empty requests come from the same script as pings"),
    ]


def need_disk(ground: Path) -> None:
    """Refuse a folder that is in memory: durable would mean nothing there."""
    if _file_system(ground) in IN_MEMORY:
        raise BenchmarkError(f"{ground} is in memory, where nothing is durable: name a folder with --ground")


def need_wrk() -> None:
    """Install wrk where it is missing and we may, else say how."""
    if shutil.which("wrk") is None and os.geteuid() == 0 and shutil.which("apt-get"):
        subprocess.run(["apt-get", "install", "--yes", "--quiet", "wrk"], check=False, capture_output=True)
    if shutil.which("wrk") is None:
        raise BenchmarkError("wrk, the load generator, is missing: apt-get install wrk")


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return value.strip()
    return platform.machine()


def _file_system(folder: Path) -> str:
    """The type of the file system that holds the folder."""
    holding = [each for each in psutil.disk_partitions(all=True) if folder.is_relative_to(each.mountpoint)]
    return max(holding, key=lambda each: len(each.mountpoint)).fstype if holding else "unknown"


def _sync_latency(folder: Path) -> str:
    """How long fdatasync takes after 4 kB were appended."""
    path = folder / "sync"
    took_ms: list[float] = []
    with path.open("wb", buffering=0) as file:
        for _ in range(SYNCS):
            file.write(bytes(4096))
            started = time.perf_counter()
            os.fdatasync(file.fileno())
            took_ms.append((time.perf_counter() - started) * 1_000)
    path.unlink()
    p99 = statistics.quantiles(took_ms, n=100)[98]
    return f"fdatasync p50 {amount(statistics.median(took_ms), 'ms')}, p99 {amount(p99, 'ms')}"

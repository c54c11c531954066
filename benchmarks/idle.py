"""What a server costs that has many monitors and nothing to do."""

from __future__ import annotations

import time
from pathlib import Path

from benchmarks.processes import Server
from benchmarks.report import Budget, Figure, Section
from benchmarks.scale import Scale

SETTLE_SECONDS = 3
NOTE = "No ping arrives and no deadline passes; the span begins 3 s after the server was ready."


def measure(scale: Scale, many: Path, settings: dict[str, str]) -> Section:
    """Processor and memory over `idle_seconds`, after a start."""
    with Server(many, settings) as server:
        time.sleep(SETTLE_SECONDS)
        with server.usage() as usage:
            time.sleep(scale.idle_seconds)
    what = f"idle with {scale.many:,} monitors"
    figures = [
        Figure(f"{what}: CPU of one core", usage[0].cpu_percent, "%", Budget("<=", 1)),
        Figure(f"{what}: resident memory", usage[0].rss_mb, "MB", Budget("<=", 160)),
    ]
    return Section("Idle", NOTE, figures)

"""How much is measured, and for how long."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


class BenchmarkError(Exception):
    """One line that says why something could not be measured."""


@dataclass(frozen=True, slots=True)
class Scale:
    """`few` and `many` are numbers of monitors, `due` how many go silent in each of
    the `crowds`, `listed` how many a list has. `ground` is the folder on whose disk all is measured."""

    ground: Path
    seconds: int = 6
    sustained_seconds: int = 60
    idle_seconds: int = 20
    few: int = 1_000
    many: int = 1_000_000
    due: int = 10_000
    listed: int = 10_000
    crowds: int = 2
    connections: tuple[int, ...] = (64, 128, 256)

    @property
    def most_connections(self) -> int:
        """What the budgets are judged at."""
        return self.connections[-1]


def full(ground: Path, seconds: int | None) -> Scale:
    """What docs/benchmarks.md is made of; about ten minutes."""
    return Scale(ground) if seconds is None else Scale(ground, seconds)


def quick(ground: Path, seconds: int | None) -> Scale:
    """A look, in less than two minutes."""
    return Scale(
        ground,
        seconds or 2,
        sustained_seconds=8,
        idle_seconds=5,
        many=100_000,
        due=5_000,
        crowds=1,
        connections=(256,),
    )

"""Figures, the budget beside each, and how they are written down."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

Row = Sequence[str]
INTRODUCTION = """\
Measured on {date} with `{command}`. Load generator, receivers and server share the machine below, so figures
of one run compare with each other; those of two machines do not.
"""


class Budget(NamedTuple):
    """A limit of docs/benchmarks.md, in the figure's unit."""

    sign: Literal[">=", "<=", "<"]
    limit: float

    def holds(self, value: float) -> bool:
        """Whether a value is within."""
        match self.sign:
            case ">=":
                return value >= self.limit
            case "<=":
                return value <= self.limit
            case "<":
                return value < self.limit


class Figure(NamedTuple):
    """One measured number. Without a budget it is there to compare with."""

    what: str
    value: float
    unit: str = ""
    budget: Budget | None = None

    @property
    def cells(self) -> Row:
        """Its row in the table of budgets."""
        if self.budget is None:
            return (self.what, amount(self.value, self.unit), "", "")
        verdict = "met" if self.budget.holds(self.value) else "**missed**"
        limit = f"{self.budget.sign} {amount(self.budget.limit, self.unit)}"
        return (self.what, amount(self.value, self.unit), limit, verdict)


@dataclass(frozen=True, slots=True)
class Section:
    """What one measurement found. `note` says how it was made; `heads` and `rows` are its details."""

    title: str
    note: str
    figures: Sequence[Figure]
    heads: Row = ()
    rows: Sequence[Row] = field(default_factory=list)
    lost_pings: int = 0


def amount(value: float, unit: str = "") -> str:
    """A number as people read it: three digits that mean something, and its unit."""
    if abs(value) >= 100 or value == int(value):
        text = f"{value:,.0f}"
    else:
        text = f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"
    return f"{text} {unit}".rstrip()


def table(heads: Row, rows: Iterable[Row]) -> str:
    """A Markdown table whose columns line up, so that it reads well on a terminal too."""
    lines = [heads, *rows]
    widths = [max(3, *(len(line[column]) for line in lines)) for column in range(len(heads))]
    ruled = [heads, ["-" * width for width in widths], *lines[1:]]
    return "\n".join("| " + " | ".join(map(str.ljust, line, widths)) + " |" for line in ruled) + "\n"


def budget_table(sections: Iterable[Section]) -> str:
    """Every figure with its budget."""
    figures = [figure.cells for section in sections for figure in section.figures]
    return table(("what", "measured", "budget", "verdict"), figures)


def page(sections: Sequence[Section], machine: Sequence[Row], command: str, date: str) -> str:
    """docs/benchmarks.md."""
    parts = [
        "# Benchmarks\n",
        INTRODUCTION.format(date=date, command=command),
        budget_table(sections),
        "## The machine\n",
        table(("what", "it is"), machine),
    ]
    for section in sections:
        parts += [f"## {section.title}\n", section.note + "\n"]
        if section.rows:
            parts.append(table(section.heads, section.rows))
    return "\n".join(parts)

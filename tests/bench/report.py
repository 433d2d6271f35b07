"""What a measurement says: a table of what was seen, and goals as ratios judged on the median of the rounds."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from unicodedata import east_asian_width


def percentile(values: Sequence[float], percent: float) -> float:
    """The value that `percent` of the values do not exceed (nearest rank)."""
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * percent // 100).__int__() - 1)]


@dataclass(frozen=True)
class Goal:
    """One goal: the ratio (or value) of each round, and what its median may be at most, or has to be at least."""

    name: str
    found: Sequence[float]
    limit: float
    at_least: bool = False
    unit: str = "×"
    note: str = ""

    @property
    def median(self) -> float:
        """What the goal is judged on."""
        return statistics.median(self.found)

    @property
    def met(self) -> bool:
        """Whether the median keeps the limit."""
        return self.median >= self.limit if self.at_least else self.median <= self.limit

    @property
    def binding(self) -> bool:
        """Whether missing it makes the run fail: a stretch goal does not."""
        return "stretch" not in self.name

    def row(self) -> tuple[str, ...]:
        """The goal as a line of the table of goals."""
        found = f"{self.median:.2f}{self.unit}"
        spread = f"{min(self.found):.2f}…{max(self.found):.2f}" if len(self.found) > 1 else ""
        limit = f"{'≥' if self.at_least else '≤'} {self.limit:g}{self.unit}"
        return self.name, found, spread, limit, "met" if self.met else "MISSED", self.note


@dataclass
class Report:
    """The outcome of one part of the benchmark."""

    title: str
    columns: tuple[str, ...]
    rows: list[tuple[str, ...]] = field(default_factory=list)
    goals: list[Goal] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def print(self) -> None:
        """Show it."""
        print(f"\n== {self.title}")
        for line in table(self.columns, self.rows):
            print(f"   {line}")
        for note in self.notes:
            print(f"   ({note})")
        if self.goals:
            print()
            for line in table(("goal", "median", "min…max", "limit", "", ""), [goal.row() for goal in self.goals]):
                print(f"   {line}")


def table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows under their columns, the first flush left, the others flush right."""
    lines = [columns, *rows]
    widths = [max(_cells(line[at]) for line in lines) for at in range(len(columns))]
    return ["  ".join(_padded(cell, widths[at], at == 0) for at, cell in enumerate(line)).rstrip() for line in lines]


def _cells(text: str) -> int:
    return sum(2 if east_asian_width(character) in "WF" else 1 for character in text)


def _padded(text: str, width: int, left: bool) -> str:
    space = " " * (width - _cells(text))
    return text + space if left else space + text

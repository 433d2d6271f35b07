"""The table at the end, on the screen and as text for tests/README.md."""

import unicodedata
from collections.abc import Sequence

from msgspec import Struct


class Result(Struct, frozen=True):
    """What became of one scenario."""

    name: str
    passed: bool
    seconds: float
    figures: str

    def row(self) -> tuple[str, str, str, str]:
        """Its cells."""
        return self.name, "passed" if self.passed else "FAILED", f"{self.seconds:.0f} s", self.figures


HEAD = ("scenario", "result", "time", "what was seen")


def plain(results: Sequence[Result]) -> list[str]:
    """Columns that line up on a terminal."""
    rows = [HEAD, *(each.row() for each in results)]
    widths = [max(_width(row[column]) for row in rows) for column in range(3)]
    return [
        "  ".join([*(_padded(cell, width) for cell, width in zip(row, widths, strict=False)), row[3]]) for row in rows
    ]


def markdown(results: Sequence[Result]) -> list[str]:
    """The same for a README."""
    rows = [HEAD, ("---",) * 4, *(each.row() for each in results)]
    return ["| " + " | ".join(cell.replace("|", "¦") for cell in row) + " |" for row in rows]


def _padded(cell: str, width: int) -> str:
    return cell + " " * (width - _width(cell))


def _width(cell: str) -> int:
    return sum(2 if unicodedata.east_asian_width(sign) in "WF" else 1 for sign in cell)

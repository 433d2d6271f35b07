"""A sheet is a document laid out in cells: what layout makes, painters paint, and a printer's bytes are read into."""

import msgspec

from appliance.paper.document import Size

CELL = 12
"""Dots across one cell: a letter takes one cell, a Chinese character two."""

ROW = 24
"""Dots down one character of normal size."""

PITCH = {"normal": 30, "tall": 54, "large": 54}
"""Dots from the top of one line to the top of the next, by size."""

WIDE = {"normal": 1, "tall": 1, "large": 2}
HIGH = {"normal": 1, "tall": 2, "large": 2}

MISSING = "〓"
"""Stands in the line for a character that no font has (GB 2312 has this sign for that purpose)."""


class Mark(msgspec.Struct, frozen=True):
    """One character in its cells; `drawn` when the printer has no such character and is sent a picture of it.

    `dots` are 72 bytes, 24 columns of 24 dots from the top; layout leaves them empty, a reader of bytes fills them in.
    """

    char: str
    cells: int
    drawn: bool = False
    dots: bytes = b""


class Line(msgspec.Struct, frozen=True):
    """One line: `indent` cells of normal width left empty, then marks, all in one size."""

    marks: tuple[Mark, ...] = ()
    indent: int = 0
    size: Size = "normal"
    bold: bool = False

    @property
    def cells(self) -> int:
        """How many cells of normal width the line takes."""
        return self.indent + WIDE[self.size] * sum(mark.cells for mark in self.marks)


class Code(msgspec.Struct, frozen=True):
    """A QR code in the middle of the paper, as its text or, read back from a picture, as rows of modules."""

    payload: str
    module: int
    modules: tuple[tuple[bool, ...], ...] = ()


class Sheet(msgspec.Struct, frozen=True):
    """A paper `width` cells wide, and the characters on it for which no font had a glyph."""

    width: int
    rows: tuple[Line | Code, ...]
    missing: tuple[str, ...] = ()

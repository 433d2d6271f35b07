"""Paints a sheet as the picture of the paper that comes out of the printer."""

import io
from typing import TYPE_CHECKING

from appliance.paper.glyphs import Glyphs
from appliance.paper.qr import QUIET, modules, side
from appliance.paper.sheet import CELL, HIGH, PITCH, ROW, WIDE, Code, Line, Mark, Sheet

if TYPE_CHECKING:
    from PIL.Image import Image

MARGIN = 36
"""Dots of white beside, above and below what is printed, as real paper has."""

_PAPER, _INK = 255, 20


def paint(sheet: Sheet, glyphs: Glyphs, scale: int = 2) -> bytes:
    """The sheet as PNG, `scale` pixels a dot; characters without a font on this machine are boxes."""
    out = io.BytesIO()
    image(sheet, glyphs, scale).save(out, "PNG", optimize=True)
    return out.getvalue()


def image(sheet: Sheet, glyphs: Glyphs, scale: int) -> "Image":
    """The sheet as a grey picture, white paper and dark ink."""
    from PIL import Image

    wide = sheet.width * CELL
    tall = sum(_height(row, wide) for row in sheet.rows)
    ink = Image.new("L", ((wide + 2 * MARGIN) * scale, (tall + 2 * MARGIN) * scale))
    top = MARGIN
    for row in sheet.rows:
        if isinstance(row, Code):
            _draw_code(ink, row, wide, top, scale)
        else:
            _draw_line(ink, row, top, glyphs, scale)
        top += _height(row, wide)
    return ink.point(lambda grey: _PAPER - grey * (_PAPER - _INK) // 255)


def _height(row: Line | Code, wide: int) -> int:
    if isinstance(row, Line):
        return PITCH[row.size]
    squares = row.modules or modules(row.payload)
    return (len(squares) + 2 * QUIET) * side(len(squares), row.module, wide)


def _draw_line(ink: "Image", line: Line, top: int, glyphs: Glyphs, scale: int) -> None:
    left = MARGIN + line.indent * CELL
    for mark in line.marks:
        drawn = _mark(mark, line, glyphs, scale)
        ink.paste(drawn, (left * scale, top * scale), drawn)
        if line.bold:  # as the printer does it: struck twice, one dot apart
            ink.paste(drawn, ((left + 1) * scale - scale // 2, top * scale), drawn)
        left += mark.cells * WIDE[line.size] * CELL


def _mark(mark: Mark, line: Line, glyphs: Glyphs, scale: int) -> "Image":
    if mark.dots:
        return _from_dots(mark.dots, scale)
    high = ROW * HIGH[line.size] * scale
    grey = glyphs.grey(mark.char, mark.cells, high)
    return grey.resize((grey.width // 2, high)) if line.size == "tall" else grey


def _from_dots(dots: bytes, scale: int) -> "Image":
    """A drawn character as the printer burns it: its columns are the rows of the picture on its side."""
    from PIL import Image

    on_its_side = Image.frombytes("1", (ROW, len(dots) * 8 // ROW), dots).convert("L")
    upright = on_its_side.transpose(Image.Transpose.TRANSPOSE)
    return upright.resize((upright.width * scale, upright.height * scale), Image.Resampling.NEAREST)


def _draw_code(ink: "Image", code: Code, wide: int, top: int, scale: int) -> None:
    from PIL import Image

    squares = code.modules or modules(code.payload)
    dots = side(len(squares), code.module, wide) * scale
    small = Image.new("L", (len(squares), len(squares)))
    small.putdata([255 * black for row in squares for black in row])
    large = small.resize((small.width * dots, small.height * dots), Image.Resampling.NEAREST)
    left = MARGIN * scale + (wide * scale - large.width) // 2
    ink.paste(large, (left, top * scale + QUIET * dots))

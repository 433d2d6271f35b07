"""Rows and columns in cells: a column has its width or a share of what is left; a long cell goes on below itself."""

from collections.abc import Callable, Iterable

from appliance.paper.document import Align, Column, Size, Table
from appliance.paper.sheet import WIDE, Line, Mark
from appliance.paper.wrapping import width, without_end_spaces, wrap

_Marks = tuple[Mark, ...]
_SPACE = Mark(" ", 1)
_GAP = 1
_NARROWEST = 4
"""Cells below which a shared column is no column any more, and rows are set as paragraphs."""


def table_lines(table: Table, cells: int, size: Size, marks: Callable[[str], _Marks]) -> Iterable[Line]:
    """The lines of a table on paper `cells` wide; `marks` turns a cell's text into marks."""
    room = cells // WIDE[size]
    widths = _widths(table.columns, room)
    titles = tuple(column.title for column in table.columns)
    for row in (titles, *table.rows) if any(titles) else table.rows:
        bold = row is titles
        texts = [marks(text) for text in row]
        for line in _row(texts, table.columns, widths) if widths else _stacked(texts, room):
            yield Line(line, 0, size, bold)


def _widths(columns: tuple[Column, ...], room: int) -> list[int] | None:
    """Cells of each column, or None where the paper is too narrow for them."""
    shared = sum(column.cells == 0 for column in columns)
    left = room - sum(column.cells for column in columns) - _GAP * (len(columns) - 1)
    if left < shared * _NARROWEST or any(column.cells == 1 for column in columns):
        return None
    share, extra = divmod(left, shared) if shared else (0, 0)
    widths = []
    for column in columns:
        widths.append(column.cells or share + (extra > 0))
        extra -= column.cells == 0
    return widths


def _row(texts: list[_Marks], columns: tuple[Column, ...], widths: list[int]) -> Iterable[_Marks]:
    wrapped = [wrap(text, cells) for text, cells in zip(texts, widths, strict=False)]
    for number in range(max(map(len, wrapped), default=0)):
        line: _Marks = ()
        for cell, column, cells in zip(wrapped, columns, widths, strict=False):
            line += _set(cell[number] if number < len(cell) else (), cells, column.align) + (_SPACE,) * _GAP
        yield without_end_spaces(line)


def _set(marks: _Marks, cells: int, align: Align) -> _Marks:
    """Marks with the spaces that place them in a column."""
    spare = cells - width(marks)
    before = {"left": 0, "centre": spare // 2, "right": spare}[align]
    return (_SPACE,) * before + marks + (_SPACE,) * (spare - before)


def _stacked(texts: list[_Marks], room: int) -> Iterable[_Marks]:
    line: _Marks = ()
    for text in texts:
        line += (*text, _SPACE)
    return wrap(line, room)

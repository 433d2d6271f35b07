"""Lays a document out in cells, once for every painter: wrapping, hanging indents, tables, rare characters."""

from collections.abc import Iterable

from appliance.paper.characters import Drawable, absent, mark, normalise
from appliance.paper.document import QR, Align, Block, Document, Feed, KeyValue, Rule, Size, Table, Text
from appliance.paper.sheet import MISSING, WIDE, Code, Line, Mark, Sheet
from appliance.paper.table import table_lines
from appliance.paper.wrapping import width, wrap

_Marks = tuple[Mark, ...]


def lay_out(document: Document, cells: int, drawable: Drawable) -> Sheet:
    """The document on paper `cells` wide (32 on 58 mm, 48 on 80 mm).

    `drawable` tells whether a font has a character that the printer lacks; one that nobody has becomes 〓 in the line,
    a line `〓=U+XXXXX` under its block, and an entry of `Sheet.missing`.
    """
    rows: list[Line | Code] = []
    missing: dict[str, None] = {}
    for block in document.blocks:
        rows += _rows(block, cells, drawable)
        lost = absent(normalise(_words(block)), drawable)
        rows += [Line(tuple(mark(char, drawable) for char in f"{MISSING}=U+{ord(sign):04X}")) for sign in lost]
        missing.update(dict.fromkeys(lost))
    return Sheet(cells, tuple(rows), tuple(missing))


def _words(block: Block) -> str:
    """All data of a block, to look for characters in."""
    match block:
        case Text():
            return block.text
        case KeyValue():
            return block.key + block.value
        case Table():
            return "".join(column.title for column in block.columns) + "".join(map("".join, block.rows))
        case _:
            return ""


def _rows(block: Block, cells: int, drawable: Drawable) -> Iterable[Line | Code]:
    match block:
        case Text():
            return _paragraphs(block, cells, drawable)
        case KeyValue():
            return _key_value(block, cells, drawable)
        case Table():
            size = _size(block.size, _marks(_words(block), drawable))
            return table_lines(block, cells, size, lambda text: _marks(normalise(text).replace("\n", " "), drawable))
        case Rule():
            return [Line((Mark("━" if block.heavy else "─", 2),) * (cells // 2))]
        case QR():
            return [Code("".join(normalise(block.payload).split("\n")), block.module)]
        case Feed():
            return [Line()] * block.lines


def _marks(text: str, drawable: Drawable) -> _Marks:
    return tuple(mark(char, drawable) for char in normalise(text))


def _size(size: Size, marks: _Marks) -> Size:
    """The size that a printer can give these marks: a drawn character cannot be enlarged by it, so its line is not."""
    return "normal" if any(one.drawn for one in marks) else size


def _fitting(size: Size, marks: _Marks, cells: int) -> Size:
    """A number too long to stand large in one line stands tall: broken in two, it is read as two numbers."""
    number = all(one.cells == 1 for one in marks) and not any(one.char == " " for one in marks)
    return "tall" if size == "large" and number and cells // WIDE[size] < width(marks) <= cells else size


def _paragraphs(block: Text, cells: int, drawable: Drawable) -> Iterable[Line]:
    for paragraph in normalise(block.text).split("\n"):
        marks = _marks(paragraph, drawable)
        size = _fitting(_size(block.size, marks), marks, cells)
        bold = block.bold or size != block.size
        for line in wrap(marks, cells // WIDE[size]):
            yield Line(line, _indent(line, size, cells, block.align), size, bold)


def _indent(line: _Marks, size: Size, cells: int, align: Align) -> int:
    spare = cells - WIDE[size] * width(line)
    if align == "left" or not line:
        return 0
    return spare if align == "right" else spare // 2


def _key_value(block: KeyValue, cells: int, drawable: Drawable) -> Iterable[Line]:
    """`key：value`; under a key that takes more than half the line the value has lines of its own."""
    key = _marks(" ".join(block.key.split()) + "：", drawable)
    paragraphs = [_marks(part, drawable) for part in normalise(block.value).split("\n")]
    size = _size(block.size, key + tuple(one for part in paragraphs for one in part))
    bold = block.bold or size != block.size
    room = cells // WIDE[size]
    hang = width(key) if width(key) * 2 <= room else 2
    lines = [line for part in paragraphs for line in wrap(part, room - hang)]
    if hang == width(key):
        yield Line(key + lines.pop(0), 0, size, bold)
    else:
        yield from (Line(line, 0, size, bold) for line in wrap(key, room))
    yield from (Line(line, hang * WIDE[size], size, bold) for line in lines)

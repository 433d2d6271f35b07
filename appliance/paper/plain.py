"""Paints a sheet as plain text, a row a line: for the journal, for a reader's eyes, for comparing painters."""

from appliance.paper import phrases
from appliance.paper.sheet import Code, Line, Sheet


def paint(sheet: Sheet) -> str:
    """The sheet as text, ending in a line feed; enlarged lines look like the others."""
    return "".join(f"{_row(row)}\n" for row in sheet.rows)


def _row(row: Line | Code) -> str:
    if isinstance(row, Code):
        return phrases.QR_TEXT.format(payload=row.payload)
    return " " * row.indent + "".join(mark.char for mark in row.marks)

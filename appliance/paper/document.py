"""A document is what a paper says, before any printer, width or font: stored as JSON, laid out anew for a reprint."""

from typing import Literal

import msgspec

Size = Literal["normal", "tall", "large"]
"""`normal`, `tall` (twice as high) or `large` (twice as high and as wide)."""

Align = Literal["left", "centre", "right"]


class Text(msgspec.Struct, frozen=True, tag="text"):
    """A paragraph; a line feed inside begins a new line."""

    text: str
    size: Size = "normal"
    align: Align = "left"
    bold: bool = False


class KeyValue(msgspec.Struct, frozen=True, tag="key_value"):
    """A label and what it is, continued under its own beginning when it is long."""

    key: str
    value: str
    size: Size = "normal"
    bold: bool = False


class Rule(msgspec.Struct, frozen=True, tag="rule"):
    """A line across the paper."""

    heavy: bool = False


class Column(msgspec.Struct, frozen=True):
    """One column of a table: `cells` wide, or 0 for a share of what the others leave."""

    title: str = ""
    cells: int = 0
    align: Align = "left"


class Table(msgspec.Struct, frozen=True, tag="table"):
    """Rows under column titles; a cell that is too long goes on below itself."""

    columns: tuple[Column, ...]
    rows: tuple[tuple[str, ...], ...]
    size: Size = "normal"


class QR(msgspec.Struct, frozen=True, tag="qr"):
    """A QR code of ASCII text, in the middle of the paper; `module` is the side of one of its squares in dots."""

    payload: str
    module: int = 5


class Feed(msgspec.Struct, frozen=True, tag="feed"):
    """Empty lines."""

    lines: int = 1


Block = Text | KeyValue | Rule | Table | QR | Feed


class Document(msgspec.Struct, frozen=True):
    """Everything one paper says, from top to bottom."""

    blocks: tuple[Block, ...]


def encode(document: Document) -> bytes:
    """The document as the JSON that the ledger keeps."""
    return msgspec.json.encode(document)


def decode(data: bytes) -> Document:
    """The document from its JSON; raises `msgspec.DecodeError` for anything else."""
    return msgspec.json.decode(data, type=Document)

"""Which characters a font file has: its `cmap` table, read straight from the file.

Pillow draws an empty box for a character that a font lacks and tells nobody; fontTools would tell, but is a large
package for one question. Formats 12 and 4 are what every font with Chinese characters carries (OpenType 1.9, `cmap`).
"""

import struct
from bisect import bisect_right
from pathlib import Path
from typing import BinaryIO

Spans = list[tuple[int, int]]
"""Inclusive ranges of code points, in order."""


class NotAFont(ValueError):
    """The file has no table of characters that can be read."""


class Characters:
    """The set of characters of one face of a font file."""

    def __init__(self, spans: Spans) -> None:
        self._starts = [start for start, _ in spans]
        self._ends = [end for _, end in spans]

    def __contains__(self, char: str) -> bool:
        at = bisect_right(self._starts, ord(char)) - 1
        return at >= 0 and ord(char) <= self._ends[at]


def characters(path: Path, face: int = 0) -> Characters:
    """The characters of face number `face` of a .ttf, .otf or .ttc; raises OSError or NotAFont."""
    try:
        with path.open("rb") as file:
            return Characters(_spans(_cmap(file, face)))
    except (struct.error, IndexError) as broken:
        raise NotAFont(f"{path}: {broken}") from broken


def _cmap(file: BinaryIO, face: int) -> bytes:
    """The whole `cmap` table; the rest of the file, up to 30 MB, is not read."""
    start = 0
    if file.read(4) == b"ttcf":
        file.seek(12 + 4 * face)
        (start,) = struct.unpack(">I", file.read(4))
    file.seek(start + 4)
    (tables,) = struct.unpack(">H6x", file.read(8))
    for _ in range(tables):
        tag, offset, length = struct.unpack(">4s4xII", file.read(16))
        if tag == b"cmap":
            file.seek(offset)
            return file.read(length)
    raise NotAFont("no cmap table")


def _spans(cmap: bytes) -> Spans:
    (count,) = struct.unpack_from(">2xH", cmap)
    offsets = [struct.unpack_from(">4xI", cmap, 4 + 8 * number)[0] for number in range(count)]
    formats = {struct.unpack_from(">H", cmap, offset)[0]: offset for offset in offsets}
    if 12 in formats:
        return _format_12(cmap, formats[12])
    if 4 in formats:
        return _format_4(cmap, formats[4])
    raise NotAFont(f"cmap formats {sorted(formats)}")


def _format_12(cmap: bytes, offset: int) -> Spans:
    (groups,) = struct.unpack_from(">12xI", cmap, offset)
    found = struct.iter_unpack(">III", cmap[offset + 16 : offset + 16 + 12 * groups])
    # Glyph 0 is the empty box itself.
    return [(start if glyph else start + 1, end) for start, end, glyph in found if glyph or end > start]


def _format_4(cmap: bytes, offset: int) -> Spans:
    (doubled,) = struct.unpack_from(">6xH", cmap, offset)
    ends, starts, deltas, ranges = (
        struct.unpack_from(f">{doubled // 2}H", cmap, offset + 14 + part * doubled + (2 if part else 0))
        for part in range(4)
    )
    found: Spans = []
    for number, (start, end, delta, reach) in enumerate(zip(starts, ends, deltas, ranges, strict=True)):
        base = offset + 16 + 3 * doubled + 2 * number + reach
        for code in range(start, min(end, 0xFFFE) + 1):
            glyph = struct.unpack_from(">H", cmap, base + 2 * (code - start))[0] if reach else code
            if glyph and (glyph + delta) & 0xFFFF:
                found.append((code, code))
    return found

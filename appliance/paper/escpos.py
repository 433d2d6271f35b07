"""Paints a sheet as the one string of bytes that makes a receipt printer print it.

Chinese goes out as GBK in Chinese mode, never as UTF-8, never as a four-byte GB18030 code; what GBK lacks goes out as a
picture of 24 by 24 dots in the line. Every string starts by initialising the printer and ends by asking whether it was
carried out.
"""

from collections.abc import Callable, Iterable
from itertools import groupby

from appliance.paper.document import Size
from appliance.paper.profile import Profile
from appliance.paper.qr import QUIET, Modules, modules, side
from appliance.paper.sheet import PITCH, Code, Line, Mark, Sheet

START = b"\x1b@\x1c&\x1b3\x1e"
"""Initialise, Chinese mode (off after an initialise on several makes), line pitch of 30 dots."""

JOB_END = b"\x1dr\x01"
"""Asks for the paper status in its turn: the answer means that everything before it was carried out."""

CUT = b"\x1dVB\x00"
_GS_SIZE = {"normal": b"\x1d!\x00", "tall": b"\x1d!\x01", "large": b"\x1d!\x11"}
_FS_SIZE = {"normal": b"\x1c!\x00", "tall": b"\x1c!\x08", "large": b"\x1c!\x0c"}
_CENTRE, _LEFT = b"\x1ba\x01", b"\x1ba\x00"
_BOLD, _LIGHT = b"\x1bE\x01", b"\x1bE\x00"
_DRAWN = b"\x1b*!\x18\x00"

Dots = Callable[[str], bytes]
"""The 72 bytes of a drawn character: 24 columns from the left, each three bytes from the top."""


def paint(sheet: Sheet, profile: Profile, dots: Dots) -> bytes:
    """The sheet as one job; `dots` draws the characters that the printer lacks."""
    body = b"".join(_code(row, profile) if isinstance(row, Code) else _line(row, profile, dots) for row in sheet.rows)
    # The cutter's command feeds as far as the blade by itself.
    return START + body + (CUT if profile.cutter else b"\n" * profile.tear_lines) + JOB_END


def _line(line: Line, profile: Profile, dots: Dots) -> bytes:
    text = b"".join(_run(drawn, [mark.char for mark in group], dots) for drawn, group in _runs(line))
    if line.bold:
        text = _BOLD + text + _LIGHT
    if line.size != "normal":
        text = _sized(line.size, profile) + text
    return b" " * line.indent + text + b"\n" + (_sized("normal", profile) if line.size != "normal" else b"")


def _runs(line: Line) -> Iterable[tuple[bool, Iterable[Mark]]]:
    return groupby(line.marks, key=lambda mark: mark.drawn)


def _run(drawn: bool, chars: list[str], dots: Dots) -> bytes:
    return b"".join(_DRAWN + dots(char) for char in chars) if drawn else "".join(chars).encode("gbk")


def _sized(size: Size, profile: Profile) -> bytes:
    """Size and pitch for the lines that follow."""
    chinese = _FS_SIZE[size] if profile.enlarge == "fs" else b""
    return _GS_SIZE[size] + chinese + b"\x1b3" + bytes([PITCH[size]])


def _code(code: Code, profile: Profile) -> bytes:
    squares = modules(code.payload)
    dots = side(len(squares), code.module, profile.dots)
    border = b"\x1bJ" + bytes([min(255, dots * QUIET)])
    drawing = _native(code.payload, dots) if profile.native_qr else _raster(squares, dots)
    return _CENTRE + border + drawing + border + _LEFT


def _native(payload: str, dots: int) -> bytes:
    """`GS ( k`: model 2, side of a square, error correction M, store, print."""
    data = payload.encode()
    length = (len(data) + 3).to_bytes(2, "little")
    return (
        b"\x1d(k\x04\x001A2\x00"
        + (b"\x1d(k\x03\x001C" + bytes([min(16, dots)]))
        + b"\x1d(k\x03\x001E1"
        + (b"\x1d(k" + length + b"1P0" + data)
        + b"\x1d(k\x03\x001Q0"
    )


def _raster(squares: Modules, dots: int) -> bytes:
    """`GS v 0`: the squares as a picture of `dots` each."""
    across = (len(squares) * dots + 7) // 8
    rows = b"".join(_raster_row(row, dots, across) * dots for row in squares)
    return b"\x1dv0\x00" + across.to_bytes(2, "little") + (len(squares) * dots).to_bytes(2, "little") + rows


def _raster_row(row: tuple[bool, ...], dots: int, across: int) -> bytes:
    bits = "".join(("1" if black else "0") * dots for black in row).ljust(across * 8, "0")
    return int(bits, 2).to_bytes(across, "big")

"""Reads a printer's bytes back into sheets, as a plain 58 or 80 mm printer with a GBK font would print them.

It knows the commands of `escpos` and a few neighbours, keeps what it does not know in `strange`, breaks a line that is
too long, and prints the lead byte of a four-byte GB18030 code as `?`, as cheap printers do.
"""

from collections.abc import Callable

from appliance.paper.document import Size
from appliance.paper.sheet import HIGH, ROW, WIDE, Code, Line, Mark, Sheet

ESC, FS, GS, DLE = 0x1B, 0x1C, 0x1D, 0x10
_Rows = tuple[tuple[bool, ...], ...]


class _Unfinished(Exception):
    """The bytes of a command have not all come yet."""


class Reader:
    """A printer's head and roll: bytes go in, finished papers come out in `sheets`.

    A paper is finished by the cut or, on a printer without a cutter, by the question at the end of the job.
    """

    def __init__(self, cells: int) -> None:
        self._cells = cells
        self.sheets: list[Sheet] = []
        self.strange: list[bytes] = []
        self._bytes = b""
        self._at = 0
        self._ended = 0
        self._commands: dict[tuple[int, int], tuple[int, Callable[[bytes], None]]] = {
            # second byte of the command: how many bytes follow, what they do
            (ESC, ord("@")): (0, self._initialise),
            (ESC, ord("3")): (1, self._nothing),
            (ESC, ord("2")): (0, self._nothing),
            (ESC, ord("J")): (1, self._nothing),
            (ESC, ord("a")): (1, self._nothing),
            (ESC, ord("E")): (1, self._bold_by),
            (ESC, ord("d")): (1, self._feed_by),
            (ESC, ord("*")): (3, self._picture),
            (FS, ord("&")): (0, self._chinese_on),
            (FS, ord(".")): (0, self._chinese_off),
            (FS, ord("!")): (1, self._fs_size_by),
            (GS, ord("!")): (1, self._gs_size_by),
            (GS, ord("V")): (1, self._cut),
            (GS, ord("r")): (1, self._end_of_job),
            (GS, ord("v")): (6, self._raster),
            (GS, ord("(")): (3, self._function),
            (DLE, 0x04): (1, self._nothing),
        }
        self._rows: list[Line | Code] = []
        self._initialise(b"")

    def feed(self, data: bytes) -> int:
        """Take bytes as they come, in pieces of any size; returns how many ends of jobs were reached."""
        self._bytes += data
        self._ended = 0
        while self._bytes:
            self._at = 0
            try:
                self._one()
            except _Unfinished:
                break
            self._bytes = self._bytes[self._at :]
        return self._ended

    def tear(self) -> None:
        """Take the paper as far as it is printed, and forget what was half received: the printer was switched off."""
        self._bytes = b""
        self._break_line()
        self._finish()
        self._initialise(b"")

    def _take(self, count: int) -> bytes:
        if self._at + count > len(self._bytes):
            raise _Unfinished
        taken = self._bytes[self._at : self._at + count]
        self._at += count
        return taken

    def _one(self) -> None:
        """One command, one character, or one byte that is neither."""
        (byte,) = self._take(1)
        if byte in (ESC, FS, GS, DLE):
            self._command(byte, self._take(1)[0])
        elif byte == 0x0A:
            self._line_feed()
        elif 0x20 <= byte < 0x7F:
            self._print(Mark(chr(byte), 1))
        elif byte >= 0x80:
            self._print(self._character(byte))
        else:
            self.strange.append(bytes([byte]))

    def _command(self, first: int, second: int) -> None:
        known = self._commands.get((first, second))
        if known is None:
            self.strange.append(bytes([first, second]))
            return
        count, act = known
        act(self._take(count))

    def _character(self, lead: int) -> Mark:
        if not self._chinese:
            return Mark("?", 1)
        (trail,) = self._take(1)
        try:
            return Mark(bytes([lead, trail]).decode("gbk"), 2)
        except UnicodeDecodeError:
            self._at -= 1
            return Mark("?", 1)

    # ---- state ------------------------------------------------------------------------------------------------

    def _initialise(self, _: bytes) -> None:
        self._chinese = False
        self._bold = False
        self._gs_size: Size = "normal"
        self._fs_size: Size = "normal"
        self._line: list[tuple[Mark, Size, bool]] = []
        self._qr_module = 3
        self._qr_payload = b""

    def _nothing(self, _: bytes) -> None:
        """Pitch, placing and status: they change nothing that a sheet tells."""

    def _bold_by(self, arg: bytes) -> None:
        self._bold = bool(arg[0] & 1)

    def _chinese_on(self, _: bytes) -> None:
        self._chinese = True

    def _chinese_off(self, _: bytes) -> None:
        self._chinese = False

    def _gs_size_by(self, arg: bytes) -> None:
        self._gs_size = _size(arg[0] & 0x70 != 0, arg[0] & 0x07 != 0)

    def _fs_size_by(self, arg: bytes) -> None:
        self._fs_size = _size(arg[0] & 0x04 != 0, arg[0] & 0x08 != 0)

    # ---- paper ------------------------------------------------------------------------------------------------

    def _print(self, mark: Mark) -> None:
        enlarged = self._fs_size if mark.cells == 2 and self._gs_size == "normal" else self._gs_size
        size: Size = "normal" if mark.dots else enlarged
        used = sum(WIDE[one_size] * one.cells for one, one_size, _ in self._line)
        if used + WIDE[size] * mark.cells > self._cells:
            self._break_line()
        self._line.append((mark, size, self._bold))

    def _line_feed(self) -> None:
        if self._line:
            self._break_line()
        else:
            self._rows.append(Line())

    def _break_line(self) -> None:
        if not self._line:
            return
        size = max((size for _, size, _ in self._line), key=lambda one: WIDE[one] * HIGH[one])
        indent = 0
        while indent < len(self._line) and self._line[indent][0].char == " " and self._line[indent][1] == "normal":
            indent += 1
        rest = self._line[indent:]
        self._rows.append(Line(tuple(mark for mark, _, _ in rest), indent, size, any(bold for _, _, bold in rest)))
        self._line = []

    def _feed_by(self, arg: bytes) -> None:
        self._break_line()
        self._rows += [Line()] * arg[0]

    def _cut(self, arg: bytes) -> None:
        if arg[0] >= ord("A"):
            self._take(1)
        self._break_line()
        self._finish()

    def _end_of_job(self, _: bytes) -> None:
        self._break_line()
        self._finish()
        self._ended += 1

    def _finish(self) -> None:
        if any(not isinstance(row, Line) or row.marks for row in self._rows):
            self.sheets.append(Sheet(self._cells, tuple(self._rows)))
        self._rows = []

    # ---- pictures ---------------------------------------------------------------------------------------------

    def _picture(self, arg: bytes) -> None:
        """`ESC *`: a strip in the line; of 24 dots' height it is a drawn character."""
        mode, columns = arg[0], arg[1] + 256 * arg[2]
        dots = self._take(columns * (3 if mode in (32, 33) else 1))
        if mode == 33 and columns == ROW:
            self._print(Mark("", 2, drawn=True, dots=dots))
        else:
            self.strange.append(bytes([ESC, ord("*"), *arg]))

    def _raster(self, arg: bytes) -> None:
        """`GS v 0`: a picture over the width; ours are QR codes."""
        across, down = arg[2] + 256 * arg[3], arg[4] + 256 * arg[5]
        data = self._take(across * down)
        rows = tuple(_bits(data[start : start + across]) for start in range(0, len(data), across))
        self._rows.append(_squares(rows))

    def _function(self, arg: bytes) -> None:
        """`GS ( k`: the printer's own QR code, function by function."""
        body = self._take(arg[1] + 256 * arg[2])
        if arg[0] != ord("k") or body[:1] != b"1":
            self.strange.append(bytes([GS, ord("("), arg[0]]))
        elif body[1:2] == b"C":
            self._qr_module = body[2]
        elif body[1:2] == b"P":
            self._qr_payload = body[3:]
        elif body[1:2] == b"Q":
            self._rows.append(Code(self._qr_payload.decode("utf-8", "replace"), self._qr_module))


def _size(wide: bool, high: bool) -> Size:
    if wide and high:
        return "large"
    return "tall" if high else "normal"


def _bits(row: bytes) -> tuple[bool, ...]:
    return tuple(bit == "1" for byte in row for bit in f"{byte:08b}")


def _squares(rows: _Rows) -> Code:
    """A picture as the squares of a QR code: the mark in its corner is seven of them wide."""
    corner = next((at for at, black in enumerate(rows[0]) if not black), 0) if rows else 0
    side = max(1, corner // 7)
    return Code("", side, tuple(row[: len(rows) : side] for row in rows[::side]))

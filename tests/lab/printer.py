"""The receipt printer at the other end of the USB cable: takes bytes, answers questions, keeps what it was sent."""

import contextlib
import re
import socket
import threading
import time
from pathlib import Path

from appliance.paper import plain
from appliance.paper.reading import Reader

CELLS = 32
QUESTION = re.compile(rb"\x10\x04[\x01-\x04]|\x1dr\x01")
WELL = {b"\x10\x04": b"\x12", b"\x1dr": b"\x00"}


class Printer(threading.Thread):
    """A 58 mm printer that is always well. `pace` is its speed in bytes a second: at 0 it takes everything at once."""

    def __init__(self, place: Path, pace: float = 0) -> None:
        super().__init__(daemon=True, name="printer")
        self._place = place
        self._pace = pace
        self._ended = threading.Event()
        self._dropped = threading.Event()
        self.got = b""
        self.start()

    def run(self) -> None:
        """Be there whenever the machine is."""
        while not self._ended.is_set():
            with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as cable:
                cable.settimeout(0.5)
                cable.connect(str(self._place / "printer.sock"))
                self._serve(cable)
            self._ended.wait(0.2)

    def close(self) -> None:
        """Switch it off; what it was sent stays in the machine's folder as `printer.bin`."""
        self._ended.set()
        self.join(5)
        (self._place / "printer.bin").write_bytes(self.got)

    def drop(self) -> None:
        """Its cable was pulled: what it has not taken by then is lost, and not in a buffer that it goes on reading."""
        self._dropped.set()

    def papers(self, after: int = 0) -> list[str]:
        """What is on the papers that came out since that byte."""
        reader = Reader(CELLS)
        reader.feed(re.sub(rb"\x10\x04[\x01-\x04]", b"", self.got[after:]))
        return [plain.paint(sheet) for sheet in reader.sheets]

    def waits_for(self, count: int, within: float) -> bool:
        """Whether so many bytes have come in time."""
        deadline = time.monotonic() + within
        while len(self.got) < count:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.005)
        return True

    def _serve(self, cable: socket.socket) -> None:
        held = b""
        self._dropped.clear()
        while not self._ended.is_set() and not self._dropped.is_set():
            with contextlib.suppress(TimeoutError):
                got = cable.recv(32 if self._pace else 4096)
                if not got:
                    return
                self.got += got
                if self._pace:
                    time.sleep(len(got) / self._pace)
                held = self._answer(cable, held + got)

    def _answer(self, cable: socket.socket, held: bytes) -> bytes:
        end = 0
        for asked in QUESTION.finditer(held):
            cable.sendall(WELL[asked[0][:2]])
            end = asked.end()
        # A question may have come in half.
        return held[max(end, len(held) - 2) :]

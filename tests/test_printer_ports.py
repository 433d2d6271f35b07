"""Real wires: a pty as a serial port, real sockets, a FIFO; with printers at their far ends that are slow, mute or gone."""

import os
import pty
import socket
import threading
import tty
from collections.abc import Callable, Iterator
from pathlib import Path
from time import monotonic

import pytest

from appliance.devices.condition import Condition, Outcome
from appliance.devices.ports import LinePrinterPort, NetworkPort, Port, SerialPort
from appliance.devices.printer import EscPosPrinter
from appliance.paper import escpos, plain
from appliance.paper.document import Document, Text
from appliance.paper.glyphs import Glyphs
from appliance.paper.layout import lay_out
from appliance.paper.profile import SMALL
from appliance.paper.reading import Reader

JOB = escpos.paint(lay_out(Document((Text("收件回执"),)), 32, Glyphs(()).has), SMALL, Glyphs(()).dots)
LONG_JOB = b"\x1b@\x1c&" + b"0123456789\n" * 30_000 + escpos.JOB_END
FAST = 4_000_000
ANSWER_S = 0.15

OK = {1: b"\x12", 2: b"\x12", 4: b"\x12"}
PAPER_OUT = {1: b"\x1a", 2: b"\x32", 4: b"\x7e"}


class FarEnd:
    """What stands at the other end of a wire: it reads as a printer does, and answers what `status` and `end` say.

    `delay` is how late every answer comes; `hold` keeps it from printing what is sent; after `bytes_left` it is gone.
    """

    def __init__(self, fd: int, *, status: dict[int, bytes], end: bytes = b"\0", delay: float = 0) -> None:
        self.fd = fd
        self.status = status
        self.end = end
        self.delay = delay
        self.bytes_left: int | None = None
        self.on_job: Callable[[], None] = lambda: None
        self.reader = Reader(32)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                data = os.read(self.fd, 4096)
            except OSError:
                return
            if not data:
                return
            self._take(data)
            if self.bytes_left is not None and self.bytes_left <= 0:
                os.close(self.fd)
                return

    def _take(self, data: bytes) -> None:
        while (at := data.find(b"\x10\x04")) >= 0:
            self._print(data[:at])
            self._answer(self.status.get(data[at + 2], b""))
            data = data[at + 3 :]
        self._print(data)

    def _print(self, data: bytes) -> None:
        if data:
            self.on_job()
            if self.bytes_left is not None:
                self.bytes_left -= len(data)
            self._answer(self.end * self.reader.feed(data))

    def _answer(self, answer: bytes) -> None:
        if answer and not self._stop.wait(self.delay):
            os.write(self.fd, answer)

    def close(self) -> None:
        self._stop.set()
        self._thread.join(5)
        assert not self._thread.is_alive()

    @property
    def printed(self) -> list[str]:
        return [plain.paint(sheet).strip() for sheet in self.reader.sheets]


class Wire:
    """One kind of wire: `port` is ours, `far` is the descriptor at the printer's end, `cut` takes the wire away."""

    def __init__(self, port: Port, far: int, cut: Callable[[], None]) -> None:
        self.port = port
        self.far = far
        self.cut = cut


@pytest.fixture
def serial_line() -> Iterator[tuple[int, str]]:
    """A pty with its printer's end open; ours is kept open once more, as a cable is there when nobody uses it."""
    master, slave = pty.openpty()
    tty.setraw(slave)
    yield master, os.ttyname(slave)
    os.close(slave)
    close_quietly(master)


def close_quietly(fd: int) -> None:
    try:
        os.close(fd)
    except OSError as gone:
        assert gone.errno == 9, "the far end had closed it already"


@pytest.fixture
def far_ends() -> Iterator[Callable[..., FarEnd]]:
    """Makes far ends, and ends them with the test by waking whatever they read from."""
    made: list[FarEnd] = []

    def make(fd: int, **how: object) -> FarEnd:
        made.append(FarEnd(fd, **how))  # type: ignore[arg-type]
        return made[-1]

    yield make
    for one in made:
        one._stop.set()



"""What the printer's tests stand on: real wires with far ends that answer, are slow, are mute, or go away."""

import os
import select
import socket
import threading
from collections.abc import Callable
from contextlib import suppress

from appliance.paper import escpos, plain
from appliance.paper.document import Document, Text
from appliance.paper.glyphs import Glyphs
from appliance.paper.layout import lay_out
from appliance.paper.profile import SMALL
from appliance.paper.reading import Reader

JOB = escpos.paint(lay_out(Document((Text("收件回执"),)), 32, Glyphs(()).has), SMALL, Glyphs(()).dots)
LONG_JOB = b"\x1b@\x1c&" + b"0123456789\n" * 30_000 + escpos.JOB_END
"""More than any buffer on the way holds."""

FAST = 4_000_000
"""A baud rate at which LONG_JOB has a deadline under two seconds."""

OK = {1: b"\x12", 2: b"\x12", 4: b"\x12"}
PAPER_OUT = {1: b"\x1a", 2: b"\x32", 4: b"\x7e"}
MUTE: dict[int, bytes] = {}
GARBAGE = {1: b"\xff?", 2: b"?", 4: b"?"}


class FarEnd:
    """A printer behind a file descriptor: it answers questions by `status` and the end of a job by `end`.

    Every answer comes `delay` seconds late; `leave_after` bytes of a job it is gone; `on_job` is called when one comes.
    """

    def __init__(self) -> None:
        self.status = OK
        self.end = b"\x00"
        self.delay = 0.0
        self.leave_after: int | None = None
        self.on_job: Callable[[], None] = lambda: None
        self.reader = Reader(32)
        self.gone = threading.Event()
        self._stop_read, self._stop_write = os.pipe()
        self._thread: threading.Thread | None = None

    def start(self, serve: Callable[[], None]) -> None:
        self._thread = threading.Thread(target=serve)
        self._thread.start()

    def stop(self) -> None:
        os.write(self._stop_write, b"x")
        if self._thread:
            self._thread.join(5)
            assert not self._thread.is_alive()
        os.close(self._stop_read)
        os.close(self._stop_write)

    def serve(self, fd: int) -> None:
        """Be the printer until the wire is closed or the test is over."""
        while not self.gone.is_set() and self._ready(fd):
            try:
                data = os.read(fd, 4096)
            except OSError:
                return
            if not data:
                return
            self._take(fd, data)

    def serve_tcp(self, listening: socket.socket) -> None:
        """Be a network printer: one connection after the other."""
        while not self.gone.is_set() and self._ready(listening.fileno()):
            self.serve_connection(listening.accept()[0])

    def serve_connection(self, connection: socket.socket) -> None:
        """Be the printer of one connection."""
        with connection:
            self.serve(connection.fileno())

    def _ready(self, fd: int) -> bool:
        """Wait for bytes; False when the test is over."""
        return select.select([fd, self._stop_read], [], [])[0] == [fd]

    def _take(self, fd: int, data: bytes) -> None:
        while (at := data.find(b"\x10\x04")) >= 0:
            self._print(fd, data[:at])
            self._answer(fd, self.status.get(data[at + 2], b""))
            data = data[at + 3 :]
        self._print(fd, data)

    def _print(self, fd: int, data: bytes) -> None:
        if not data:
            return
        self.on_job()
        if self.leave_after is not None:
            self.leave_after -= len(data)
            if self.leave_after <= 0:
                self.gone.set()
        self._answer(fd, self.end * self.reader.feed(data))

    def _answer(self, fd: int, answer: bytes) -> None:
        # A printer that is late, not a test that waits: only the end of the test cuts it short.
        if answer and not self.gone.is_set() and not select.select([self._stop_read], [], [], self.delay)[0]:
            with suppress(OSError):  # whoever asked has hung up
                os.write(fd, answer)

    @property
    def printed(self) -> list[str]:
        return [plain.paint(sheet).strip() for sheet in self.reader.sheets]

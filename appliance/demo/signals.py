"""Ctrl-C, a stop, a closed terminal and the end of a child, as something that one thread can wait for."""

import os
import select
import signal
import socket
from types import FrameType, TracebackType
from typing import Self

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Signals:
    """While it is open, a signal that ends the demo only sets `ending`, as often as it comes; `wait` wakes for each."""

    def __init__(self) -> None:
        self.ending = False
        self._terminal = os.isatty(1)
        self._read, self._write = socket.socketpair()
        self._read.setblocking(False)
        self._write.setblocking(False)

    def __enter__(self) -> Self:
        signal.set_wakeup_fd(self._write.fileno(), warn_on_full_buffer=False)
        for each in ENDING:
            signal.signal(each, self._end)
        # Without a handler of Python's the wake-up socket would not be written to.
        signal.signal(signal.SIGCHLD, self._child)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """All is ended and the process is about to: one Ctrl-C more has nothing left to interrupt."""
        for each in ENDING:
            signal.signal(each, signal.SIG_IGN)
        signal.set_wakeup_fd(-1)
        self._read.close()
        self._write.close()

    def wait(self, seconds: float) -> None:
        """Return after so many seconds, or as soon as a signal came."""
        ready, _, _ = select.select([self._read], [], [], seconds)
        if ready:
            self._read.recv(4096)
        # Under `make` in a terminal window that is closed, the hang-up reaches make alone, which then waits for us.
        if self._terminal and not os.isatty(1):
            self.ending = True

    def _end(self, _number: int, _frame: FrameType | None) -> None:
        self.ending = True

    def _child(self, _number: int, _frame: FrameType | None) -> None:
        """Waking up is all that the end of a child is for; who ended is asked afterwards."""

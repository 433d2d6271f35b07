"""What stands around a screen: the window that serves its page, and the compositor that draws it."""

import logging
import os
import re
import signal
import socket
import struct
from contextlib import suppress
from time import monotonic
from urllib.parse import urlsplit

ASK_S = 3.0
MOST_HEAD = 16_384
GET_VERSION = b"i3-ipc" + struct.pack("=II", 0, 7)
"""A question of sway-ipc(7) that costs nothing."""

log = logging.getLogger(__name__)


def status_of(address: str) -> int | None:
    """The status of the page at a local address, asked directly and never by a proxy; None when no page comes.

    Every status is good enough to be shown: a window that cannot work says why on its page.
    """
    # Not http.client: it loads the mail parser and TLS, three megabytes at each screen.
    try:
        head = _head(address, monotonic() + ASK_S)
    except (OSError, ValueError, OverflowError):
        # A port that is no port, in an address that somebody edited, is no page either.
        return None
    answer = re.match(rb"HTTP/1\.\d (\d{3}) ", head)
    is_page = re.search(rb"\r\ncontent-type: *text/html", head, re.IGNORECASE)
    return int(answer[1]) if answer and is_page else None


def _head(address: str, deadline: float) -> bytes:
    """The first lines of the answer, all of them by the deadline."""
    parts = urlsplit(address)
    with socket.create_connection((parts.hostname, parts.port or 80), ASK_S) as line:
        line.sendall(f"GET {parts.path or '/'} HTTP/1.0\r\nHost: {parts.netloc}\r\n\r\n".encode())
        head = b""
        while b"\r\n\r\n" not in head and len(head) < MOST_HEAD:
            line.settimeout(max(deadline - monotonic(), 0.001))
            more = line.recv(4096)
            if not more:
                break
            head += more
    return head


class Compositor:
    """sway, as the variables say that it gives its children; where there are none (a test, a desk) nothing is asked."""

    def __init__(self, patience: float = 4.0, times: int = 3) -> None:
        self._patience, self._times, self.silent, self._pid = patience, times, 0, 0
        self._display = os.environ.get("WAYLAND_DISPLAY")
        self._door = os.environ.get("SWAYSOCK")

    def gone(self) -> bool:
        """Whether nobody draws any more: the socket's file outlives a compositor that was killed."""
        if not self._display:
            return False
        with socket.socket(socket.AF_UNIX) as line:
            try:
                line.connect(os.path.join(os.environ.get("XDG_RUNTIME_DIR", ""), self._display))  # noqa: PTH118
            except OSError:
                return True
        return False

    def watch(self) -> None:
        """Ask sway for a word; one that owes it several times in a row is killed, and its unit starts it again."""
        if not self._door or self.gone():
            return
        self.silent = 0 if self._answers(self._door) else self.silent + 1
        if self.silent >= self._times and self._pid:
            log.error("sway has not answered %d times: it is killed", self.silent)
            with suppress(ProcessLookupError):
                os.kill(self._pid, signal.SIGKILL)

    def _answers(self, door: str) -> bool:
        with socket.socket(socket.AF_UNIX) as line:
            line.settimeout(self._patience)
            try:
                line.connect(door)
                # Now: a sway that hangs soon takes no new line, and of one that never came the kernel says 0.
                self._pid, _, _ = struct.unpack("3i", line.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
                line.sendall(GET_VERSION)
                with line.makefile("rb") as answer:
                    length: int = struct.unpack("=II", answer.read(14)[6:])[0]
                    # Read whole: a client that leaves before is an error in sway's log.
                    return len(answer.read(length)) == length
            except (OSError, struct.error):
                return False

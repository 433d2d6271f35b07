"""What stands around a screen: the window that serves its page, and the compositor that draws it."""

import http.client
import logging
import os
import signal
import socket
import struct
from contextlib import suppress
from urllib.parse import urlsplit

ASK_S = 3.0
GET_VERSION = b"i3-ipc" + struct.pack("=II", 0, 7)
"""A question of sway-ipc(7) that costs nothing."""

log = logging.getLogger(__name__)


def status_of(address: str) -> int | None:
    """The status of the page at a local address, asked directly and never by a proxy; None when no page comes.

    Every status is good enough to be shown: a window that cannot work says why on its page.
    """
    parts = urlsplit(address)
    link = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=ASK_S)
    try:
        link.request("GET", parts.path or "/")
        answer = link.getresponse()
        return answer.status if answer.headers.get_content_type() == "text/html" else None
    except (OSError, http.client.HTTPException):
        return None
    finally:
        link.close()


class Compositor:
    """sway, as the variables say that it gives its children; where there are none (a test, a desk) nothing is asked."""

    def __init__(self, patience: float = 5.0, times: int = 3) -> None:
        self._patience, self._times, self._silent = patience, times, 0
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
        if not self._door:
            return
        with socket.socket(socket.AF_UNIX) as line:
            self._silent = 0 if self._answers(line, self._door) else self._silent + 1
            if self._silent >= self._times:
                log.error("sway has not answered %d times: it is killed", self._silent)
                _kill(line)

    def _answers(self, line: socket.socket, door: str) -> bool:
        line.settimeout(self._patience)
        try:
            line.connect(door)
            line.sendall(GET_VERSION)
            with line.makefile("rb") as answer:
                length: int = struct.unpack("=II", answer.read(14)[6:])[0]
                # Read whole: a client that leaves before is an error in sway's log.
                return len(answer.read(length)) == length
        except (OSError, struct.error):
            return False


def _kill(line: socket.socket) -> None:
    """Kill whoever listens at the other end; one that has gone meanwhile is what was wanted."""
    with suppress(OSError):
        pid, _, _ = struct.unpack("3i", line.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
        os.kill(pid, signal.SIGKILL)

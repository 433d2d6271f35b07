"""Servers on a broker's port that are no good broker: silent, talking nonsense, or never saying thank you."""

import socket
import threading
from contextlib import suppress

CONNACK = b"\x20\x02\x00\x00"
NOT_AUTHORISED = b"\x20\x02\x00\x05"


class OddServer:
    """Says `greeting` to whoever connects, and reads all that comes; `heard` is how many bytes that was."""

    def __init__(self, greeting: bytes) -> None:
        self.connections = 0
        self.heard = bytearray()
        self._greeting = greeting
        self._plug = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._plug.getsockname()[1])
        threading.Thread(target=self._accept, name="odd server", daemon=True).start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                line, _ = self._plug.accept()
                self.connections += 1
                threading.Thread(target=self._serve, args=(line,), daemon=True).start()

    def _serve(self, line: socket.socket) -> None:
        with suppress(OSError), line:
            line.sendall(self._greeting)
            while data := line.recv(65536):
                self.heard += data

    def close(self) -> None:
        """No server any more."""
        self._plug.close()

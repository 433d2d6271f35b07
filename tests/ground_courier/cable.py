"""A network cable between a window and its broker, that can be cut, go dead without a word, and be plugged in again."""

import socket
import threading
from contextlib import suppress

from tests.ground_courier.waiting import free_port


class Cable:
    """Carries TCP from a port of its own to `to`; counts the connections made over it."""

    def __init__(self, to: int) -> None:
        self.port = free_port()
        self.connections = 0
        self._to = to
        self._ends: list[socket.socket] = []
        self._carries = threading.Event()
        self._carries.set()
        self._whole = True
        self._plug = socket.socket()
        self._plug.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._plug.bind(("127.0.0.1", self.port))
        self._plug.listen(50)
        threading.Thread(target=self._accept, name="cable", daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._plug.accept()
            except OSError:
                return
            self.connections += 1
            try:
                if not self._whole:
                    raise OSError("cut")
                far = socket.create_connection(("127.0.0.1", self._to), 5)
            except OSError:
                near.close()
                continue
            self._ends += [near, far]
            for one, other in ((near, far), (far, near)):
                one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                threading.Thread(target=self._carry, args=(one, other), daemon=True).start()

    def _carry(self, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                self._carries.wait()
                target.sendall(data)
        for end in (source, target):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def cut(self) -> None:
        """Both ends notice at once; connections are refused until it is plugged in."""
        self._whole = False
        for end in self._ends:
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        self._ends.clear()

    def stall(self) -> None:
        """Half-open: nothing comes through and nobody is told."""
        self._carries.clear()

    def plug_in(self) -> None:
        """Carry again."""
        self._whole = True
        self._carries.set()

    def close(self) -> None:
        """No cable any more."""
        self._plug.close()
        self.plug_in()
        self.cut()

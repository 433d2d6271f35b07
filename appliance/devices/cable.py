"""The bench's network cable: a stretch of TCP between window and broker that a hand can pull.

A pulled cable sends no goodbye: both ends keep a connection that says nothing, exactly as at a real wall socket.
"""

import logging
import selectors
import socket
import threading

from appliance.guard import DeviceTrouble, guarded, let_go

log = logging.getLogger(__name__)

CHUNK = 65536


class Cable:
    """Forwards connections from a loopback port to the broker; one thread, ended by `close`."""

    def __init__(self, host: str, port: int) -> None:
        self._there = (host, port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.setblocking(False)
        self.port: int = self._listener.getsockname()[1]
        self._pairs: dict[socket.socket, socket.socket] = {}
        self._cut = threading.Event()
        self._closed = threading.Event()
        self._nudge, self._nudged = socket.socketpair()
        self._thread = threading.Thread(target=self._run, name="cable", daemon=True)
        self._thread.start()

    @property
    def is_cut(self) -> bool:
        """Whether the cable is pulled."""
        return self._cut.is_set()

    def cut(self, out: bool) -> None:
        """Pull the cable, or plug it in again: what was written meanwhile then comes through, as TCP repeats it."""
        if out:
            self._cut.set()
        else:
            self._cut.clear()
        self._nudge.send(b".")

    def close(self) -> None:
        """End the forwarding and every connection through it."""
        self._closed.set()
        self._nudge.send(b".")
        self._thread.join(2)

    def _run(self) -> None:
        with selectors.DefaultSelector() as watch, self._listener, self._nudge, self._nudged:
            watch.register(self._nudged, selectors.EVENT_READ)
            while not self._closed.is_set():
                self._watch_ends(watch)
                for key, _ in watch.select():
                    self._serve(key.fileobj)  # type: ignore[arg-type]  # only sockets are registered
        for end in list(self._pairs):
            end.close()

    def _watch_ends(self, watch: selectors.BaseSelector) -> None:
        wanted = set() if self._cut.is_set() else {self._listener, *self._pairs}
        known = {key.fileobj for key in watch.get_map().values()} - {self._nudged}
        for end in known - wanted:
            watch.unregister(end)  # also finds one that was closed: the selector remembers it by object
        for end in wanted - known:
            watch.register(end, selectors.EVENT_READ)

    def _serve(self, end: socket.socket) -> None:
        if end is self._nudged:
            end.recv(CHUNK)
        elif end is self._listener:
            let_go("a caller at the cable", lambda: self._join(self._listener.accept()[0]))
        else:
            self._forward(end)

    def _join(self, near: socket.socket) -> None:
        try:
            with guarded():
                far = socket.create_connection(self._there, timeout=2)
                for end in (near, far):
                    end.settimeout(2)
                    end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except DeviceTrouble:
            near.close()
            return
        self._pairs[near], self._pairs[far] = far, near

    def _forward(self, end: socket.socket) -> None:
        other = self._pairs.get(end)
        if other is None:
            return
        try:
            with guarded():
                if data := end.recv(CHUNK):
                    other.sendall(data)
                    return
        except DeviceTrouble as trouble:
            log.debug("the cable let go: %s", trouble.detail)
        for one in (end, other):
            self._pairs.pop(one, None)
            let_go("an end of the cable", one.close)

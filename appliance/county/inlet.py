"""The collector's socket: cuts facts out of the broker's stream itself and leaves everything else to paho.

paho reads a packet with three tiny `recv` calls and answers it with a `send` of its own, which is most of what a fact
costs it. Here one `recv` brings hundreds of facts and one `send` carries their PUBACKs. Connecting, TLS, subscribing,
wills, pings and publishing stay paho's, which sees this object as its socket and only the packets it has to see.
A PUBACK ends nothing: the window's duty ends with the county's own acknowledgement (wire.md).
"""

import ssl
from typing import Any, NamedTuple

CHUNK = 256 * 1024
"""Bytes asked of the kernel at once."""
HEAD = 8 * 1024
"""Bytes kept of a packet that is larger than we take."""
_PUBLISH = 0x30
_PUBACK = b"\x40\x02"
_AGAIN = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


class Arrived(NamedTuple):
    """One message as it came; `size` is what it had, `payload` all of it unless it was larger than we take."""

    topic: bytes
    payload: bytes
    size: int
    retained: bool


class Inlet:
    """A socket-like object for paho, and the place where arrived messages wait for the collector."""

    def __init__(self, sock: Any, largest: int) -> None:
        self._sock = sock
        self._largest = largest
        self._rest = bytearray()  # what paho has to read
        self._open = b""  # a packet of which the end has not come
        self._skip = 0  # bytes still to come of a packet too large to keep
        self._out = bytearray()
        self._ended = False
        self._arrived: list[Arrived] = []
        self.more = False
        """The kernel or TLS may hold more that poll() will not tell of."""

    # ---- what paho sees

    def recv(self, size: int) -> bytes:
        """Bytes of the packets that are not messages."""
        if not self._rest:
            if self._ended:
                return b""
            raise BlockingIOError
        data = bytes(self._rest[:size])
        del self._rest[:size]
        return data

    def send(self, data: bytes) -> int:
        """Takes everything at once: paho never holds half a packet, so ours may go between."""
        self._out += data
        return len(data)

    def fileno(self) -> int:
        """The descriptor to wait on."""
        return int(self._sock.fileno())

    def setblocking(self, flag: bool) -> None:
        """As a socket's."""
        self._sock.setblocking(flag)

    def close(self) -> None:
        """Sends what is still to be sent (a DISCONNECT, so that our will stays unspoken) and closes."""
        try:
            self._sock.settimeout(1.0)
            self._sock.sendall(self._out)
        except OSError:
            self._ended = True  # the other side is gone; there is nobody to say goodbye to
        finally:
            self._sock.close()

    # ---- what the collector uses

    @property
    def for_paho(self) -> bool:
        """Something is there that paho has to read, be it the end."""
        return bool(self._rest) or self._ended

    @property
    def unsent(self) -> int:
        """Bytes that wait for the socket to take them."""
        return len(self._out)

    @property
    def waiting(self) -> int:
        """Messages that wait to be taken."""
        return len(self._arrived)

    def take(self, most: int) -> list[Arrived]:
        """The oldest messages, at most so many."""
        taken, self._arrived = self._arrived[:most], self._arrived[most:]
        return taken

    def fill(self, enough: int) -> None:
        """Reads until `enough` messages wait or nothing more is there."""
        self.more = False
        while len(self._arrived) < enough:
            try:
                data = self._sock.recv(CHUNK)
            except _AGAIN:
                return
            except OSError:
                data = b""
            if not data:
                self._ended = True
                return
            self._cut(data)
        self.more = True

    def flush(self) -> None:
        """Sends as much as the socket takes now."""
        try:
            while self._out:
                del self._out[: self._sock.send(self._out)]
        except _AGAIN:
            return
        except OSError:
            self._ended = True

    def _cut(self, data: bytes) -> None:
        if self._skip:
            skipped = min(self._skip, len(data))
            self._skip -= skipped
            data = data[skipped:]
        if self._open:
            data = self._open + data
        at, end = 0, len(data)
        while end - at >= 2:
            body, length = at + 2, data[at + 1]
            if length > 127:
                # Two digits are what nearly every fact has.
                if end - body and data[body] < 128:
                    body, length = body + 1, length & 127 | data[body] << 7
                else:
                    body, length = _length(data, at + 1)
                    if not body:
                        break
            after = body + length
            kind = data[at] & 0xF0
            if kind == _PUBLISH and length > self._largest + HEAD:
                if end - body < min(length, HEAD):
                    break
                self._take(data[at], data, body, min(after, body + HEAD), length)
                self._skip = max(0, after - end)
                at = min(after, end)
                continue
            if after > end:
                break
            if kind == _PUBLISH:
                self._take(data[at], data, body, after, length)
            else:
                self._rest += data[at:after]
            at = after
        self._open = data[at:]

    def _take(self, head: int, data: bytes, body: int, after: int, length: int) -> None:
        start = body + 2 + (data[body] << 8 | data[body + 1])
        topic = data[body + 2 : start]
        if head & 0x06:
            self._out += _PUBACK + data[start : start + 2]
            start += 2
        self._arrived.append(Arrived(topic, data[start:after], length - (start - body), bool(head & 1)))


def _length(data: bytes, at: int) -> tuple[int, int]:
    """The place after an MQTT length and its value; (0, 0) while it has not all come."""
    value = 0
    for n in range(4):
        if at + n >= len(data):
            return 0, 0
        value |= (data[at + n] & 0x7F) << 7 * n
        if data[at + n] < 0x80:
            return at + n + 1, value
    return 0, 0

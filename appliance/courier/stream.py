"""The bytes of one connection: messages are cut out of them and written into them here, all else is left to paho.

paho reads a packet with three tiny `recv` calls, answers it and sends each of its own with a `send` for itself, which
is most of what a fact costs it. Here one `recv` brings everything that has come and one `send` carries a whole batch.
Connecting, TLS terms, the will, subscribing and parting stay paho's, which sees this object as its socket.

The rules:

- A message larger than we take is passed over without being kept, and its payload reads as empty.
- While many messages or bytes wait to be taken, nothing more is read: a flood stays with the broker.
- What is no MQTT ends the connection: `ended`.
"""

import ssl
from collections import deque
from typing import Any

CHUNK = 64 * 1024
"""Bytes asked of the kernel at once."""
MESSAGES, BYTES = 1000, 1024 * 1024
"""Messages and bytes of them that may wait here."""
_PUBLISH, _PUBACK, _PINGRESP = 0x30, 0x40, 0xD0
_AGAIN = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)
LONGEST_ANSWER = 1024
"""Bytes that a packet which is no message may have; the longest that we ask for confirms a handful of subscriptions."""
FIRST_ID, LAST_ID = 1024, 0xFFFF
"""The packet identifiers of our messages; those below are paho's, for its subscriptions."""


class Stream:
    """A socket-like object for paho; `largest` is how many bytes a message that comes may have."""

    def __init__(self, sock: Any, largest: int) -> None:
        self._sock = sock
        self._largest = largest
        self._for_paho = bytearray()
        self._open = b""  # a packet of which the end has not come
        self._skip = 0  # bytes still to come of a message too large to keep
        self._out = bytearray()
        self._id = FIRST_ID
        self._owed: set[int] = set()
        self._pings = 0
        self._bytes = 0
        self._messages: deque[tuple[bytes, bytes]] = deque()
        self.more = False
        """Whether bytes may have come of which poll() does not tell: TLS holds some that it has deciphered."""
        self.ended = False

    # ---- what paho sees

    def recv(self, size: int) -> bytes:
        """Bytes of the packets that are no messages."""
        if not self._for_paho:
            if self.ended:
                return b""
            raise BlockingIOError
        data = bytes(self._for_paho[:size])
        del self._for_paho[:size]
        return data

    def send(self, data: bytes) -> int:
        """Takes everything at once: paho never holds half a packet, so ours may go between."""
        self._out += data
        return len(data)

    def fileno(self) -> int:
        """The descriptor to wait on; negative once closed."""
        return int(self._sock.fileno())

    def setblocking(self, flag: bool) -> None:
        """As a socket's."""
        self._sock.setblocking(flag)

    def close(self) -> None:
        """Send what the socket still takes (paho closes it behind its DISCONNECT) and close it."""
        self.flush()
        self._sock.close()

    # ---- what the line uses

    @property
    def sock(self) -> Any:
        """The socket itself."""
        return self._sock

    @property
    def for_paho(self) -> bool:
        """Whether paho has something to read, be it the end."""
        return bool(self._for_paho) or self.ended

    @property
    def owed(self) -> int:
        """Our messages that the broker has not confirmed."""
        return len(self._owed)

    @property
    def silent_about(self) -> bool:
        """Whether the broker has something to answer."""
        return bool(self._owed) or self._pings > 0

    @property
    def unsent(self) -> int:
        """Bytes that wait for the socket to take them."""
        return len(self._out)

    @property
    def waiting(self) -> bool:
        """Whether a message waits to be taken."""
        return bool(self._messages)

    @property
    def full(self) -> bool:
        """Whether so much waits to be taken that nothing more is read."""
        return len(self._messages) >= MESSAGES or self._bytes >= BYTES

    def publish(self, topic: bytes, payload: bytes, *, retain: bool = False) -> None:
        """Put a message at QoS 1 behind what is to be sent."""
        self._id = self._id + 1 if self._id < LAST_ID else FIRST_ID
        self._owed.add(self._id)
        length = 4 + len(topic) + len(payload)
        self._out += bytes((_PUBLISH | 0x02 | retain,)) + _digits(length) + len(topic).to_bytes(2) + topic
        self._out += self._id.to_bytes(2) + payload

    def ping(self) -> None:
        """Ask the broker whether it is there."""
        self._pings += 1
        self._out += b"\xc0\x00"

    def take(self) -> tuple[bytes, bytes] | None:
        """The oldest message that has come, as topic and payload; None when there is none."""
        if not self._messages:
            return None
        topic, payload = self._messages.popleft()
        self._bytes -= len(topic) + len(payload)
        return topic, payload

    def fill(self) -> bool:
        """Read what has come, until much waits; whether anything came."""
        came = self.more = False
        while not self.full and not self.ended:
            try:
                data = self._sock.recv(CHUNK)
            except _AGAIN:
                return came
            except OSError:
                data = b""
            if not data:
                self.ended = True
                return came
            came = True
            self._cut(data)
        self.more = True
        return came

    def flush(self) -> None:
        """Send as much as the socket takes now."""
        try:
            while self._out:
                del self._out[: self._sock.send(self._out)]
        except _AGAIN:
            return
        except OSError:
            self.ended = True

    def _cut(self, data: bytes) -> None:
        over = min(self._skip, len(data))
        self._skip -= over
        data, at = self._open + data[over:], 0
        while not self.ended and (left := len(data) - at) >= 2:
            if left >= 4 and data[at] == _PUBACK and data[at + 1] == 2:  # nearly all that comes while a backlog goes
                self._owed.discard(data[at + 2] << 8 | data[at + 3])
                at += 4
            elif after := self._next(data, at):
                at = after
            else:
                break
        self._open = data[at:]

    def _next(self, data: bytes, at: int) -> int:
        """Take one packet; the place after it, 0 while it has not all come."""
        body, length = _length(data, at + 1)
        kind = data[at] & 0xF0
        if length < 0 or (kind != _PUBLISH and length > LONGEST_ANSWER):
            self.ended = True
            return len(data)
        if not body:
            return 0
        if kind == _PUBLISH and length > self._largest:
            return self._pass_over(data, at, body, body + length)
        if len(data) < body + length:
            return 0
        self._sort(data, at, body, body + length)
        return body + length

    def _pass_over(self, data: bytes, at: int, body: int, after: int) -> int:
        """Keep only the topic of a message that is too large."""
        head = body + 2 + int.from_bytes(data[body : body + 2]) + (2 if data[at] & 0x06 else 0)
        if len(data) < min(head, after):
            return 0
        self._message(data[at], data[body:head])
        self._skip = max(0, after - len(data))
        return min(after, len(data))

    def _sort(self, data: bytes, at: int, body: int, after: int) -> None:
        kind = data[at] & 0xF0
        if kind == _PUBACK and after - body == 2:
            self._owed.discard(int.from_bytes(data[body:after]))
        elif kind == _PUBLISH:
            self._message(data[at], data[body:after])
        elif kind == _PINGRESP:
            self._pings = 0
        else:
            self._for_paho += data[at:after]

    def _message(self, head: int, packet: bytes) -> None:
        quality, start = head >> 1 & 3, 2 + int.from_bytes(packet[:2])
        # We ask for QoS 1 at most: who sends another, or a topic longer than its packet, speaks no MQTT.
        if quality > 1 or len(packet) < start + 2 * quality:
            self.ended = True
            return
        if quality:
            self._out += b"\x40\x02" + packet[start : start + 2]
        topic, payload = packet[2:start], packet[start + 2 * quality :]
        self._messages.append((topic, payload))
        self._bytes += len(topic) + len(payload)


def _length(data: bytes, at: int) -> tuple[int, int]:
    """The place after an MQTT length and its value; (0, 0) while it has not all come, (0, -1) when it is none."""
    value = 0
    for n in range(4):
        if at + n >= len(data):
            return 0, 0
        value |= (data[at + n] & 0x7F) << 7 * n
        if data[at + n] < 0x80:
            return at + n + 1, value
    return 0, -1


def _digits(length: int) -> bytes:
    """A length as MQTT writes it."""
    digits = bytearray()
    while length > 127:
        digits.append(length & 127 | 128)
        length >>= 7
    digits.append(length)
    return bytes(digits)

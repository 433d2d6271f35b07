"""The collector's socket: cuts facts out of the broker's stream itself and leaves everything else to paho.

paho reads a packet with three tiny `recv` calls and answers it with a `send` of its own, which is most of what a fact
costs it. Here one `recv` brings hundreds of facts and one `send` carries their PUBACKs. Connecting, TLS, subscribing,
wills, pings and publishing stay paho's, which sees this object as its socket and only the packets it has to see.
A PUBACK ends nothing: the window's duty ends with the county's own acknowledgement (wire.md). Rules:

- a message is answered when its topic and packet id are there, whole, and with that id, whatever its size;
- of a message larger than we take the head is kept; of one whose topic is too long only the topic, so far that it
  still shows to be too long;
- what is no MQTT ends the connection: nothing after it can be told apart any more. QoS 2 is none that we asked for.
"""

import ssl
from typing import Any, NamedTuple

from appliance.wire import MAX_TOPIC

CHUNK = 256 * 1024
"""Bytes asked of the kernel at once."""
HEAD = 8 * 1024
"""Bytes kept of a packet that is larger than we take."""
MOST = 1 << 20
"""Bytes that one `fill` reads, so that a flood does not keep its caller from everything else."""
LITTER = 1 << 20
"""Bytes of topics of retained facts that are remembered."""
SMALL = 64 * 1024
"""Bytes that a packet which is no message may have."""
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
        self._litter: list[bytes] = []
        self._litter_bytes = 0
        self.flaw = ""
        """Why the stream is no MQTT, once it is none."""
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

    def take(self) -> list[Arrived]:
        """The messages that have come since the last call."""
        taken, self._arrived = self._arrived, []
        return taken

    def litter(self) -> list[bytes]:
        """Topics under which the broker keeps a fact, as far as we were told of them since the last call."""
        found, self._litter, self._litter_bytes = self._litter, [], 0
        return found

    def fill(self, most: int = MOST) -> None:
        """Reads `most` bytes or a little more, or what is there if that is less."""
        self.more = False
        while most > 0:
            try:
                data = self._sock.recv(CHUNK)
            except _AGAIN:
                return
            except OSError:
                data = b""
            if not data:
                self._ended = True
                return
            most -= len(data)
            try:
                self._cut(data)
            except _NoMqtt as flaw:
                self.flaw, self._open, self._ended = str(flaw), b"", True
                return
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

    # ---- packets

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
            if data[at] & 0xF0 == _PUBLISH:
                if after > end and not self._head_is_there(data, body, length):
                    break
                self._take(data[at], data, body, after)
            elif length > SMALL:
                raise _NoMqtt(f"a packet of kind {data[at] >> 4} with {length} bytes")
            elif after > end:
                break
            else:
                self._rest += data[at:after]
            at = after
        self._skip += max(0, at - end)
        self._open = data[at:]

    def _head_is_there(self, data: bytes, body: int, length: int) -> bool:
        """Whether a packet that has not all come is too large to keep, and all that is kept of it has come."""
        if length <= self._largest + HEAD or len(data) - body < 2:
            return False
        return len(data) - body >= min(length, 4 + (data[body] << 8 | data[body + 1]) + HEAD)

    def _take(self, head: int, data: bytes, body: int, after: int) -> None:
        if after - body < 2:
            raise _NoMqtt("a message without a topic")
        begins, start = body + 2, body + 2 + (data[body] << 8 | data[body + 1])
        topic = data[begins:start] if start - begins <= MAX_TOPIC else data[begins : begins + MAX_TOPIC + 1]
        ends = start
        if quality := head & 0x06:
            start += 2
            if quality != 0x02:
                raise _NoMqtt(f"a message of quality {quality >> 1}")
        if start > after:
            raise _NoMqtt("a topic longer than its packet")
        if quality:
            packet_id = data[ends:start]
            if packet_id == b"\0\0":
                raise _NoMqtt("a message with the number 0")
            self._out += _PUBACK + packet_id
        if head & 1:
            self._note_litter(data[begins:ends], after > start)
        size = after - start
        if ends - begins > MAX_TOPIC:
            payload = b""
        else:
            payload = data[start : after if after - body <= self._largest + HEAD else min(after, start + HEAD)]
        self._arrived.append(Arrived(topic, payload, size, bool(head & 1)))

    def _note_litter(self, topic: bytes, something: bool) -> None:
        if something and topic.split(b"/", 5)[4:5] == [b"fact"] and self._litter_bytes < LITTER:
            self._litter.append(topic)
            self._litter_bytes += len(topic)


class _NoMqtt(Exception):
    """What came is no MQTT; the text says why."""


def _length(data: bytes, at: int) -> tuple[int, int]:
    """The place after an MQTT length and its value; (0, 0) while it has not all come."""
    value = 0
    for n in range(4):
        if at + n >= len(data):
            return 0, 0
        value |= (data[at + n] & 0x7F) << 7 * n
        if data[at + n] < 0x80:
            return at + n + 1, value
    raise _NoMqtt("a length of five bytes")

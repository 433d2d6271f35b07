"""One who holds all that a server of pages lets him hold, from an address of his own, until his time is up.

`python -m tests.ground_siege PORT ADDRESS EVENTS SECONDS` says each way of `WAYS` on `EACH` connections at once, opens
another for each that is closed, and prints how many there were of each way.
"""

import json
import resource
import select
import socket
import sys
import time
from collections import Counter
from dataclasses import dataclass, field

EACH = 40
A_SECOND = 300
"""Connections that are begun at most in a second: more, and it would be the kernel's queue that is measured."""
TURN_S = 0.1
FILLING = b"x" * 65536


def ways(events: str) -> dict[str, tuple[bytes, bytes, bool]]:
    """What is sent at once, what more whenever there is room, and whether what comes is read."""
    host = b"Host: 127.0.0.1\r\n"
    look = b"GET %s HTTP/1.1\r\n%s\r\n" % (events.encode(), host)
    ask = b"GET / HTTP/1.1\r\n" + host + b"\r\n"
    post = b"POST /act/end HTTP/1.1\r\n" + host
    return {
        "silent": (b"", b"", False),
        "half a line": (b"GET / HT", b"", False),
        "drops": (b"GET / HTTP/1.1\r\n", b"A: b\r\n", False),
        "a header without an end": (b"GET / HTTP/1.1\r\nA: ", FILLING, False),
        "a body without an end": (
            post + b"Transfer-Encoding: chunked\r\n\r\n",
            b"10000\r\n" + FILLING + b"\r\n",
            False,
        ),
        "a body that does not come": (post + b"Content-Length: 60000\r\n\r\n", b"", False),
        "a huge body": (post + b"Content-Length: 999999999\r\n\r\n", FILLING, False),
        "kept alive": (ask, b"", True),
        "pages never fetched": (ask, b"", False),
        "far ahead": (ask * 100, ask * 100, False),
        "no request": (b"\x16\x03\x01\x02\x00\x01\r\n\r\n", b"\x00" * 4096, True),
        "a viewer": (look, b"", True),
        "a viewer that never reads": (look, b"", False),
        "a viewer and more": (look, ask, False),
    }


@dataclass
class Hold:
    """One connection, what is still to be sent on it, and what after that again and again."""

    way: str
    link: socket.socket
    waiting: bytes
    more: bytes


@dataclass
class Siege:
    """All connections of one who besieges."""

    port: int
    address: str
    events: str
    begun: Counter[str] = field(default_factory=Counter)
    closed: Counter[str] = field(default_factory=Counter)
    holds: dict[int, Hold] = field(default_factory=dict)
    looks: select.epoll = field(default_factory=select.epoll)

    def run(self, seconds: float) -> None:
        """Go on until the time is up."""
        ends = time.monotonic() + seconds
        while (now := time.monotonic()) < ends:
            for way in self._lacking()[: int(A_SECOND * TURN_S)]:
                self._begin(way)
            for hold in list(self.holds.values()):
                self._send(hold)
            while (left := now + TURN_S - time.monotonic()) > 0:
                for number, what in self.looks.poll(left):
                    self._hear(self.holds[number], what)

    def _lacking(self) -> list[str]:
        """The ways of which connections are missing, in turn."""
        held = Counter(hold.way for hold in self.holds.values())
        return [way for turn in range(EACH) for way in ways(self.events) if held[way] <= turn]

    def _begin(self, way: str) -> None:
        first, more, reads = ways(self.events)[way]
        link = socket.socket()
        link.setblocking(False)
        link.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        link.bind((self.address, 0))
        link.connect_ex(("127.0.0.1", self.port))
        self.begun[way] += 1
        self.holds[link.fileno()] = Hold(way, link, first, more)
        self.looks.register(link, select.EPOLLRDHUP | (select.EPOLLIN if reads else 0))

    def _send(self, hold: Hold) -> None:
        hold.waiting = hold.waiting or hold.more
        try:
            while hold.waiting:
                hold.waiting = hold.waiting[hold.link.send(hold.waiting) :]
        except BlockingIOError:
            pass  # it goes on in the next turn
        except OSError:
            self._end(hold)

    def _hear(self, hold: Hold, what: int) -> None:
        try:
            if what & (select.EPOLLRDHUP | select.EPOLLHUP | select.EPOLLERR) or not hold.link.recv(65536):
                self._end(hold)
        except OSError:
            self._end(hold)

    def _end(self, hold: Hold) -> None:
        self.closed[hold.way] += 1
        del self.holds[hold.link.fileno()]
        self.looks.unregister(hold.link)
        hold.link.close()


def main() -> None:
    port, address, events, seconds = sys.argv[1:]
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    siege = Siege(int(port), address, events)
    siege.run(float(seconds))
    sys.stdout.write(json.dumps({"begun": siege.begun, "closed": siege.closed}))


if __name__ == "__main__":
    main()

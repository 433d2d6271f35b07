"""A window that means harm: everything that its certificate lets it say, as fast as the broker takes it.

`python -m tests.ground_flood AUTHORITY PORT WINDOW SECONDS VICTIM [NAME …]` says each of `SAYS` for its share of the
time and prints how many packets it sent of each. It speaks with the window's own certificate, and so with no more
rights than the broker gives that window.
"""

import json
import random
import select
import socket
import ssl
import sys
import threading
import time
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import TypeVar

COUNTY = "430602"
HASH = "ab" * 32
CHUNK = 64 * 1024
Packets = Iterator[bytes]
T = TypeVar("T")
NOBODY = {"waiting": 0, "served_today": 0}


def length(n: int) -> bytes:
    """A number as MQTT writes the length of a packet."""
    out = bytearray()
    while True:
        n, low = n >> 7, n & 127
        out.append(low | (128 if n else 0))
        if not n:
            return bytes(out)


def packet(topic: str, payload: bytes, *, qos: int = 1, retain: bool = False, number: int = 1) -> bytes:
    """A PUBLISH."""
    name = topic.encode()
    body = len(name).to_bytes(2) + name + (number.to_bytes(2) if qos else b"") + payload
    return bytes([0x30 | qos << 1 | retain]) + length(len(body)) + body


class Liar:
    """Makes the packets; `ledger` and `seq` go on over all of them, as a window's do."""

    def __init__(self, window: str, victim: str) -> None:
        self.window, self.victim = window, victim
        self.ledger = f"{random.getrandbits(32):08x}"
        self.seq = count(1)

    def topic(self, *rest: str) -> str:
        return "/".join(("windows/v1", COUNTY, self.window, *rest))

    def fact(
        self, kind: str, data: object, *, seq: int | None = None, ledger: str = "", synced: bool = True, **more: object
    ) -> bytes:
        """A fact that is in order, but for what `more` says instead."""
        seq = next(self.seq) if seq is None else seq
        said = {
            "specversion": "1.0",
            "id": f"{ledger or self.ledger}-{seq:06d}",
            "sequence": str(seq),
            "source": f"/windows/{COUNTY}/{self.window}",
            "type": f"window.{kind}.v1",
            "subject": "visit/x",
            "time": "2026-11-25T09:14:03.218+08:00",
            "clocksynced": synced,
            "bootid": "5b1c",
            "uptime": "381.220",
            "prevhash": HASH,
            "datacontenttype": "application/json",
            "data": data,
            **more,
        }
        return json.dumps(said, ensure_ascii=False).encode("utf-8", "surrogatepass")

    def given(self, kind: str, data: object, **more: object) -> bytes:
        return packet(self.topic("fact", kind), self.fact(kind, data, **more))  # type: ignore[arg-type]

    # ---- what it says

    def junk(self) -> Packets:
        """QoS 0, nothing but noise, small: as many as there can be."""
        while True:
            yield packet(self.topic("fact", "rating.given"), b"x" * random.randrange(40), qos=0)

    def true_facts(self) -> Packets:
        """QoS 1, each in order."""
        while True:
            yield self.given("rating.given", {"visit": "20261125-0001", "grade": 1})

    def same_again(self) -> Packets:
        """Facts that the book has, and others under their numbers."""
        while True:
            seq = random.randrange(1, 500)
            yield self.given("rating.given", {"visit": "20261125-0001", "grade": random.randrange(1, 6)}, seq=seq)

    def deep(self) -> Packets:
        """Nested beyond all bounds, facts and retained words alike."""
        nest = b"[" * 2000 + b"]" * 2000
        for kind in self._in_turn("presence", "status", "health", "fact"):
            if kind == "fact":
                whole = self.fact("visit.ended", 17).replace(b"17}", nest + b"}")
                yield packet(self.topic("fact", "visit.ended"), whole)
            else:
                yield packet(self.topic(kind), b'{"online":true,"session":' + nest + b"}", retain=True)

    def numbers(self) -> Packets:
        """Numbers that no column and no calendar holds."""
        big = "9" * 5000
        for odd in self._in_turn(2**63, -(2**63), 10**30, 1e308, 1e12, float("nan")):
            yield packet(self.topic("presence"), f'{{"online":true,"session":{odd}}}'.encode(), retain=True)
            yield self.given("press.stray", {"key": 1, "why": "away"}, synced=False)
            yield self.given("clock.synced", {"offset": odd})
            yield self.given("visit.ended", {"visit": "1", "clerk": "1", "seconds": odd})
            yield packet(
                self.topic("fact", "x.y"),
                self.fact("x.y", 1).replace(b'"sequence"', b'"sequence":"%s","s"' % big.encode()),
            )

    def times(self) -> Packets:
        """Times out of all time."""
        for odd in self._in_turn("0001-01-01T00:00:00Z", "9999-12-31T23:59:59-14:00", "2026-02-30T00:00:00Z", "x"):
            status = {"state": "idle", "since": odd, "clerk": None, "away": None, "case_open": False, **NOBODY}
            yield packet(self.topic("status"), json.dumps(status).encode(), retain=True)
            yield packet(
                self.topic("fact", "press.stray"), self.fact("press.stray", {"key": 1, "why": "away"}, time=odd)
            )

    def long_topics(self) -> Packets:
        """Topics of 20,000 bytes and more, with much and with little under them, kept and not."""
        for n in count():
            topic = self.topic("fact", f"{n:08d}" + "t" * random.choice((300, 20_000, 60_000)))
            yield packet(topic, b"x" * random.choice((1, 200_000, 300_000)), retain=n % 2 == 0)

    def many_topics(self) -> Packets:
        """A new topic each time, retained."""
        for n in count():
            yield packet(self.topic("fact", f"t{n}"), b"r" * random.choice((10, 100_000)), retain=True)

    def new_types(self) -> Packets:
        """Facts of types that nobody knows, each another, each of another ledger."""
        letters = "abcdefghijklmnopqrstuvwxyz"
        while True:
            kind = "t" + "".join(random.choices(letters, k=20)) + ".x"
            yield self.given(kind, {"a": 1}, seq=1, ledger=f"{random.getrandbits(32):08x}")

    def long_texts(self) -> Packets:
        """Texts of a quarter of a megabyte where a number should be."""
        for n in count():
            yield self.given("visit.ended", {"visit": f"{n}" + "v" * 240_000, "clerk": "1", "seconds": 1})

    def odd_texts(self) -> Packets:
        """U+0000, half characters, and bytes that are no text."""
        for odd in self._in_turn("\0", "\ud800", "\udfff", "\u202e"):
            yield self.given(
                "device.failed", {"device": odd, "reason": odd, "detail": odd * 50}, subject=odd, bootid=odd
            )
            yield packet(self.topic("fact", "rating.given"), b"\xff\xfe" + self.fact("rating.given", {}))

    def clocks(self) -> Packets:
        """Thousands of facts without a clock, and then one word after another on how wrong it was."""
        boot = f"b{random.getrandbits(32):08x}"
        first = next(self.seq)
        for _ in range(4000):
            yield self.given("press.stray", {"key": 1, "why": "away"}, synced=False, bootid=boot)
        last = next(self.seq)
        for seq in self._in_turn(*range(last + 2000, last, -1)):
            yield self.given("clock.synced", {"offset": float(seq - first)}, seq=seq, bootid=boot)

    def moods(self) -> Packets:
        """There, gone, there: retained words that change each time."""
        for n in count():
            state = random.choice(("idle", "serving", "rating", "closed"))
            at = f"2026-11-25T09:14:{n % 60:02d}+08:00"
            status = {"state": state, "since": at, "clerk": None, "away": None, "case_open": False}
            yield packet(
                self.topic("presence"), json.dumps({"online": n % 2 == 0, "session": n // 2}).encode(), retain=True
            )
            yield packet(
                self.topic("status"), json.dumps({**status, "waiting": n, "served_today": n}).encode(), retain=True
            )
            yield packet(self.topic("health"), self.health(n), retain=True)

    def health(self, n: int) -> bytes:
        said = {
            "at": "2026-11-25T09:14:03+08:00", "version": "1",
            "printer": {"state": "bad", "reason": "x" * 100},
            "pad": {"state": "bad", "stuck": list(range(9000)) if n % 3 else [1, 2, 3, 4, 5]}, "camera": "bad",
            "clock": {"synced": False}, "outbox": {"depth": n, "oldest_s": 1.0}, "disk_free_mb": 1,
            "temperature_c": 1.0, "throttled": False, "probes": {}, "documents": {},
        }  # fmt: skip
        return json.dumps(said).encode()

    def devices(self) -> Packets:
        """A thousand devices that fail and recover."""
        for n in count():
            yield self.given(
                random.choice(("device.failed", "device.recovered")), {"device": f"d{n % 1000}", "reason": "r"}
            )

    def stolen(self) -> Packets:
        """The facts of another window's ledger, before it has told them."""
        for seq in count(1_000_000):
            yield self.given("rating.given", {"visit": "20261125-0001", "grade": 1}, seq=seq, ledger=self.victim)

    def large(self) -> Packets:
        """As much as a message may have, at QoS 0 and 1, under a topic that is right."""
        for n in count():
            yield packet(self.topic("fact", "rating.given"), b"y" * 262_000, qos=n % 2)

    def empty(self) -> Packets:
        """Nothing at all, and retained nothing."""
        for n in count():
            yield packet(self.topic("fact", "rating.given"), b"", retain=n % 2 == 0)

    def broken(self) -> Packets:
        """No MQTT: the broker hangs up, and the window comes again."""
        return self._in_turn(b"\x32\xff\xff\xff\xff\xff", b"\x36\x05\x00\x01tab", b"\x32\x03\x00\xfft", b"\xf0\x00")

    def _in_turn(self, *things: T) -> Iterator[T]:
        while True:
            yield from things


SAYS: dict[str, Callable[[Liar], Packets]] = {
    name: getattr(Liar, name)
    for name in (
        "junk", "true_facts", "same_again", "deep", "numbers", "times", "long_topics", "many_topics", "new_types",
        "long_texts", "odd_texts", "clocks", "moods", "devices", "stolen", "large", "empty", "broken",
    )
}  # fmt: skip


class Mouth:
    """A connection by hand, over TLS with the window's certificate; comes again whenever the broker hangs up."""

    def __init__(self, authority: Path, port: int, window: str) -> None:
        self._context = ssl.create_default_context(cafile=authority / "ca.crt")
        self._context.load_cert_chain(authority / f"{window}.crt", authority / f"{window}.key")
        self._port, self._window = port, window
        self.losses = 0
        self._sock = self._connect()

    def _connect(self) -> ssl.SSLSocket:
        raw = socket.create_connection(("127.0.0.1", self._port), timeout=10)
        sock = self._context.wrap_socket(raw, server_hostname="localhost")
        name = self._window.encode()
        body = b"\x00\x04MQTT\x04\x02\x00\x3c" + len(name).to_bytes(2) + name
        sock.sendall(bytes([0x10]) + length(len(body)) + body)
        sock.recv(4)
        return sock

    def say(self, data: bytes) -> None:
        """All of it, reading meanwhile what the broker confirms."""
        try:
            self._sock.settimeout(10)
            self._sock.sendall(data)
            self._sock.setblocking(False)
            while self._sock.pending() or select.select([self._sock], [], [], 0)[0]:
                if not self._sock.recv(CHUNK):
                    raise ConnectionResetError
        except (ssl.SSLWantReadError, BlockingIOError):
            return
        except OSError:
            self.losses += 1
            self._sock.close()
            self._come_again()

    def _come_again(self) -> None:
        """Tries ten times a second for half a minute: a broker that is full lets nobody in."""
        pause = threading.Event()
        for _ in range(300):
            try:
                self._sock = self._connect()
            except OSError:
                pause.wait(0.1)
            else:
                return


def main() -> None:
    authority, port, window, seconds, victim = Path(sys.argv[1]), int(sys.argv[2]), *sys.argv[3:6]
    liar, mouth = Liar(window, victim), Mouth(authority, port, window)
    chosen = {name: SAYS[name] for name in sys.argv[6:] or SAYS}
    share = float(seconds) / len(chosen)
    for name, says in chosen.items():
        until, said, losses, packets = time.monotonic() + share, 0, mouth.losses, says(liar)
        while time.monotonic() < until:
            part = bytearray()
            while len(part) < CHUNK:
                part += next(packets)
                said += 1
                if name == "broken":
                    break
            mouth.say(bytes(part))
        print(json.dumps({"says": name, "packets": said, "hung_up": mouth.losses - losses}), flush=True)


if __name__ == "__main__":
    main()

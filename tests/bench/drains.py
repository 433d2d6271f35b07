"""The ends that drain a backlog: `python -m tests.bench.drains NAME PORT URL COUNT` prints one line of JSON.

`ours` is the collector as it runs at a county. The others are the least that one would write: paho with batches or with
a row a commit, and a bare reader of MQTT, all with SQLite in WAL mode and synchronous=FULL; and paho with batches that
PostgreSQL's COPY puts into a temporary table. URL is SQLAlchemy's. Imports are not measured.
"""

import json
import socket
import sqlite3
import struct
import sys
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
from paho.mqtt import client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from appliance import wire

COUNTY = "430602"
BATCH = 500
LOOPBACK = "127.0.0.1"
CLIENTS = {
    "ours": f"county-{COUNTY}",
    "batched": "batched",
    "batched_small": "batched-small",
    "single": "single",
    "bare_small": "bare-small",
    "copied": "copied",
    "node_red": "node-red-keeper",
}
FACTS, SMALL = f"windows/v1/{COUNTY}/+/fact/#", f"bench/v1/{COUNTY}/+/fact/#"
"""Where true facts are published, and payloads of 200 bytes."""


class Named(msgspec.Struct):
    """As much of a payload as somebody needs who only tells facts apart."""

    id: str


def topics(name: str) -> str:
    """What an end subscribes to."""
    return SMALL if name in ("batched_small", "single", "bare_small") else FACTS


class Watch:
    """Time and processor time since it was made."""

    def __init__(self) -> None:
        self._began, self._cpu = time.monotonic(), time.process_time()

    def read(self) -> dict[str, float]:
        """Both in seconds, and the most memory that the process had."""
        # Not ru_maxrss, which remembers the process that started us.
        lines = Path("/proc/self/status").read_text().splitlines()
        peak = next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))
        return {"took": time.monotonic() - self._began, "cpu": time.process_time() - self._cpu, "peak_mb": peak / 1024}


def drain_ours(port: int, url: str, count: int) -> dict[str, float]:
    """The collector itself: validated, deduplicated, chained, counted for the wall, acknowledged.

    `unconfirmed` are the most of its acknowledgements that the broker had not confirmed, `hung_up` how often it came
    anew.
    """
    from appliance.county.book import Book
    from appliance.county.collector import Collector
    from appliance.county.line import OWED, Broker, Line
    from appliance.county.wall import Wall

    book = Book(url)
    wall = Wall(book, time.time_ns() // 1000)
    collector = Collector(COUNTY, Broker(host=LOOPBACK, port=port), book, wall)
    unconfirmed, lines = 0, set[Line]()
    watch = Watch()
    while wall.standing().facts < count or collector.pulse.untold:
        collector.step()
        if line := collector._line:
            lines.add(line)
            unconfirmed = max(unconfirmed, OWED - line.room)
    said = watch.read() | {"unconfirmed": unconfirmed, "hung_up": len(lines) - 1}
    collector.close()
    book.close()
    return said


class Shelf:
    """Where the others put their facts."""

    def __init__(self, database: Path) -> None:
        self._base = sqlite3.connect(database, isolation_level=None)
        self._base.execute("PRAGMA journal_mode=WAL")
        self._base.execute("PRAGMA synchronous=FULL")
        self._base.execute("CREATE TABLE facts (ledger TEXT, seq INTEGER, payload BLOB, PRIMARY KEY (ledger, seq))")
        self._read = msgspec.json.Decoder(Named)

    def keep(self, payloads: list[bytes]) -> bytes:
        """One transaction; returns what acknowledges it."""
        rows = []
        for payload in payloads:
            ledger, seq = self._read.decode(payload).id.split("-")
            rows.append((ledger, int(seq), payload))
        self._base.execute("BEGIN")
        self._base.executemany("INSERT OR IGNORE INTO facts VALUES (?, ?, ?)", rows)
        self._base.execute("COMMIT")
        seqs = [seq for _, seq, _ in rows]
        return wire.encode(wire.Ack(ledger=rows[0][0], seqs=wire.runs(seqs)))


def drain_paho(name: str, port: int, database: Path, count: int) -> dict[str, float]:
    """paho in its own loop, as its documentation has it."""
    client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id=CLIENTS[name], clean_session=False)
    shelf, waiting, seen = Shelf(database), list[bytes](), [0]
    most = 1 if name == "single" else BATCH

    def keep() -> None:
        if waiting:
            client.publish(f"{topics(name).split('+')[0]}ack", shelf.keep(waiting), 1)
            waiting.clear()

    def take(_client: mqtt.Client, _data: object, message: mqtt.MQTTMessage) -> None:
        seen[0] += 1
        waiting.append(bytes(message.payload))
        if len(waiting) >= most:
            keep()

    client.on_message = take
    client.max_inflight_messages_set(0)
    watch = Watch()
    client.connect(LOOPBACK, port, 60)
    while seen[0] < count:
        before = seen[0]
        client.loop(0.05)
        if seen[0] == before:
            keep()
    keep()
    return watch.read()


def drain_copied(name: str, port: int, url: str, count: int) -> dict[str, float]:
    """paho with batches, each copied to a temporary table and from there into the table of facts, acknowledged."""
    import psycopg

    client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id=CLIENTS[name], clean_session=False)
    waiting, seen = list[tuple[str, int, bytes]](), [0]
    read = msgspec.json.Decoder(Named)
    with psycopg.connect(url.replace("+psycopg", "")) as base:
        base.execute("CREATE TABLE copied (ledger text, seq bigint, payload bytea, PRIMARY KEY (ledger, seq))")
        base.execute("CREATE TEMPORARY TABLE batch (ledger text, seq bigint, payload bytea) ON COMMIT DELETE ROWS")
        base.commit()

        def keep() -> None:
            if not waiting:
                return
            with base.cursor().copy("COPY batch FROM STDIN (FORMAT BINARY)") as copy:
                copy.set_types(("text", "int8", "bytea"))
                for row in waiting:
                    copy.write_row(row)
            base.execute("INSERT INTO copied SELECT * FROM batch ON CONFLICT DO NOTHING")
            base.commit()
            ack = wire.Ack(ledger=waiting[0][0], seqs=wire.runs([seq for _, seq, _ in waiting]))
            client.publish(f"{topics(name).split('+')[0]}ack", wire.encode(ack), 1)
            waiting.clear()

        def take(_client: mqtt.Client, _data: object, message: mqtt.MQTTMessage) -> None:
            seen[0] += 1
            ledger, seq = read.decode(message.payload).id.split("-")
            waiting.append((ledger, int(seq), bytes(message.payload)))
            if len(waiting) >= BATCH:
                keep()

        client.on_message = take
        client.max_inflight_messages_set(0)
        watch = Watch()
        client.connect(LOOPBACK, port, 60)
        while seen[0] < count:
            before = seen[0]
            client.loop(0.05)
            if seen[0] == before:
                keep()
        keep()
        return watch.read()


def drain_bare(name: str, port: int, database: Path, count: int) -> dict[str, float]:
    """The ceiling: reads PUBLISH packets out of a socket, and does nothing else that MQTT asks for but PUBACK."""
    shelf, seen = Shelf(database), 0
    watch = Watch()
    with socket.create_connection((LOOPBACK, port)) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.sendall(connect_packet(CLIENTS[name], clean=False))
        data, waiting = sock.recv(4)[4:], list[bytes]()
        while seen < count:
            data += sock.recv(256 * 1024)
            at, answers = 0, bytearray()
            while len(data) - at >= 5:
                length, body = data[at + 1], at + 2
                if length > 127:
                    length, body = length & 127 | data[at + 2] << 7, at + 3
                if len(data) < body + length:
                    break
                start = body + 2 + (data[body] << 8 | data[body + 1])
                answers += b"\x40\x02" + data[start : start + 2]
                waiting.append(bytes(data[start + 2 : body + length]))
                at = body + length
            data = data[at:]
            sock.sendall(answers)
            seen += len(waiting)
            for part in range(0, len(waiting), BATCH):
                shelf.keep(waiting[part : part + BATCH])
            waiting.clear()
    return watch.read()


def connect_packet(client: str, *, clean: bool) -> bytes:
    """An MQTT 3.1.1 CONNECT."""
    body = b"\x00\x04MQTT\x04" + (b"\x02" if clean else b"\x00") + b"\x00\x3c" + struct.pack("!H", len(client))
    return bytes([0x10, len(body) + len(client)]) + body + client.encode()


def main() -> None:
    name, port, url, count = sys.argv[1], int(sys.argv[2]), sys.argv[3], int(sys.argv[4])
    database = Path(url.removeprefix("sqlite:///"))
    drains: dict[str, Callable[[], dict[str, float]]] = {
        "ours": lambda: drain_ours(port, url, count),
        "copied": lambda: drain_copied(name, port, url, count),
        "bare_small": lambda: drain_bare(name, port, database, count),
    }
    print(json.dumps(drains.get(name, lambda: drain_paho(name, port, database, count))()))


if __name__ == "__main__":
    main()

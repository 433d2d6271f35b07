"""A backlog that one mosquitto holds for persistent sessions, and the processes that drain it (`drains`)."""

import json
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path

import msgspec
from paho.mqtt import client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from appliance import wire
from appliance.window.facts import RatingGiven
from appliance.window.moment import CHINA
from tests.bench.drains import CLIENTS, COUNTY, LOOPBACK, connect_packet, topics
from tests.bench.ground import ROOT, Process, answers, free_port, wait_until

UNDERWAY = 8_000
"""Bytes of PUBACKs that may be owed to us while a backlog is queued."""


def true_facts(count: int, windows: int = 10) -> list[tuple[str, bytes]]:
    """Ratings of so many windows in turn as their ledgers write them, each chained."""
    names = [f"{COUNTY}-{site:04d}-1" for site in range(101, 101 + windows)]
    last: dict[str, bytes] = {}
    morning = datetime.now(CHINA).replace(microsecond=218000)
    made = []
    for n in range(count):
        window, seq = names[n % windows], n // windows + 1
        visit = f"{morning:%Y%m%d}-{seq:04d}"
        fact = RatingGiven(visit=visit, grade=5, item="jmcbdj", clerk="0107")
        last[window] = payload = wire.encode(
            wire.Envelope(
                specversion="1.0",
                id=wire.fact_id(f"{int(window[7:11]):08x}", seq),
                sequence=str(seq),
                source=f"/windows/{COUNTY}/{window}",
                type=f"window.{fact.type}.v1",
                subject=fact.subject,
                time=morning + timedelta(milliseconds=n),
                clocksynced=True,
                bootid="5b1c3333-2222-4444-aaaa-012345678901",
                uptime=f"{n}.220",
                prevhash=wire.prevhash(last.get(window)),
                data=msgspec.Raw(msgspec.json.encode(fact)),
            )
        )
        made.append((wire.window_topic(window, "fact", fact.type), payload))
    return made


@contextmanager
def broker(place: Path) -> Iterator[int]:
    """mosquitto without a limit to its queues, and otherwise as it comes."""
    port, settings = free_port(), place / "mosquitto.conf"
    settings.write_text(f"listener {port} {LOOPBACK}\nallow_anonymous true\nmax_queued_messages 0\n")
    program = shutil.which("mosquitto") or "/usr/sbin/mosquitto"
    with Process([program, "-c", str(settings)], place / "broker.log") as process:
        wait_until(lambda: answers(port), process)
        yield port


def subscribe(name: str, port: int) -> None:
    """A persistent session that the broker queues for."""
    client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id=CLIENTS[name], clean_session=False)
    heard: list[int] = []
    client.on_connect = lambda client, *_: client.subscribe(topics(name), 1)
    client.on_subscribe = lambda *_: heard.append(1)
    client.connect(LOOPBACK, port)
    while not heard:
        client.loop(0.1)
    client.disconnect()


def forget(name: str, port: int) -> None:
    """Drop a session, and what it has not drained."""
    with socket.create_connection((LOOPBACK, port)) as sock:
        sock.sendall(connect_packet(CLIENTS[name], clean=True))
        sock.recv(4)


def pour(port: int, messages: list[tuple[str, bytes]]) -> None:
    """Publish with QoS 1 as fast as the broker takes it."""
    with socket.create_connection((LOOPBACK, port)) as sock:
        sock.sendall(connect_packet("pour", clean=True))
        sock.recv(4)
        owed = 0
        for first in range(0, len(messages), 100):
            packets = bytearray()
            for n, (topic, payload) in enumerate(messages[first : first + 100], first):
                body = len(topic).to_bytes(2) + topic.encode() + (n % 65535 + 1).to_bytes(2) + payload
                packets += b"\x32" + bytes([len(body) & 127 | 128, len(body) >> 7]) + body
            sock.sendall(packets)
            owed += 4 * min(100, len(messages) - first)
            # Some are always on their way: to wait for each hundred would be to wait for delayed TCP acknowledgements.
            while owed > UNDERWAY:
                owed -= len(sock.recv(65536))
        while owed:
            owed -= len(sock.recv(65536))
        sock.sendall(b"\xe0\x00")


def drain(name: str, port: int, place: Path, count: int, url: str = "") -> dict[str, float]:
    """Let an end drain so many, into a new file or, where it takes one, the database at `url`; what it says."""
    for old in place.glob("drain.db*"):
        old.unlink()
    where = url or f"sqlite:///{place / 'drain.db'}"
    command = [sys.executable, "-m", "tests.bench.drains", name, str(port), where, str(count)]
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True, timeout=300)
    said: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return said

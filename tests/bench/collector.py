"""C1: how fast the county drains a queued backlog, beside the least that one would write, and beside the ceiling.

Every end has its own persistent session at one mosquitto; a backlog is queued for all of them, and they drain it in
turn, another one first in every round. Ours gets true facts, which it validates, chains, counts and acknowledges; the
reference gets the 200 bytes of JSON of `performance.md` as well, and ours is judged against the faster of its two.
"""

import json
import random
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
from tests.bench.ground import ROOT, Process, answers, free_port, scratch, wait_until
from tests.bench.report import Goal, Report

COUNT = 30_000
SINGLE = 3_000
"""What the end with a row a commit drains, so that a round does not wait for it."""
SMALL_BYTES = 200
UNDERWAY = 8_000
"""Bytes of PUBACKs that may be owed to us while a backlog is queued."""
WORDS = {
    "ours": "our collector: validated, chained, counted",
    "batched": "paho, batches ≤ 500, acknowledged",
    "batched_small": "the same, 200-byte JSON",
    "single": "paho, one row a commit, 200-byte JSON",
    "bare_small": "bare MQTT reader, 200-byte JSON (the ceiling)",
}


def measure(rounds: int) -> Report:
    """Drain a backlog with every end, `rounds` times."""
    rates: dict[str, list[float]] = {name: [] for name in CLIENTS}
    cpu: dict[str, list[float]] = {name: [] for name in CLIENTS}
    peak = 0.0
    facts, small = true_facts(COUNT), small_facts(COUNT)
    with scratch() as place, _broker(place) as port:
        for turn in range(rounds):
            for name in CLIENTS:
                _subscribe(name, port)
            _pour(port, facts)
            _pour(port, small)
            order = list(CLIENTS)
            random.Random(turn).shuffle(order)
            for name in order:
                count = SINGLE if name == "single" else COUNT
                said = _drain(name, port, place, count)
                rates[name].append(count / said["took"])
                cpu[name].append(said["cpu"] / count * 1e6)
                peak = max(peak, said["peak_mb"]) if name == "ours" else peak
            _forget("single", port)
    return _report(rates, cpu, peak)


def _report(rates: dict[str, list[float]], cpu: dict[str, list[float]], peak: float) -> Report:
    def median(values: list[float]) -> float:
        return sorted(values)[len(values) // 2]

    def against(name: str) -> list[float]:
        return [ours / theirs for ours, theirs in zip(rates["ours"], rates[name], strict=True)]

    report = Report(f"C1: draining {COUNT} queued facts at the county", ("", "facts/s", "CPU µs each", "ours ÷ it"))
    for name, words in WORDS.items():
        ratio = f"{median(against(name)):.2f}"
        report.rows.append((words, f"{median(rates[name]):,.0f}", f"{median(cpu[name]):.1f}", ratio))
    faster = [max(pair) for pair in zip(rates["batched"], rates["batched_small"], strict=True)]
    report.goals = [
        Goal("C1 ÷ paho reference", [a / b for a, b in zip(rates["ours"], faster, strict=True)], 0.9, at_least=True),
        Goal("C1 ÷ one row a commit", against("single"), 5, at_least=True),
        Goal("C1 ÷ ceiling (stretch)", against("bare_small"), 0.5, at_least=True),
    ]
    size = len(true_facts(1)[0][1])
    report.notes += [
        f"true facts have {size} bytes; ours peaked at {peak:.0f} MB",
        "one mosquitto with its default max_inflight_messages of 20",
    ]
    return report


def true_facts(count: int) -> list[tuple[str, bytes]]:
    """Ratings of ten windows as their ledgers write them, each chained."""
    windows = [f"{COUNTY}-0{site}-1" for site in range(101, 111)]
    last: dict[str, bytes] = {}
    morning = datetime.now(CHINA).replace(microsecond=218000)
    made = []
    for n in range(count):
        window, seq = windows[n % 10], n // 10 + 1
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


def small_facts(count: int) -> list[tuple[str, bytes]]:
    """Payloads of 200 bytes that have an id and little else."""
    made = []
    for n in range(count):
        head = f'{{"id":"3f9c1a7e-{n + 1:06d}","data":"'
        made.append((f"bench/v1/{COUNTY}/w/fact/x.y", (head + "x" * (SMALL_BYTES - len(head) - 2) + '"}').encode()))
    return made


@contextmanager
def _broker(place: Path) -> Iterator[int]:
    """mosquitto without a limit to its queues, and otherwise as it comes."""
    port, settings = free_port(), place / "mosquitto.conf"
    settings.write_text(f"listener {port} {LOOPBACK}\nallow_anonymous true\nmax_queued_messages 0\n")
    program = shutil.which("mosquitto") or "/usr/sbin/mosquitto"
    with Process([program, "-c", str(settings)], place / "broker.log") as process:
        wait_until(lambda: answers(port), process)
        yield port


def _subscribe(name: str, port: int) -> None:
    """A persistent session that the broker queues for."""
    client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id=CLIENTS[name], clean_session=False)
    heard: list[int] = []
    client.on_connect = lambda client, *_: client.subscribe(topics(name), 1)
    client.on_subscribe = lambda *_: heard.append(1)
    client.connect(LOOPBACK, port)
    while not heard:
        client.loop(0.1)
    client.disconnect()


def _forget(name: str, port: int) -> None:
    """Drop a session, and what it has not drained."""
    with socket.create_connection((LOOPBACK, port)) as sock:
        sock.sendall(connect_packet(CLIENTS[name], clean=True))
        sock.recv(4)


def _pour(port: int, messages: list[tuple[str, bytes]]) -> None:
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


def _drain(name: str, port: int, place: Path, count: int) -> dict[str, float]:
    for old in place.glob("drain.db*"):
        old.unlink()
    command = [sys.executable, "-m", "tests.bench.drains", name, str(port), str(place / "drain.db"), str(count)]
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True, timeout=120)
    said: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return said


if __name__ == "__main__":
    measure(5).print()

"""C3: how fast the county drains a queued backlog beside Node-RED into SQLite, in what memory, and what a kill costs.

A fact is lost when its window was told that it is kept and it is not: by the county's acknowledgement, and by
Node-RED's PUBACK, after which the broker forgets it. Node-RED writes to a database as its SQLite node makes one: with
a rollback journal and synchronous=FULL.
"""

import os
import signal
import sqlite3
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import msgspec
from paho.mqtt import client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from appliance import wire
from tests.bench import peers
from tests.bench.drains import CLIENTS, COUNTY
from tests.bench.ground import LOOPBACK, Ear, Process, free_port, scratch, wait_until
from tests.bench.queued import broker, drain, forget, pour, subscribe, true_facts
from tests.bench.report import Goal, Report

COUNT = 20_000
KILLED_S = 1.0
"""So long after its first row each is killed."""
PATIENCE_S = 60.0


def measure(rounds: int) -> Report:
    """Drain a backlog with both in turn, `rounds` times, and kill each once a round."""
    report = Report("C3: draining queued facts at the county", ("", "facts/s", "peak MB", "told and lost on kill -9"))
    found = peers.node_red_with_sqlite()
    if found is None:
        report.notes.append("npm brings no Node-RED here: not measured")
        return report
    red, name = found
    rates: dict[str, list[float]] = {"ours": [], name: []}
    peaks: dict[str, list[float]] = {"ours": [], name: []}
    lost: dict[str, list[float]] = {"ours": [], name: []}
    facts = true_facts(COUNT)
    with scratch() as place, broker(place) as port:
        for turn in range(rounds):
            for end in sorted(rates, reverse=turn % 2 == 1):
                took = _ours(place, port, facts) if end == "ours" else _theirs(place, port, red, facts)
                rates[end].append(took[0])
                peaks[end].append(took[1])
                lost[end].append(
                    _ours_killed(place, port, facts) if end == "ours" else _theirs_killed(place, port, red, facts)
                )
    for end in rates:
        report.rows.append((end, f"{_middle(rates[end]):,.0f}", f"{_middle(peaks[end]):.0f}", f"{max(lost[end]):,.0f}"))
    report.goals = [
        Goal("C3 rate ÷ Node-RED", _ratios(rates, name), 30, at_least=True),
        Goal("C3 peak memory ÷ Node-RED", _ratios(peaks, name), 0.25),
        Goal("C3 acknowledged and lost", lost["ours"], 0, unit=""),
    ]
    report.notes.append(f"each drains {COUNT}, and is killed {KILLED_S:g} s after its first row of as many")
    return report


# ---- how fast


def _ours(place: Path, port: int, facts: list[tuple[str, bytes]]) -> tuple[float, float]:
    subscribe("ours", port)
    pour(port, facts)
    said = drain("ours", port, place, COUNT)
    forget("ours", port)
    return COUNT / said["took"], said["peak_mb"]


def _theirs(place: Path, port: int, red: list[str], facts: list[tuple[str, bytes]]) -> tuple[float, float]:
    subscribe("node_red", port)
    pour(port, facts)
    with _node_red(place, port, red) as (process, base):
        wait_until(lambda: _rows(base) > 0, process, PATIENCE_S)
        began, first = time.monotonic(), _rows(base)
        wait_until(lambda: _rows(base) >= len(facts), process, PATIENCE_S, 0.02)
        took = time.monotonic() - began
        peak = _peak_mb(process.pid)
    forget("node_red", port)
    return (len(facts) - first) / took, peak


# ---- what a kill costs


def _ours_killed(place: Path, port: int, facts: list[tuple[str, bytes]]) -> int:
    """Facts that were acknowledged to their windows and are not in the book."""
    subscribe("ours", port)
    pour(port, facts)
    book = _fresh(place, "drain.db")
    command = [sys.executable, "-m", "tests.bench.drains", "ours", str(port), f"sqlite:///{book}", str(COUNT)]
    told = set[tuple[str, int]]()
    with Ear(port, wire.county_topic(COUNTY, "+", "ack")) as ear, Process(command, place / "ours.log") as process:
        wait_until(lambda: book.exists() and _count(book, "facts") > 0, process, PATIENCE_S)
        _kill(process)
        while heard := ear.wait(lambda _: True, 1.0):
            ack = msgspec.json.decode(heard.payload, type=wire.Ack)
            told.update((ack.ledger, seq) for first, last in ack.seqs for seq in range(first, last + 1))
    forget("ours", port)
    with closing(sqlite3.connect(book)) as base:
        kept = set(base.execute("SELECT ledger, seq FROM facts"))
    assert told, "it was killed before it had told anybody"
    return len(told - kept)


def _theirs_killed(place: Path, port: int, red: list[str], facts: list[tuple[str, bytes]]) -> int:
    """Facts that the broker holds no more and the table has not: those that a second start does not bring."""
    subscribe("node_red", port)
    pour(port, facts)
    with _node_red(place, port, red) as (process, base):
        wait_until(lambda: _rows(base) > 0, process, PATIENCE_S)
        _kill(process)
        kept = _rows(base)
        left = Left(port)
    forget("node_red", port)
    return len(facts) - kept - left.count


class Left:
    """How many facts the broker still holds for Node-RED's session."""

    def __init__(self, port: int) -> None:
        self.count = 0
        client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id=CLIENTS["node_red"], clean_session=False)
        client.on_message = self._take
        client.connect(LOOPBACK, port)
        quiet = time.monotonic() + 2.0
        while time.monotonic() < quiet:
            before = self.count
            client.loop(0.1)
            if self.count > before:
                quiet = time.monotonic() + 2.0
        client.disconnect()

    def _take(self, *_: object) -> None:
        self.count += 1


# ---- the two


@contextmanager
def _node_red(place: Path, port: int, red: list[str]) -> Iterator[tuple[Process, Path]]:
    base = _fresh(place, "red.db")
    with closing(sqlite3.connect(base)) as made:
        made.execute("CREATE TABLE facts (id TEXT PRIMARY KEY, payload TEXT)")
    home = place / f"red-{time.monotonic_ns()}"
    topics = f"windows/v1/{COUNTY}/+/fact/#"
    peers.node_red_keeper(home, free_port(), port, CLIENTS["node_red"], topics, base)
    with Process([*red, "--userDir", str(home)], place / "node-red.log") as process:
        yield process, base


def _fresh(place: Path, name: str) -> Path:
    for old in place.glob(f"{name}*"):
        old.unlink()
    return place / name


def _kill(process: Process) -> None:
    time.sleep(KILLED_S)
    os.killpg(process.pid, signal.SIGKILL)
    process.child.wait(10)


def _rows(base: Path) -> int:
    return _count(base, "facts")


def _count(base: Path, table: str) -> int:
    """Rows of a table to which rows are only added."""
    with closing(sqlite3.connect(base, timeout=5)) as reader:
        try:
            return int(reader.execute(f"SELECT coalesce(max(rowid), 0) FROM {table}").fetchone()[0])
        except sqlite3.OperationalError:
            return 0  # there is no table yet


def _peak_mb(pid: int) -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


def _middle(values: list[float]) -> float:
    return sorted(values)[len(values) // 2]


def _ratios(found: dict[str, list[float]], name: str) -> list[float]:
    return [ours / theirs for ours, theirs in zip(found["ours"], found[name], strict=True)]


if __name__ == "__main__":
    measure(3).print()

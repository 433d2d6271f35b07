"""E1: presses that were taken arrive at the county once each, over a cut link and a window killed again and again.

A cable lies between broker and each side. First it is cut, each side is pressed a hundred times, and it is plugged in
again. Then the window is pressed without pause and killed (SIGKILL) at random, while the cable is cut and plugged in
now and then: every press that stood in its ledger has to be at the subscriber, and none twice.
"""

import contextlib
import random
import sqlite3
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import msgspec

from appliance import wire
from tests.bench import peers, window
from tests.bench.finger import Finger
from tests.bench.ground import LOOPBACK, Ear, Heard, Process, broker, free_port, scratch, serves, wait_until
from tests.bench.report import Goal, Report
from tests.bench.wiring import KEYS
from tests.ground_courier.cable import Cable

PRESSES = 100
EVERY_S = 0.020
KILLS = 10
"""In each round: five rounds, the default, make fifty."""
LIVES_S = (0.05, 1.0)
PATIENCE_S = 60.0


class Arrived:
    """What a subscriber heard of the window's facts: each payload by its ledger and sequence."""

    def __init__(self, ear: Ear) -> None:
        self._ear = ear
        self.times: Counter[str] = Counter()
        self.presses: set[str] = set()
        self.payloads: dict[str, set[bytes]] = {}

    def listen(self, seconds: float) -> None:
        """Take in what comes within so long."""
        self._ear.wait(self._take, seconds)

    def _take(self, heard: Heard) -> bool:
        name = msgspec.json.decode(heard.payload, type=wire.Envelope).id
        self.times[name] += 1
        if heard.topic.endswith("/press.stray"):
            self.presses.add(name)
        self.payloads.setdefault(name, set()).add(heard.payload)
        return False

    def all_of(self, ledger: Path) -> int:
        """Wait until all facts of a ledger have come; how many have not."""
        deadline = time.monotonic() + PATIENCE_S
        while (missing := set(facts(ledger)) - set(self.times)) and time.monotonic() < deadline:
            self.listen(0.2)
        return len(missing)

    @property
    def differing(self) -> int:
        """Facts that came with more than one content: repeats, byte for byte the same, are dropped by their number."""
        return sum(len(payloads) > 1 for payloads in self.payloads.values())


def facts(ledger: Path) -> list[str]:
    """The names of all facts in a ledger."""
    base = sqlite3.connect(f"file:{ledger}?mode=ro", uri=True)
    with contextlib.closing(base):
        name = base.execute("SELECT value FROM meta WHERE name = 'ledger'").fetchone()[0]
        return [wire.fact_id(name, seq) for (seq,) in base.execute("SELECT seq FROM facts")]


def measure(rounds: int) -> Report:
    """Cut both once a round, and kill the window in between."""
    cut: dict[str, list[float]] = {"window": [], "mqtt-io": []}
    lost, kept, killed, doubled = 0, 0, 0, 0
    for _ in range(rounds):
        with contextlib.ExitStack() as stack:
            place = stack.enter_context(scratch())
            port = stack.enter_context(broker(place))
            cut["mqtt-io"].append(_cut_mqtt_io(place, port))
            arrived = Arrived(stack.enter_context(Ear(port, window.FACTS, echo=window.acknowledge)))
            cable = Cable(port)
            stack.callback(cable.close)
            cut["window"].append(_cut_window(place, cable, arrived))
            killed += _kill(place, cable)
            with _run(place, cable):
                lost += arrived.all_of(place / "ledger.db")
            kept += len(facts(place / "ledger.db"))
            doubled += arrived.differing
    return _report(cut, lost, kept, killed, doubled, rounds)


@contextlib.contextmanager
def _run(place: Path, cable: Cable) -> Iterator[tuple[Process, Finger]]:
    finger_at = place / "window.finger"
    for left in (finger_at, finger_at.with_suffix(".ours")):
        left.unlink(missing_ok=True)
    finger, panel = Finger(finger_at), free_port()
    settings = window.write_settings(place, cable.port, panel)
    command = finger.command("tests.bench.at_counter", "--settings", str(settings))
    with contextlib.closing(finger), Process(command, place / "window.log", window.unit_environment()) as process:
        wait_until(lambda: serves(f"http://{LOOPBACK}:{panel}/healthz"), process)
        yield process, finger


def _cut_window(place: Path, cable: Cable, arrived: Arrived) -> float:
    with _run(place, cable) as (_, finger):
        arrived.listen(1.0)
        before = len(arrived.presses)
        cable.cut()
        _press(finger, PRESSES)
        cable.plug_in()
        arrived.all_of(place / "ledger.db")
        return float(len(arrived.presses) - before)


def _cut_mqtt_io(place: Path, port: int) -> float:
    cable, finger = Cable(port), Finger(place / "mqtt-io.finger")
    settings = peers.mqtt_io_settings(place, cable.port, interrupts=True)
    command = finger.command("mqtt_io", str(settings))
    with (
        contextlib.closing(cable),
        contextlib.closing(finger),
        Ear(port, "interrupts/#") as ear,
        Process(command, place / "mqtt-io.log", peers.MOCK_PINS),
    ):
        if ear.wait(lambda heard: heard.topic == "interrupts/status" and heard.payload == b"running", 20) is None:
            raise TimeoutError("mqtt-io did not come online")
        cable.cut()
        _press(finger, PRESSES)
        cable.plug_in()
        ear.wait(lambda heard: heard.topic == "interrupts/status" and heard.payload == b"running", 20)
        found = 0
        while ear.wait(lambda heard: "/input/" in heard.topic and heard.payload == b"ON", 2.0):
            found += 1
        return float(found)


def _press(finger: Finger, times: int) -> None:
    for number in range(times):
        slot = time.monotonic() + EVERY_S
        finger.press(KEYS[number % len(KEYS)])
        time.sleep(max(0.0, slot - time.monotonic()))


def _kill(place: Path, cable: Cable) -> int:
    """Press and kill at random instants; how often."""
    for number in range(KILLS):
        with _run(place, cable) as (process, finger):
            if number % 3 == 0:
                cable.cut()
            until = time.monotonic() + random.uniform(*LIVES_S)
            while time.monotonic() < until:
                _press(finger, 1)
            process.child.kill()
            process.child.wait(5)
            cable.plug_in()
    return KILLS


def _report(cut: dict[str, list[float]], lost: int, kept: int, killed: int, doubled: int, rounds: int) -> Report:
    report = Report(
        f"E1: {PRESSES} presses over a cut link, and {killed} kill -9, {rounds} rounds in turn",
        ("", "of 100 over a cut link", "kept", "not arrived", "with two contents"),
    )
    window_cells = (f"{min(cut['window']):.0f}", f"{kept}", f"{lost}", f"{doubled}")
    report.rows.append(("the window", *window_cells))
    report.rows.append((f"{peers.mqtt_io_version()}, interrupts", f"{max(cut['mqtt-io']):.0f}", "–", "–", "–"))
    report.goals += [
        Goal("E1 presses of 100 over a cut link", cut["window"], PRESSES, at_least=True, unit=""),
        Goal("E1 kept and not arrived, or twice unlike", [float(lost + doubled)], 0, unit=""),
    ]
    report.notes.append("a fact that came again, byte for byte the same, is known by its number and counts once")
    return report


if __name__ == "__main__":
    measure(int(sys.argv[1]) if len(sys.argv) > 1 else 5).print()

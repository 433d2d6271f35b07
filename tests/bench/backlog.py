"""E9: a window brings 10,000 facts that wait in its ledger to the county, beside a bare paho publisher of such facts.

A county runs, its collector listens. It is stopped (SIGSTOP) while the window starts, so that the backlog waits at a
window that stands, and goes on when the clock is started; the window is done when the last fact is acknowledged. Then
the same while its keys are pressed fifty times a second. The publisher has as many facts in flight, and is done when
the broker has confirmed the last: once on the facts' own topics, with the collector listening, and once on a topic that
nobody reads.
"""

import contextlib
import signal
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import msgspec

from appliance import wire
from appliance.courier.flight import WINDOW as IN_FLIGHT
from appliance.ledger import Ledger
from appliance.window.desk import Desk
from appliance.window.facts import RatingGiven
from appliance.window.moment import CHINA, Moment
from tests.bench import window
from tests.bench.county import county
from tests.bench.finger import Finger
from tests.bench.ground import LOOPBACK, ROOT, Ear, Heard, Process, broker, free_port, scratch, serves, wait_until
from tests.bench.report import Goal, Report
from tests.bench.wiring import KEYS

FACTS = 10_000
AT_ONCE = 500
EVERY_S = 0.020
IDLE_PRESSES = 100
PATIENCE_S = 120.0
ACKS, STRAYS = wire.window_topic(window.WINDOW, "ack"), wire.window_topic(window.WINDOW, "fact", "press.stray")


@dataclass
class Seen:
    """Facts a second of each side and round, and the p50 of presses in milliseconds."""

    rates: dict[str, list[float]] = field(default_factory=dict)
    idle: list[float] = field(default_factory=list)
    pressed: list[float] = field(default_factory=list)

    def rate(self, name: str, seconds: float) -> None:
        """One drain of one side."""
        self.rates.setdefault(name, []).append(FACTS / seconds)


def measure(rounds: int) -> Report:
    """Drain with every side, so many rounds."""
    seen = Seen()
    with contextlib.ExitStack() as stack:
        place = stack.enter_context(scratch())
        port = stack.enter_context(broker(place))
        server = stack.enter_context(county(place, port, free_port()))
        for number in range(rounds):
            seen.rate("alone", _pour(place / f"alone-{number}", port, "bench/v1/fact"))
            seen.rate("heard", _pour(place / f"heard-{number}", port, ""))
            for name in ("window", "pressed"):
                with _window(place / f"{name}-{number}", port, server) as drain:
                    seen.rate(name, drain.carry(pressing=name == "pressed"))
                    if name == "pressed":
                        seen.pressed.append(statistics.median(drain.presses))
                        seen.idle.append(drain.idle())
    return _report(seen, rounds)


def backlog(path: Path) -> None:
    """A ledger in which facts wait that nobody has sent."""
    path.parent.mkdir(exist_ok=True)
    ledger = Ledger.open(path, window.WINDOW)
    for first in range(0, FACTS, AT_ONCE):
        at = Moment(at=datetime.now(CHINA), boot="bench", up=float(first), synced=True)
        visits = (f"{at.at:%Y%m%d}-{number:04d}" for number in range(first, first + AT_ONCE))
        facts = [RatingGiven(visit=visit, grade=5, item="jmcbdj", clerk="0107") for visit in visits]
        ledger.commit(facts, at, Desk(ledger=ledger.id))
    ledger.close()


def _pour(place: Path, port: int, topic: str) -> float:
    backlog(place / "ledger.db")
    arguments = [str(port), topic, str(place / "ledger.db"), str(IN_FLIGHT), window.WINDOW]
    command = [sys.executable, "-m", "tests.bench.pour", *arguments]
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True, timeout=PATIENCE_S)
    return float(done.stdout)


class Drain:
    """A window that stands with its backlog before a county that is stopped."""

    def __init__(self, county: Process, finger: Finger, acks: Ear, strays: Ear) -> None:
        self._county, self._finger, self._acks, self._strays = county, finger, acks, strays
        self.presses: list[float] = []

    def carry(self, *, pressing: bool) -> float:
        """Let the county go on; the seconds until it has acknowledged the whole backlog."""
        done = threading.Event()
        finger = threading.Thread(target=self._press_until, args=(done,))
        began = time.monotonic_ns()
        self._county.child.send_signal(signal.SIGCONT)
        if pressing:
            finger.start()
        try:
            return (self._acknowledged() - began) / 1e9
        finally:
            done.set()
            if pressing:
                finger.join()

    def _acknowledged(self) -> int:
        left, deadline = set(range(1, FACTS + 1)), time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            heard = self._acks.wait(lambda _: True, PATIENCE_S)
            if heard is None:
                break
            for low, high in msgspec.json.decode(heard.payload, type=wire.Ack).seqs:
                left.difference_update(range(low, high + 1))
            if not left:
                return heard.at
        raise TimeoutError(f"{len(left)} facts were not acknowledged")

    def _press_until(self, done: threading.Event) -> None:
        while not done.is_set():
            slot = time.monotonic() + EVERY_S
            self.presses.append(self._press(len(self.presses)))
            done.wait(max(0.0, slot - time.monotonic()))

    def _press(self, number: int) -> float:
        self._strays.forget()
        before, _ = self._finger.press(KEYS[number % len(KEYS)])
        heard = self._strays.wait(lambda _: True, 5.0)
        return float("inf") if heard is None else (heard.at - before) / 1e6

    def idle(self) -> float:
        """The p50 of presses while nothing waits, in milliseconds."""
        taken = []
        for number in range(IDLE_PRESSES):
            slot = time.monotonic() + EVERY_S
            taken.append(self._press(number))
            time.sleep(max(0.0, slot - time.monotonic()))
        return statistics.median(taken)


@contextlib.contextmanager
def _window(place: Path, port: int, server: Process) -> Iterator[Drain]:
    backlog(place / "ledger.db")
    panel, finger = free_port(), Finger(place / "finger")
    with contextlib.ExitStack() as stack:
        stack.callback(finger.close)
        printer = stack.enter_context(window.network_printer())
        acks, strays = stack.enter_context(Ear(port, ACKS)), stack.enter_context(Ear(port, STRAYS))
        presence = stack.enter_context(Ear(port, window.PRESENCE))
        presence.wait(lambda _: False, 0.3)  # what a window before left retained
        server.child.send_signal(signal.SIGSTOP)
        stack.callback(server.child.send_signal, signal.SIGCONT)
        settings = window.write_settings(place, port, panel, printer)
        command = finger.command("tests.bench.at_counter", "--settings", str(settings))
        process = stack.enter_context(Process(command, place / "window.log", window.unit_environment()))
        wait_until(lambda: serves(f"http://{LOOPBACK}:{panel}/healthz"), process)
        if presence.wait(_online, 20) is None:
            raise TimeoutError("the window did not come online")
        presence.wait(lambda _: False, 0.5)  # what is loaded at the start is loaded
        yield Drain(server, finger, acks, strays)


def _online(heard: Heard) -> bool:
    return b'"online":true' in heard.payload


def _report(seen: Seen, rounds: int) -> Report:
    names = {
        "alone": f"bare paho, {IN_FLIGHT} in flight, nobody listens",
        "heard": f"bare paho, {IN_FLIGHT} in flight, the collector listens",
        "window": "the window, until the county has acknowledged them",
        "pressed": "the same, pressed 50 times a second",
    }
    report = Report(
        f"E9: {FACTS:,} queued facts to the county, {rounds} rounds in turn", ("", "facts/s", "press p50 ms")
    )
    middle = {"window": statistics.median(seen.idle), "pressed": statistics.median(seen.pressed)}
    for name, label in names.items():
        p50 = f"{middle[name]:.2f}" if name in middle else ""
        report.rows.append((label, f"{statistics.median(seen.rates[name]):,.0f}", p50))
    report.goals += [
        Goal("E9 drained / bare paho", _ratios(seen, "window", "alone"), 0.4, at_least=True),
        Goal("E9 drained / bare paho (stretch)", _ratios(seen, "window", "alone"), 0.5, at_least=True),
        Goal("E9 while pressed / bare paho", _ratios(seen, "pressed", "alone"), 0.3, at_least=True),
        Goal("E9 press p50 meanwhile / idle", [a / b for a, b in zip(seen.pressed, seen.idle, strict=True)], 2.0),
    ]
    heard = statistics.median(_ratios(seen, "window", "heard"))
    report.notes.append(f"beside paho with the collector listening: {heard:.2f}; the idle press is of a window drained")
    return report


def _ratios(seen: Seen, ours: str, theirs: str) -> list[float]:
    return [one / other for one, other in zip(seen.rates[ours], seen.rates[theirs], strict=True)]


if __name__ == "__main__":
    measure(int(sys.argv[1]) if len(sys.argv) > 1 else 5).print()

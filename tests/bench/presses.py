"""E2 and E4: from a press on a key to the message at a subscriber, ours beside the floors and mqtt-io.

All run at the same time on one broker and are pressed 20 ms apart, in turn: twenty times each, until a hundred make a
round, so that whatever else the machine does for a second falls on all of them.
"""

import contextlib
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.bench import peers, window
from tests.bench.finger import HOLD_S, Finger
from tests.bench.floors import Commits
from tests.bench.ground import Ear, Heard, Process, broker, free_port, scratch
from tests.bench.report import Goal, Report, percentile
from tests.bench.wiring import KEYS

PRESSES = 100
TURNS = 5
POLLED_PRESSES = 20
EVERY_S = 0.020
POLLED_HOLD_S = 0.15
LOST_AFTER_S = 2.0


@dataclass
class Side:
    """One who is pressed: its finger, what it says when it was, and the milliseconds of each round."""

    name: str
    finger: Finger
    says: Callable[[Heard], bool]
    presses: int = PRESSES
    hold_s: float = HOLD_S
    lost: int = 0
    pid: int = 0

    def turn(self, ear: Ear) -> list[float]:
        """A part of a round: press, waiting for each message; milliseconds of those that arrived."""
        taken = []
        for number in range(self.presses // TURNS):
            ear.forget()
            slot = time.perf_counter() + max(EVERY_S, 1.2 * self.hold_s)
            before, _ = self.finger.press(KEYS[number % len(KEYS)], self.hold_s)
            heard = ear.wait(self.says, LOST_AFTER_S)
            if heard is None:
                self.lost += 1
            else:
                taken.append((heard.at - before) / 1e6)
            time.sleep(max(0.0, slot - time.perf_counter()))
        return taken


def measure(rounds: int) -> Report:
    """Press everybody in turn, so many rounds."""
    with contextlib.ExitStack() as stack:
        place = stack.enter_context(scratch())
        port = stack.enter_context(broker(place))
        ear = stack.enter_context(
            Ear(port, "floor/#", "ready/#", "interrupts/#", "polling/#", window.FACTS, echo=window.acknowledge)
        )
        sides = [stack.enter_context(side) for side in _sides(place, port, ear)]
        commits = Commits(place / "paced.db")
        stack.callback(commits.close)
        for side in sides:
            side.turn(ear)  # what is loaded at the first press is loaded
            side.lost = 0
        times: dict[str, list[list[float]]] = {name: [] for name in ("commit", *(side.name for side in sides))}
        for _ in range(rounds):
            for name, taken in _round(commits, sides, ear).items():
                times[name].append(taken)
        return _report(times, {side.name: side.lost for side in sides}, rounds)


def _round(commits: Commits, sides: list[Side], ear: Ear) -> dict[str, list[float]]:
    taken: dict[str, list[float]] = {name: [] for name in ("commit", *(side.name for side in sides))}
    for _ in range(TURNS):
        taken["commit"] += commits.paced(PRESSES // TURNS, EVERY_S)
        for side in sides:
            taken[side.name] += side.turn(ear)
    return taken


def _sides(place: Path, port: int, ear: Ear) -> list[contextlib.AbstractContextManager[Side]]:
    return [
        _floor(place, port, ear, "bare"),
        _floor(place, port, ear, "durable", str(place / "floor.db")),
        window_side(place, port),
        mqtt_io_side(place, port, ear, interrupts=True),
        mqtt_io_side(place, port, ear, interrupts=False),
    ]


@contextlib.contextmanager
def _floor(place: Path, port: int, ear: Ear, kind: str, *rest: str) -> Iterator[Side]:
    finger = Finger(place / f"{kind}.finger")
    with Process(finger.command("tests.bench.floors", kind, str(port), *rest), place / f"{kind}.log") as process:
        _await(ear, process, f"ready/{kind}")
        yield Side(kind, finger, lambda heard: heard.topic == f"floor/{kind}")
    finger.close()


@contextlib.contextmanager
def mqtt_io_side(place: Path, port: int, ear: Ear, *, interrupts: bool) -> Iterator[Side]:
    """mqtt-io on the five keys, running and connected."""
    name = "interrupts" if interrupts else "polling"
    finger = Finger(place / f"{name}.finger")
    settings = peers.mqtt_io_settings(place, port, interrupts=interrupts)
    command = finger.command("mqtt_io", str(settings))
    with Process(command, place / f"{name}.log", peers.MOCK_PINS) as process:
        _await(ear, process, f"{name}/status")

        def says(heard: Heard) -> bool:
            return heard.topic.startswith(f"{name}/input/") and heard.payload == b"ON"

        presses, hold = (PRESSES, HOLD_S) if interrupts else (POLLED_PRESSES, POLLED_HOLD_S)
        yield Side(name, finger, says, presses, hold, pid=process.pid)
    finger.close()


@contextlib.contextmanager
def window_side(place: Path, port: int, *within: str) -> Iterator[Side]:
    """The window at its counter, online; `within` is a command that ends in its own."""
    finger = Finger(place / "window.finger")
    panel = free_port()
    with (
        window.network_printer() as printer,
        Process(
            [*within, *_command(finger, window.write_settings(place, port, panel, printer))],
            place / "window.log",
            window.unit_environment(),
        ) as process,
        Ear(port, window.PRESENCE) as presence,
    ):
        if presence.wait(lambda heard: b'"online":true' in heard.payload, 20) is None:
            process.lives()
            raise TimeoutError("the window did not come online")
        yield Side("window", finger, lambda heard: heard.topic.endswith("/fact/press.stray"), pid=process.pid)
    finger.close()


def _command(finger: Finger, settings: Path) -> list[str]:
    return finger.command("tests.bench.at_counter", "--settings", str(settings))


def _await(ear: Ear, process: Process, topic: str) -> None:
    if ear.wait(lambda heard: heard.topic == topic, 20) is None:
        process.lives()
        raise TimeoutError(f"nothing was said on {topic}")


def _report(times: dict[str, list[list[float]]], lost: dict[str, int], rounds: int) -> Report:
    names = {
        "commit": "paced SQLite WAL FULL commit alone",
        "bare": "MockPin → gpiozero → paho, nothing on disk",
        "durable": "the same + one FULL commit before sending",
        "window": "the window: rules, ledger, courier",
        "interrupts": f"{peers.mqtt_io_version()}, interrupts (QoS 0, not durable)",
        "polling": f"{peers.mqtt_io_version()}, its default polling",
    }
    report = Report(
        f"E2, E4: press → subscriber, {PRESSES} presses {EVERY_S * 1000:.0f} ms apart, {rounds} rounds in turn",
        ("", "p50 ms", "p99 ms", "lost"),
    )
    p50 = {name: [statistics.median(each) for each in all_] for name, all_ in times.items()}
    p99 = {name: [percentile(each, 99) for each in all_] for name, all_ in times.items()}
    for name, label in names.items():
        report.rows.append(
            (
                label,
                f"{statistics.median(p50[name]):.2f}",
                f"{statistics.median(p99[name]):.2f}",
                str(lost.get(name, 0)),
            )
        )
    floor = [commit + bare for commit, bare in zip(p50["commit"], p50["bare"], strict=True)]
    tail = [commit + bare for commit, bare in zip(p99["commit"], p99["bare"], strict=True)]
    report.goals += [
        Goal("E2 p50 / (commit + bare) p50", _ratios(p50["window"], floor), 1.3),
        Goal("E2 p99 / durable floor's p99", _ratios(p99["window"], p99["durable"]), 2.0),
        Goal("E2 p99 / (commit + bare) p99", _ratios(p99["window"], tail), 2.0),
        Goal("E4 p50 / mqtt-io interrupts", _ratios(p50["window"], p50["interrupts"]), 2.0),
        Goal("E4 p50 / mqtt-io polling", _ratios(p50["window"], p50["polling"]), 0.1),
    ]
    report.notes.append(
        "the window's press is one with no prompt open, press.stray: decided, committed and sent as any"
    )
    return report


def _ratios(ours: list[float], theirs: list[float]) -> list[float]:
    return [one / other for one, other in zip(ours, theirs, strict=True)]


if __name__ == "__main__":
    measure(int(sys.argv[1]) if len(sys.argv) > 1 else 5).print()

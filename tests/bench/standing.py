"""E5, E6 and E7: what a window costs while nothing happens, and how soon it is there, beside mqtt-io and Node-RED.

Round after round each is started alone and timed, used a little, and then all stand idle side by side.
"""

import contextlib
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tests.bench import peers, window
from tests.bench.finger import Finger
from tests.bench.ground import LOOPBACK, Ear, Heard, Process, answers, broker, free_port, scratch, serves, wait_until
from tests.bench.meter import cpu_s, pss_mb
from tests.bench.report import Goal, Report
from tests.bench.wiring import KEYS

IDLE_S = 15.0
SETTLE_S = 8.0
USES = 20
# Measured elsewhere with Node-RED 5 (MB, seconds): only where npm cannot bring Node-RED here.
NODE_RED_ELSEWHERE = (123.0, 0.56)


@dataclass
class Standing:
    """What one cost in each round: seconds to be armed and connected, to its first page, MiB, and percent of a core."""

    armed: list[float] = field(default_factory=list)
    page: list[float] = field(default_factory=list)
    memory: list[float] = field(default_factory=list)
    idle: list[float] = field(default_factory=list)


def measure(rounds: int) -> Report:
    """Start, use and watch everybody, so many rounds."""
    node_red = peers.node_red()
    seen = {"window": Standing(), "mqtt-io": Standing()} | ({"node-red": Standing()} if node_red else {})
    with scratch() as place, broker(place) as port:
        for number in range(rounds):
            with contextlib.ExitStack() as stack:
                alive = {
                    "window": _start_window(stack, place, port, seen["window"]),
                    "mqtt-io": _start_mqtt_io(stack, place, port, seen["mqtt-io"]),
                }
                if node_red:
                    home = place / f"node-red-{number}"
                    alive["node-red"] = _start_node_red(stack, node_red[0], home, port, seen["node-red"])
                _stand(alive, seen)
    return _report(seen, node_red[1] if node_red else None, rounds)


def _start_window(stack: contextlib.ExitStack, place: Path, port: int, seen: Standing) -> Process:
    panel = free_port()
    printer = stack.enter_context(window.network_printer())
    settings = window.write_settings(place, port, panel, printer)
    ear = stack.enter_context(Ear(port, window.PRESENCE, window.FACTS, echo=window.acknowledge))
    ear.wait(lambda _: False, 0.3)  # what a run before left retained
    finger = _finger(stack, place / "window.finger")
    command = finger.command("tests.bench.at_counter", "--settings", str(settings))
    process = stack.enter_context(Process(command, place / "window.log", window.unit_environment()))
    online = _said(ear, process, lambda heard: heard.topic == window.PRESENCE and b'"online":true' in heard.payload)
    armed = _pressed(ear, finger, process, online, _is_press)
    page = wait_until(lambda: answers(panel) and serves(f"http://{LOOPBACK}:{panel}/healthz"), process)
    seen.armed.append((armed - process.started) / 1e9)
    seen.page.append((page - process.started) / 1e9)
    for number in range(USES):
        finger.press(KEYS[number % len(KEYS)])
        time.sleep(0.02)
    window.use(f"http://{LOOPBACK}:{panel}", arrives=len(seen.armed) == 1)
    finger.press(KEYS[0])  # the visit is rated, so that no prompt runs while it stands idle
    return process


def _is_press(heard: Heard) -> bool:
    """A press, a rating where a prompt was open, whichever the last run has left."""
    return "/fact/press" in heard.topic or "/fact/rating" in heard.topic


def _start_mqtt_io(stack: contextlib.ExitStack, place: Path, port: int, seen: Standing) -> Process:
    settings = peers.mqtt_io_settings(place, port, interrupts=True)
    ear = stack.enter_context(Ear(port, "interrupts/#"))
    ear.wait(lambda _: False, 0.3)
    finger = _finger(stack, place / "mqtt-io.finger")
    command = finger.command("mqtt_io", str(settings))
    process = stack.enter_context(Process(command, place / "mqtt-io.log", peers.MOCK_PINS))
    running = _said(ear, process, lambda heard: heard.topic == "interrupts/status" and heard.payload == b"running")
    armed = _pressed(ear, finger, process, running, lambda heard: "/input/" in heard.topic)
    seen.armed.append((armed - process.started) / 1e9)
    for number in range(USES):
        finger.press(KEYS[number % len(KEYS)])
        time.sleep(0.02)
    return process


def _start_node_red(stack: contextlib.ExitStack, command: list[str], home: Path, port: int, seen: Standing) -> Process:
    ui = free_port()
    peers.node_red_home(home, ui, port)
    process = stack.enter_context(Process([*command, "--userDir", str(home)], home.with_suffix(".log")))
    page = wait_until(lambda: answers(ui) and serves(f"http://{LOOPBACK}:{ui}/"), process)
    seen.page.append((page - process.started) / 1e9)
    return process


def _finger(stack: contextlib.ExitStack, place: Path) -> Finger:
    for left in (place, place.with_suffix(".ours")):
        left.unlink(missing_ok=True)
    finger = Finger(place)
    stack.callback(finger.close)
    return finger


def _said(ear: Ear, process: Process, wanted: Callable[[Heard], bool]) -> int:
    heard = ear.wait(wanted, 20)
    if heard is None:
        process.lives()
        raise TimeoutError(f"{process.child.args!r} did not come online")
    return heard.at


def _pressed(ear: Ear, finger: Finger, process: Process, since: int, wanted: Callable[[Heard], bool]) -> int:
    """Press at once: when that press arrives the keys were armed at `since`, else at the first press that does."""
    for attempt in range(100):
        before, _ = finger.press(KEYS[attempt % len(KEYS)])
        if ear.wait(wanted, 0.25):
            return since if attempt == 0 else before
        process.lives()
    raise TimeoutError(f"no press of {process.child.args!r} arrived")


def _stand(alive: dict[str, Process], seen: dict[str, Standing]) -> None:
    time.sleep(SETTLE_S)
    before = {name: cpu_s(process.pid) for name, process in alive.items()}
    began = time.monotonic()
    time.sleep(IDLE_S)
    passed = time.monotonic() - began
    for name, process in alive.items():
        process.lives()
        seen[name].idle.append((cpu_s(process.pid) - before[name]) / passed * 100)
        seen[name].memory.append(pss_mb(process.pid))


def _report(seen: dict[str, Standing], node_red: str | None, rounds: int) -> Report:
    report = Report(
        f"E5, E6, E7: standing idle for {IDLE_S:.0f} s and starting, {rounds} rounds in turn",
        ("", "armed and connected s", "first page s", "PSS MiB", "idle CPU %"),
    )
    labels = {"window": "the whole window", "mqtt-io": f"{peers.mqtt_io_version()}, interrupts", "node-red": node_red}
    for name, standing in seen.items():
        cells = (_middle(each) for each in (standing.armed, standing.page, standing.memory, standing.idle))
        report.rows.append((labels[name] or "", *cells))
    ours, theirs = seen["window"], seen["mqtt-io"]
    flow = seen.get("node-red", Standing())
    where = "" if node_red else "Node-RED not measured here: figure of another machine"
    memory, page = flow.memory or [NODE_RED_ELSEWHERE[0]] * rounds, flow.page or [NODE_RED_ELSEWHERE[1]] * rounds
    report.goals += [
        Goal("E5 PSS / mqtt-io", _ratios(ours.memory, theirs.memory), 2.0),
        Goal("E5 PSS / Node-RED", _ratios(ours.memory, memory), 0.4, note=where),
        Goal("E6 idle CPU / mqtt-io interrupts", _ratios(ours.idle, theirs.idle), 1.5),
        Goal("E7 keys armed and connected / mqtt-io", _ratios(ours.armed, theirs.armed), 0.6),
        Goal("E7 panel ready / Node-RED", _ratios(ours.page, page), 2.0, note=where),
    ]
    report.notes.append(
        f"each pressed {USES} times before; the window's pages opened and a receipt printed over the network"
    )
    return report


def _middle(values: list[float]) -> str:
    return f"{statistics.median(values):.2f}" if values else "–"


def _ratios(ours: list[float], theirs: list[float]) -> list[float]:
    return [one / other for one, other in zip(ours, theirs, strict=True)]


if __name__ == "__main__":
    measure(int(sys.argv[1]) if len(sys.argv) > 1 else 5).print()

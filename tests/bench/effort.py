"""E8: the processor time that one press costs, committed and acknowledged at ours, neither at mqtt-io.

Both run at the same time on one broker and are pressed in turn, 20 ms apart. What a process uses while nobody presses
it is taken off.
"""

import contextlib
import statistics
import sys
import time
from dataclasses import dataclass, field

from tests.bench import peers, presses, window
from tests.bench.ground import Ear, broker, scratch
from tests.bench.meter import cpu_s
from tests.bench.presses import EVERY_S, PRESSES, Side
from tests.bench.report import Goal, Report

SETTLE_S = 1.0
IDLE_S = 3.0


@dataclass
class Effort:
    """Milliseconds of processor time a press, of each round."""

    pid: int
    idle: float = 0.0
    each: list[float] = field(default_factory=list)


def measure(rounds: int) -> Report:
    """Press both in turn, so many rounds."""
    with contextlib.ExitStack() as stack:
        place = stack.enter_context(scratch())
        port = stack.enter_context(broker(place))
        ear = stack.enter_context(Ear(port, "interrupts/#", window.FACTS, echo=window.acknowledge))
        sides = [
            stack.enter_context(presses.window_side(place, port)),
            stack.enter_context(presses.mqtt_io_side(place, port, ear, interrupts=True)),
        ]
        efforts = {side.name: Effort(side.pid) for side in sides}
        for side in sides:
            side.turn(ear)  # what is loaded at the first press is loaded
            side.lost = 0
        for _ in range(rounds):
            time.sleep(SETTLE_S)
            _stand(list(efforts.values()))
            for side in sides:
                efforts[side.name].each.append(_press(side, efforts[side.name], ear))
        return _report(efforts, {side.name: side.lost for side in sides}, rounds)


def _stand(efforts: list[Effort]) -> None:
    before = [cpu_s(effort.pid) for effort in efforts]
    began = time.monotonic()
    time.sleep(IDLE_S)
    passed = time.monotonic() - began
    for effort, used in zip(efforts, before, strict=True):
        effort.idle = (cpu_s(effort.pid) - used) / passed


def _press(side: Side, effort: Effort, ear: Ear) -> float:
    before, began, made = cpu_s(effort.pid), time.monotonic(), 0
    while made < PRESSES:
        side.turn(ear)
        made += side.presses // presses.TURNS
    time.sleep(EVERY_S)
    used = cpu_s(effort.pid) - before - effort.idle * (time.monotonic() - began)
    return used / made * 1000


def _report(efforts: dict[str, Effort], lost: dict[str, int], rounds: int) -> Report:
    labels = {"window": "the window", "interrupts": f"{peers.mqtt_io_version()}, interrupts (QoS 0, not durable)"}
    report = Report(
        f"E8: processor time of a press, {PRESSES} presses {EVERY_S * 1000:.0f} ms apart, {rounds} rounds in turn",
        ("", "CPU ms a press", "lost"),
    )
    for name, effort in efforts.items():
        report.rows.append((labels[name], f"{statistics.median(effort.each):.3f}", str(lost[name])))
    ours, theirs = efforts["window"].each, efforts["interrupts"].each
    report.goals.append(Goal("E8 CPU a press / mqtt-io", [a / b for a, b in zip(ours, theirs, strict=True)], 1.2))
    report.notes.append("the finger that presses runs in each process and is counted with it")
    return report


if __name__ == "__main__":
    measure(int(sys.argv[1]) if len(sys.argv) > 1 else 5).print()

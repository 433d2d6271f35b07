"""E3: a press waits for one fsync and no more: press → subscriber while each fsync takes 10 and 30 ms longer.

strace holds fsync and fdatasync back in the kernel's own calls (`inject=…:delay_exit`), and by its seccomp filter stops
at no other call. Three windows, each at a broker of its own, are pressed in turn: one on the disk as it is, two slowed.
"""

import contextlib
import shutil
import statistics
import sys

from tests.bench import presses, window
from tests.bench.ground import Ear, broker, scratch
from tests.bench.presses import EVERY_S, PRESSES, TURNS, Side
from tests.bench.report import Goal, Report

DELAYS_MS = (10, 30)
LIMIT = 1.05


def measure(rounds: int) -> Report:
    """Press all in turn, so many rounds."""
    with contextlib.ExitStack() as stack:
        sides = {delay: _side(stack, delay) for delay in (0, *DELAYS_MS)}
        for side, ear in sides.values():
            side.turn(ear)  # what is loaded at the first press is loaded
            side.lost = 0
        times: dict[int, list[float]] = {delay: [] for delay in sides}
        for _ in range(rounds):
            for delay, (side, ear) in sides.items():
                taken = [each for _ in range(TURNS) for each in side.turn(ear)]
                times[delay].append(statistics.median(taken))
        return _report(times, {delay: side.lost for delay, (side, _) in sides.items()}, rounds)


def _side(stack: contextlib.ExitStack, delay_ms: int) -> tuple[Side, Ear]:
    place = stack.enter_context(scratch())
    port = stack.enter_context(broker(place))
    ear = stack.enter_context(Ear(port, window.FACTS, echo=window.acknowledge))
    side = stack.enter_context(presses.window_side(place, port, *(_slowed(delay_ms) if delay_ms else ())))
    # A press and its commit have to be over before the next: the delay is no queue.
    side.hold_s = max(side.hold_s, 2 * delay_ms / 1000)
    return side, ear


def _slowed(delay_ms: int) -> list[str]:
    program = shutil.which("strace")
    if program is None:
        raise RuntimeError("E3 holds fsync back with strace: apt-get install strace")
    calls = "fsync,fdatasync"
    inject = f"inject={calls}:delay_exit={delay_ms * 1000}"
    return [program, "-f", "-qq", "--seccomp-bpf", "-o", "/dev/null", "-e", f"trace={calls}", "-e", inject]


def _report(times: dict[int, list[float]], lost: dict[int, int], rounds: int) -> Report:
    report = Report(
        f"E3: press → subscriber with a slow fsync, {PRESSES} presses ≥ {EVERY_S * 1000:.0f} ms apart, {rounds} rounds",
        ("each fsync takes", "p50 ms", "lost"),
    )
    for delay, each in times.items():
        label = f"{delay} ms longer" if delay else "what it takes"
        report.rows.append((label, f"{statistics.median(each):.2f}", str(lost[delay])))
    for delay in DELAYS_MS:
        found = [slow / (delay + plain) for slow, plain in zip(times[delay], times[0], strict=True)]
        report.goals.append(Goal(f"E3 p50 / ({delay} ms + the undelayed p50)", found, LIMIT))
    return report


if __name__ == "__main__":
    measure(int(sys.argv[1]) if len(sys.argv) > 1 else 5).print()

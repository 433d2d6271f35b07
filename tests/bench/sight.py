"""What people see of a press: the lamps answer within 30 ms, the county's wall within 500 ms.

A county and a window run as they do in a demo; visits are ended over the panel, keys pressed on the mock pins.
"""

import contextlib
import sys
import time
from pathlib import Path

from tests.bench import window
from tests.bench.county import Wall, start_county
from tests.bench.finger import Finger
from tests.bench.ground import LOOPBACK, Process, broker, free_port, scratch, serves, wait_until
from tests.bench.report import Goal, Report, percentile
from tests.bench.wiring import KEYS, LAMP

PRESSES = 100
LAMP_MS = 30.0
WALL_MS = 500.0
SOME = 95
APART_S = 0.2
"""Two keys within 150 ms count as neither, however quick the clerk is."""
MOST_ROUNDS = 3


def measure(rounds: int) -> Report:
    """Rate a hundred visits, so many rounds."""
    with contextlib.ExitStack() as stack:
        place = stack.enter_context(scratch())
        port = stack.enter_context(broker(place))
        wall = stack.enter_context(start_county(place, port))
        panel, finger = _start_window(stack, place, port)
        panel.post("/act/arrive", number="0107")
        _rate(panel, finger, wall, 0)  # what is loaded at the first press is loaded
        lamps: list[list[float]] = []
        walls: list[list[float]] = []
        for _ in range(min(rounds, MOST_ROUNDS)):
            seen = [_rate(panel, finger, wall, number) for number in range(PRESSES)]
            lamps.append([lamp for lamp, _ in seen])
            walls.append([shown for _, shown in seen])
        return _report(lamps, walls)


def _start_window(stack: contextlib.ExitStack, place: Path, port: int) -> tuple[window.Panel, Finger]:
    panel_port = free_port()
    settings = window.write_settings(place, port, panel_port)
    finger = Finger(place / "window.finger")
    stack.callback(finger.close)
    command = finger.command("appliance", "run", "--settings", str(settings))
    process = stack.enter_context(Process(command, place / "window.log"))
    url = f"http://{LOOPBACK}:{panel_port}"
    wait_until(lambda: serves(f"{url}/healthz"), process)
    return window.Panel(url), finger


def _rate(panel: window.Panel, finger: Finger, wall: Wall, number: int) -> tuple[float, float]:
    """One visit and its rating; milliseconds to the lamps' answer and to the wall, infinite when it never came."""
    time.sleep(APART_S)
    panel.post("/act/begin")
    panel.post("/act/end")
    _lamp_changes(finger, lit=True)
    before, _ = finger.press(KEYS[number % len(KEYS)])
    lamp = _lamp_changes(finger, lit=False)
    shown = wall.next_rating(5.0)
    return (lamp - before) / 1e6, (shown - before) / 1e6


def _lamp_changes(finger: Finger, *, lit: bool, seconds: float = 2.0) -> float:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        at, now = finger.lamp(LAMP)
        if now is lit:
            return at
        time.sleep(0.002)
    return float("inf")


def _report(lamps: list[list[float]], walls: list[list[float]]) -> Report:
    report = Report(
        f"press → lamp, press → the county's wall, {PRESSES} ratings a round", ("", "p50 ms", "p95 ms", "worst ms")
    )
    for name, rounds in (("all lamps answer", lamps), ("the rating stands on the wall", walls)):
        every = [one for each in rounds for one in each]
        cells = (percentile(every, 50), percentile(every, SOME), max(every))
        report.rows.append((name, *(f"{cell:.1f}" for cell in cells)))
    report.goals += [
        Goal(f"press → lamp, {SOME} of 100", [percentile(each, SOME) for each in lamps], LAMP_MS, unit=" ms"),
        Goal(f"press → wall, {SOME} of 100", [percentile(each, SOME) for each in walls], WALL_MS, unit=" ms"),
    ]
    return report


if __name__ == "__main__":
    measure(int(sys.argv[1]) if len(sys.argv) > 1 else 5).print()

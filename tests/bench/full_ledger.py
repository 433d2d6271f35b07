"""W1, W2: a window whose ledger has 500,000 facts and 10,000 cases, beside one whose ledger is empty.

W2: both are started in turn with a cold cache, as at every boot, until they are online: the keys are armed before that.
W1: both stand, each at a broker of its own, and are pressed in turn, once the whole check behind the keys is over.
"""

import contextlib
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path

from appliance.ledger import Ledger
from appliance.window.desk import Desk
from appliance.window.facts import CaseReceived, Fact, Handed, PaperPrinted, RatingGiven
from appliance.window.moment import CHINA, Moment
from tests.bench import presses, window
from tests.bench.finger import Finger
from tests.bench.ground import ROOT, Ear, Process, broker, free_port, scratch
from tests.bench.meter import cpu_s
from tests.bench.presses import EVERY_S, PRESSES, TURNS, Side
from tests.bench.report import Goal, Report

FACTS, AT_ONCE, CASES_AT_ONCE = 500_000, 500, 10
LOOK_S, IDLE = 1.0, 0.02
PATIENCE_S = 300.0
OPENS = """
import sys, time
from pathlib import Path
from appliance.ledger import Ledger
began = time.monotonic()
ledger = Ledger.open(Path(sys.argv[1]), sys.argv[2])
print(time.monotonic() - began, flush=True)
ledger.close()
"""


@dataclass
class Seen:
    """What one ledger cost in each round: seconds to open it and to be online, milliseconds of a press."""

    opened: list[float] = field(default_factory=list)
    online: list[float] = field(default_factory=list)
    pressed: list[float] = field(default_factory=list)


def measure(rounds: int) -> Report:
    """Start both in turn, then press both in turn, so many rounds."""
    seen = {"empty": Seen(), "full": Seen()}
    with contextlib.ExitStack() as stack:
        places = {name: stack.enter_context(scratch()) for name in seen}
        for name, place in places.items():
            fill(place / "ledger.db", FACTS if name == "full" else 0)
        port = stack.enter_context(broker(places["empty"]))
        for _ in range(rounds):
            for name, place in places.items():
                seen[name].opened.append(_open(place / "ledger.db"))
                seen[name].online.append(_start(place, port))
        _press(stack, places, seen, rounds)
    return _report(seen, rounds)


def fill(path: Path, facts: int) -> None:
    """A ledger with so many facts, all of which the county has, one case and its paper among fifty."""
    ledger = Ledger.open(path, window.WINDOW)
    for first in range(0, facts, AT_ONCE):
        at = Moment(at=datetime.now(CHINA), boot="bench", up=float(first), synced=True)
        cases = [it for n in range(first // AT_ONCE * CASES_AT_ONCE, (first // AT_ONCE + 1) * CASES_AT_ONCE)
                 for it in _case(n, at)]  # fmt: skip
        visits = (f"20260101-{n:06d}" for n in range(first, first + AT_ONCE - len(cases)))
        ratings: list[Fact] = [RatingGiven(visit=visit, grade=5, item="jmcbdj", clerk="0107") for visit in visits]
        newest = ledger.commit([*cases, *ratings], at, Desk(ledger=ledger.id))[-1]
        ledger.acknowledge([(1, newest)])
    ledger.close()


def _case(n: int, at: Moment) -> tuple[Fact, Fact]:
    case = f"0107-1-20260101-{n:06d}"
    received = CaseReceived(
        case=case,
        item="mzbx",
        item_name="城乡居民门诊费用报销",
        catalogue="1",
        applicant="张*",
        received=at.at,
        materials=(Handed("处方底方", 2), Handed("发票", 1)),
        promised_days=30,
        due=date(2026, 12, 31),
        due_is="sure",
        clerk="0107",
        clerk_name="王敏",
        paper=f"{case}-0",
        form=f"form-{n}",
    )
    return received, PaperPrinted(paper=f"{case}-0", case=case, copy=0)


def _chill(path: Path) -> None:
    """Take a file out of the cache, as a boot does."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def _open(path: Path) -> float:
    _chill(path)
    command = [sys.executable, "-c", OPENS, str(path), window.WINDOW]
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True, timeout=PATIENCE_S)
    return float(done.stdout)


def _start(place: Path, port: int) -> float:
    with contextlib.ExitStack() as stack:
        printer = stack.enter_context(window.network_printer())
        settings = window.write_settings(place, port, free_port(), printer)
        ear = stack.enter_context(Ear(port, window.PRESENCE))
        ear.wait(lambda _: False, 0.3)  # what a run before left retained
        finger = stack.enter_context(_finger(place))
        _chill(place / "ledger.db")
        command = finger.command("tests.bench.at_counter", "--settings", str(settings))
        process = stack.enter_context(Process(command, place / "window.log", window.unit_environment()))
        online = ear.wait(lambda heard: b'"online":true' in heard.payload, 60)
        if online is None:
            process.lives()
            raise TimeoutError("the window did not come online")
        return (online.at - process.started) / 1e9


@contextlib.contextmanager
def _finger(place: Path) -> Iterator[Finger]:
    for left in (place / "finger", (place / "finger").with_suffix(".ours")):
        left.unlink(missing_ok=True)
    with contextlib.closing(Finger(place / "finger")) as finger:
        yield finger


def _press(stack: contextlib.ExitStack, places: dict[str, Path], seen: dict[str, Seen], rounds: int) -> None:
    sides: dict[str, tuple[Side, Ear]] = {}
    for name, place in places.items():
        own = place / "pressed"
        own.mkdir()
        shutil.move(place / "ledger.db", own / "ledger.db")
        port = stack.enter_context(broker(own))
        ear = stack.enter_context(Ear(port, window.FACTS, echo=window.acknowledge))
        side = stack.enter_context(presses.window_side(own, port))
        _checked(side)
        side.turn(ear)  # what is loaded at the first press is loaded
        sides[name] = side, ear
    for _ in range(rounds):
        for name, (side, ear) in sides.items():
            seen[name].pressed.append(statistics.median(each for _ in range(TURNS) for each in side.turn(ear)))


def _checked(side: Side) -> None:
    """Wait until the window does nothing any more: the check behind its keys is over."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        before = cpu_s(side.pid)
        time.sleep(LOOK_S)
        if cpu_s(side.pid) - before < IDLE * LOOK_S:
            return
    raise TimeoutError("the check does not end")


def _report(seen: dict[str, Seen], rounds: int) -> Report:
    report = Report(
        f"W1, W2: {FACTS:,} facts or none, {rounds} rounds in turn; {PRESSES} presses {EVERY_S * 1000:.0f} ms apart",
        ("ledger", "opened ms", "online s", "press p50 ms"),
    )
    for name, each in seen.items():
        opened, online, pressed = (statistics.median(it) for it in (each.opened, each.online, each.pressed))
        report.rows.append((name, f"{opened * 1000:.0f}", f"{online:.2f}", f"{pressed:.2f}"))
    empty, full = seen["empty"], seen["full"]
    report.goals += [
        Goal("W2 keys armed and online, cold / empty", _ratios(full.online, empty.online), 2.0),
        Goal("W1 press p50 / empty", _ratios(full.pressed, empty.pressed), 1.1),
    ]
    report.notes.append("opened: the ledger alone, cold, in a process of its own; the keys are armed right after it")
    return report


def _ratios(ours: list[float], theirs: list[float]) -> list[float]:
    return [one / other for one, other in zip(ours, theirs, strict=True)]


if __name__ == "__main__":
    measure(int(sys.argv[1]) if len(sys.argv) > 1 else 5).print()

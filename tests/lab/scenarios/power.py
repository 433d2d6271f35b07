"""The power is cut twenty times while people press, and whatever had been thanked for is at the county, once."""

import contextlib
import random
import socket
import threading
import time
from pathlib import Path

from tests.lab.bench import NO_SCREENS, Lab
from tests.lab.county import County, must_connect
from tests.lab.machine import Failed, Machine, Start
from tests.lab.progress import tell
from tests.lab.scenarios.counter import must

CUTS = 20
SEED = 20261125
DATA = "json_extract(cast(payload as text), '$.data.{}')"
RATINGS = f"select {DATA.format('visit')},type,grade from facts where type like 'rating.%' order by seq"
PAPERS = f"select {DATA.format('paper')} from facts where type='case.received'"


class Thanks(threading.Thread):
    """Listens at the second serial port: what had left the machine before its power was cut."""

    def __init__(self, place: Path) -> None:
        super().__init__(daemon=True, name="thanks")
        self.lines: list[str] = []
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.connect(str(place / "thanks.sock"))
        self.start()

    def run(self) -> None:
        """Until the machine is gone."""
        held = b""
        with self._socket, contextlib.suppress(OSError):
            while got := self._socket.recv(4096):
                *lines, held = (held + got).split(b"\n")
                self.lines += [line.decode(errors="replace") for line in lines]

    def waits_for(self, word: str, within: float) -> bool:
        """Whether a line begins so in time."""
        deadline = time.monotonic() + within
        while not any(line.startswith(word) for line in self.lines):
            if time.monotonic() > deadline:
                return False
            time.sleep(0.02)
        return True


def power(lab: Lab) -> str:
    """Twenty power cuts while a clerk and residents never rest: thanked = at the county, once."""
    chance = random.Random(SEED)
    machine = lab.on("power", Start(words=(NO_SCREENS,)))
    county = County(lab.place / "county-power", machine)
    try:
        county.takes(machine)
        machine.shut()
        thanked: dict[str, int] = {}
        cases: list[str] = []
        starts: list[float] = []
        for number in range(1, CUTS + 1):
            _one_cut(lab, machine, number, chance.uniform(0.5, 8), thanked, cases, starts)
        machine.boot(Start(words=(NO_SCREENS,)), lab.hands)
        machine.hands("serving")
        must_connect(machine, 180)
        return _judge(machine, county, thanked, cases, starts)
    finally:
        county.close()
        machine.cut()


def _one_cut(
    lab: Lab,
    machine: Machine,
    number: int,
    after: float,
    thanked: dict[str, int],
    cases: list[str],
    starts: list[float],
) -> None:
    """Switch on, let them press for so long, cut. Every third time the network is away meanwhile."""
    machine.on(Start(words=(NO_SCREENS, "lab.presser")), lab.hands)
    ears = _ears(machine)
    must(ears.waits_for("START", 240), f"cut {number}: no window after the power came\n{machine.tail()}")
    if number % 3 == 0:
        machine.qmp("set_link", name="net0", up=False)
    must(ears.waits_for("THANKED", 90), f"cut {number}: nobody was thanked: {ears.lines}")
    time.sleep(after)
    machine.cut()
    ears.join(5)
    # The last line may be cut in its middle; what was not said whole was not said.
    for words in (line.split() for line in ears.lines):
        if words[0] == "START":
            starts.append(float(words[1]))
        elif words[0] == "THANKED":
            thanked[words[1]] = int(words[2])
        elif words[0] == "CASE":
            cases.append(words[1])
        must(words[0] != "SILENT", f"a press in cut {number} was not thanked: {words}")
    tell(f"  cut {number:2}: {len(thanked)} thanked, {len(cases)} papers acknowledged so far")


def _ears(machine: Machine) -> Thanks:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError):
            return Thanks(machine.place)
        time.sleep(0.05)
    raise Failed("QEMU did not open its serial port")


def _judge(machine: Machine, county: County, thanked: dict[str, int], cases: list[str], starts: list[float]) -> str:
    ledger = machine.hands("health")["ledger"]
    mine, theirs = machine.hands("hashes"), county.hashes(ledger)
    must(
        mine == theirs,
        f"the ledger has {len(mine)} facts, the county {len(theirs)}, {len(mine.items() ^ theirs.items())} differ",
    )
    rated: dict[str, list[tuple[str, int | None]]] = {}
    for visit, kind, grade in county.book(RATINGS):
        rated.setdefault(visit, []).append((kind, grade))
    wrong = [(visit, grade, rated.get(visit)) for visit, grade in thanked.items() if rated.get(visit) != _once(grade)]
    must(not wrong, f"thanked, and not once at the county: {wrong[:5]}")
    papers = {row[0] for row in county.book(PAPERS)}
    must(set(cases) <= papers, f"papers acknowledged and not at the county: {sorted(set(cases) - papers)[:5]}")
    doubled = len(cases) - len(set(cases))
    must(not doubled, f"{doubled} paper numbers twice")
    whole = machine.run("sqlite3 -readonly /var/lib/appliance/ledger.db 'pragma integrity_check'")
    must(whole == "ok", f"the ledger: {whole}")
    health = county.health()
    must(not health.get("breaks") and not health.get("quarantined"), f"the county: {health}")
    return (
        f"{CUTS} cuts: {len(thanked)} thanked presses and {len(cases)} papers, 0 lost, 0 doubled, 0 changed; "
        f"{len(mine)} facts equal by hash; back {sorted(starts)[len(starts) // 2]:.0f} s after power-on (median)"
    )


def _once(grade: int) -> list[tuple[str, int | None]]:
    return [("rating.given", grade)]

"""What residents and clerks do at a counter: press, press badly, press for too long, go away."""

import statistics
import time
from typing import Any

from tests.lab.bench import NO_SCREENS, Lab
from tests.lab.machine import Failed, Machine, Start

GRADES = (5, 4, 3, 2, 1)
WORN = 20
KEY_4, SWITCH = 6, 16


def must(true: object, what: str) -> None:
    """Something that has to be so."""
    if not true:
        raise Failed(what)


def rated(machine: Machine, after: int) -> list[tuple[str, int | None]]:
    """Visit and grade of all that was rated after that fact; a correction counts as another."""
    facts = machine.hands("since", number=after)
    return [(f["data"]["visit"], f["data"]["grade"]) for f in facts if f["type"] in ("rating.given", "rating.changed")]


def others(machine: Machine, after: int, *kinds: str) -> list[dict[str, Any]]:
    """The facts of those types after that one."""
    return [fact for fact in machine.hands("since", number=after) if fact["type"] in kinds]


def grades(lab: Lab) -> str:
    """Each of the five keys gives its grade, once, and the lamps go out as thanks."""
    machine, _ = lab.shared()
    before, wanted, took = machine.hands("last"), [], []
    for grade in GRADES:
        visit = machine.hands("prompt")
        out = machine.hands("press", grade=grade)
        must(out is not None, f"grade {grade}: the lamps stayed lit")
        wanted.append((visit, grade))
        took.append(out)
    must(rated(machine, before) == wanted, f"pressed {wanted}, kept {rated(machine, before)}")
    middle, most = statistics.median(took) * 1000, max(took) * 1000
    return f"5 of 5 grades kept once; key → lamps out {middle:.0f} ms median, {most:.0f} ms at most"


def bounce(lab: Lab) -> str:
    """A worn contact, 10 to 20 pulses within 20 ms on press and on release, is one rating."""
    machine, _ = lab.shared()
    before, wanted = machine.hands("last"), []
    for number in range(WORN):
        visit, grade = machine.hands("prompt"), GRADES[number % 5]
        out = machine.hands("bouncing_press", grade=grade, pulses=10 + number % 11, within=0.02, seed=number)
        must(out is not None, f"visit {number}: the lamps stayed lit")
        wanted.append((visit, grade))
    kept = rated(machine, before)
    must(kept == wanted, f"pressed {wanted}, kept {kept}")
    strays = others(machine, before, "press.stray", "device.failed")
    must(not strays, f"bouncing made more than ratings: {strays}")
    return f"{WORN} of {WORN} worn presses kept once, none doubled"


def two_keys(lab: Lab) -> str:
    """Two keys at once, 40 ms and 120 ms apart, are no rating; one key after that is."""
    machine, _ = lab.shared()
    for gap in (0.0, 0.04, 0.12):
        before, visit = machine.hands("last"), machine.hands("prompt")
        machine.hands("two", first=5, second=1, gap=gap)
        machine.hands("until_lit")
        kept = rated(machine, before)
        must(not kept or kept[-1][1] is None, f"two keys {gap * 1000:.0f} ms apart count as {kept}")
        must(machine.hands("press", grade=2) is not None, "the lamps stayed lit after one key alone")
        must(rated(machine, before)[-1] == (visit, 2), f"one key alone after that is kept as {rated(machine, before)}")
    return "0, 40 and 120 ms apart: no rating, and the next key alone counts"


def stuck(lab: Lab) -> str:
    """A key that stays down is said to be stuck, the others work, and it works again when it is up."""
    machine, _ = lab.shared()
    before, began = machine.hands("last"), time.monotonic()
    machine.hands("pull", pin=KEY_4, closed=True)
    failed = machine.hands("waits_for", kind="device.failed", number=before, within=40)
    must(failed and failed["data"]["device"] == "key4", f"a key held down for 40 s: {failed}")
    held = time.monotonic() - began
    visit = machine.hands("prompt")
    must(machine.hands("press", grade=5) is not None, "another key is dead while one is stuck")
    machine.hands("pull", pin=KEY_4, closed=False)
    well = machine.hands("waits_for", kind="device.recovered", number=before, within=40)
    must(well and well["data"]["device"] == "key4", f"the key is up again: {well}")
    again = machine.hands("prompt")
    must(machine.hands("press", grade=4) is not None, "the key that was stuck is dead")
    must(rated(machine, before) == [(visit, 5), (again, 4)], f"kept {rated(machine, before)}")
    return f"said after {held:.0f} s, the other keys work, the key works again"


def switch(lab: Lab) -> str:
    """The 暂时离开 switch is a level: on is away, off is back, on at boot is away at boot, also beside a held key."""
    machine, _ = lab.shared()
    machine.hands("pull", pin=SWITCH, closed=True)
    must(machine.hands("waits_for_state", wanted="away", within=15), "switched on, and not away")
    machine.hands("pull", pin=SWITCH, closed=False)
    must(machine.hands("until_not", state_="away", within=15), "switched off, and still away")
    boot = lab.on("closed-at-boot", Start(words=(NO_SCREENS, f"lab.closed={SWITCH},{KEY_4}")))
    must(
        boot.hands("waits_for_state", wanted="away", within=20), f"closed at boot, and not away: {boot.hands('health')}"
    )
    boot.hands("pull", pin=SWITCH, closed=False)
    must(boot.hands("until_not", state_="away", within=20), "opened after the boot, and still away")
    boot.hands("pull", pin=KEY_4, closed=False)
    boot.hands("arrive")
    before, visit = boot.hands("last"), boot.hands("prompt")
    must(boot.hands("press", grade=4) is not None, "the key that was down at boot is dead when it is up again")
    must(rated(boot, before) == [(visit, 4)], f"kept {rated(boot, before)}")
    boot.cut()
    return "on is away, off is back; closed at boot is away at boot; a key closed at boot works once it is up"

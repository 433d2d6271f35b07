"""`make lab`: the project in a virtual machine with a Pi's devices and power, installed as the README says.

`python -m tests.lab [NAME …]` runs these scenarios, without a name all of them; `list` says what there is. Needs root
on Debian 12 or newer. Ends with 1 when one failed.
"""

import os
import sys
import time
import traceback
from concurrent.futures import ThreadPoolExecutor

from tests.lab import machine, places, report, table
from tests.lab.bench import Lab
from tests.lab.packages import install_packages
from tests.lab.progress import tell
from tests.lab.scenarios import LANES, SCENARIOS, Scenario
from tests.lab.table import Result


def main(given: list[str]) -> int:
    """Run what was asked for, and print the table."""
    if given == ["list"]:
        for name, scenario in SCENARIOS.items():
            print(f"{name:12} {(scenario.__doc__ or '').splitlines()[0]}")
        return 0
    if unknown := [each for each in given if each not in SCENARIOS]:
        print(f"there is no {', '.join(unknown)}; there are: {', '.join(SCENARIOS)}", file=sys.stderr)
        return 2
    if os.geteuid() != 0:
        print("the lab builds a Debian and needs root: sudo make lab", file=sys.stderr)
        return 2
    machine.end_with_us()
    lock = places.alone()
    os.nice(5)
    install_packages()
    lab = Lab()
    try:
        results = run(lab, given)
    finally:
        lab.close()
        lock.close()
    report.write(lab, results)
    print("\n" + "\n".join(table.plain(results)))
    return 0 if all(each.passed for each in results) else 1


def run(lab: Lab, given: list[str]) -> list[Result]:
    """Each scenario in turn, and at the end two lanes at once; without an installed disk the README comes first."""
    names = [name for name in SCENARIOS if name in given] if given else list(SCENARIOS)
    if "readme" not in names and lab.installed is None:
        names.insert(0, "readme")
    last = [[name for name in lane if name in names] for lane in LANES]
    results = _in_turn(lab, [name for name in names if not any(name in lane for lane in last)], len(names))
    lab.close()
    lanes = [lab.lane() for _ in last]
    with ThreadPoolExecutor(len(lanes)) as both:
        for more in both.map(lambda lane, these: _in_turn(lane, these, len(names)), lanes, last):
            results += more
    lab.versions = next((each.versions for each in (lab, *lanes) if each.versions), "")
    return sorted(results, key=lambda it: names.index(it.name))


def _in_turn(lab: Lab, names: list[str], of: int) -> list[Result]:
    results = []
    try:
        for name in names:
            tell(f"== {name} (one of {of})")
            results.append(_one(lab, name, SCENARIOS[name]))
            tell(f"== {'  '.join(results[-1].row())}")
    finally:
        lab.close()
    return results


def _one(lab: Lab, name: str, scenario: Scenario) -> Result:
    began = time.monotonic()
    try:
        figures, passed = scenario(lab), True
    except Exception as wrong:  # noqa: BLE001 - one that fails does not keep the others from being tried
        traceback.print_exc()
        lab.drop()
        figures, passed = (str(wrong) or repr(wrong)).splitlines()[0][:200], False
    return Result(name, passed, time.monotonic() - began, figures)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

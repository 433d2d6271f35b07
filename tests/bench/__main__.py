"""`make bench`: measures what the goals name, prints both sides of every ratio, and says which goal is met.

`python -m tests.bench [--rounds N] [PART …]`; without a part all are measured, in less than ten minutes.
Ends with 1 when a goal is missed that is no stretch.
"""

import argparse
import os
import platform
import sys
import time
from collections.abc import Callable
from importlib import import_module

from tests.bench.report import Goal, Report, table

PARTS = {
    "presses": "E2, E4: press → durable → subscriber",
    "survival": "E1: a cut link and kill -9",
    "slow_disk": "E3: press → subscriber while the disk is slow",
    "effort": "E8: processor time of a press",
    "backlog": "E9: a window's backlog to the county, also while pressed",
    "full_ledger": "W1, W2: half a million facts",
    "standing": "E5, E6, E7: memory, idle processor time, start",
    "sight": "press → lamp, press → the county's wall",
    "collector": "C1: draining a backlog at the county",
    "postgresql": "C2: the same into PostgreSQL",
    "node_red": "C3: the same beside Node-RED, and what a kill costs",
    "memory": "C4: the collector's memory with a large backlog of today",
    "burst": "C8: a burst from 2000 windows",
    "overtaken": "F1: a batch of overtaken facts in a large book",
}
ROUNDS = 5


def main() -> int:
    arguments = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    arguments.add_argument("--rounds", type=int, default=ROUNDS, choices=range(1, 21), metavar="1…20")
    arguments.add_argument(
        "parts", nargs="*", metavar="PART", help="; ".join(f"{n}: {what}" for n, what in PARTS.items())
    )
    given = arguments.parse_args()
    if unknown := set(given.parts) - set(PARTS):
        arguments.error(f"no part is called {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, {given.rounds} rounds.")
    print("Every goal is a ratio of two things measured in turn in one run, judged on the median of the rounds.")
    goals: list[Goal] = []
    for part in given.parts or PARTS:
        goals += _measure(part, given.rounds)
    print("\n== all goals")
    for line in table(("goal", "median", "min…max", "limit", "", ""), [goal.row() for goal in goals]):
        print(f"   {line}")
    return 0 if all(goal.met for goal in goals if goal.binding) else 1


def _measure(part: str, rounds: int) -> list[Goal]:
    measure: Callable[[int], Report] = import_module(f"tests.bench.{part}").measure
    began = time.monotonic()
    report = measure(rounds)
    report.notes.append(f"took {time.monotonic() - began:.0f} s")
    report.print()
    return report.goals


if __name__ == "__main__":
    sys.exit(main())

"""What a process costs: its proportional memory and its processor time, children included."""

import time
from pathlib import Path

_SCHED = 2


def family(pid: int) -> list[int]:
    """The process and all its descendants that live now."""
    found = [pid]
    for parent in found:
        for task in Path(f"/proc/{parent}/task").glob("*/children"):
            found += [int(child) for child in task.read_text().split()]
    return found


def pss_mb(pid: int) -> float:
    """Proportional set size of the process and its descendants, in MiB."""
    return sum(_pss_kb(member) for member in family(pid)) / 1024


def _pss_kb(pid: int) -> int:
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1])
    raise ValueError(f"no Pss in smaps_rollup of {pid}")


def cpu_s(pid: int) -> float:
    """Processor seconds used so far by the process and its descendants, to the nanosecond.

    /proc/PID/stat counts ticks of 10 ms, as much as an idle window uses in ten seconds: so the process's own clock is
    read, whose number is made from the pid as the kernel makes it (MAKE_PROCESS_CPUCLOCK).
    """
    return sum(time.clock_gettime((~member << 3) | _SCHED) for member in family(pid))

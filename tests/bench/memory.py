"""C4: the collector's peak memory with a large backlog beside that with a small one, all of it facts of today.

Both are queued at one mosquitto and drained by a collector of its own, with the wall that counts them: what grows with
the facts of a day shows here. The goal names a million; this queues as many as fit into the broker beside it.
"""

from tests.bench.ground import scratch
from tests.bench.queued import broker, drain, forget, pour, subscribe, true_facts
from tests.bench.report import Goal, Report

SMALL, LARGE = 10_000, 300_000
ROUNDS = 2
"""At most: memory differs by less than a hundredth from one to the next, and a round takes a minute."""


def measure(rounds: int) -> Report:
    """Drain a small backlog and a large one, in turn."""
    peaks: dict[int, list[float]] = {SMALL: [], LARGE: []}
    facts = true_facts(LARGE)
    with scratch() as place, broker(place) as port:
        for _ in range(min(rounds, ROUNDS)):
            for count, seen in peaks.items():
                subscribe("ours", port)
                pour(port, facts[:count])
                seen.append(drain("ours", port, place, count)["peak_mb"])
                forget("ours", port)
    report = Report("C4: the collector's memory", ("backlog", "peak MB"))
    for count, seen in peaks.items():
        report.rows.append((f"{count:,} facts of today", f"{max(seen):.0f}"))
    ratios = [large / small for small, large in zip(peaks[SMALL], peaks[LARGE], strict=True)]
    report.goals = [Goal("C4 large ÷ small backlog", ratios, 1.5)]
    report.notes.append("peak resident memory of the process (VmHWM)")
    return report

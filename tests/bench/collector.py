"""C1: how fast the county drains a queued backlog, beside the least that one would write, and beside the ceiling.

Every end has its own persistent session at one mosquitto; a backlog is queued for all of them, and they drain it in
turn, another one first in every round. Ours gets true facts, which it validates, chains, counts and acknowledges; the
reference gets the 200 bytes of JSON of `performance.md` as well, and ours is judged against the faster of its two.
"""

import random

from tests.bench.drains import COUNTY
from tests.bench.ground import scratch
from tests.bench.queued import broker, drain, forget, pour, subscribe, true_facts
from tests.bench.report import Goal, Report

COUNT = 30_000
SINGLE = 3_000
"""What the end with a row a commit drains, so that a round does not wait for it."""
SMALL_BYTES = 200
WORDS = {
    "ours": "our collector: validated, chained, counted",
    "batched": "paho, batches ≤ 500, acknowledged",
    "batched_small": "the same, 200-byte JSON",
    "single": "paho, one row a commit, 200-byte JSON",
    "bare_small": "bare MQTT reader, 200-byte JSON (the ceiling)",
}


def measure(rounds: int) -> Report:
    """Drain a backlog with every end, `rounds` times."""
    rates: dict[str, list[float]] = {name: [] for name in WORDS}
    cpu: dict[str, list[float]] = {name: [] for name in WORDS}
    peak = 0.0
    facts, small = true_facts(COUNT), small_facts(COUNT)
    with scratch() as place, broker(place) as port:
        for turn in range(rounds):
            for name in WORDS:
                subscribe(name, port)
            pour(port, facts)
            pour(port, small)
            order = list(WORDS)
            random.Random(turn).shuffle(order)
            for name in order:
                count = SINGLE if name == "single" else COUNT
                said = drain(name, port, place, count)
                rates[name].append(count / said["took"])
                cpu[name].append(said["cpu"] / count * 1e6)
                peak = max(peak, said["peak_mb"]) if name == "ours" else peak
            forget("single", port)
    return _report(rates, cpu, peak)


def _report(rates: dict[str, list[float]], cpu: dict[str, list[float]], peak: float) -> Report:
    def median(values: list[float]) -> float:
        return sorted(values)[len(values) // 2]

    def against(name: str) -> list[float]:
        return [ours / theirs for ours, theirs in zip(rates["ours"], rates[name], strict=True)]

    report = Report(f"C1: draining {COUNT} queued facts at the county", ("", "facts/s", "CPU µs each", "ours ÷ it"))
    for name, words in WORDS.items():
        ratio = f"{median(against(name)):.2f}"
        report.rows.append((words, f"{median(rates[name]):,.0f}", f"{median(cpu[name]):.1f}", ratio))
    faster = [max(pair) for pair in zip(rates["batched"], rates["batched_small"], strict=True)]
    report.goals = [
        Goal("C1 ÷ paho reference", [a / b for a, b in zip(rates["ours"], faster, strict=True)], 1.1, at_least=True),
        Goal("C1 ÷ one row a commit", against("single"), 15, at_least=True),
        Goal("C1 ÷ ceiling (stretch)", against("bare_small"), 0.5, at_least=True),
    ]
    size = len(true_facts(1)[0][1])
    report.notes += [
        f"true facts have {size} bytes; ours peaked at {peak:.0f} MB",
        "one mosquitto with its default max_inflight_messages of 20",
    ]
    return report


def small_facts(count: int) -> list[tuple[str, bytes]]:
    """Payloads of 200 bytes that have an id and little else."""
    made = []
    for n in range(count):
        head = f'{{"id":"3f9c1a7e-{n + 1:06d}","data":"'
        made.append((f"bench/v1/{COUNTY}/w/fact/x.y", (head + "x" * (SMALL_BYTES - len(head) - 2) + '"}').encode()))
    return made


if __name__ == "__main__":
    measure(5).print()

"""C8: a burst of facts from 2000 windows, ten from each, beside as many from ten windows.

The broker holds them all; the collector drains them on one connection, and tells every window. What it has told and the
broker has not confirmed is bounded.
"""

from tests.bench.ground import scratch
from tests.bench.queued import broker, drain, forget, pour, subscribe, true_facts
from tests.bench.report import Goal, Report

COUNT = 20_000
WINDOWS = {"many": 2000, "few": 10}
BOUND = 500
"""Acknowledgements that may be unconfirmed at the broker."""


def measure(rounds: int) -> Report:
    """Drain both in turn, `rounds` times."""
    rates: dict[str, list[float]] = {name: [] for name in WINDOWS}
    unconfirmed, hung_up = list[float](), list[float]()
    facts = {name: true_facts(COUNT, windows) for name, windows in WINDOWS.items()}
    with scratch() as place, broker(place) as port:
        for turn in range(rounds):
            for name in sorted(WINDOWS, reverse=turn % 2 == 1):
                subscribe("ours", port)
                pour(port, facts[name])
                said = drain("ours", port, place, COUNT)
                forget("ours", port)
                rates[name].append(COUNT / said["took"])
                if name == "many":
                    unconfirmed.append(said["unconfirmed"])
                    hung_up.append(said["hung_up"])
    report = Report(f"C8: a burst of {COUNT} facts", ("from", "facts/s, all acknowledged"))
    for name, windows in WINDOWS.items():
        report.rows.append((f"{windows} windows", f"{sorted(rates[name])[len(rates[name]) // 2]:,.0f}"))
    report.goals = [
        Goal("C8 connections lost", hung_up, 0, unit=""),
        Goal("C8 acknowledgements unconfirmed at most", unconfirmed, BOUND, unit=""),
        Goal("C8 ÷ as many from ten windows (stretch)", _ratios(rates), 0.5, at_least=True),
    ]
    return report


def _ratios(rates: dict[str, list[float]]) -> list[float]:
    return [many / few for many, few in zip(rates["many"], rates["few"], strict=True)]


if __name__ == "__main__":
    measure(5).print()

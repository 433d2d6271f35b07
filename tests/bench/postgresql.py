"""C2: how fast the county drains a queued backlog into PostgreSQL, beside paho with COPY and the same facts."""

import random

import psycopg

from tests.bench.ground import scratch
from tests.bench.queued import broker, drain, pour, subscribe, true_facts
from tests.bench.report import Goal, Report
from tests.ground_county import Postgresql

COUNT = 30_000
WORDS = {"ours": "our collector: validated, chained, counted", "copied": "paho, COPY of ≤ 500, insert on conflict"}


def measure(rounds: int) -> Report:
    """Drain a backlog with both ends, `rounds` times, each into an empty database."""
    rates: dict[str, list[float]] = {name: [] for name in WORDS}
    cpu: dict[str, list[float]] = {name: [] for name in WORDS}
    facts = true_facts(COUNT)
    server = Postgresql()
    try:
        with scratch() as place, broker(place) as port:
            for turn in range(rounds):
                for name in WORDS:
                    subscribe(name, port)
                pour(port, facts)
                for name in random.Random(turn).sample(list(WORDS), len(WORDS)):
                    _empty(server.url)
                    said = drain(name, port, place, COUNT, server.url)
                    rates[name].append(COUNT / said["took"])
                    cpu[name].append(said["cpu"] / COUNT * 1e6)
    finally:
        server.remove()
    return _report(rates, cpu)


def _empty(url: str) -> None:
    with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as base:
        base.execute("DROP SCHEMA public CASCADE")
        base.execute("CREATE SCHEMA public")
        base.execute("CHECKPOINT")


def _report(rates: dict[str, list[float]], cpu: dict[str, list[float]]) -> Report:
    report = Report(f"C2: draining {COUNT} queued facts into PostgreSQL", ("", "facts/s", "CPU µs each"))
    for name, words in WORDS.items():
        middle = len(rates[name]) // 2
        report.rows.append((words, f"{sorted(rates[name])[middle]:,.0f}", f"{sorted(cpu[name])[middle]:.1f}"))
    ratios = [ours / theirs for ours, theirs in zip(rates["ours"], rates["copied"], strict=True)]
    report.goals = [Goal("C2 ÷ COPY reference", ratios, 0.9, at_least=True)]
    report.notes.append("the processor time is the client's; PostgreSQL has fsync and synchronous_commit on")
    return report


if __name__ == "__main__":
    measure(5).print()

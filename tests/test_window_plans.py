"""No statement of a window reads a whole table that grows: each is heard while a filled window starts and serves.

SQLite tells every connection's statements, as run, to a trace; the plan of each is read over the same filled file. The
two PRAGMAs of the whole check, behind the keys, have no plan: they read everything, and are meant to.
"""

import re
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from appliance.counter import Counter
from appliance.ledger import Ledger
from appliance.ledger_file import mark
from appliance.window.desk import Desk
from appliance.window.facts import PaperFailed
from appliance.window.happenings import ClerkArrives, ClerkLeaves, KeyPresses, PaperMoves
from appliance.window.rules import Rules
from tests.conftest import WINDOW, HandClock
from tests.test_counter import serve_one, take_in
from tests.test_ledger import AT, case, stray
from tests.test_ledger_check import alter, on
from tests.test_window_orders import replay

GROW = {"facts", "outbox", "papers"}
CASES = 400
IN_SLICES = re.compile(
    r"^(PRAGMA (quick|integrity)_check|SELECT count\(\*\), max\(seq\) FROM \(SELECT seq FROM outbox)"
)
"""What the whole check does, behind the keys: it has to read everything, a slice at a time."""


class Ear:
    """Hears what every connection runs, each statement once as it was written."""

    def __init__(self) -> None:
        self.heard: set[str] = set()
        self._real: Callable[..., sqlite3.Connection] = sqlite3.connect

    def connect(self, *arguments: object, **named: object) -> sqlite3.Connection:
        connection = self._real(*arguments, **named)
        connection.set_trace_callback(lambda statement: self.heard.add(statement.strip()))
        return connection


@pytest.fixture
def ear(monkeypatch: pytest.MonkeyPatch) -> Ear:
    ear = Ear()
    monkeypatch.setattr(sqlite3, "connect", ear.connect)
    return ear


@pytest.fixture
def path(tmp_path: Path) -> Iterator[Path]:
    """A ledger with many facts, many cases, papers of every state, and some facts in the outbox."""
    path = tmp_path / "ledger.db"
    ledger = Ledger.open(path, WINDOW)
    for n in range(CASES):
        number = f"0107-1-20261120-3F{n:03d}"
        failed = PaperFailed(paper=f"{number}-0", case=number, copy=0, reason="absent")
        facts = [case(number, f"form-{n}"), *stray(20)] + ([failed] if n % 50 else [])
        ledger.commit(facts, AT, Desk(ledger=ledger.id))
    ledger.acknowledge([(1, 4000), (5000, 8000)])
    ledger.close()
    yield path
    path.unlink(missing_ok=True)


def a_life(path: Path, rules: Rules, clock: HandClock) -> None:
    """All that a window does with its ledger: start, serve, print, send, answer the county, look, end."""
    ledger = Ledger.open(path, WINDOW)
    counter = Counter(ledger, rules, clock)
    counter.start()
    ledger.next_session()
    if counter.view().clerk:
        counter.handle(ClerkLeaves(at=counter.moment()))
    serve_one(counter)
    counter.tell(KeyPresses(at=counter.moment(), grade=5))
    taken = take_in(counter, f"form-{ledger.last_seq}-new")
    paper = ledger.next_paper()
    assert paper is not None
    ledger.send_paper(paper.paper)
    counter.tell(PaperMoves(at=counter.moment(), paper=paper.paper, outcome="confirmed"))
    counter.print_again(taken, paper.paper)
    ledger.papers()
    ledger.paper("none")
    counter.case_of_form("form-7")
    ledger.unsent(100, after=10)
    ledger.unsent(100, after=ledger.last_seq - 5)
    ledger.backlog()
    ledger.acknowledge([(4001, 4100), (8001, 8001)])
    replay(counter, 100, 300)
    counter.check(on)
    ledger.tidy()
    ledger.close()


def whole_reads(path: Path, statement: str) -> list[str]:
    """The growing tables that a statement reads from end to end, or sorts for want of an index."""
    with closing(sqlite3.connect(path)) as connection:
        plan = [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {statement}")]
    named = [found[1] for line in plan if (found := re.match(r"SCAN (\w+)", line))]
    # A sub-query's own rows are scanned under its name; one without a condition ends at its LIMIT.
    return [name for name in named if name in GROW]


def bounded(statement: str) -> bool:
    """Whether what is read from an end of a table ends by itself: one row, or so many."""
    return bool(re.search(r"\bLIMIT \d+\)?$", statement)) and "ORDER BY" in statement


def explainable(statement: str) -> bool:
    return bool(re.match(r"(SELECT|INSERT|UPDATE|DELETE)\b", statement))


def guilty(path: Path, heard: set[str]) -> list[str]:
    return sorted(
        statement
        for statement in heard
        if explainable(statement) and whole_reads(path, statement) and not bounded(statement)
    )


def test_every_statement_of_a_start_and_a_day_finds_its_rows_by_an_index(
    path: Path, rules: Rules, hand_clock: HandClock, ear: Ear
) -> None:
    a_life(path, rules, hand_clock)
    heard = {statement for statement in ear.heard if explainable(statement)}
    assert len(heard) > 30, "the life was heard"
    for part in ("FROM papers JOIN facts", "FROM outbox", "INSERT INTO facts", "UPDATE papers", "DELETE FROM outbox"):
        assert any(part in statement for statement in heard), part
    assert guilty(path, heard) == []


def test_nor_when_it_is_damaged_lacks_facts_or_has_lost_its_log(
    path: Path, rules: Rules, hand_clock: HandClock, ear: Ear, tmp_path: Path
) -> None:
    alter(path, "DELETE FROM facts WHERE seq BETWEEN 50 AND 60;")
    ledger = Ledger.open(path, WINDOW)
    mark(ledger._guard, ledger.id, ledger.last_seq + 40)
    ledger.close()
    a_life(path, rules, hand_clock)
    alter(path, "UPDATE facts SET payload = replace(payload, 'no_prompt', 'nO_prompt') WHERE seq = 500;")
    a_life(path, rules, hand_clock)
    assert list(tmp_path.glob("ledger-damaged-*"))
    assert guilty(path, ear.heard) == []


def test_a_statement_that_reads_a_whole_table_is_found_out(path: Path) -> None:
    assert whole_reads(path, "SELECT max(seq) FROM facts") == [] or bounded("SELECT max(seq) FROM facts")
    assert whole_reads(path, "SELECT seq FROM facts WHERE type = 'press.stray'") == ["facts"]
    assert whole_reads(path, "SELECT paper FROM papers WHERE state IN ('queued', 'failed')") == ["papers"]
    assert whole_reads(path, "SELECT payload FROM facts WHERE seq = 7") == []
    assert not bounded("SELECT seq FROM facts WHERE type = 'press.stray'")


def test_a_clerk_who_arrives_reads_nothing_of_the_past(
    path: Path, rules: Rules, hand_clock: HandClock, ear: Ear
) -> None:
    ledger = Ledger.open(path, WINDOW)
    counter = Counter(ledger, rules, hand_clock)
    ear.heard.clear()
    counter.handle(ClerkArrives(at=counter.moment(), number="0107"))
    assert not [statement for statement in ear.heard if statement.startswith("SELECT")]
    ledger.close()

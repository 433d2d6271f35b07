"""What the county does for each in turn: thousands of boots, or of runs, of one window are that one's trouble alone."""

from pathlib import Path

import pytest
from sqlalchemy import text

from appliance.county import clocks, tally
from appliance.county.book import Batch, Book
from appliance.county.reading import Letter, Reader
from appliance.window.facts import ClockSynced, PressStray, RatingGiven
from tests.ground_county import COUNTY, NINE, Pen

BAD, GOOD = "430602-0108-1", "430602-0107-1"
DAY = f"{NINE:%Y-%m-%d}"


@pytest.fixture
def book(tmp_path: Path) -> Book:
    return Book(f"sqlite:///{tmp_path}/book.db")


def keep(book: Book, pen: Pen, *seqs: int, stamp: int) -> None:
    reader = Reader(COUNTY)
    read = [reader.read(it) for it in pen.arrived(*seqs)]
    book.keep(Batch(letters=[it for it in read if isinstance(it, Letter)]), stamp)


def owed(book: Book, ledger: str, boots: int) -> None:
    """As it is after that many boots of a ledger have said how wrong their clocks were."""
    with book.engine.begin() as tx:
        for number in range(boots):
            tx.execute(
                text("INSERT INTO redating VALUES (:ledger, :boot, 0)"), {"ledger": ledger, "boot": f"b{number}"}
            )


def test_a_window_with_thousands_of_boots_keeps_no_other_s_clock_wrong(book: Book) -> None:
    bad, good = Pen(BAD, "0bad0bad"), Pen(GOOD, "3f9c1a7e")
    bad.write(PressStray(key=1, why="away"))
    good.write(PressStray(key=1, why="away"), NINE.replace(year=2021), synced=False)
    good.write(ClockSynced(offset=60.0), NINE)
    keep(book, bad, stamp=1)
    owed(book, "0bad0bad", 3000)
    keep(book, good, stamp=2)
    turns = [book.put_right()[0] for _ in range(3)]
    assert {GOOD} in turns
    with book.engine.connect() as tx:
        moved = tx.execute(text("SELECT at_us - time_us FROM facts WHERE ledger = '3f9c1a7e' AND seq = 1")).scalar_one()
    assert moved == 60_000_000


def test_a_damaged_row_of_what_is_owed_ends(book: Book) -> None:
    pen = Pen(GOOD, "3f9c1a7e")
    pen.write(PressStray(key=1, why="away"))
    keep(book, pen, stamp=1)
    with book.engine.begin() as tx:
        tx.exec_driver_sql("INSERT INTO redating VALUES ('0bad0bad', CAST(x'ff' AS TEXT), 0)")
    owed(book, "3f9c1a7e", 2)
    turns = 0
    while book.put_right()[2]:
        turns += 1
        assert turns < 10
    with book.engine.begin() as tx:
        assert tx.execute(text("SELECT count(*) FROM redating")).scalar_one() == 0
        tx.exec_driver_sql("INSERT INTO redating VALUES (CAST(x'ff' AS TEXT), 'b', 0)")
    with pytest.raises(clocks.Unremovable):
        book.put_right()


@pytest.mark.parametrize("step", [1, 2])
def test_a_ledger_with_more_holes_than_facts_is_counted_whole_and_kept_small(book: Book, step: int) -> None:
    pen = Pen(GOOD, "3f9c1a7e")
    for number in range(2 * tally.RUNS + 100):
        pen.write(RatingGiven(visit=f"20261122-{number:04d}", grade=5))
    seqs = range(1, len(pen.written) + 1, step)
    keep(book, pen, *seqs, stamp=1)
    runs = book.counts(DAY)
    assert len(runs) == 1
    assert (runs[0].first, runs[0].last) == (seqs[0], seqs[-1])
    assert sum(run.grades[0] for run in runs) == len(seqs)


def test_what_is_remembered_of_a_ledger_s_holes_is_bounded() -> None:
    spans = tally.Spans()
    assert all(spans.add(seq, seq) for seq in range(1, 20 * tally.RUNS, 2))
    assert len(spans) <= tally.RUNS
    assert not spans.add(20 * tally.RUNS - 1, 20 * tally.RUNS - 1)
    assert spans.add(20 * tally.RUNS, 20 * tally.RUNS)

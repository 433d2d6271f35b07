"""The book keeps every fact once, in any order, and notices what is altered, misdated or of a newer version."""

import random
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import func, select, update
from sqlalchemy.exc import OperationalError

from appliance import wire
from appliance.county.book import Batch, Book
from appliance.county.engine import Unusable, connect
from appliance.county.margins import CELL, CELLS
from appliance.county.reading import Letter, Misfit, Reader, Sighting
from appliance.county.tables import SCHEMA, breaks, facts, meta, metadata, quarantine
from appliance.county.takeover import TooNew
from appliance.window.facts import (
    ClockSynced,
    DeviceFailed,
    DeviceRecovered,
    PressStray,
    RatingChanged,
    RatingGiven,
    VisitEnded,
)
from tests.ground_county import COUNTY, NINE, WINDOW, Pen, Postgresql, arrived, seconds_after

Open = Callable[[], Book]


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    running = Postgresql()
    yield running.url
    running.remove()


@pytest.fixture(params=["sqlite", "postgresql"])
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Open]:
    """Opens the same book again and again."""
    url = f"sqlite:///{tmp_path}/book.db"
    if request.param == "postgresql":
        url = request.getfixturevalue("server")
    books: list[Book] = []

    def open_() -> Book:
        books.append(Book(url))
        return books[-1]

    if request.param == "postgresql":
        fresh = connect(url)
        metadata.drop_all(fresh)
        fresh.dispose()
    yield open_
    for book in books:
        book.close()


@pytest.fixture
def book(opened: Open) -> Book:
    return opened()


class Stamps:
    """Times that never come twice."""

    def __init__(self) -> None:
        self.last = int(NINE.timestamp() * 1e6)

    def __call__(self) -> int:
        self.last += 1
        return self.last


now = Stamps()
READER = Reader(COUNTY)


def letters(pen: Pen, *seqs: int) -> list[Letter]:
    read = [READER.read(it) for it in pen.arrived(*seqs)]
    assert all(isinstance(it, Letter) for it in read)
    return [it for it in read if isinstance(it, Letter)]


def ratings(count: int, pen: Pen | None = None) -> Pen:
    pen = pen or Pen()
    for n in range(count):
        pen.write(RatingGiven(visit=f"20261122-{n:04d}", grade=4))
    return pen


def count(book: Book) -> int:
    with book.engine.connect() as tx:
        return int(tx.execute(select(func.count()).select_from(facts)).scalar_one())


def misfits(book: Book) -> list[tuple[str, str, int]]:
    with book.engine.connect() as tx:
        rows = tx.execute(select(quarantine.c.window, quarantine.c.reason, quarantine.c["count"]))
        return sorted((window, reason, n) for window, reason, n in rows)


def keep(book: Book, pen: Pen, *seqs: int) -> list[int]:
    """Keep some facts as one batch; the sequences at which the chain was found broken."""
    return [it.seq for it in book.keep(Batch(letters=letters(pen, *seqs)), now()).breaks]


# ---- once --------------------------------------------------------------------------------


def test_a_fact_is_kept_once_however_often_it_comes(book: Book) -> None:
    pen = ratings(10)
    first = book.keep(Batch(letters=letters(pen)), now())
    assert (first.new, first.again, len(first.letters)) == (10, 0, 10)
    second = book.keep(Batch(letters=letters(pen) + letters(pen, 3, 3)), now())
    assert (second.new, second.again, len(second.letters)) == (0, 12, 10)
    assert count(book) == 10
    assert misfits(book) == []


def test_the_payload_is_kept_byte_for_byte(book: Book) -> None:
    pen = ratings(3)
    keep(book, pen)
    with book.engine.connect() as tx:
        kept = tx.execute(select(facts.c.payload).order_by(facts.c.seq)).scalars().all()
    assert kept == [payload for _, payload in pen.written]


def test_the_same_id_with_other_content_is_shut_in_and_changes_nothing(book: Book) -> None:
    pen, other = ratings(3), Pen()
    for grade in (1, 2, 3):
        other.write(RatingGiven(visit="20261122-0000", grade=grade))
    keep(book, pen)
    kept = book.keep(Batch(letters=letters(other, 2) + letters(pen, 1)), now())
    assert [it.seq for it in kept.conflicts] == [2]
    assert list(kept.letters) == [("3f9c1a7e", 1)]
    assert misfits(book) == [(WINDOW, "conflict", 1)]
    assert count(book) == 3
    assert not kept.breaks


def test_two_contents_for_one_id_in_one_batch_leave_the_first(book: Book) -> None:
    pen, other = ratings(1), Pen()
    other.write(RatingGiven(visit="20261122-0000", grade=1))
    kept = book.keep(Batch(letters=letters(pen) + letters(other) + letters(pen)), now())
    assert (kept.new, kept.again, len(kept.conflicts)) == (1, 1, 1)


def test_two_collectors_on_one_book_keep_each_fact_once(opened: Open) -> None:
    one, other, pen = opened(), opened(), ratings(20)
    keep(one, pen, *range(1, 13))
    assert keep(other, pen, *range(8, 21)) == []
    assert keep(one, pen, *range(13, 21)) == []
    assert count(one) == 20


# ---- the chain --------------------------------------------------------------------------------


def altered(pen: Pen, seq: int) -> Pen:
    """The same ledger with one fact altered on the card, as it would be sent."""
    topic, payload = pen.written[seq - 1]
    pen.written[seq - 1] = (topic, payload.replace(b'"grade":4', b'"grade":5'))
    return pen


@pytest.mark.parametrize("seed", range(6))
def test_a_whole_chain_holds_in_any_order(book: Book, opened: Open, seed: int) -> None:
    pen, order = ratings(40), random.Random(seed)
    seqs = list(range(1, 41)) + order.choices(range(1, 41), k=10)
    order.shuffle(seqs)
    while seqs:
        part, seqs = seqs[: order.randint(1, 9)], seqs[9:]
        assert keep(book, pen, *part) == []
        if order.random() < 0.2:
            book = opened()


@pytest.mark.parametrize("seed", range(6))
def test_an_altered_fact_shows_at_the_one_after_in_any_order(book: Book, opened: Open, seed: int) -> None:
    order = random.Random(seed)
    pen = altered(ratings(12), 5)
    seqs = list(range(1, 13))
    order.shuffle(seqs)
    found: set[int] = set()
    for seq in seqs:
        found.update(keep(book, pen, seq))
        if order.random() < 0.3:
            book = opened()
    assert found == {6}
    with book.engine.connect() as tx:
        (kept,) = tx.execute(select(breaks)).all()
    assert (kept.ledger, kept.seq, kept.window) == ("3f9c1a7e", 6, WINDOW)
    assert kept.found == wire.prevhash(pen.written[4][1])
    assert book.numbers()[WINDOW, "breaks"] == 1


def test_a_first_fact_that_names_one_before_it_is_a_break(book: Book) -> None:
    pen = Pen()
    pen.written.append(("x", b"a life before"))
    pen.write(PressStray(key=1, why="away"))
    topic, payload = pen.written[1]
    pen.written = [(topic, payload.replace(b"-000002", b"-000001").replace(b'"sequence":"2"', b'"sequence":"1"'))]
    assert keep(book, pen) == [1]


def test_a_missing_fact_is_not_a_break_until_its_neighbours_disagree(book: Book) -> None:
    pen = ratings(5)
    assert keep(book, pen, 1, 2, 4, 5) == []
    assert keep(book, altered(pen, 3), 3) == [4]


# ---- clocks --------------------------------------------------------------------------------


def times(book: Book) -> dict[int, tuple[str, int]]:
    """Each fact's day, and by how many seconds it was put right."""
    with book.engine.connect() as tx:
        rows = tx.execute(select(facts.c.seq, facts.c.day, facts.c.at_us, facts.c.time_us)).all()
    return {seq: (day, round((at - told) / 1e6)) for seq, day, at, told in rows}


def misdated() -> Pen:
    """A boot that begins in 1970, learns its time, and a second boot that never does."""
    pen, dawn = Pen(), NINE.replace(year=1970, month=1, day=1)
    pen.write(PressStray(key=1, why="away"), dawn, synced=False)
    pen.write(PressStray(key=2, why="away"), dawn + timedelta(seconds=5), synced=False)
    pen.write(ClockSynced(offset=(NINE - dawn).total_seconds()), NINE)
    pen.write(PressStray(key=3, why="away"), NINE)
    pen.boot = "another"
    pen.write(PressStray(key=4, why="away"), dawn, synced=False)
    return pen


RIGHT = {1: "2026-11-22", 2: "2026-11-22", 3: "2026-11-22", 4: "2026-11-22", 5: "1970-01-01"}


@pytest.mark.parametrize("order", [(1, 2, 3, 4, 5), (5, 4, 3, 2, 1), (3, 1, 5, 2, 4), (2, 3, 1, 4, 5)])
@pytest.mark.parametrize("together", [True, False])
def test_times_of_a_boot_are_put_right_whenever_its_clock_is_told(
    book: Book, order: tuple[int, ...], together: bool
) -> None:
    pen = misdated()
    moved: set[str] = set()
    for part in [order] if together else [(seq,) for seq in order]:
        moved |= book.keep(Batch(letters=letters(pen, *part)), now()).moved
    assert {seq: day for seq, (day, _) in times(book).items()} == RIGHT
    assert moved == {WINDOW}


def test_only_the_first_word_of_a_boot_on_its_clock_counts_and_only_for_what_was_before_it(book: Book) -> None:
    pen = Pen()
    pen.write(PressStray(key=1, why="away"), synced=False)
    pen.write(ClockSynced(offset=100.0))
    pen.write(PressStray(key=1, why="away"), synced=False)
    pen.write(ClockSynced(offset=-50.0))
    keep(book, pen)
    assert {seq: by for seq, (_, by) in times(book).items()} == {1: 100, 2: 0, 3: 0, 4: 0}


# ---- beside the facts --------------------------------------------------------------------------------


def sighting(kind: str, value: object, *, retained: bool = False) -> Sighting:
    payload = value if isinstance(value, bytes) else wire.encode(value)  # type: ignore[arg-type]
    found = READER.read(arrived(wire.window_topic(WINDOW, kind), payload, retained=retained))
    assert isinstance(found, Sighting)
    return found


def test_the_last_presence_is_known_after_a_restart_and_an_older_offline_is_not(opened: Open) -> None:
    book = opened()
    online, old = wire.Presence(online=True, session=5), wire.Presence(online=False, session=4)
    told = book.keep(Batch(sightings=[sighting("presence", online), sighting("presence", old)]), now())
    assert [it.value for it in told.sightings] == [online]
    again = opened()
    assert again.keep(Batch(sightings=[sighting("presence", old)]), now()).sightings == []
    (known,) = again.past().sightings
    assert known.value == online
    gone = wire.Presence(online=False, session=5)
    assert again.keep(Batch(sightings=[sighting("presence", gone)]), now()).sightings[0].value == gone


def test_what_the_broker_repeats_is_no_new_word(book: Book) -> None:
    spoken = sighting("presence", wire.Presence(online=True, session=5))
    (first,) = book.keep(Batch(sightings=[spoken]), now()).sightings
    repeated = sighting("presence", wire.Presence(online=True, session=5), retained=True)
    (second,) = book.keep(Batch(sightings=[repeated]), now()).sightings
    (third,) = book.keep(Batch(sightings=[spoken]), now()).sightings
    assert first.heard_us == second.heard_us < third.heard_us


def test_a_misfit_is_kept_once_with_how_often_it_came(book: Book) -> None:
    odd = Misfit("not_json", "some/topic", WINDOW, b"x" * 10_000, 10_000)
    for _ in range(3):
        book.keep(Batch(misfits=[odd, odd]), now())
    with book.engine.connect() as tx:
        (row,) = tx.execute(select(quarantine)).all()
    assert (row._mapping["count"], row.size, len(row.payload)) == (6, 10_000, CELL)
    assert book.numbers()[WINDOW, "misfits"] == 6


def test_a_flood_of_different_misfits_fills_no_disk(book: Book) -> None:
    for part in range(0, CELLS + 700, 500):
        odd = [Misfit("not_json", "t", WINDOW, str(n).encode(), 4) for n in range(part, min(part + 500, CELLS + 700))]
        book.keep(Batch(misfits=odd), now())
    with book.engine.connect() as tx:
        rows = tx.execute(select(func.count()).select_from(quarantine)).scalar_one()
    assert rows <= CELLS + 2
    assert book.numbers()[WINDOW, "misfits"] == CELLS + 700


def test_a_device_stays_as_its_newest_fact_leaves_it(book: Book) -> None:
    pen = Pen()
    pen.write(DeviceFailed(device="printer", reason="absent"))
    pen.write(DeviceRecovered(device="printer", reason="absent"))
    pen.write(DeviceFailed(device="printer", reason="paper_out"), seconds_after(60))
    keep(book, pen, 1, 3)
    keep(book, pen, 2)
    (device,) = book.past().devices
    assert device.fault is not None
    assert (device.fault.reason, device.fault.since_us) == ("paper_out", int(seconds_after(60).timestamp() * 1e6))


def test_unknown_facts_and_repetitions_are_counted_once_each(opened: Open) -> None:
    book, pen = opened(), ratings(2)
    topic = wire.window_topic(WINDOW, "fact", "rating.sung")
    payload = pen.write(RatingGiven(visit="v", grade=1)).replace(b"rating.given", b"rating.sung")
    pen.written[2] = (topic, payload)
    assert book.keep(Batch(letters=letters(pen)), now()).numbers[WINDOW, "unknown"] == 1
    assert (WINDOW, "unknown") not in book.keep(Batch(letters=letters(pen)), now()).numbers
    assert opened().numbers() == {(WINDOW, "unknown"): 1, (WINDOW, "again"): 3, ("", "facts"): 3}
    assert count(book) == 3


def test_what_the_wall_counts_is_told_by_day_and_window(book: Book) -> None:
    pen, other = Pen(), Pen("430602-0108-1", ledger="00000001")
    pen.write(VisitEnded(visit="a", clerk="0107", seconds=60.0))
    pen.write(RatingGiven(visit="a", grade=5))
    pen.write(RatingChanged(visit="a", grade=None, was=5, why="two_keys"))
    pen.write(PressStray(key=1, why="away"))
    pen.write(RatingGiven(visit="b", grade=5), NINE + timedelta(days=1))
    other.write(RatingGiven(visit="a", grade=1))
    keep(book, pen)
    keep(book, other)
    told = [(it.window, it.first, it.last, it.visits, it.grades) for it in book.counts("2026-11-22")]
    assert sorted(told) == [(WINDOW, 1, 4, 1, (0, 0, 0, 0, 0)), ("430602-0108-1", 1, 1, 0, (0, 0, 0, 0, 1))]
    assert [it.grades for it in book.counts("2026-11-22", ["430602-0108-1"])] == [(0, 0, 0, 0, 1)]


# ---- the book itself --------------------------------------------------------------------------------


def test_sessions_go_up_and_are_kept(opened: Open) -> None:
    assert [opened().next_session(), opened().next_session(), opened().next_session()] == [1, 2, 3]


def test_a_book_of_a_newer_version_is_refused(opened: Open) -> None:
    with opened().engine.begin() as tx:
        tx.execute(update(meta).where(meta.c.name == "schema").values(value=SCHEMA + 1))
    with pytest.raises(TooNew) as refused:
        opened()
    assert refused.value.found == SCHEMA + 1


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("mysql://somewhere/book", "url"),
        ("not a url", "url"),
        ("sqlite:////nowhere/at/all/book.db", "unreachable"),
        ("postgresql://nobody:geheim@127.0.0.1:1/book", "unreachable"),
    ],
)
def test_a_book_that_cannot_be_opened_says_so_without_the_password(url: str, code: str) -> None:
    with pytest.raises(Unusable) as refused:
        Book(url)
    assert refused.value.code == code
    assert "geheim" not in str(refused.value)


def test_a_batch_that_meets_a_lock_is_kept_whole_or_not_at_all(tmp_path: Path) -> None:
    book, pen = Book(f"sqlite:///{tmp_path}/book.db"), ratings(3)
    with book.engine.connect() as other:
        other.exec_driver_sql("BEGIN IMMEDIATE")
        with pytest.raises(OperationalError):
            keep(book, pen)
        other.rollback()
    assert count(book) == 0
    assert keep(book, pen) == []
    assert count(book) == 3
    book.close()

"""No statement of the county reads a whole table that grows: every one is explained over a filled book, on both.

Tables that grow with every fact are never read whole. The others hold a few rows a window, however long it runs; where
one of these is read whole, it is named here with why.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from sqlalchemy import Engine, event

from appliance import story, wire
from appliance.county.book import Batch, Book
from appliance.county.engine import connect
from appliance.county.gaps import AGAIN_S, OLD_S, Gaps
from appliance.county.monitor import microseconds
from appliance.county.reading import Letter, Misfit, Reader, Sighting
from appliance.county.tables import metadata
from appliance.county.wall import Wall
from appliance.window.facts import (
    ClockSynced,
    DeviceFailed,
    OrderRefused,
    PressStray,
    RatingChanged,
    RatingDeclined,
    RatingGiven,
    VisitEnded,
)
from tests.ground_county import COUNTY, NINE, Pen, Postgresql, arrived, seconds_after

GROW = {"facts", "breaks", "quarantine", "boots"}
"""Tables that grow with what arrives."""
WHOLE: dict[str, str] = {
    "meta": "two rows",
    "counters": "a few numbers a window, at the start and by the wall now and then",
    "devices": "at most 64 a window, at the start",
    "sightings": "three a window, at the start",
    "ledgers": "at most 100 a window, at the start: each is looked at once",
    "gaps": "at most 200 a ledger and nearly always none, by the wall now and then",
    "redating": "boots that are being put right just now",
}
"""Tables that may be read whole, and why."""


class Ear:
    """Every statement that goes to the database, once, with what went with it."""

    def __init__(self, engine: Engine) -> None:
        self.heard: dict[str, Any] = {}
        event.listen(engine, "before_cursor_execute", self._hear)

    def _hear(self, _connection: Any, _cursor: Any, statement: str, parameters: Any, _context: Any, many: bool) -> None:
        if re.match(r"\s*(SELECT|INSERT|UPDATE|DELETE|WITH)", statement):
            self.heard.setdefault(statement, parameters[0] if many and parameters else parameters)


def windows() -> list[Pen]:
    return [Pen(f"{COUNTY}-{100 + n:04d}-1", f"{n:08x}") for n in range(1, 13)]


def a_life(pen: Pen, count: int) -> None:
    """A window's facts of all kinds, some told before its clock was right."""
    for n in range(count):
        visit = f"20261122-{n:04d}"
        pen.write(PressStray(key=1, why="away"), seconds_after(n), synced=n % 50 != 7)
        pen.write(VisitEnded(visit=visit, clerk="0107", seconds=1.0), seconds_after(n))
        pen.write(RatingGiven(visit=visit, grade=4), seconds_after(n))
        pen.write(RatingChanged(visit=visit, grade=5, was=4, why="changed"), seconds_after(n))
        pen.write(RatingDeclined(visit=visit, why="away"), seconds_after(n))
        pen.write(DeviceFailed(device=f"d{n % 5}", reason="absent"), seconds_after(n))


def letters(pen: Pen, *seqs: int) -> list[Letter]:
    reader = Reader(COUNTY)
    return [it for it in map(reader.read, pen.arrived(*seqs)) if isinstance(it, Letter)]


def every_kind() -> list[Letter]:
    """A morning of a window, with a fact of every type."""
    topics = [(wire.window_topic(story.WINDOW, "fact", kept.type), kept.payload) for kept in story.morning().facts]
    read = [Reader(COUNTY).read(arrived(*it)) for it in topics]
    return [it for it in read if isinstance(it, Letter)]


def sightings(pen: Pen, newest: int) -> list[Sighting]:
    outbox = wire.OutboxState(depth=0, oldest_s=None, ledger=pen.ledger, newest=newest)
    said = {
        "presence": wire.Presence(online=True, session=1),
        "status": story.morning().status,
        "health": msgspec.structs.replace(story.morning().health, outbox=outbox),
    }
    reader = Reader(COUNTY)
    read = [
        reader.read(arrived(wire.window_topic(pen.window, kind), wire.encode(value))) for kind, value in said.items()
    ]
    return [it for it in read if isinstance(it, Sighting)]


class Clock:
    def __init__(self) -> None:
        self.up, self.now = 1000.0, microseconds(NINE)

    def passes(self, seconds: float) -> int:
        self.up += seconds
        self.now += round(seconds * 1e6) + 1
        return self.now


def everything(url: str, *, counted: bool = True) -> Book:
    """Does whatever the county does with its book, over a filled one of which the database has counted its tables."""
    clock = Clock()
    book = Book(url)
    pens = windows()
    for pen in pens:
        a_life(pen, 60)
        book.keep(Batch(letters=letters(pen)), clock.passes(1))
        odd = [Misfit("not_json", f"t{n}", pen.window, str(n).encode(), 1) for n in range(40)]
        book.keep(Batch(misfits=odd, sightings=sightings(pen, 1)), clock.passes(1))
    if counted:
        with book.engine.begin() as tx:
            tx.exec_driver_sql("ANALYZE")
    book.close()
    book = Book(url)
    ear = Ear(book.engine)
    book.gaps = Gaps(book.engine, clock=lambda: clock.up)
    wall = Wall(book, clock.now, clock=lambda: clock.up)
    book.next_session()
    wall.take(book.keep(Batch(letters=every_kind()), clock.passes(1)), clock.now)
    first, second, third = pens[:3]
    _mishaps(book, wall, clock, first, second)
    _gaps(book, wall, clock, third)
    wall.tick(clock.passes(86_400))
    explained(book.engine, ear)
    return book


def _mishaps(book: Book, wall: Wall, clock: Clock, pen: Pen, other: Pen) -> None:
    """Again, altered, another's, not to be understood, misdated, taken down."""
    have = len(pen.written)
    copy = Pen(other.window, pen.ledger)
    copy.written = [(topic.replace(pen.window, other.window), it.replace(pen.window.encode(), other.window.encode()))
                    for topic, it in pen.written]  # fmt: skip
    topic, payload = pen.written[4]
    changed = Pen(pen.window, pen.ledger)
    changed.written = [*pen.written[:4], (topic, payload.replace(b'"away"', b'"next_visit"')), *pen.written[5:]]
    pen.write(PressStray(key=1, why="away"), synced=False)
    pen.write(ClockSynced(offset=100.0))
    pen.write(RatingGiven(visit="v", grade=1))
    topic, payload = pen.written[-1]
    pen.written[-1] = (topic.replace("rating.given", "rating.sung"), payload.replace(b"rating.given", b"rating.sung"))
    pen.write(RatingGiven(visit="v", grade=1))
    batches = [
        Batch(letters=letters(pen, *range(have - 5, have + 5))),
        Batch(letters=letters(copy, 3, 4)),
        Batch(letters=letters(changed, 5)),
        Batch(letters=letters(pen, 1, 2), misfits=[Misfit("topic", "x", None, b"", 0)]),
        Batch(sightings=[Sighting(pen.window, "status", None, b"", False)]),
        Batch(misfits=[Misfit("not_json", "t", pen.window, b"?", 1)]),
    ]
    for batch in batches:
        wall.take(book.keep(batch, clock.passes(1)), clock.now)
        wall.tick(clock.now)


def _gaps(book: Book, wall: Wall, clock: Clock, pen: Pen) -> None:
    """A gap from its finding to its end, one that is lost, and a ledger that only health tells of."""
    at = len(pen.written)
    for n in range(2400):
        pen.write(RatingGiven(visit=f"v{n}", grade=1))
    altered = pen.written[at + 20]
    pen.written[at + 20] = (altered[0], altered[1].replace(b'"grade":1', b'"grade":2'))
    steps = [(at + 5, at + 10), (at + 20, at + 24), (at + 2300, at + 2300), (at + 6, at + 8), (at + 1, at + 4)]
    for first, last in steps:
        book.keep(Batch(letters=letters(pen, *range(first, last + 1))), clock.passes(1))
        book.gaps.look(clock.passes(40))
    stranger = Pen(f"{COUNTY}-0999-1", "00000999")
    book.keep(Batch(sightings=[*sightings(pen, at + 2400), *sightings(stranger, 5)]), clock.passes(1))
    book.gaps.look(clock.passes(40))
    clock.passes(OLD_S)
    asked = book.due_replays(clock.now)
    assert asked
    refused = Pen(pen.window, "0000aaaa")
    refused.write(OrderRefused(order=next(it.id for window, it in asked if window == pen.window), reason="missing"))
    book.keep(Batch(letters=letters(refused)), clock.passes(1))
    clock.passes(AGAIN_S)
    assert book.due_replays(clock.now)
    wall.tick(clock.passes(10))


def explained(engine: Engine, ear: Ear) -> None:
    """Fails for whatever reads a whole table that it may not."""
    assert len(ear.heard) > 30
    wrong, named = [], set()
    with engine.connect() as tx:
        if engine.dialect.name == "postgresql":
            tx.exec_driver_sql("SET enable_seqscan = off")  # else small tables are read whole because they are small
        for statement, parameters in ear.heard.items():
            for table in whole_reads(tx, statement, parameters):
                named.add(table)
                if table not in WHOLE or (table in GROW):
                    wrong.append((table, statement))
    assert not wrong, "\n".join(f"{table}: {statement}" for table, statement in wrong)
    assert {"counters", "devices", "sightings"} <= named, "the plans are read"


def whole_reads(tx: Any, statement: str, parameters: Any) -> list[str]:
    """The tables that a statement reads from end to end, or a growing one a whole ledger at a time."""
    if tx.dialect.name == "sqlite":
        return _whole_on_sqlite(tx, statement, parameters)
    plan = [it[0] for it in tx.exec_driver_sql(f"EXPLAIN {statement}", parameters)]
    whole = []
    for n, line in enumerate(plan):
        scan = re.search(r"(Seq|Index|Index Only|Bitmap Heap) Scan.* on (\w+)", line)
        after = " ".join(plan[n + 1 : n + 4])
        if scan and scan[2] in metadata.tables and (scan[1] == "Seq" or not re.search(r"(Index|Recheck) Cond", after)):
            whole.append(scan[2])
    return whole


def _whole_on_sqlite(tx: Any, statement: str, parameters: Any) -> list[str]:
    whole = []
    for *_, line in tx.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters):
        found = re.match(r"(SCAN|SEARCH) (\w+)(?:.*\((.*)\))?", line)
        if not found or found[2] not in metadata.tables:
            continue
        # "SEARCH facts" without a condition is a scan for a maximum; a ledger's name alone stands for all its facts.
        bounded = re.search(r"LIMIT|\b(max|min)\(\w+\.\w+\) AS \w+ \n?FROM facts|EXISTS", statement)
        grows = found[2] in GROW and found[3] == "ledger=?" and not bounded
        if found[1] == "SCAN" or not found[3] or grows:
            whole.append(found[2])
    return whole


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    running = Postgresql()
    yield running.url
    running.remove()


@pytest.mark.parametrize("counted", [False, True])
def test_on_sqlite_every_statement_finds_its_rows_by_an_index(tmp_path: Path, *, counted: bool) -> None:
    everything(f"sqlite:///{tmp_path}/book.db", counted=counted).close()


def test_on_postgresql_every_statement_finds_its_rows_by_an_index(server: str) -> None:
    fresh = connect(server)
    metadata.drop_all(fresh)
    fresh.dispose()
    everything(server).close()


def test_a_statement_that_reads_a_whole_table_is_found_out(tmp_path: Path) -> None:
    book = Book(f"sqlite:///{tmp_path}/book.db")
    with book.engine.connect() as tx:
        pairs = "SELECT payload FROM facts WHERE (ledger, seq) IN (VALUES ('a', 1), ('b', 2))"
        assert whole_reads(tx, "SELECT max(seq) FROM facts WHERE received_us != 1", ()) == ["facts"]
        assert whole_reads(tx, "SELECT payload FROM facts WHERE ledger = 'a' AND seq IN (1, 2)", ()) == []
        assert whole_reads(tx, "SELECT payload FROM facts WHERE ledger = 'a'", ()) == ["facts"], "it grows"
        assert len(whole_reads(tx, pairs, ())) <= 1, "3.40 reads all for it, a later one does not"
    book.close()

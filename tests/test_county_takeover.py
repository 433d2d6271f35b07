"""A book of schema 1 is taken over as it stands, in one transaction, on both databases."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, func, inspect, select, update

from appliance.county import takeover
from appliance.county.book import Batch, Book
from appliance.county.engine import connect
from appliance.county.monitor import microseconds
from appliance.county.reading import Letter, Reader, day_of
from appliance.county.tables import SCHEMA, devices, facts, ledgers, meta, metadata
from appliance.county.wall import Wall
from appliance.window.facts import DeviceFailed, RatingDeclined, RatingGiven, VisitEnded
from tests.ground_county import COUNTY, NINE, WINDOW, Pen, Postgresql

OTHER = "430602-0108-1"

SCHEMA_1 = """
CREATE TABLE meta (name TEXT NOT NULL PRIMARY KEY, value BIGINT NOT NULL);
CREATE TABLE facts (ledger TEXT NOT NULL, seq BIGINT NOT NULL, "window" TEXT NOT NULL, type TEXT NOT NULL,
    version INTEGER NOT NULL, known BOOLEAN NOT NULL, subject TEXT NOT NULL, day TEXT NOT NULL, time_us BIGINT NOT NULL,
    at_us BIGINT NOT NULL, synced BOOLEAN NOT NULL, boot TEXT NOT NULL, up FLOAT NOT NULL, grade INTEGER, was INTEGER,
    payload {blob} NOT NULL, received_us BIGINT NOT NULL, PRIMARY KEY (ledger, seq));
CREATE INDEX facts_day ON facts (day, "window");
CREATE INDEX facts_unsynced ON facts (ledger, boot) WHERE NOT synced;
CREATE TABLE boots (ledger TEXT NOT NULL, boot TEXT NOT NULL, seq BIGINT NOT NULL, offset_us BIGINT NOT NULL,
    PRIMARY KEY (ledger, boot, seq));
CREATE TABLE devices ("window" TEXT NOT NULL, device TEXT NOT NULL, ledger TEXT NOT NULL, seq BIGINT NOT NULL,
    failed BOOLEAN NOT NULL, reason TEXT NOT NULL, at_us BIGINT NOT NULL, PRIMARY KEY ("window", device));
CREATE TABLE breaks (ledger TEXT NOT NULL, seq BIGINT NOT NULL, "window" TEXT NOT NULL, said TEXT NOT NULL,
    found TEXT NOT NULL, noticed_us BIGINT NOT NULL, PRIMARY KEY (ledger, seq));
CREATE TABLE sightings ("window" TEXT NOT NULL, kind TEXT NOT NULL, payload {blob} NOT NULL, heard_us BIGINT NOT NULL,
    session BIGINT, PRIMARY KEY ("window", kind));
CREATE TABLE quarantine (topic TEXT NOT NULL, reason TEXT NOT NULL, digest TEXT NOT NULL, "window" TEXT NOT NULL,
    detail TEXT NOT NULL, payload {blob} NOT NULL, size BIGINT NOT NULL, count BIGINT NOT NULL,
    first_us BIGINT NOT NULL, last_us BIGINT NOT NULL, PRIMARY KEY (topic, reason, digest));
CREATE INDEX quarantine_window ON quarantine ("window");
CREATE TABLE counters ("window" TEXT NOT NULL, name TEXT NOT NULL, value BIGINT NOT NULL, PRIMARY KEY ("window", name));
INSERT INTO meta VALUES ('schema', 1), ('session', 41);
INSERT INTO breaks VALUES ('00000001', 3, '430602-0107-1', 'a', 'b', 1), ('00000001', 4, '430602-0107-1', 'a', 'b', 1);
INSERT INTO counters VALUES ('430602-0107-1', 'unknown', 3), ('430602-0107-1', 'again', 2);
INSERT INTO quarantine VALUES ('t', 'not_json', 'x', '430602-0107-1', '', {empty}, 1, 20, 1, 1);
INSERT INTO quarantine VALUES ('t', 'not_json', 'y', '', '', {empty}, 1, 4, 1, 1);
INSERT INTO devices VALUES ('430602-0107-1', 'printer', '00000001', 4, {true}, 'paper_out', 7);
INSERT INTO sightings VALUES ('430602-0108-1', 'status', {junk}, 5, NULL);
"""
"""What the first version made, and a little of what it kept."""


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    running = Postgresql()
    yield running.url
    running.remove()


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A book as the first version left it."""
    url = f"sqlite:///{tmp_path}/book.db"
    words = {"blob": "BLOB", "empty": "x''", "junk": "x'7b7d'", "true": "1"}
    if request.param == "postgresql":
        url = request.getfixturevalue("server")
        words = {"blob": "BYTEA", "empty": "''", "junk": r"'\x7b7d'", "true": "true"}
    made = connect(url)
    if request.param == "postgresql":
        metadata.drop_all(made)
    fill(made, SCHEMA_1.format(**words))
    made.dispose()
    return url


def fill(engine: Engine, script: str) -> None:
    one, copy = Pen(WINDOW, "00000001"), Pen(OTHER, "00000001")
    one.write(VisitEnded(visit="a", clerk="0107", seconds=1.0))
    one.write(RatingDeclined(visit="a", why="next_visit"))
    one.write(RatingGiven(visit="b", grade=5))
    one.write(DeviceFailed(device="printer", reason="paper_out"))
    one.write(RatingDeclined(visit="c", why="timeout"))
    for _ in range(7):
        copy.write(RatingGiven(visit="z", grade=1))
    with engine.begin() as tx:
        for statement in script.split(";"):
            if statement.strip():
                tx.exec_driver_sql(statement)
        old = [column.name for column in facts.columns if column.name != "why"]
        for n, letter in enumerate((*letters(one, 1, 2, 3, 4, 5), *letters(copy, 7))):
            fact = letter.fact
            row = {name: getattr(letter, name) for name in old if hasattr(letter, name)}
            grade = fact.grade if isinstance(fact, RatingGiven) else None
            row |= {"at_us": letter.time_us, "grade": grade, "was": None, "received_us": 1000 + n}
            names = ", ".join(f'"{name}"' for name in row)
            marks = ", ".join(["?" if engine.dialect.name == "sqlite" else "%s"] * len(row))
            tx.exec_driver_sql(f"INSERT INTO facts ({names}) VALUES ({marks})", tuple(row.values()))


def letters(pen: Pen, *seqs: int) -> list[Letter]:
    reader = Reader(COUNTY)
    return [it for arrived in pen.arrived(*seqs) if isinstance(it := reader.read(arrived), Letter)]


def test_a_book_of_the_first_version_is_taken_over_whole(url: str) -> None:
    book = Book(url)
    with book.engine.connect() as tx:
        assert tx.execute(select(meta.c.value).where(meta.c.name == "schema")).scalar_one() == SCHEMA
        assert [tuple(it)[:3] for it in tx.execute(select(ledgers))] == [("00000001", WINDOW, 1000)]
        why = select(facts.c.seq, facts.c.why).where(facts.c.why.is_not(None)).order_by(facts.c.seq)
        assert [tuple(it) for it in tx.execute(why)] == [(2, "next_visit"), (5, "timeout")]
        assert tx.execute(select(devices.c.ledger_us)).scalar_one() == 1000
    assert book.next_session() == 42
    assert book.numbers() == {
        ("", "facts"): 6,
        ("", "misfits"): 4,
        (WINDOW, "again"): 2,
        (WINDOW, "breaks"): 2,
        (WINDOW, "misfits"): 20,
        (WINDOW, "unknown"): 3,
    }
    book.close()
    again = Book(url)
    assert again.numbers()["", "facts"] == 6, "a book is taken over once"
    again.close()


def test_what_was_taken_over_is_what_a_new_book_has(url: str, tmp_path: Path) -> None:
    taken, new = Book(url), Book(f"sqlite:///{tmp_path}/new.db")
    for name in metadata.tables:
        columns = {it["name"]: it["nullable"] for it in inspect(taken.engine).get_columns(name)}
        assert columns == {it["name"]: it["nullable"] for it in inspect(new.engine).get_columns(name)}, name
        indexes = {it["name"] for it in inspect(taken.engine).get_indexes(name)}
        assert indexes == {it["name"] for it in inspect(new.engine).get_indexes(name)}, name
    taken.close()
    new.close()


def test_the_wall_of_a_book_that_was_taken_over_counts_its_day_and_draws_every_row(url: str) -> None:
    book, now = Book(url), microseconds(NINE)
    wall = Wall(book, now)
    rows = {row.window: row for row in wall.rows(now)}
    assert (rows[WINDOW].seen.visits, rows[WINDOW].seen.grades, rows[WINDOW].seen.cut) == (1, (1, 0, 0, 0, 0), 1)
    assert rows[OTHER].seen.status is None, "what this version would not have taken is not known, and stops nobody"
    assert day_of(now) == "2026-11-22"
    book.gaps.look(now)
    assert book.keep(Batch(letters=letters(Pen(WINDOW, "00000001"))), now).new == 0
    book.close()


def test_a_takeover_that_ends_in_its_midst_leaves_the_old_book(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def cut(tx: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(takeover, "_numbers", cut)
        with pytest.raises(KeyboardInterrupt):
            Book(url)
    left = connect(url)
    assert "why" not in {it["name"] for it in inspect(left).get_columns("facts")}
    assert not inspect(left).has_table("gaps")
    with left.connect() as tx:
        assert tx.execute(select(meta.c.value).where(meta.c.name == "schema")).scalar_one() == 1
    left.dispose()
    book = Book(url)
    with book.engine.begin() as tx:
        assert tx.execute(select(func.count()).select_from(facts)).scalar_one() == 6
        tx.execute(update(meta).where(meta.c.name == "schema").values(value=SCHEMA + 1))
    book.close()
    with pytest.raises(takeover.TooNew):
        Book(url)


def test_the_first_versions_tables_are_written_down_and_not_made_from_todays() -> None:
    assert not re.search("why|ledger_us|gaps|ledgers", SCHEMA_1)

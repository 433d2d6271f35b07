"""A row of the book that cannot be read is that row's trouble: start, wall, pages, gaps and every other window go on.

SQLite keeps what it is given in whatever column, a disk gives back what it likes, and an older version kept what this
one would not take: so one cell of each column of each table is made odd, each at a window of its own, all in one book.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from sqlalchemy import BigInteger, Table, select

from appliance import wire
from appliance.county import phrases
from appliance.county.book import Batch, Book
from appliance.county.engine import Unusable, connect
from appliance.county.keeper import Keeper
from appliance.county.monitor import microseconds
from appliance.county.office import Office
from appliance.county.reading import Letter, Misfit, Reader, Sighting
from appliance.county.tables import facts, metadata
from appliance.county.wall import Wall
from appliance.window.facts import ClockSynced, DeviceFailed, PressStray, RatingDeclined, RatingGiven, VisitEnded
from tests.ground_county import COUNTY, HEALTH, NINE, STATUS, Pen, Postgresql, arrived, seconds_after

GOOD = Pen(f"{COUNTY}-9999-9", "99999999")
OLD = Pen(f"{COUNTY}-0000-1", "00000000")
NOW = microseconds(seconds_after(3600))
ODD: tuple[Any, ...] = ("x{}", -7 - 2**40, 2**62, 1.5e300, b"\xff\xfe", b"[" * 9000, "", "2026-13-45")
"""What a cell may hold on SQLite, whatever the column says."""
ODD_TEXT: tuple[Any, ...] = ("x{}", "", "2026-13-45", "長" * 9000)
ODD_LARGE: tuple[Any, ...] = (-7 - 2**40, -(2**63), 2**63 - 1)
ODD_NUMBER: tuple[Any, ...] = (-7, 2**31 - 1)
ODD_BYTES: tuple[Any, ...] = (b"\xff\xfe", b"[" * 9000, b"", b"null", b'{"prevhash": 5}')


def life(pen: Pen) -> None:
    """A visit, rated; a fault; a boot whose clock was wrong; a declined rating."""
    pen.write(PressStray(key=1, why="away"), NINE, synced=False)
    pen.write(ClockSynced(offset=60.0), NINE)
    pen.write(VisitEnded(visit="a", clerk="0107", seconds=1.0), NINE)
    pen.write(RatingGiven(visit="a", grade=5), NINE)
    pen.write(RatingDeclined(visit="b", why="away"), NINE)
    pen.write(DeviceFailed(device="printer", reason="paper_out"), NINE)
    for n in range(5):
        pen.write(RatingGiven(visit=f"v{n}", grade=4), NINE)


class Ground:
    """A book, with what a collector does with it."""

    def __init__(self, url: str) -> None:
        self.reader, self.now, self.up = Reader(COUNTY), NOW, 1000.0
        self.open(url)

    def open(self, url: str) -> None:
        self.book = Book(url)
        self.book.gaps._clock = lambda: self.up

    def stamp(self) -> int:
        self.now += 1
        return self.now

    def brings(self, *pens: tuple[Pen, int, int]) -> Keeper:
        """Facts of these, and everything that a window says of itself, in one batch."""
        batch, keeper = Batch(), Keeper(self.book, self.stamp)
        for pen, first, last in pens:
            health: dict[str, Any] = {"outbox": wire.OutboxState(depth=0, oldest_s=None, ledger=pen.ledger, newest=40)}
            said: dict[str, Any] = {"presence": wire.Presence(online=True, session=2), "status": STATUS}
            said["health"] = msgspec.structs.replace(HEALTH, **health)
            for it in (self.reader.read(one) for one in pen.arrived(*range(first, last + 1))):
                assert isinstance(it, Letter)
                batch.letters.append(it)
            for kind, value in said.items():
                it = self.reader.read(arrived(wire.window_topic(pen.window, kind), wire.encode(value)))
                assert isinstance(it, Sighting)
                batch.sightings.append(it)
            batch.misfits.append(Misfit("not_json", f"t/{pen.window}", pen.window, b"?", 1))
        keeper.add(batch)
        return keeper


def cases(dialect: str) -> Iterator[tuple[Table, str, Any]]:
    for table in metadata.tables.values():
        for column in table.columns if table.name != "meta" else ():
            numbers = ODD_LARGE if isinstance(column.type, BigInteger) else ODD_NUMBER
            typed = {str: ODD_TEXT, int: numbers, float: (1.5e300, -1.0), bytes: ODD_BYTES}.get(
                column.type.python_type, ()
            )
            for value in ODD if dialect == "sqlite" else typed:
                yield table, column.name, value


def damaged(url: str) -> list[tuple[Pen, str]]:
    """A book in which each window has one odd cell; the windows, and what is odd there."""
    engine, victims = connect(url), []
    with engine.begin() as tx:
        rows = {it: [dict(row._mapping) for row in tx.execute(select(it))] for it in metadata.tables.values()}
        mark = "?" if engine.dialect.name == "sqlite" else "%s"
        for n, (odd, column, value) in enumerate(cases(engine.dialect.name), 1):
            pen = Pen(f"{COUNTY}-{n:04d}-1", f"{n:08x}")
            life(pen)
            victims.append((pen, f"{odd.name}.{column} = {value!r:.30}"))
            names = {OLD.window: pen.window, OLD.ledger: pen.ledger}
            for table, known in rows.items():
                mine = [it for it in known if OLD.window in it.values() or OLD.ledger in it.values()]
                for k, row in enumerate(mine):
                    changed = {name: names.get(it, it) if isinstance(it, str) else it for name, it in row.items()}
                    if table.name == "quarantine":
                        changed["topic"] = f"{changed['topic']}{n}"
                    if table is odd and k == len(mine) // 2:
                        changed[column] = value.format(n) if isinstance(value, str) else value
                    listed = ", ".join(f'"{name}"' for name in changed)
                    marks = ", ".join([mark] * len(changed))
                    put = f'INSERT INTO "{table.name}" ({listed}) VALUES ({marks}) ON CONFLICT DO NOTHING'
                    tx.exec_driver_sql(put, tuple(changed.values()))
    engine.dispose()
    return victims


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/book.db"
        return
    server = Postgresql()
    yield server.url
    server.remove()


def test_one_odd_cell_of_any_row_is_that_windows_trouble_alone(url: str) -> None:
    for pen in (GOOD, OLD):
        pen.written.clear()
        life(pen)
    ground = Ground(url)
    for pen in (GOOD, OLD):
        assert not ground.brings((pen, 1, 7)).work()[1]
        ground.book.gaps.look(ground.now)
    ground.brings((OLD, 11, 11)).work()
    ground.up += 60
    ground.book.gaps.look(ground.now)
    ground.book.close()
    victims = damaged(url)
    assert len(victims) > 150
    ground.open(url)
    wall = Wall(ground.book, ground.now, clock=lambda: ground.up)
    office = Office(COUNTY, "梅溪县", wall, {})
    _is_right(office)
    keeper = ground.brings((GOOD, 8, 9), *((pen, 8, 9) for pen, _ in victims), (GOOD, 10, 10))
    outcomes = []
    while len(keeper):
        done, away = keeper.work()
        assert away is None
        outcomes += done
    what = {pen.window: said for pen, said in victims}
    odd = [it for outcome in outcomes for it in outcome.batch.misfits if it.reason == "unkeepable"]
    assert not {(it.window, what.get(it.window or ""), it.detail) for it in odd}
    kept = {it.seq for outcome in outcomes for it in outcome.kept.letters.values() if it.window == GOOD.window}
    assert kept == {8, 9, 10}
    for outcome in outcomes:
        wall.take(outcome.kept, ground.now)
    for _ in range(3):
        ground.up += 3000
        ground.now += 3000_000_000
        ground.book.gaps.look(ground.now)
        ground.book.due_replays(ground.now)
        wall.put_right(*ground.book.put_right()[:2])
        wall.tick(ground.now)
    _is_right(office, 3)
    missing = ground.book.gaps.missing(ground.now)
    assert (missing[GOOD.window].asked + missing[GOOD.window].lost) == 30, "health says that there are 40"
    with ground.book.engine.connect() as tx:
        had = tx.execute(select(facts.c.seq).where(facts.c.ledger == GOOD.ledger)).scalars().all()
    assert sorted(had) == [*range(1, 11)]
    ground.book.close()


def _is_right(office: Office, more: int = 0) -> None:
    """The wall, its page, its JSON and its health are there, and the good window's row is whole."""
    client = office.app.test_client()
    page = client.get("/")
    assert page.status_code == 200
    rows = {row["window"]: row for row in json.loads(client.get("/wall.json").data)["rows"]}
    good = rows[GOOD.window]
    assert (good["visits"], good["grades"]["5"], good["grades"]["4"], good["cut"]) == (1, 1, 1 + more, 1)
    assert [it["device"] for it in good["faults"]] == ["printer"]
    assert good["state"] == STATUS.state
    assert client.get("/healthz").status_code in (200, 503)


@pytest.mark.parametrize("said", ["x", b"\xff", 1.5])
def test_a_book_that_does_not_say_its_version_is_left_alone_with_a_sentence(tmp_path: Path, said: object) -> None:
    url = f"sqlite:///{tmp_path}/book.db"
    Book(url).close()
    engine = connect(url)
    with engine.begin() as tx:
        tx.exec_driver_sql("UPDATE meta SET value = ? WHERE name = 'schema'", (said,))
    engine.dispose()
    with pytest.raises(Unusable) as refused:
        Book(url)
    assert "版式" in phrases.book_unusable(refused.value.code, refused.value.detail)


@pytest.mark.parametrize("said", ["x", b"\xff", -5, 2**62, 2**63 - 1])
def test_sessions_begin_anew_when_their_number_is_none(tmp_path: Path, said: object) -> None:
    book = Book(f"sqlite:///{tmp_path}/book.db")
    with book.engine.begin() as tx:
        tx.exec_driver_sql("UPDATE meta SET value = ? WHERE name = 'session'", (said,))
    assert [book.next_session(), book.next_session()] == [1, 2]
    book.close()

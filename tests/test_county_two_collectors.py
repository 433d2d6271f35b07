"""Two collectors on one PostgreSQL, killed at any instant while windows deliver: each fact once, and both walls right.

`COLLECTOR_KILLS=60 pytest tests/test_county_two_collectors.py` is the long one.
"""

import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from contextlib import closing as shut
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from appliance.county.engine import connect
from appliance.county.tables import facts
from appliance.courier import Courier
from appliance.ledger import Ledger
from appliance.window.desk import Desk
from appliance.window.facts import Fact, Grade, RatingChanged, RatingGiven, VisitEnded
from appliance.window.moment import CHINA, Moment
from tests.ground_county import COUNTY, Postgresql
from tests.ground_courier.brokers import Broker, Mosquitto
from tests.ground_courier.waiting import free_port, listens, until
from tests.ground_courier.window import IMPATIENT, Window

ROOT = Path(__file__).parents[1]
KILLS = int(os.environ.get("COLLECTOR_KILLS", "6"))
WINDOWS = [f"{COUNTY}-0{site}-1" for site in (101, 102, 103)]


class Named(Window):
    """A window of any name, that counts what the wall has to show of it."""

    def __init__(self, place: Path, port: int, name: str) -> None:
        place.mkdir()
        self.name = name
        super().__init__(place, port, IMPATIENT)
        self.ledger.close()
        self.ledger = Ledger.open(place / f"{name}.db", name)
        self.courier = self._courier()
        self.visits, self.grades = 0, {str(grade): 0 for grade in (5, 4, 3, 2, 1)}

    def _courier(self) -> Courier:
        return Courier(
            window=self.name,
            address=self._address,
            ledger=self.ledger,
            status=lambda: self.status,
            health=lambda: self.health,
            now=lambda: datetime.now(CHINA),
            on_order=self._order,
            on_link=self._linked,
            pace=self._pace,
        )

    def serves(self, draw: random.Random) -> None:
        """A visit that is rated, and perhaps once more."""
        visit, grade = f"v{self.visits}", draw.choice(_GRADES)
        done: list[Fact] = [VisitEnded(visit=visit, clerk="0107", seconds=1.0), RatingGiven(visit=visit, grade=grade)]
        if draw.random() < 0.3:
            was, grade = grade, draw.choice(_GRADES)
            done.append(RatingChanged(visit=visit, grade=grade, was=was, why="changed"))
        self.visits += 1
        self.grades[str(grade)] += 1
        at = Moment(at=datetime.now(CHINA), boot="b", up=float(self.visits), synced=True)
        self.ledger.commit(done, at, Desk(ledger=self.ledger.id))
        self.courier.wake()


_GRADES: tuple[Grade, ...] = (5, 4, 3, 2, 1)


class Program:
    """One of the two collectors, for all its lives."""

    def __init__(self, place: Path, broker: int, book: str, name: str) -> None:
        self.port, self.settings = free_port(), place / f"{name}.toml"
        self.log = place / f"{name}.log"
        self.settings.write_text(
            f'[county]\ncode = "{COUNTY}"\nname = "梅溪县"\ncollector = "{name}"\n[book]\nurl = "{book}"\n'
            f'[broker]\nhost = "127.0.0.1"\nport = {broker}\n[office]\nport = {self.port}\n',
            encoding="utf-8",
        )
        self.start()

    def start(self) -> None:
        command = [sys.executable, "-m", "appliance", "county", "--settings", str(self.settings)]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(10)

    def rows(self) -> dict[str, Any]:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/wall.json", timeout=5) as answer:
            return {row["window"]: row for row in json.load(answer)["rows"]}


@pytest.fixture
def ground(tmp_path: Path) -> Iterator[tuple[Broker, str]]:
    server = Postgresql()
    broker = Mosquitto(tmp_path).start()
    yield broker, server.url
    broker.kill()
    server.remove()


def test_two_collectors_killed_again_and_again_lose_and_double_nothing(
    ground: tuple[Broker, str], tmp_path: Path
) -> None:
    broker, url = ground
    draw = random.Random(6)
    with ExitStack() as closing:
        windows = [Named(tmp_path / name, broker.port, name) for name in WINDOWS]
        for window in windows:
            window.start()
            closing.callback(window.ledger.close)
            closing.callback(window.stop)
        two = [Program(tmp_path, broker.port, url, name) for name in ("a", "b")]
        for program in two:
            closing.callback(program.kill)
        until(lambda: all(listens(it.port) for it in two), "both are there", 30)
        book = connect(url)
        closing.callback(book.dispose)
        for number in range(KILLS):
            for window in windows:
                for _ in range(30):
                    window.serves(draw)
            moved = windows[number % 3].ledger.backlog()[0]
            # In the middle of what they do: some of these facts are kept, some not, some kept and not acknowledged.
            some = draw.random() * moved
            until(lambda: windows[number % 3].ledger.backlog()[0] <= some, "something is kept", 30)  # noqa: B023
            victim = two[draw.randrange(2)]
            victim.kill()
            victim.start()
        until(lambda: all(it.ledger.backlog()[0] == 0 for it in windows), "every window is rid of its facts", 60)
        with book.connect() as tx:
            have = select(facts.c.payload).order_by(facts.c.seq)
            for window in windows:
                kept = tx.execute(have.where(facts.c.ledger == window.ledger.id)).scalars().all()
                assert [bytes(it) for it in kept] == payloads(window.ledger.path)
        until(lambda: all(listens(it.port) for it in two), "both are there again", 30)
        for program in two:
            for window in windows:
                shown = (window.visits, window.grades)
                until(lambda: _shown(program, window.name) == shown, "the wall is right", 20)  # noqa: B023
                assert program.rows()[window.name]["breaks"] == 0
        for program in two:
            program.process.send_signal(signal.SIGTERM)
            assert program.process.wait(20) == 0
            assert "Traceback" not in program.log.read_text()


def _shown(program: Program, window: str) -> tuple[int, dict[str, int]]:
    row = program.rows().get(window)
    return (row["visits"], row["grades"]) if row else (0, {})


def payloads(path: Path) -> list[bytes]:
    with shut(sqlite3.connect(path)) as file:
        return [payload for (payload,) in file.execute("SELECT payload FROM facts ORDER BY seq")]

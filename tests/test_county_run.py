"""The county's program as it is started: it survives kill -9, ends in order, refuses in a sentence."""

import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from appliance.county.book import Book
from appliance.window.facts import FACT_TYPES
from tests.ground_courier.brokers import Broker, Mosquitto
from tests.ground_courier.waiting import free_port, listens, stays, until
from tests.ground_courier.window import Window

ROOT = Path(__file__).parents[1]


class Program:
    """`appliance county` as a process of its own, on one book for all its lives."""

    def __init__(self, place: Path, broker: int) -> None:
        self.place, self.port = place, free_port()
        self.settings = place / "county.toml"
        self.settings.write_text(
            f'[county]\ncode = "430602"\nname = "梅溪县"\n[book]\nurl = "sqlite:///{place}/book.db"\n'
            f'[broker]\nhost = "127.0.0.1"\nport = {broker}\n[office]\nport = {self.port}\n'
            '[stations]\n"0107" = "梅溪乡医疗保障服务站"\n',
            encoding="utf-8",
        )
        self.process: subprocess.Popen[str] | None = None

    def start(self) -> "Program":
        command = [sys.executable, "-m", "appliance", "county", "--settings", str(self.settings)]
        self.process = subprocess.Popen(command, cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        return self

    def ready(self) -> "Program":
        until(lambda: listens(self.port), "the pages answer", 20)
        return self

    def ends(self, number: int | None = None) -> tuple[int, str]:
        """Its exit status and everything it said, after a signal or by itself."""
        assert self.process is not None
        if number is not None:
            self.process.send_signal(number)
        said, _ = self.process.communicate(timeout=20)
        return self.process.returncode, said

    def asks(self, path: str) -> Any:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=5) as answer:
            return json.load(answer)


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    running = Mosquitto(tmp_path).start()
    yield running
    running.kill()


@pytest.fixture
def program(tmp_path: Path, broker: Broker) -> Iterator[Program]:
    made = Program(tmp_path, broker.port)
    yield made
    if made.process is not None and made.process.poll() is None:
        made.ends(signal.SIGKILL)


@pytest.fixture
def window(tmp_path: Path, broker: Broker) -> Iterator[Window]:
    running = Window(tmp_path, broker.port).start()
    yield running
    running.stop()
    running.ledger.close()


def payloads(path: Path) -> list[bytes]:
    with closing(sqlite3.connect(path)) as base:
        return [payload for (payload,) in base.execute("SELECT payload FROM facts ORDER BY seq")]


def test_killed_again_and_again_it_loses_and_doubles_nothing(program: Program, window: Window, tmp_path: Path) -> None:
    book, kept = tmp_path / "book.db", [0]
    for _ in range(5):
        program.start()
        window.commit(60)
        # In the middle of what it is doing: some of these facts are in the book, and some are not.
        until(lambda: book.exists() and _count(book) > kept[0], "it keeps something", 20)
        window.commit(60)
        kept[0] = _count(book)
        program.ends(signal.SIGKILL)
    program.start()
    until(lambda: window.ledger.backlog()[0] == 0, "the window is rid of all its facts", 30)
    program.ready()
    assert program.asks("/healthz")["facts"] == 600
    assert payloads(book) == payloads(window.ledger.path)


def _count(path: Path) -> int:
    with closing(sqlite3.connect(path)) as base:
        try:
            return int(base.execute("SELECT count(*) FROM facts").fetchone()[0])
        except sqlite3.OperationalError:
            return 0  # not made yet


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_in_order_when_told_to(program: Program, window: Window, number: int) -> None:
    program.start().ready()
    until(lambda: program.asks("/healthz")["connected"], "it is connected")
    status, said = program.ends(number)
    assert status == 0
    assert "Traceback" not in said


def test_its_health_is_told_in_numbers(program: Program, window: Window) -> None:
    program.start().ready()
    until(lambda: program.asks("/healthz")["connected"], "it is connected", 20)
    window.commit(3)
    until(lambda: program.asks("/healthz")["facts"] == 3, "three facts")
    said = program.asks("/healthz")
    assert (said["ok"], said["connected"], said["windows"], said["quarantined"], said["breaks"]) == (
        True,
        True,
        1,
        0,
        0,
    )
    assert said["last_commit"].endswith("+08:00")
    (row,) = program.asks("/wall.json")["rows"]
    assert (row["window"], row["level"], row["unsent"]) == ("430602-0107-1", "idle", 0)
    assert program.asks("/wall.json?station=0107")["rows"] == [row]
    assert not set(row) & set(FACT_TYPES)


def test_a_port_that_is_taken_is_one_sentence(program: Program) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", program.port))
        taken.listen()
        status, said = program.start().ends()
    assert status == 1
    assert str(program.port) in said
    assert len(said.splitlines()) == 1


def test_a_book_of_a_newer_version_is_one_sentence(program: Program, tmp_path: Path) -> None:
    Book(f"sqlite:///{tmp_path}/book.db").close()
    with closing(sqlite3.connect(tmp_path / "book.db")) as base:
        base.execute("UPDATE meta SET value = 99 WHERE name = 'schema'")
        base.commit()
    before = (tmp_path / "book.db").read_bytes()
    status, said = program.start().ends()
    assert status == 1
    assert "99" in said
    assert len(said.splitlines()) == 1
    assert (tmp_path / "book.db").read_bytes() == before


def test_a_broker_that_is_not_there_yet_is_waited_for(tmp_path: Path) -> None:
    broker = Mosquitto(tmp_path)
    program = Program(tmp_path, broker.port).start().ready()
    assert program.asks("/healthz")["connected"] is False
    broker.start()
    until(lambda: program.asks("/healthz")["connected"], "it is connected", 20)
    program.ends(signal.SIGTERM)
    broker.kill()


def test_a_dead_broker_costs_no_processor_time(tmp_path: Path) -> None:
    program = Program(tmp_path, free_port()).start().ready()
    assert program.process is not None
    clock = _processor_s(program.process.pid)
    stays(lambda: program.process is not None and program.process.poll() is None, "it lives", 3)
    assert _processor_s(program.process.pid) - clock < 0.5
    program.ends(signal.SIGTERM)


def _processor_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

"""A real window and a real county while somebody holds whatever a client may hold, and more: both stay usable."""

import http.client
import json
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import msgspec
import pytest

from appliance import wire
from appliance.window.moment import CHINA
from tests.conftest import until
from tests.ground_county import COUNTY, STATUS, Talker
from tests.ground_courier.brokers import Mosquitto
from tests.ground_courier.waiting import free_port
from tests.ground_demo import heals
from tests.test_run import Process

ROOT = Path(__file__).parents[1]
LASTS_S = 17.0
"""Longer than the bounds of `appliance.server` on what is idle and on what does not come to its end."""
PATIENCE_S = 5.0
"""How long a person waits for a page, on a machine that does other tests meanwhile."""
FINGER_S = 0.25
WINDOW = "430602-0107-1"
GREEDY, HONEST = "127.0.0.2", "127.0.0.3"


@contextmanager
def siege(port: int, address: str, events: str) -> Iterator[dict[str, Counter[str]]]:
    """Somebody at `address` besieges a server; what he did is there when he has ended."""
    done: dict[str, Counter[str]] = {}
    command = [sys.executable, "-m", "tests.ground_siege", str(port), address, events, str(LASTS_S)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        yield done
        said = process.communicate(timeout=LASTS_S + 30)[0]
        assert process.returncode == 0
    done.update({key: Counter(value) for key, value in json.loads(said).items()})


class Viewer:
    """An open page: reads its stream as it comes, on a thread of its own."""

    def __init__(self, port: int, path: str, address: str) -> None:
        self._link = socket.create_connection(("127.0.0.1", port), 10, source_address=(address, 0))
        self._link.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode())
        self._heard = self._link.recv(65536)
        self.status = int(self._heard.split()[1])
        self.ended = False
        self._link.settimeout(None)
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        while more := self._link.recv(65536):
            self._heard += more
        self.ended = True

    def said(self) -> str:
        return self._heard.decode(errors="replace")

    def sees(self, words: str) -> None:
        """Wait until it has been told so."""
        until(lambda: words in self.said(), PATIENCE_S, f"the open page is not told {words}")

    def leave(self) -> None:
        assert not self.ended, "an open page was cut"
        self._link.shutdown(socket.SHUT_RDWR)
        self._thread.join(10)
        self._link.close()


class Server:
    """What a process holds, as the kernel counts it."""

    def __init__(self, pid: int) -> None:
        self._proc = Path(f"/proc/{pid}")
        self.files = self.threads = 0
        self.begun_mb = self.rss_mb = self._of("VmRSS") / 1024

    def _of(self, key: str) -> int:
        lines = (self._proc / "status").read_text(encoding="ascii").splitlines()
        return int(next(line for line in lines if line.startswith(f"{key}:")).split()[1])

    def look(self) -> None:
        self.files = max(self.files, len(list((self._proc / "fd").iterdir())))
        self.threads = max(self.threads, self._of("Threads"))
        self.rss_mb = max(self.rss_mb, self._of("VmRSS") / 1024)

    def held_little(self) -> None:
        """It kept to its bounds: 96 connections and a few viewers, each of which costs a thread."""
        assert self.files < 200, self.files
        assert self.threads < 70, self.threads
        assert self.rss_mb - self.begun_mb < 64, (self.begun_mb, self.rss_mb)


def asked(port: int, path: str, address: str, body: str | None = None) -> tuple[int, float]:
    """A person's own request: the status of its answer, read whole, and how long that took."""
    began = time.monotonic()
    link = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S * 2, source_address=(address, 0))
    try:
        headers = {"Origin": f"http://127.0.0.1:{port}", "Content-Type": "application/x-www-form-urlencoded"}
        link.request("GET" if body is None else "POST", path, body, headers)
        answer = link.getresponse()
        answer.read()
        return answer.status, time.monotonic() - began
    finally:
        link.close()


def met(done: dict[str, Counter[str]]) -> None:
    """Thousands of connections; each way but a viewer's, who may stay, was ended."""
    begun, closed = done["begun"], done["closed"]
    assert sum(begun.values()) > 2000, begun
    assert {way for way in begun if not closed[way]} <= {way for way in begun if way.startswith("a viewer")}


# ---- the window -------------------------------------------------------------------------------------------------


@pytest.fixture
def window(tmp_path: Path) -> Iterator[Process]:
    window = Process(tmp_path)
    window.start()
    yield window
    assert window.stop() == 0, window.journal()


def test_the_clerk_works_on_while_another_program_here_holds_whatever_it_can(window: Process) -> None:
    """From the same address as the panel's own browser: only programs of this machine reach a window's pages."""
    window.post("/act/arrive", "number=0107")
    assert window.process is not None
    server, pause, visits = Server(window.process.pid), threading.Event(), 0
    answers: list[tuple[str, int, float]] = []
    open_pages = [Viewer(window.port, f"/events/{page}", "127.0.0.1") for page in ("clerk", "display")]
    with siege(window.port, "127.0.0.1", "/events/clerk") as done:
        ends = time.monotonic() + LASTS_S
        while time.monotonic() < ends:
            for path, body in VISIT:
                answers.append((path, *asked(window.port, path, "127.0.0.1", body)))
                if "/key/" in path:
                    # As a finger does: what is shorter than the pad's 50 ms is a bounce, and the pad may be late.
                    pause.wait(FINGER_S)
            visits += 1
            server.look()
            pause.wait(0.1)
    met(done)
    assert {(path, status) for path, status, _ in answers if status >= 400} == set()
    assert max(seconds for _, _, seconds in answers) < PATIENCE_S
    assert window.facts().count("rating.given") == visits
    for page in open_pages:
        assert page.said().count("event: regions") > visits
        page.leave()
    server.held_little()
    assert window.journal().count("\n") < 40, window.journal()[-2000:]


VISIT = (
    ("/act/begin", ""),
    ("/act/end", ""),
    ("/bench/key/5/down", ""),
    ("/bench/key/5/up", ""),
    ("/", None),
    ("/display", None),
)
"""What a clerk's and a resident's hands do, and a look at both pages."""


# ---- the county -------------------------------------------------------------------------------------------------


@contextmanager
def county(place: Path, broker: int) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """The county's program, and the port of its pages."""
    port, settings = free_port(), place / "county.toml"
    settings.write_text(
        f'[county]\ncode = "{COUNTY}"\nname = "岳阳楼区"\n[book]\nurl = "sqlite:///{place}/book.db"\n'
        f'[broker]\nhost = "127.0.0.1"\nport = {broker}\n[office]\nport = {port}\n',
        encoding="utf-8",
    )
    command = [sys.executable, "-m", "appliance", "county", "--settings", str(settings)]
    with (place / "journal").open("ab") as journal, subprocess.Popen(command, cwd=ROOT, stderr=journal) as process:
        try:
            until(lambda: process.poll() is not None or heals(port), 30, "the county is connected")
            yield process, port
        finally:
            process.terminate()
            assert process.wait(20) == 0, (place / "journal").read_text(encoding="utf-8")


def test_the_wall_is_live_while_somebody_holds_whatever_he_can(tmp_path: Path) -> None:
    broker, pause = Mosquitto(tmp_path).start(), threading.Event()
    answers: list[tuple[int, float]] = []
    with county(tmp_path, broker.port) as (process, port):
        server, before = Server(process.pid), Viewer(port, "/events", HONEST)
        window = Talker(broker.port, WINDOW)
        window.tell("presence", wire.Presence(online=True, session=1))
        with siege(port, GREEDY, "/events") as done:
            pause.wait(LASTS_S / 4)
            late = Viewer(port, "/events", HONEST)
            assert late.status == 200, "one who comes while every place is taken has one all the same"
            ends, turn = time.monotonic() + LASTS_S / 2, 0
            while time.monotonic() < ends:
                turn += 1
                window.tell("status", status(f"王{turn}"))
                before.sees(f"王{turn}<")
                late.sees(f"王{turn}<")
                answers.append(asked(port, "/", HONEST))
                answers.append(asked(port, "/wall.json", HONEST))
                server.look()
                pause.wait(0.2)
        window.leave()
        for page in (before, late):
            page.leave()
    broker.kill()
    met(done)
    assert {status for status, _ in answers} == {200}
    assert max(seconds for _, seconds in answers) < PATIENCE_S
    server.held_little()
    assert (tmp_path / "journal").read_text(encoding="utf-8").count("\n") < 40


def status(clerk: str) -> wire.Status:
    """A window that serves, with a clerk of that name."""
    return msgspec.structs.replace(STATUS, since=datetime.now(CHINA), clerk=wire.ClerkCard("0107", clerk))

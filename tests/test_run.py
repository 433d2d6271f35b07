"""A window as a process: how it starts, how it refuses to, what it survives."""

import http.client
import json
import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import until
from tests.ground_courier.waiting import free_port, is_free

SETTINGS = """
[window]
id = "430602-0107-1"
label = "1号窗口"
[station]
level = "township"
place = "梅溪乡"
telephone = "0730-0000000"
[[clerks]]
number = "0107"
name = "王敏"
[ledger]
path = "{place}/ledger.db"
[broker]
host = "127.0.0.1"
port = {broker}
[panel]
port = {port}
[pad]
factory = "mock"
[away]
lamp = 12
[printer]
kind = "bench"
baud = 115200
[bench]
enabled = true
"""


class Process:
    """One `appliance run` on a settings file of its own."""

    def __init__(self, place: Path) -> None:
        self.port = free_port()
        self.place = place
        self.settings = place / "window.toml"
        self.settings.write_text(SETTINGS.format(place=place, broker=free_port(), port=self.port), encoding="utf-8")
        self.process: subprocess.Popen[str] | None = None

    def change(self, old: str, new: str) -> None:
        words = self.settings.read_text(encoding="utf-8")
        assert old in words
        self.settings.write_text(words.replace(old, new), encoding="utf-8")

    def start(self, *within: str, **environment: str) -> None:
        """Start it, `within` another command that ends in it."""
        self.process = subprocess.Popen(
            [*within, sys.executable, "-m", "appliance", "run", "--settings", str(self.settings)],
            stderr=(self.place / "journal").open("a"),
            text=True,
            cwd=Path(__file__).parents[1],
            env={**os.environ, **environment},
        )
        until(lambda: self.ended() or self.answers(), 30, "the window does not answer")
        assert not self.ended(), self.journal()

    def ended(self) -> bool:
        assert self.process is not None
        return self.process.poll() is not None

    def answers(self) -> bool:
        try:
            return bool(self.ask("GET", "/healthz")[0] in (200, 503))
        except OSError:
            return False

    def ask(self, method: str, path: str, body: str = "") -> tuple[int, str]:
        link = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            home = f"http://127.0.0.1:{self.port}"
            kind = {"Origin": home, "Content-Type": "application/x-www-form-urlencoded"}
            link.request(method, path, body=body, headers=kind)
            answer = link.getresponse()
            return answer.status, answer.read().decode("utf-8", "replace")
        finally:
            link.close()

    def health(self) -> dict[str, Any]:
        said = json.loads(self.ask("GET", "/healthz")[1])
        assert isinstance(said, dict)
        return said

    def post(self, path: str, body: str = "") -> None:
        status, words = self.ask("POST", path, body)
        assert status < 400, words

    def journal(self) -> str:
        return (self.place / "journal").read_text(encoding="utf-8")

    def stop(self, how: signal.Signals = signal.SIGTERM) -> int:
        assert self.process is not None
        self.process.send_signal(how)
        return self.process.wait(15)

    def facts(self) -> list[str]:
        with sqlite3.connect(f"file:{self.place}/ledger.db?mode=ro", uri=True) as ledger:
            return [row[0] for row in ledger.execute("SELECT type FROM facts ORDER BY seq")]

    def troubles(self) -> str:
        return self.ask("GET", "/devices")[1]


@pytest.fixture
def window(tmp_path: Path) -> Iterator[Process]:
    window = Process(tmp_path)
    yield window
    if window.process is not None and not window.ended():
        window.stop(signal.SIGKILL)


def refusal(window: Process) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-m", "appliance", "run", "--settings", str(window.settings)],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
        cwd=Path(__file__).parents[1],
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode, done.stderr.strip().splitlines()[-1]


def test_wrong_settings_are_one_sentence_and_status_2(window: Process) -> None:
    window.change("[panel]", "[panel]\ncolour = 1")
    status, sentence = refusal(window)
    assert status == 2
    assert "colour" in sentence
    assert str(window.settings) in sentence


def test_an_unknown_make_of_printer_is_one_sentence_and_status_2(window: Process) -> None:
    window.change("baud = 115200", 'baud = 115200\nmake = "LaserJet"')
    status, sentence = refusal(window)
    assert status == 2
    assert "LaserJet" in sentence
    assert "TM-T20II" in sentence


def test_a_certificate_that_is_none_is_one_sentence_and_status_2(window: Process) -> None:
    (window.place / "ca.crt").write_text("no certificate")
    window.change('host = "127.0.0.1"', f'host = "127.0.0.1"\nca_file = "{window.place}/ca.crt"')
    status, sentence = refusal(window)
    assert status == 2
    assert "ca_file" in sentence


@pytest.mark.parametrize("host", ["a..b", "x" * 64, "-a", "a.-b"])
def test_a_name_that_no_look_up_takes_is_one_sentence_and_status_2(window: Process, host: str) -> None:
    window.change('host = "127.0.0.1"', f'host = "{host}"')
    status, sentence = refusal(window)
    assert status == 2
    assert host[:20] in sentence


def test_a_taken_port_is_one_sentence(window: Process) -> None:
    with socket.create_server(("127.0.0.1", window.port)):
        status, sentence = refusal(window)
    assert status == 1
    assert str(window.port) in sentence


def test_a_second_program_on_the_same_ledger_is_one_sentence(window: Process) -> None:
    window.start()
    status, sentence = refusal(window)
    assert status == 1
    assert "另一个程序" in sentence


def test_it_serves_without_any_network_and_ends_in_good_order(window: Process) -> None:
    window.start()
    assert window.health()["connected"] is False
    window.post("/act/arrive", "number=0107")
    window.post("/act/begin")
    window.post("/act/end")
    window.post("/bench/key/4/down")
    window.post("/bench/key/4/up")
    until(lambda: "rating.given" in window.facts(), what=str(window.facts()))
    assert window.stop() == 0
    assert "Traceback" not in window.journal()
    assert is_free(window.port)


def test_killed_with_an_open_prompt_it_comes_back_with_it(window: Process) -> None:
    window.start()
    for action in ("arrive", "begin", "end"):
        window.post(f"/act/{action}", "number=0107")
    window.stop(signal.SIGKILL)
    window.start()
    assert window.health()["state"] == "rating"
    window.post("/bench/key/2/down")
    until(lambda: "rating.given" in window.facts(), what="the press did not count")


def test_a_closed_switch_is_read_at_the_start(window: Process) -> None:
    window.start()
    window.post("/bench/switch/on")
    until(lambda: window.health()["state"] == "away")
    window.stop(signal.SIGKILL)
    # The bench's switch springs back with the process that holds it: the level is open now, and that is what is read.
    window.start()
    until(lambda: window.health()["state"] != "away")
    assert window.facts()[-1] == "away.ended"


def test_a_damaged_ledger_is_set_aside_and_the_clerk_is_told(window: Process) -> None:
    (window.place / "ledger.db").write_bytes(b"scribble" * 4096)
    window.start()
    assert list(window.place.glob("ledger-damaged-*.db"))
    assert "已另存并重新开始" in window.troubles()
    assert window.facts()[0] == "device.failed"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('kind = "bench"\nbaud = 115200', 'kind = "serial"\npath = "/dev/appliance-nowhere"'),
        ('kind = "bench"\nbaud = 115200', 'kind = "lp"\npath = "/dev/null"'),
        ('kind = "bench"\nbaud = 115200', 'kind = "network"\nhost = "127.0.0.1"\nport = 9'),
        ("[bench]", '[camera]\nkind = "picamera2"\n[bench]'),
    ],
)
def test_an_absent_device_is_a_sentence_and_a_fact_and_nothing_stops(window: Process, old: str, new: str) -> None:
    window.change(old, new)
    window.start()
    until(lambda: "device.failed" in window.facts(), 20, str(window.facts()))
    until(lambda: re.search(r"打印机|高拍仪", window.troubles()), what="the clerk is told once it is on the card")
    window.post("/act/arrive", "number=0107")
    assert window.health()["ok"]


def test_a_site_that_gave_its_name_this_machines_address_gets_nothing(tmp_path: Path) -> None:
    """DNS rebinding: to the browser here such a page is of one origin with ours."""
    window = Process(tmp_path)
    window.start()
    answers = []
    for path in ("/", "/display", "/healthz", "/events/clerk", "/static/clerk/clerk.css", "/act/end"):
        for host in ("evil.example", "evil.example:80", "127.0.0.1.evil.example", "127.0.0.1@evil.example", "[::1", ""):
            link = http.client.HTTPConnection("127.0.0.1", window.port, timeout=10)
            link.putrequest("POST" if path == "/act/end" else "GET", path, skip_host=True)
            for name, value in (("Host", host), ("Origin", f"http://{host}"), ("Content-Length", "0")):
                link.putheader(name, value)
            link.endheaders()
            answer = link.getresponse()
            answers.append((path, host, answer.status, "以 127.0.0.1 开头的地址" in answer.read().decode()))
            link.close()
    assert {it[2:] for it in answers} == {(421, True)}, answers
    assert window.stop() == 0


def test_without_a_gpio_chip_the_window_serves_and_says_so(window: Process) -> None:
    window.change('factory = "mock"', 'factory = "lgpio"')
    window.change('kind = "bench"\nbaud = 115200', 'kind = "none"')
    window.change("enabled = true", "enabled = false")
    window.start()
    until(lambda: "device.failed" in window.facts(), 20, "a chip that does not come is said after the first seconds")
    assert "评价器" in window.troubles()
    assert window.ask("GET", "/bench")[0] == 404
    window.post("/act/arrive", "number=0107")


def test_systemd_hears_that_it_is_ready_and_alive(window: Process) -> None:
    place = window.place / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(place))
        systemd.settimeout(20)
        window.start(NOTIFY_SOCKET=str(place), WATCHDOG_USEC="600000")
        assert systemd.recv(100) == b"READY=1"
        assert systemd.recv(100) == b"WATCHDOG=1"
        window.stop()
        said = systemd.recv(100)
        while said == b"WATCHDOG=1":
            said = systemd.recv(100)
        assert said == b"STOPPING=1"


def test_help_explains_itself() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "appliance", "--help"], capture_output=True, text=True, timeout=30, check=True
    )
    for word in ("run", "county", "demo", "doctor"):
        assert word in done.stdout

"""The demo as a person has it: one process at a terminal, its lines, its pages, and what is left when it has ended."""

import http.client
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from appliance.broker import PID_FILE_VARIABLE
from appliance.demo.plan import Ports
from tests.conftest import until
from tests.ground_courier.waiting import free_port

START_S, END_S = 60.0, 20.0


def free_base() -> int:
    """The first of four ports in a row that nobody listens on."""
    return free_port(in_a_row=4)


def health(port: int) -> dict[str, Any]:
    """What `/healthz` says; raises OSError while nobody answers."""
    link = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        link.request("GET", "/healthz")
        answer = link.getresponse()
        assert answer.getheader("Content-Type", "").startswith("application/json")
        said = json.loads(answer.read())
    finally:
        link.close()
    assert isinstance(said, dict)
    return said


def heals(port: int) -> bool:
    """Whether somebody answers and finds himself well and connected."""
    try:
        said = health(port)
    except OSError:
        return False
    return bool(said["ok"]) and bool(said.get("connected", True))


def run_once(state: Path, *options: str) -> tuple[int, str, str]:
    """A demo that is expected to end by itself: its exit status, what it said, and what it complained of."""
    done = subprocess.run(_command(state, *options), capture_output=True, text=True, timeout=START_S, check=False)
    return done.returncode, done.stdout, done.stderr


def _command(state: Path, *options: str) -> list[str]:
    return [sys.executable, "-m", "appliance", "demo", "--state", str(state), *options]


class Demo:
    """A running demo; leaving it ends it as Ctrl-C does."""

    def __init__(self, state: Path, base: int) -> None:
        self.state = state
        self.base = base
        self.ports = Ports.from_base(base)
        self.windows = (self.ports.first, self.ports.second)
        self._said = state.with_suffix(".out")

    def begin(self, terminal: int | None = None) -> None:
        """Start it, and do not wait until it stands; it speaks to this terminal, or else to a file."""
        with self._said.open("wb") as out:
            self.process = subprocess.Popen(
                _command(self.state, "--port-base", str(self.base)),
                stdin=subprocess.DEVNULL,
                stdout=out if terminal is None else terminal,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def __enter__(self) -> Self:
        self.begin()
        try:
            until(self._stands, START_S, "the demo did not announce its addresses")
        except AssertionError as late:
            self.interrupt()
            raise AssertionError(f"{late}; it said:\n{self.said()}") from None
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self.process.poll() is None:
            self.interrupt()

    def _stands(self) -> bool:
        assert self.process.poll() is None, f"the demo ended:\n{self.said()}"
        return "mqtt://" in self.said()

    def said(self) -> str:
        return self._said.read_text(encoding="utf-8")

    def interrupt(self, times: int = 1) -> int:
        """Ctrl-C, so many times; the exit status."""
        for _ in range(times):
            self.process.send_signal(signal.SIGINT)
        return self.process.wait(END_S)

    def family(self) -> dict[int, str]:
        """Every living process that this demo started, each with its command line."""
        mark = os.fsencode(f"{PID_FILE_VARIABLE}={self.state / 'broker.pid'}")
        found = {}
        for place in Path("/proc").glob("[0-9]*"):
            try:
                if mark in (place / "environ").read_bytes().split(b"\0"):
                    found[int(place.name)] = (place / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            except OSError:
                continue  # it ended while it was looked at
        return {pid: command for pid, command in found.items() if command}

    def pid_of(self, words: str) -> int | None:
        """The process whose command line has these words, if it lives."""
        return next((pid for pid, command in self.family().items() if words in command), None)

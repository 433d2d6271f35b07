"""The county as a wall shows it: its process, and an open page of the wall that stamps what it is sent."""

import contextlib
import http.client
import json
import queue
import re
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from tests.bench import window
from tests.bench.ground import LOOPBACK, Process, free_port, serves, wait_until

_FIGURES = re.compile(r'<p class="figure number[^"]*">(\d+)</p>')
GRADES = 5


@contextlib.contextmanager
def start_county(place: Path, broker_port: int) -> Iterator["Wall"]:
    """A county on a book of its own, with one page of its wall open."""
    port = free_port()
    with county(place, broker_port, port):
        wall = Wall(port)
        try:
            yield wall
        finally:
            wall.close()


@contextlib.contextmanager
def county(place: Path, broker_port: int, port: int) -> Iterator[Process]:
    """The county's process on a book of its own, at whose wall nobody looks."""
    settings = place / "county.toml"
    settings.write_text(
        f"""
        [county]
        code = "{window.COUNTY}"
        name = "岳阳楼区"
        [book]
        url = "sqlite:///{place / "book.db"}"
        [broker]
        host = "{LOOPBACK}"
        port = {broker_port}
        [office]
        listen = "{LOOPBACK}"
        port = {port}
        """
    )
    command = [sys.executable, "-m", "appliance", "county", "--settings", str(settings)]
    with Process(command, place / "county.log") as process:
        wait_until(lambda: serves(f"http://{LOOPBACK}:{port}/healthz"), process)
        yield process


class Wall:
    """One viewer of the wall: the number of ratings that stood on it, and when each came to stand there."""

    def __init__(self, port: int) -> None:
        self._line = http.client.HTTPConnection(LOOPBACK, port, timeout=60)
        self._line.request("GET", "/events")
        self._events = self._line.getresponse()
        self._shown: queue.SimpleQueue[tuple[int, int]] = queue.SimpleQueue()
        self._ratings = 0
        threading.Thread(target=self._read, daemon=True, name="wall").start()

    def next_rating(self, seconds: float) -> float:
        """The monotonic nanosecond at which one rating more stood on the wall; infinite when none came in time."""
        before, deadline = self._ratings, time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            try:
                self._ratings, at = self._shown.get(timeout=left)
            except queue.Empty:
                break
            if self._ratings > before:
                return at
        return float("inf")

    def close(self) -> None:
        """Leave the page."""
        self._line.close()

    def _read(self) -> None:
        with contextlib.suppress(OSError, ValueError, AttributeError):  # the line is closed under us at the end
            for line in self._events:
                at = time.monotonic_ns()
                if line.startswith(b"data: "):
                    self._take(json.loads(line[6:]), at)

    def _take(self, regions: dict[str, object], at: int) -> None:
        row = regions.get("place-0")
        figures = [int(figure) for figure in _FIGURES.findall(row)] if isinstance(row, str) else []
        if len(figures) > GRADES:
            self._shown.put((sum(figures[1 : 1 + GRADES]), at))

"""What the watcher of a screen is tried with: a site that the test changes, and the processes of a browser."""

import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tests.conftest import until

ROOT = Path(__file__).parent.parent
HEADLESS = ("--headless", "--no-sandbox", "--disable-gpu")
"""A Chromium without a screen; as root it has no sandbox of its own."""


@contextmanager
def short_place() -> Iterator[Path]:
    """A folder with a short name, as those of /run: Chromium keeps a socket there, whose path has at most 107 bytes."""
    with tempfile.TemporaryDirectory(prefix="screen-") as place:
        yield Path(place)


class Site:
    """An HTTP server on a port that stays the same while it stops and starts."""

    def __init__(self, html: str = "<p>页面") -> None:
        self.status, self.html, self.kind = 200, html, "text/html; charset=utf-8"
        self.asked: list[str] = []
        self.port = 0
        self._server: ThreadingHTTPServer | None = None

    @property
    def address(self) -> str:
        """What a watcher is given."""
        return f"http://127.0.0.1:{self.port}/display"

    def start(self) -> None:
        """Answer from now on."""
        site = self

        class Answer(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                site._answer(self)

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), Answer)
        self.port = self._server.server_port
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self) -> None:
        """Refuse every connection."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def _answer(self, line: BaseHTTPRequestHandler) -> None:
        self.asked.append(line.path)
        body = f"<!doctype html><meta charset=utf-8><title>窗口</title><body>{self.html}".encode()
        line.send_response(self.status)
        line.send_header("Content-Type", self.kind)
        line.send_header("Content-Length", str(len(body)))
        line.end_headers()
        line.wfile.write(body)


@contextmanager
def watcher(name: str, address: str, place: Path, **environment: str) -> Iterator[subprocess.Popen[bytes]]:
    """`appliance screen`, as kiosk.conf runs it; what it says is in `place`/said."""
    place.mkdir(exist_ok=True)
    words = [sys.executable, "-m", "appliance", "screen", name, address, "--", *HEADLESS]
    env = {**os.environ, "XDG_RUNTIME_DIR": str(place), "PYTHONPATH": str(ROOT), **environment}
    for unset in ("WAYLAND_DISPLAY", "SWAYSOCK", "RUNTIME_DIRECTORY"):
        if unset not in environment:
            env.pop(unset, None)
    with (place / "said").open("ab") as said:
        process = subprocess.Popen(words, env=env, stderr=said, cwd="/")
    try:
        yield process
    finally:
        process.terminate()
        process.wait(20)


def browsers_of(place: Path) -> list[int]:
    """The browsers that run on this profile; not the copies that the shell script before one makes of itself."""
    mark = f"--user-data-dir={place} "
    return [pid for pid, words in _running() if mark in words and _session(pid) == pid]


def browser_of(place: Path) -> int:
    """The one browser of this profile."""
    until(lambda: browsers_of(place), 30, f"no browser for {place}")
    (browser,) = browsers_of(place)
    assert browser > 1
    return browser


def family(browser: int, kind: str = "") -> list[int]:
    """The processes that a browser started, itself among them, or those of one kind; the dead do not count."""
    assert browser > 1
    return [pid for pid, words in _running() if kind in words and _session(pid) == browser]


def renderers(browser: int) -> list[int]:
    """Those that draw pages; the oldest first."""
    return family(browser, "--type=renderer")


def _session(pid: int) -> int:
    try:
        return os.getsid(pid)
    except ProcessLookupError:
        return 0


def _running() -> list[tuple[int, str]]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError):
                words = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                found.append((int(entry.name), words))
    return sorted((pid, words) for pid, words in found if words)

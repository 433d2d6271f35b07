"""What stands around a screen: a window that answers in every odd way, and a compositor that does not."""

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic

import pytest

from appliance.screen import place
from appliance.screen.place import Compositor, status_of
from tests.conftest import until

PAGE = b"HTTP/1.1 %d X\r\nContent-Type: text/html; charset=utf-8\r\n\r\n<p>"
ANSWERS = [
    (PAGE % 200, 200),
    (PAGE % 503, 503),
    (PAGE.replace(b"Content-Type: ", b"content-type:") % 200, 200),
    (b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n{}", None),
    (b"HTTP/1.1 200 OK\r\n\r\n", None),
    (b"", None),
    (b"SSH-2.0-OpenSSH_9.2\r\n", None),
    (b"\xff" * 40_000, None),
]


@contextmanager
def answering(words: bytes, hang_up: bool = True) -> Iterator[str]:
    """A server that says this to everybody; without `hang_up` it leaves them on the line."""
    lines = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            while True:
                try:
                    line, _ = server.accept()
                    line.recv(65_536)
                    line.sendall(words)
                except OSError:
                    return
                lines.append(line)
                if hang_up:
                    line.close()

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}/display"
        server.shutdown(socket.SHUT_RDWR)
        thread.join(10)
        for line in lines:
            line.close()


@pytest.mark.parametrize(("words", "status"), ANSWERS)
def test_only_a_page_is_shown(words: bytes, status: int | None) -> None:
    with answering(words) as address:
        assert status_of(address) == status


def test_a_window_that_says_nothing_is_not_waited_for_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(place, "ASK_S", 0.2)
    with answering(b"HTTP/1.1 200 OK\r\n", hang_up=False) as address:
        began = monotonic()
        assert status_of(address) is None
        assert monotonic() - began < 2


def test_nobody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"http://127.0.0.1:{server.getsockname()[1]}/"
    assert status_of(address) is None


SWAY = """
import contextlib, socket, struct, sys
with socket.socket(socket.AF_UNIX) as door:
    door.bind(sys.argv[1])
    door.listen(0)
    while True:
        line, _ = door.accept()
        with line:
            said = line.recv(64)
            assert said == b"i3-ipc" + struct.pack("=II", 0, 7), said
            with contextlib.suppress(BrokenPipeError):
                line.sendall(b"i3-ipc" + struct.pack("=II", 2, 7) + b"{}")
"""
"""As sway-ipc(7) has it: a question of type 7 is answered with its version."""


@pytest.fixture
def sway(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[subprocess.Popen[bytes]]:
    door = tmp_path / "sway.sock"
    process = subprocess.Popen([sys.executable, "-c", SWAY, str(door)])
    until(door.exists)
    monkeypatch.setenv("SWAYSOCK", str(door))
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    yield process
    process.kill()
    process.wait(10)


def test_a_compositor_that_answers_is_left_alone_and_one_that_hangs_is_killed(sway: subprocess.Popen[bytes]) -> None:
    compositor = Compositor(patience=0.5, times=3)
    compositor.watch()
    os.kill(sway.pid, signal.SIGSTOP)
    compositor.watch()
    os.kill(sway.pid, signal.SIGCONT)

    # Late once is not hanging.
    def answers() -> bool:
        compositor.watch()
        return compositor.silent == 0

    until(answers)
    assert sway.poll() is None
    os.kill(sway.pid, signal.SIGSTOP)
    for _ in range(3):
        compositor.watch()
    assert sway.wait(10) == -signal.SIGKILL
    for _ in range(5):
        compositor.watch()


def test_a_compositor_that_never_was_there_is_not_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a line that never came the kernel names process 0, and to kill 0 is to kill oneself."""
    monkeypatch.setenv("SWAYSOCK", str(tmp_path / "nobody"))
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    compositor = Compositor(patience=0.1, times=1)
    compositor.watch()
    assert compositor.silent == 1


def test_where_there_is_no_compositor_nothing_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("WAYLAND_DISPLAY", "SWAYSOCK"):
        monkeypatch.delenv(name, raising=False)
    compositor = Compositor()
    compositor.watch()
    assert not compositor.gone()

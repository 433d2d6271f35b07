"""Words to systemd reach a real socket; one that is dead, full or nonsense costs one line in the log, nothing else."""

import logging
import os
import signal
import socket
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from appliance import notify
from tests.test_run import Process


@pytest.fixture(autouse=True)
def nothing_said_yet() -> Iterator[None]:
    notify.say_once.cache_clear()
    yield
    notify.say_once.cache_clear()


@pytest.mark.parametrize("address", ["{place}/notify", "@appliance-test-{pid}"])
def test_what_is_told_arrives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    address = address.format(place=tmp_path, pid=os.getpid())
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind("\0" + address[1:] if address.startswith("@") else address)
        systemd.settimeout(5)
        monkeypatch.setenv("NOTIFY_SOCKET", address)
        notify.tell("READY=1")
        assert systemd.recv(100) == b"READY=1"


def test_without_a_service_manager_nothing_is_said(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for value in (None, ""):
        if value is None:
            monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
        else:
            monkeypatch.setenv("NOTIFY_SOCKET", value)
        notify.tell("READY=1")
    assert caplog.records == []


def dead(place: Path, kind: str) -> str:
    """The address of a socket that takes nothing."""
    file = place / "notify"
    if kind in {"nobody listens", "another kind of socket"}:
        with socket.socket(
            socket.AF_UNIX, socket.SOCK_DGRAM if kind == "nobody listens" else socket.SOCK_STREAM
        ) as left:
            left.bind(str(file))
    if kind == "a plain file":
        file.touch()
    return {"too long": f"{place}/{'x' * 200}", "of a virtual machine": "vsock:2:1234", "no socket": "nonsense"}.get(
        kind, str(file)
    )


KINDS = [
    "no such file",
    "nobody listens",
    "another kind of socket",
    "a plain file",
    "too long",
    "of a virtual machine",
    "no socket",
]


@pytest.mark.parametrize("kind", KINDS)
def test_a_dead_socket_is_said_once_and_everything_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, kind: str
) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", dead(tmp_path, kind))
    for words in ("READY=1", "WATCHDOG=1", "WATCHDOG=1", "STOPPING=1"):
        notify.tell(words)
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert "NOTIFY_SOCKET" in record.getMessage()


def test_a_service_manager_that_does_not_read_holds_nobody_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with (
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as other,
    ):
        systemd.bind(str(tmp_path / "notify"))
        other.setblocking(False)
        with suppress(BlockingIOError):
            while True:
                other.sendto(b"x", str(tmp_path / "notify"))
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        notify.tell("WATCHDOG=1")
        notify.tell("WATCHDOG=1")
    assert len(caplog.records) == 1


@pytest.mark.parametrize(
    ("usec", "pid", "seconds"),
    [
        (None, None, None),
        ("30000000", None, 30.0),
        ("30000000", "ours", 30.0),
        # A parent's: whoever it watches, it is not this process.
        ("30000000", "1", None),
        ("30000000", "nonsense", None),
        ("", None, None),
        ("0", None, None),
        ("-5", None, None),
        ("soon", None, None),
        ("1e6", None, None),
        ("9" * 5000, None, None),
        (str(2**64 - 1), None, None),
        ("9" * 300, None, None),
    ],
)
def test_how_often_systemd_wants_to_hear_of_us(
    monkeypatch: pytest.MonkeyPatch, usec: str | None, pid: str | None, seconds: float | None
) -> None:
    for name, value in (("WATCHDOG_USEC", usec), ("WATCHDOG_PID", str(os.getpid()) if pid == "ours" else pid)):
        if value is None:
            monkeypatch.delenv(name, raising=False)
        else:
            monkeypatch.setenv(name, value)
    assert notify.watchdog_s() == seconds


def test_a_watchdog_that_is_nonsense_is_said(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", "soon")
    assert notify.watchdog_s() is None
    assert "WATCHDOG_USEC" in caplog.text


def test_a_window_serves_though_its_service_manager_is_dead(tmp_path: Path) -> None:
    window = Process(tmp_path)
    try:
        window.start(NOTIFY_SOCKET=str(tmp_path / "notify"), WATCHDOG_USEC="soon")
        assert window.answers()
        assert window.stop() == 0
    finally:
        if not window.ended():
            window.stop(signal.SIGKILL)
    assert window.journal().count("NOTIFY_SOCKET") == 1
    assert window.journal().count("WATCHDOG_USEC") == 1

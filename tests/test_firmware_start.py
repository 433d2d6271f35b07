"""The installed programs, started as their units start them, tell systemd that they are ready and that they live."""

import os
import re
import shlex
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest

from tests.ground_courier.waiting import free_port

ROOT = Path(__file__).parent.parent
PATIENCE = 60.0
"""Seconds; a start from nothing on a busy machine."""
PARTS = {"appliance": "window", "appliance-county": "county"}


@pytest.fixture(scope="module")
def card(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Both ends installed, with the packages of the interpreter that runs these tests."""
    place = tmp_path_factory.mktemp("card")
    for target in ("install", "install-county"):
        words = ["make", target, f"DESTDIR={place}", "PIP=true", f"SYSTEM_PYTHON={sys.executable}"]
        subprocess.run(words, cwd=ROOT, capture_output=True, check=True)
    site = next(place.glob("opt/appliance/venv/lib/python3*/site-packages"))
    (site / "packages.pth").write_text(f"{Path(msgspec.__file__).parent.parent}\n")
    return place


class Service:
    """What systemd would start, and what it would hear from it."""

    def __init__(self, card: Path, name: str, run: Path) -> None:
        unit = (card / f"etc/systemd/system/{name}.service").read_text(encoding="utf-8")
        (command,) = re.findall(r"^ExecStart=(.+)$", unit, flags=re.MULTILINE)
        self.seconds = int(re.findall(r"^WatchdogSec=(\d+)$", unit, flags=re.MULTILINE)[0])
        self.port = free_port()
        self.settings = run / f"{PARTS[name]}.toml"
        self.words = [word.replace("/opt/", f"{card}/opt/") for word in shlex.split(command)]
        assert f"/etc/appliance/{self.settings.name}" in self.words
        self.words[-1] = str(self.settings)
        self.run = run
        text = (card / f"etc/appliance/{self.settings.name}").read_text(encoding="utf-8")
        # Ports that are free, folders of this test, and no broker: a window works without one.
        text = re.sub(r"^port = (8080|8090)$", f"port = {self.port}", text, flags=re.MULTILINE)
        text = text.replace("/var/lib/appliance-county/", f"{run}/").replace("/var/lib/appliance/", f"{run}/")
        text = text.replace('"mqtt.example.cn"', '"127.0.0.1"').replace("port = 8883", f"port = {free_port()}")
        self.settings.write_text(text, encoding="utf-8")

    @contextmanager
    def started(self) -> Iterator[tuple[subprocess.Popen[str], Callable[[str], str]]]:
        """The process, and `hear(word)`: waits for a notification with that word in it."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
            notify.bind(str(self.run / "notify"))
            # A fourth of what the unit allows, so that the test need not wait as long.
            watchdog = str(self.seconds * 1_000_000 // 4)
            environment = {
                "PATH": os.environ["PATH"],
                "NOTIFY_SOCKET": str(self.run / "notify"),
                "WATCHDOG_USEC": watchdog,
            }
            with subprocess.Popen(
                self.words, cwd=self.run, env=environment, stderr=subprocess.PIPE, text=True
            ) as process:
                try:
                    yield process, lambda word: self._hear(notify, word, process)
                finally:
                    process.kill()

    def _hear(self, notify: socket.socket, word: str, process: subprocess.Popen[str]) -> str:
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            notify.settimeout(0.5)
            try:
                said = notify.recv(4096).decode()
            except TimeoutError:
                assert process.poll() is None, process.stderr and process.stderr.read()
                continue
            if word in said:
                return said
        pytest.fail(f"{word} was not heard within {PATIENCE} s")


@pytest.mark.parametrize("name", PARTS)
def test_it_says_that_it_is_ready_and_that_it_lives_and_ends_when_asked(card: Path, name: str, tmp_path: Path) -> None:
    with Service(card, name, tmp_path).started() as (process, hear):
        hear("READY=1")
        hear("WATCHDOG=1")
        hear("WATCHDOG=1")
        process.terminate()
        assert process.wait(PATIENCE) == 0


@pytest.mark.parametrize("name", PARTS)
def test_wrong_settings_end_it_with_2_and_one_sentence(card: Path, name: str, tmp_path: Path) -> None:
    """2 is the status that the unit does not start again after."""
    service = Service(card, name, tmp_path)
    service.settings.write_text(
        service.settings.read_text(encoding="utf-8") + "[bench]\nwrong = 1\n[x]\n", encoding="utf-8"
    )
    done = subprocess.run(service.words, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=PATIENCE)
    assert done.returncode == 2
    assert done.stdout == ""
    (sentence,) = done.stderr.splitlines()
    assert sentence.startswith(("设置文件", str(service.settings)))
    assert sentence.endswith("。")

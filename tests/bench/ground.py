"""The ground that everything is measured on: a broker, an ear on it, and processes that end with us."""

import contextlib
import os
import queue
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from paho.mqtt import client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

ROOT = Path(__file__).parents[2]
LOOPBACK = "127.0.0.1"


def cache() -> Path:
    """A directory on a disk that lasts: what peers need, and the databases that are measured."""
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "appliance-bench"
    home.mkdir(parents=True, exist_ok=True)
    return home


@contextlib.contextmanager
def scratch() -> Iterator[Path]:
    """An empty directory on the same disk, removed afterwards."""
    place = cache() / f"run-{os.getpid()}-{time.monotonic_ns()}"
    place.mkdir()
    try:
        yield place
    finally:
        shutil.rmtree(place, ignore_errors=True)


def free_port() -> int:
    """A port on loopback that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


class Process:
    """A process with its journal in a file, in a group of its own, ended when left."""

    def __init__(self, command: Sequence[str], journal: Path, environment: dict[str, str] | None = None) -> None:
        self.journal = journal
        self._file: IO[bytes] = journal.open("wb")
        self.started = time.monotonic_ns()
        self.child = subprocess.Popen(
            command,
            cwd=ROOT,
            env={**os.environ, **(environment or {})},
            stdin=subprocess.DEVNULL,
            stdout=self._file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    @property
    def pid(self) -> int:
        """The pid of the process that was started."""
        return self.child.pid

    def __enter__(self) -> "Process":
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def end(self) -> None:
        """Ask it to end, and kill its group when it has not after five seconds."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGTERM)
        try:
            self.child.wait(5)
        except subprocess.TimeoutExpired:
            os.killpg(self.pid, signal.SIGKILL)
            self.child.wait(5)
        self._file.close()

    def lives(self) -> None:
        """Raise with the end of its journal when it has ended."""
        if self.child.poll() is not None:
            tail = self.journal.read_text(errors="replace")[-2000:]
            raise RuntimeError(f"{self.child.args!r} ended with {self.child.returncode}:\n{tail}")


def wait_until(true: Callable[[], bool], process: Process, seconds: float = 30.0, every: float = 0.002) -> int:
    """Wait until something is true while the process lives; the monotonic nanosecond at which it was."""
    deadline = time.monotonic() + seconds
    while not true():
        process.lives()
        if time.monotonic() > deadline:
            raise TimeoutError(f"{process.child.args!r} was not ready within {seconds} s")
        time.sleep(every)
    return time.monotonic_ns()


def answers(port: int) -> bool:
    """Whether something accepts connections on that port."""
    with socket.socket() as probe:
        probe.settimeout(0.5)
        return probe.connect_ex((LOOPBACK, port)) == 0


def serves(url: str) -> bool:
    """Whether a page answers with 200."""
    try:
        with urllib.request.urlopen(url, timeout=2) as page:
            return bool(page.status == 200)
    except (urllib.error.URLError, ConnectionError, TimeoutError):
        return False


@contextlib.contextmanager
def broker(place: Path) -> Iterator[int]:
    """A broker on a free port: mosquitto where it is installed, else the demo's own."""
    port = free_port()
    mosquitto = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin")
    if mosquitto:
        settings = place / "mosquitto.conf"
        settings.write_text(f"listener {port} {LOOPBACK}\nallow_anonymous true\nset_tcp_nodelay true\n")
        command = [mosquitto, "-c", str(settings)]
    else:
        command = [sys.executable, "-m", "appliance.broker", "--port", str(port), "--pid-file", str(place / "pid")]
    with Process(command, place / "broker.log") as process:
        wait_until(lambda: answers(port), process)
        yield port


@dataclass(frozen=True)
class Heard:
    """One message as it arrived, with the monotonic nanosecond at which it did."""

    topic: str
    payload: bytes
    at: int


class Ear:
    """A subscriber whose messages are stamped before anything else is done with them."""

    def __init__(self, port: int, *topics: str, echo: Callable[[mqtt.Client, Heard], None] | None = None) -> None:
        self._heard: queue.SimpleQueue[Heard] = queue.SimpleQueue()
        self._ready: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._topics = topics
        self._echo = echo
        self.client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id=f"ear-{time.monotonic_ns()}")
        self.client.on_message = self._on_message
        self.client.on_connect = lambda client, *_: client.subscribe([(topic, 1) for topic in topics])
        self.client.on_subscribe = lambda *_: self._ready.put(None)
        self.client.connect(LOOPBACK, port)
        self.client.loop_start()
        self._ready.get(timeout=10)

    def _on_message(self, client: mqtt.Client, _: object, message: mqtt.MQTTMessage) -> None:
        heard = Heard(message.topic, bytes(message.payload), time.monotonic_ns())
        if self._echo is not None:
            self._echo(client, heard)
        self._heard.put(heard)

    def __enter__(self) -> "Ear":
        return self

    def __exit__(self, *_: object) -> None:
        self.client.disconnect()
        self.client.loop_stop()

    def wait(self, wanted: Callable[[Heard], bool], seconds: float) -> Heard | None:
        """The next message that is wanted, None when none came in time; others are passed over."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            try:
                heard = self._heard.get(timeout=left)
            except queue.Empty:
                return None
            if wanted(heard):
                return heard
        return None

    def forget(self) -> None:
        """Pass over what has arrived so far."""
        while not self._heard.empty():
            self._heard.get_nowait()

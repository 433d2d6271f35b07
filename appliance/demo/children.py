"""The demo's processes: each started apart from the terminal, asked whether it is ready, started again when it ends."""

import http.client
import json
import socket
import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from appliance.demo.plan import LOOPBACK

RESTART_S = 3.0
"""As RestartSec= of the units: long enough for a clerk in training to see what a missing broker looks like."""
STOP_S = 10.0
"""How long a process may take over its own end before it is killed."""
PROBE_S = 1.0

Probe = Callable[[], bool]


def answers_health(port: int) -> bool:
    """Whether `/healthz` answers with JSON and says `connected`: only then does a press reach the wall at once."""
    link = http.client.HTTPConnection(LOOPBACK, port, timeout=PROBE_S)
    try:
        link.request("GET", "/healthz")
        said = json.loads(link.getresponse().read())
        return isinstance(said, dict) and said.get("connected") is True
    except (OSError, http.client.HTTPException, ValueError):
        return False
    finally:
        link.close()


def listens(port: int) -> bool:
    """Whether something accepts connections on this port."""
    with suppress(OSError), socket.create_connection((LOOPBACK, port), PROBE_S):
        return True
    return False


@dataclass
class Child:
    """One process of the demo and what is known of it."""

    name: str
    command: Sequence[str]
    probe: Probe
    log: Path
    environment: dict[str, str]
    process: subprocess.Popen[bytes] | None = None
    ready: bool = False
    was_ready: bool = False
    due: float = field(default_factory=time.monotonic)

    def start(self) -> None:
        """Start it in a session of its own, so that Ctrl-C reaches the demo alone, which then ends all in order."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                # The kernel itself ends the child when the demo is killed and can no longer do so.
                ["setpriv", "--pdeathsig", "TERM", "--", *self.command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=self.environment,
                start_new_session=True,
            )
        self.ready = False

    def ended(self) -> int | None:
        """The exit status of a process that ended since it was last asked; None while there is nothing new."""
        if self.process is None:
            return None
        status = self.process.poll()
        if status is not None:
            self.process = None
            self.ready = False
            self.due = time.monotonic() + RESTART_S
        return status

    def became_ready(self) -> bool:
        """Ask once whether it answers; True the first time that it does."""
        if self.process is None or self.ready or not self.probe():
            return False
        self.ready = self.was_ready = True
        return True

    def last_line(self) -> str:
        """The last line that it wrote: for one that refused to start, the reason."""
        lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()
        return lines[-1].strip() if lines else ""


def stop(children: Sequence[Child]) -> None:
    """End these processes together: asked first, killed when they take too long. Returns when none is left."""
    running = [child.process for child in children if child.process is not None]
    for process in running:
        process.terminate()
    deadline = time.monotonic() + STOP_S
    for process in running:
        try:
            process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    for child in children:
        child.process = None
        child.ready = False

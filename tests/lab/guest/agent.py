"""In the guest: does what the host asks over a virtio serial port, one JSON object a line each way; no network."""

import json
import os
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
import hands

PORT = Path("/dev/virtio-ports/lab.agent")


def run(command: str, timeout: float = 120) -> dict[str, Any]:
    """Run a command with bash; its exit code and all that it printed."""
    try:
        done = subprocess.run(
            ["/bin/bash", "-c", command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=timeout,
            check=False,
        )
    except subprocess.TimeoutExpired as late:
        return {"code": 124, "text": (late.stdout or b"").decode(errors="replace")}
    return {"code": done.returncode, "text": done.stdout.decode(errors="replace")}


def asked(question: dict[str, Any]) -> Any:
    """What the host asked for: a command, or one of the hands' functions by name."""
    if question["do"] == "run":
        return run(**question["with"])
    function: Callable[..., Any] = getattr(hands, question["do"])
    return function(**question["with"])


def answer(line: bytes) -> bytes:
    """One answer, with the question's own mark, whatever went wrong."""
    try:
        question = json.loads(line)
    except ValueError:
        return b""
    reply: dict[str, Any] = {"mark": question.get("mark")}
    try:
        reply["is"] = asked(question)
    except Exception:  # noqa: BLE001 - the host is told whatever went wrong
        reply["wrong"] = traceback.format_exc()
    return json.dumps(reply, default=str).encode() + b"\n"


class Port:
    """The serial port. Questions are answered side by side: a long command does not keep a short question waiting."""

    def __init__(self) -> None:
        while not PORT.exists():
            time.sleep(0.1)
        self._port = os.open(PORT, os.O_RDWR)
        self._writing = threading.Lock()

    def serve(self) -> None:
        """For ever."""
        held = b""
        while True:
            got = os.read(self._port, 65536)
            if not got:
                # The host's end is not open yet, or no longer.
                time.sleep(0.05)
                continue
            *lines, held = (held + got).split(b"\n")
            for line in filter(bytes.strip, lines):
                threading.Thread(target=self._reply, args=(line,), daemon=True).start()

    def _reply(self, line: bytes) -> None:
        reply = answer(line)
        with self._writing:
            while reply:
                reply = reply[os.write(self._port, reply) :]


if __name__ == "__main__":
    Port().serve()

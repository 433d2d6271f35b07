"""In the guest: does what the host asks over a virtio serial port, one JSON object a line each way; it needs no network."""

import json
import os
import subprocess
import sys
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
    except Exception:
        reply["wrong"] = traceback.format_exc()
    return json.dumps(reply, default=str).encode() + b"\n"


def main() -> None:
    """Serve the port for ever."""
    while not PORT.exists():
        time.sleep(0.1)
    port = os.open(PORT, os.O_RDWR)
    held = b""
    while True:
        got = os.read(port, 65536)
        if not got:
            # The host's end is not open yet, or no longer.
            time.sleep(0.05)
            continue
        *lines, held = (held + got).split(b"\n")
        for line in lines:
            reply = answer(line) if line.strip() else b""
            while reply:
                reply = reply[os.write(port, reply) :]


if __name__ == "__main__":
    main()

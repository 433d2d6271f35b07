"""A broker of our own for demo and tests: rumqttd from iotcore's wheel, on loopback, as one process that can be killed.

`python -m appliance.broker --port 18830 --pid-file broker.pid` is that process. Whoever started it starts it again;
whoever has its pid file has a `Hold` on it.
"""

import argparse
import logging
import os
import signal
import sys
from dataclasses import dataclass
from pathlib import Path

LOOPBACK = "127.0.0.1"
MAX_PAYLOAD = 4 * 1024 * 1024
"""Bytes. iotcore's own 20 kB would cut a client off; a collector is to see, and quarantine, a megabyte of anything."""

PID_FILE_VARIABLE = "APPLIANCE_BROKER_PID_FILE"
"""How the demo tells its windows where their broker's pid stands: it is no setting of a window at a counter."""


@dataclass(frozen=True)
class Hold:
    """A hand on a broker that somebody else runs and starts again: the bench's 「断开消息服务器」."""

    pid_file: Path

    def up(self) -> bool:
        """Whether the broker's process lives now; cheap enough to be asked many times a second."""
        return self._pid() is not None

    def kill(self) -> bool:
        """Kill the broker at once (SIGKILL); False when it was not running."""
        pid = self._pid()
        if pid is None:
            return False
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            return False
        return True

    def _pid(self) -> int | None:
        """The pid in the file, if that process is still a broker of ours: a pid may have passed to another program."""
        try:
            pid = int(self.pid_file.read_text(encoding="ascii"))
            command = Path(f"/proc/{pid}/cmdline").read_bytes()
        except (OSError, ValueError):
            return None
        words = command.split(b"\0")
        return pid if b"appliance.broker" in words and os.fsencode(self.pid_file) in words else None


def hold_from_environment() -> Hold | None:
    """The hold that the demo left for its windows, or None at a real counter."""
    named = os.environ.get(PID_FILE_VARIABLE)
    return Hold(Path(named)) if named else None


def command(port: int, pid_file: Path) -> list[str]:
    """The command line that runs a broker on loopback in this Python."""
    return [sys.executable, "-m", "appliance.broker", "--port", str(port), "--pid-file", str(pid_file)]


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m appliance.broker", description="an MQTT broker on loopback")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--pid-file", type=Path, required=True)
    given = parser.parse_args(arguments)

    from iotcore import IotCoreBroker  # the wheel is a demo extra: a window at a counter has none

    # rumqttd reports every packet as an error; what ends it is in its exit status.
    logging.getLogger("rumqttd").setLevel(logging.CRITICAL)
    broker = IotCoreBroker(listen=LOOPBACK, port=given.port, max_payload_size=MAX_PAYLOAD)
    # Rust holds this thread from here on, so a signal must end the process without asking Python.
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    _write(given.pid_file)
    broker.run_forever()
    return 1


def _write(pid_file: Path) -> None:
    """Put our pid in place in one step: a reader finds the old number or the new one, never half of it."""
    fresh = pid_file.with_suffix(".new")
    fresh.write_text(str(os.getpid()), encoding="ascii")
    fresh.replace(pid_file)


if __name__ == "__main__":
    sys.exit(main())

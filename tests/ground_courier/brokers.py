"""Real brokers as processes of their own, that can be killed, stopped and brought back on their port."""

import json
import signal
import subprocess
import sys
from pathlib import Path

from tests.ground_courier.waiting import free_port, listens, until

MOSQUITTO = "/usr/sbin/mosquitto"
IOTCORE = "from iotcore._serve import main; main()"


class Broker:
    """One broker process on one port for all its lives; keeps what it is told to keep under `place`."""

    def __init__(self, place: Path, *, more: str = "") -> None:
        self.port = free_port()
        self.place = place
        self._more = more
        self._process: subprocess.Popen[bytes] | None = None

    def command(self) -> list[str]:
        """What starts it."""
        raise NotImplementedError

    def start(self) -> "Broker":
        """Start it and wait until it listens."""
        with (self.place / "broker.log").open("ab") as journal:
            self._process = subprocess.Popen(self.command(), stdin=subprocess.PIPE, stdout=journal, stderr=journal)
        until(lambda: listens(self.port), "the broker listens")
        return self

    def signal(self, number: int) -> None:
        """Send it a signal; SIGKILL is a power cut, SIGSTOP a broker that hangs."""
        assert self._process is not None
        self._process.send_signal(number)

    def kill(self) -> None:
        """kill -9."""
        if self._process is None:
            return
        self._process.kill()
        self._process.wait(10)
        if self._process.stdin:
            self._process.stdin.close()
        self._process = None

    def hang(self) -> None:
        """It answers nothing any more, and its connections stay open."""
        self.signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """It hangs no more."""
        self.signal(signal.SIGCONT)


class Mosquitto(Broker):
    """Debian's mosquitto; with persistence, as a county runs it."""

    def command(self) -> list[str]:
        conf = self.place / "mosquitto.conf"
        conf.write_text(
            f"listener {self.port} 127.0.0.1\nallow_anonymous true\nmax_queued_messages 100000\n"
            f"persistence true\npersistence_location {self.place}/\nautosave_interval 1\nautosave_on_changes true\n"
            "set_tcp_nodelay true\n"
            f"log_dest stdout\nlog_type all\n{self._more}\n"
        )
        return [MOSQUITTO, "-c", str(conf)]


class Iotcore(Broker):
    """The broker that the demo brings: rumqttd in the wheel of iotcore."""

    def command(self) -> list[str]:
        options = {"listen": "127.0.0.1", "port": self.port, "max_payload_size": 1024 * 1024}
        return [sys.executable, "-c", IOTCORE, json.dumps(options)]

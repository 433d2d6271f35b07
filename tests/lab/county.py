"""A county outside the machine: mosquitto and the county's program on the host, with the shipped settings.

Its certificates are those that the README's commands made in the guest."""

import contextlib
import hashlib
import json
import os
import re
import shutil
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

from tests.lab.machine import Failed, Machine
from tests.lab.places import ROOT

SHIPPED = ROOT / "firmware_config"
CERTIFICATES = {
    "ca.crt": "broker/ca.crt",
    "broker.crt": "broker/broker.crt",
    "broker.key": "broker/broker.key",
    "county.crt": "430602/county.crt",
    "county.key": "430602/county.key",
}
HOST = "10.0.2.2"


class County:
    """One county, whose power is never cut."""

    def __init__(self, place: Path, machine: Machine) -> None:
        self.place = place
        place.mkdir(parents=True)
        self.port, self._office = _free_port(), _free_port()
        self._children: list[subprocess.Popen[bytes]] = []
        for name, source in CERTIFICATES.items():
            (place / name).write_text(machine.run(f"cat /root/authority/out/{source}") + "\n")
        self._broker()
        self._program()

    def takes(self, machine: Machine) -> None:
        """Send a window here by a name and a setting; the county in the guest is switched off."""
        machine.run("systemctl disable --now -q appliance-county mosquitto")
        machine.run(f"sed -i 's/^127.0.0.1 mqtt.example.cn/{HOST} mqtt.example.cn/' /etc/hosts")
        machine.run(f"sed -i '/^\\[broker\\]/,/^port/s/^port = .*/port = {self.port}/' /etc/appliance/window.toml")
        machine.run("systemctl restart appliance && sync", 200)
        must_connect(machine)

    def health(self) -> dict[str, Any]:
        """What its /healthz says."""
        with (
            contextlib.suppress(OSError),
            urllib.request.urlopen(f"http://127.0.0.1:{self._office}/healthz", timeout=5) as page,
        ):
            return dict(json.load(page))
        return {}

    def book(self, query: str, *values: Any) -> list[Any]:
        """Rows of the county's book."""
        link = sqlite3.connect(f"file:{self.place / 'book.db'}?mode=ro", uri=True, timeout=20)
        try:
            return link.execute(query, values).fetchall()
        finally:
            link.close()

    def hashes(self, ledger: str) -> dict[str, str]:
        """Every fact of a ledger that has arrived: its number, and the hash of its bytes."""
        rows = self.book("select seq,payload from facts where ledger=?", ledger)
        return {str(seq): hashlib.sha256(bytes(raw)).hexdigest() for seq, raw in rows}

    def close(self) -> None:
        """End both processes, by their ids."""
        for child in reversed(self._children):
            child.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(20)
            child.kill()
            child.wait()

    def _broker(self) -> None:
        settings = (SHIPPED / "county/mosquitto.conf").read_text().replace("/etc/mosquitto/certs", str(self.place))
        settings = settings.replace("/etc/mosquitto/appliance.acl", str(self.place / "appliance.acl"))
        settings = re.sub(r"^listener 8883$", f"listener {self.port} 127.0.0.1", settings, flags=re.MULTILINE)
        # Debian's own file, which includes ours, says where persistence lies; and we are root here.
        (self.place / "mosquitto.conf").write_text(f"user root\npersistence_location {self.place}/\n{settings}")
        shutil.copy(SHIPPED / "county/appliance.acl", self.place)
        (self.place / "appliance.acl").chmod(0o600)
        path = os.environ.get("PATH", "") + ":/usr/sbin"
        self._start([shutil.which("mosquitto", path=path) or "mosquitto", "-c", str(self.place / "mosquitto.conf")])
        self._wait(lambda: _listens(self.port))

    def _program(self) -> None:
        settings = (SHIPPED / "county.toml").read_text()
        settings = settings.replace("/var/lib/appliance-county/book.db", str(self.place / "book.db"))
        settings = re.sub(r"^port = 8883$", f"port = {self.port}", settings, flags=re.MULTILINE)
        settings = re.sub(r"^port = 8090$", f"port = {self._office}", settings, flags=re.MULTILINE)
        settings = re.sub(r"^#(ca_file|cert_file|key_file) ", r"\1 ", settings, flags=re.MULTILINE)
        settings = settings.replace("/etc/appliance/tls", str(self.place))
        (self.place / "county.toml").write_text(settings)
        self._start([sys.executable, "-m", "appliance", "county", "--settings", str(self.place / "county.toml")])
        self._wait(lambda: bool(self.health().get("ok")))

    def _start(self, command: list[str]) -> None:
        name = Path(command[0]).name + "-" + str(len(self._children))
        with (self.place / f"{name}.log").open("wb") as journal:
            guarded = ["setpriv", "--pdeathsig", "TERM", *command]
            child = subprocess.Popen(guarded, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=journal, stderr=journal)
        self._children.append(child)

    def _wait(self, true: Any) -> None:
        deadline = time.monotonic() + 60
        while not true():
            if time.monotonic() > deadline or self._children[-1].poll() is not None:
                said = "\n".join(each.read_text(errors="replace")[-1500:] for each in self.place.glob("*.log"))
                raise Failed(f"the county outside did not start:\n{said}")
            time.sleep(0.1)


def must_connect(machine: Machine, within: float = 90) -> None:
    """Wait until the window is connected and the county has acknowledged everything."""
    deadline = time.monotonic() + within
    health: dict[str, Any] = {}
    while time.monotonic() < deadline:
        health = machine.hands("health")
        if health.get("connected") and health.get("unsent") == 0:
            return
        time.sleep(0.5)
    raise Failed(f"the window and the county did not come together within {within:.0f} s: {health}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(0.5)
        return probe.connect_ex(("127.0.0.1", port)) == 0

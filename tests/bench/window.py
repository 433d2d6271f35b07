"""Our window as it is measured: the program itself, with the settings of a counter and pins that a finger can press."""

import contextlib
import shlex
import socket
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import msgspec
from paho.mqtt import client as mqtt

from appliance import wire
from tests.bench.ground import LOOPBACK, ROOT, Heard
from tests.bench.wiring import KEYS, LAMP
from tests.ground_printer import FarEnd

WINDOW = "430602-0107-1"
COUNTY = "430602"
FACTS = wire.window_topic(WINDOW, "fact", "#")
PRESENCE = wire.window_topic(WINDOW, "presence")


def unit_environment() -> dict[str, str]:
    """What the shipped unit sets for a window at a counter, so that what is measured is what runs there."""
    unit = (ROOT / "systemd" / "appliance.service").read_text()
    lines = (line.removeprefix("Environment=") for line in unit.splitlines() if line.startswith("Environment="))
    return dict(word.split("=", 1) for line in lines for word in shlex.split(line) if "=" in word)


@contextlib.contextmanager
def network_printer() -> Iterator[int]:
    """A printer on a port of this machine, that answers for its state and says when a job is done."""
    far = FarEnd()
    with socket.create_server((LOOPBACK, 0)) as listening:
        far.start(lambda: far.serve_tcp(listening))
        try:
            yield listening.getsockname()[1]
        finally:
            far.stop()


def write_settings(place: Path, broker_port: int, panel_port: int, printer_port: int | None = None) -> Path:
    """`window.toml` of a window with five keys, one lamp, the switch and a printer; the bench's own without a port."""
    printer = (
        'kind = "bench"' if printer_port is None else f'kind = "network"\nhost = "{LOOPBACK}"\nport = {printer_port}'
    )
    file = place / "window.toml"
    file.write_text(
        f"""
        [window]
        id = "{WINDOW}"
        label = "1号窗口"
        [station]
        place = "梅溪乡"
        telephone = "0730-8800107"
        [[clerks]]
        number = "0107"
        name = "王敏"
        [ledger]
        path = "{place / "ledger.db"}"
        [broker]
        host = "{LOOPBACK}"
        port = {broker_port}
        [panel]
        listen = "{LOOPBACK}"
        port = {panel_port}
        [pad]
        factory = "mock"
        keys = {list(KEYS)}
        lamps = [{LAMP}]
        [printer]
        {printer}
        [bench]
        enabled = true
        """
    )
    return file


def acknowledge(client: mqtt.Client, heard: Heard) -> None:
    """Say as the county does that a fact is kept, so that the window does not wait for it."""
    if "/fact/" not in heard.topic:
        return
    ledger, _, sequence = msgspec.json.decode(heard.payload)["id"].rpartition("-")
    ack = wire.Ack(ledger=ledger, seqs=[(int(sequence), int(sequence))])
    client.publish(wire.window_topic(WINDOW, "ack"), wire.encode(ack), qos=1)


class Panel:
    """The clerk's panel, touched over HTTP as a browser does."""

    def __init__(self, url: str) -> None:
        self.url = url

    def get(self, path: str) -> str:
        """One page."""
        with urllib.request.urlopen(self.url + path, timeout=10) as page:
            return str(page.read().decode())

    def post(self, path: str, **fields: str) -> None:
        """One form; raises urllib.error.HTTPError when the window refuses."""
        body = urllib.parse.urlencode(fields).encode()
        headers = {"Origin": self.url, "Accept": "application/json"}
        with urllib.request.urlopen(urllib.request.Request(self.url + path, body, headers), timeout=10) as answer:
            answer.read()


def use(url: str, *, arrives: bool) -> None:
    """Half a minute of a clerk's day: on duty, the pages opened, a visit, a receipt printed, a prompt opened."""
    panel = Panel(url)
    if arrives:
        panel.post("/act/arrive", number="0107")
    for page in ("/", "/display", "/receipt/mtb", "/papers", "/devices"):
        panel.get(page)
    panel.post("/act/begin")
    panel.post("/receipt/mtb", form=f"bench-{time.monotonic_ns()}", applicant="张三", **_materials())
    panel.post("/act/end")


def _materials() -> dict[str, str]:
    return {f"tick{number}": "on" for number in range(3)} | {f"pages{number}": "2" for number in range(3)}

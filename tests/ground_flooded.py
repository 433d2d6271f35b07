"""A county with the shipped broker and a good window in it, while another window does what it can (`ground_flood`)."""

import argparse
import json
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
from paho.mqtt import client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from appliance import wire
from appliance.courier.flight import PASSED_OVER_S
from appliance.window.facts import RatingGiven
from tests.conftest import until
from tests.ground_broker import Broker, make_authority
from tests.ground_county import COUNTY, Pen
from tests.ground_courier.waiting import free_port
from tests.ground_flood import SAYS

ROOT = Path(__file__).parents[1]
GOOD, BAD = "430602-0107-1", "430602-0108-1"
EVERY_S = 0.1
LATE_S = 1.0
"""A fact that is not acknowledged by then is late, and not waited for any longer."""
LEDGER = "3f9c1a7e"


@dataclass
class Seen:
    """What was seen while it lasted: seconds, megabytes, and what was wrong."""

    acked_s: list[float] = field(default_factory=list)
    unacked: int = 0
    page_s: list[float] = field(default_factory=list)
    page_failures: list[str] = field(default_factory=list)
    rss_mb: float = 0.0
    broker_mb: float = 0.0
    health: dict[str, Any] = field(default_factory=dict)
    said: list[dict[str, Any]] = field(default_factory=list)
    """What the bad window said of each kind, with `slowest_s`, the good window's slowest acknowledgement meanwhile."""

    def lines(self) -> list[str]:
        """The numbers, one a line."""
        return [
            f"facts of the good window acknowledged: {len(self.acked_s)}, not: {self.unacked}; "
            f"after {_percent(self.acked_s, 50):.3f} s (half), {_percent(self.acked_s, 99):.3f} s (99 of 100), "
            f"{max(self.acked_s, default=0):.3f} s (the slowest)",
            f"the wall answered {len(self.page_s)} times, the slowest after {max(self.page_s, default=0):.3f} s; "
            f"failures: {self.page_failures[:3]}",
            f"collector at most {self.rss_mb:.0f} MB, broker at most {self.broker_mb:.0f} MB",
            f"health: {self.health}",
            *(
                f"{it['says']}: {it['packets']} packets, hung up {it['hung_up']} times, "
                f"slowest {it['slowest_s']:.3f} s, collector {it['rss_mb']:.0f} MB, broker {it['broker_mb']:.0f} MB"
                for it in self.said
            ),
        ]


class GoodWindow:
    """A window's connection that tells a fact ten times a second, and remembers when the county acknowledged each.

    What the county passes over goes again, once, as a window's courier has it.
    """

    def __init__(self, authority: Path, port: int, late_s: float) -> None:
        self._late_s = late_s
        self._pen = Pen(GOOD, LEDGER)
        self._sent: dict[int, float] = {}
        self._passed: dict[int, float] = {}
        self._again = 0
        self._lock = threading.Lock()
        self.took: list[float] = []
        self._looked = self.late = 0
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id=GOOD, clean_session=True)
        self._client.tls_set(str(authority / "ca.crt"), str(authority / f"{GOOD}.crt"), str(authority / f"{GOOD}.key"))
        self._client.on_connect = lambda client, *_: client.subscribe(wire.window_topic(GOOD, "ack"), 1)
        ready = threading.Event()
        self._client.on_subscribe = lambda *_: ready.set()
        self._client.on_message = self._hear
        self._client.connect("localhost", port)
        self._client.loop_start()
        assert ready.wait(10)

    def _hear(self, _client: mqtt.Client, _data: object, message: mqtt.MQTTMessage) -> None:
        now, ack = time.monotonic(), msgspec.json.decode(message.payload, type=wire.Ack)
        with self._lock:
            for first, last in ack.seqs:
                for seq in range(first, last + 1):
                    if (sent := self._sent.pop(seq, None)) is not None:
                        self.took.append(now - sent)
            newest = max((last for _, last in ack.seqs), default=0)
            for seq in self._sent:
                if seq < newest:
                    self._passed.setdefault(seq, now + PASSED_OVER_S)

    def press(self) -> None:
        """One fact more."""
        self._pen.write(RatingGiven(visit="20261122-0001", grade=5))
        with self._lock:
            self._sent[len(self._pen.written)] = time.monotonic()
            now = time.monotonic()
            again = [seq for seq, due in self._passed.items() if due <= now and seq in self._sent and seq > self._again]
        for seq in sorted(again):
            self._again = seq
            self._client.publish(*self._pen.written[seq - 1], qos=1)
        self._client.publish(*self._pen.written[-1], qos=1)

    def untold(self) -> int:
        """Facts that the county has not acknowledged."""
        with self._lock:
            return len(self._sent)

    def worst_s(self) -> float:
        """The longest that a fact has waited for its acknowledgement since the last call, be it there or not."""
        now = time.monotonic()
        with self._lock:
            ages = {seq: now - sent for seq, sent in self._sent.items()}
            for seq in [seq for seq, age in ages.items() if age > self._late_s]:
                del self._sent[seq]
                self.late += 1
            some, self._looked = self.took[self._looked :], len(self.took)
        return max([*some, *ages.values()], default=0.0)

    def leave(self) -> None:
        """Go politely."""
        self._client.disconnect()
        self._client.loop_stop()


def memory_mb(pid: int, key: str = "VmHWM") -> float:
    """The most memory that a process had."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(key)) / 1024


@contextmanager
def county(place: Path, authority: Path, port: int) -> Iterator[tuple[int, int]]:
    """The county's program on the broker at that port; its pid, and the port of its pages."""
    pages = free_port()
    settings = place / "county.toml"
    settings.write_text(
        f'[county]\ncode = "{COUNTY}"\nname = "岳阳楼区"\n[book]\nurl = "sqlite:///{place}/book.db"\n'
        f'[broker]\nhost = "localhost"\nport = {port}\nca_file = "{authority}/ca.crt"\n'
        f'cert_file = "{authority}/{COUNTY}.crt"\nkey_file = "{authority}/{COUNTY}.key"\n[office]\nport = {pages}\n',
        encoding="utf-8",
    )
    command = [sys.executable, "-m", "appliance", "county", "--settings", str(settings)]
    with (place / "county.log").open("ab") as journal:
        process = subprocess.Popen(command, cwd=ROOT, stdout=journal, stderr=journal)
    try:
        until(lambda: ask(pages).get("connected"), 30, "the county is connected")
        yield process.pid, pages
        assert process.poll() is None, "the county's program ended; what it said is in county.log"
    finally:
        process.terminate()
        process.wait(20)


def ask(port: int) -> dict[str, Any]:
    """What `/healthz` says, be it good or bad; nothing while nobody answers."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=5) as answer:
            said: dict[str, Any] = json.load(answer)
            return said
    except urllib.error.HTTPError as error:
        bad: dict[str, Any] = json.load(error)
        return bad
    except OSError:
        return {}


def flood(place: Path, seconds: float, *says: str, late_s: float = LATE_S) -> Seen:
    """Let the bad window loose for so long, and see what becomes of the good one."""
    authority = place / "authority"
    authority.mkdir()
    make_authority(authority, COUNTY, GOOD, BAD)
    ground = place / "broker"
    ground.mkdir()
    broker = Broker(ground, authority)
    broker.write()
    seen = Seen()
    with broker.running(), county(place, authority, broker.certificate_port) as (pid, pages):
        good = GoodWindow(authority, broker.certificate_port, late_s)
        good.press()
        until(lambda: not good.untold(), 10, "the first fact is acknowledged")
        ended = threading.Event()
        watch = threading.Thread(target=_watch, args=(seen, pages, ended), daemon=True)
        watch.start()
        command = [sys.executable, "-m", "tests.ground_flood", str(authority), str(broker.certificate_port), BAD]
        bad = subprocess.Popen([*command, str(seconds), LEDGER, *says], cwd=ROOT, stdout=subprocess.PIPE, text=True)
        pause = threading.Event()
        listener = threading.Thread(target=_listen, args=(seen, bad, good, pid, broker.pid), daemon=True)
        listener.start()
        while bad.poll() is None:
            good.press()
            pause.wait(EVERY_S)
            seen.rss_mb = max(seen.rss_mb, memory_mb(pid))
            seen.broker_mb = max(seen.broker_mb, memory_mb(broker.pid))
        listener.join(10)
        assert bad.returncode == 0, "the bad window's program failed; what it said stands above"
        pause.wait(2)
        ended.set()
        watch.join(10)
        good.leave()
        seen.acked_s, seen.unacked, seen.health = good.took, good.late + good.untold(), ask(pages)
    return seen


def _listen(seen: Seen, bad: "subprocess.Popen[str]", good: GoodWindow, county: int, broker: int) -> None:
    """Notes at the end of each kind how the good window fared meanwhile."""
    assert bad.stdout is not None
    for line in bad.stdout:
        memory = {"rss_mb": memory_mb(county, "VmRSS"), "broker_mb": memory_mb(broker, "VmRSS")}
        seen.said.append({**json.loads(line), "slowest_s": good.worst_s(), **memory})


def _watch(seen: Seen, port: int, ended: threading.Event) -> None:
    """A viewer who loads the wall twice a second."""
    while not ended.wait(0.5):
        began = time.monotonic()
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=10) as page:
                page.read()
        except OSError as error:
            seen.page_failures.append(repr(error))
        seen.page_s.append(time.monotonic() - began)


def _percent(values: list[float], percent: int) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, len(ordered) * percent // 100)] if ordered else 0.0


def main() -> None:
    arguments = argparse.ArgumentParser(prog="python -m tests.ground_flooded", description=__doc__)
    arguments.add_argument("--seconds", type=float, default=300.0)
    arguments.add_argument("kinds", nargs="*", metavar="KIND", help=", ".join(SAYS))
    given = arguments.parse_args()
    with tempfile.TemporaryDirectory() as place:
        print("\n".join(flood(Path(place), given.seconds, *given.kinds).lines()))
        print(Path(place, "county.log").read_text()[-3000:])


if __name__ == "__main__":
    main()

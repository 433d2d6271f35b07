"""The ground the county's tests stand on: windows that publish true facts, a running collector, a PostgreSQL."""

import os
import shutil
import subprocess
import tempfile
import threading
import time
from datetime import datetime, timedelta
from pathlib import Path

import msgspec
from paho.mqtt import client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from appliance import wire
from appliance.county.book import Book
from appliance.county.collector import Collector, Pace
from appliance.county.inlet import Arrived
from appliance.county.line import Broker
from appliance.county.wall import Wall
from appliance.window.facts import Fact
from appliance.window.moment import CHINA
from tests.ground_courier.waiting import until

COUNTY = "430602"
WINDOW = "430602-0107-1"
STATUS = wire.Status(
    state="serving",
    since=datetime(2026, 11, 22, 9, 14, 3, 218000, tzinfo=CHINA),
    clerk=wire.ClerkCard("0107", "王敏"),
    away=None,
    case_open=True,
    waiting=3,
    served_today=17,
    name="1号窗口",
)
HEALTH = wire.Health(
    at=datetime(2026, 11, 22, 9, 14, 3, 218000, tzinfo=CHINA),
    version="0.1.0",
    printer=wire.PrinterState(state="bad", paper="out", reason="paper_out"),
    pad=wire.PadState(state="ok"),
    camera="none",
    clock=wire.ClockState(synced=True, source="ntp"),
    outbox=wire.OutboxState(depth=2, oldest_s=4, ledger="3f9c1a7e", newest=42),
    disk_free_mb=21_000,
    temperature_c=48.3,
    throttled=False,
    probes={"network": "unknown", "insurance": "unknown", "government": "unknown"},
    documents={"catalogue": "1"},
)
QUICK = Pace(first=0.02, last=0.2, proven=0.1, again=0.02, again_last=0.1)
NINE = datetime(2026, 11, 22, 9, 0, tzinfo=CHINA)


class Pen:
    """Writes a window's facts as its ledger does: numbered, chained, each payload once."""

    def __init__(self, window: str = WINDOW, ledger: str = "3f9c1a7e", boot: str = "5b1c0000-aaaa") -> None:
        self.window, self.ledger, self.boot = window, ledger, boot
        self.written: list[tuple[str, bytes]] = []

    def write(self, fact: Fact, at: datetime = NINE, *, synced: bool = True) -> bytes:
        """The next fact's payload."""
        seq = len(self.written) + 1
        envelope = wire.Envelope(
            specversion="1.0",
            id=wire.fact_id(self.ledger, seq),
            sequence=str(seq),
            source=f"/windows/{self.window.split('-')[0]}/{self.window}",
            type=f"window.{fact.type}.v1",
            subject=fact.subject,
            time=at,
            clocksynced=synced,
            bootid=self.boot,
            uptime=f"{seq}.250",
            prevhash=wire.prevhash(self.written[-1][1] if self.written else None),
            data=msgspec.Raw(msgspec.json.encode(fact)),
        )
        payload = wire.encode(envelope)
        self.written.append((wire.window_topic(self.window, "fact", fact.type), payload))
        return payload

    def arrived(self, *seqs: int) -> list[Arrived]:
        """Facts as they come out of the inlet, all of them or those of these sequences, in this order."""
        wanted = seqs or range(1, len(self.written) + 1)
        return [arrived(*self.written[seq - 1]) for seq in wanted]


def arrived(topic: str, payload: bytes, *, retained: bool = False) -> Arrived:
    """A message as it comes out of the inlet."""
    return Arrived(topic.encode(), payload, len(payload), retained)


class Talker:
    """A window's connection: publishes what it is told to, and remembers what the county acknowledged."""

    def __init__(self, port: int, window: str = WINDOW, session: int = 1, *, clean: bool = True) -> None:
        self.window = window
        self.acks: list[wire.Ack] = []
        self._lock = threading.Lock()
        self._ready = threading.Event()
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id=window, clean_session=clean)
        self._client.max_inflight_messages_set(0)
        will = wire.encode(wire.Presence(online=False, session=session))
        self._client.will_set(wire.window_topic(window, "presence"), will, 1, retain=True)
        self._client.on_connect = lambda client, *_: client.subscribe(wire.window_topic(window, "ack"), 1)
        self._client.on_subscribe = lambda *_: self._ready.set()
        self._client.on_message = self._hear
        self._client.connect("127.0.0.1", port, 30)
        self._client.loop_start()
        assert self._ready.wait(10)

    def _hear(self, _client: mqtt.Client, _data: object, message: mqtt.MQTTMessage) -> None:
        with self._lock:
            self.acks.append(msgspec.json.decode(message.payload, type=wire.Ack))

    def say(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        """Publish a message under its full topic."""
        self._client.publish(topic, payload, 1, retain=retain)

    def tell(self, kind: str, value: msgspec.Struct) -> None:
        """Publish a retained presence, status or health."""
        self.say(wire.window_topic(self.window, kind), wire.encode(value), retain=True)

    def send(self, pen: Pen, *seqs: int) -> None:
        """Publish facts as written, all or some."""
        for seq in seqs or range(1, len(pen.written) + 1):
            self.say(*pen.written[seq - 1])

    def acked(self, ledger: str = "3f9c1a7e") -> list[int]:
        """Every sequence acknowledged, in the order of coming, again if again."""
        with self._lock:
            acks = list(self.acks)
        return [
            seq for ack in acks if ack.ledger == ledger for first, last in ack.seqs for seq in range(first, last + 1)
        ]

    def until_acked(self, *seqs: int, ledger: str = "3f9c1a7e", within: float = 10) -> None:
        """Wait for the county's word for all of these."""
        until(lambda: set(seqs) <= set(self.acked(ledger)), f"acknowledged: {seqs[:5]}…", within)

    def vanish(self) -> None:
        """The cable is pulled: the broker has to find out, and tells the last will."""
        sock = self._client.socket()
        assert sock is not None
        self._client.loop_stop()
        os.close(os.dup(sock.fileno()))
        sock.close()

    def leave(self) -> None:
        """Go politely."""
        self._client.disconnect()
        self._client.loop_stop()


class Running:
    """A collector on a thread of its own."""

    def __init__(
        self, book: Book, port: int, *, name: str = "", silence_s: int = 180, broker: Broker | None = None
    ) -> None:
        self.book, broker = book, broker or Broker(host="127.0.0.1", port=port)
        self.wall = Wall(book, time.time_ns() // 1000, silence_s)
        self.collector = Collector(COUNTY, broker, book, self.wall, name=name, pace=QUICK)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="collector", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._ended.is_set():
            self.collector.step()

    def connected(self) -> "Running":
        """Wait until it listens."""
        until(lambda: self.wall.standing().connected, "the collector listens")
        return self

    def stop(self) -> None:
        """End it politely."""
        self._ended.set()
        self._thread.join(10)
        assert not self._thread.is_alive()
        self.collector.close()
        self.book.close()


class Postgresql:
    """A PostgreSQL of our own on a Unix socket at `url`; it will not run as root, so there it runs as `postgres`."""

    def __init__(self) -> None:
        # Not under pytest's own directory, which another user cannot enter.
        self._place = Path(tempfile.mkdtemp(prefix="county-pg-"))
        self._tools = max(Path("/usr/lib/postgresql").glob("*/bin"))
        self._as: list[str] = []
        if os.geteuid() == 0:
            shutil.chown(self._place, "postgres")
            self._as = ["runuser", "-u", "postgres", "--"]
        self.url = f"postgresql+psycopg://county@/postgres?host={self._place}"
        options = ["-U", "county", "-A", "trust", "-E", "UTF8", "--no-sync"]
        self._run("initdb", "-D", str(self._place / "data"), *options)
        self.start()

    def _run(self, tool: str, *more: str) -> None:
        command = [*self._as, str(self._tools / tool), *more]
        subprocess.run(command, check=True, capture_output=True, cwd=self._place)

    def start(self) -> None:
        """Start it and wait until it answers."""
        options = f"-k {self._place} -c listen_addresses="
        log = str(self._place / "log")
        self._run("pg_ctl", "-D", str(self._place / "data"), "-l", log, "-o", options, "-w", "start")

    def stop(self, how: str = "fast") -> None:
        """Stop it: `immediate` is a power cut."""
        self._run("pg_ctl", "-D", str(self._place / "data"), "-m", how, "-w", "stop")

    def remove(self) -> None:
        """Stop it and leave nothing of it."""
        self.stop("immediate")
        shutil.rmtree(self._place)


def seconds_after(seconds: float) -> datetime:
    """A moment of the test's morning."""
    return NINE + timedelta(seconds=seconds)

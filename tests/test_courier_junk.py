"""Whatever the broker says on any topic that a window reads, the window goes on: a real process, pressed meanwhile."""

import re
import signal
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from appliance import wire
from tests.conftest import until
from tests.ground_courier.brokers import Mosquitto
from tests.ground_courier.county import WINDOW, County
from tests.test_run import Process

DEEP = 100_000
TOPICS = (
    wire.window_topic(WINDOW, "ack"),
    wire.window_topic(WINDOW, "presence"),
    *(wire.window_topic(WINDOW, "order", name) for name in ("identify", "replay", "say", "\u4f60\u597d", "x" * 5000)),
    wire.county_topic("430602", "county", "presence"),
    wire.county_topic("430602", "documents", "catalogue"),
)
WHOLE_ORDER = {
    "specversion": "1.0",
    "id": "o-1",
    "source": "/counties/430602",
    "type": "window.order.say.v1",
    "time": "2026-11-25T09:00:00+08:00",
    "data": {},
}
LISTED = (
    b"",
    b"\xff\xfe",
    b"null",
    b"[" * 2000,
    b'{"ledger":' * 2000,
    b"[" * DEEP + b"]" * DEEP,
    b'{"online": true, "session": 1' + b"0" * 5000 + b"}",
    b'{"online": true, "session": 9223372036854775808}',
    b'{"online": false, "session": 9007199254740992, "at": "0001-01-01T00:00:00Z"}',
    b'{"ledger": "00000000", "seqs": [[-1, 0], [1e400, 2], [9223372036854775807, 9223372036854775807]]}',
    b'{"ledger": "00000000", "seqs": [' + b"[1, 2]," * 9_999 + b"[1, 2]]}",
    b'{"ledger": "\\ud800", "seqs": []}',
    b"7" * 900_000,
    *(
        msgspec.json.encode({**WHOLE_ORDER, **changed})
        for changed in (
            {"id": "x" * 100_000},
            {"data": "x" * 100_000},
            {"time": "9999-12-31T23:59:59-23:59"},
            {"type": "window.order.replay.v1", "data": {"ledger": "3f9c1a7e", "from": 5, "to": 1, "by": "\0"}},
            {"type": "window.order.replay.v1", "data": {"from": -1, "to": 2**63 - 1}},
        )
    ),
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.sampled_from([*WHOLE_ORDER, "seqs"]), inner),
    max_leaves=20,
)
ANYTHING = st.binary(max_size=200) | JSON.map(msgspec.json.encode)


FINGER_S = 0.25


@dataclass
class Ground:
    """A window that runs at a broker with a county."""

    window: Process
    county: County
    rests_until: float = 0.0

    def says(self, payload: bytes, *, retain: bool = False) -> None:
        """That payload on every topic."""
        for topic in TOPICS:
            self.county.say(topic, payload, retain=retain)

    def press(self) -> None:
        """A press that reaches the county, or the test fails."""
        before = len(self.county.payloads)
        for move in ("down", "up"):
            # As a finger does: what is shorter than the pad's 50 ms is a bounce, and here the pad may wait a while.
            until(lambda: monotonic() > self.rests_until)
            self.window.post(f"/bench/key/5/{move}")
            self.rests_until = monotonic() + FINGER_S
        until(lambda: len(self.county.payloads) > before, 20, self.window.journal()[-2000:])

    def lives(self) -> None:
        """It is the same process still, and no loop of it is lost."""
        assert not self.window.ended(), self.window.journal()[-3000:]
        assert self.window.health()["ok"]


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    place = tmp_path_factory.mktemp("junk")
    with ExitStack() as stack:
        broker = Mosquitto(place)
        broker.start()
        stack.callback(broker.kill)
        county = County(broker.port)
        stack.callback(county.close)
        window = at(place, broker.port)
        window.start()
        stack.callback(lambda: window.ended() or window.stop(signal.SIGKILL))
        county.sees_online()
        yield Ground(window, county)


def at(place: Path, port: int) -> Process:
    """A window whose broker is there."""
    window = Process(place)
    words = window.settings.read_text(encoding="utf-8")
    window.settings.write_text(re.sub(r"(\[broker\][^\[]*?port = )\d+", rf"\g<1>{port}", words), encoding="utf-8")
    return window


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(payload=ANYTHING)
def test_any_payload_on_any_topic_leaves_the_window_as_it_is(ground: Ground, payload: bytes) -> None:
    ground.says(payload)
    ground.lives()


def test_presses_arrive_while_every_listed_input_comes(ground: Ground) -> None:
    for payload in LISTED:
        ground.says(payload)
        ground.press()
    ground.lives()


def test_a_flood_of_messages_costs_the_window_neither_memory_nor_presses(ground: Ground) -> None:
    assert ground.window.process is not None
    before = resident_mb(ground.window.process.pid)
    for number in range(1500):
        order = msgspec.json.encode({**WHOLE_ORDER, "id": f"flood-{number}"})
        ground.county.say(wire.window_topic(WINDOW, "order", "say"), order)
        ground.county.say(wire.county_topic("430602", "documents", "catalogue"), b"x" * 100_000)
    ground.press()
    ground.press()
    assert resident_mb(ground.window.process.pid) - before < 60
    ground.lives()


def resident_mb(pid: int) -> float:
    """The memory that a process has now."""
    pages = Path(f"/proc/{pid}/statm").read_text().split()[1]
    return int(pages) * 4096 / 1e6


def test_retained_junk_is_met_at_every_start_and_stops_none(ground: Ground) -> None:
    for topic, payload in zip(TOPICS, (b"[" * 2000, b"{" * 2000, *[b'{"id":' * 2000] * 6, b"\xff"), strict=False):
        ground.county.say(topic, payload, retain=True)
    for _ in range(2):
        ground.window.stop(signal.SIGKILL)
        ground.window.start()
        ground.press()
        ground.lives()
    assert "Traceback" not in ground.window.journal()

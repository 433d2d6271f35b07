"""The county's broker as `make install-county` leaves it: a real mosquitto lets a window speak only as itself."""

import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from appliance import wire
from tests import conftest
from tests.ground_broker import CERTIFICATES, PATIENCE, Broker, make_authority

COUNTY, ONE, TWO = "430602", "430602-0107-1", "430602-0107-2"
NAMES = (COUNTY, ONE, TWO)


def until(holds: Callable[[], object], what: str) -> None:
    conftest.until(holds, PATIENCE, f"waited {PATIENCE} s in vain: {what}")


class Voice:
    """One MQTT client: what it heard, and the means to say something and know that the broker has dealt with it."""

    def __init__(self, client_id: str, clean: bool = True) -> None:
        self.heard: list[tuple[str, bytes]] = []
        self.refusal: str | None = None
        self.connected = threading.Event()
        self.lost = threading.Event()
        self._subscribed = threading.Event()
        self.client = mqtt.Client(
            CallbackAPIVersion.VERSION2, client_id=client_id, clean_session=clean, reconnect_on_failure=False
        )
        self.client.on_message = lambda _client, _data, message: self.heard.append(
            (message.topic, bytes(message.payload))
        )
        self.client.on_connect = lambda _client, _data, _flags, code, _properties: self._answered(str(code))
        self.client.on_disconnect = lambda *_: self.lost.set()
        self.client.on_subscribe = lambda *_: self._subscribed.set()

    def _answered(self, code: str) -> None:
        self.refusal = None if code == "Success" else code
        self.connected.set()

    def trust(self, authority: Path, name: str | None) -> None:
        """TLS with the county's authority, and with the certificate of `name` if it has one."""
        pair = (str(authority / f"{name}.crt"), str(authority / f"{name}.key")) if name else (None, None)
        self.client.tls_set(str(authority / "ca.crt"), *pair)

    def join(self, port: int, *, refused: bool = False) -> None:
        self.client.connect("localhost", port)
        self.client.loop_start()
        # In TLS 1.3 a certificate is refused after the handshake, by closing the line.
        until(lambda: self.connected.is_set() or self.lost.is_set(), "an answer to CONNECT")
        assert (self.refusal is not None or not self.connected.is_set()) == refused, self.refusal

    def hear(self, topic: str) -> None:
        self._subscribed.clear()
        self.client.subscribe(topic, qos=1)
        assert self._subscribed.wait(PATIENCE), "no answer to SUBSCRIBE"

    def say(self, topic: str, payload: bytes = b"x", *, retain: bool = False) -> None:
        """QoS 1: when this returns the broker has PUBACKed, which it does for a refused message too."""
        self.client.publish(topic, payload, qos=1, retain=retain).wait_for_publish(PATIENCE)

    def topics(self) -> list[str]:
        return [topic for topic, _ in self.heard]

    def leave(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The county's certificates, made by the script that ships."""
    return make_authority(tmp_path_factory.mktemp("authority"), *NAMES)


@pytest.fixture
def broker(tmp_path: Path, authority: Path) -> Iterator[Broker]:
    made = Broker(tmp_path, authority, NAMES)
    made.write()
    with made.running():
        yield made


class Room:
    """The broker with everybody in it."""

    def __init__(self, broker: Broker, stack: ExitStack) -> None:
        self.broker = broker
        self._stack = stack
        self.observer = Voice("observer")
        self.observer.join(broker.observer_port)
        stack.callback(self.observer.leave)
        self.observer.hear("#")

    def enter(
        self,
        name: str,
        *,
        by: str = "certificate",
        client_id: str | None = None,
        clean: bool = True,
        username: str | None = None,
        refused: bool = False,
    ) -> Voice:
        voice = Voice(client_id or name, clean)
        if username:
            voice.client.username_pw_set(username)
        voice.trust(self.broker.authority, name if by == "certificate" else None)
        if by == "password":
            voice.client.username_pw_set(name, f"of {name}")
        port = self.broker.certificate_port if by == "certificate" else self.broker.password_port
        voice.join(port, refused=refused)
        self._stack.callback(voice.leave)
        return voice

    def carried(self, speaker: Voice, topics: list[str], known: str) -> list[str]:
        """Which of the topics the broker carried when `speaker` published on each; `known` is one that it may use."""
        self.observer.heard.clear()
        for topic in [*topics, known]:
            speaker.say(topic)
        until(lambda: known in self.observer.topics(), f"{known} after {topics}")
        return self.observer.topics()[:-1]

    def reached(self, listener: Voice, topics: list[str], known: str) -> list[str]:
        """Which of the topics `listener`, subscribed to everything, hears when they are really published."""
        listener.hear("#")
        listener.heard.clear()
        for topic in [*topics, known]:
            self.observer.say(topic)
        until(lambda: known in listener.topics(), f"{known} after {topics}")
        return listener.topics()[:-1]


@pytest.fixture
def room(broker: Broker) -> Iterator[Room]:
    with ExitStack() as stack:
        yield Room(broker, stack)


BY = pytest.mark.parametrize("by", ["certificate", "password"])


def own(window: str, *rest: str) -> str:
    return wire.window_topic(window, *rest)


WINDOW_SAYS = [own(ONE, "presence"), own(ONE, "status"), own(ONE, "health"), own(ONE, "fact", "rating.given")]
WINDOW_MAY_NOT_SAY = [
    *[own(TWO, *rest) for rest in (("presence",), ("status",), ("health",), ("fact", "rating.given"), ("ack",))],
    own(ONE, "ack"),
    own(ONE, "order", "restart"),
    own(ONE, "fact"),
    own(ONE, "fact", "rating", "given"),
    own(ONE, "anything"),
    wire.county_topic(COUNTY, "documents", "catalogue"),
    wire.county_topic(COUNTY, "county", "presence"),
    f"windows/v1/430603/{ONE}/fact/rating.given",
    f"windows/v2/430602/{ONE}/fact/rating.given",
    "anything",
]
WINDOW_HEARS = [
    own(ONE, "ack"),
    own(ONE, "order", "identify"),
    wire.county_topic(COUNTY, "documents", "catalogue"),
    wire.county_topic(COUNTY, "county", "presence"),
]
WINDOW_MAY_NOT_HEAR = [
    *[own(TWO, *rest) for rest in (("ack",), ("order", "say"), ("fact", "rating.given"), ("status",), ("presence",))],
    own(ONE, "fact", "rating.given"),
    wire.county_topic("430603", "documents", "catalogue"),
    wire.county_topic("430603", "county", "presence"),
    "anything",
]
COUNTY_SAYS = [
    own(ONE, "ack"),
    own(TWO, "order", "identify"),
    wire.county_topic(COUNTY, "documents", "staff"),
    wire.county_topic(COUNTY, "county", "presence"),
]
COUNTY_MAY_NOT_SAY = [
    *WINDOW_SAYS,
    wire.county_topic("430603", "documents", "staff"),
    own("430603-0001-1", "ack"),
]


@BY
def test_a_window_says_everything_as_itself_and_nothing_else(room: Room, by: str) -> None:
    window = room.enter(ONE, by=by)
    assert room.carried(window, [*WINDOW_MAY_NOT_SAY, *WINDOW_SAYS], own(ONE, "fact", "clock.synced")) == WINDOW_SAYS


@BY
def test_a_window_hears_what_is_for_it_and_nothing_of_others(room: Room, by: str) -> None:
    window = room.enter(ONE, by=by)
    heard = room.reached(window, [*WINDOW_MAY_NOT_HEAR, *WINDOW_HEARS], own(ONE, "order", "say"))
    assert heard == WINDOW_HEARS


@BY
def test_the_county_hears_all_of_its_county_and_says_what_only_it_may(room: Room, by: str) -> None:
    county = room.enter(COUNTY, by=by)
    assert room.carried(county, [*COUNTY_MAY_NOT_SAY, *COUNTY_SAYS], own(TWO, "ack")) == COUNTY_SAYS
    heard = room.reached(county, ["anything", own("430603-0001-1", "status"), *WINDOW_SAYS], own(TWO, "presence"))
    assert heard == WINDOW_SAYS


def test_a_window_s_last_will_is_said_for_it(room: Room) -> None:
    window = room.enter(TWO)
    window.leave()
    dying = Voice(ONE)
    dying.trust(room.broker.authority, ONE)
    dying.client.will_set(own(ONE, "presence"), b"gone", qos=1, retain=True)
    dying.join(room.broker.certificate_port)
    room.observer.heard.clear()
    line = dying.client.socket()
    assert isinstance(line, ssl.SSLSocket)
    # The cable is pulled: no DISCONNECT.
    line.shutdown(socket.SHUT_RDWR)
    until(lambda: (own(ONE, "presence"), b"gone") in room.observer.heard, "the last will")
    dying.leave()


def test_a_stranger_is_not_spoken_to(broker: Broker, authority: Path) -> None:
    stranger = Voice(ONE)
    stranger.trust(authority, None)
    stranger.join(broker.certificate_port, refused=True)
    stranger.leave()


def test_a_wrong_password_and_no_password_are_refused(broker: Broker, authority: Path) -> None:
    for said in ("wrong", None):
        guest = Voice(ONE)
        guest.trust(authority, None)
        guest.client.username_pw_set(ONE, said)
        guest.join(broker.password_port, refused=True)
        guest.leave()


@BY
def test_a_window_cannot_take_over_the_session_of_another(room: Room, by: str) -> None:
    """A session is found by client id: whoever could choose another's would get what is queued for it."""
    victim = room.enter(TWO, by=by, clean=False)
    victim.hear(own(TWO, "ack"))
    # With its own certificate, and naming the other in both places where a name may be given.
    thief = room.enter(ONE, by=by, client_id=TWO, clean=False, username=TWO if by == "certificate" else None)
    room.observer.say(own(TWO, "ack"), b"for two alone")
    until(lambda: (own(TWO, "ack"), b"for two alone") in victim.heard, "the ack at its own window")
    assert not victim.lost.is_set()
    assert thief.heard == []


def test_a_revoked_certificate_is_not_spoken_to(tmp_path: Path, authority: Path) -> None:
    own_authority = tmp_path / "authority"
    shutil.copytree(authority, own_authority)
    subprocess.run([CERTIFICATES, "-d", own_authority, "revoke", ONE], check=True, capture_output=True)
    place = tmp_path / "broker"
    place.mkdir()
    broker = Broker(place, own_authority, NAMES)
    broker.write()
    conf = place / "etc/mosquitto/conf.d/10-appliance.conf"
    text = conf.read_text(encoding="utf-8")
    assert text.count("#crlfile") == 1
    conf.write_text(text.replace("#crlfile", "crlfile"), encoding="utf-8")
    with broker.running(), ExitStack() as stack:
        room = Room(broker, stack)
        room.enter(TWO)
        room.enter(ONE, refused=True)


def test_what_somebody_left_at_the_broker_is_gone_once_it_begins_anew(tmp_path: Path, authority: Path) -> None:
    broker = Broker(tmp_path, authority, NAMES)
    broker.write()
    with broker.running(), ExitStack() as stack:
        Room(broker, stack).enter(ONE).say(own(ONE, "status"), b"yesterday", retain=True)
        county = Room(broker, stack).enter(COUNTY)
        county.hear(wire.county_topic(COUNTY, "#"))
        until(lambda: (own(ONE, "status"), b"yesterday") in county.heard, "the retained status")
    with broker.running(), ExitStack() as stack:
        room = Room(broker, stack)
        county = room.enter(COUNTY)
        county.hear(wire.county_topic(COUNTY, "#"))
        room.enter(TWO).say(own(TWO, "status"), b"today", retain=True)
        until(lambda: (own(TWO, "status"), b"today") in county.heard, "a status of today")
        assert {topic for topic, _ in county.heard} == {own(TWO, "status")}


def test_a_message_larger_than_the_contract_allows_is_not_kept(tmp_path: Path, authority: Path) -> None:
    broker = Broker(tmp_path, authority, NAMES)
    broker.write()
    with broker.running(), ExitStack() as stack:
        room = Room(broker, stack)
        county, window = room.enter(COUNTY), room.enter(ONE)
        county.hear(wire.county_topic(COUNTY, "#"))
        window.say(own(ONE, "fact", "x"), b"x" * (wire.MAX_PAYLOAD + 1), retain=True)
        window.say(own(ONE, "fact", "x"), b"y" * wire.MAX_PAYLOAD, retain=True)
        until(lambda: county.heard, "what is as large as it may be")
        assert [payload[:1] for _, payload in county.heard] == [b"y"]

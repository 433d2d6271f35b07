"""The county's broker as `make install-county` leaves it: a real mosquitto lets a window speak only as itself."""

import getpass
import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from appliance import wire
from tests import conftest
from tests.ground_courier.waiting import free_port

FIRMWARE = Path(__file__).parent.parent / "firmware_config"
INSTALL = FIRMWARE / "install"
CERTIFICATES = FIRMWARE / "county" / "certificates"
COUNTY, ONE, TWO = "430602", "430602-0107-1", "430602-0107-2"
PATIENCE = 10.0
# Debian's own file, which includes ours.
DEBIAN = """\
user {user}
persistence true
persistence_location {place}/
log_dest file {place}/mosquitto.log
include_dir {place}/etc/mosquitto/conf.d
"""
# Who watches what the broker really carries; on loopback, without rules, and only in these tests.
OBSERVER = "listener {port} 127.0.0.1\nallow_anonymous true\n"


def until(holds: Callable[[], object], what: str) -> None:
    conftest.until(holds, PATIENCE, f"waited {PATIENCE} s in vain: {what}")


class Broker:
    """A mosquitto with the shipped files; only ports and folders are put in place of the shipped ones."""

    def __init__(self, place: Path, authority: Path) -> None:
        self.place = place
        self.authority = authority
        self.certificate_port, self.password_port, self.observer_port = free_port(), free_port(), free_port()

    def write(self) -> None:
        """What `make install-county` puts there, and beside it what a technician does."""
        subprocess.run([INSTALL, "county", "files"], check=True, capture_output=True, env={"DESTDIR": str(self.place)})
        self._put("10-appliance.conf", "listener 8883", self.certificate_port)
        # The first days: the .off is taken away.
        conf = self.place / "etc/mosquitto/conf.d"
        (conf / "20-appliance-passwords.conf.off").rename(conf / "20-appliance-passwords.conf")
        self._put("20-appliance-passwords.conf", "listener 8884", self.password_port)
        shutil.copytree(self.authority, self.place / "etc/mosquitto/certs")
        (self.place / "mosquitto.conf").write_text(DEBIAN.format(user=getpass.getuser(), place=self.place))
        (conf / "90-observer.conf").write_text(OBSERVER.format(port=self.observer_port))
        passwords = self.place / "etc/mosquitto/appliance.passwd"
        passwords.touch(mode=0o600)
        for name in (COUNTY, ONE, TWO):
            words = ["mosquitto_passwd", "-b", str(passwords), name, f"of {name}"]
            subprocess.run(words, check=True, capture_output=True)

    def _put(self, name: str, listener: str, port: int) -> None:
        """Ports that are free and folders of this test, in place of the shipped ones."""
        file = self.place / "etc/mosquitto/conf.d" / name
        text = file.read_text(encoding="utf-8")
        assert text.count(f"\n{listener}\n") == 1
        text = text.replace(f"\n{listener}\n", f"\nlistener {port} 127.0.0.1\n")
        assert " /etc/mosquitto/certs/" in text
        file.write_text(text.replace(" /etc/mosquitto/", f" {self.place}/etc/mosquitto/"), encoding="utf-8")

    @contextmanager
    def running(self) -> Iterator[None]:
        broker = shutil.which("mosquitto", path="/usr/sbin:/usr/bin:/sbin:/bin")
        assert broker, "the Debian package mosquitto is needed"
        with subprocess.Popen([broker, "-c", self.place / "mosquitto.conf"]) as process:
            try:
                until(lambda: self._listens(process), "mosquitto's ports")
                yield
            finally:
                process.terminate()

    def _listens(self, process: subprocess.Popen[bytes]) -> bool:
        assert process.poll() is None, "mosquitto did not start; what it said stands above"
        for port in (self.certificate_port, self.password_port, self.observer_port):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)):
                    return False
        return True


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
    folder = tmp_path_factory.mktemp("authority")
    for words in (["authority", "岳阳楼区医疗保障局"], ["broker", "localhost", "127.0.0.1"]):
        subprocess.run([CERTIFICATES, "-d", folder, *words], check=True, capture_output=True)
    for name in (COUNTY, ONE, TWO):
        subprocess.run([CERTIFICATES, "-d", folder, "sign", name], check=True, capture_output=True)
    return folder


@pytest.fixture
def broker(tmp_path: Path, authority: Path) -> Iterator[Broker]:
    made = Broker(tmp_path, authority)
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
    broker = Broker(place, own_authority)
    broker.write()
    conf = place / "etc/mosquitto/conf.d/10-appliance.conf"
    text = conf.read_text(encoding="utf-8")
    assert text.count("#crlfile") == 1
    conf.write_text(text.replace("#crlfile", "crlfile"), encoding="utf-8")
    with broker.running(), ExitStack() as stack:
        room = Room(broker, stack)
        room.enter(TWO)
        room.enter(ONE, refused=True)


def test_what_is_retained_survives_a_restart_of_the_broker(tmp_path: Path, authority: Path) -> None:
    broker = Broker(tmp_path, authority)
    broker.write()
    with broker.running(), ExitStack() as stack:
        Room(broker, stack).enter(ONE).say(own(ONE, "status"), b"still here", retain=True)
    with broker.running(), ExitStack() as stack:
        county = Room(broker, stack).enter(COUNTY)
        county.hear(wire.county_topic(COUNTY, "#"))
        until(lambda: (own(ONE, "status"), b"still here") in county.heard, "the retained status")

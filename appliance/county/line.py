"""One connection of the collector to the broker: paho on an `Inlet`, moved along by the collector's own thread.

Rules: paho runs no thread; its callbacks only set flags; each connection is a new client with a new session number,
while the broker keeps the session itself (`clean_session` False) and queues for us while we are away.
"""

import logging
import select
import socket
import ssl
import time
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import msgspec
import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode
from paho.mqtt.reasoncodes import ReasonCode

from appliance import wire
from appliance.county.inlet import Inlet
from appliance.window.moment import CHINA

log = logging.getLogger("appliance.county")

KINDS: Final = ("fact/#", "presence", "status", "health")
OWED: Final = 300
"""Messages of ours that a broker may have taken without a PUBACK; what else is to be said waits, merged, in `Acks`."""
UNCONFIRMED_S: Final = 30.0
"""How long a broker may confirm nothing while it owes us something, before it counts as broken."""
GREETING_S: Final = 10.0
"""How long a broker may take to let us in and to confirm what we listen to."""
FILTERS: Final = 200
"""Filters in one packet."""
FULL: Final = 1 << 20
"""Bytes that may wait for the socket before we stop reading from it."""


class Broker(msgspec.Struct, frozen=True, kw_only=True):
    """Where the broker is and what we show it; the files are PEM, and `ca_file` asks for TLS."""

    host: str
    port: int = 1883
    username: str | None = None
    password: str | None = None
    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None
    keepalive: int = 30

    def __repr__(self) -> str:
        return f"{'mqtts' if self.ca_file else 'mqtt'}://{self.host}:{self.port}"


class Lost(Exception):
    """The connection is gone; the text says why."""


class _Client(mqtt.Client):
    """A paho client whose socket is an `Inlet`."""

    inlet: Inlet

    def _create_socket(self) -> Any:
        sock: Any = super()._create_socket()
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.inlet = Inlet(sock, wire.MAX_PAYLOAD)
        return self.inlet


class Line:
    """An open connection; raises Lost from any call once it is gone, OSError or ValueError if it cannot be opened."""

    def __init__(self, county: str, name: str, broker: Broker, session: int) -> None:
        self._county, self._session = county, session
        self._client = client = _Client(
            CallbackAPIVersion.VERSION2, client_id=name, clean_session=False, reconnect_on_failure=False
        )
        if broker.ca_file:
            client.tls_set_context(_trust(broker))
        if broker.username:
            client.username_pw_set(broker.username, broker.password)
        client.max_inflight_messages_set(0)
        client.connect_timeout = GREETING_S
        will = wire.Presence(online=False, session=session)
        client.will_set(self.presence_topic, wire.encode(will), qos=1, retain=True)
        client.on_connect, client.on_subscribe = self._greeted, self._heard
        client.on_disconnect, client.on_publish = self._left, self._confirmed
        self._answer: str | None = None
        self._confirmation: list[bool] | None = None
        self._gone: str | None = None
        self._asked = False
        self._owed = 0
        self._confirmed_at = time.monotonic()
        self._poll = select.poll()
        self._until = time.monotonic() + GREETING_S
        client.connect(broker.host, broker.port, keepalive=broker.keepalive)
        self.inlet = client.inlet
        self._poll.register(self.inlet.fileno(), select.POLLIN)
        self.up = False

    def move(self, timeout: float, *, reading: bool = True) -> None:
        """Wait at most `timeout` seconds for something to do, and do it.

        Without `reading` nothing is read: the broker's flood stays in the kernel, and then in the broker.
        """
        self._checked(mqtt.MQTT_ERR_SUCCESS)
        inlet = self.inlet
        reading = reading and inlet.unsent < FULL
        wanted = (select.POLLIN if reading else 0) | (select.POLLOUT if inlet.unsent else 0)
        self._poll.modify(inlet.fileno(), wanted)
        self._poll.poll(timeout * 1000)
        if reading:
            inlet.fill()
        inlet.flush()
        self._let_paho_work()
        if inlet.flaw:
            raise Lost(f"what the broker sends is no MQTT: {inlet.flaw}")
        if not self.up:
            self._greet()
        inlet.flush()

    def _let_paho_work(self) -> None:
        try:
            while self.inlet.for_paho and self._gone is None:
                self._checked(self._client.loop_read())
            self._checked(self._client.loop_misc())
        except Lost:
            raise
        except Exception as error:  # paho trusts the lengths in a packet, and fails as Python does when they are wrong
            raise Lost(f"what the broker sends is no MQTT: {error!r}") from error

    @property
    def room(self) -> int:
        """How many messages may be published now."""
        if self._owed >= OWED and time.monotonic() - self._confirmed_at > UNCONFIRMED_S:
            raise Lost(f"the broker has confirmed nothing for {UNCONFIRMED_S:g} s")
        return max(0, OWED - self._owed)

    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        """Hand a QoS 1 message to the broker; it goes out with the next `move`."""
        if not self._owed:
            self._confirmed_at = time.monotonic()
        self._owed += 1
        self._client.publish(topic, payload, qos=1, retain=retain)

    def say_present(self) -> None:
        """Say that the county is there."""
        self.publish(self.presence_topic, wire.encode(self._presence(True)), retain=True)

    def look_for_litter(self) -> None:
        """Ask the broker what facts it keeps; a fact is never to be kept there, and the inlet remembers those that are.

        A message that comes while we listen does not say that it was kept as well: only a new subscription tells.
        """
        self._client.subscribe(self._filters(KINDS[:1]))

    def hear(self, filters: Sequence[str]) -> None:
        """Listen to these too."""
        for at in range(0, len(filters), FILTERS):
            self._client.subscribe([(one, 1) for one in filters[at : at + FILTERS]])

    def leave(self, filters: Sequence[str]) -> None:
        """Listen to these no more."""
        for at in range(0, len(filters), FILTERS):
            self._client.unsubscribe(list(filters[at : at + FILTERS]))

    def clear(self, topic: bytes) -> None:
        """Make the broker forget what it keeps under this topic."""
        try:
            self._client.publish(topic.decode(), b"", qos=0, retain=True)
        except ValueError:
            log.warning("the broker keeps something under a topic that is none: %.80r", topic)

    def close(self, *, politely: bool) -> None:
        """End the connection; `politely` says that we go, else the broker tells our last will."""
        if politely and self.up and self._gone is None:
            self._client.publish(self.presence_topic, wire.encode(self._presence(False)), qos=1, retain=True)
            self._client.disconnect()
        else:
            self.inlet.close()

    # ---- greeting

    def _greet(self) -> None:
        if self._answer is not None and not self._asked:
            if self._answer != "Success":
                raise Lost(f"the broker refuses us: {self._answer}")
            self._client.subscribe(self._filters(KINDS))
            self._asked = True
        if self._confirmation is not None:
            if not all(self._confirmation):
                raise Lost("the broker refuses to tell us what the windows say")
            self.say_present()
            self.up = True
        elif time.monotonic() > self._until:
            raise Lost("the broker does not answer")

    def _filters(self, kinds: Sequence[str]) -> list[tuple[str, int]]:
        return [(f"{wire.county_topic(self._county, '+')}/{kind}", 1) for kind in kinds]

    @property
    def presence_topic(self) -> str:
        """Where every collector of the county says that it is there."""
        return wire.county_topic(self._county, "county", "presence")

    def _presence(self, online: bool) -> wire.Presence:
        return wire.Presence(online=online, session=self._session, at=datetime.now(CHINA))

    # ---- what paho calls; flags only

    def _greeted(self, _client: Any, _data: Any, _flags: Any, reason: ReasonCode, _properties: Any) -> None:
        self._answer = str(reason)

    def _heard(self, _client: Any, _data: Any, _mid: int, reasons: Sequence[ReasonCode], _properties: Any) -> None:
        self._confirmation = [not reason.is_failure for reason in reasons]

    def _left(self, _client: Any, _data: Any, _flags: Any, reason: ReasonCode, _properties: Any) -> None:
        self._gone = str(reason)

    def _confirmed(self, _client: Any, _data: Any, _mid: int, _reason: ReasonCode, _properties: Any) -> None:
        self._owed -= 1
        self._confirmed_at = time.monotonic()

    def _checked(self, code: int) -> None:
        if self._gone is not None or code != mqtt.MQTT_ERR_SUCCESS:
            raise Lost(self._gone or mqtt.error_string(MQTTErrorCode(code)))


def _trust(broker: Broker) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=broker.ca_file)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if broker.cert_file is not None:
        context.load_cert_chain(broker.cert_file, broker.key_file)
    return context

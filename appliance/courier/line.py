"""The line to the broker: one MQTT connection after another, moved along by one thread, ours.

The rules:

- paho runs no thread here. `wait` sleeps in our own poll() over the connection and a wake, so a file descriptor over
  1023 is no trouble, and a publish writes to the socket at once.
- paho's callbacks only set flags and fill queues. Whatever raises, raises out of `turn` and ends the process.
- Each connection is a new client with a new session: paho keeps nothing from one connection to the next, the session is
  clean, and what must not be lost is in the ledger.
- A broker that owes PUBACKs for 256 messages, does not greet within 5 s or is silent for two keep-alives is left.
- Between connections: a rest by `flight.backoff`. Failures in a row are forgotten once the line has proved itself.
"""

import enum
import logging
import random
import select
import socket
import ssl
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import msgspec
from paho.mqtt import client as mqtt
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode
from paho.mqtt.reasoncodes import ReasonCode

from appliance.courier.dial import Address, Dialling, hold_back, hurry, reach, trust
from appliance.courier.flight import backoff

log = logging.getLogger("appliance.courier")

OWED = 256
"""Messages that a broker may have taken without a PUBACK before it counts as broken."""


class Pace(msgspec.Struct, frozen=True, kw_only=True):
    """How long things may take, in seconds."""

    rest_first: float = 1.0
    rest_last: float = 60.0
    resend_first: float = 10.0
    resend_last: float = 60.0
    connect: float = 5.0
    keepalive: int = 20
    proven: float = 30.0
    """A connection that lasted so long, or brought the county's word, ends a row of failures."""
    health: float = 60.0
    full_card: float = 10.0
    """Before the ledger is told again what it could not write."""


class Will(msgspec.Struct, frozen=True):
    """What a new connection is opened with: its session, and what the broker says when it breaks."""

    session: int
    topic: str
    payload: bytes


class Stage(enum.Enum):
    """How far the line is."""

    RESTING = "resting"
    DIALLING = "dialling"
    GREETING = "greeting"
    UP = "up"


class _Client(mqtt.Client):
    """paho's client on a socket that `dial` has connected: paho's own connect looks the name up without any limit."""

    def __init__(self, window: str, line: socket.socket) -> None:
        super().__init__(CallbackAPIVersion.VERSION2, client_id=window, clean_session=True, reconnect_on_failure=False)
        self._line = line

    def _create_socket(self) -> socket.socket:
        return self._line


class Line:
    """One window's line to its broker; everything but `wake` belongs to the thread that calls `wait` and `turn`."""

    def __init__(
        self,
        window: str,
        address: Address,
        pace: Pace,
        will: Callable[[], Will],
        dial: Callable[[], socket.socket] | None = None,
    ) -> None:
        self._window, self._address, self._pace, self._will = window, address, pace, will
        terms = trust(address)
        self._dial = dial or (lambda: reach(address, terms, pace.connect, pace.keepalive))
        self._ear, self._bell = socket.socketpair()
        self._ear.setblocking(False)
        self._bell.setblocking(False)
        self._rung = False
        self._client: _Client | None = None
        self._dialling: Dialling | None = None
        self._greeting: ReasonCode | None = None
        self._until = 0.0
        self._failures = 0
        self._up_since = 0.0
        self.stage = Stage.RESTING
        self.session = 0
        self.trouble = ""
        """Why there is no connection: unreachable, unanswered, refused, lost; empty while there is one."""
        self.messages: deque[tuple[str, bytes]] = deque()

    @property
    def up(self) -> bool:
        """Whether the broker has greeted us and the connection stands."""
        return self.stage is Stage.UP

    def wake(self) -> None:
        """End a `wait` now, from any thread; the flag keeps it cheap when many ring at once."""
        if self._rung:
            return
        self._rung = True
        try:
            self._bell.send(b"\0")
        except BlockingIOError:  # full of rings nobody has heard yet: one more tells nothing new
            return
        except OSError:  # closed: nobody listens any more
            return

    def wait(self, timeout: float) -> bool:
        """Sleep until the connection or a wake has something, at most `timeout` seconds; move bytes; True if woken."""
        poll = select.poll()
        poll.register(self._ear, select.POLLIN)
        line = self._client.socket() if self._client else None
        if self._client and line:
            poll.register(line.fileno(), select.POLLIN | (select.POLLOUT if self._client.want_write() else 0))
        ready = {number for number, _ in poll.poll(self._milliseconds(timeout))}
        if self._client and line and (line.fileno() in ready or self._buffered()):
            self._move(self._client)
        if self._ear.fileno() not in ready:
            return False
        self._hush()
        return True

    def _milliseconds(self, timeout: float) -> int:
        if self._buffered():
            return 0
        if self.stage is not Stage.UP:
            timeout = min(timeout, max(0.0, self._until - time.monotonic()))
        return int(min(timeout, 5.0) * 1000 + 0.999)

    def _buffered(self) -> bool:
        """TLS may hold decrypted bytes that poll() cannot see."""
        line = self._client.socket() if self._client else None
        return isinstance(line, ssl.SSLSocket) and line.pending() > 0

    def _hush(self) -> None:
        self._ear.recv(4096)
        # After the bytes are gone and before anything is looked at: a ring from now on is a new byte.
        self._rung = False

    def _move(self, client: _Client) -> None:
        hurry(client.socket())
        client.loop_read()
        while self._buffered() and client.socket():
            client.loop_read()
        if client.want_write():
            client.loop_write()

    def turn(self) -> None:
        """Take the line one stage further if it is time; never sleeps."""
        now = time.monotonic()
        if self.stage is Stage.RESTING and now >= self._until:
            self._begin(now)
        elif self.stage is Stage.DIALLING:
            self._look(now)
        elif self.stage is Stage.GREETING:
            self._greet(now)
        elif self.stage is Stage.UP:
            self._keep(now)

    def _begin(self, now: float) -> None:
        # An attempt given up on may still hang in the name look-up; a second thread would hang beside it.
        if self._dialling and self._dialling.under_way:
            self._until = now + self._pace.rest_first
            return
        self._dialling = Dialling(self._dial, self.wake)
        self.stage, self._until = Stage.DIALLING, now + self._pace.connect

    def _look(self, now: float) -> None:
        assert self._dialling is not None
        outcome = self._dialling.outcome()
        if isinstance(outcome, OSError):
            self._fail("unreachable", f"{outcome}")
        elif outcome is not None:
            self._dialling = None
            self._open(outcome, now)
        elif now >= self._until:
            self._dialling.abandon()
            self._fail("unreachable", f"no connection within {self._pace.connect:g} s")

    def _open(self, connected: socket.socket, now: float) -> None:
        try:
            will = self._will()
        except BaseException:
            connected.close()
            raise
        self.session, self._greeting = will.session, None
        self._client = client = _Client(self._window, connected)
        client.max_inflight_messages_set(0)
        client.max_queued_messages_set(OWED)
        client.will_set(will.topic, will.payload, qos=1, retain=True)
        if self._address.username is not None:
            client.username_pw_set(self._address.username, self._address.password)
        client.on_connect = self._on_connect
        client.on_message = self._on_message
        client.on_subscribe = self._on_subscribe
        client.connect_async(self._address.host, self._address.port, self._pace.keepalive)
        client.reconnect()
        self.stage, self._until = Stage.GREETING, now + self._pace.connect

    def _on_connect(self, _client: Any, _data: Any, _flags: Any, reason: ReasonCode, _more: Any) -> None:
        self._greeting = reason

    def _on_message(self, _client: Any, _data: Any, message: mqtt.MQTTMessage) -> None:
        try:
            topic = message.topic
        except UnicodeDecodeError:  # no MQTT, but some brokers let it pass; no topic of ours looks like this
            topic = "\ufffd"
        self.messages.append((topic, bytes(message.payload)))

    def _on_subscribe(self, _client: Any, _data: Any, _mid: int, reasons: list[ReasonCode], _more: Any) -> None:
        for reason in reasons:
            if reason.is_failure:
                log.error("the broker refused a subscription (%s): check its access list", reason)

    def _greet(self, now: float) -> None:
        assert self._client is not None
        if self._greeting is not None and self._greeting.is_failure:
            self._fail("refused", f"{self._greeting}")
        elif self._client.socket() is None:
            self._fail("lost", "the connection broke before the broker's greeting")
        elif self._greeting is not None:
            self.stage, self._up_since, self.trouble = Stage.UP, now, ""
            log.info("connected to %r, session %d", self._address, self.session)
        elif now >= self._until:
            self._fail("unanswered", f"no greeting within {self._pace.connect:g} s")

    def _keep(self, now: float) -> None:
        assert self._client is not None
        self._client.loop_misc()
        if now - self._up_since >= self._pace.proven:
            self.prove()
        if self._client.socket() is None:
            self._fail("lost", "the connection broke")

    def prove(self) -> None:
        """The connection is a good one: the next failure is the first again."""
        self._failures = 0

    def _fail(self, trouble: str, reason: str) -> None:
        self._failures += 1
        rest = backoff(self._failures, random.random(), self._pace.rest_first, self._pace.rest_last)
        level = logging.INFO if trouble == self.trouble else logging.WARNING
        log.log(level, "no connection to %r (%s): %s; next attempt in %.1f s", self._address, trouble, reason, rest)
        self._hang_up()
        self.stage, self.trouble, self._until = Stage.RESTING, trouble, time.monotonic() + rest

    def _hang_up(self) -> None:
        client, self._client = self._client, None
        self.messages.clear()
        line = client.socket() if client else None
        if line is not None:
            line.close()

    def subscribe(self, topics: list[str]) -> None:
        """Ask the broker for these topics at QoS 1."""
        if self._client:
            self._client.subscribe([(topic, 1) for topic in topics])

    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> bool:
        """Write one message at QoS 1 to the socket now; False when there is no connection to write it to."""
        if not self.up or self._client is None:
            return False
        code = self._client.publish(topic, payload, qos=1, retain=retain).rc
        if code == MQTTErrorCode.MQTT_ERR_QUEUE_SIZE:
            self._fail("unanswered", f"the broker owes an answer to {OWED} messages")
        return bool(code == MQTTErrorCode.MQTT_ERR_SUCCESS)

    @contextmanager
    def together(self) -> Iterator[None]:
        """What is published inside leaves in full packets, at the end at the latest."""
        line = self._client.socket() if self._client else None
        hold_back(line, True)
        try:
            yield
        finally:
            if line is not None and line.fileno() >= 0:
                hold_back(line, False)

    @property
    def choked(self) -> bool:
        """Whether bytes wait that the socket would not take."""
        return self._client is not None and self._client.want_write()

    def part(self, topic: str, payload: bytes, seconds: float = 1.0) -> None:
        """Say a retained last word, wait for the broker to have it, and leave without a will."""
        deadline = time.monotonic() + seconds
        if self.up and self._client:
            word = self._client.publish(topic, payload, qos=1, retain=True)
            while word.rc == MQTTErrorCode.MQTT_ERR_SUCCESS and not word.is_published():
                if self._client.socket() is None or time.monotonic() >= deadline:
                    break
                self.wait(deadline - time.monotonic())
            self._client.disconnect()
        self.close()

    def close(self) -> None:
        """Leave at once; an open connection breaks, so that the broker says the will."""
        if self._dialling:
            self._dialling.abandon()
        self._hang_up()
        self.stage = Stage.RESTING
        self._ear.close()
        self._bell.close()

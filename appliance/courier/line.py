"""The line to the broker: one MQTT connection after another, moved along by one thread, ours.

The rules:

- paho runs no thread here. `wait` sleeps in our own poll() over the connection and a wake, so a file descriptor over
  1023 is no trouble. Messages are cut out of the connection and written into it by a `Stream`; what is published
  leaves with `flush`, all of it together.
- paho's callbacks only set flags. Whatever the broker's bytes make it raise ends the connection; what is a fault of
  ours raises out of `turn` and ends the process.
- Each connection is a new client with a new session: paho keeps nothing from one connection to the next, the session is
  clean, and what must not be lost is in the ledger.
- Everything that we send asks for an answer, and after `keepalive` seconds without a word either way we ask for one. A
  broker that has not said anything for `doubt` seconds since it was asked is doubted, for `silence` seconds left; also
  one that owes PUBACKs for 512 messages or does not greet within 5 s.
- A PUBACK or a PINGRESP alone wakes nobody: it is read with what comes next, or when the broker would be doubted.
- Between connections: a rest by `flight.backoff`. Failures in a row are forgotten once the line has proved itself.
"""

import enum
import logging
import random
import select
import socket
import time
from collections.abc import Callable
from typing import Any

import msgspec
from paho.mqtt import client as mqtt
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.reasoncodes import ReasonCode

from appliance import wire
from appliance.courier.dial import Address, Dialling, hurry, reach, trust, wake_beyond
from appliance.courier.flight import NEVER, backoff
from appliance.courier.stream import Stream

log = logging.getLogger("appliance.courier")

OWED = 512
"""Messages that a broker may have taken without a PUBACK before it counts as broken."""

ANSWER, TLS_ANSWER = 4, 33
"""Bytes of the longest answer that says nothing new, a PUBACK, plain and as a TLS record."""


class Pace(msgspec.Struct, frozen=True, kw_only=True):
    """How long things may take, in seconds."""

    rest_first: float = 1.0
    rest_last: float = 60.0
    resend_first: float = 10.0
    resend_last: float = 60.0
    connect: float = 5.0
    keepalive: int = 10
    doubt: float = 3.0
    """Before the broker or the county is doubted that owes an answer: a county may take a second for a batch."""
    silence: float = 8.0
    """Before a broker is left that owes an answer and says nothing at all."""
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
    """paho's client on a stream over what `dial` has connected: its own connect looks the name up without any limit."""

    def __init__(self, window: str, stream: Stream) -> None:
        super().__init__(CallbackAPIVersion.VERSION2, client_id=window, clean_session=True, reconnect_on_failure=False)
        self._stream = stream

    def _create_socket(self) -> Any:
        return self._stream


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
        self._poll = select.poll()
        self._poll.register(self._ear, select.POLLIN)
        self._listened = (-1, 0)
        self._client: _Client | None = None
        self._stream: Stream | None = None
        self._dialling: Dialling | None = None
        self._greeting: ReasonCode | None = None
        self._until = 0.0
        self._failures = 0
        self._up_since = 0.0
        self._asked = NEVER
        self._spoke = self._heard = 0.0
        self.stage = Stage.RESTING
        self.session = 0
        self.trouble = ""
        """Why there is no connection: unreachable, unanswered, refused, lost; empty while there is one."""

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
        """Sleep until connection or wake have something, at most `timeout` seconds; read and send; True if woken."""
        stream, client = self._stream, self._client
        number = self._listen_to(stream)
        ready = [ready for ready, _ in self._poll.poll(self._milliseconds(timeout))]
        if client and stream and (number in ready or stream.more or self._overdue):
            self._move(client, stream)
        if self._ear.fileno() not in ready:
            return False
        self._hush()
        return True

    def _listen_to(self, stream: Stream | None) -> int:
        number = stream.fileno() if stream else -1
        wanted = (0 if stream.full else select.POLLIN) | (select.POLLOUT if stream.unsent else 0) if stream else 0
        if (number, wanted) != self._listened:
            if self._listened[0] != number and self._listened[0] >= 0:
                self._poll.unregister(self._listened[0])
            if number >= 0:
                self._poll.register(number, wanted)
            self._listened = (number, wanted)
        return number

    @property
    def _overdue(self) -> bool:
        return time.monotonic() - self._asked >= self._pace.doubt

    def _milliseconds(self, timeout: float) -> int:
        if self._stream and self._stream.more and not self._stream.full:
            return 0
        if self.stage is not Stage.UP:
            timeout = min(timeout, max(0.0, self._until - time.monotonic()))
        return int(min(timeout, 5.0) * 1000 + 0.999)

    def _hush(self) -> None:
        self._ear.recv(4096)
        # After the bytes are gone and before anything is looked at: a ring from now on is a new byte.
        self._rung = False

    def _move(self, client: _Client, stream: Stream) -> None:
        hurry(stream.sock)
        if stream.fill():
            self._heard = time.monotonic()
            self._asked = self._heard if stream.silent_about else NEVER
        try:
            while stream.for_paho and client.socket() is not None:
                client.loop_read()
        except Exception as problem:  # noqa: BLE001 - whatever paho makes of a broker's bytes, they end only the connection
            log.warning("what the broker sends is no MQTT: %r", problem)
            stream.ended = True
        stream.flush()

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
        # A large message that comes is none that we ask for, and is not kept.
        self._stream = stream = Stream(connected, wire.MAX_PAYLOAD)
        self._client = client = _Client(self._window, stream)
        client.will_set(will.topic, will.payload, qos=1, retain=True)
        if self._address.username is not None:
            client.username_pw_set(self._address.username, self._address.password)
        client.on_connect = self._on_connect
        client.on_subscribe = self._on_subscribe
        client.connect_async(self._address.host, self._address.port, self._pace.keepalive)
        client.reconnect()
        stream.flush()
        self.stage, self._until = Stage.GREETING, now + self._pace.connect

    def _on_connect(self, _client: Any, _data: Any, _flags: Any, reason: ReasonCode, _more: Any) -> None:
        self._greeting = reason

    def _on_subscribe(self, _client: Any, _data: Any, _mid: int, reasons: list[ReasonCode], _more: Any) -> None:
        for reason in reasons:
            if reason.is_failure:
                log.error("the broker refused a subscription (%s): check its access list", reason)

    def _greet(self, now: float) -> None:
        if self._greeting is not None and self._greeting.is_failure:
            self._fail("refused", f"{self._greeting}")
        elif self._broken:
            self._fail("lost", "the connection broke before the broker's greeting")
        elif self._greeting is not None:
            self.stage, self._up_since, self.trouble = Stage.UP, now, ""
            self._asked, self._spoke, self._heard = NEVER, now, now
            if self._stream:
                wake_beyond(self._stream.sock, ANSWER if self._address.ca_file is None else TLS_ANSWER)
            log.info("connected to %r, session %d", self._address, self.session)
        elif now >= self._until:
            self._fail("unanswered", f"no greeting within {self._pace.connect:g} s")

    def _keep(self, now: float) -> None:
        if now - self._up_since >= self._pace.proven:
            self.prove()
        if self._broken:
            self._fail("lost", "the connection broke")
        elif now - self._asked >= self._pace.silence:
            self._fail("lost", f"not a word for {self._pace.silence:g} s since it was asked")
        elif now >= min(self._spoke, self._heard) + self._pace.keepalive and self._asked == NEVER and self._stream:
            self._stream.ping()
            self.flush()

    @property
    def _broken(self) -> bool:
        return self._client is None or self._client.socket() is None or self._stream is None or self._stream.ended

    @property
    def doubted(self) -> bool:
        """Whether the broker has not said a word for some seconds since it was asked something."""
        return self.up and self._overdue

    def next_due(self) -> float:
        """When `turn` has something to do, or `doubted` may change, though nothing comes; monotonic seconds."""
        if not self.up:
            return self._until
        if self._asked == NEVER:
            return min(self._spoke, self._heard) + self._pace.keepalive
        doubt = self._asked + self._pace.doubt
        return doubt if time.monotonic() < doubt else self._asked + self._pace.silence

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
        stream, self._client, self._stream = self._stream, None, None
        if stream is not None:
            stream.close()

    def subscribe(self, topics: list[str]) -> None:
        """Ask the broker for these topics at QoS 1; leaves with `flush`."""
        if self._client:
            self._client.subscribe([(topic, 1) for topic in topics])

    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> bool:
        """Put one message at QoS 1 on its way, which leaves with `flush`; False when there is no connection for it."""
        if not self.up or self._stream is None:
            return False
        if self._stream.owed >= OWED:
            self._fail("unanswered", f"the broker owes an answer to {OWED} messages")
            return False
        self._stream.publish(topic.encode(), payload, retain=retain)
        return True

    def flush(self) -> None:
        """Send what was published, as much of it as the socket takes now."""
        if self._stream is None or not self._stream.unsent:
            return
        self._spoke = time.monotonic()
        if self._stream.silent_about:
            self._asked = min(self._asked, self._spoke)
        self._stream.flush()

    def take(self) -> tuple[str, bytes] | None:
        """The oldest message that has come, as topic and payload; None when there is none."""
        message = self._stream.take() if self._stream else None
        return (message[0].decode(errors="replace"), message[1]) if message else None

    @property
    def waiting(self) -> bool:
        """Whether a message waits to be taken."""
        return self._stream is not None and self._stream.waiting

    @property
    def choked(self) -> bool:
        """Whether bytes wait that the socket would not take."""
        return self._stream is not None and self._stream.unsent > 0

    def part(self, topic: str, payload: bytes, seconds: float = 1.0) -> None:
        """Say a retained last word, wait for the broker to have it, and leave without a will."""
        deadline = time.monotonic() + seconds
        if self.publish(topic, payload, retain=True) and self._client and self._stream:
            self.flush()
            while self._stream.owed and not self._broken and time.monotonic() < deadline:
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

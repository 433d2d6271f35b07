"""What the window says of itself, retained: presence, status, health; when it changes, and on every new connection.

The rules: status goes when its bytes change; health when something other than a wandering number does, a second apart
at least, and every 60 s whatever it says; and when nothing waits any more after it had said that something does.
"""

import time
from collections.abc import Callable
from datetime import UTC, datetime

import msgspec

from appliance import wire
from appliance.courier.line import Line

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
GAP, LOOK = 1.0, 5.0
"""Seconds between two looks at the window's health: at least, when things happen, and at most, when nothing does."""


class Standing:
    """The retained topics of one window; used by the courier's thread only."""

    def __init__(
        self,
        line: Line,
        window: str,
        *,
        status: Callable[[], wire.Status],
        health: Callable[[], wire.Health],
        now: Callable[[], datetime],
        every: float,
    ) -> None:
        self._line, self._window, self._now, self._every = line, window, now, every
        self._status, self._health = status, health
        self.begin()

    def begin(self) -> None:
        """A new connection: nothing has been said over it."""
        self._said_status: bytes | None = None
        self._said_health: wire.Health | None = None
        self._health_from = self._health_at = self.look_at = 0.0

    def presence(self, online: bool) -> tuple[str, bytes]:
        """Topic and payload of our own word that we are there, or go."""
        presence = wire.Presence(online=online, session=self._line.session, at=self._now())
        return wire.window_topic(self._window, "presence"), wire.encode(presence)

    def say_presence(self) -> None:
        """We are there, in this session."""
        self._line.publish(*self.presence(True), retain=True)

    def tell(self, woken: bool) -> None:
        """Say what is due; `woken` when something may have changed."""
        now = time.monotonic()
        looks = now >= self.look_at
        if woken or looks:
            self._tell_status()
        if looks or (woken and now >= self._health_from):
            self._tell_health(now)

    def _tell_status(self) -> None:
        status = wire.encode(self._status())
        if status != self._said_status and self._say("status", status):
            self._said_status = status

    def _tell_health(self, now: float) -> None:
        said, health = self._said_health, self._health()
        waits = bool(said and said.outbox.depth)
        self._health_from, self.look_at = now + GAP, now + (GAP if waits else min(LOOK, self._every))
        arrived = waits and not health.outbox.depth
        if said and settled(health) == settled(said) and now < self._health_at and not arrived:
            return
        if self._say("health", wire.encode(health)):
            self._said_health, self._health_at = health, now + self._every

    def _say(self, name: str, payload: bytes) -> bool:
        return self._line.publish(wire.window_topic(self._window, name), payload, retain=True)


def settled(health: wire.Health) -> wire.Health:
    """A health without the numbers that wander by themselves."""
    outbox = wire.OutboxState(depth=0, oldest_s=None)
    return msgspec.structs.replace(health, at=EPOCH, outbox=outbox, disk_free_mb=0, temperature_c=None)

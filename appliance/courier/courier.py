"""What the courier carries: facts to the county until it says that it has them, the window's standing, orders back.

The rules:

- The ledger is the queue. Nothing is published while there is no connection; each connection starts from the oldest
  fact that the county has not acknowledged.
- A fact goes byte for byte as the ledger has it. Which, how many and how often is for `flight` to say.
- The county's acknowledgement frees its place at once; the ledger learns of it in batches, half a second late at most,
  so that a press seldom finds the card busy with it. Killed in between, the county gets those facts twice and keeps
  them once.
- An acknowledgement for another ledger is none of ours: the card may have been replaced.
- What cannot be read is counted, told to the journal once, and never stops the courier. What is a fault of ours raises:
  a loop that ends, ends the process.
"""

import logging
import random
import time
from collections import deque
from collections.abc import Callable
from datetime import datetime

import msgspec

from appliance import wire
from appliance.courier import letters
from appliance.courier.dial import Address
from appliance.courier.flight import Flight
from appliance.courier.line import Line, Pace, Will
from appliance.courier.standing import Standing
from appliance.ledger import Kept, Ledger, NotKept

log = logging.getLogger("appliance.courier")

BATCH = 256
"""Facts read from the ledger at once, and acknowledged ones that are written to it before their half second is over."""
WRITE_AFTER, NOTICE_AFTER = 0.5, 0.2
NEWS_AFTER = 2.0
"""Seconds after which a presence of the county is no longer the retained one that greets every connection."""


class Link(msgspec.Struct, frozen=True):
    """How the window stands with the county; `since` is when `connected` last changed, `depth` the facts not yet there.

    `trouble` is empty while connected, else unreachable, unanswered, refused or lost; `county` is None until known.
    """

    connected: bool
    since: datetime
    depth: int
    trouble: str = ""
    county: bool | None = None


class Courier:
    """Carries one window's facts; all but `wake` and `link` belong to the one thread that calls `step` and `close`.

    `on_order` gets an order's id and name each time the county says it; `on_link` is called from our thread whenever
    `link` changed. What either raises ends the courier.
    """

    def __init__(
        self,
        *,
        window: str,
        address: Address,
        ledger: Ledger,
        status: Callable[[], wire.Status],
        health: Callable[[], wire.Health],
        now: Callable[[], datetime],
        on_order: Callable[[str, str], object],
        on_link: Callable[[], object] = lambda: None,
        pace: Pace | None = None,
    ) -> None:
        self._window, self._ledger, self._now = window, ledger, now
        self._on_order, self._on_link = on_order, on_link
        self._pace = pace or Pace()
        self._line = Line(window, address, self._pace, self._will)
        self._standing = Standing(self._line, window, status=status, health=health, now=now, every=self._pace.health)
        self._flight: Flight[Kept] | None = None
        self._waiting: deque[Kept] = deque()
        self._acked: list[tuple[int, int]] = []
        self._landed = 0
        self._write_at = float("inf")
        self._county: wire.Presence | None = None
        self._arrived_at = 0.0
        self._link = Link(False, now(), ledger.backlog()[0])
        self._moved, self._notice_at = False, 0.0
        self.strays: dict[letters.Kind, int] = {}

    def wake(self) -> None:
        """There is something new to carry; from any thread, cheap."""
        self._line.wake()

    def link(self) -> Link:
        """How the window stands with the county; from any thread."""
        return self._link

    def step(self, timeout: float) -> None:
        """One turn: wait at most `timeout` seconds for the network or a wake, then do what is due."""
        woken = self._line.wait(max(0.0, min(timeout, self._next_due() - time.monotonic())))
        self._line.turn()
        if self._line.up:
            self._work(woken)
        if not self._line.up:
            self._flight, self._county = None, None
        self._moved |= woken
        if time.monotonic() >= self._write_at:
            self._write_acked()
        self._notice()

    def _work(self, woken: bool) -> None:
        if self._flight is None:
            self._flight = self._arrive()
        self._take_in()
        if not self._line.choked:
            self._carry(self._flight)
        self._standing.tell(woken)

    def _next_due(self) -> float:
        due = min(self._write_at, self._notice_at if self._moved else float("inf"))
        if self._flight is None:
            return due
        # What cannot be written now wakes us by the socket, not by the clock.
        again = float("inf") if self._line.choked else self._flight.next_due()
        return min(due, again, self._standing.look_at)

    def close(self) -> None:
        """Say that the window goes, let go of the line, and write down what the county has acknowledged."""
        self._line.part(*self._standing.presence(False))
        self._flight = None
        self._write_acked()

    def _will(self) -> Will:
        session = self._ledger.next_session()
        payload = wire.encode(wire.Presence(online=False, session=session))
        return Will(session, wire.window_topic(self._window, "presence"), payload)

    def _arrive(self) -> Flight[Kept]:
        # What is acknowledged but not yet written would be read from the ledger and sent again.
        self._write_acked()
        self._waiting.clear()
        self._standing.begin()
        self._arrived_at = time.monotonic()
        # Who hears that we are there may speak to us at once; what the broker held of us before is old news by then.
        self._line.subscribe(letters.topics(self._window))
        self._standing.say_presence()
        self._line.subscribe([wire.window_topic(self._window, "presence")])
        return Flight(self._ledger.last_seq, first=self._pace.resend_first, last=self._pace.resend_last)

    # ---- out ----------------------------------------------------------------------------------------------------

    def _carry(self, flight: Flight[Kept]) -> None:
        now = time.monotonic()
        if flight.live_after < self._ledger.last_seq and (room := flight.live_room()):
            self._launch(flight, self._ledger.unsent(room, flight.live_after), now)
        if room := flight.old_room():
            self._launch(flight, self._next_old(flight, room), now)
        if flight.next_due() <= now:
            self._launch(flight, flight.due(now), now)

    def _next_old(self, flight: Flight[Kept], room: int) -> list[Kept]:
        if not self._waiting:
            kept = self._ledger.unsent(BATCH, flight.old_after)
            self._waiting.extend(fact for fact in kept if fact.seq <= flight.horizon)
        facts = [self._waiting.popleft() for _ in range(min(room, len(self._waiting)))]
        if not facts:
            flight.no_more_old()
        return facts

    def _launch(self, flight: Flight[Kept], facts: list[Kept], now: float) -> None:
        if len(facts) > 1:
            with self._line.together():
                self._publish(flight, facts, now)
        else:
            self._publish(flight, facts, now)

    def _publish(self, flight: Flight[Kept], facts: list[Kept], now: float) -> None:
        for fact in facts:
            if not self._line.publish(wire.window_topic(self._window, "fact", fact.type), fact.payload):
                return
            flight.launch(fact, now, random.random())

    # ---- in -----------------------------------------------------------------------------------------------------

    def _take_in(self) -> None:
        while self._line.messages:
            topic, payload = self._line.messages.popleft()
            letter = letters.read(self._window, self._ledger.id, self._ledger.last_seq, topic, payload)
            match letter:
                case letters.Acked(ranges):
                    self._take_acked(ranges)
                case letters.Ordered(order, name):
                    self._on_order(order, name)
                case letters.OwnPresence(presence):
                    # A broker may say the will of our last connection after our first word on this one.
                    if not presence.online:
                        self._standing.say_presence()
                case letters.CountyPresence(presence):
                    self._take_county(presence)
                case letters.Stray(kind, why):
                    self._lay_aside(kind, why)

    def _take_acked(self, ranges: list[tuple[int, int]]) -> None:
        if self._flight is not None:
            self._landed += self._flight.land(ranges)
        self._acked.extend(ranges)
        late = 0.0 if self._landed >= BATCH else WRITE_AFTER
        self._write_at = min(self._write_at, time.monotonic() + late)
        self._moved = True
        self._line.prove()

    def _take_county(self, presence: wire.Presence) -> None:
        known, flight = self._county, self._flight
        if known and not presence.online and presence.session < known.session:
            return
        self._county, self._moved = presence, True
        if flight is None or not presence.online:
            return
        # Retained, it comes with the connection and is no news; later, it is a county that was not there before.
        new = time.monotonic() - self._arrived_at > NEWS_AFTER if known is None else not _same(known, presence)
        if new:
            flight.hasten()

    def _lay_aside(self, kind: letters.Kind, why: str) -> None:
        if kind not in self.strays:
            log.warning("ignored, and the next of its kind without a word: %s", why)
        self.strays[kind] = self.strays.get(kind, 0) + 1

    # ---- what the ledger and the panel learn --------------------------------------------------------------------

    def _write_acked(self) -> None:
        self._write_at = float("inf")
        if not self._acked:
            return
        self._acked = letters.merged(self._acked)
        try:
            self._ledger.acknowledge(self._acked)
        except NotKept as problem:
            # Nothing is lost: the county has these facts, and gets them again should we forget that it does.
            log.warning("the ledger did not take the county's word: %s", problem)
            self._write_at = time.monotonic() + self._pace.full_card
            return
        self._acked, self._landed = [], 0

    def _notice(self) -> None:
        known, now = self._link, time.monotonic()
        turned = known.connected != self._line.up or known.trouble != self._line.trouble
        if not turned and not (self._moved and now >= self._notice_at):
            return
        self._moved, self._notice_at = False, now + NOTICE_AFTER
        county = self._county.online if self._county else None
        since = known.since if known.connected == self._line.up else self._now()
        depth = max(0, self._ledger.backlog()[0] - self._landed)
        self._link = Link(self._line.up, since, depth, self._line.trouble, county)
        if self._link != known:
            self._on_link()


def _same(known: wire.Presence, presence: wire.Presence) -> bool:
    return known.online and known.session == presence.session

"""What the courier carries: facts to the county until it says that it has them, the window's standing, orders back.

The rules:

- The ledger is the queue. Nothing is published while there is no connection; each connection starts from the oldest
  fact that the county has not acknowledged.
- A fact goes byte for byte as the ledger has it. Which, how many and how often is for `flight` to say.
- The county's acknowledgement frees its place at once; the ledger learns of it in batches, half a second late at most,
  so that a press seldom finds the card busy with it. Killed in between, the county gets those facts twice and keeps
  them once.
- An acknowledgement for another ledger is none of ours: the card may have been replaced.
- What cannot be read, or cannot be handled whatever it raises, is counted, told to the journal once of each kind, and
  never stops the courier. Orders are handled as fast as a county means them (`Allowance`); it says the others again.
  What is a fault of ours raises: a loop that ends, ends the process.
- The line is in doubt while the broker, or the county behind it, owes an answer for some seconds. The county is there
  when its presence says so, and when it has acknowledged something since its presence said that it is not: of two
  collectors one may have gone.
- Facts that come back into the outbox (the county asks for them again) are old facts of a flight that looks back.
"""

import logging
import random
import time
from collections import deque
from collections.abc import Callable
from datetime import datetime
from typing import Literal

import msgspec

from appliance import wire
from appliance.courier import letters
from appliance.courier.dial import Address
from appliance.courier.flight import NEVER, Flight
from appliance.courier.line import Line, Pace, Will
from appliance.courier.standing import Standing
from appliance.ledger import Kept, Ledger, NotKept

log = logging.getLogger("appliance.courier")

BATCH = 256
"""Facts read from the ledger at once, and acknowledged ones that are written to it before their half second is over."""
WRITE_AFTER, NOTICE_AFTER = 0.5, 0.2
NEWS_AFTER = 2.0
"""Seconds after which a presence of the county is no longer the retained one that greets every connection."""
TAKEN_IN = 200
"""Messages that one step takes in before facts go again."""


class Allowance:
    """How many orders may come at once, and after how many seconds one more: each is written to the card."""

    def __init__(self, most: float, every_s: float) -> None:
        self._most, self._every_s, self._left, self._at = most, every_s, most, 0.0

    def takes(self, now: float) -> bool:
        """Whether there is one left; it is gone then."""
        self._left = min(self._most, self._left + (now - self._at) / self._every_s)
        self._at = now
        if self._left < 1:
            return False
        self._left -= 1
        return True


REPLAYS, OTHERS = (30.0, 4.0), (20.0, 60.0)
"""A county asks a ledger again every five seconds at most; what else it orders this version only refuses."""


StrayKind = letters.Kind | Literal["too_many_orders", "broken"]


class Link(msgspec.Struct, frozen=True):
    """How the window stands with the county; `since` is when `connected` last changed, `depth` the facts not yet there.

    `trouble` is empty while connected, else unreachable, unanswered, refused or lost; `county` is None until known.
    `doubt` says who owes an answer for some seconds while the connection stands.
    """

    connected: bool
    since: datetime
    depth: int
    trouble: str = ""
    county: bool | None = None
    doubt: Literal["", "broker", "county"] = ""


class Courier:
    """Carries one window's facts; all but `wake`, `link` and `behind_s` belong to the thread that calls `step`.

    `on_order` gets an order each time the county says it, and what it raises puts that order aside;
    `on_link` is called from our thread whenever `link` changed, and what it raises ends the courier.
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
        on_order: Callable[[letters.Ordered], object],
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
        self._county_there: bool | None = None
        self._arrived_at = 0.0
        self._replays, self._others = Allowance(*REPLAYS), Allowance(*OTHERS)
        self._waits_since = NEVER
        self._link = Link(False, now(), ledger.depth())
        self._moved, self._notice_at = False, 0.0
        self.strays: dict[StrayKind, int] = {}

    def wake(self) -> None:
        """There is something new to carry; from any thread, cheap."""
        self._line.wake()

    def link(self) -> Link:
        """How the window stands with the county; from any thread."""
        return self._link

    def behind_s(self) -> float:
        """Seconds that the oldest fact waits for the county while there is a connection, else 0; from any thread."""
        return max(0.0, time.monotonic() - self._waits_since)

    def step(self, timeout: float) -> None:
        """One turn: wait at most `timeout` seconds for the network or a wake, then do what is due."""
        woken = self._line.wait(max(0.0, min(timeout, self._next_due() - time.monotonic())))
        self._line.turn()
        if self._line.up:
            self._work(woken)
        if not self._line.up:
            self._flight, self._county, self._county_there = None, None, None
        self._waits_since = self._flight.waits_since() if self._flight else NEVER
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
            self._line.flush()
        self._standing.tell(woken)
        self._line.flush()

    def _next_due(self) -> float:
        due = min(self._write_at, self._notice_at if self._moved else NEVER)
        if self._flight is None:
            return due
        if self._line.waiting:
            return 0.0
        # What cannot be written now wakes us by the socket, not by the clock.
        again = NEVER if self._line.choked else self._flight.next_due()
        return min(due, again, self._doubt_due(self._flight), self._standing.look_at, self._line.next_due())

    def _doubt_due(self, flight: Flight[Kept]) -> float:
        due = flight.owes_since + self._pace.doubt
        return due if self._link.doubt == "" or due > time.monotonic() else NEVER

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
        pace, began = self._pace, self._arrived_at
        return Flight(self._ledger.last_seq, began, first=pace.resend_first, last=pace.resend_last)

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
            self._waiting.extend(fact for fact in kept if fact.seq <= flight.horizon and fact.seq not in flight)
        facts = [self._waiting.popleft() for _ in range(min(room, len(self._waiting)))]
        if not facts:
            flight.no_more_old()
        return facts

    def _launch(self, flight: Flight[Kept], facts: list[Kept], now: float) -> None:
        for fact in facts:
            if not self._line.publish(wire.window_topic(self._window, "fact", fact.type), fact.payload):
                return
            flight.launch(fact, now, random.random())

    # ---- in -----------------------------------------------------------------------------------------------------

    def _take_in(self) -> None:
        for _ in range(TAKEN_IN):
            message = self._line.take()
            if message is None:
                return
            topic, payload = message
            try:
                self._take(letters.read(self._window, self._ledger.id, self._ledger.last_seq, topic, payload))
            except Exception as problem:  # noqa: BLE001 - whatever one message leads to, the next is handled
                self._lay_aside("broken", f"{topic[:200]}: {problem!r}"[:400])

    def _take(self, letter: letters.Letter) -> None:
        match letter:
            case letters.Acked(ranges):
                self._take_acked(ranges)
            case letters.Ordered():
                self._take_order(letter)
            case letters.OwnPresence(presence):
                # A broker may say the will of our last connection after our first word on this one.
                if not presence.online:
                    self._standing.say_presence()
            case letters.CountyPresence(presence):
                self._take_county(presence)
            case letters.Stray(kind, why):
                self._lay_aside(kind, why)

    def _take_order(self, order: letters.Ordered) -> None:
        replay = order.replay is not None and order.replay.ledger == self._ledger.id
        if (self._replays if replay else self._others).takes(time.monotonic()):
            self._on_order(order)
        else:
            self._lay_aside("too_many_orders", "more orders than a county means")

    def _take_acked(self, ranges: list[tuple[int, int]]) -> None:
        now = time.monotonic()
        if self._flight is not None:
            self._landed += self._flight.land(ranges, now)
        self._acked.extend(ranges)
        late = 0.0 if self._landed >= BATCH else WRITE_AFTER
        self._write_at = min(self._write_at, now + late)
        self._moved = self._county_there = True
        self._line.prove()

    def _take_county(self, presence: wire.Presence) -> None:
        known, flight = self._county, self._flight
        if known and not presence.online and presence.session < known.session:
            return
        self._county, self._county_there, self._moved = presence, presence.online, True
        if flight is None or not presence.online:
            return
        # Retained, it comes with the connection and is no news; later, it is a county that was not there before.
        new = time.monotonic() - self._arrived_at > NEWS_AFTER if known is None else not _same(known, presence)
        if new:
            flight.hasten()

    def _lay_aside(self, kind: StrayKind, why: str) -> None:
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
        # Only now is it known what of the ledger is neither there nor under way: a replay may have put it back.
        self._moved |= self._flight is not None and self._ledger.depth() > len(self._flight)

    def _notice(self) -> None:
        known, now = self._link, time.monotonic()
        doubt = self._doubt(now)
        turned = known.connected != self._line.up or known.trouble != self._line.trouble or known.doubt != doubt
        if not turned and not (self._moved and now >= self._notice_at):
            return
        self._moved, self._notice_at = False, now + NOTICE_AFTER
        since = known.since if known.connected == self._line.up else self._now()
        depth = max(0, self._ledger.depth() - self._landed)
        self._look_back(depth, now)
        self._link = Link(self._line.up, since, depth, self._line.trouble, self._county_there, doubt)
        if self._link != known:
            self._on_link()

    def _doubt(self, now: float) -> Literal["", "broker", "county"]:
        if self._line.doubted:
            return "broker"
        owes = self._flight is not None and now - self._flight.owes_since >= self._pace.doubt
        return "county" if owes else ""

    def _look_back(self, depth: int, now: float) -> None:
        flight = self._flight
        if flight is None or flight.old_wait or self._acked or flight.live_after < self._ledger.last_seq:
            return
        if depth > len(flight):
            flight.look_back(now)
            self._moved = True


def _same(known: wire.Presence, presence: wire.Presence) -> bool:
    return known.online and known.session == presence.session

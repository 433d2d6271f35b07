"""Brings what the windows say into the book, and tells them what is there: read, keep, COMMIT, acknowledge.

One thread, in turn: read what is there and sort it by window (`intake`), keep a batch of which every window has its
share (`keeper`), tell what was kept (`acks`), and now and then a slice of what can wait. Nothing of it grows with what
comes: the intake has its room, a batch its bounds in number and bytes, the acknowledgements are merged. Whatever was
read and not kept before we die comes again, because its window was not told that we have it.
"""

import logging
import random
import time
from typing import Final

import msgspec
from sqlalchemy.exc import DBAPIError

from appliance import wire
from appliance.county.acks import Acks
from appliance.county.book import BATCH, Batch, Book, Kept
from appliance.county.earshot import Earshot
from appliance.county.engine import is_away, words
from appliance.county.inlet import Arrived
from appliance.county.intake import Intake, Waiting
from appliance.county.keeper import Away, Keeper, Outcome, batch_of
from appliance.county.line import Broker, Line, Lost
from appliance.county.presence import heeded
from appliance.county.pulse import Pulse
from appliance.county.reading import Reader, Sighting
from appliance.county.wall import Wall
from appliance.window.facts import ClockSynced

log = logging.getLogger("appliance.county")

TURN_S: Final = 1.0
"""How long a step may wait for something to do."""
LINGER_S: Final = 0.005
"""The longest that a batch waits for more: as long as the book took for the last, so that a slow disk gets more."""
READ_S: Final = 0.1
"""How long a step reads at most while more and more comes."""
BATCH_BYTES: Final = 2 << 20
"""Bytes that a batch has at most, and one message more."""
LOOK_S: Final = 10.0
"""How often the broker is asked for facts that it keeps; they are cleared."""
LOOK_AGAIN_S: Final = 2.0
"""The same when it had some the last time: it tells no more at once than its queue for us holds."""
PRESENT_S: Final = 5.0
"""The least time between two words that the county is there, however often others say that it is not."""
SHORT_S: Final = 60.0
OUSTED: Final = 3
"""So many connections in a row that ended within a minute: somebody else may come under our name."""
REPLAY_S: Final = 5.0
"""How often the book is asked what is to be asked of the windows."""


class Pace(msgspec.Struct, frozen=True):
    """Seconds: between attempts to reach the broker, and between attempts to write what the book would not take."""

    first: float = 1.0
    last: float = 60.0
    proven: float = 30.0
    """A connection that lasted so long ends a row of failures."""
    again: float = 0.5
    again_last: float = 5.0


def backoff(losses: int, pace: Pace, draw: float) -> float:
    """Seconds to rest after so many losses in a row; `draw`, 0…1, keeps many from coming back at the same instant."""
    return max(pace.first, min(pace.last, pace.first * float(2 ** min(losses, 16))) * (0.5 + draw / 2))


def client_id(county: str, name: str) -> str:
    """The collector's name at the broker: another for each that reads the same county."""
    return f"county-{county}-{name}" if name else f"county-{county}"


class Collector:
    """A collector of one county; `name` tells it from the others of that county."""

    def __init__(
        self, county: str, broker: Broker, book: Book, wall: Wall, *, name: str = "", pace: Pace | None = None
    ) -> None:
        self._county, self._broker, self._book, self._wall = county, broker, book, wall
        self._name = client_id(county, name)
        self._pace = pace or Pace()
        self._reader = Reader(county)
        self._presence_topic = wire.county_topic(county, "county", "presence").encode()
        self._intake, self._acks, self._keeper = Intake(), Acks(), Keeper(book, self._now_us)
        self._earshot = Earshot(county, book.windows())
        self._line: Line | None = None
        self._up_since: float | None = None
        self._losses = self._ousted = self._refusals = 0
        self._dial_at = self._keep_at = 0.0
        self._linger = 0.001
        self._stamp = 0
        self._oldest: float | None = None
        self._doubted = False
        self._present_at = self._look_at = self._replay_at = 0.0
        self._littered = False
        self._redating = True
        self.pulse = Pulse()
        """How far behind we are, as it was at the end of the last step."""

    def step(self) -> None:
        """One turn: a second at most, or as long as a connection or the book takes."""
        try:
            if self._line is None:
                self._dial()
            else:
                self._listen(self._line)
            self._work()
            if self._line is not None and self._line.up:
                self._tell(self._line)
        except Lost as loss:
            self._lose(str(loss))
        self.pulse = self._felt()

    @property
    def waiting(self) -> int:
        """Messages that were read and are not kept yet."""
        return len(self._keeper) + len(self._intake)

    def close(self) -> None:
        """Say that we go, and go."""
        if self._line is not None:
            self._line.close(politely=True)
            self._line = None

    # ---- the line

    def _dial(self) -> None:
        now = time.monotonic()
        due = max(self._dial_at, self._keep_at if self._refusals else 0.0)
        if due > now and (self._refusals or not self.waiting):
            time.sleep(min(due - now, TURN_S))
        if time.monotonic() < due:
            return
        try:
            session = self._book.next_session()
        except DBAPIError as error:
            self._refused(Away(words(error)))
            return
        self._recovered()
        try:
            self._line = Line(self._county, self._name, self._broker, session)
        except (OSError, ValueError) as error:
            self._ousted = 0
            self._rest(str(error))

    def _listen(self, line: Line) -> None:
        line.move(self._patience(line), reading=not self._intake.full)
        until = time.monotonic() + READ_S
        self._take_in(line)
        while line.inlet.more and not self._intake.full and time.monotonic() < until:
            line.move(0.0)
            self._take_in(line)
        if line.up:
            if self._up_since is None:
                self._arrive(line)
            self._mind_floods(line)
        until = time.monotonic() + 4 * self._linger
        while not len(self._keeper) and 0 < (before := len(self._intake)) < BATCH and time.monotonic() < until:
            line.move(self._linger)
            self._take_in(line)
            if len(self._intake) == before:
                break

    def _take_in(self, line: Line) -> None:
        """Sort what has come; what is for the collectors themselves, or says nothing, does not wait."""
        came = [it for it in line.inlet.take() if it.topic != self._presence_topic or self._doubt(it)]
        self._intake.add(came)
        for topic in line.inlet.litter():
            self._littered = True
            line.clear(topic)

    def _mind_floods(self, line: Line) -> None:
        before, now = self._earshot.left_out, time.monotonic()
        for change in self._earshot.turn(self._intake.floods(), now):
            line.hear(change.hear)
            line.leave(change.leave)
        if (left_out := self._earshot.left_out) != before:
            line.inlet.flush()
            self._intake.suspect(self._earshot.suspects(now))
            log.warning("left out because they flood: %s", ", ".join(sorted(left_out)[:20]) or "nobody any more")

    def _doubt(self, arrived: Arrived) -> bool:
        """Somebody says for the county that it is there, or that it is not: a will of old, or another collector's."""
        try:
            said = wire.read(arrived.payload, _PRESENCE)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return False
        self._doubted = self._doubted or not said.online
        return False

    def _arrive(self, line: Line) -> None:
        self._up_since = self._present_at = self._look_at = time.monotonic()
        self._doubted = False
        line.leave(self._earshot.forget())
        self._wall.link(True)
        log.info("connected to %r as %s", self._broker, self._name)

    def _patience(self, line: Line) -> float:
        """How long the line may wait for something new."""
        if len(self._keeper):
            return max(0.0, min(TURN_S, self._keep_at - time.monotonic()))
        if line.inlet.more or len(self._intake) or self._redating:
            return 0.0
        return TURN_S

    def _lose(self, why: str) -> None:
        if self._line is not None:
            self._line.close(politely=False)
            self._line = None
        if self._up_since is not None:
            self._wall.link(False)
            lasted = time.monotonic() - self._up_since
            if lasted > self._pace.proven:
                self._losses = 0
            self._ousted = self._ousted + 1 if lasted < SHORT_S else 0
            self._up_since = None
        self._rest(why)

    def _rest(self, why: str) -> None:
        rest = backoff(self._losses, self._pace, random.random())
        self._losses += 1
        self._dial_at = time.monotonic() + rest
        log.warning("no connection to %r: %s; again in %.1f s", self._broker, why, rest)
        if self._ousted >= OUSTED:
            log.error(
                "the broker ends one connection after another: does another collector call itself %s?", self._name
            )

    # ---- the book

    def _work(self) -> None:
        if not len(self._keeper) and len(self._intake):
            self._keeper.add(self._read(self._intake.take(BATCH, BATCH_BYTES)))
        if len(self._keeper):
            if time.monotonic() >= self._keep_at:
                self._keep()
        elif self._redating and time.monotonic() >= self._keep_at:
            self._put_right()

    def _read(self, taken: list[Waiting]) -> Batch:
        """These as a batch; of what a window says of itself only the last word, which is all that the book keeps."""
        read, seen = self._reader.read, dict[tuple[str, str], Sighting]()
        found = []
        self._oldest = taken[0].at if taken else None
        for at, arrived in taken:
            self._oldest = min(at, self._oldest or at)
            if not arrived.size and b"/fact/" in arrived.topic:
                continue  # somebody, most likely a collector, has cleared what the broker kept
            if not (message := read(arrived)):
                continue
            if isinstance(message, Sighting):
                key = (message.window, message.kind)
                seen[key] = _later(seen.get(key), message)
            else:
                found.append(message)
        return batch_of([*found, *seen.values()])

    def _keep(self) -> None:
        self.pulse = self._felt()
        began = time.monotonic()
        done, away = self._keeper.work()
        for outcome in done:
            self._acknowledge(outcome)
            self._show(outcome.kept)
        while self._keeper.refused:
            self._intake.slow_down(self._keeper.refused.pop())
        if away is not None:
            self._refused(away)
            return
        self._linger = min(LINGER_S, time.monotonic() - began)
        self._recovered()

    def _refused(self, away: Away) -> None:
        """The book takes nothing: nothing is acknowledged, and the same batch is tried again and again."""
        wait = min(self._pace.again_last, self._pace.again * 2 ** min(self._refusals, 16))
        self._refusals += 1
        self._keep_at = time.monotonic() + wait
        self._wall.trouble("book")
        log.error("the book takes nothing: %s; again in %.1f s", away, wait)

    def _recovered(self) -> None:
        if self._refusals:
            self._refusals = 0
            self._wall.trouble(None)
            log.info("the book takes what comes again")

    # ---- what was kept

    def _acknowledge(self, outcome: Outcome) -> None:
        have: dict[tuple[str, str], list[int]] = {}
        for letter in (*outcome.kept.letters.values(), *outcome.kept.conflicts):
            have.setdefault((letter.window, letter.ledger), []).append(letter.seq)
            if not letter.synced or isinstance(letter.fact, ClockSynced):
                self._redating = True
        for misfit in outcome.batch.misfits:
            if misfit.window and misfit.ledger and misfit.seq:
                have.setdefault((misfit.window, misfit.ledger), []).append(misfit.seq)
        self._earshot.know({window for window, _ in have} | {it.window for it in outcome.batch.sightings})
        for (window, ledger), seqs in have.items():
            self._acks.add(window, ledger, seqs)

    def _show(self, kept: Kept) -> None:
        """Tell the wall; what it cannot show is in the book all the same, and stands there after the next start."""
        try:
            self._wall.take(kept, self._stamp)
        except Exception:
            log.exception("the wall cannot show what was kept")

    def _put_right(self) -> None:
        try:
            moved, devices, self._redating = self._book.put_right()
            self._wall.put_right(moved, devices)
        except Exception as error:
            if is_away(error):
                self._refused(Away(words(error)))
                return
            self._redating = False
            log.exception("times cannot be put right")

    # ---- what is said

    def _tell(self, line: Line) -> None:
        for topic, payload in self._acks.take(line.room):
            line.publish(topic, payload)
        now = time.monotonic()
        if self._doubted and now - self._present_at >= PRESENT_S:
            self._doubted, self._present_at = False, now
            line.say_present()
        if self._earshot.whole and now - self._look_at >= (LOOK_AGAIN_S if self._littered else LOOK_S):
            self._look_at, self._littered = now, False
            line.look_for_litter()
        if now - self._replay_at >= REPLAY_S:
            self._replay_at = now
            self._ask_for_replays(line)
        line.inlet.flush()

    def _ask_for_replays(self, line: Line) -> None:
        try:
            due = self._book.due_replays(self._now_us())
        except DBAPIError as error:
            log.warning("the book does not say what is missing: %s", words(error))
            return
        for window, order in due:
            line.publish(wire.window_topic(window, "order", "replay"), wire.encode(order))

    def _felt(self) -> Pulse:
        held = self._oldest if len(self._keeper) else None
        lived = time.monotonic() - self._up_since if self._up_since is not None else 0.0
        return Pulse(
            waiting=self.waiting,
            oldest=min((at for at in (held, self._intake.oldest) if at is not None), default=None),
            untold=len(self._acks),
            untold_since=self._acks.oldest,
            dropped=dict(self._intake.dropped),
            left_out=self._earshot.left_out,
            unkeepable=self._keeper.unkeepable.total(),
            redating=self._redating,
            ousted=self._ousted >= OUSTED and lived < 2 * SHORT_S,
        )

    def _now_us(self) -> int:
        """Microseconds since 1970, never the same twice: the book tells batches apart by it."""
        self._stamp = max(self._stamp + 1, time.time_ns() // 1000)
        return self._stamp


_PRESENCE: Final[msgspec.json.Decoder[wire.Presence]] = msgspec.json.Decoder(wire.Presence)


def _later(before: Sighting | None, now: Sighting) -> Sighting:
    """Which of two sightings of one kind counts: the later, unless it is the last will of an older connection."""
    if before is None or not isinstance(now.value, wire.Presence) or not isinstance(before.value, wire.Presence):
        return now
    return now if heeded(now.value, before.value.session if before.value.online else None) else before

"""Brings what the windows say into the book, and tells them what is there: read, keep, COMMIT, acknowledge.

One thread, one batch at a time: while the book takes a batch nothing more is read, so a broker that floods us after an
outage fills the kernel's buffers and not our memory. Whatever was read and not kept before we die comes again, because
its window was not told that we have it.
"""

import logging
import random
import time
from typing import Final

import msgspec
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError

from appliance import wire
from appliance.county.book import BATCH, Batch, Book, Kept
from appliance.county.line import Broker, Line, Lost
from appliance.county.reading import Letter, Misfit, Reader, Sighting
from appliance.county.wall import Wall

log = logging.getLogger("appliance.county")

TURN_S: Final = 1.0
"""How long a step may wait for something to do."""
LINGER_S: Final = 0.005
"""The longest that a batch waits for more: as long as the book took for the last, so that a slow disk gets more."""


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


class Collector:
    """The collector of one county; `name` is its MQTT client id, another for each that reads the same county."""

    def __init__(
        self, county: str, broker: Broker, book: Book, wall: Wall, *, name: str = "", pace: Pace | None = None
    ) -> None:
        self._county, self._broker, self._book, self._wall = county, broker, book, wall
        self._name = name or f"county-{county}"
        self._pace = pace or Pace()
        self._reader = Reader(county)
        self._line: Line | None = None
        self._up_since: float | None = None
        self._losses = 0
        self._dial_at = 0.0
        self._held = Batch()
        self._refusals = 0
        self._keep_at = 0.0
        self._linger = 0.001
        self._stamp = 0

    def step(self) -> None:
        """One turn: a second at most, or as long as a connection or the book takes."""
        try:
            if self._line is None:
                self._dial()
            else:
                self._listen(self._line)
            if len(self._held) and time.monotonic() >= self._keep_at:
                self._keep()
        except Lost as loss:
            self._lose(str(loss))

    @property
    def waiting(self) -> int:
        """Messages that were read and are not kept yet."""
        return len(self._held) + (self._line.inlet.waiting if self._line else 0)

    def close(self) -> None:
        """Say that we go, and go."""
        if self._line is not None:
            self._line.close(politely=True)
            self._line = None

    # ---- the line

    def _dial(self) -> None:
        now = time.monotonic()
        due = self._keep_at if len(self._held) else self._dial_at
        if due > now:
            time.sleep(min(due - now, TURN_S))
        if len(self._held) or time.monotonic() < self._dial_at:
            return
        try:
            session = self._book.next_session()
        except DBAPIError as error:
            self._refused(error)
            self._dial_at = self._keep_at
            return
        self._recovered()
        try:
            self._line = Line(self._county, self._name, self._broker, session)
        except (OSError, ValueError) as error:
            self._rest(str(error))

    def _listen(self, line: Line) -> None:
        line.move(self._patience(line), BATCH)
        if line.up and self._up_since is None:
            self._up_since = time.monotonic()
            self._wall.link(True)
            log.info("connected to %r as %s", self._broker, self._name)
        if len(self._held):
            return
        until = time.monotonic() + 4 * self._linger
        while 0 < (before := line.inlet.waiting) < BATCH and time.monotonic() < until:
            line.move(self._linger, BATCH)
            if line.inlet.waiting == before:
                break
        self._held = self._read(line)

    def _patience(self, line: Line) -> float:
        """How long the line may wait for something new."""
        if len(self._held):
            return max(0.0, min(TURN_S, self._keep_at - time.monotonic()))
        return 0.0 if line.inlet.waiting or line.inlet.more else TURN_S

    def _lose(self, why: str) -> None:
        if self._line is not None:
            self._line.close(politely=False)
            self._line = None
        if self._up_since is not None:
            self._wall.link(False)
            if time.monotonic() - self._up_since > self._pace.proven:
                self._losses = 0
            self._up_since = None
        self._rest(why)

    def _rest(self, why: str) -> None:
        rest = backoff(self._losses, self._pace, random.random())
        self._losses += 1
        self._dial_at = time.monotonic() + rest
        log.warning("no connection to %r: %s; again in %.1f s", self._broker, why, rest)

    # ---- the book

    def _read(self, line: Line) -> Batch:
        batch = Batch()
        read, kinds = self._reader.read, {Letter: batch.letters, Sighting: batch.sightings, Misfit: batch.misfits}
        for arrived in line.inlet.take(BATCH):
            if found := read(arrived):
                kinds[type(found)].append(found)  # type: ignore[attr-defined]  # each list takes its own kind
        return batch

    def _keep(self) -> None:
        batch, began = self._held, time.monotonic()
        try:
            kept = [self._book.keep(batch, self._now_us())]
        except (DataError, IntegrityError) as error:
            log.warning("the book refuses something in a batch of %d: %s", len(batch), error)
            kept = self._keep_apart(batch)
        except DBAPIError as error:
            self._refused(error)
            return
        self._linger = min(LINGER_S, time.monotonic() - began)
        self._held = Batch()
        self._recovered()
        self._acknowledge(batch, kept)
        for part in kept:
            self._wall.take(part, self._stamp)

    def _keep_apart(self, batch: Batch) -> list[Kept]:
        """Each fact for itself, so that one that the book cannot hold is shut in and does not stop the others."""
        kept = [self._book.keep(Batch(sightings=batch.sightings, misfits=batch.misfits), self._now_us())]
        for letter in batch.letters:
            try:
                kept.append(self._book.keep(Batch(letters=[letter]), self._now_us()))
            except (DataError, IntegrityError) as error:
                odd = msgspec.structs.replace(letter.misfit("unkeepable"), detail=str(error.orig)[:200])
                kept.append(self._book.keep(Batch(misfits=[odd]), self._now_us()))
        return kept

    def _refused(self, error: DBAPIError) -> None:
        """The book takes nothing: nothing is acknowledged, and the same batch is tried again and again."""
        wait = min(self._pace.again_last, self._pace.again * 2 ** min(self._refusals, 16))
        self._refusals += 1
        self._keep_at = time.monotonic() + wait
        self._wall.trouble("book")
        log.error("the book takes nothing: %s; again in %.1f s", error.orig, wait)

    def _recovered(self) -> None:
        if self._refusals:
            self._refusals = 0
            self._wall.trouble(None)
            log.info("the book takes what comes again")

    def _acknowledge(self, batch: Batch, kept: list[Kept]) -> None:
        if self._line is None:
            return  # the windows send again what they were not told of
        have: dict[tuple[str, str], list[int]] = {}
        foreign = {(it.window, it.ledger, it.seq) for part in kept for it in part.foreign}
        for letter in batch.letters:
            if (letter.window, letter.ledger, letter.seq) not in foreign:
                have.setdefault((letter.window, letter.ledger), []).append(letter.seq)
        for misfit in batch.misfits:
            if misfit.window and misfit.ledger and misfit.seq:
                have.setdefault((misfit.window, misfit.ledger), []).append(misfit.seq)
        for (window, ledger), seqs in have.items():
            ack = wire.Ack(ledger=ledger, seqs=wire.runs(seqs))
            self._line.publish(wire.window_topic(window, "ack"), wire.encode(ack))
        self._line.inlet.flush()

    def _now_us(self) -> int:
        """Microseconds since 1970, never the same twice: the book tells batches apart by it."""
        self._stamp = max(self._stamp + 1, time.time_ns() // 1000)
        return self._stamp

"""Puts batches into the book, and aside what the book refuses, so that one message that cannot be kept stops no other.

Rules: a batch that the book refuses is halved until the message is alone that it refuses; this one goes to the
quarantine as `unkeepable`. What not even the quarantine takes is counted, and nobody is told that we have it. A
database that is away refuses nothing: what is left of the batch waits, and is tried again.
"""

import logging
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable
from typing import Final

import msgspec

from appliance import wire
from appliance.county.book import Batch, Book, Kept
from appliance.county.engine import is_away, words
from appliance.county.reading import Letter, Misfit, Sighting

log = logging.getLogger("appliance.county")

Message = Letter | Sighting | Misfit
WORK_S: Final = 0.25
"""How long batches are halved before somebody looks at the line again."""


class Away(Exception):
    """The database takes nothing now; the text is its own."""


class Outcome(msgspec.Struct, frozen=True):
    """A batch, or what was left of it, and what became of it."""

    batch: Batch
    kept: Kept


class Keeper:
    """Holds what is to be kept until it is; `stamp` gives a time that no batch had before."""

    def __init__(self, book: Book, stamp: Callable[[], int]) -> None:
        self._book, self._stamp = book, stamp
        self._work: deque[Batch] = deque()
        self.unkeepable: Counter[str] = Counter()
        """Messages that neither book nor quarantine took, by window, since the start."""
        self.refused: set[str] = set()
        """Windows that sent something which the book refuses, since somebody last looked."""

    def __len__(self) -> int:
        return sum(map(len, self._work))

    def add(self, batch: Batch) -> None:
        """This is to be kept."""
        if len(batch):
            self._work.append(batch)

    def work(self) -> tuple[list[Outcome], Away | None]:
        """Keeps what it can within a moment; what became of it, and why it stopped if the database is away."""
        done: list[Outcome] = []
        until = time.monotonic() + WORK_S
        while self._work and (not done or time.monotonic() < until):
            try:
                self._next(done)
            except Away as away:
                return done, away
        return done, None

    def _next(self, done: list[Outcome]) -> None:
        batch = self._work[0]
        try:
            done.append(Outcome(batch, self._book.keep(batch, self._stamp())))
            self._work.popleft()
        except Exception as error:
            if is_away(error):
                raise Away(words(error)) from error
            if len(batch) > 1:
                self._work.popleft()
                self._work.extendleft(reversed(_halves(batch)))
            else:
                self._put_aside(batch, error, done)
                self._work.popleft()

    def _put_aside(self, batch: Batch, error: Exception, done: list[Outcome]) -> None:
        (message,) = messages(batch)
        log.warning("the book refuses a message of %r: %s", message.window, words(error))
        self.refused.add(message.window or "")
        for odd in _as_misfits(message, words(error)):
            try:
                aside = Batch(misfits=[odd])
                done.append(Outcome(aside, self._book.keep(aside, self._stamp())))
                return
            except Exception as again:
                if is_away(again):
                    raise Away(words(again)) from again
        self.unkeepable[message.window or ""] += 1


def messages(batch: Batch) -> list[Message]:
    """Everything in a batch."""
    return [*batch.letters, *batch.sightings, *batch.misfits]


def batch_of(found: Iterable[Message]) -> Batch:
    """These as a batch."""
    batch = Batch()
    for message in found:
        if isinstance(message, Letter):
            batch.letters.append(message)
        elif isinstance(message, Sighting):
            batch.sightings.append(message)
        else:
            batch.misfits.append(message)
    return batch


def _halves(batch: Batch) -> list[Batch]:
    everything = messages(batch)
    middle = len(everything) // 2
    return [batch_of(everything[:middle]), batch_of(everything[middle:])]


def _as_misfits(message: Message, why: str) -> list[Misfit]:
    """The message as something for the quarantine, and once more with nothing of its own in it but what we checked."""
    if isinstance(message, Letter):
        odd = msgspec.structs.replace(message.misfit("unkeepable"), detail=why)
    elif isinstance(message, Sighting):
        topic = wire.window_topic(message.window, message.kind)
        odd = Misfit("unkeepable", topic, message.window, message.payload, len(message.payload), why)
    else:
        return [Misfit("unkeepable", "", message.window, b"", message.size)]
    return [odd, msgspec.structs.replace(odd, payload=b"", detail="")]

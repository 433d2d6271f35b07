"""PURE: which facts are under way to the county, which may go next, and how long to wait before they go again.

The rules:

- At most 32 facts are under way; only the county's acknowledgement ends a fact's flight, never a broker's PUBACK.
- A fact that was there before the connection began is *old*, one committed since is *live*. Old ones go oldest first
  in 24 of the 32 places; while old ones wait, the other 8 are for live ones, so that neither starves the other.
- What stays unacknowledged goes again, byte for byte the same, after 10 s, then 20, 40, 60, 60, …, a fifth more or
  less by chance, so that a county that comes back is not met by every window in the same second.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

WINDOW = 32
RESERVED = 8


class Fact(Protocol):
    """A fact as the ledger keeps it: its sequence, its type for the topic, its payload byte for byte."""

    @property
    def seq(self) -> int: ...
    @property
    def type(self) -> str: ...
    @property
    def payload(self) -> bytes: ...


F = TypeVar("F", bound=Fact)


@dataclass(slots=True)
class Sent(Generic[F]):
    """A fact under way, how often it went, and when (monotonic seconds) it goes again."""

    fact: F
    times: int
    due: float


def backoff(failures: int, chance: float, first: float = 1.0, last: float = 60.0) -> float:
    """Seconds to rest after the n-th failure in a row, n from 1: from `first` to a ceiling that doubles to `last`."""
    ceiling = min(last, first * 2.0 ** min(failures, 30))
    return first + (ceiling - first) * chance


def patience(times: int, chance: float, first: float = 10.0, last: float = 60.0) -> float:
    """Seconds to wait for the county's word after a fact went for the n-th time (n from 1), a fifth more or less."""
    return min(last, first * 2.0 ** min(times - 1, 30)) * (0.8 + 0.4 * chance)


class Flight(Generic[F]):
    """The facts under way over one connection; `horizon` is the newest sequence there was when it began."""

    def __init__(self, horizon: int, *, first: float = 10.0, last: float = 60.0) -> None:
        self.horizon = horizon
        self.old_after = 0
        self.live_after = horizon
        self._first, self._last = first, last
        self._sent: dict[int, Sent[F]] = {}
        self._old_under_way = 0

    def __len__(self) -> int:
        return len(self._sent)

    @property
    def old_wait(self) -> bool:
        """Whether there may be old facts that have not yet gone."""
        return self.old_after < self.horizon

    def old_room(self) -> int:
        """How many old facts may go now."""
        return max(0, min(WINDOW - RESERVED - self._old_under_way, WINDOW - len(self))) if self.old_wait else 0

    def live_room(self) -> int:
        """How many live facts may go now."""
        live = len(self) - self._old_under_way
        return max(0, min((RESERVED if self.old_wait else WINDOW) - live, WINDOW - len(self)))

    def no_more_old(self) -> None:
        """The ledger has no old fact left that has not gone."""
        self.old_after = self.horizon

    def launch(self, fact: F, now: float, chance: float) -> None:
        """A fact goes, for the first time or again."""
        again = self._sent.get(fact.seq)
        times = again.times + 1 if again else 1
        self._sent[fact.seq] = Sent(fact, times, now + patience(times, chance, self._first, self._last))
        if again:
            return
        if fact.seq <= self.horizon:
            self._old_under_way += 1
            self.old_after = max(self.old_after, fact.seq)
        else:
            self.live_after = max(self.live_after, fact.seq)

    def land(self, ranges: Iterable[tuple[int, int]]) -> int:
        """The county has these inclusive ranges, in any order, named once or often; returns how many were under way."""
        landed = {seq for low, high in ranges for seq in self._sent if low <= seq <= high}
        for seq in landed:
            del self._sent[seq]
            self._old_under_way -= seq <= self.horizon
        return len(landed)

    def hasten(self) -> None:
        """The county has just come back: everything under way is due now."""
        for sent in self._sent.values():
            sent.due = float("-inf")

    def due(self, now: float) -> list[F]:
        """The facts that must go again, oldest first."""
        return [self._sent[seq].fact for seq in sorted(self._sent) if self._sent[seq].due <= now]

    def next_due(self) -> float:
        """When the next fact must go again; infinite when none is under way."""
        return min((sent.due for sent in self._sent.values()), default=float("inf"))

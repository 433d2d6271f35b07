"""PURE: which facts are under way to the county, which may go next, and how long to wait before they go again.

The rules:

- At most 128 facts are under way; only the county's acknowledgement ends a fact's flight, never a broker's PUBACK.
- A fact that was there before the connection began is *old*, one committed since is *live*. Old ones go oldest first
  in 112 of the 128 places; while old ones wait, the other 16 are for live ones, so that neither starves the other.
- What stays unacknowledged goes again, byte for byte the same, after 10 s, then 20, 40, 60, 60, …, a fifth more or
  less by chance, so that a county that comes back is not met by every window in the same second.
- What the county has passed over, by acknowledging a fact that went later, was most likely thrown away by a broker
  that somebody floods: it goes again after half a second, once, and then as above. Nothing is owed for that once.
- The county *owes* an answer from the first fact that went since it last acknowledged one. An acknowledgement answers
  for all that went before the newest fact that it names: those were passed over, which is no sign of a dead county.
"""

from bisect import bisect_right
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

WINDOW = 128
RESERVED = 16
PASSED_OVER_S = 0.5
NEVER = float("inf")


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
    """A fact under way: how often it went, when it went first and goes again (monotonic seconds), its last turn.

    `passed` once the county has passed it over and it has not gone again since.
    """

    fact: F
    times: int
    first: float
    due: float
    turn: int
    passed: bool = False


def backoff(failures: int, chance: float, first: float = 1.0, last: float = 60.0) -> float:
    """Seconds to rest after the n-th failure in a row, n from 1: from `first` to a ceiling that doubles to `last`."""
    ceiling = min(last, first * 2.0 ** min(failures, 30))
    return first + (ceiling - first) * chance


def patience(times: int, chance: float, first: float = 10.0, last: float = 60.0) -> float:
    """Seconds to wait for the county's word after a fact went for the n-th time (n from 1), a fifth more or less."""
    return min(last, first * 2.0 ** min(times - 1, 30)) * (0.8 + 0.4 * chance)


class Flight(Generic[F]):
    """The facts under way over one connection that began at `began`, when `horizon` was the newest sequence."""

    def __init__(self, horizon: int, began: float = 0.0, *, first: float = 10.0, last: float = 60.0) -> None:
        self.horizon = horizon
        self.old_after = 0
        self.live_after = horizon
        self.owes_since = NEVER
        """Since when the county owes an answer; infinite while it owes none."""
        self._began = began
        self._first, self._last = first, last
        self._sent: dict[int, Sent[F]] = {}
        self._old_under_way = 0
        self._turn = 0
        # No later than the next that is due: looked for among all only once it has passed.
        self._due_from = NEVER

    def __len__(self) -> int:
        return len(self._sent)

    def __contains__(self, seq: int) -> bool:
        return seq in self._sent

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

    def look_back(self, now: float) -> None:
        """The ledger holds facts that are not under way although all have gone: everything in it is old now."""
        self._began, self.horizon = now, max(self.horizon, self.live_after)
        self.old_after, self._old_under_way = 0, len(self._sent)

    def launch(self, fact: F, now: float, chance: float) -> None:
        """A fact goes, for the first time or again."""
        again = self._sent.get(fact.seq)
        times, first = (again.times + 1, again.first) if again else (1, now)
        due = now + patience(times, chance, self._first, self._last)
        self._due_from = min(self._due_from, due)
        if again and again.passed:
            self._sent[fact.seq] = Sent(fact, times, first, due, again.turn)
            return
        self._turn += 1
        self._sent[fact.seq] = Sent(fact, times, first, due, self._turn)
        self.owes_since = min(self.owes_since, now)
        if again:
            return
        if fact.seq <= self.horizon:
            self._old_under_way += 1
            self.old_after = max(self.old_after, fact.seq)
        else:
            self.live_after = max(self.live_after, fact.seq)

    def land(self, ranges: list[tuple[int, int]], now: float) -> int:
        """The county has these inclusive ranges, ascending and apart from each other; how many were under way."""
        lows = [low for low, _ in ranges]
        landed = [seq for seq in self._sent if (at := bisect_right(lows, seq)) and seq <= ranges[at - 1][1]]
        if not landed:
            return 0
        newest = max(self._sent.pop(seq).turn for seq in landed)
        self._old_under_way -= sum(seq <= self.horizon for seq in landed)
        for sent in self._sent.values():
            if sent.times == 1 and sent.turn < newest:
                sent.passed, sent.due = True, min(sent.due, now + PASSED_OVER_S)
                self._due_from = min(self._due_from, sent.due)
        self.owes_since = now if any(sent.turn > newest for sent in self._sent.values()) else NEVER
        return len(landed)

    def hasten(self) -> None:
        """The county has just come back: everything under way is due now."""
        for sent in self._sent.values():
            sent.due = self._due_from = float("-inf")

    def due(self, now: float) -> list[F]:
        """The facts that must go again, oldest first."""
        if now < self._due_from:
            return []
        facts = [self._sent[seq].fact for seq in sorted(self._sent) if self._sent[seq].due <= now]
        self._due_from = min((sent.due for sent in self._sent.values()), default=NEVER)
        return facts

    def next_due(self) -> float:
        """When to look whether facts must go again; infinite when none is under way."""
        return self._due_from if self._sent else NEVER

    def waits_since(self) -> float:
        """Since when the fact waits that has waited longest, over this connection; infinite when none does."""
        if self.old_wait or self._old_under_way:
            return self._began
        return min((sent.first for sent in self._sent.values()), default=NEVER)

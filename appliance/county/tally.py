"""What a window did in a day, in numbers, and which facts of its ledgers are in them.

Nothing of a visit is kept: a rating adds its grade, a changed one takes off the grade that it was before, so facts
count in any order. Which sequences were counted is kept as runs, so a fact that is told twice counts once. A ledger
that lacks so many that its runs would be more than `RUNS` is one run of them all: what fills it later is in the book,
and on the wall with the next count.
"""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec
from sqlalchemy import Connection, case, func, select

from appliance import wire
from appliance.county import rows
from appliance.county.reading import Letter
from appliance.county.tables import facts
from appliance.window.facts import RatingChanged, RatingDeclined, RatingGiven, VisitEnded

GRADES: Final = (5, 4, 3, 2, 1)
RUNS: Final = 1000
CUT: Final = ("next_visit", "away")
"""Why a rating was declined when the clerk went on: the resident was not let rate."""


class Run(msgspec.Struct, frozen=True):
    """Facts of a day that follow each other in a ledger, and what they add up to; grades as in `GRADES`."""

    window: str
    ledger: str
    first: int
    last: int
    visits: int
    cut: int
    grades: tuple[int, ...]


class Spans:
    """A set of sequences as runs: a ledger in its order is one run, however long."""

    def __init__(self) -> None:
        self._first: list[int] = []
        self._last: list[int] = []

    def add(self, first: int, last: int) -> bool:
        """Take in a run, of which either all or nothing is there; False when it is."""
        if self._last and self._last[-1] == first - 1:
            self._last[-1] = last
            return True
        at = bisect_right(self._first, first)
        if at and first <= self._last[at - 1]:
            return False
        joins_below = bool(at) and self._last[at - 1] == first - 1
        joins_above = at < len(self._first) and self._first[at] == last + 1
        if joins_below and joins_above:
            self._last[at - 1] = self._last.pop(at)
            del self._first[at]
        elif joins_below:
            self._last[at - 1] = last
        elif joins_above:
            self._first[at] = first
        else:
            self._first.insert(at, first)
            self._last.insert(at, last)
            if len(self._first) > RUNS:
                del self._first[1], self._last[0]
        return True

    def __len__(self) -> int:
        return len(self._first)


@dataclass
class Tally:
    """One window's day."""

    visits: int = 0
    cut: int = 0
    counts: list[int] = field(default_factory=lambda: [0] * 6)
    """By grade; nought stands for none."""
    heard: dict[str, Spans] = field(default_factory=dict)

    def hear(self, letter: Letter, day: str) -> None:
        """A fact that is in the book; one of another day is only noted, so that runs stay whole."""
        spans = self.heard.get(letter.ledger)
        if spans is None:
            spans = self.heard[letter.ledger] = Spans()
        if not spans.add(letter.seq, letter.seq) or letter.day != day:
            return
        fact = letter.fact
        if isinstance(fact, VisitEnded):
            self.visits += 1
        elif isinstance(fact, RatingGiven):
            self.counts[fact.grade] += 1
        elif isinstance(fact, RatingChanged):
            self.counts[fact.grade or 0] += 1
            self.counts[fact.was or 0] -= 1
        elif isinstance(fact, RatingDeclined):
            self.cut += fact.why in CUT

    def take(self, run: Run) -> None:
        """What the book says."""
        self.heard.setdefault(run.ledger, Spans()).add(run.first, run.last)
        self.visits += run.visits
        self.cut += run.cut
        for grade, n in zip(GRADES, run.grades, strict=True):
            self.counts[grade] += n

    @property
    def grades(self) -> tuple[int, int, int, int, int]:
        """非常满意 … 非常不满意; none is below nought while the rating that was changed has not come."""
        five, four, three, two, one = (max(0, self.counts[grade]) for grade in GRADES)
        return five, four, three, two, one


def runs_of(tx: Connection, day: str, windows: Sequence[str] | None) -> list[Run]:
    """A day's facts, added up by runs in one statement, so that numbers and sequences belong together."""
    ours = [facts.c.window, facts.c.ledger]
    least, most, count = (
        it.over(partition_by=ours) for it in (func.min(facts.c.seq), func.max(facts.c.seq), func.count())
    )
    lacking = most - least - count
    alike = facts.c.seq - func.row_number().over(partition_by=ours, order_by=facts.c.seq)
    island = case((lacking >= RUNS, 0), else_=alike)
    kinds = (facts.c.type, facts.c.known, facts.c.grade, facts.c.was, facts.c.why)
    some = select(facts.c.window, facts.c.ledger, facts.c.seq, *kinds, island.label("island"))
    some = some.where(facts.c.day == day, facts.c.seq > 0)  # PostgreSQL ends a query in which a number is too low
    if windows is not None:
        some = some.where(facts.c.window.in_(windows))
    part = some.subquery()
    grades = [(_sum(part.c.grade == it) - _sum(part.c.was == it)).label(f"g{it}") for it in GRADES]
    run = (part.c.window, part.c.ledger, part.c.island)
    wanted = select(
        part.c.window,
        part.c.ledger,
        func.min(part.c.seq).label("first"),
        func.max(part.c.seq).label("last"),
        _sum((part.c.type == VisitEnded.type) & part.c.known).label("visits"),
        _sum(part.c.why.in_(CUT)).label("cut"),
        *grades,
    ).group_by(*run)
    return [
        Run(it.window, it.ledger, it.first, it.last, it.visits, it.cut, (it.g5, it.g4, it.g3, it.g2, it.g1))
        for it in rows.read(tx, wanted, _Run)
    ]


class _Run(msgspec.Struct, frozen=True):
    """A run as the query gives it."""

    window: rows.Window
    ledger: wire.LedgerId
    first: wire.Seq
    last: wire.Seq
    visits: int
    cut: int
    g5: int
    g4: int
    g3: int
    g2: int
    g1: int


def _sum(that: Any) -> Any:
    return func.sum(case((that, 1), else_=0))

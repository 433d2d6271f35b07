"""What a window is asked for that the book lacks, and what it answers: the order `replay` and its refusal."""

from collections import Counter
from collections.abc import Iterable
from typing import Final

import msgspec
from sqlalchemy import Connection, select, update

from appliance import wire
from appliance.county import engine as engines
from appliance.county import rows
from appliance.county.reading import Letter
from appliance.county.replays import asked_by
from appliance.county.tables import gaps
from appliance.window.facts import OrderRefused

PART: Final = 1000
"""Sequences that one order asks for."""


class Gap(msgspec.Struct, frozen=True):
    """A row of `gaps`."""

    ledger: wire.LedgerId
    first: wire.Seq
    last: wire.Seq
    window: rows.Window
    noticed_us: int
    asked: wire.Count
    asked_us: int | None
    answer: wire.Word


def replace(tx: Connection, insert: engines.Insert, gap: Gap, pieces: list[Gap]) -> None:
    """These instead of a gap, if it still is as it was read."""
    same = (gaps.c.ledger == gap.ledger, gaps.c.first == gap.first, gaps.c.last == gap.last)
    if tx.execute(gaps.delete().where(*same)).rowcount:
        for piece in pieces:
            tx.execute(insert(gaps).values(msgspec.structs.asdict(piece)).on_conflict_do_nothing())


def note_answer(tx: Connection, insert: engines.Insert, letter: Letter) -> None:
    """A window refuses the last `replay` of a gap: what that asked for and has not come is not there any more.

    A refusal of an order that was not given changes nothing, whatever it names.
    """
    fact = letter.fact
    named = asked_by(fact.order) if isinstance(fact, OrderRefused) else None
    if named is None or not isinstance(fact, OrderRefused):
        return
    ledger, first, last, second = named
    if last - first >= PART:
        return
    asked = select(gaps).where(gaps.c.ledger == ledger, gaps.c.window == letter.window, gaps.c.answer == "")
    asked = asked.where(gaps.c.asked_us.between(second * 1_000_000, second * 1_000_000 + 999_999))
    for gap in rows.read(tx, asked.where(gaps.c.first <= last, gaps.c.last >= first), Gap):
        replace(tx, insert, gap, _split(gap, first, last, fact.reason))
        _join(tx, insert, gap, max(gap.first, first))


def _join(tx: Connection, insert: engines.Insert, gap: Gap, first: int) -> None:
    """Makes one of a lost gap that begins there and of one below it that is lost for the same reason."""
    here = select(gaps).where(gaps.c.ledger == gap.ledger, gaps.c.first == first, gaps.c.answer != "")
    below = select(gaps).where(gaps.c.ledger == gap.ledger, gaps.c.last == first - 1, gaps.c.answer != "")
    for lost, before in zip(rows.read(tx, here, Gap), rows.read(tx, below, Gap), strict=False):
        if (before.answer, before.window) == (lost.answer, lost.window):
            replace(tx, insert, before, [])
            replace(tx, insert, lost, [msgspec.structs.replace(before, last=lost.last)])


def _split(gap: Gap, first: int, last: int, answer: str) -> list[Gap]:
    """A gap with its middle answered; what is left is asked for at once."""
    low, high = max(gap.first, first), min(gap.last, last)
    rest = msgspec.structs.replace(gap, asked=1, asked_us=None)
    middle = msgspec.structs.replace(gap, first=low, last=high, answer=answer)
    below = [msgspec.structs.replace(rest, last=low - 1)] if low > gap.first else []
    above = [msgspec.structs.replace(rest, first=high + 1)] if high < gap.last else []
    return [*below, middle, *above]


def first_unanswered(tx: Connection) -> list[Gap]:
    """The lowest gap of each ledger that is still to be filled: one order a ledger at a time."""
    first: dict[str, Gap] = {}
    for it in rows.read(tx, select(gaps).where(gaps.c.answer == "").order_by(gaps.c.ledger, gaps.c.first), Gap):
        first.setdefault(it.ledger, it)
    return list(first.values())


def by_turns(waiting: Iterable[Gap]) -> list[Gap]:
    """Each window's first, then each window's second: one with many ledgers keeps no other waiting."""
    turns: list[tuple[int, int, Gap]] = []
    before: Counter[str] = Counter()
    for gap in sorted(waiting, key=lambda it: it.asked_us or 0):
        turns.append((before[gap.window], len(turns), gap))
        before[gap.window] += 1
    return [gap for _, _, gap in sorted(turns, key=lambda it: it[:2])]


def claim(tx: Connection, gap: Gap, now_us: int) -> bool:
    """Counts an order as given; False when another collector has just done so."""
    same = (gaps.c.ledger == gap.ledger, gaps.c.first == gap.first, gaps.c.last == gap.last)
    still = (gaps.c.asked == gap.asked, gaps.c.asked_us.is_not_distinct_from(gap.asked_us), gaps.c.answer == "")
    given = update(gaps).where(*same, *still).values(asked=gap.asked + 1, asked_us=now_us)
    return bool(tx.execute(given).rowcount)


def part_of(gap: Gap) -> int:
    return min(gap.last, gap.first + PART - 1)

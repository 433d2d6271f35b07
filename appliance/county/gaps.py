"""Finds what the book lacks of each ledger, asks the window for it, and closes a gap when its facts have come.

Rules, all beside the way of a fact, so that nothing waits for them:

- up to `ledgers.told` every sequence is in the book or in `gaps`; only what came above it since is looked at;
- a sequence is missing when a later one is there, or when the window's health says that it has written a later one;
- a gap is shown, counted and asked for once it has been there for `OLD_S` without growing smaller;
- one order a ledger at a time, at most `PART` sequences, again after `AGAIN_S`, then twice that, up to an hour;
- what the window, asked by the last order, says it does not have is lost: shown as such, and not asked for again;
- a gap that is answered and yet filled (a card is found in a drawer) closes like any other.

Two collectors on one book do the same work twice and the same change once: each change is of a row as it was read.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Annotated, Final

import msgspec
from msgspec import Meta
from sqlalchemy import Connection, Engine, exists, func, select, update

from appliance import wire
from appliance.county import engine as engines
from appliance.county import rows
from appliance.county.asking import PART, Gap, by_turns, claim, first_unanswered, part_of, replace
from appliance.county.ledgers import meet
from appliance.county.monitor import Missing
from appliance.county.reading import LAST_SEQ, Sighting
from appliance.county.replays import replay
from appliance.county.tables import facts, gaps, ledgers

log = logging.getLogger("appliance.county")

OLD_S: Final = 120
"""How long a gap may be there before it is one: what overtakes on its way comes within seconds."""
LOOK_S: Final = 30.0
"""How often a ledger that brings facts is looked at; one that is being replayed once a turn."""
AGAIN_S: Final = 60
AGAIN_LAST_S: Final = 3600
ORDERS: Final = 50
"""Orders given in one turn."""
MOST, LOST_MOST = 200, 5000
"""Gaps kept of one ledger that are to be filled, and with those that are lost; at either nothing above is looked at."""
PIECES: Final = 50
"""Pieces that a gap may fall into at once."""
STRETCH: Final = 10_000
"""Facts that one query looks at."""
TOGETHER: Final = 50
"""Ledgers that one transaction writes of."""

Span = tuple[int, int]
Upto = Annotated[int, Meta(ge=0, le=LAST_SEQ)]
MANY: Final = 2**53
"""The most that are said to be missing: a window may name any number as its last."""


class _Ledger(msgspec.Struct, frozen=True):
    """A row of `ledgers`."""

    ledger: wire.LedgerId
    window: rows.Window
    first_us: int
    told: Upto
    newest: Upto
    said: Upto


class _Span(msgspec.Struct, frozen=True):
    """Sequences that follow each other in the book."""

    first: wire.Seq
    last: wire.Seq


class Said(msgspec.Struct, frozen=True):
    """What a window's health says of its ledger: the last sequence that it has written."""

    ledger: str
    newest: int


class _Look(msgspec.Struct):
    """What one ledger's facts say, to be written if its row is still as it was read."""

    ledger: str
    window: str
    told: int
    up_to: int
    newest: int
    said: int
    replayed: bool
    holes: list[Span]
    shrunk: list[tuple[Gap, list[Span]]]


class Gaps:
    """The gaps of one book; `keep` tells it what moved, a loop calls `look`, the collector publishes `due`."""

    def __init__(self, engine: Engine, clock: Callable[[], float] = time.monotonic) -> None:
        self._engine = engine
        self._insert = engines.insert(engine)
        self._clock = clock
        self._lock = threading.Lock()
        self._moved: set[str] = set()
        self._said: dict[str, Said] = {}
        self._looked: dict[str, float] = {}
        self._replayed: set[str] = set()
        self._born: dict[tuple[str, int, int], float] = {}
        self._due_at = 0.0
        with engines.reading(engine) as tx:
            self._begin(tx)

    def _begin(self, tx: Connection) -> None:
        """Every ledger is looked at once: another program, or an older copy of the book, may have been here."""
        self._moved = set(tx.execute(select(ledgers.c.ledger)).scalars())
        asked = select(gaps.c.ledger).where(gaps.c.answer == "", gaps.c.asked > 0)
        self._replayed = set(tx.execute(asked).scalars())

    # ---- what `keep` tells

    def moved(self, some: Iterable[str], sightings: Sequence[Sighting]) -> None:
        """Facts of these ledgers were committed, and these words of windows."""
        with self._lock:
            self._moved.update(some)
            for sighting in sightings:
                if isinstance(sighting.value, wire.Health):
                    outbox = sighting.value.outbox
                    if outbox.ledger is not None and outbox.newest:
                        self._said[sighting.window] = Said(outbox.ledger, outbox.newest)
                        self._moved.add(outbox.ledger)

    # ---- the loop beside

    def step(self) -> None:
        """Look, and rest a second; what goes wrong here is told and tried again, and stops nobody."""
        try:
            self.look(time.time_ns() // 1000)
        except Exception as error:
            if engines.is_away(error):
                log.warning("the book does not let gaps be looked for: %s", engines.words(error))
            else:
                log.exception("gaps cannot be looked for")
        time.sleep(1.0)

    def look(self, now_us: int) -> bool:
        """Look at every ledger that moved and is due; whether any gap changed."""
        due, said = self._take()
        changed = False
        for at in range(0, len(due), TOGETHER):
            try:
                changed |= self._look_at(due[at : at + TOGETHER], said, now_us)
            except BaseException:
                self._put_back(due[at:], said)
                raise
        return changed

    def _put_back(self, due: Iterable[str], said: dict[str, Said]) -> None:
        with self._lock:
            self._said = {**said, **self._said}
            self._moved.update(due)

    def _take(self) -> tuple[list[str], dict[str, Said]]:
        """Ledgers that moved and were not looked at just now, with what windows say of them."""
        now = self._clock()
        with self._lock:
            if len(self._looked) > 50_000:
                self._looked.clear()
            soon = self._replayed
            due = [it for it in self._moved if it in soon or now >= self._looked.get(it, -LOOK_S) + LOOK_S]
            self._moved.difference_update(due)
            self._looked.update(dict.fromkeys(due, now))
            dues = set(due)
            said = {window: it for window, it in self._said.items() if it.ledger in dues}
            self._said = {window: it for window, it in self._said.items() if window not in said}
        return due, said

    def _look_at(self, some: list[str], said: dict[str, Said], now_us: int) -> bool:
        with engines.reading(self._engine) as tx:
            looks = [found for ledger in some if (found := _see(tx, ledger, said)) is not None]
        seen = {it.ledger for it in looks}
        unknown = {it.ledger: window for window, it in said.items() if it.ledger in set(some) - seen}
        if not unknown and not any(map(_tells, looks)):
            return False
        with engines.writing(self._engine) as tx:
            # Of no ledger of these has any fact come: the next look tells. One that is too many for its window is left.
            met = meet(tx, self._insert, unknown, now_us) if unknown else {}
            changed = [_write(tx, self._insert, it, now_us) for it in looks if _tells(it)]
        with self._lock:
            self._replayed -= {it.ledger for it in looks if not it.replayed}
        self._put_back(met, {window: said[window] for ledger, window in unknown.items() if ledger in met})
        return any(changed)

    # ---- what the collector and the wall ask

    def due(self, now_us: int) -> list[tuple[str, wire.Order]]:
        """Windows and the orders `replay` that are to be published to them now, each counted as given."""
        if self._clock() < self._due_at:
            return []
        self._due_at = self._clock() + 1.0
        with engines.reading(self._engine) as tx:
            waiting = [it for it in first_unanswered(tx) if self._due(it, now_us)]
        if not waiting:
            return []
        with engines.writing(self._engine) as tx:
            ours = [it for it in by_turns(waiting)[:ORDERS] if claim(tx, it, now_us)]
        with self._lock:
            self._replayed.update(it.ledger for it in ours)
        return [(it.window, replay(it.window, it.ledger, it.first, part_of(it), now_us)) for it in ours]

    def missing(self, now_us: int) -> dict[str, Missing]:
        """What the county lacks of each window, as far as it has been lacking for `OLD_S`."""
        with engines.reading(self._engine) as tx:
            found = rows.read(tx, select(gaps), Gap)
            newest = _newest_ledgers(tx, {it.window for it in found})
        counted: dict[str, Missing] = {}
        for gap in found:
            if gap.answer or self._old(gap, now_us):
                before = counted.get(gap.window, Missing())
                kind = "replaced" if newest.get(gap.window) != gap.ledger else "lost" if gap.answer else "asked"
                more = min(MANY, getattr(before, kind) + gap.last - gap.first + 1)
                counted[gap.window] = msgspec.structs.replace(before, **{kind: more})
        return counted

    def _due(self, gap: Gap, now_us: int) -> bool:
        if gap.asked_us is None:
            return bool(gap.asked) or self._old(gap, now_us)
        wait: int = min(AGAIN_LAST_S, AGAIN_S * 2 ** max(0, min(gap.asked - 1, 16)))
        return self._age(gap, gap.asked_us, now_us) >= wait

    def _old(self, gap: Gap, now_us: int) -> bool:
        return gap.asked > 0 or self._age(gap, gap.noticed_us, now_us) >= OLD_S

    def _age(self, gap: Gap, since_us: int, now_us: int) -> float:
        """Seconds since a time in the book: by its clock when first seen, never less than none, then by our own."""
        if len(self._born) > 50_000:
            self._born.clear()
        now = self._clock()
        born = self._born.setdefault((gap.ledger, gap.first, since_us), now - max(0.0, (now_us - since_us) / 1e6))
        return now - born


# ---- looking --------------------------------------------------------------------------------------------------------


def _see(tx: Connection, ledger: str, said: Mapping[str, Said]) -> _Look | None:
    """What the facts of a ledger say beyond what is known; None when nobody brought it yet."""
    mine = rows.read(tx, select(ledgers).where(ledgers.c.ledger == ledger), _Ledger)
    if not mine:
        return None
    (row,) = mine
    within = facts.c.seq.between(gaps.c.first, gaps.c.last)
    filled = select(gaps).where(gaps.c.ledger == ledger, exists().where(facts.c.ledger == gaps.c.ledger, within))
    shrunk = [(gap, pieces) for gap in rows.read(tx, filled, Gap) if (pieces := _pieces(tx, gap)) is not None]
    own = said.get(row.window)
    newest_said = max(row.said, own.newest) if own and own.ledger == ledger else row.said
    these = tx.execute(select(gaps.c.answer, gaps.c.asked).where(gaps.c.ledger == ledger)).all()
    to_fill = [asked for answer, asked in these if answer == ""]
    look = _Look(ledger, row.window, row.told, row.told, row.newest, newest_said, any(to_fill), [], shrunk)
    _above(tx, look, min(MOST - len(to_fill), LOST_MOST - len(these)))
    return look


def _above(tx: Connection, look: _Look, room: int) -> None:
    """Goes up from what is told, noting holes, as long as there is room for them."""
    while room > len(look.holes):
        spans = _spans(tx, look.ledger, look.up_to, None)
        for first, last in spans:
            if first > look.up_to + 1:
                if len(look.holes) >= room:
                    return
                look.holes.append((look.up_to + 1, first - 1))
            look.up_to = look.newest = last
        if sum(last - first + 1 for first, last in spans) < STRETCH:
            break
    if room > len(look.holes) and look.said > look.up_to:
        look.holes.append((look.up_to + 1, look.said))
        look.up_to = look.said


def _pieces(tx: Connection, gap: Gap) -> list[Span] | None:
    """What is left of a gap; None when nothing of it has come."""
    there = _spans(tx, gap.ledger, gap.first - 1, gap.last)
    if not there:
        return None
    at, left = gap.first, []
    for first, last in there:
        if first > at:
            left.append((at, first - 1))
        at = last + 1
    if at <= gap.last:
        left.append((at, gap.last))
    # What is too much in pieces stays one gap: what is there of it is cut out the next time.
    return left if len(left) <= PIECES else [*left[: PIECES - 1], (left[PIECES - 1][0], left[-1][1])]


def _spans(tx: Connection, ledger: str, above: int, last: int | None) -> list[Span]:
    """The sequences that the book has above one, as runs, of at most `STRETCH` facts."""
    some = select(facts.c.seq).where(facts.c.ledger == ledger, facts.c.seq > above)
    if last is not None:
        some = some.where(facts.c.seq <= last)
    part = some.order_by(facts.c.seq).limit(STRETCH).subquery()
    island = (part.c.seq - func.row_number().over(order_by=part.c.seq)).label("island")
    runs = select(part.c.seq, island).subquery()
    low, high = func.min(runs.c.seq).label("first"), func.max(runs.c.seq).label("last")
    wanted = select(low, high).group_by(runs.c.island).order_by("first")
    return [(it.first, it.last) for it in rows.read(tx, wanted, _Span)]


def _tells(look: _Look) -> bool:
    return look.up_to != look.told or bool(look.shrunk)


def _write(tx: Connection, insert: engines.Insert, look: _Look, now_us: int) -> bool:
    """Writes what a look found, unless another has meanwhile; whether a gap came, went or grew smaller."""
    for gap, pieces in look.shrunk:
        replace(tx, insert, gap, [_piece(gap, span, now_us) for span in pieces])
    mine = update(ledgers).where(ledgers.c.ledger == look.ledger, ledgers.c.told == look.told)
    told = {"told": look.up_to, "newest": look.newest, "said": look.said}
    if tx.execute(mine.values(told)).rowcount:
        for first, last in look.holes:
            hole = Gap(look.ledger, first, last, look.window, now_us, 0, None, "")
            tx.execute(insert(gaps).values(msgspec.structs.asdict(hole)).on_conflict_do_nothing())
    return bool(look.shrunk or look.holes)


def _piece(gap: Gap, span: Span, now_us: int) -> Gap:
    """What is left of a gap, a little younger; what was asked for and has come is followed by the next at once."""
    first, last = span
    part = msgspec.structs.replace(gap, first=first, last=last)
    if not gap.asked:
        return msgspec.structs.replace(part, noticed_us=now_us)
    if first >= gap.first + PART:
        return msgspec.structs.replace(part, asked=1, asked_us=None)
    return msgspec.structs.replace(part, asked=1)


def _newest_ledgers(tx: Connection, windows: set[str]) -> dict[str, str]:
    """The ledger that each window brought last."""
    wanted = select(ledgers.c.window, ledgers.c.ledger).where(ledgers.c.window.in_(sorted(windows)))
    return {it.window: it.ledger for it in tx.execute(wanted.order_by(ledgers.c.first_us))}

"""The county's book: what arrived is kept here in batches, once each, before any window is told that we have it."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import msgspec
from sqlalchemy import Connection, case, func, select, update

from appliance import wire
from appliance.county import clocks, engine, margins, rows
from appliance.county.asking import note_answer
from appliance.county.chain import Break, Chain, Place
from appliance.county.gaps import Gaps
from appliance.county.ledgers import Owner, Owners
from appliance.county.margins import Number
from appliance.county.reading import Letter, Misfit, Sighting
from appliance.county.tables import breaks, facts, ledgers, meta
from appliance.county.takeover import Damaged, prepare
from appliance.county.tally import Run, runs_of
from appliance.window.facts import (
    ClockSynced,
    DeviceFailed,
    DeviceRecovered,
    OrderRefused,
    RatingChanged,
    RatingDeclined,
    RatingGiven,
)

BATCH: Final = 500
"""Facts a transaction may have; keeps every statement below the limits of both databases."""
SPECIAL: Final = frozenset({DeviceFailed.type, DeviceRecovered.type, ClockSynced.type, OrderRefused.type})
"""The types that change more of the book than the facts."""


class Batch(msgspec.Struct):
    """What arrived together."""

    letters: list[Letter] = []
    sightings: list[Sighting] = []
    misfits: list[Misfit] = []

    def __len__(self) -> int:
        return len(self.letters) + len(self.sightings) + len(self.misfits)


class Kept(msgspec.Struct, frozen=True):
    """What became of a batch.

    To be acknowledged are `letters` and `conflicts` and whatever misfits can be named; `foreign` must not be.
    """

    letters: dict[Place, Letter]
    """All its facts that are in the book, new or not."""
    new: int
    again: int
    conflicts: list[Letter]
    foreign: list[Letter]
    """Facts that their sender may not bring, because the ledger is another window's or one too many."""
    breaks: list[Break]
    moved: set[str]
    """Windows of which times are put right, so that what was counted by day is to be counted anew."""
    devices: list[margins.Device]
    """The devices of windows that told of any, as they are now."""
    sightings: list[Sighting]
    """Those that told something, with when they were heard."""
    misfits: set[str]
    """Windows of which something could not be read."""
    numbers: dict[Number, int]
    """What is counted since the beginning, as far as this batch changed it."""


class Past(msgspec.Struct, frozen=True):
    """What the book knew when it was opened, apart from what happened today."""

    numbers: dict[Number, int]
    devices: list[margins.Device]
    sightings: list[Sighting]


class Book:
    """The book at a database URL, `sqlite:////var/lib/…` or `postgresql://…`; raises Unusable and TooNew."""

    def __init__(self, url: str) -> None:
        self.engine = engine.connect(url)
        self._insert = engine.insert(self.engine)
        self._add = engine.adder(self.engine, facts)
        self._chain = Chain()
        self._owners = Owners()
        self._put_right_after = ""
        try:
            with engine.explained(self.engine):
                with engine.writing(self.engine) as tx:
                    prepare(tx)
                self.gaps = Gaps(self.engine)
        except Damaged as error:
            raise engine.Unusable("damaged", str(error)) from None

    def close(self) -> None:
        """Let go of every connection."""
        self.engine.dispose()

    def next_session(self) -> int:
        """The number of the collector's next connection, committed."""
        with engine.writing(self.engine) as tx:
            sane = meta.c.value.between(0, margins.MOST_COUNTED - 1)
            following = case((sane, meta.c.value + 1), else_=1)
            tx.execute(update(meta).where(meta.c.name == "session").values(value=following))
            return int(tx.execute(select(meta.c.value).where(meta.c.name == "session")).scalar_one())

    # ---- what the collector brings

    def keep(self, batch: Batch, now_us: int) -> Kept:
        """One transaction: everything of a batch is in the book, or it raises and nothing is.

        `now_us` must differ from that of every batch before: it tells the rows of this batch from those we had.
        """
        with engine.writing(self.engine) as tx:
            sorted_ = self._owners.sort(tx, self._insert, batch.letters, now_us)
            mine, conflicts = _once(sorted_.own)
            self._meet_tips(tx, mine)
            new, had = self._add_facts(tx, mine, conflicts, now_us)
            broken, tips = self._chain.check(mine, lambda places: _fetch(tx, places))
            numbers = self._note_breaks(tx, broken, now_us)
            special = [it for it in mine.values() if not it.known or not it.synced or it.type in SPECIAL]
            told = margins.note_devices(tx, self._insert, special, sorted_.owners)
            owed = clocks.note(tx, self._insert, special)
            moved = clocks.put_right(tx, self._put_right_after).windows if owed else set[str]()
            self._note_answers(tx, special)
            seen = margins.note_sightings(tx, self._insert, batch.sightings, now_us)
            misfits = _misfits(batch, conflicts, sorted_.foreign, sorted_.too_many, sorted_.owners)
            margins.shut_in(tx, self._insert, misfits, now_us)
            margins.bring_back(tx, misfits)
            devices = margins.all_devices(tx, sorted(told | moved)) if told or moved else []
            foreign = [*sorted_.foreign, *sorted_.too_many]
            numbers.update(_counted(mine, had, special, misfits, foreign))
            numbers["", "facts"] += new
            now = margins.count(tx, self._insert, numbers)
        self._chain.settle(tips)
        self._owners.settle(sorted_.owners)
        self.gaps.moved({it.ledger for it in mine.values()}, seen)
        again = len(batch.letters) - new - len(conflicts) - len(foreign)
        shut = {it.window or "" for it in misfits}
        return Kept(mine, new, again, conflicts, foreign, broken, moved, devices, seen, shut, now)

    def _meet_tips(self, tx: Connection, mine: Mapping[Place, Letter]) -> None:
        """How far the book has the ledgers of which the chain does not know; one seek for each, before we add."""
        newest = {}
        for ledger in self._chain.unmet(mine.values()):
            found = tx.execute(select(func.max(facts.c.seq)).where(facts.c.ledger == ledger)).scalar_one()
            if isinstance(found, int):
                newest[ledger] = found
        self._chain.meet(newest)

    def _add_facts(
        self, tx: Connection, mine: dict[Place, Letter], conflicts: list[Letter], now_us: int
    ) -> tuple[int, set[Place]]:
        """How many are new, and the places that the book had; what says something else there becomes a conflict."""
        if not mine:
            return 0, set()
        # In one order, so that two collectors that keep the same facts do not each wait for the other.
        new = self._add(tx, [_row(mine[place], now_us) for place in sorted(mine)])
        return new, _had(tx, mine, conflicts, now_us) if new < len(mine) else set()

    def _note_breaks(self, tx: Connection, broken: Iterable[Break], now_us: int) -> Counter[Number]:
        """Each break once, whoever finds it; how many are new, by window."""
        found: Counter[Number] = Counter()
        for it in broken:
            row = {**msgspec.structs.asdict(it), "noticed_us": now_us}
            added = self._insert(breaks).values(row).on_conflict_do_nothing().returning(breaks.c.seq)
            found[it.window, "breaks"] += len(tx.execute(added).all())
        return found

    def _note_answers(self, tx: Connection, letters: Iterable[Letter]) -> None:
        for letter in letters:
            note_answer(tx, self._insert, letter)

    def put_right(self) -> tuple[set[str], list[margins.Device], bool]:
        """Puts right a slice of the times that are still wrong: windows that are right now, and whether more is."""
        with engine.writing(self.engine) as tx:
            moved, more, ledger = clocks.put_right(tx, self._put_right_after)
            devices = margins.all_devices(tx, sorted(moved)) if moved else []
        self._put_right_after = ledger
        return moved, devices, more

    # ---- what is asked

    def due_replays(self, now_us: int) -> list[tuple[str, wire.Order]]:
        """Windows and the orders that are to be published to them now; each is counted as given."""
        return self.gaps.due(now_us)

    def windows(self) -> set[str]:
        """All that ever brought a fact."""
        with engine.reading(self.engine) as tx:
            return set(tx.execute(select(ledgers.c.window).distinct()).scalars())

    def counts(self, day: str, windows: Sequence[str] | None = None) -> list[Run]:
        """What happened on a day, of all windows or of some, by runs of sequences."""
        with engine.reading(self.engine) as tx:
            return runs_of(tx, day, windows)

    def numbers(self) -> dict[Number, int]:
        """What is counted since the beginning."""
        with engine.reading(self.engine) as tx:
            return margins.all_counted(tx)

    def unreadable(self) -> int:
        """How many rows were met that cannot be read; they were passed over."""
        return len(self.engine.get_execution_options()["odd"])

    def past(self) -> Past:
        """What was known before this program was started."""
        with engine.reading(self.engine) as tx:
            return Past(margins.all_counted(tx), margins.all_devices(tx), margins.all_sightings(tx))


def _once(letters: Sequence[Letter]) -> tuple[dict[Place, Letter], list[Letter]]:
    """The facts of a batch by their place, and those that say something else at a place already taken in it."""
    mine: dict[Place, Letter] = {}
    conflicts = []
    for letter in letters:
        first = mine.setdefault((letter.ledger, letter.seq), letter)
        if first is not letter and first.payload != letter.payload:
            conflicts.append(letter)
    return mine, conflicts


def _had(tx: Connection, mine: dict[Place, Letter], conflicts: list[Letter], now_us: int) -> set[Place]:
    """The places of `mine` that the book had before; those that it has with other content become conflicts."""
    had = set()
    for ledger, some in _by_ledger(mine).items():
        wanted = select(facts.c.seq, rows.raw(facts.c.payload)).where(facts.c.ledger == ledger, facts.c.seq.in_(some))
        for seq, payload in tx.execute(wanted.where(facts.c.received_us != now_us)):
            had.add((ledger, seq))
            if payload != mine[ledger, seq].payload:
                conflicts.append(mine.pop((ledger, seq)))
    return had


def _fetch(tx: Connection, places: set[Place]) -> dict[Place, bytes]:
    """The payloads that the book has at these places; one query a ledger, for SQLite scans everything for pairs."""
    found: dict[Place, bytes] = {}
    for ledger, some in _by_ledger(places).items():
        wanted = select(facts.c.seq, rows.raw(facts.c.payload)).where(facts.c.ledger == ledger, facts.c.seq.in_(some))
        found.update({(ledger, seq): rows.payload(payload) for seq, payload in tx.execute(wanted)})
    return found


def _by_ledger(places: Iterable[Place]) -> dict[str, list[int]]:
    seqs: dict[str, list[int]] = {}
    for ledger, seq in places:
        seqs.setdefault(ledger, []).append(seq)
    return seqs


def _misfits(
    batch: Batch,
    conflicts: Iterable[Letter],
    foreign: Iterable[Letter],
    too_many: Iterable[Letter],
    owners: Mapping[str, Owner],
) -> list[Misfit]:
    """What was read and is yet put aside, beside what could not be read."""
    return [
        *batch.misfits,
        *(it.misfit("conflict") for it in conflicts),
        *(msgspec.structs.replace(it.misfit("foreign_ledger"), detail=owners[it.ledger].window) for it in foreign),
        *(it.misfit("too_many_ledgers") for it in too_many),
    ]


def _counted(
    mine: Mapping[Place, Letter],
    had: set[Place],
    special: Iterable[Letter],
    misfits: Iterable[Misfit],
    foreign: Iterable[Letter],
) -> Counter[Number]:
    """What a batch adds to the numbers since the beginning."""
    counted: Counter[Number] = Counter()
    counted.update((it.window, "unknown") for it in special if not it.known and (it.ledger, it.seq) not in had)
    counted.update((mine[place].window, "again") for place in had & mine.keys())
    counted.update((it.window or "", "misfits") for it in misfits)
    counted.update((it.window, "foreign") for it in foreign)
    return counted


def _row(letter: Letter, now_us: int) -> tuple[Any, ...]:
    """A fact as a row of `facts`, in the order of its columns."""
    fact = letter.fact
    grade = fact.grade if isinstance(fact, (RatingGiven, RatingChanged)) else None
    was = fact.was if isinstance(fact, RatingChanged) else None
    why = fact.why if isinstance(fact, RatingDeclined) else None
    return (
        letter.ledger, letter.seq, letter.window, letter.type, letter.version, letter.known, letter.subject,
        letter.day, letter.time_us, letter.time_us, letter.synced, letter.boot, letter.up, grade, was,
        letter.payload, now_us, why,
    )  # fmt: skip

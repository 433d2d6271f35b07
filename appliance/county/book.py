"""The county's book: what arrived is kept here in batches, once each, before any window is told that we have it."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec
from sqlalchemy import Connection, func, inspect, select, text, tuple_, update

from appliance.county import clocks, engine, margins
from appliance.county.chain import Break, Chain, Place, Tip
from appliance.county.reading import Letter, Misfit, Sighting, reread
from appliance.county.tables import SCHEMA, breaks, facts, meta, metadata
from appliance.window.facts import ClockSynced, DeviceFailed, DeviceRecovered, Fact, RatingChanged, RatingGiven

BATCH: Final = 500
"""Facts a transaction may have; keeps every statement below the limits of both databases."""


class TooNew(Exception):
    """The book was written by a newer version of this program: `found` is its schema."""

    def __init__(self, found: int) -> None:
        super().__init__(f"schema {found}, known up to {SCHEMA}")
        self.found = found


class Batch(msgspec.Struct):
    """What arrived together."""

    letters: list[Letter] = []
    sightings: list[Sighting] = []
    misfits: list[Misfit] = []

    def __len__(self) -> int:
        return len(self.letters) + len(self.sightings) + len(self.misfits)


class Kept(msgspec.Struct, frozen=True):
    """What became of a batch; `letters` are all its facts that are in the book, new or not."""

    letters: dict[Place, Letter]
    new: int
    again: int
    conflicts: list[Letter]
    breaks: list[Break]
    moved: set[str]
    """Windows of which times were put right, so that what was counted by day is to be counted anew."""
    sightings: list[Sighting]
    """Those that told something, with when they were heard."""
    misfits: Counter[str]
    """How many were shut in, by window; "" for those that named none."""
    unknown: Counter[str]
    """New facts that were kept without being understood, by window."""


class Past(msgspec.Struct, frozen=True):
    """What the book knew when it was opened, apart from what happened today."""

    facts: int
    breaks: dict[Place, str]
    misfits: dict[str, int]
    unknown: dict[str, int]
    devices: list[margins.Device]
    sightings: list[Sighting]


class Told(msgspec.Struct, frozen=True):
    """One fact from the book, as far as the wall counts it."""

    window: str
    ledger: str
    seq: int
    fact: Fact


class Book:
    """The book at a database URL, `sqlite:////var/lib/…` or `postgresql://…`; raises Unusable and TooNew."""

    def __init__(self, url: str) -> None:
        self.engine = engine.connect(url)
        self._insert = engine.insert(self.engine)
        self._add = engine.adder(self.engine, facts)
        self._chain = Chain()
        with engine.explained(self.engine), engine.writing(self.engine) as tx:
            _prepare(tx)

    def close(self) -> None:
        """Let go of every connection."""
        self.engine.dispose()

    def next_session(self) -> int:
        """The number of the collector's next connection, committed."""
        with engine.writing(self.engine) as tx:
            tx.execute(update(meta).where(meta.c.name == "session").values(value=meta.c.value + 1))
            return int(tx.execute(select(meta.c.value).where(meta.c.name == "session")).scalar_one())

    def keep(self, batch: Batch, now_us: int) -> Kept:
        """One transaction: everything of a batch is in the book, or it raises and nothing is.

        `now_us` must differ from that of every batch before: it tells the rows of this batch from those we had.
        """
        mine, conflicts = _once(batch.letters)
        with engine.writing(self.engine) as tx:
            new = self._add(tx, [_row(letter, now_us) for letter in mine.values()]) if mine else 0
            had: set[Place] = set()
            if new < len(mine):
                had = _had(tx, mine, conflicts, now_us)
            broken, tips = self._check(tx, mine, now_us)
            special = [it for it in mine.values() if not it.known or not it.synced or it.type in SPECIAL]
            margins.note_devices(tx, self._insert, special)
            owed = clocks.note(tx, self._insert, special)
            moved = clocks.put_right(tx)[0] if owed else set[str]()
            seen = margins.note_sightings(tx, self._insert, batch.sightings, now_us)
            misfits = [*batch.misfits, *(it.misfit("conflict") for it in conflicts)]
            margins.shut_in(tx, self._insert, misfits, now_us)
            unknown = Counter(it.window for it in special if not it.known and (it.ledger, it.seq) not in had)
            margins.count(tx, self._insert, "unknown", unknown)
            margins.count(tx, self._insert, "again", Counter(mine[place].window for place in had & mine.keys()))
        self._chain.settle(tips)
        again = len(batch.letters) - new - len(conflicts)
        shut = Counter(it.window or "" for it in misfits)
        return Kept(mine, new, again, conflicts, broken, moved, seen, shut, unknown)

    def _check(self, tx: Connection, mine: Mapping[Place, Letter], now_us: int) -> tuple[list[Break], dict[str, Tip]]:
        if unmet := self._chain.unmet(mine.values()):
            known = select(facts.c.ledger, func.max(facts.c.seq)).where(facts.c.received_us != now_us)
            rows = tx.execute(known.where(facts.c.ledger.in_(unmet)).group_by(facts.c.ledger))
            self._chain.meet(dict(rows.all()))
        broken, tips = self._chain.check(mine, lambda places: _fetch(tx, places))
        for it in broken:
            row = {**msgspec.structs.asdict(it), "noticed_us": now_us}
            tx.execute(self._insert(breaks).values(row).on_conflict_do_nothing())
        return broken, tips

    def put_right(self) -> tuple[set[str], bool]:
        """Puts right a slice of the times that are still wrong: the windows that are right now, and whether more is."""
        with engine.writing(self.engine) as tx:
            return clocks.put_right(tx)

    def told(self, day: str, windows: Sequence[str] | None = None) -> Iterator[Told]:
        """What a day's facts of known types say, of all windows or of some, oldest first within each ledger."""
        wanted = select(facts.c.window, facts.c.ledger, facts.c.seq, facts.c.type, facts.c.payload)
        wanted = wanted.where(facts.c.day == day, facts.c.known, facts.c.type.in_(COUNTED))
        if windows is not None:
            wanted = wanted.where(facts.c.window.in_(windows))
        with engine.reading(self.engine) as tx:
            for window, ledger, seq, type_, payload in tx.execute(wanted.order_by(facts.c.ledger, facts.c.seq)):
                if fact := reread(type_, payload):
                    yield Told(window, ledger, seq, fact)

    def devices(self, windows: Sequence[str]) -> list[margins.Device]:
        """The devices of some windows as they are now."""
        with engine.reading(self.engine) as tx:
            return margins.all_devices(tx, windows)

    def past(self) -> Past:
        """What was known before this program was started."""
        with engine.reading(self.engine) as tx:
            return Past(
                facts=tx.execute(select(func.count()).select_from(facts)).scalar_one(),
                breaks={(it.ledger, it.seq): it.window for it in tx.execute(select(breaks))},
                misfits=margins.misfits(tx),
                unknown=margins.all_counted(tx, "unknown"),
                devices=margins.all_devices(tx),
                sightings=margins.all_sightings(tx),
            )


COUNTED: Final = ("visit.ended", "rating.given", "rating.changed")
"""The types that the wall counts by day."""
SPECIAL: Final = frozenset({DeviceFailed.type, DeviceRecovered.type, ClockSynced.type})
"""The types that change more of the book than the facts."""


def _prepare(tx: Connection) -> None:
    """Make the tables in an empty database; refuse those of a newer version."""
    if tx.dialect.name == "postgresql":
        tx.execute(text("SELECT pg_advisory_xact_lock(430602)"))  # two collectors may start at once
    if inspect(tx).has_table(meta.name):
        found = tx.execute(select(meta.c.value).where(meta.c.name == "schema")).scalar_one_or_none() or 0
        if found > SCHEMA:
            raise TooNew(found)
        return
    metadata.create_all(tx)
    tx.execute(meta.insert(), [{"name": "schema", "value": SCHEMA}, {"name": "session", "value": 0}])


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
    seqs: dict[str, list[int]] = {}
    for ledger, seq in mine:
        seqs.setdefault(ledger, []).append(seq)
    had = set()
    for ledger, some in seqs.items():
        wanted = select(facts.c.seq, facts.c.payload).where(facts.c.ledger == ledger, facts.c.seq.in_(some))
        for seq, payload in tx.execute(wanted.where(facts.c.received_us != now_us)):
            had.add((ledger, seq))
            if payload != mine[ledger, seq].payload:
                conflicts.append(mine.pop((ledger, seq)))
    return had


def _fetch(tx: Connection, places: set[Place]) -> dict[Place, bytes]:
    found: dict[Place, bytes] = {}
    some = list(places)
    for at in range(0, len(some), BATCH):
        wanted = select(facts.c.ledger, facts.c.seq, facts.c.payload)
        rows = tx.execute(wanted.where(tuple_(facts.c.ledger, facts.c.seq).in_(some[at : at + BATCH])))
        found.update({(ledger, seq): payload for ledger, seq, payload in rows})
    return found


def _row(letter: Letter, now_us: int) -> tuple[Any, ...]:
    """A fact as a row of `facts`, in the order of its columns."""
    fact = letter.fact
    grade = fact.grade if isinstance(fact, (RatingGiven, RatingChanged)) else None
    was = fact.was if isinstance(fact, RatingChanged) else None
    return (
        letter.ledger, letter.seq, letter.window, letter.type, letter.version, letter.known, letter.subject,
        letter.day, letter.time_us, letter.time_us, letter.synced, letter.boot, letter.up, grade, was,
        letter.payload, now_us,
    )  # fmt: skip

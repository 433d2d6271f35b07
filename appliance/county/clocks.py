"""Puts right the times of facts that a window told before its clock was set, once the window says how wrong it was.

Rules:

- a fact without a trustworthy clock is moved by the first `clock.synced` of its boot, if that comes after it; "first"
  is by sequence and not by arrival, so that it does not matter in what order facts come, nor to which collector;
- a later `clock.synced` of the same boot is kept as a fact and changes nothing;
- a time that would fall out of the years that are ours stays as it was told.

A boot may have tens of thousands of such facts, and everybody else waits for a transaction: so a boot that is to be put
right stands in the table `redating` with how far it is, and each transaction moves one slice. Ledgers take turns, so
that one with thousands of boots keeps no other waiting.
"""

from collections.abc import Iterable, Sequence
from typing import Any, Final, NamedTuple

import msgspec
from sqlalchemy import BigInteger, ColumnElement, Connection, case, cast, delete, false, func, select, update

from appliance.county import rows
from appliance.county.engine import Insert
from appliance.county.reading import CHINA_S, Letter
from appliance.county.tables import boots, devices, facts, redating
from appliance.window.facts import ClockSynced

Boot = tuple[str, str]
"""A ledger and the name of a boot of its machine."""
SLICE: Final = 4000
"""Facts that one transaction moves: less than a tenth of a second."""
LAST_US: Final = 4_102_444_800_000_000
"""The end of the year 2099, in microseconds since 1970."""


class _Whose(msgspec.Struct, frozen=True):
    window: rows.Window


def note(tx: Connection, insert: Insert, letters: Sequence[Letter]) -> bool:
    """What new facts say about the clocks of boots; whether anything is to be put right."""
    owed: dict[Boot, int] = {}
    for letter in letters:
        if isinstance(letter.fact, ClockSynced) and _first(tx, letter):
            offset_us = round(letter.fact.offset * 1e6)
            row = {"ledger": letter.ledger, "boot": letter.boot, "seq": letter.seq, "offset_us": offset_us}
            tx.execute(insert(boots).values(row).on_conflict_do_nothing())
            owed[letter.ledger, letter.boot] = 0
    for unsynced, seqs in _unsynced(letters).items():
        said = None if unsynced in owed else _statement(tx, *unsynced)
        if said and (before := [seq for seq in seqs if seq < said[0]]):
            owed[unsynced] = min(before) - 1
    for (ledger, boot), done in owed.items():
        row = insert(redating).values(ledger=ledger, boot=boot, done=done)
        further = redating.c.done > row.excluded.done
        kept = {"done": row.excluded.done}
        tx.execute(row.on_conflict_do_update(index_elements=["ledger", "boot"], set_=kept, where=further))
    return bool(owed)


class Moved(NamedTuple):
    """The windows whose times are right now, whether there is more to do, and the ledger whose turn it was."""

    windows: set[str]
    more: bool
    ledger: str = ""


class Unremovable(Exception):
    """A damaged row of `redating` is found and not found again: its times stay as they were told."""


def put_right(tx: Connection, after: str = "") -> Moved:
    """Moves a slice of the facts of one boot, of the ledger that follows `after`. Raises Unremovable."""
    boots_in_turn = select(redating).order_by(redating.c.ledger, redating.c.boot).limit(1)
    owed = tx.execute(boots_in_turn.where(redating.c.ledger > after)).one_or_none()
    owed = owed or tx.execute(boots_in_turn).one_or_none()
    if owed is None:
        return Moved(set(), False)
    mine = (facts.c.ledger == owed.ledger, facts.c.boot == owed.boot, ~facts.c.synced)
    beyond = select(facts.c.seq).where(*mine, facts.c.seq > owed.done).order_by(facts.c.seq)
    upto = tx.execute(beyond.offset(SLICE - 1).limit(1)).scalar_one_or_none()
    said = _statement(tx, owed.ledger, owed.boot)
    if said:
        _move(tx, owed.ledger, [*mine, facts.c.seq > owed.done, *([facts.c.seq <= upto] if upto else [])], *said)
    this = (redating.c.ledger == owed.ledger, redating.c.boot == owed.boot)
    if said and upto:
        tx.execute(update(redating).where(*this).values(done=upto))
        return Moved(set(), True, owed.ledger)
    # A damaged name is read as another and not found again: then all that its ledger is owed goes, or it would be tried
    # for ever.
    done = tx.execute(delete(redating).where(*this)).rowcount
    if not done and not tx.execute(delete(redating).where(redating.c.ledger == owed.ledger)).rowcount:
        raise Unremovable(owed.ledger)
    windows = rows.read(tx, select(facts.c.window).where(facts.c.ledger == owed.ledger).limit(1), _Whose)
    more = tx.execute(select(redating.c.boot).limit(1)).first() is not None
    return Moved({it.window for it in windows}, more, owed.ledger)


def _move(tx: Connection, ledger: str, where: list[Any], first: int, offset_us: int) -> None:
    moved = facts.c.time_us + offset_us
    right = case((((facts.c.seq < first) & moved.between(0, LAST_US - 1)), moved), else_=facts.c.time_us)
    values = {"at_us": right, "day": _day(tx, right)}
    # PostgreSQL ends the statement for a number that is too large, and asks the parts of an AND in whatever order.
    sane = facts.c.time_us.between(0, LAST_US - 1)
    wrong = case((sane, facts.c.at_us != right), else_=false())
    if not tx.execute(update(facts).where(*where, wrong).values(values)).rowcount:
        return
    # The window's own rows, found by its name: nobody looks for a device by its ledger.
    window = select(facts.c.window).where(facts.c.ledger == ledger).limit(1).scalar_subquery()
    at_us = select(facts.c.at_us).where(facts.c.ledger == ledger, facts.c.seq == devices.c.seq).scalar_subquery()
    those = (devices.c.window == window, devices.c.ledger == ledger)
    told = select(facts.c.seq).where(facts.c.ledger == ledger, facts.c.seq == devices.c.seq).exists()
    tx.execute(update(devices).where(*those, told).values(at_us=at_us))


def _day(tx: Connection, at_us: ColumnElement[int]) -> ColumnElement[str]:
    """`day_of` in the words of the database."""
    second = cast(at_us, BigInteger) // 1_000_000 + CHINA_S
    if tx.dialect.name == "postgresql":
        return func.to_char(func.timezone("UTC", func.to_timestamp(second)), "YYYY-MM-DD")
    return func.strftime("%Y-%m-%d", second, "unixepoch")


def _statement(tx: Connection, ledger: str, boot: str) -> tuple[int, int] | None:
    """The sequence and the offset of the first `clock.synced` of a boot."""
    said = select(boots.c.seq, boots.c.offset_us).where(boots.c.ledger == ledger, boots.c.boot == boot)
    found = tx.execute(said.order_by(boots.c.seq).limit(1)).one_or_none()
    if found is None or not isinstance(found[0], int) or not isinstance(found[1], int) or abs(found[1]) > LAST_US:
        return None
    return found[0], found[1]


def _first(tx: Connection, letter: Letter) -> bool:
    said = _statement(tx, letter.ledger, letter.boot)
    return said is None or letter.seq < said[0]


def _unsynced(letters: Iterable[Letter]) -> dict[Boot, list[int]]:
    found: dict[Boot, list[int]] = {}
    for letter in letters:
        if not letter.synced:
            found.setdefault((letter.ledger, letter.boot), []).append(letter.seq)
    return found

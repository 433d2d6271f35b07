"""Prepares a book: makes its tables, takes over one of an older version, and refuses one of a newer.

A takeover is one transaction on both databases: a book is of one version or of the other, whatever happens meanwhile.
"""

from collections import Counter
from typing import Final

import msgspec
from sqlalchemy import Connection, Table, bindparam, func, inspect, select, text, update

from appliance.county import rows
from appliance.county.reading import reread
from appliance.county.tables import (
    SCHEMA,
    breaks,
    counters,
    devices,
    facts,
    ledgers,
    meta,
    metadata,
    quarantine,
)
from appliance.window.facts import RatingDeclined

MANY: Final = 1000
"""Rows that one statement of a takeover writes."""


class Damaged(Exception):
    """What the book says of its own version is no version; the text is what it says."""


class TooNew(Exception):
    """The book was written by a newer version of this program: `found` is its schema."""

    def __init__(self, found: int) -> None:
        super().__init__(f"schema {found}, known up to {SCHEMA}")
        self.found = found


def prepare(tx: Connection) -> None:
    """The tables as this version has them, whatever was there."""
    if tx.dialect.name == "postgresql":
        # A takeover of a large book takes its time, and another collector that starts meanwhile waits for it.
        tx.exec_driver_sql("SET LOCAL statement_timeout = 0")
        tx.exec_driver_sql("SET LOCAL lock_timeout = 0")
        tx.execute(text("SELECT pg_advisory_xact_lock(430602)"))
    if not inspect(tx).has_table(meta.name):
        metadata.create_all(tx)
        tx.execute(meta.insert(), [{"name": "schema", "value": SCHEMA}, {"name": "session", "value": 0}])
        return
    found = tx.execute(select(meta.c.value).where(meta.c.name == "schema")).scalar_one_or_none() or 0
    if not isinstance(found, int):
        raise Damaged(f"schema {found!r:.40}")
    if found > SCHEMA:
        raise TooNew(found)
    if found < SCHEMA:
        _from_1(tx)
        tx.execute(update(meta).where(meta.c.name == "schema").values(value=SCHEMA))


def _from_1(tx: Connection) -> None:
    """Schema 1 knew no owner of a ledger and no gap, and counted what it shows from what it kept."""
    _add_column(tx, facts, "why")
    _add_column(tx, devices, "ledger_us")
    metadata.create_all(tx)
    _indexes(tx)
    _owners(tx)
    _reasons(tx)
    _numbers(tx)


def _add_column(tx: Connection, table: Table, name: str) -> None:
    column = table.columns[name]
    kind = column.type.compile(tx.dialect)
    needed = "" if column.nullable else " NOT NULL DEFAULT 0"
    tx.exec_driver_sql(f'ALTER TABLE "{table.name}" ADD COLUMN "{name}" {kind}{needed}')


def _indexes(tx: Connection) -> None:
    """The indexes of tables that were there before: those that this version has, and no others."""
    for table in metadata.tables.values():
        there = {str(it["name"]) for it in inspect(tx).get_indexes(table.name)}
        wanted = {str(it.name): it for it in table.indexes}
        for name in there - wanted.keys():
            tx.exec_driver_sql(f'DROP INDEX "{name}"')
        for name in sorted(wanted.keys() - there):
            wanted[name].create(tx)


def _owners(tx: Connection) -> None:
    """A ledger is of the window that brought it first; a device's word is as old as its ledger."""
    came = func.min(facts.c.received_us).label("came")
    seen = tx.execute(select(facts.c.ledger, facts.c.window, came).group_by(facts.c.ledger, facts.c.window))
    first: dict[str, tuple[int, str]] = {}
    for ledger, window, came_us in seen:
        one = (rows.number(came_us, 0), str(window))
        first[ledger] = min(first.get(ledger, one), one)
    found = [{"ledger": ledger, "window": window, "first_us": came} for ledger, (came, window) in first.items()]
    for at in range(0, len(found), MANY):
        tx.execute(ledgers.insert(), found[at : at + MANY])
    since = select(ledgers.c.first_us).where(ledgers.c.ledger == devices.c.ledger).scalar_subquery()
    tx.execute(update(devices).values(ledger_us=func.coalesce(since, 0)))


def _reasons(tx: Connection) -> None:
    """Why a rating was not given, which schema 1 left in the payload."""
    for ledger in tx.execute(select(ledgers.c.ledger)).scalars().all():
        last = 0
        while True:
            some = select(facts.c.seq, rows.raw(facts.c.payload)).where(facts.c.ledger == ledger, facts.c.seq > last)
            some = some.where(facts.c.type == RatingDeclined.type, facts.c.known).order_by(facts.c.seq).limit(MANY)
            told = tx.execute(some).all()
            if not told:
                break
            reasons = [{"of": ledger, "at": seq, "said": why} for seq, payload in told if (why := _why(payload))]
            last = told[-1].seq
            if reasons:
                place = (facts.c.ledger == bindparam("of"), facts.c.seq == bindparam("at"))
                tx.execute(update(facts).where(*place).values(why=bindparam("said")), reasons)


def _why(payload: object) -> str | None:
    """None when it was kept by a version that took what this one does not."""
    try:
        fact = reread(RatingDeclined.type, rows.payload(payload))
    except (msgspec.DecodeError, RecursionError):
        return None
    return fact.why if isinstance(fact, RatingDeclined) else None


def _numbers(tx: Connection) -> None:
    """What schema 1 counted anew at each start."""
    numbers: Counter[tuple[str, str]] = Counter()
    shut = select(quarantine.c.window, func.sum(quarantine.c["count"])).group_by(quarantine.c.window)
    for window, n in tx.execute(shut):
        numbers[str(window), "misfits"] = int(n)
    for window, n in tx.execute(select(breaks.c.window, func.count()).group_by(breaks.c.window)):
        numbers[window, "breaks"] = n
    numbers["", "facts"] = tx.execute(select(func.count()).select_from(facts)).scalar_one()
    counted = [{"window": window, "name": name, "value": value} for (window, name), value in numbers.items()]
    tx.execute(counters.insert(), counted)

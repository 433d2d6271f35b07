"""Puts right the times of facts that a window told before its clock was set, once the window says how wrong it was.

Rule: a fact without a trustworthy clock is moved by the first `clock.synced` of the same boot after it.
"""

from bisect import bisect_right
from collections.abc import Iterable

from sqlalchemy import Connection, select, update

from appliance.county.reading import Letter, day_of
from appliance.county.tables import boots, devices, facts
from appliance.window.facts import ClockSynced

Boot = tuple[str, str]
"""A ledger and the name of a boot of its machine."""


def offsets(letters: Iterable[Letter]) -> list[dict[str, object]]:
    """The rows for `boots` that these facts bring."""
    return [
        {"ledger": it.ledger, "boot": it.boot, "seq": it.seq, "offset_us": round(it.fact.offset * 1e6)}
        for it in letters
        if isinstance(it.fact, ClockSynced)
    ]


def put_right(tx: Connection, touched: set[Boot]) -> set[str]:
    """Moves the facts of these boots to their true times; returns the windows of which any moved."""
    moved: set[str] = set()
    for ledger, boot in touched:
        said = tx.execute(
            select(boots.c.seq, boots.c.offset_us)
            .where(boots.c.ledger == ledger, boots.c.boot == boot)
            .order_by(boots.c.seq)
        ).all()
        if said:
            moved |= _move(tx, ledger, boot, [seq for seq, _ in said], [offset for _, offset in said])
    return moved


def _move(tx: Connection, ledger: str, boot: str, seqs: list[int], by: list[int]) -> set[str]:
    rows = tx.execute(
        select(facts.c.seq, facts.c.window, facts.c.time_us, facts.c.at_us).where(
            facts.c.ledger == ledger, facts.c.boot == boot, ~facts.c.synced
        )
    ).all()
    moved: set[str] = set()
    for seq, window, time_us, at_us in rows:
        n = bisect_right(seqs, seq)
        right = time_us + by[n] if n < len(by) else time_us
        if right != at_us:
            where = (facts.c.ledger == ledger, facts.c.seq == seq)
            tx.execute(update(facts).where(*where).values(at_us=right, day=day_of(right)))
            tx.execute(update(devices).where(devices.c.ledger == ledger, devices.c.seq == seq).values(at_us=right))
            moved.add(window)
    return moved

"""Whose each ledger is: a ledger belongs to the window that brought it first, and to no other for ever.

A window that sends facts of another's ledger (a card copied to a second window, a certificate in the wrong hands) is
not believed: such a fact is set apart as `foreign_ledger`. Nor is it acknowledged, because the other may be the thief.
"""

from collections.abc import Iterable, Mapping
from typing import Final

import msgspec
from sqlalchemy import Connection, func, select

from appliance.county.engine import Insert
from appliance.county.reading import Letter
from appliance.county.rows import number
from appliance.county.tables import ledgers

MOST: Final = 100
"""Ledgers that a window may bring: a new card or a damaged file begins one, which happens a few times in its life."""
REMEMBERED: Final = 50_000
"""Ledgers kept in memory; the book knows all."""


class Owner(msgspec.Struct, frozen=True):
    """The window that brought a ledger first, and when."""

    window: str
    first_us: int


class Sorted(msgspec.Struct, frozen=True):
    """The facts of a batch: those of their window's own ledgers, those of another's, those of one too many."""

    own: list[Letter]
    foreign: list[Letter]
    too_many: list[Letter]
    owners: dict[str, Owner]
    """Of every ledger in the batch; to be handed to `settle` once it is committed."""


class Owners:
    """Remembers the owners of ledgers, so that the book is asked once for each."""

    def __init__(self) -> None:
        self._known: dict[str, Owner] = {}

    def sort(self, tx: Connection, insert: Insert, letters: list[Letter], now_us: int) -> Sorted:
        """Tell apart what a window may say; a ledger that nobody brought before is from now on its sender's."""
        known = self._known
        first: dict[str, str] = {}
        for letter in letters:
            if letter.ledger not in known:
                first.setdefault(letter.ledger, letter.window)
        met = meet(tx, insert, first, now_us) if first else {}
        owners = {it: met.get(it) or known[it] for it in {it.ledger for it in letters} if it in met or it in known}
        windows = {ledger: owner.window for ledger, owner in owners.items()}
        own = [it for it in letters if windows.get(it.ledger) == it.window]
        if len(own) == len(letters):
            return Sorted(own, [], [], owners)
        others = [it for it in letters if windows.get(it.ledger) != it.window]
        foreign = [it for it in others if it.ledger in windows]
        return Sorted(own, foreign, [it for it in others if it.ledger not in windows], owners)

    def settle(self, owners: Mapping[str, Owner]) -> None:
        """Take the owners of a batch that was committed."""
        if len(self._known) > REMEMBERED:
            self._known.clear()
        self._known.update(owners)


def meet(tx: Connection, insert: Insert, first: Mapping[str, str], now_us: int) -> dict[str, Owner]:
    """The owners of ledgers, each with who brings it now; one that would be a window's `MOST` + 1st has none."""
    met = _owners(tx, first)
    fresh = sorted(first.keys() - met.keys())
    if not fresh:
        return met
    counted = select(ledgers.c.window, func.count()).where(ledgers.c.window.in_({first[it] for it in fresh}))
    have = {window: int(n) for window, n in tx.execute(counted.group_by(ledgers.c.window))}
    for ledger in fresh:
        window = first[ledger]
        if have.get(window, 0) < MOST:
            have[window] = have.get(window, 0) + 1
            row = insert(ledgers).values(ledger=ledger, window=window, first_us=now_us)
            tx.execute(row.on_conflict_do_nothing())
    # Another collector may have been quicker with any of them: what the book says now counts.
    return {**met, **_owners(tx, fresh)}


def _owners(tx: Connection, some: Iterable[str]) -> dict[str, Owner]:
    wanted = select(ledgers.c.ledger, ledgers.c.window, ledgers.c.first_us).where(ledgers.c.ledger.in_(list(some)))
    return {ledger: Owner(window, number(first_us, 0)) for ledger, window, first_us in tx.execute(wanted)}

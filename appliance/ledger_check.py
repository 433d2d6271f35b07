"""The whole check of a ledger, behind the keys: every page, every index of papers, every fact, how many are unsent.

It reads on a connection of its own, a few facts at a time, and takes as long as it takes: on a card of half a million
facts, minutes. Until its verdict nothing is folded into the file, so that a damaged one stands as it was found.

What is missing among sound facts (somebody deleted one) damages nothing that comes after: it is noted, told once, and
the file stays. What is altered or cannot be read is damage: `ledger_rescue` says what becomes of that.
"""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import msgspec

from appliance.ledger_chain import Chain
from appliance.ledger_file import lasting
from appliance.ledger_meta import holes

FACTS_AT_ONCE, UNSENT_AT_ONCE = 200, 5000
PAUSE_S = 0.01
"""Between two slices: a press must not wait for the interpreter."""

Pause = Callable[[float], object]
"""Waits so many seconds; true when the program ends meanwhile."""


class Verdict(msgspec.Struct, frozen=True):
    """What the check has found: the first damage in a few words, and facts that are missing without a note."""

    damage: str = ""
    missing: tuple[tuple[int, int], ...] = ()


class Stopped(Exception):
    """The program ends, and there is no verdict."""


def open_to_read(path: Path) -> sqlite3.Connection:
    """A connection that cannot write, and so never folds the log into the file, not even as the last to close."""
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, check_same_thread=False, timeout=5)


def check(path: Path, pause: Pause) -> Verdict:
    """The whole check; raises Stopped, and sqlite3.OperationalError for what may pass by itself."""
    with closing(open_to_read(path)) as connection:
        try:
            damage = _pages(connection)
            return Verdict(damage) if damage else _facts(connection, pause)
        except sqlite3.DatabaseError as error:
            if lasting(error):
                return Verdict(str(error))
            raise


def _pages(connection: sqlite3.Connection) -> str:
    # The quick check leaves indexes out, and papers are found by theirs; facts have none.
    for pragma in ("PRAGMA quick_check(1)", "PRAGMA integrity_check(papers)"):
        verdict = str(connection.execute(pragma).fetchone()[0])
        if verdict != "ok":
            return verdict
    return ""


def _facts(connection: sqlite3.Connection, pause: Pause) -> Verdict:
    chain = Chain(holes(connection))
    for row in in_slices(connection, pause):
        if fault := chain.take(row):
            return Verdict(fault)
    return Verdict(missing=tuple(chain.missing))


def in_slices(connection: sqlite3.Connection, pause: Pause) -> Iterator[tuple[int, object, object, object]]:
    """Every fact that there is now, by ascending sequence."""
    after, last = 0, connection.execute("SELECT max(seq) FROM facts").fetchone()[0] or 0
    query = "SELECT seq, type, at, payload FROM facts WHERE seq > ? AND seq <= ? ORDER BY seq LIMIT ?"
    while rows := connection.execute(query, (after, last, FACTS_AT_ONCE)).fetchall():
        yield from rows
        after = rows[-1][0]
        if pause(PAUSE_S):
            raise Stopped


def unsent_in_slices(connection: sqlite3.Connection, pause: Pause) -> int:
    """How many facts are unsent, as the connection sees it."""
    counted, after = 0, 0
    query = "SELECT count(*), max(seq) FROM (SELECT seq FROM outbox WHERE seq > ? ORDER BY seq LIMIT ?)"
    while (found := connection.execute(query, (after, UNSENT_AT_ONCE)).fetchone())[0]:
        counted, after = counted + found[0], found[1]
        if pause(PAUSE_S):
            raise Stopped
    return counted

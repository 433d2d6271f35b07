"""What becomes of a ledger that the whole check found damaged: its sound part goes on in a new file.

The window has served since its start, and the county may have what was written since; so nothing is numbered anew:
- a new file of the same ledger takes every fact that is sound, with its own bytes, what is unsent, the papers, and from
  memory all that was written since the start; where facts are gone it notes a hole;
- ready, it gets the name `…-rescued`. From then on it is the ledger: a start that finds it finishes the exchange;
- the damaged file is set aside with its log, not a byte of it written: nothing is folded into it before the verdict.

A card without room for a second file keeps the first, and the next start checks it again.
"""

import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import msgspec

from appliance import wire
from appliance.ledger_chain import Row, read
from appliance.ledger_check import FACTS_AT_ONCE, PAUSE_S, Pause, Stopped, open_to_read
from appliance.ledger_file import Damage, Finding, create, set_aside
from appliance.ledger_meta import add_hole

PAPERS = "rowid, paper, case_no, copy, state, reason, at, seq, form"


class Memory(msgspec.Struct, frozen=True):
    """What the running window knows without its file; `since` are the facts written since the start."""

    ledger: str
    window: str
    session: int
    lost: int
    last_seq: int
    since: tuple[Row, ...]
    desk: bytes


class Rescue:
    """The new file while it is made: `gather` takes its time, `finish` needs the ledger to stand still."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._new = path.with_name(path.name + "-rescuing")
        for left in (self._new, *_companions(self._new)):
            left.unlink(missing_ok=True)
        self._source = open_to_read(path)
        self._taken = 0
        self._gaps: list[tuple[int, int]] = []

    def gather(self, memory: Memory, pause: Pause) -> None:
        """Copy every sound fact there was at the start. Raises sqlite3.OperationalError on a full card, and Stopped."""
        create(self._new, memory.ledger, memory.window)
        with closing(self._open()) as target:
            target.execute("PRAGMA synchronous = OFF")
            for rows in self._sound(memory, pause):
                target.execute("BEGIN")
                self._take(target, rows)
                target.execute("COMMIT")

    def finish(self, memory: Memory) -> None:
        """Add all that moves, and put the file's name to it: from then on it is the ledger."""
        with closing(self._open()) as target:
            target.execute("BEGIN IMMEDIATE")
            self._take(target, memory.since)
            if self._taken < memory.last_seq:
                self._gaps.append((self._taken + 1, memory.last_seq))
            self._outbox(target, memory.last_seq)
            self._papers(target)
            target.execute("UPDATE desk SET state = ?", (memory.desk,))
            meta = [("session", memory.session), ("lost", memory.lost)]
            target.executemany("INSERT OR REPLACE INTO meta VALUES (?, ?)", meta)
            for low, high in self._gaps:
                add_hole(target, low, high)
            target.execute("COMMIT")
            target.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        _sync(self._new)
        self._new.rename(rescued(self.path))
        _sync(self.path.parent)

    def close(self) -> None:
        """Let go of the damaged file: as the last to do so, without folding its log in."""
        self._source.close()

    def _open(self) -> sqlite3.Connection:
        return sqlite3.connect(self._new, isolation_level=None)

    def _take(self, target: sqlite3.Connection, rows: Iterable[Row]) -> None:
        for row in rows:
            if row[0] > self._taken + 1:
                self._gaps.append((self._taken + 1, row[0] - 1))
            self._taken = max(self._taken, row[0])
            target.execute("INSERT OR REPLACE INTO facts VALUES (?, ?, ?, ?)", row)

    # ---- from a file that cannot be trusted ---------------------------------------------------------------------

    def _sound(self, memory: Memory, pause: Pause) -> Iterator[list[Row]]:
        held: Row | None = None
        for low in range(1, memory.last_seq + 1, FACTS_AT_ONCE):
            rows: list[Row] = []
            for row in self._rows("facts", "seq, type, at, payload", "seq", low, low + FACTS_AT_ONCE - 1):
                link = read(row)
                if isinstance(link, str):
                    continue
                # The next fact vouches for the bytes of this one.
                if held and (held[0] + 1 != row[0] or wire.prevhash(_bytes(held)) == link.prevhash):
                    rows.append(held)
                held = row
            yield rows
            if pause(PAUSE_S):
                raise Stopped
        if held:
            yield [held]

    def _outbox(self, target: sqlite3.Connection, last: int) -> None:
        # Where it cannot be read, all of that stretch is unsent: the county keeps a fact once however often it comes.
        for low in range(1, last + 1, 5000):
            high = low + 4999
            query, values = "SELECT seq FROM outbox WHERE seq BETWEEN ? AND ?", (low, high)
            try:
                unsent = self._source.execute(query, values).fetchall()
            except sqlite3.DatabaseError:
                unsent = target.execute("SELECT seq FROM facts WHERE seq BETWEEN ? AND ?", (low, high)).fetchall()
            target.executemany("INSERT INTO outbox SELECT seq FROM facts WHERE seq = ?", unsent)

    def _papers(self, target: sqlite3.Connection) -> None:
        with suppress(sqlite3.DatabaseError):
            last = self._source.execute("SELECT max(rowid) FROM papers").fetchone()[0] or 0
            for low in range(1, last + 1, FACTS_AT_ONCE):
                rows = self._rows("papers", PAPERS, "rowid", low, low + FACTS_AT_ONCE - 1)
                into = f"INSERT OR IGNORE INTO papers ({PAPERS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
                target.executemany(into, rows)

    def _rows(self, table: str, columns: str, key: str, low: int, high: int) -> list[Any]:
        query = f"SELECT {columns} FROM {table} WHERE {key} BETWEEN ? AND ? ORDER BY {key}"
        try:
            return self._source.execute(query, (low, high)).fetchall()
        except sqlite3.DatabaseError:
            return list(self._one_by_one(query, low, high))

    def _one_by_one(self, query: str, low: int, high: int) -> Iterator[Any]:
        for one in range(low, high + 1):
            with suppress(sqlite3.DatabaseError):
                yield from self._source.execute(query, (one, one)).fetchall()


def rescued(path: Path) -> Path:
    """Where the new file waits to take the name of the ledger."""
    return path.with_name(path.name + "-rescued")


def exchange(path: Path, words: str, let_go: Callable[[], None] = lambda: None) -> Damage | None:
    """Set the damaged file aside and give its name to the rescued one; None when there is none.

    `let_go` closes whatever has the damaged file open, after it has its new name. Killed at any instruction, the same
    again at the next start comes to the same end.
    """
    if not rescued(path).exists():
        return None
    if path.exists() and not path.stat().st_size:
        path.unlink()
    damage = set_aside(path, Finding("damaged", words))
    let_go()
    rescued(path).rename(path)
    _sync(path.parent)
    return damage


def _bytes(row: Row) -> bytes:
    return row[3] if isinstance(row[3], bytes) else b""


def _companions(path: Path) -> list[Path]:
    return [path.with_name(path.name + tail) for tail in ("-wal", "-shm", "-journal")]


def _sync(path: Path) -> None:
    number = os.open(path, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)

"""The ledger: SQLite on the card, where every fact stands before anything else happens because of it.

The rules:
- facts are only ever added, chained by the SHA-256 of the payload before, byte for byte as published;
- facts, desk and papers change in one transaction, on the disk before `commit` returns (WAL, synchronous=FULL);
- a sequence is given once, also where a fact is lost or was deleted: the next is beyond all that can have been given;
- a file that is not right is set aside under a dated name, never deleted; one of a newer version is refused;
- nothing that is asked or done before the keys, or for a press, takes longer in a larger file.
"""

import logging
import secrets
import sqlite3
from collections import deque
from collections.abc import Sequence
from contextlib import ExitStack, closing, suppress
from datetime import datetime
from pathlib import Path
from typing import IO

import msgspec

from appliance import wire
from appliance.ledger_chain import Row, moment_of
from appliance.ledger_check import Pause, Verdict, check, open_to_read, unsent_in_slices
from appliance.ledger_file import (
    Damage,
    Mark,
    create,
    finding_in,
    finding_of,
    hold,
    mark,
    reserve,
    set_aside,
    unusable,
)
from appliance.ledger_meta import add_hole, last_given, read_meta
from appliance.ledger_papers import NotKept, Paper, Papers
from appliance.ledger_rescue import Memory, Rescue, exchange
from appliance.ledger_wal import Loss, loss_of, settle
from appliance.window.desk import Desk
from appliance.window.facts import CaseReceived, Fact
from appliance.window.moment import CHINA, Moment

__all__ = ["Kept", "Ledger", "NotKept", "Paper"]

log = logging.getLogger(__name__)

TAIL = 64
WAL_PAGES_KEPT = 400


class Kept(msgspec.Struct, frozen=True):
    """One fact as it stands in the ledger and goes over the wire."""

    seq: int
    type: str
    payload: bytes


class Ledger(Papers):
    """The open ledger of one window; every method may be called from any thread.

    `damage` says why a file was set aside, `loss` what the log of the last run has lost.
    """

    def __init__(
        self, path: Path, window: str, guard: IO[bytes], damage: Damage | None = None, loss: Loss | None = None
    ) -> None:
        super().__init__()
        self._guard = guard
        self.path = path
        self.window = window
        self.damage = damage
        self.loss = loss
        self._connect()
        meta = read_meta(self._writer)
        self.id: str = meta.ledger
        self._session, self._lost = meta.session, meta.lost
        self.last_seq, self._last_payload = last_given(self._writer), self._newest_payload()
        self._unsent = self._unsent_guess()
        self._moved = 0
        """By how much `_unsent` has changed since the check began to count."""
        self._papers_before = self._writer.execute("SELECT max(rowid) FROM papers").fetchone()[0] or 0
        mark(guard, self.id, self.last_seq)
        self._tail: deque[Kept] = deque(maxlen=TAIL)
        self._tail_from = self.last_seq
        self._source = "/windows/" + window.split("-", 1)[0] + "/" + window
        self._since: list[Row] | None = []
        """What was written since the start, until the whole is known to be sound."""
        self._desk: bytes = self._writer.execute("SELECT state FROM desk").fetchone()[0]

    @classmethod
    def open(cls, path: Path, window: str) -> "Ledger":
        """Open the ledger, begin one where there is none, set one aside that is not right and begin another.

        Raises LedgerUnusable, with the sentence to show, for a newer version, an unwritable place, or one in use.
        """
        guard = hold(path)
        with ExitStack() as on_failure:
            # Held on, it would keep this very program out when it tries again.
            on_failure.callback(guard.close)
            try:
                with reserve(guard) as before:
                    ledger = cls._open_held(path, window, guard, before)
            except (sqlite3.Error, OSError, MemoryError) as error:
                raise unusable(path, error) from error
            on_failure.pop_all()
        return ledger

    @classmethod
    def _open_held(cls, path: Path, window: str, guard: IO[bytes], before: Mark | None) -> "Ledger":
        damage = exchange(path, "found damaged while the window served")
        with closing(open_to_read(path)) as holder:
            # The last to close would fold the log away, and with it the proof of what it has lost.
            with suppress(sqlite3.DatabaseError):
                holder.execute("SELECT count(*) FROM sqlite_master").fetchone()
            finding = finding_of(path, window, before is not None)
            if finding is None:
                try:
                    return cls._open_sound(path, window, guard, damage, loss_of(path, before))
                except Exception as error:
                    finding = finding_in(error)
                    if finding is None:
                        raise
        damage = set_aside(path, finding)
        return cls._open_sound(path, window, guard, damage, None)

    @classmethod
    def _open_sound(
        cls, path: Path, window: str, guard: IO[bytes], damage: Damage | None, loss: Loss | None
    ) -> "Ledger":
        if loss:
            settle(path, loss, f"{datetime.now(CHINA):%Y%m%d}")
        create(path, secrets.token_hex(4), window)
        return cls(path, window, guard, damage, loss)

    # ---- keeping ------------------------------------------------------------------------------------------------

    def commit(self, facts: Sequence[Fact], at: Moment, desk: Desk, again: tuple[int, int] | None = None) -> list[int]:
        """Write facts, desk and papers in one transaction; the sequences given. Raises NotKept, and nothing changed.

        What there is of the sequences `again` is unsent once more, from the same transaction on.
        """
        with self._lock:
            kept, state = self._envelopes(facts, at), msgspec.json.encode(desk)
            with self._writing():
                self._writer.execute("BEGIN IMMEDIATE")
                self._write(kept, facts, at, state)
                returned = self._write_again(again)
            self._desk = state
            self._note(kept, at)
            mark(self._guard, self.id, self.last_seq)
            self._owe(returned)
            if any(isinstance(fact, CaseReceived) for fact in facts):
                self.paper_queued.set()
            return [one.seq for one in kept]

    def _write(self, kept: list[Kept], facts: Sequence[Fact], at: Moment, state: bytes) -> None:
        when = at.at.isoformat()
        self._writer.executemany(
            "INSERT INTO facts (seq, type, at, payload) VALUES (?, ?, ?, ?)",
            [(one.seq, one.type, when, one.payload) for one in kept],
        )
        self._writer.executemany("INSERT INTO outbox (seq) VALUES (?)", [(one.seq,) for one in kept])
        self._writer.execute("UPDATE desk SET state = ?", (state,))
        for one, fact in zip(kept, facts, strict=True):
            self._write_paper(one.seq, fact, when)

    def _envelopes(self, facts: Sequence[Fact], at: Moment) -> list[Kept]:
        kept: list[Kept] = []
        last = self._last_payload
        for seq, fact in enumerate(facts, self.last_seq + 1):
            last = self._envelope(seq, fact, at, last)
            kept.append(Kept(seq, fact.type, last))
        return kept

    def _envelope(self, seq: int, fact: Fact, at: Moment, before: bytes | None) -> bytes:
        return wire.encode(
            wire.Envelope(
                specversion="1.0",
                id=wire.fact_id(self.id, seq),
                sequence=str(seq),
                source=self._source,
                type=f"window.{fact.type}.v1",
                subject=fact.subject,
                time=at.at,
                clocksynced=at.synced,
                bootid=at.boot,
                uptime=f"{at.up:.3f}",
                prevhash=wire.prevhash(before),
                data=msgspec.Raw(msgspec.json.encode(fact)),
            )
        )

    def _write_again(self, again: tuple[int, int] | None) -> int:
        if again is None:
            return 0
        query = "INSERT OR IGNORE INTO outbox SELECT seq FROM facts WHERE seq BETWEEN ? AND ?"
        return self._writer.execute(query, again).rowcount

    def _note(self, kept: list[Kept], at: Moment) -> None:
        if not kept:
            return
        self._tail.extend(kept)
        self._tail_from = max(self._tail_from, self._tail[0].seq - 1)
        self.last_seq, self._last_payload = kept[-1].seq, kept[-1].payload
        self._owe(len(kept))
        if self._since is not None:
            self._since += [(one.seq, one.type, at.at.isoformat(), one.payload) for one in kept]

    def _owe(self, more: int) -> None:
        self._unsent += more
        self._moved += more

    # ---- the county ---------------------------------------------------------------------------------------------

    def unsent(self, limit: int, after: int = 0) -> list[Kept]:
        """Facts that the county does not have yet, with seq > `after`, oldest first."""
        with self._lock:
            if after >= self._tail_from:
                # What was committed a moment ago needs no look at the disk; an acknowledged one sent again is harmless.
                return [one for one in self._tail if one.seq > after][:limit]
            query = "SELECT seq, type, payload FROM outbox JOIN facts USING (seq) WHERE seq > ? ORDER BY seq LIMIT ?"
            rows = self._read(query, after, limit)
        return [Kept(*row) for row in rows]

    def acknowledge(self, ranges: Sequence[tuple[int, int]]) -> int:
        """Forget the duty for these inclusive ranges; how many were not yet acknowledged before."""
        with self._lock:
            with self._writing(self._forgetter):
                forgotten = sum(
                    self._forgetter.execute("DELETE FROM outbox WHERE seq BETWEEN ? AND ?", span).rowcount
                    for span in ranges
                )
            self._owe(-forgotten)
            return forgotten

    def depth(self) -> int:
        """How many facts are not yet at the county: from memory, for it is asked at every press."""
        return max(0, self._unsent)

    def backlog(self) -> tuple[int, Moment | None]:
        """How many facts are not yet at the county, and the moment of the oldest of them."""
        with self._lock:
            if self._unsent <= 0:
                return 0, None
            # A fact that somebody deleted has no moment; the next one that is there has.
            query = "SELECT payload FROM facts WHERE seq >= (SELECT min(seq) FROM outbox) ORDER BY seq LIMIT 1"
            rows = self._read(query)
            return self._unsent, moment_of(rows[0][0]) if rows else None

    def present(self, low: int, high: int) -> int:
        """How many of these sequences have their fact."""
        rows = self._read("SELECT count(*) FROM facts WHERE seq BETWEEN ? AND ?", low, high)
        return int(rows[0][0]) if rows else 0

    def next_session(self) -> int:
        """The number of the next connection, one higher every time; on a full card it is counted in memory only."""
        with self._lock:
            self._session += 1
            # A connection must not wait for the card: the county only asks that the number rises.
            with suppress(NotKept), self._writing():
                self._writer.execute("UPDATE meta SET value = ? WHERE name = 'session'", (self._session,))
            return self._session

    # ---- the whole check ----------------------------------------------------------------------------------------

    def check(self, pause: Pause) -> Verdict:
        """Check the whole file, and mend what is wrong with it; takes its time, beside everything else.

        Raises Stopped when the program ends meanwhile, NotKept when it has to be tried again later.
        """
        self.suspected.clear()
        try:
            verdict = check(self.path, pause)
            if verdict.damage:
                self._rescue(verdict.damage, pause)
            elif verdict.missing:
                self._note_missing(verdict.missing)
            self._count_unsent(pause)
        except (sqlite3.DatabaseError, OSError) as error:
            raise NotKept(str(error)) from error
        self._since = None
        return verdict

    def _count_unsent(self, pause: Pause) -> None:
        with closing(open_to_read(self.path)) as reader:
            with self._lock:
                reader.execute("BEGIN")
                reader.execute("SELECT min(seq) FROM outbox").fetchone()
                self._moved = 0
            counted = unsent_in_slices(reader, pause)
        with self._lock:
            self._unsent = counted + self._moved

    def _note_missing(self, missing: Sequence[tuple[int, int]]) -> None:
        with self._lock, self._writer:
            self._writer.execute("BEGIN IMMEDIATE")
            for low, high in missing:
                add_hole(self._writer, low, high)
                # Nobody can send what is not there; and the county is told by `order.refused` when it asks.
                gone = self._writer.execute("DELETE FROM outbox WHERE seq BETWEEN ? AND ?", (low, high)).rowcount
                self._owe(-gone)

    def _rescue(self, words: str, pause: Pause) -> None:
        rescue = Rescue(self.path)
        try:
            rescue.gather(self._memory(), pause)
            with self._lock:
                rescue.finish(self._memory())
                self.damage = exchange(self.path, words, lambda: self._let_go(rescue))
                self._connect()
        except (sqlite3.DatabaseError, OSError) as error:
            log.error("what is sound of the ledger could not be taken over, and it stays as it is: %s", error)
        finally:
            rescue.close()

    def _let_go(self, rescue: Rescue) -> None:
        self._forgetter.close()
        self._writer.close()
        rescue.close()

    def _memory(self) -> Memory:
        with self._lock:
            since = tuple(self._since or ())
            return Memory(self.id, self.window, self._session, self._lost, self.last_seq, since, self._desk)

    # ---- the file -----------------------------------------------------------------------------------------------

    def desk(self) -> Desk:
        """The desk as the last commit left it; an empty one at the very beginning."""
        return msgspec.json.decode(self._desk, type=Desk) if self._desk else Desk(ledger=self.id)

    def tidy(self) -> None:
        """Move the write-ahead log into the file once it is long: not on the way of a press, nor before the check."""
        if self._since is not None:
            return
        wal = self.path.with_name(self.path.name + "-wal")
        try:
            if not wal.exists() or wal.stat().st_size <= WAL_PAGES_KEPT * 4096:
                return
            with closing(sqlite3.connect(self.path)) as broom:
                broom.execute("PRAGMA wal_checkpoint(PASSIVE)")
        except (sqlite3.Error, OSError) as error:
            # On a full or dying card the log stays long; the window must go on and say so.
            log.warning("the ledger's log could not be folded in: %s", error)

    def close(self) -> None:
        """Close both connections; the last one folds the write-ahead log away."""
        with self._lock:
            self._forgetter.close()
            self._writer.close()
            self._guard.close()

    def _connect(self) -> None:
        self._writer = self._open("FULL")
        # The county's word may be lost with the power, it comes again; so forgetting costs no fsync.
        self._forgetter = self._open("NORMAL")

    def _open(self, synchronous: str) -> sqlite3.Connection:
        connection = sqlite3.connect(self.path, check_same_thread=False, timeout=5)
        connection.execute(f"PRAGMA synchronous = {synchronous}")
        connection.execute("PRAGMA wal_autocheckpoint = 0")
        return connection

    def _newest_payload(self) -> bytes | None:
        row = self._writer.execute("SELECT payload FROM facts WHERE seq = (SELECT max(seq) FROM facts)").fetchone()
        return row[0] if row else None

    def _unsent_guess(self) -> int:
        """How many are unsent if none in between was acknowledged, as is usual: until the check has counted them."""
        ends = (self._writer.execute(f"SELECT {end}(seq) FROM outbox").fetchone()[0] for end in ("min", "max"))
        low, high = ends
        return 0 if low is None else int(high - low + 1)

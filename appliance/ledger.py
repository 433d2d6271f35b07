"""The ledger: SQLite on the card, where every fact stands before anything else happens because of it.

The rules:
- facts are only ever added, chained by the SHA-256 of the payload before, byte for byte as published;
- facts, desk and papers change in one transaction, on the disk before `commit` returns (WAL, synchronous=FULL);
- a damaged file is set aside under a dated name, never deleted; a file of a newer version is refused.
"""

import logging
import secrets
import sqlite3
import threading
from collections import deque
from collections.abc import Sequence
from contextlib import ExitStack, closing, suppress
from datetime import datetime
from pathlib import Path
from typing import IO

import msgspec

from appliance import wire
from appliance.ledger_file import Damage, create, damage_of, hold, reserve, set_aside, unusable
from appliance.window.desk import Desk
from appliance.window.facts import CaseReceived, Fact, PaperFailed, PaperPrinted, PaperUnconfirmed
from appliance.window.moment import Moment

log = logging.getLogger(__name__)

TAIL = 64
WAL_PAGES_KEPT = 400
PAPER_OUTCOMES: dict[type[Fact], str] = {
    PaperPrinted: "confirmed",
    PaperUnconfirmed: "unconfirmed",
    PaperFailed: "failed",
}


class NotKept(Exception):
    """The card did not take it: nothing of it was written, and nothing may be said to have happened."""


class Kept(msgspec.Struct, frozen=True):
    """One fact as it stands in the ledger and goes over the wire."""

    seq: int
    type: str
    payload: bytes


class Paper(msgspec.Struct, frozen=True):
    """One paper of a case: `copy` 0 first, n for the n-th 补打; queued, sending, confirmed, unconfirmed or failed.

    `newest` is the latest paper of the same case.
    """

    paper: str
    case: str
    copy: int
    state: str
    reason: str
    at: datetime
    newest: str
    content: CaseReceived


class Ledger:
    """The open ledger of one window; every method may be called from any thread.

    `paper_queued` is set whenever a paper begins to wait; whoever prints clears it.
    """

    def __init__(self, path: Path, window: str, guard: IO[bytes], damage: Damage | None = None) -> None:
        self._guard = guard
        self.path = path
        self.window = window
        self.damage = damage
        self._lock = threading.RLock()
        self._writer = self._open()
        # The county's word may be lost with the power, it comes again; so forgetting costs no fsync.
        self._forgetter = self._open("NORMAL")
        self.id: str = self._meta("ledger")
        self._session = int(self._meta("session"))
        self.last_seq, self._last_payload = self._newest()
        self._unsent: int = self._writer.execute("SELECT count(*) FROM outbox").fetchone()[0]
        self.paper_queued = threading.Event()
        self._papers_before: int = self._writer.execute("SELECT max(rowid) FROM papers").fetchone()[0] or 0
        self._tail: deque[Kept] = deque(maxlen=TAIL)
        self._tail_from = self.last_seq
        self._source = "/windows/" + window.split("-", 1)[0] + "/" + window

    @classmethod
    def open(cls, path: Path, window: str) -> "Ledger":
        """Open the ledger, begin one where there is none, set a damaged one aside and begin another.

        Raises LedgerUnusable, with the sentence to show, for a newer version, an unwritable place, or one in use.
        """
        guard = hold(path)
        with ExitStack() as on_failure:
            # Held on, it would keep this very program out when it tries again.
            on_failure.callback(guard.close)
            try:
                with reserve(guard) as known:
                    reason = damage_of(path, known)
                    damage = set_aside(path, reason) if reason else None
                    create(path, secrets.token_hex(4))
                    ledger = cls(path, window, guard, damage)
            except (sqlite3.Error, OSError) as error:
                raise unusable(path, error) from error
            on_failure.pop_all()
        return ledger

    # ---- keeping ------------------------------------------------------------------------------------------------

    def commit(self, facts: Sequence[Fact], at: Moment, desk: Desk) -> list[int]:
        """Write facts, desk and papers in one transaction; the sequences given. Raises NotKept, and nothing changed."""
        with self._lock:
            kept = self._envelopes(facts, at)
            try:
                with self._writer:
                    self._writer.execute("BEGIN IMMEDIATE")
                    self._write(kept, facts, at, desk)
            except sqlite3.OperationalError as error:
                raise NotKept(str(error)) from error
            self._note(kept)
            if any(isinstance(fact, CaseReceived) for fact in facts):
                self.paper_queued.set()
            return [one.seq for one in kept]

    def _write(self, kept: list[Kept], facts: Sequence[Fact], at: Moment, desk: Desk) -> None:
        when = at.at.isoformat()
        self._writer.executemany(
            "INSERT INTO facts (seq, type, at, payload) VALUES (?, ?, ?, ?)",
            [(one.seq, one.type, when, one.payload) for one in kept],
        )
        self._writer.executemany("INSERT INTO outbox (seq) VALUES (?)", [(one.seq,) for one in kept])
        self._writer.execute("UPDATE desk SET state = ?", (msgspec.json.encode(desk),))
        for one, fact in zip(kept, facts, strict=True):
            self._write_paper(one.seq, fact, when)

    def _write_paper(self, seq: int, fact: Fact, when: str) -> None:
        if isinstance(fact, CaseReceived):
            self._writer.execute(
                "INSERT INTO papers (paper, case_no, copy, state, at, seq, form) VALUES (?, ?, 0, 'queued', ?, ?, ?)",
                (fact.paper, fact.case, when, seq, fact.form),
            )
        elif isinstance(fact, PaperPrinted | PaperUnconfirmed | PaperFailed):
            reason = "" if isinstance(fact, PaperPrinted) else fact.reason
            self._writer.execute(
                "UPDATE papers SET state = ?, reason = ? WHERE paper = ?",
                (PAPER_OUTCOMES[type(fact)], reason, fact.paper),
            )

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

    def _note(self, kept: list[Kept]) -> None:
        if kept:
            self._tail.extend(kept)
            self._tail_from = max(self._tail_from, self._tail[0].seq - 1)
            self.last_seq, self._last_payload = kept[-1].seq, kept[-1].payload
            self._unsent += len(kept)

    # ---- the county ---------------------------------------------------------------------------------------------

    def unsent(self, limit: int, after: int = 0) -> list[Kept]:
        """Facts that the county does not have yet, with seq > `after`, oldest first."""
        with self._lock:
            if after >= self._tail_from:
                # What was committed a moment ago needs no look at the disk; an acknowledged one sent again is harmless.
                return [one for one in self._tail if one.seq > after][:limit]
            rows = self._writer.execute(
                "SELECT seq, type, payload FROM outbox JOIN facts USING (seq) WHERE seq > ? ORDER BY seq LIMIT ?",
                (after, limit),
            ).fetchall()
        return [Kept(*row) for row in rows]

    def acknowledge(self, ranges: Sequence[tuple[int, int]]) -> int:
        """Forget the duty for these inclusive ranges; how many were not yet acknowledged before."""
        with self._lock:
            try:
                with self._forgetter:
                    forgotten = sum(
                        self._forgetter.execute("DELETE FROM outbox WHERE seq BETWEEN ? AND ?", span).rowcount
                        for span in ranges
                    )
            except sqlite3.OperationalError as error:
                raise NotKept(str(error)) from error
            self._unsent -= forgotten
            return forgotten

    def backlog(self) -> tuple[int, datetime | None]:
        """How many facts are not yet at the county, and the time of the oldest of them."""
        with self._lock:
            if not self._unsent:
                return 0, None
            row = self._writer.execute(
                "SELECT at FROM facts WHERE seq = (SELECT min(seq) FROM outbox)",
            ).fetchone()
            return self._unsent, datetime.fromisoformat(row[0]) if row else None

    def next_session(self) -> int:
        """The number of the next connection, one higher every time; on a full card it is counted in memory only."""
        with self._lock:
            self._session += 1
            # A connection must not wait for the card: the county only asks that the number rises.
            with suppress(sqlite3.OperationalError), self._writer:
                self._writer.execute("UPDATE meta SET value = ? WHERE name = 'session'", (self._session,))
            return self._session

    # ---- papers -------------------------------------------------------------------------------------------------

    def papers(self, limit: int = 20) -> list[Paper]:
        """The latest papers, newest first."""
        return self._papers("ORDER BY papers.rowid DESC LIMIT ?", limit)

    def paper(self, paper: str) -> Paper | None:
        """One paper by its number."""
        return next(iter(self._papers("WHERE paper = ?", paper)), None)

    def case_of_form(self, form: str) -> str | None:
        """The case that this very form was turned into: a double click counts once, however late."""
        with self._lock:
            row = self._writer.execute("SELECT case_no FROM papers WHERE form = ?", (form,)).fetchone()
        return row[0] if row else None

    def next_paper(self) -> Paper | None:
        """The oldest paper of this run that waits to be printed."""
        where = "WHERE state = 'queued' AND papers.rowid > ? ORDER BY papers.rowid LIMIT 1"
        return next(iter(self._papers(where, self._papers_before)), None)

    def papers_left(self) -> list[Paper]:
        """Papers that a former run left queued or sending: oldest first."""
        where = "WHERE state IN ('queued', 'sending') AND papers.rowid <= ? ORDER BY papers.rowid"
        return self._papers(where, self._papers_before)

    def send_paper(self, paper: str) -> None:
        """Say on the disk, before the first byte, that a paper goes to the printer. Raises NotKept."""
        with self._lock:
            try:
                with self._writer:
                    self._writer.execute("UPDATE papers SET state = 'sending' WHERE paper = ?", (paper,))
            except sqlite3.OperationalError as error:
                raise NotKept(str(error)) from error

    def queue_again(self, case: str, after: str, at: Moment) -> Paper | None:
        """Queue the paper of a case once more, if its newest is `after` and on its way no longer; its newest then.

        So the same button touched twice prints once. A copy counts as 补打 only when some print of the case may lie on
        somebody's counter already. None when there is no such case. Raises NotKept.
        """
        with self._lock:
            known = self._papers("WHERE case_no = ? ORDER BY papers.rowid LIMIT ?", case, 1000)
            if not known:
                return None
            if known[-1].paper != after or known[-1].state in ("queued", "sending"):
                return known[-1]
            return self._queue(known, at)

    def _queue(self, known: list[Paper], at: Moment) -> Paper | None:
        case, copy = known[0].case, sum(one.state in ("confirmed", "unconfirmed") for one in known)
        paper = f"{case}-{len(known)}"
        try:
            with self._writer:
                self._writer.execute(
                    "INSERT INTO papers (paper, case_no, copy, state, at, seq)"
                    " SELECT ?, case_no, ?, 'queued', ?, seq FROM papers WHERE paper = ?",
                    (paper, copy, at.at.isoformat(), known[0].paper),
                )
        except sqlite3.OperationalError as error:
            raise NotKept(str(error)) from error
        self.paper_queued.set()
        return self.paper(paper)

    def _papers(self, where: str, *values: object) -> list[Paper]:
        newest = "(SELECT paper FROM papers AS later WHERE later.case_no = papers.case_no ORDER BY rowid DESC LIMIT 1)"
        columns = f"paper, case_no, copy, state, reason, papers.at, {newest}, payload"
        with self._lock:
            rows = self._writer.execute(
                f"SELECT {columns} FROM papers JOIN facts USING (seq) {where}",
                values,
            ).fetchall()
        return [_paper(*row) for row in rows]

    # ---- the file -----------------------------------------------------------------------------------------------

    def desk(self) -> Desk:
        """The desk as the last commit left it; an empty one at the very beginning."""
        state = self._writer.execute("SELECT state FROM desk").fetchone()[0]
        return msgspec.json.decode(state, type=Desk) if state else Desk(ledger=self.id)

    def tidy(self) -> None:
        """Move the write-ahead log into the file once it is long: never on the way of a press."""
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

    def _open(self, synchronous: str = "FULL") -> sqlite3.Connection:
        connection = sqlite3.connect(self.path, check_same_thread=False, timeout=5)
        connection.execute(f"PRAGMA synchronous = {synchronous}")
        connection.execute("PRAGMA wal_autocheckpoint = 0")
        return connection

    def _meta(self, name: str) -> str:
        return str(self._writer.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()[0])

    def _newest(self) -> tuple[int, bytes | None]:
        row = self._writer.execute("SELECT seq, payload FROM facts ORDER BY seq DESC LIMIT 1").fetchone()
        return (row[0], row[1]) if row else (0, None)


def _content(payload: bytes) -> CaseReceived:
    envelope = msgspec.json.decode(payload, type=wire.Envelope)
    return msgspec.json.decode(envelope.data, type=CaseReceived)


def _paper(paper: str, case: str, copy: int, state: str, reason: str, at: str, newest: str, payload: bytes) -> Paper:
    return Paper(paper, case, copy, state, reason, datetime.fromisoformat(at), newest, _content(payload))

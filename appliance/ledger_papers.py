"""The papers of a ledger: which wait, which are on their way, and what became of them."""

import logging
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import msgspec

from appliance import wire
from appliance.ledger_file import lasting
from appliance.window.facts import CaseReceived, Fact, PaperFailed, PaperPrinted, PaperUnconfirmed
from appliance.window.moment import Moment

log = logging.getLogger(__name__)

PAPER_OUTCOMES: dict[type[Fact], str] = {
    PaperPrinted: "confirmed",
    PaperUnconfirmed: "unconfirmed",
    PaperFailed: "failed",
}


class NotKept(Exception):
    """The card did not take it: nothing of it was written, and nothing may be said to have happened."""


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


class Papers:
    """The part of a ledger that knows its papers; every method may be called from any thread.

    `paper_queued` is set whenever a paper begins to wait; whoever prints clears it.
    """

    _writer: sqlite3.Connection

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self.paper_queued = threading.Event()
        self.suspected = threading.Event()
        """Set when the file shows damage while the window serves: then the whole is checked again."""
        self._papers_before = 0
        """The newest paper of former runs: what these left prints by itself no more."""
        self._lost = 0
        """How many papers of one case may have been numbered that the ledger has lost."""

    def papers(self, limit: int = 20) -> list[Paper]:
        """The latest papers, newest first."""
        where = "WHERE papers.rowid > (SELECT max(rowid) FROM papers) - ? ORDER BY papers.rowid DESC"
        return self._papers(where, limit)

    def paper(self, paper: str) -> Paper | None:
        """One paper by its number."""
        return next(iter(self._papers("WHERE paper = ?", paper)), None)

    def case_of_form(self, form: str) -> str | None:
        """The case that this very form was turned into: a double click counts once, however late."""
        rows = self._read("SELECT case_no FROM papers WHERE form = ?", form)
        return rows[0][0] if rows else None

    def next_paper(self) -> Paper | None:
        """The oldest paper of this run that waits to be printed."""
        where = "WHERE state = 'queued' AND papers.rowid > ? ORDER BY papers.rowid LIMIT 1"
        return next(iter(self._papers(where, self._papers_before)), None)

    def papers_left(self) -> list[Paper]:
        """Papers that a former run left queued or sending: oldest first."""
        # Each state has its own index; both at once would be a walk through all papers there ever were.
        where = "WHERE state = '{}' AND papers.rowid <= ? ORDER BY papers.rowid"
        left = [self._papers(where.format(state), self._papers_before) for state in ("sending", "queued")]
        return sorted((paper for each in left for paper in each), key=lambda paper: paper.at)

    def send_paper(self, paper: str) -> None:
        """Say on the disk, before the first byte, that a paper goes to the printer. Raises NotKept."""
        with self._lock, self._writing():
            self._writer.execute("UPDATE papers SET state = 'sending' WHERE paper = ?", (paper,))

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
        paper = f"{case}-{len(known) + self._lost}"
        with self._writing():
            self._writer.execute(
                "INSERT INTO papers (paper, case_no, copy, state, at, seq)"
                " SELECT ?, case_no, ?, 'queued', ?, seq FROM papers WHERE paper = ?",
                (paper, copy, at.at.isoformat(), known[0].paper),
            )
        self.paper_queued.set()
        return self.paper(paper)

    def _papers(self, where: str, *values: object) -> list[Paper]:
        newest = "(SELECT paper FROM papers AS later WHERE later.case_no = papers.case_no ORDER BY rowid DESC LIMIT 1)"
        columns = f"paper, case_no, copy, state, reason, papers.at, {newest}, payload"
        rows = self._read(f"SELECT {columns} FROM papers JOIN facts USING (seq) {where}", *values)
        return [paper for row in rows if (paper := _paper(*row))]

    # ---- the file under it ------------------------------------------------------------------------------------

    @contextmanager
    def _writing(self, connection: sqlite3.Connection | None = None) -> Iterator[None]:
        """One transaction; raises NotKept when the card does not take it."""
        try:
            with connection or self._writer:
                yield
        except sqlite3.DatabaseError as error:
            self._suspect(error)
            raise NotKept(str(error)) from error

    def _read(self, query: str, *values: object) -> list[Any]:
        """The rows of a query; none where the file cannot be read, which the check then looks into."""
        try:
            with self._lock:
                return self._writer.execute(query, values).fetchall()
        except sqlite3.DatabaseError as error:
            self._suspect(error)
            log.error("the ledger cannot be read: %s", error)
            return []

    def _suspect(self, error: sqlite3.DatabaseError) -> None:
        if type(error) not in (sqlite3.OperationalError, sqlite3.DatabaseError):
            # A mistake of ours, and not the card's.
            raise error
        if lasting(error):
            self.suspected.set()

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


def _paper(*row: Any) -> Paper | None:
    """The paper of a row; None when the row or what it is to say cannot be read: the others must still be found."""
    *columns, at, newest, fact = row
    try:
        content = msgspec.json.decode(msgspec.json.decode(fact, type=wire.Envelope).data, type=CaseReceived)
        values = (*columns, datetime.fromisoformat(at), newest, content)
        return msgspec.convert(dict(zip(Paper.__struct_fields__, values, strict=True)), Paper)
    except (ValueError, TypeError) as error:
        log.error("paper %s cannot be read: %s", columns[0], error)
        return None

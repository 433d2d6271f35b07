"""The ledger's file before it is trusted: its tables, its version, and what to do with one that is not right.

Before the keys only so much is looked at as does not grow with the file: its version, whose it is, the desk, both ends
of the outbox, and the newest facts, which are the pages that the next fact is written to. One that fails here is set
aside before anything is written, and a new ledger begun. The whole is checked behind the keys (`ledger_check`).
A ledger of another window (a card that was copied, a number that was changed) is set aside in the same way.
"""

import errno
import fcntl
import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import IO, Literal

import msgspec

from appliance import wire
from appliance.ledger_chain import Chain
from appliance.ledger_meta import LAST_SEQ, Meta, last_given, read_meta
from appliance.window.desk import Desk
from appliance.window.moment import CHINA

SCHEMA_VERSION = 2
RESERVED, MARK_BYTES = 128 * 1024, 29
UNREADABLE = ("SQLITE_IOERR_READ", "SQLITE_IOERR_SHORT_READ", "SQLITE_IOERR_CORRUPTFS")
"""What SQLite says when the card cannot give back what was written: the rest of its errors may pass by themselves."""
NEWEST_CHECKED = 1000
"""Newest facts whose chain is walked before the keys."""

TABLES = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value NOT NULL) WITHOUT ROWID;
CREATE TABLE facts (seq INTEGER PRIMARY KEY AUTOINCREMENT, type TEXT NOT NULL, at TEXT NOT NULL, payload BLOB NOT NULL);
CREATE TABLE outbox (seq INTEGER PRIMARY KEY);
CREATE TABLE desk (one INTEGER PRIMARY KEY CHECK (one = 1), state BLOB NOT NULL);
CREATE TABLE papers (
    paper TEXT NOT NULL UNIQUE, case_no TEXT NOT NULL, copy INTEGER NOT NULL, state TEXT NOT NULL,
    reason TEXT NOT NULL DEFAULT '', at TEXT NOT NULL, seq INTEGER NOT NULL REFERENCES facts, form TEXT UNIQUE
);
CREATE INDEX papers_of_case ON papers (case_no);
CREATE INDEX papers_waiting ON papers (state) WHERE state = 'queued';
CREATE INDEX papers_sending ON papers (state) WHERE state = 'sending';
CREATE TRIGGER facts_stay BEFORE DELETE ON facts BEGIN SELECT RAISE(ABORT, 'facts are never deleted'); END;
CREATE TRIGGER facts_stand BEFORE UPDATE ON facts BEGIN SELECT RAISE(ABORT, 'facts are never changed'); END;
INSERT INTO desk VALUES (1, x'');
"""


STEPS: dict[int, str] = {
    1: "CREATE INDEX papers_sending ON papers (state) WHERE state = 'sending';",
}
"""What makes a file of that version one of the next; meta says since version 2 whose ledger it is."""


class LedgerUnusable(Exception):
    """The ledger cannot be used at all; its text is the sentence for whoever starts the program."""


class Finding(msgspec.Struct, frozen=True):
    """Why a file cannot go on as the ledger: it is damaged, or another window's; in a few words."""

    kind: Literal["damaged", "other_window"]
    words: str


class Mark(msgspec.Struct, frozen=True):
    """Which sequence of which ledger the guard says was given last: after a kill the log may know less."""

    ledger: str
    seq: int


class Damage(msgspec.Struct, frozen=True):
    """Why a ledger was set aside, and where."""

    aside: Path
    kind: Literal["damaged", "other_window"]
    reason: str


def hold(path: Path) -> IO[bytes]:
    """Make the folder and hold the ledger against a second program, which would fork its chain, until closed.

    Raises LedgerUnusable when the place cannot be written or is held already.
    """
    try:
        if path.is_dir() or not path.name:
            raise LedgerUnusable(f"台账文件 {path} 是一个目录，请在设置里写文件的名字。")
        path.parent.mkdir(parents=True, exist_ok=True)
        guard = os.fdopen(os.open(path.with_name(path.name + ".lock"), os.O_RDWR | os.O_CREAT, 0o644), "r+b")
        path.touch()
    except OSError as error:
        raise unusable(path, error) from error
    try:
        fcntl.flock(guard, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        guard.close()
        raise LedgerUnusable(f"台账文件 {path} 正被另一个程序使用，请先停止那个程序。") from error
    return guard


@contextmanager
def reserve(guard: IO[bytes]) -> Iterator[Mark | None]:
    """Give up the few blocks that the guard keeps on the card, so that a ledger can be opened even on a full one.

    SQLite needs 32 KiB of shared memory beside a ledger that was closed in good order; without them a window on a full
    card would not even come up to say so. Yields the mark of the former run; None when no ledger was here before.
    """
    number = guard.fileno()
    known = os.fstat(number).st_size > 0
    os.ftruncate(number, MARK_BYTES if known else 0)
    yield _mark(number) if known else None
    os.ftruncate(number, MARK_BYTES)
    with suppress(OSError):
        os.posix_fallocate(number, 0, RESERVED)


def mark(guard: IO[bytes], ledger: str, seq: int) -> None:
    """Leave beside the ledger which sequence was given last: no fsync, and a card that fails says so elsewhere."""
    with suppress(OSError):
        os.pwrite(guard.fileno(), f"{ledger} {seq:019d}\n".encode(), 0)


def _mark(number: int) -> Mark:
    ledger, _, seq = os.pread(number, MARK_BYTES, 0).decode("ascii", "replace").partition(" ")
    given = int(seq) if seq.strip().isascii() and seq.strip().isdigit() else 0
    return Mark(ledger, given) if 0 < given <= LAST_SEQ else Mark("", 0)


def create(path: Path, ledger: str, window: str) -> None:
    """Make the tables where there are none, or take over those of a former version, in one transaction each."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        version = _version(connection)
        if version == SCHEMA_VERSION:
            return
        connection.execute("PRAGMA synchronous = FULL")
        if version:
            steps = "".join(STEPS[step] for step in range(version, SCHEMA_VERSION))
            owner = f"INSERT OR IGNORE INTO meta VALUES ('window', '{_owner(_newest(connection)) or window}');"
            connection.executescript(
                f"BEGIN IMMEDIATE; {steps} {owner} PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;"
            )
            return
        connection.execute("PRAGMA journal_mode = WAL")
        # A replaced ledger must not count its connections from one again: the county ignores sessions of the past.
        connection.executescript(
            f"BEGIN IMMEDIATE; {TABLES}"
            f"INSERT INTO meta VALUES ('ledger', '{ledger}'), ('session', {int(time.time())}), ('window', '{window}');"
            f"PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;"
        )


def finding_of(path: Path, window: str, known: bool = False) -> Finding | None:
    """Why the file cannot be the ledger of this window, as far as a look shows that is short whatever its size.

    `known` says that there was a ledger before: then a file with nothing in it is not a new one, but one that was lost.
    Raises LedgerUnusable for a newer version, sqlite3.OperationalError when it cannot be read for now: a full card, a
    lock or a missing right is no damage, and sets nothing aside.
    """
    try:
        with closing(sqlite3.connect(path)) as connection:
            version = _version(connection)
            if version > SCHEMA_VERSION:
                raise LedgerUnusable(
                    f"台账文件 {path} 由更新版本的程序建立（版本 {version}，本程序只认识到 {SCHEMA_VERSION}），"
                    "请升级程序后再启动。"
                )
            if version == 0 and _empty(connection):
                return Finding("damaged", "nothing is left in the file") if known else None
            return _look(connection, window) if version > 0 else Finding("damaged", f"version {version}")
    except Exception as error:
        if finding := finding_in(error):
            return finding
        raise


def finding_in(error: Exception) -> Finding | None:
    """What an error while a ledger is opened says about its file; None when it says something about the moment.

    Nobody can list what a card may give back, nor what then fails: so whatever else is raised comes from the file.
    """
    moment = not lasting(error) if isinstance(error, sqlite3.DatabaseError) else isinstance(error, sqlite3.Error)
    if moment or isinstance(error, LedgerUnusable | OSError | MemoryError):
        return None
    return Finding("damaged", str(error) or type(error).__name__)


def lasting(error: sqlite3.DatabaseError) -> bool:
    """Whether this says something about the file, and not about the moment."""
    if not isinstance(error, sqlite3.OperationalError):
        return True
    # Python's own, of a text that is no UTF-8, has no name.
    name, words = getattr(error, "sqlite_errorname", None), str(error)
    return name is None or name in UNREADABLE or "no such" in words or "already exists" in words


def unusable(path: Path, error: Exception) -> LedgerUnusable:
    """The sentence for a ledger that cannot be opened now."""
    number = error.errno if isinstance(error, OSError) else None
    words = str(error) if number is None else os.strerror(number)
    if number == errno.EROFS or "readonly" in words:
        return LedgerUnusable(f"存储卡成了只读的，台账文件 {path} 不能写入；请重新启动主机，仍不行请换存储卡。")
    if number == errno.ENOSPC or "full" in words:
        return LedgerUnusable(f"存储卡已满，台账文件 {path} 打不开；请腾出空间，本窗口随后自动恢复。")
    if number is not None:
        return LedgerUnusable(f"台账文件 {path} 不能写入（{words}），请检查存储卡和目录权限。")
    if "locked" in words or "busy" in words:
        return LedgerUnusable(f"台账文件 {path} 正被另一个程序使用，请先停止那个程序。")
    return LedgerUnusable(f"台账文件 {path} 打不开（{words}），请检查存储卡和目录权限。")


def set_aside(path: Path, finding: Finding) -> Damage:
    """Rename the file and its companions to a dated name that nothing has yet."""
    why = finding.kind.replace("_", "-")
    stamp = datetime.now(CHINA).strftime("%Y%m%d-%H%M%S")
    aside, n = path.with_name(f"{path.stem}-{why}-{stamp}{path.suffix}"), 1
    while aside.exists():
        n += 1
        aside = path.with_name(f"{path.stem}-{why}-{stamp}-{n}{path.suffix}")
    for tail in ("-wal", "-shm", ""):
        part = path.with_name(path.name + tail)
        if part.exists():
            part.rename(aside.with_name(aside.name + tail))
    return Damage(aside=aside, kind=finding.kind, reason=finding.words)


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def _empty(connection: sqlite3.Connection) -> bool:
    return int(connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]) == 0


def _look(connection: sqlite3.Connection, window: str) -> Finding | None:
    meta = read_meta(connection)
    last_given(connection)
    if words := _desk_fault(connection, meta) or _newest_fault(connection):
        return Finding("damaged", words)
    newest = _newest(connection)
    if newest and newest.id.partition("-")[0] != meta.ledger:
        return Finding("damaged", f"facts {newest.id} in the ledger {meta.ledger}")
    owner = meta.window or _owner(newest)
    return Finding("other_window", f"the ledger of {owner}") if owner not in ("", window) else None


def _desk_fault(connection: sqlite3.Connection, meta: Meta) -> str:
    state = connection.execute("SELECT state FROM desk").fetchone()
    if state is None or not isinstance(state[0], bytes):
        return "no desk"
    ledger = msgspec.json.decode(state[0], type=Desk).ledger if state[0] else meta.ledger
    return "" if ledger == meta.ledger else f"the desk of {ledger[:40]!r} in the ledger {meta.ledger}"


def _newest_fault(connection: sqlite3.Connection) -> str:
    for end in ("SELECT min(seq) FROM outbox", "SELECT max(seq) FROM outbox", "SELECT max(rowid) FROM papers"):
        connection.execute(end).fetchone()
    where = f"WHERE seq > (SELECT max(seq) FROM facts) - {NEWEST_CHECKED}"
    chain: Chain | None = None
    for row in connection.execute(f"SELECT seq, type, at, payload FROM facts {where} ORDER BY seq"):
        chain = chain or Chain([], after=0 if row[0] == 1 else None)
        if fault := chain.take(row):
            return fault
    return ""


def _newest(connection: sqlite3.Connection) -> wire.Envelope | None:
    row = connection.execute("SELECT payload FROM facts WHERE seq = (SELECT max(seq) FROM facts)").fetchone()
    return msgspec.json.decode(row[0], type=wire.Envelope) if row else None


def _owner(newest: wire.Envelope | None) -> str:
    """The window whose ledger it is, where only its facts say so, as in a file of version 1."""
    return newest.source.rsplit("/", 1)[-1] if newest else ""

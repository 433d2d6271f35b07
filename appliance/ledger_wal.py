"""Facts that a damaged write-ahead log has lost: SQLite reads it up to the first frame that is not right.

What lies behind that frame was committed, and the county may have it. So at each start, before anything is written:
- SQLite recovers the log, and says in its shared memory how many frames it took;
- a frame behind those is of the present log when it has the log's salts, when its checksum goes on from the frame
  before (the salts are not summed), or when it looks like nothing that SQLite leaves there: former salts are lower;
- any of them is a loss, but for what a kill leaves of a transaction: whole frames, none of which commits.

A log that is cut off, or gone, has no such frames. So each commit leaves its newest sequence beside the ledger as well
(`ledger_file.mark`): without an fsync, which a kill does not need and a power cut may undo.

The bound: a fact takes more than 256 bytes of a page of 4096, so a frame holds at most `FACTS_A_FRAME`; a commit writes
two pages at least, and draws at most one number of each kind. The window goes on beyond so many, and no sequence and no
number is given twice. The log is copied beside the ledger first, for whoever wants to look.
"""

import errno
import logging
import os
import shutil
import sqlite3
import struct
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime
from pathlib import Path

import msgspec

from appliance.ledger_file import Mark
from appliance.ledger_meta import add_hole, last_given
from appliance.window.desk import Desk, skip_numbers
from appliance.window.moment import CHINA

log = logging.getLogger(__name__)

FACTS_A_FRAME = 16
HEADER, FRAME = struct.Struct(">8I"), struct.Struct(">6I")
BIG_ENDIAN = 0x377F0683
PAGE = 4096
OLDER = 1 << 16
"""So many times a log may have begun anew, each adding one to its first salt, for what is left of it to be known."""
PAGES = 1 << 24
"""No ledger has so many pages (64 GiB): a frame that says so, or that says page 0, is nothing that SQLite wrote."""

Pair = tuple[int, int]


class Loss(msgspec.Struct, frozen=True):
    """How many written frames are not read any more, how many sequences the mark is ahead, the copy of the log."""

    frames: int
    ahead: int
    copy: Path | None

    @property
    def sequences(self) -> int:
        """How many sequences the lost commits can have given at most."""
        return max(FACTS_A_FRAME * self.frames, self.ahead)

    @property
    def numbers(self) -> int:
        """How many numbers of one kind they can have drawn at most."""
        return max((self.frames + 1) // 2, self.ahead)


class Frame(msgspec.Struct, frozen=True):
    """One frame of the log: its number from 1, its page, whether it ends a commit, salts, checksum, all its bytes."""

    number: int
    page: int
    commits: bool
    salts: Pair
    sums: Pair
    content: bytes


def loss_of(path: Path, mark: Mark | None) -> Loss | None:
    """What the log of a ledger has lost; somebody must have it open, so that SQLite has recovered the log."""
    log, frames = _log(path), 0
    written = log.exists() and log.stat().st_size > HEADER.size
    if written:
        taken = _recovered(path)
        frames = max(0, _lost(log, taken) - taken)
    ahead = _ahead(path, mark)
    return Loss(frames, ahead, _copy(path, log) if written else None) if frames or ahead else None


def settle(path: Path, loss: Loss, today: str) -> None:
    """Go on beyond everything that the lost frames can have given, in one transaction, before any other is written."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA wal_autocheckpoint = 0")
        connection.execute("BEGIN IMMEDIATE")
        last = last_given(connection)
        add_hole(connection, last + 1, last + loss.sequences)
        add = "INSERT INTO meta VALUES ('lost', ?) ON CONFLICT (name) DO UPDATE SET value = value + excluded.value"
        connection.execute(add, (loss.numbers,))
        # The very first commit may be among what is lost: then the desk is empty, and numbers were given all the same.
        ledger, state = connection.execute("SELECT meta.value, state FROM meta, desk WHERE name = 'ledger'").fetchone()
        desk = msgspec.json.decode(state, type=Desk) if state else Desk(ledger=ledger)
        skipped = msgspec.json.encode(skip_numbers(desk, loss.numbers, today))
        connection.execute("UPDATE desk SET state = ?", (skipped,))
        connection.execute("COMMIT")
        # Into the file itself: a second damage of the log must not take this along, which gives far more at once than
        # any commit of facts. The log is empty then, or the next start would count again what is lost.
        if not _folded(connection):
            _cut_off(path)


def _folded(connection: sqlite3.Connection) -> bool:
    """Whether the log went into the file; a card that is full takes none of it, and the window serves all the same."""
    try:
        busy, *_ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    except sqlite3.OperationalError as error:
        log.warning("the log stays beside the ledger: %s", error)
        return False
    return not busy


def _ahead(path: Path, mark: Mark | None) -> int:
    """How many sequences were given, as the mark says, beyond what the ledger knows of."""
    if mark is None or not mark.seq:
        return 0
    with closing(sqlite3.connect(path)) as connection:
        row = connection.execute("SELECT value FROM meta WHERE name = 'ledger'").fetchone()
        return max(0, mark.seq - last_given(connection)) if row and row[0] == mark.ledger else 0


def _cut_off(path: Path) -> None:
    """Take what is lost off the log, or the next start would count it again. Killed before that, it does: no harm."""
    log, end = _log(path), HEADER.size + _recovered(path) * (FRAME.size + PAGE)
    if log.stat().st_size > end:
        os.truncate(log, end)


def _log(path: Path) -> Path:
    return path.with_name(path.name + "-wal")


# ---- the log ----------------------------------------------------------------------------------------------------


def _recovered(path: Path) -> int:
    """How many frames SQLite took from the log: `mxFrame` of the index header in the memory that it shares.

    Read where this process has it mapped: whoever opens and closes a file gives up all locks of his process on it, and
    the next program would cut that memory off under us.
    """
    shared = os.path.realpath(path) + "-shm"
    with Path("/proc/self/maps").open(encoding="utf-8", errors="surrogateescape") as maps:
        parts = (line.rstrip("\n").split(maxsplit=5) for line in maps)
        places = [int(it[0].split("-")[0], 16) for it in parts if it[5:] == [shared] and int(it[2], 16) == 0]
    if not places:
        raise OSError(errno.ENXIO, "nobody has it open", shared)
    with Path("/proc/self/mem").open("rb", buffering=0) as memory:
        header = os.pread(memory.fileno(), 24, places[0])
    return int(struct.unpack_from("=I", header, 16)[0])


def _copy(path: Path, log: Path) -> Path:
    """The log beside the ledger, under a dated name; that there is no room for it changes nothing else."""
    aside = path.with_name(f"{path.stem}-lost-{datetime.now(CHINA):%Y%m%d-%H%M%S}.wal")
    try:
        shutil.copyfile(log, aside)
    except OSError:
        aside.unlink(missing_ok=True)
    return aside


def _lost(log: Path, taken: int) -> int:
    """The number of the last frame of the present log, when one behind the `taken` ones is lost; else 0."""
    with log.open("rb") as file:
        header = file.read(HEADER.size)
        magic, _, _, _, *salts, one, two = HEADER.unpack(header)
        sound = checksum(header[:24], (0, 0), magic == BIG_ENDIAN) == (one, two)
        frames = _frames(file.fileno(), max(taken, 1))
        first = next(frames, None)
        if first is None:
            return 0
        # Without its header SQLite takes nothing of a log; then the first frame says whose the rest is.
        whose: Pair = (salts[0], salts[1]) if sound else first.salts
        if taken:
            return _last(frames, whose, first.sums, magic == BIG_ENDIAN)
        again = _frames(file.fileno(), 1)
        return _last(again, whose, (one, two) if sound else (-1, -1), magic == BIG_ENDIAN)


def _last(frames: Iterator[Frame], whose: Pair, sums: Pair, big_endian: bool) -> int:
    last, lost, alive = 0, False, True
    for frame in frames:
        goes_on = alive and _goes_on(frame, sums, big_endian)
        ours = frame.salts == whose or goes_on or not _older(frame, whose)
        if ours:
            last = frame.number
            lost |= not (frame.salts == whose and goes_on and not frame.commits)
        # What a former log has left cannot go on from this one: only the first of it is worth the sum.
        alive, sums = ours, frame.sums
    return last if lost else 0


def _frames(file: int, first: int) -> Iterator[Frame]:
    number, length = first, FRAME.size + PAGE
    while len(raw := os.pread(file, length, HEADER.size + (number - 1) * length)) == length:
        page, pages, *salts, one, two = FRAME.unpack_from(raw)
        yield Frame(number, page, pages != 0, (salts[0], salts[1]), (one, two), raw)
        number += 1


def _older(frame: Frame, whose: Pair) -> bool:
    """Whether a former log left this: each log adds one to the first salt of the log before."""
    return 0 < frame.page < PAGES and 0 < (whose[0] - frame.salts[0]) % (1 << 32) < OLDER


def _goes_on(frame: Frame, sums: Pair, big_endian: bool) -> bool:
    if min(sums) < 0:
        return False
    return checksum(frame.content[:8] + frame.content[FRAME.size :], sums, big_endian) == frame.sums


def checksum(content: bytes, start: Pair, big_endian: bool) -> Pair:
    """SQLite's checksum of a log: two sums over four bytes in turn."""
    one, two = start
    words = struct.unpack(f"{'>' if big_endian else '<'}{len(content) // 4}I", content)
    for even, odd in zip(words[::2], words[1::2], strict=True):
        one = (one + even + two) & 0xFFFFFFFF
        two = (two + odd + one) & 0xFFFFFFFF
    return one, two

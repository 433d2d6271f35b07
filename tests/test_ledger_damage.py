"""Whatever a card gives back of a ledger's file: it starts, says so, serves, and loses no fact that can be read."""

import random
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from appliance.counter import Counter
from appliance.ledger import Ledger
from appliance.panel import phrases
from appliance.window.desk import Desk
from appliance.window.facts import PaperFailed
from appliance.window.happenings import KeyPresses
from appliance.window.rules import Rules
from tests.conftest import WINDOW, HandClock
from tests.test_ledger import AT, case, stray

FACTS, PAGE = 61, 4096

ROWS = {
    "no ledger": "DELETE FROM meta WHERE name = 'ledger'",
    "ledger of no text": "UPDATE meta SET value = x'00ff' WHERE name = 'ledger'",
    "ledger of no hex": "UPDATE meta SET value = 'no hex!!' WHERE name = 'ledger'",
    "another ledger than its facts": "UPDATE meta SET value = '0123abcd' WHERE name = 'ledger'",
    "ledger not in UTF-8": "UPDATE meta SET value = CAST(x'ff' AS TEXT) WHERE name = 'ledger'",
    "no session": "DELETE FROM meta WHERE name = 'session'",
    "session of no number": "UPDATE meta SET value = 'abc' WHERE name = 'session'",
    "session too large": "UPDATE meta SET value = 9223372036854775807 WHERE name = 'session'",
    "lost of no number": "INSERT INTO meta VALUES ('lost', 'q')",
    "lost below nothing": "INSERT INTO meta VALUES ('lost', -5)",
    "lost too large": "INSERT INTO meta VALUES ('lost', 9223372036854775807)",
    "hole of no number": "INSERT INTO meta VALUES ('hole x', 3)",
    "hole without an end": "INSERT INTO meta VALUES ('hole 5', 'zz')",
    "hole that ends before it begins": "INSERT INTO meta VALUES ('hole 5', 4)",
    "hole too large": "INSERT INTO meta VALUES ('hole 5', 9223372036854775807)",
    "hole not in UTF-8": "INSERT INTO meta VALUES (CAST(x'686f6c6520ff' AS TEXT), 7)",
    "window not in UTF-8": "UPDATE meta SET value = CAST(x'ff' AS TEXT) WHERE name = 'window'",
    "window of no text": "UPDATE meta SET value = 17 WHERE name = 'window'",
    "window of no name": "UPDATE meta SET value = char(7) || 'x' WHERE name = 'window'",
    "no meta": "DELETE FROM meta",
    "no desk": "DELETE FROM desk",
    "desk of nothing": "UPDATE desk SET state = x'7b7d'",
    "desk not in UTF-8": "UPDATE desk SET state = replace(state, CAST(ledger AS BLOB), x'ff') FROM"
    " (SELECT value AS ledger FROM meta WHERE name = 'ledger')",
    "desk of a number": "UPDATE desk SET state = 17",
    "sequences of text": "UPDATE sqlite_sequence SET seq = 'x'",
    "sequences of bytes": "UPDATE sqlite_sequence SET seq = x'ff'",
    "sequence too large": "UPDATE sqlite_sequence SET seq = 9223372036854775807",
    "unsent too large": "INSERT INTO outbox VALUES (9223372036854775806)",
    "unsent below nothing": "INSERT INTO outbox VALUES (-9223372036854775806)",
    "paper of no time": "UPDATE papers SET at = 'noon'",
    "paper not in UTF-8": "UPDATE papers SET at = CAST(x'ff' AS TEXT)",
    "paper of bytes": "UPDATE papers SET copy = x'00', reason = x'ff', state = 'queued'",
    "paper of another fact": "UPDATE papers SET seq = 3",
    "newest fact without bytes": "DROP TRIGGER facts_stand; UPDATE facts SET payload = 17 WHERE seq = 61",
    "newest fact not in UTF-8": "DROP TRIGGER facts_stand;"
    " UPDATE facts SET payload = CAST(x'ff' AS TEXT), type = CAST(x'ff' AS TEXT) WHERE seq = 61",
    "no version": "PRAGMA user_version = 0",
    "version below nothing": "PRAGMA user_version = -7",
    "a former version": "PRAGMA user_version = 1",
    "no table of meta": "DROP TABLE meta",
    "meta of another form": "DROP TABLE meta; CREATE TABLE meta (name)",
}


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, str]:
    """The file of a ledger with a few facts and a paper, all of it in the one file, and the ledger's name."""
    path = tmp_path_factory.mktemp("sound") / "ledger.db"
    with closing(Ledger.open(path, WINDOW)) as ledger:
        for n in range(FACTS - 2):
            ledger.commit(stray(1), AT, Desk(ledger=ledger.id))
            ledger.acknowledge([(1, n // 2)])
        ledger.commit([case("0107-1-20261123-3F001", "a")], AT, Desk(ledger=ledger.id))
        ledger.commit([PaperFailed(paper="p", case="c", copy=0, reason="jam")], AT, Desk(ledger=ledger.id))
    return path.read_bytes(), ledger.id


def readable(place: Path) -> int:
    """How many facts there are in all files of the place that can still be read."""
    found = set()
    for file in place.glob("ledger*.db"):
        with closing(sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True)) as other:
            for seq in range(1, FACTS + 1):
                try:
                    rows = other.execute("SELECT payload FROM facts WHERE seq = ?", (seq,)).fetchall()
                except sqlite3.DatabaseError:
                    continue
                found |= {bytes(row[0]) for row in rows if isinstance(row[0], bytes)}
    return sum(b"window.press.stray" in payload or b"window.case" in payload for payload in found)


def serves(path: Path, rules: Rules, clock: HandClock, name: str) -> None:
    """Start on what is there, twice: a press is taken, the check ends, and what was set aside is told."""
    before, last = readable(path.parent), 0
    for _ in range(2):
        ledger = Ledger.open(path, WINDOW)
        counter = Counter(ledger, rules, clock)
        counter.start()
        counter.tell(KeyPresses(at=counter.moment(), grade=1))
        counter.check(lambda _: False)
        assert not ledger.suspected.is_set()
        assert len(ledger.id) == 8
        assert ledger.last_seq > (FACTS if ledger.id == name else last)
        assert ledger.last_seq < 10_000
        if ledger.damage:
            assert ledger.damage.aside.exists()
            assert "记录" in phrases.trouble(counter.view().troubles[0])
        last = ledger.last_seq if ledger.id != name else 0
        ledger.close()
    assert readable(path.parent) >= before


@pytest.mark.parametrize("row", ROWS)
def test_a_window_starts_and_serves_whatever_row_of_its_ledger_is_odd(
    sound: tuple[bytes, str], tmp_path: Path, rules: Rules, hand_clock: HandClock, row: str
) -> None:
    path = tmp_path / "ledger.db"
    path.write_bytes(sound[0])
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.executescript(ROWS[row])
    serves(path, rules, hand_clock, sound[1])


def no_cells(page: bytearray) -> None:
    page[3:5] = b"\0\0"


def zeros_behind_the_head(page: bytearray) -> None:
    page[64:] = bytes(PAGE - 64)


def zeros(page: bytearray) -> None:
    page[:] = bytes(PAGE)


def zeros_in_the_middle(page: bytearray) -> None:
    page[PAGE - 512 :] = bytes(512)


def noise(page: bytearray) -> None:
    page[:] = random.Random(7).randbytes(PAGE)


def noise_in_the_cells(page: bytearray) -> None:
    page[PAGE - 200 :] = random.Random(8).randbytes(200)


def flipped(page: bytearray) -> None:
    for at in range(100, PAGE, 37):
        page[at] ^= 0x20


HARMS = (no_cells, zeros_behind_the_head, zeros, zeros_in_the_middle, noise, noise_in_the_cells, flipped)
TABLES = ("meta", "facts", "outbox", "desk", "papers", "papers_waiting", "sqlite_autoindex_papers_1", "sqlite_sequence")


@pytest.mark.parametrize("harm", HARMS)
@pytest.mark.parametrize("table", [*TABLES, "sqlite_master", "last"])
def test_a_window_starts_and_serves_whatever_page_of_its_ledger_is_damaged(
    sound: tuple[bytes, str],
    tmp_path: Path,
    rules: Rules,
    hand_clock: HandClock,
    table: str,
    harm: Callable[[bytearray], None],
) -> None:
    path, content = tmp_path / "ledger.db", bytearray(sound[0])
    path.write_bytes(content)
    with closing(sqlite3.connect(path)) as other:
        roots = dict(other.execute("SELECT name, rootpage FROM sqlite_master").fetchall())
    number = {**roots, "sqlite_master": 1, "last": len(content) // PAGE}[table]
    page = content[(number - 1) * PAGE : number * PAGE]
    harm(page)
    content[(number - 1) * PAGE : number * PAGE] = page
    path.write_bytes(content)
    serves(path, rules, hand_clock, sound[1])


@pytest.mark.parametrize("mark", [b" 9223372036854775807\n", b" 9999999999999999999\n", b" -000000000000000005\n"])
def test_a_mark_beside_the_ledger_that_no_ledger_can_reach_says_nothing(
    sound: tuple[bytes, str], tmp_path: Path, rules: Rules, hand_clock: HandClock, mark: bytes
) -> None:
    path = tmp_path / "ledger.db"
    path.write_bytes(sound[0])
    path.with_name("ledger.db.lock").write_bytes(sound[1].encode() + mark)
    serves(path, rules, hand_clock, sound[1])

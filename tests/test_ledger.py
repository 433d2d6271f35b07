"""The ledger on a real disk: what stands, what is chained, what is refused, what is set aside."""

import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from datetime import date
from pathlib import Path

import msgspec
import pytest

from appliance import wire
from appliance.counter import Counter
from appliance.ledger import Ledger, NotKept
from appliance.ledger_file import SCHEMA_VERSION, LedgerUnusable
from appliance.panel import phrases
from appliance.window.desk import Desk
from appliance.window.facts import CaseReceived, Fact, Handed, PaperFailed, PaperPrinted, PressStray, RatingGiven
from appliance.window.rules import Rules
from tests.conftest import WINDOW, HandClock

AT = HandClock().moment()


def stray(n: int) -> list[Fact]:
    return [PressStray(key=1, why="no_prompt") for _ in range(n)]


def case(number: str, form: str) -> CaseReceived:
    return CaseReceived(
        case=number,
        item="mzbx",
        item_name="城乡居民门诊费用报销",
        catalogue="1",
        applicant="张*",
        received=AT.at,
        materials=(Handed("处方底方", 2),),
        promised_days=30,
        due=date(2026, 12, 31),
        due_is="sure",
        clerk="0107",
        clerk_name="王敏",
        paper=f"{number}-0",
        form=form,
    )


def envelopes(ledger: Ledger) -> list[wire.Envelope]:
    return [msgspec.json.decode(kept.payload, type=wire.Envelope) for kept in ledger.unsent(10_000)]


def test_facts_are_numbered_chained_and_written_as_the_wire_wants_them(ledger: Ledger) -> None:
    assert ledger.commit([RatingGiven(visit="20261123-0001", grade=4, clerk="0107")], AT, Desk(ledger=ledger.id)) == [1]
    assert ledger.commit(stray(2), AT, Desk(ledger=ledger.id)) == [2, 3]
    first, second, third = ledger.unsent(10)
    read = msgspec.json.decode(first.payload)
    assert read["id"] == f"{ledger.id}-000001"
    assert read["source"] == "/windows/430602/430602-0107-1"
    assert read["type"] == "window.rating.given.v1"
    assert read["subject"] == "visit/20261123-0001"
    assert read["time"] == "2026-11-23T09:00:00+08:00"
    assert read["data"]["grade"] == 4
    assert [one.prevhash for one in envelopes(ledger)] == [
        wire.FIRST_PREVHASH,
        wire.prevhash(first.payload),
        wire.prevhash(second.payload),
    ]
    assert third.type == "press.stray"


def test_facts_outlive_a_closing_and_the_numbers_go_on(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "ledger.db"
    ledger = Ledger.open(path, WINDOW)
    ledger.commit(stray(3), AT, Desk(ledger=ledger.id))
    known, payloads = ledger.id, [kept.payload for kept in ledger.unsent(9)]
    ledger.close()
    again = Ledger.open(path, WINDOW)
    assert (again.id, again.last_seq, again.damage) == (known, 3, None)
    assert again.commit(stray(1), AT, Desk(ledger=again.id)) == [4]
    assert [kept.payload for kept in again.unsent(9)][:3] == payloads
    again.close()


def test_a_fact_can_be_neither_changed_nor_deleted(ledger: Ledger) -> None:
    ledger.commit(stray(1), AT, Desk(ledger=ledger.id))
    with sqlite3.connect(ledger.path) as other, pytest.raises(sqlite3.IntegrityError, match="never"):
        other.execute("DELETE FROM facts")
    with sqlite3.connect(ledger.path) as other, pytest.raises(sqlite3.IntegrityError, match="never"):
        other.execute("UPDATE facts SET payload = x'00'")


def test_the_countys_word_ends_the_duty_and_nothing_else_does(ledger: Ledger) -> None:
    ledger.commit(stray(10), AT, Desk(ledger=ledger.id))
    assert ledger.backlog()[0] == 10
    assert ledger.acknowledge([(1, 3), (7, 7)]) == 4
    assert ledger.acknowledge([(1, 3)]) == 0
    assert ledger.backlog() == (6, AT)
    assert ledger.acknowledge([(1, 1000)]) == 6
    assert ledger.backlog() == (0, None)


def test_unsent_is_the_same_from_memory_and_from_disk(tmp_path: Path) -> None:
    ledger = Ledger.open(tmp_path / "ledger.db", WINDOW)
    for _ in range(100):
        ledger.commit(stray(1), AT, Desk(ledger=ledger.id))
    from_memory = ledger.unsent(5, after=90)
    assert [kept.seq for kept in from_memory] == [91, 92, 93, 94, 95]
    assert [kept.seq for kept in ledger.unsent(5, after=10)] == [11, 12, 13, 14, 15]
    ledger.close()
    again = Ledger.open(tmp_path / "ledger.db", WINDOW)
    assert again.unsent(5, after=90) == from_memory
    again.close()


def test_sessions_rise_over_restarts(tmp_path: Path) -> None:
    ledger = Ledger.open(tmp_path / "ledger.db", WINDOW)
    first = ledger.next_session()
    assert ledger.next_session() == first + 1
    ledger.close()
    again = Ledger.open(tmp_path / "ledger.db", WINDOW)
    assert again.next_session() == first + 2
    again.close()


# ---- papers -----------------------------------------------------------------------------------------------------


def test_a_received_case_queues_its_paper_in_the_same_commit(ledger: Ledger) -> None:
    ledger.commit([case("0107-1-20261123-3F001", "a")], AT, Desk(ledger=ledger.id))
    paper = ledger.next_paper()
    assert paper is not None
    assert (paper.paper, paper.copy, paper.state) == ("0107-1-20261123-3F001-0", 0, "queued")
    assert paper.content.materials == (Handed("处方底方", 2),)


def test_a_paper_goes_its_way_and_a_reprint_counts(ledger: Ledger) -> None:
    number, desk = "0107-1-20261123-3F001", Desk(ledger=ledger.id)
    ledger.commit([case(number, "a")], AT, desk)
    ledger.send_paper(f"{number}-0")
    assert ledger.next_paper() is None
    assert [paper.state for paper in ledger.papers()] == ["sending"]
    ledger.commit([PaperPrinted(paper=f"{number}-0", case=number, copy=0)], AT, desk)
    again = ledger.queue_again(number, f"{number}-0", AT)
    assert again is not None
    assert (again.paper, again.copy) == (f"{number}-1", 1)
    assert ledger.queue_again(number, f"{number}-0", AT) == again
    ledger.commit([PaperPrinted(paper=f"{number}-1", case=number, copy=1)], AT, desk)
    touched_late = ledger.queue_again(number, f"{number}-0", AT)
    assert touched_late is not None
    assert touched_late.paper == f"{number}-1"
    third = ledger.queue_again(number, f"{number}-1", AT)
    assert third is not None
    assert (third.paper, third.copy, third.newest) == (f"{number}-2", 2, f"{number}-2")


def test_a_print_that_never_began_is_not_a_first_copy(ledger: Ledger) -> None:
    number, desk = "0107-1-20261123-3F001", Desk(ledger=ledger.id)
    ledger.commit([case(number, "a")], AT, desk)
    ledger.commit([PaperFailed(paper=f"{number}-0", case=number, copy=0, reason="absent")], AT, desk)
    again = ledger.queue_again(number, f"{number}-0", AT)
    assert again is not None
    assert (again.paper, again.copy) == (f"{number}-1", 0)


def test_there_is_no_reprint_of_an_unknown_case(ledger: Ledger) -> None:
    assert ledger.queue_again("nobody", "b", AT) is None


# ---- files that are not right -----------------------------------------------------------------------------------


def filled(path: Path) -> str:
    ledger = Ledger.open(path, WINDOW)
    for _ in range(200):
        ledger.commit(stray(1), AT, Desk(ledger=ledger.id))
    ledger.close()
    return ledger.id


def scribble(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[8192:] = bytes(byte ^ 0x5A for byte in content[8192:])
    path.write_bytes(bytes(content))


def break_chain(path: Path) -> None:
    with sqlite3.connect(path) as other:
        other.execute("DROP TRIGGER facts_stand")
        other.execute("UPDATE facts SET payload = replace(payload, 'no_prompt', 'nO_prompt') WHERE seq = 150")


def forget_desk(path: Path) -> None:
    with sqlite3.connect(path) as other:
        other.execute("UPDATE desk SET state = x'7b7b'")


def mistype(path: Path) -> None:
    with sqlite3.connect(path) as other:
        other.execute("DROP TRIGGER facts_stand")
        other.execute("UPDATE facts SET type = 'press.strax' WHERE seq = 190")


def empty(path: Path) -> None:
    path.write_bytes(b"")


@pytest.mark.parametrize(
    "harm", [mistype, empty, scribble, break_chain, forget_desk, lambda path: path.write_bytes(b"no database " * 999)]
)
def test_a_damaged_ledger_is_set_aside_and_a_new_one_begun(tmp_path: Path, harm: object) -> None:
    path = tmp_path / "ledger.db"
    old = filled(path)
    harm(path)  # type: ignore[operator]
    content = path.read_bytes()
    ledger = Ledger.open(path, WINDOW)
    assert ledger.damage is not None
    assert ledger.damage.aside.name.startswith("ledger-damaged-20")
    assert ledger.damage.aside.read_bytes() == content
    assert (ledger.id != old, ledger.last_seq) == (True, 0)
    ledger.close()
    assert Ledger.open(path, WINDOW).damage is None


# ---- a ledger of another window ---------------------------------------------------------------------------------


def before_windows_were_noted(path: Path) -> None:
    """As version 1 left it, which names its window in the facts only."""
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.executescript(
            "DELETE FROM meta WHERE name = 'window'; DROP INDEX papers_sending; PRAGMA user_version = 1;"
        )


def as_it_is(_: Path) -> None:
    pass


@pytest.mark.parametrize("age", [as_it_is, before_windows_were_noted])
def test_a_card_of_another_window_is_set_aside_whole_and_a_new_ledger_begun(
    tmp_path: Path, rules: Rules, hand_clock: HandClock, age: Callable[[Path], None]
) -> None:
    path = tmp_path / "ledger.db"
    old = filled(path)
    age(path)
    ledger = Ledger.open(path, "430602-0107-2")
    assert ledger.damage is not None
    assert (ledger.damage.kind, ledger.id != old, ledger.last_seq) == ("other_window", True, 0)
    with closing(sqlite3.connect(ledger.damage.aside)) as aside:
        assert aside.execute("SELECT count(*) FROM facts").fetchone() == (200,), "nothing of it is lost"
    counter = Counter(ledger, msgspec.structs.replace(rules, window="430602-0107-2"), hand_clock)
    counter.start()
    (trouble,) = counter.view().troubles
    assert "别的窗口" in phrases.trouble(trouble)
    assert all(envelope.source.endswith("/430602-0107-2") for envelope in envelopes(ledger))
    ledger.close()
    again = Ledger.open(path, "430602-0107-2")
    assert (again.damage, again.id) == (None, ledger.id)
    again.close()


@pytest.mark.parametrize("age", [as_it_is, before_windows_were_noted])
def test_its_own_ledger_goes_on_whatever_its_age(tmp_path: Path, age: Callable[[Path], None]) -> None:
    path = tmp_path / "ledger.db"
    old = filled(path)
    age(path)
    ledger = Ledger.open(path, WINDOW)
    assert (ledger.damage, ledger.id, ledger.last_seq) == (None, old, 200)
    ledger.close()


def test_a_card_put_back_into_its_own_window_goes_on_where_it_was(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    old = filled(path)
    shutil.copyfile(path, tmp_path / "kept.db")
    Ledger.open(path, "430602-0107-2").close()
    back = tmp_path / "back"
    back.mkdir()
    shutil.copyfile(tmp_path / "kept.db", back / "ledger.db")
    ledger = Ledger.open(back / "ledger.db", WINDOW)
    assert (ledger.damage, ledger.id, ledger.last_seq) == (None, old, 200)
    ledger.close()


def test_a_newer_ledger_is_refused_with_a_sentence_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    filled(path)
    with sqlite3.connect(path) as other:
        other.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    with pytest.raises(LedgerUnusable, match="请升级程序"):
        Ledger.open(path, WINDOW)
    with sqlite3.connect(path) as other:
        assert other.execute("SELECT count(*) FROM facts").fetchone() == (200,)


def test_a_second_program_on_the_same_ledger_is_refused(ledger: Ledger) -> None:
    with pytest.raises(LedgerUnusable, match="另一个程序"):
        Ledger.open(ledger.path, WINDOW)


def test_a_place_that_cannot_be_written_is_a_sentence() -> None:
    with pytest.raises(LedgerUnusable, match="不能写入"):
        Ledger.open(Path("/proc/nowhere/ledger.db"), WINDOW)


def test_a_folder_is_a_sentence_and_stays_where_it_is(tmp_path: Path) -> None:
    with pytest.raises(LedgerUnusable, match="目录"):
        Ledger.open(tmp_path, WINDOW)
    assert tmp_path.is_dir()


def test_a_ledger_that_another_program_locks_is_a_sentence_and_no_damage(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    filled(path)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("PRAGMA locking_mode = EXCLUSIVE")
    other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(LedgerUnusable, match="另一个程序"):
        Ledger.open(path, WINDOW)
    other.close()
    ledger = Ledger.open(path, WINDOW)
    assert (ledger.damage, ledger.last_seq) == (None, 200)
    ledger.close()


def unindex(path: Path) -> None:
    """Make an index of papers disagree with its table, which the quick check does not see."""
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        rows = "SELECT rootpage FROM sqlite_master WHERE name = 'papers_of_case'"
        page = other.execute(rows).fetchone()[0]
        other.execute("INSERT INTO papers (paper, case_no, copy, state, at, seq) VALUES ('p', 'c', 0, 'failed', '', 1)")
    content = bytearray(path.read_bytes())
    start = (page - 1) * 4096
    at = content.index(b"c", start + 8, start + 4096)
    content[at : at + 1] = b"x"
    path.write_bytes(bytes(content))


def test_an_empty_file_is_no_damage(tmp_path: Path) -> None:
    (tmp_path / "ledger.db").touch()
    ledger = Ledger.open(tmp_path / "ledger.db", WINDOW)
    assert ledger.damage is None
    ledger.close()


# ---- a full card ------------------------------------------------------------------------------------------------

FULL_CARD = """
import sys
from pathlib import Path
from appliance.ledger import Ledger, NotKept
from appliance.window.desk import Desk
from tests.test_ledger import AT, WINDOW, stray

ledger = Ledger.open(Path(sys.argv[1]) / "ledger.db", WINDOW)
kept = 0
filler = open(Path(sys.argv[1]) / "filler", "wb", buffering=0)
try:
    while True:
        filler.write(bytes(4096))
except OSError:
    pass
try:
    while True:
        ledger.commit(stray(1), AT, Desk(ledger=ledger.id))
        kept += 1
        assert kept < 100_000
except NotKept:
    pass
assert ledger.last_seq == kept, "a refused fact must not take a number"
refused_again = False
try:
    ledger.commit(stray(3), AT, Desk(ledger=ledger.id))
except NotKept:
    refused_again = True
assert ledger.next_session() > 1
for _ in range(300):
    ledger.tidy()
ledger.close()
while True:
    try:
        filler.write(bytes(512))
    except OSError:
        break
ledger = Ledger.open(Path(sys.argv[1]) / "ledger.db", WINDOW)
assert ledger.damage is None, "a full card is no damage"
assert ledger.last_seq == kept
(Path(sys.argv[1]) / "filler").unlink()
filler.close()
assert ledger.commit(stray(1), AT, Desk(ledger=ledger.id)) == [kept + 1]
ledger.close()
ledger = Ledger.open(Path(sys.argv[1]) / "ledger.db", WINDOW)
assert ledger.damage is None
assert ledger.last_seq == kept + 1
assert len(ledger.unsent(1_000_000)) == kept + 1
print("kept", kept, refused_again)
"""


def test_on_a_full_card_facts_are_refused_and_nothing_is_half_written(tmp_path: Path) -> None:
    # A card of two megabytes in a mount namespace of its own: works for any user, and is really full.
    (tmp_path / "card").mkdir()
    script = tmp_path / "full.py"
    script.write_text(FULL_CARD)
    mount = f'mount -t tmpfs -o size=2m card "{tmp_path}/card" && exec "$@"'
    done = subprocess.run(
        ["unshare", "--map-root-user", "--mount", "sh", "-c", mount, "sh", sys.executable, script, tmp_path / "card"],
        capture_output=True,
        text=True,
        timeout=120,
        env={"PYTHONPATH": str(Path(__file__).parents[1])},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("kept ")


def test_a_refused_commit_raises_and_leaves_the_ledger_usable(tmp_path: Path) -> None:
    ledger = Ledger.open(tmp_path / "ledger.db", WINDOW)
    ledger._writer.execute("PRAGMA max_page_count = 14")

    def fill() -> None:
        for _ in range(10_000):
            ledger.commit(stray(1), AT, Desk(ledger=ledger.id))

    with pytest.raises(NotKept):
        fill()
    kept = ledger.last_seq
    assert 0 < kept < 10_000
    ledger._writer.execute("PRAGMA max_page_count = 10000")
    assert ledger.commit(stray(1), AT, Desk(ledger=ledger.id)) == [kept + 1]
    ledger.close()


def test_tidying_moves_the_log_into_the_file_while_facts_go_on(tmp_path: Path) -> None:
    ledger = Ledger.open(tmp_path / "ledger.db", WINDOW)
    for _ in range(700):
        ledger.commit(stray(1), AT, Desk(ledger=ledger.id))
    before = ledger.path.stat().st_size
    ledger.tidy()
    assert ledger.path.stat().st_size == before, "nothing is folded in before the whole is known to be sound"
    assert ledger.check(lambda _: False).damage == ""
    ledger.tidy()
    assert ledger.path.stat().st_size > before
    assert ledger.commit(stray(1), AT, Desk(ledger=ledger.id)) == [701]
    assert len(ledger.unsent(1000)) == 701
    ledger.close()

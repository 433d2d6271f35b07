"""The whole check behind the keys: what it finds, and that the window's ledger goes on with all that is sound."""

import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from appliance.counter import Counter
from appliance.ledger import Ledger, NotKept
from appliance.ledger_file import NEWEST_CHECKED
from appliance.window.desk import Desk
from appliance.window.facts import Fact, RatingGiven
from appliance.window.rules import Rules
from tests.conftest import WINDOW, HandClock, until
from tests.test_ledger import AT, case, stray, unindex

OLD = 3000


def on(_: float) -> bool:
    """Nobody ends the program meanwhile."""
    return False


def long_ledger(path: Path, facts: int = OLD, acknowledged: int = OLD - 100) -> str:
    """More facts than the look before the keys reaches, all but the newest acknowledged; its name."""
    ledger = Ledger.open(path, WINDOW)
    ledger.commit([case("0107-1-20261123-3F001", "form-1")], AT, Desk(ledger=ledger.id))
    ledger.commit(stray(facts - 1), AT, Desk(ledger=ledger.id))
    ledger.acknowledge([(1, acknowledged)])
    ledger.close()
    return ledger.id


def alter(path: Path, change: str) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.executescript(f"DROP TRIGGER IF EXISTS facts_stand; DROP TRIGGER IF EXISTS facts_stay; {change}")


def facts_of(path: Path) -> dict[int, bytes]:
    with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as other:
        return dict(other.execute("SELECT seq, payload FROM facts"))


def overwrite_old_page(path: Path) -> None:
    """Break a page of facts that nobody reads before the keys."""
    with closing(sqlite3.connect(path)) as other:
        payload = other.execute("SELECT payload FROM facts WHERE seq = 500").fetchone()[0]
    content = bytearray(path.read_bytes())
    at = content.index(payload) // 4096 * 4096
    content[at : at + 4096] = os.urandom(4096)
    path.write_bytes(bytes(content))


def alter_old_fact(path: Path) -> None:
    alter(path, "UPDATE facts SET payload = replace(payload, 'no_prompt', 'nO_prompt') WHERE seq = 500;")


def unindex_papers(path: Path) -> None:
    unindex(path)


HARMS = [overwrite_old_page, alter_old_fact, unindex_papers]


def test_the_whole_of_a_sound_ledger_is_sound_and_counted(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    long_ledger(path)
    ledger = Ledger.open(path, WINDOW)
    ledger.acknowledge([(OLD - 50, OLD - 45)])
    verdict = ledger.check(on)
    assert (verdict.damage, verdict.missing) == ("", ())
    assert ledger.backlog()[0] == len(ledger.unsent(OLD)) == 94
    ledger.close()


@pytest.mark.parametrize("harm", HARMS)
def test_old_damage_does_not_keep_the_keys_waiting_and_is_found_behind_them(
    tmp_path: Path, harm: Callable[[Path], None]
) -> None:
    path = tmp_path / "ledger.db"
    known = long_ledger(path)
    harm(path)
    ledger = Ledger.open(path, WINDOW)
    assert (ledger.damage, ledger.last_seq) == (None, OLD)
    assert ledger.check(on).damage
    assert ledger.damage is not None
    assert ledger.id == known
    ledger.close()


@pytest.mark.parametrize("harm", HARMS)
def test_what_was_written_before_the_verdict_goes_on_under_its_own_number_and_the_damaged_file_is_untouched(
    tmp_path: Path, harm: Callable[[Path], None]
) -> None:
    path = tmp_path / "ledger.db"
    long_ledger(path)
    harm(path)
    found, old = path.read_bytes(), None if harm is overwrite_old_page else facts_of(path)
    ledger = Ledger.open(path, WINDOW)
    given: list[Fact] = [RatingGiven(visit="20261123-0001", grade=5)]
    desk = Desk(ledger=ledger.id, orders=("one",))
    assert ledger.commit(given, AT, desk) == [OLD + 1]
    ledger.acknowledge([(OLD - 99, OLD - 90)])
    ledger.tidy()
    before = {kept.seq: kept.payload for kept in ledger.unsent(OLD)}
    ledger.check(on)
    assert ledger.damage is not None
    assert ledger.damage.aside.read_bytes() == found, "not a byte of the damaged file was written"
    assert {kept.seq: kept.payload for kept in ledger.unsent(OLD)} == before
    assert ledger.backlog()[0] == len(before) == 91
    assert ledger.commit(stray(1), AT, desk) == [OLD + 2]
    assert ledger.case_of_form("form-1") == "0107-1-20261123-3F001"
    ledger.close()
    again = Ledger.open(path, WINDOW)
    assert (again.damage, again.last_seq, again.desk()) == (None, OLD + 2, desk)
    verdict = again.check(on)
    assert (verdict.damage, verdict.missing) == ("", ()), "one rescue is enough"
    if old is not None:
        now = facts_of(path)
        lost = {seq for seq, payload in old.items() if now.get(seq) != payload}
        assert lost == ({500} if harm is alter_old_fact else set())
    again.close()


def test_a_fact_that_somebody_deleted_is_told_once_and_the_file_stays(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    known = long_ledger(path)
    alter(path, f"DELETE FROM facts WHERE seq IN (700, 701, {OLD - 10});")
    ledger = Ledger.open(path, WINDOW)
    assert (ledger.id, ledger.last_seq, ledger.damage) == (known, OLD, None)
    assert ledger.check(on).missing == ((700, 701), (OLD - 10, OLD - 10))
    assert ledger.backlog()[0] == len(ledger.unsent(OLD)) == 99, "nobody waits for what cannot be sent"
    ledger.close()
    again = Ledger.open(path, WINDOW)
    assert again.check(on).missing == ()
    again.close()


def test_the_newest_fact_deleted_does_not_give_its_number_twice(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    long_ledger(path)
    alter(path, f"DELETE FROM facts WHERE seq = {OLD};")
    ledger = Ledger.open(path, WINDOW)
    assert ledger.commit(stray(1), AT, Desk(ledger=ledger.id)) == [OLD + 1]
    assert ledger.check(on).missing == ((OLD, OLD),)
    ledger.close()


def test_a_fact_deleted_while_the_window_serves_stops_nobody(ledger: Ledger) -> None:
    ledger.commit(stray(100), AT, Desk(ledger=ledger.id))
    ledger.acknowledge([(1, 3)])
    ledger.check(on)
    alter(ledger.path, "DELETE FROM facts WHERE seq IN (4, 50);")
    assert [kept.seq for kept in ledger.unsent(3, after=3)] == [5, 6, 7]
    assert ledger.backlog() == (97, AT)
    assert ledger.present(1, 100) == 98
    assert ledger.acknowledge([(5, 100)]) == 96
    assert ledger.commit(stray(1), AT, Desk(ledger=ledger.id)) == [101]


@pytest.mark.parametrize("instruction", ["rescued", "aside"])
def test_a_kill_in_the_middle_of_the_exchange_loses_nothing(tmp_path: Path, instruction: str) -> None:
    path = tmp_path / "ledger.db"
    known = long_ledger(path)
    alter_old_fact(path)
    script = f"""
import os
from pathlib import Path
from appliance import ledger_rescue
from appliance.ledger import Ledger
from appliance.window.desk import Desk
from tests.test_ledger import AT, WINDOW, stray

set_aside = ledger_rescue.set_aside
def killed(path, finding):
    if {instruction == "aside"}:
        set_aside(path, finding)
    os._exit(9)
ledger_rescue.set_aside = killed
ledger = Ledger.open(Path({str(path)!r}), WINDOW)
ledger.commit(stray(1), AT, Desk(ledger=ledger.id))
ledger.check(lambda _: False)
"""
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=Path(__file__).parents[1], capture_output=True, text=True, check=False
    )
    assert done.returncode == 9, done.stderr
    ledger = Ledger.open(path, WINDOW)
    assert (ledger.id, ledger.last_seq) == (known, OLD + 1)
    assert ledger.damage is not None
    assert len(ledger.unsent(OLD)) == 101
    assert ledger.check(on).damage == ""
    ledger.close()


def test_damage_that_shows_while_the_window_serves_refuses_facts_until_it_is_mended(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    long_ledger(path)
    ledger = Ledger.open(path, WINDOW)
    ledger.check(on)
    with closing(sqlite3.connect(path)) as other:
        root = other.execute("SELECT rootpage FROM sqlite_master WHERE name = 'outbox'").fetchone()[0]
        other.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    with path.open("r+b") as file:
        file.seek((root - 1) * 4096)
        file.write(b"\xff" * 4096)
    ledger._connect()
    with pytest.raises(NotKept):
        ledger.commit(stray(1), AT, Desk(ledger=ledger.id))
    assert ledger.suspected.is_set()
    assert ledger.unsent(10) == []
    assert ledger.check(on).damage
    assert ledger.commit(stray(1), AT, Desk(ledger=ledger.id)) == [OLD + 1]
    assert ledger.unsent(1)[0].seq == 1, "what nobody can say to be acknowledged is sent again"
    ledger.close()


def test_the_verdict_is_told_at_the_window_and_to_the_county(
    tmp_path: Path, rules: Rules, hand_clock: HandClock
) -> None:
    path = tmp_path / "ledger.db"
    long_ledger(path)
    alter_old_fact(path)
    ledger = Ledger.open(path, WINDOW)
    counter = Counter(ledger, rules, hand_clock)
    counter.start()
    assert counter.view().troubles == ()
    counter.check(on)
    (trouble,) = counter.view().troubles
    assert (trouble.device, trouble.reason) == ("ledger", "damaged")
    assert ledger.damage is not None
    assert trouble.detail == ledger.damage.aside.name
    ledger.close()


def test_a_press_does_not_wait_for_the_check(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    long_ledger(path, 2 * NEWEST_CHECKED, 0)
    ledger = Ledger.open(path, WINDOW)
    pressed: list[int] = []

    def press(_: float) -> bool:
        pressed.extend(ledger.commit(stray(1), AT, Desk(ledger=ledger.id)))
        return False

    assert ledger.check(press).damage == ""
    assert len(pressed) > 10
    assert ledger.backlog()[0] == ledger.last_seq
    ledger.close()


def test_a_check_ends_with_the_program(tmp_path: Path, rules: Rules, hand_clock: HandClock) -> None:
    path = tmp_path / "ledger.db"
    long_ledger(path)
    ledger = Ledger.open(path, WINDOW)
    Counter(ledger, rules, hand_clock).check(lambda _: True)
    ledger.close()
    until(lambda: not list(tmp_path.glob("*-rescu*")))

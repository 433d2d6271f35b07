"""The wall's memory: told twice or in any order it counts the same, and after a restart it knows what it knew."""

import random
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from appliance import wire
from appliance.county import phrases
from appliance.county.book import Batch, Book
from appliance.county.inlet import Arrived
from appliance.county.monitor import Row, microseconds
from appliance.county.office import Office
from appliance.county.reading import Letter, Misfit, Reader, Sighting
from appliance.county.wall import Wall
from appliance.window.facts import (
    ClockSynced,
    DeviceFailed,
    DeviceRecovered,
    Grade,
    RatingChanged,
    RatingDeclined,
    RatingGiven,
    VisitEnded,
)
from tests.ground_county import COUNTY, HEALTH, NINE, STATUS, WINDOW, Pen, arrived

START = microseconds(NINE)


class Desk:
    """A book, a wall, and a hand that keeps what arrives and tells the wall, as the collector does."""

    def __init__(self, path: Path) -> None:
        self.path, self.now = path, START
        self.reader = Reader(COUNTY)
        self.restart()

    def restart(self) -> None:
        self.book = Book(f"sqlite:///{self.path}")
        self.wall = Wall(self.book, self.now, clock=lambda: self.now / 1e6)

    def take(self, *all_: Arrived) -> None:
        batch = Batch()
        for it in all_:
            found = self.reader.read(it)
            if isinstance(found, Letter):
                batch.letters.append(found)
            elif isinstance(found, Sighting):
                batch.sightings.append(found)
            elif isinstance(found, Misfit):
                batch.misfits.append(found)
        self.now += 1
        self.wall.take(self.book.keep(batch, self.now), self.now)

    def row(self, window: str = WINDOW) -> Row:
        self.wall.tick(self.now)
        (found,) = [row for row in self.wall.rows(self.now) if row.window == window]
        return found

    def sees(self, kind: str, value: wire.Presence | wire.Status | wire.Health, *, retained: bool = False) -> None:
        self.take(arrived(wire.window_topic(WINDOW, kind), wire.encode(value), retained=retained))


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    made = Desk(tmp_path / "book.db")
    yield made
    made.book.close()


def a_morning() -> Pen:
    """Five visits: rated 5; 4 then 2; 3, taken back by two keys; taken back and given again; not rated."""
    pen = Pen()
    grades: list[list[Grade | None]] = [[5], [4, 2], [3, None], [1, None, 4], []]
    for n, pressed in enumerate(grades):
        visit, was = f"20261122-{n:04d}", None
        pen.write(VisitEnded(visit=visit, clerk="0107", seconds=60.0))
        for grade in pressed:
            if was is None and grade is not None and grade == pressed[0]:
                pen.write(RatingGiven(visit=visit, grade=grade))
            else:
                pen.write(RatingChanged(visit=visit, grade=grade, was=was, why="changed" if grade else "two_keys"))
            was = grade
        if not pressed:
            pen.write(RatingDeclined(visit=visit, why="timeout"))
    return pen


COUNTED = (1, 1, 0, 1, 0)
"""非常满意 … 非常不满意: the last grade of each visit."""


@pytest.mark.parametrize("seed", range(8))
def test_the_last_grade_of_a_visit_counts_in_any_order_and_however_often_told(desk: Desk, seed: int) -> None:
    pen, order = a_morning(), random.Random(seed)
    seqs = list(range(1, len(pen.written) + 1)) * (1 + seed % 3)
    order.shuffle(seqs)
    for at in range(0, len(seqs), 3):
        desk.take(*pen.arrived(*seqs[at : at + 3]))
    assert (desk.row().seen.visits, desk.row().seen.grades) == (5, COUNTED)
    desk.restart()
    assert (desk.row().seen.visits, desk.row().seen.grades) == (5, COUNTED)


def test_a_new_day_begins_at_nought_with_what_came_of_it_early(desk: Desk) -> None:
    pen = a_morning()
    pen.write(RatingGiven(visit="20261123-0001", grade=1), NINE + timedelta(hours=15, seconds=1))
    desk.take(*pen.arrived())
    assert desk.row().seen.grades == COUNTED
    desk.now = microseconds(NINE + timedelta(hours=15))
    assert (desk.row().seen.visits, desk.row().seen.grades) == (0, (0, 0, 0, 0, 1))


def test_a_morning_told_with_a_wrong_clock_counts_once_the_clock_is_told(desk: Desk) -> None:
    pen = Pen()
    pen.write(RatingGiven(visit="a", grade=5), NINE - timedelta(days=9000), synced=False)
    desk.take(*pen.arrived())
    assert desk.row().seen.grades == (0, 0, 0, 0, 0)
    pen.write(ClockSynced(offset=timedelta(days=9000).total_seconds()))
    desk.take(*pen.arrived(2))
    assert desk.row().seen.grades == (1, 0, 0, 0, 0)


def test_a_device_is_open_until_it_recovers(desk: Desk) -> None:
    pen = Pen()
    pen.write(DeviceFailed(device="printer", reason="paper_out"))
    pen.write(DeviceRecovered(device="printer", reason="paper_out"))
    pen.write(DeviceFailed(device="camera", reason="absent"))
    desk.take(*pen.arrived(1))
    assert [fault.device for fault in desk.row().faults] == ["printer"]
    desk.take(*pen.arrived(3, 2))
    desk.take(*pen.arrived(1))
    assert [fault.device for fault in desk.row().faults] == ["camera"]
    desk.restart()
    assert [fault.device for fault in desk.row().faults] == ["camera"]


def test_a_fault_told_before_the_clock_was_right_began_when_it_began(desk: Desk) -> None:
    pen, wrong = Pen(), timedelta(days=9000)
    pen.write(DeviceFailed(device="printer", reason="absent"), NINE - wrong, synced=False)
    desk.take(*pen.arrived())
    pen.write(ClockSynced(offset=wrong.total_seconds()))
    desk.take(*pen.arrived(2))
    assert [fault.since_us for fault in desk.row().faults] == [START]
    desk.take(*pen.arrived())
    assert [fault.since_us for fault in desk.row().faults] == [START]
    desk.restart()
    assert [fault.since_us for fault in desk.row().faults] == [START]


def test_a_restart_knows_presence_status_and_health_again(desk: Desk) -> None:
    desk.wall.link(True)
    desk.sees("presence", wire.Presence(online=True, session=3))
    desk.sees("status", STATUS)
    desk.sees("health", HEALTH)
    before = desk.row()
    desk.restart()
    assert desk.row() == before
    desk.sees("presence", wire.Presence(online=False, session=2))
    assert desk.row().reach == "online"


def test_silence_is_not_counted_while_we_did_not_listen(desk: Desk) -> None:
    desk.wall.link(True)
    desk.sees("status", STATUS)
    desk.sees("health", HEALTH)
    desk.now += 60_000_000
    desk.wall.link(False)
    desk.now += 3540_000_000
    assert desk.row().reach == "online"
    desk.wall.link(True)
    assert desk.row().reach == "online"
    desk.now += 119_000_000
    assert desk.row().reach == "online"
    desk.now += 2_000_000
    assert desk.row().reach == "silent"
    desk.sees("health", HEALTH, retained=True)
    assert desk.row().reach == "silent", "the broker repeats what it has: nobody has spoken"
    desk.sees("health", HEALTH)
    assert desk.row().reach == "online"


def test_who_was_silent_before_a_restart_is_silent_after_it(desk: Desk) -> None:
    desk.wall.link(True)
    desk.sees("health", HEALTH)
    other = "430602-0108-1"
    desk.now += 200_000_000
    desk.take(arrived(wire.window_topic(other, "health"), wire.encode(HEALTH)))
    desk.now += 7200_000_000
    desk.restart()
    desk.wall.link(True)
    assert (desk.row().reach, desk.row(other).reach) == ("silent", "online")


def test_whoever_waits_is_woken_by_what_changes(desk: Desk) -> None:
    version = desk.wall.wait(-1, 0)
    assert desk.wall.wait(version, 0.01) == version
    desk.sees("status", STATUS)
    assert desk.wall.wait(version, 5) > version


def test_misfits_are_shown_at_their_window_or_at_nobody(desk: Desk) -> None:
    desk.take(arrived(wire.window_topic(WINDOW, "status"), b"?"), arrived("windows/v1/430602/kitchen/status", b"?"))
    assert (desk.row().seen.misfits, desk.wall.nobody()) == (1, 1)
    desk.restart()
    assert (desk.row().seen.misfits, desk.wall.nobody()) == (1, 1)


def test_a_window_that_was_taken_down_leaves_the_wall(desk: Desk) -> None:
    desk.sees("presence", wire.Presence(online=True, session=3))
    desk.sees("status", STATUS)
    for kind in ("presence", "status"):
        assert desk.row().window == WINDOW
        desk.take(arrived(wire.window_topic(WINDOW, kind), b""))
    assert desk.wall.rows(desk.now) == []
    desk.restart()
    assert desk.wall.rows(desk.now) == []
    desk.sees("presence", wire.Presence(online=True, session=1))
    assert desk.row().reach == "online"


def test_a_ledger_replaced_in_mid_day_counts_with_the_one_before_it(desk: Desk) -> None:
    old, new = Pen(ledger="00000001"), Pen(ledger="00000002")
    for pen, count, grade in ((old, 5, 5), (new, 3, 1)):
        for n in range(count):
            pen.write(VisitEnded(visit=f"20261122-{n:04d}", clerk="0107", seconds=60.0))
            pen.write(RatingGiven(visit=f"20261122-{n:04d}", grade=5 if grade == 5 else 1))
        desk.take(*pen.arrived())
    assert (desk.row().seen.visits, desk.row().seen.grades) == (8, (5, 0, 0, 0, 3))
    desk.restart()
    assert (desk.row().seen.visits, desk.row().seen.grades) == (8, (5, 0, 0, 0, 3))


def test_prompts_cut_by_an_absence_or_the_next_visit_are_counted_and_a_timeout_is_not(desk: Desk) -> None:
    pen = Pen()
    for n, why in enumerate(("away", "next_visit", "timeout", "away")):
        pen.write(VisitEnded(visit=f"v{n}", clerk="0107", seconds=60.0))
        pen.write(RatingDeclined(visit=f"v{n}", why=why))  # type: ignore[arg-type]
    desk.take(*pen.arrived(1, 2, 3, 4))
    desk.take(*pen.arrived())
    assert (desk.row().seen.cut, desk.row().seen.unrated) == (3, 4)
    desk.restart()
    assert (desk.row().seen.cut, desk.row().seen.unrated) == (3, 4)


def test_a_junk_status_that_is_cleared_takes_nothing_off_the_wall(desk: Desk) -> None:
    topic = wire.window_topic(WINDOW, "status")
    for n in range(20):
        desk.take(arrived(topic, f"?{n}".encode(), retained=True))
    desk.take(arrived(topic, b"", retained=True))
    assert desk.row().seen.misfits == desk.wall.standing().quarantined == 20
    desk.restart()
    assert desk.row().seen.misfits == desk.wall.standing().quarantined == 20


def test_a_window_that_was_taken_down_and_now_sends_junk_is_there_again(desk: Desk) -> None:
    desk.sees("status", STATUS)
    desk.take(arrived(wire.window_topic(WINDOW, "status"), b""))
    assert desk.wall.rows(desk.now) == []
    desk.take(arrived(wire.window_topic(WINDOW, "status"), b"?"))
    assert desk.row().seen.misfits == 1
    desk.restart()
    assert desk.row().seen.misfits == 1


@pytest.mark.parametrize("hours", [1, -1, 24 * 400])
def test_a_jump_of_the_countys_clock_silences_nobody(desk: Desk, hours: int) -> None:
    up = 1000.0
    desk.wall = Wall(desk.book, desk.now, clock=lambda: up)
    desk.wall.link(True)
    desk.sees("presence", wire.Presence(online=True, session=1))
    desk.sees("health", HEALTH)
    desk.now += hours * 3600_000_000
    assert desk.row().reach == "online"
    up += 181
    assert desk.row().reach == "silent"


@pytest.mark.parametrize(("behind_s", "said"), [(0.0, False), (9.0, False), (30.0, True)])
def test_a_county_that_is_late_says_so_and_calls_nothing_normal(desk: Desk, behind_s: float, *, said: bool) -> None:
    desk.wall.link(True)
    desk.sees("status", STATUS)
    office = Office(COUNTY, "梅溪县", desk.wall, {}, lateness=lambda: {"ok": not said, "behind_s": behind_s})
    page = office.app.test_client().get("/").text
    assert (phrases.BEHIND in page, phrases.DEAF in page, phrases.CALM in page) == (said, said, not said)

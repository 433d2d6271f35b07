"""What the book lacks: found, shown, asked for once, filled, or said to be lost; on both databases."""

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from sqlalchemy import func, select

from appliance import story, wire
from appliance.county import gaps as gaps_module
from appliance.county.asking import PART
from appliance.county.book import Batch, Book, Kept
from appliance.county.engine import connect
from appliance.county.gaps import AGAIN_S, LOOK_S, MANY, OLD_S, PIECES, Gaps
from appliance.county.monitor import Missing, microseconds
from appliance.county.reading import LAST_SEQ, Letter, Reader, Sighting
from appliance.county.tables import gaps, ledgers, metadata
from appliance.window.facts import DeviceFailed, DeviceRecovered, OrderDone, OrderRefused, RatingGiven
from tests.ground_county import COUNTY, NINE, WINDOW, Pen, Postgresql, arrived, seconds_after

OTHER = "430602-0108-1"
LEDGER = "3f9c1a7e"


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    running = Postgresql()
    yield running.url
    running.remove()


class Ground:
    """A book, a clock that the test turns, and what the collector does with both."""

    def __init__(self, url: str) -> None:
        self.url, self.up, self.now = url, 1000.0, microseconds(NINE)
        self.reader = Reader(COUNTY)
        self.books: list[Book] = []
        self.book = self.open()

    def open(self) -> Book:
        self.books.append(Book(self.url))
        self.books[-1].gaps = Gaps(self.books[-1].engine, clock=lambda: self.up)
        return self.books[-1]

    def passes(self, seconds: float) -> None:
        self.up += seconds
        self.now += round(seconds * 1e6)

    def keeps(self, pen: Pen, *seqs: int) -> Kept:
        read = [self.reader.read(it) for it in pen.arrived(*seqs)]
        self.now += 1
        return self.book.keep(Batch(letters=[it for it in read if isinstance(it, Letter)]), self.now)

    def hears(self, newest: int, ledger: str = LEDGER, window: str = WINDOW) -> None:
        outbox = wire.OutboxState(depth=0, oldest_s=None, ledger=ledger, newest=newest)
        payload = wire.encode(msgspec.structs.replace(story.morning().health, outbox=outbox))
        read = self.reader.read(arrived(wire.window_topic(window, "health"), payload))
        assert isinstance(read, Sighting)
        self.now += 1
        self.book.keep(Batch(sightings=[read]), self.now)

    def looks(self, after: float = LOOK_S) -> None:
        self.passes(after)
        self.book.gaps.look(self.now)

    def gaps(self) -> list[tuple[int, int, str]]:
        with self.book.engine.connect() as tx:
            return [(it.first, it.last, it.answer) for it in tx.execute(select(gaps).order_by(gaps.c.first))]

    def missing(self, window: str = WINDOW) -> Missing:
        return self.book.gaps.missing(self.now).get(window, Missing())

    def asks(self, book: Book | None = None) -> list[tuple[int, int]]:
        """What is asked for now, by sequences."""
        return [(it.first, it.last) for _, it in self.orders(book)]

    def orders(self, book: Book | None = None) -> list[tuple[str, wire.Replay]]:
        self.passes(1.0)
        found = []
        for window, order in (book or self.book).due_replays(self.now):
            asked = msgspec.json.decode(order.data, type=wire.Replay)
            assert (window, order.source) == (WINDOW, f"/counties/{COUNTY}")
            assert order.type == "window.order.replay.v1"
            found.append((order.id, asked))
        return found


@pytest.fixture(params=["sqlite", "postgresql"])
def ground(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Ground]:
    url = f"sqlite:///{tmp_path}/book.db"
    if request.param == "postgresql":
        url = request.getfixturevalue("server")
        fresh = connect(url)
        metadata.drop_all(fresh)
        fresh.dispose()
    made = Ground(url)
    yield made
    for book in made.books:
        book.close()


def ratings(count: int, ledger: str = LEDGER, window: str = WINDOW) -> Pen:
    pen = Pen(window, ledger)
    for n in range(count):
        pen.write(RatingGiven(visit=f"20261122-{n:04d}", grade=4))
    return pen


def refuses(ground: Ground, pen: Pen, *orders: str, reason: str = "missing") -> None:
    before = len(pen.written)
    for order in orders:
        pen.write(OrderRefused(order=order, reason=reason))
    ground.keeps(pen, *range(before + 1, len(pen.written) + 1))


# ---- found --------------------------------------------------------------------------------


def test_a_fact_deleted_on_the_card_is_missing_after_two_minutes_and_asked_for_once(ground: Ground) -> None:
    pen = ratings(105)
    ground.keeps(pen, *range(1, 51), *range(52, 106))
    ground.looks()
    assert ground.gaps() == [(51, 51, "")]
    assert (ground.missing(), ground.asks()) == (Missing(), [])
    ground.passes(OLD_S)
    assert (ground.missing(), ground.asks()) == (Missing(asked=1), [(51, 51)])
    assert ground.asks() == []
    ground.keeps(pen, 51)
    ground.looks(0)
    assert (ground.gaps(), ground.missing()) == ([], Missing())


def test_a_ledger_that_is_whole_has_no_gap_in_whatever_order_it_came(ground: Ground) -> None:
    pen = ratings(60)
    for part in (range(41, 61), range(1, 21), range(21, 41)):
        ground.keeps(pen, *part)
        ground.looks()
    ground.passes(OLD_S)
    assert (ground.gaps(), ground.missing(), ground.asks()) == ([], Missing(), [])


def test_what_is_still_coming_is_not_missing(ground: Ground) -> None:
    pen = ratings(400)
    ground.keeps(pen, 400)
    for first in range(1, 400, 57):
        ground.keeps(pen, *range(first, min(first + 57, 400)))
        ground.looks(OLD_S - 5)
        assert (ground.missing(), ground.asks()) == (Missing(), [])
    assert ground.gaps() == []


def test_a_tail_that_only_health_tells_of_is_missing(ground: Ground) -> None:
    pen = ratings(20)
    ground.keeps(pen, *range(1, 11))
    ground.hears(20)
    ground.looks()
    ground.passes(OLD_S)
    assert (ground.gaps(), ground.missing(), ground.asks()) == ([(11, 20, "")], Missing(asked=10), [(11, 20)])
    ground.keeps(pen, *range(11, 21))
    ground.looks(0)
    assert ground.gaps() == []


def test_a_ledger_of_which_no_fact_came_is_missing_once_health_names_it(ground: Ground) -> None:
    ground.hears(7)
    ground.looks()
    ground.looks()
    ground.passes(OLD_S)
    assert ground.missing() == Missing(asked=7)
    assert ground.keeps(ratings(7)).new == 7
    ground.looks(0)
    assert ground.missing() == Missing()


def test_health_says_nothing_of_another_windows_ledger(ground: Ground) -> None:
    ground.keeps(ratings(5))
    ground.hears(500, window=OTHER)
    ground.looks()
    ground.passes(OLD_S)
    assert (ground.gaps(), ground.missing(OTHER)) == ([], Missing())


def test_the_last_number_that_can_be_is_no_trouble(ground: Ground) -> None:
    ground.keeps(ratings(2))
    ground.hears(LAST_SEQ)
    ground.looks()
    ground.passes(OLD_S)
    assert ground.missing() == Missing(asked=MANY)
    ground.looks()
    assert ground.asks() == [(3, 2 + PART)]


def test_every_second_fact_missing_fills_no_memory_and_heals(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gaps_module, "MOST", 10)
    pen = ratings(100)
    ground.keeps(pen, *range(2, 101, 2))
    ground.looks()
    assert len(ground.gaps()) == 10
    ground.keeps(pen, *range(1, 100, 2))
    ground.looks()
    ground.looks()
    assert ground.gaps() == []


def test_a_gap_that_is_filled_here_and_there_stays_few_pieces(ground: Ground) -> None:
    pen = ratings(400)
    ground.keeps(pen, 400)
    ground.looks()
    ground.keeps(pen, *range(2, 400, 2))
    for _ in range(6):
        ground.looks()
        assert 0 < len(ground.gaps()) <= 6 * PIECES
        ground.book.gaps.moved([LEDGER], [])
    ground.keeps(pen, *range(1, 400, 2))
    for _ in range(6):
        ground.looks()
        ground.book.gaps.moved([LEDGER], [])
    assert ground.gaps() == []


def test_a_jump_of_the_countys_clock_makes_no_gap_old_nor_young(ground: Ground) -> None:
    ground.keeps(ratings(5), 1, 2, 4, 5)
    ground.looks()
    assert ground.missing() == Missing()
    for hour in (3600_000_000, -7200_000_000):
        ground.now += hour
        assert ground.missing() == Missing()
    ground.up += OLD_S
    assert ground.missing() == Missing(asked=1)


# ---- asked for --------------------------------------------------------------------------------


def test_a_long_gap_is_asked_for_part_by_part_without_waiting_when_it_comes(ground: Ground) -> None:
    pen = ratings(3 * PART)
    ground.keeps(pen, 3 * PART)
    ground.looks()
    ground.passes(OLD_S)
    asked = []
    for _ in range(3):
        (part,) = ground.asks()
        asked.append(part)
        for first in range(part[0], part[1] + 1, 500):
            ground.keeps(pen, *range(first, min(first + 500, part[1] + 1)))
        ground.looks(1.0)
    assert asked == [(1, PART), (PART + 1, 2 * PART), (2 * PART + 1, 3 * PART - 1)]
    assert (ground.gaps(), ground.asks()) == ([], [])


def test_an_order_that_nobody_answers_is_given_again_less_and_less_often(ground: Ground) -> None:
    ground.keeps(ratings(5), 1, 5)
    ground.looks()
    ground.passes(OLD_S)
    given, ids = [], set()
    for minute in range(600):
        for id_, _ in ground.orders():
            given.append(minute)
            ids.add(id_)
        ground.passes(AGAIN_S - 1)
    assert given[:5] == [0, 1, 3, 7, 15]
    assert {later - sooner for sooner, later in zip(given[-4:-1], given[-3:], strict=True)} == {60}
    assert len(ids) == len(given), "an order that was carried out once is not carried out again"


def test_one_order_a_ledger_is_open_at_a_time(ground: Ground) -> None:
    pen = ratings(30)
    ground.keeps(pen, 1, 10, 20, 30)
    ground.looks()
    ground.passes(OLD_S)
    assert ground.asks() == [(2, 9)]
    assert ground.asks() == []
    ground.keeps(pen, *range(2, 10))
    ground.looks(1.0)
    assert ground.asks() == [(11, 19)]


def test_two_collectors_on_one_book_ask_once(ground: Ground) -> None:
    ground.keeps(ratings(5), 1, 5)
    ground.looks()
    other = ground.open()
    ground.passes(OLD_S)
    assert len(ground.asks() + ground.asks(other)) == 1
    ground.passes(AGAIN_S)
    assert len(ground.asks(other) + ground.asks()) == 1


def test_what_the_window_does_not_have_is_lost_and_not_asked_for_again(ground: Ground) -> None:
    pen = ratings(9)
    ground.keeps(pen, 1, *range(5, 10))
    ground.looks()
    ground.passes(OLD_S)
    ((id_, _),) = ground.orders()
    pen.write(OrderRefused(order=id_, reason="missing"))
    ground.keeps(pen, 3, 10)
    ground.looks()
    assert ground.gaps() == [(2, 2, "missing"), (4, 4, "missing")]
    assert (ground.missing(), ground.asks()) == (Missing(lost=2), [])
    ground.passes(8000)
    assert ground.asks() == []
    ground.keeps(pen, 2, 4)
    ground.looks()
    assert (ground.gaps(), ground.missing()) == ([], Missing()), "a card was found in a drawer"


def test_only_what_was_asked_for_is_answered(ground: Ground) -> None:
    pen = ratings(2 * PART)
    ground.keeps(pen, 2 * PART)
    ground.looks()
    ground.passes(OLD_S)
    ((id_, _),) = ground.orders()
    pen.write(OrderRefused(order=id_, reason="missing"))
    ground.keeps(pen, 2 * PART + 1)
    assert ground.gaps() == [(1, PART, "missing"), (PART + 1, 2 * PART - 1, "")]
    assert ground.asks() == [(PART + 1, 2 * PART - 1)]


def test_another_windows_answer_is_none(ground: Ground) -> None:
    ground.keeps(ratings(5), 1, 5)
    ground.looks()
    ground.passes(OLD_S)
    ((id_, _),) = ground.orders()
    thief = Pen(OTHER, "00000002")
    thief.write(OrderRefused(order=id_, reason="missing"))
    thief.write(OrderRefused(order="replay-x", reason="missing"))
    thief.write(OrderDone(order=id_))
    ground.keeps(thief)
    assert ground.gaps() == [(2, 4, "")]


def test_a_ledger_in_whose_place_another_was_begun_is_told_apart(ground: Ground) -> None:
    ground.keeps(ratings(5), 1, 5)
    ground.looks()
    ground.keeps(ratings(3, "00000002"))
    ground.passes(OLD_S)
    assert ground.missing() == Missing(replaced=3)


def test_a_restart_knows_the_gaps_and_when_they_were_asked_for(ground: Ground) -> None:
    ground.keeps(ratings(5), 1, 5)
    ground.looks()
    ground.passes(OLD_S)
    assert ground.asks() == [(2, 4)]
    ground.book = ground.open()
    ground.looks()
    assert (ground.missing(), ground.asks()) == (Missing(asked=3), [])
    ground.passes(AGAIN_S)
    assert ground.asks() == [(2, 4)]


# ---- whose a ledger is --------------------------------------------------------------------------------


def test_a_ledger_belongs_to_the_window_that_brought_it_first(ground: Ground) -> None:
    mine, copy = ratings(10), ratings(12, window=OTHER)
    assert ground.keeps(mine).new == 10
    kept = ground.keeps(copy, 9, 10, 11, 12)
    assert (kept.new, kept.again, kept.letters, len(kept.foreign)) == (0, 0, {}, 4)
    assert kept.numbers[OTHER, "foreign"] == kept.numbers[OTHER, "misfits"] == 4
    again = ground.open()
    ground.book = again
    assert len(ground.keeps(copy, 12).foreign) == 1, "also after a restart"
    assert ground.keeps(mine, 10).again == 1


def test_two_windows_with_one_ledger_in_one_batch_are_told_apart(ground: Ground) -> None:
    mine, copy = ratings(3), ratings(3, window=OTHER)
    read = [ground.reader.read(it) for it in (*mine.arrived(1, 2), *copy.arrived(2, 3))]
    kept = ground.book.keep(Batch(letters=[it for it in read if isinstance(it, Letter)]), ground.now)
    assert (kept.new, [it.window for it in kept.foreign], kept.conflicts) == (2, [OTHER, OTHER], [])


def test_a_window_has_few_ledgers(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("appliance.county.ledgers.MOST", 5)
    kept = [ground.keeps(ratings(1, f"{n:08x}")) for n in range(8)]
    assert [len(it.foreign) for it in kept] == [0, 0, 0, 0, 0, 1, 1, 1]
    with ground.book.engine.connect() as tx:
        assert tx.execute(select(func.count()).select_from(ledgers)).scalar_one() == 5
    assert ground.keeps(ratings(1, "000000ff", OTHER)).new == 1


def test_a_device_is_as_the_newer_ledger_says_whatever_its_numbers(ground: Ground) -> None:
    old, new = Pen(ledger="00000001"), Pen(ledger="00000002")
    old.write(DeviceFailed(device="printer", reason="paper_out"))
    old.write(DeviceFailed(device="camera", reason="absent"), seconds_after(500))
    new.write(DeviceRecovered(device="printer", reason="paper_out"), seconds_after(60))
    ground.keeps(old, 1)
    ground.keeps(new)
    (device,) = ground.keeps(old, 1).devices
    assert device.fault is None
    old.write(DeviceFailed(device="printer", reason="late"), seconds_after(900))
    devices = {it.device: it.fault for it in ground.keeps(old, 2, 3).devices}
    assert (devices["printer"], bool(devices["camera"])) == (None, True)


def test_a_window_that_invents_devices_has_few(ground: Ground) -> None:
    pen = Pen()
    for n in range(300):
        pen.write(DeviceFailed(device=f"d{n}", reason="absent"))
    kept = ground.keeps(pen)
    assert (kept.new, len(kept.devices)) == (300, 64)


def test_every_fact_lies_in_its_book_however_its_looks_are_cut(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gaps_module, "STRETCH", 7)
    pen = ratings(100)
    ground.keeps(pen, *range(1, 31), *range(40, 101))
    ground.looks()
    assert ground.gaps() == [(31, 39, "")]
    ground.keeps(pen, *range(31, 40))
    for _ in range(3):
        ground.looks()
        ground.book.gaps.moved([LEDGER], [])
    assert ground.gaps() == []


# ---- one window's share -------------------------------------------------------------------


def test_refusals_of_orders_that_were_not_given_change_nothing(ground: Ground) -> None:
    pen = ratings(1)
    ground.keeps(pen, 1)
    ground.hears(10**9)
    ground.looks()
    before = ground.gaps()
    refuses(ground, pen, *(f"replay-{LEDGER}-{seq}-{seq}-1" for seq in range(1000, 1200, 2)))
    refuses(ground, pen, f"replay-{LEDGER}-1-{LAST_SEQ}-1", f"replay-{LEDGER}-2-1001-999999999999")
    assert ground.gaps() == before
    ground.passes(OLD_S)
    [(order, _)] = ground.orders()
    stamp = order.rpartition("-")[2]
    refuses(ground, pen, *(f"replay-{LEDGER}-{seq}-{seq}-{stamp}" for seq in range(500, 600, 2)))
    assert len(ground.gaps()) <= 4, "an order is answered once"


def test_what_is_lost_in_a_row_is_one_gap(ground: Ground) -> None:
    pen = ratings(1)
    ground.keeps(pen, 1)
    ground.hears(5 * PART + 1)
    ground.looks()
    ground.passes(OLD_S)
    for _ in range(4):
        [(order, _)] = ground.orders()
        refuses(ground, pen, order)
    lost = [(first, last) for first, last, answer in ground.gaps() if answer]
    assert len(lost) <= 2
    assert sum(last - first + 1 for first, last in lost) >= 4 * PART - 10


def test_gaps_are_found_above_two_hundred_that_are_lost(ground: Ground) -> None:
    pen = ratings(500)
    ground.keeps(pen, *range(2, 405, 2))
    ground.looks()
    ground.passes(OLD_S)
    for _ in range(200):
        [(order, _)] = ground.orders()
        refuses(ground, pen, order)
    ground.keeps(pen, *range(600, 650))
    for _ in range(3):
        ground.looks()
    ground.passes(OLD_S)
    assert ground.missing().asked > 90
    assert ground.orders()


def test_a_window_with_many_ledgers_keeps_no_other_s_orders_waiting(ground: Ground) -> None:
    for number in range(60):
        pen = ratings(1, f"{number:08x}", OTHER)
        ground.keeps(pen, 1)
        ground.hears(1000, f"{number:08x}", OTHER)
        ground.looks()
    pen = ratings(9)
    ground.keeps(pen, 1, 9)
    ground.looks()
    ground.passes(OLD_S)
    asked = [window for window, _ in ground.book.due_replays(ground.now)]
    assert WINDOW in asked[:2]
    assert asked.count(OTHER) < 60


def test_another_window_s_word_of_a_ledger_does_not_hide_its_owner_s(ground: Ground) -> None:
    pen = ratings(9)
    ground.keeps(pen, *range(1, 8))
    ground.hears(9)
    for _ in range(5):
        ground.hears(1, LEDGER, OTHER)
    ground.looks()
    assert ground.gaps() == [(8, 9, "")]


def test_ledgers_that_a_window_invents_are_not_remembered(ground: Ground) -> None:
    for number in range(300):
        ground.hears(5, f"{number:08x}", OTHER)
        ground.looks()
    assert len(ground.book.gaps._said) <= 1
    assert len(ground.book.gaps._moved) <= 1

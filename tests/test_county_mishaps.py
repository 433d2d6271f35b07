"""What happens to ledgers in a county, with a real broker, real windows' ledgers and the wall in a browser, looked at.

A book restored from last week's copy, a ledger replaced in mid-day, a card copied to a second window: the book is whole
again and the wall says what happened. `WALL_PICTURES=/tmp/somewhere` keeps a picture of each wall.
"""

import os
import shutil
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect
from sqlalchemy import select

from appliance.county import gaps as gaps_module
from appliance.county.tables import gaps as gaps_table
from appliance.window.facts import Fact, Grade, RatingChanged, RatingDeclined, RatingGiven, VisitEnded
from appliance.window.moment import CHINA
from tests.ground_browser import chromium
from tests.ground_county import Pen
from tests.ground_courier.brokers import Broker, Mosquitto
from tests.ground_courier.waiting import until
from tests.test_wall import AWindow, County

ONE, TWO = "430602-0107-1", "430602-0211-2"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as running:
        yield running


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    running = Mosquitto(tmp_path).start()
    yield running
    running.kill()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    opened = browser.new_page(viewport={"width": 1920, "height": 700})
    yield opened
    opened.close()


def picture(page: Page, name: str) -> None:
    """Kept for somebody who looks."""
    if place := os.environ.get("WALL_PICTURES"):
        page.screenshot(path=Path(place) / f"{name}.png")


def visits(count: int, grade: Grade) -> list[Fact]:
    done: list[Fact] = []
    for n in range(count):
        done += [VisitEnded(visit=f"v{n}", clerk="0107", seconds=60.0), RatingGiven(visit=f"v{n}", grade=grade)]
    return done


def says(window: AWindow, *facts: Fact) -> None:
    """Facts of now, published, and acknowledged."""
    first = len(window.pen.written) + 1
    for fact in facts:
        window.pen.write(fact, datetime.now(CHINA))
    seqs = range(first, len(window.pen.written) + 1)
    window.talker.send(window.pen, *seqs)
    window.talker.until_acked(*seqs, ledger=window.pen.ledger)


def test_a_ledger_replaced_in_mid_day_goes_on_counting(page: Page, broker: Broker, tmp_path: Path) -> None:
    county = County(tmp_path, broker.port)
    window = AWindow(broker.port, ONE, "00000001")
    says(window, *visits(5, 5))
    window.pen = Pen(ONE, "00000002")
    says(window, *visits(3, 1))
    page.goto(county.server.url)
    right = ["8", "5", "0", "0", "0", "3", "0", "100%", "2"]
    expect(page.locator("#place-0 .figure")).to_have_text(right)
    picture(page, "replaced")
    county.stop()
    county = County(tmp_path, broker.port)
    page.goto(county.server.url)
    expect(page.locator("#place-0 .figure")).to_have_text(right)
    window.talker.leave()
    county.stop()


def test_prompts_that_were_cut_stand_on_the_wall(page: Page, broker: Broker, tmp_path: Path) -> None:
    county = County(tmp_path, broker.port)
    window = AWindow(broker.port, ONE, "00000001")
    says(window, *visits(2, 4), VisitEnded(visit="x", clerk="0107", seconds=1.0), RatingDeclined(visit="x", why="away"))
    says(window, VisitEnded(visit="y", clerk="0107", seconds=1.0), RatingDeclined(visit="y", why="next_visit"))
    says(window, VisitEnded(visit="z", clerk="0107", seconds=1.0), RatingDeclined(visit="z", why="timeout"))
    page.goto(county.server.url)
    expect(page.locator("#place-0 .figure")).to_have_text(["5", "0", "2", "0", "0", "0", "3", "40%", "2"])
    expect(page.locator("#place-0 .notes")).to_contain_text("今日评价被打断 2 次")
    picture(page, "cut")
    window.talker.leave()
    county.stop()


def test_a_card_copied_to_a_second_window_is_seen_and_takes_nothing(page: Page, broker: Broker, tmp_path: Path) -> None:
    county = County(tmp_path, broker.port)
    mine, other = AWindow(broker.port, ONE, "00000001"), AWindow(broker.port, TWO, "00000001")
    says(mine, *visits(4, 5))
    for fact in visits(6, 1):
        other.pen.write(fact, datetime.now(CHINA))
    other.talker.send(other.pen)
    page.goto(county.server.url)
    expect(page.locator("#place-0")).to_contain_text("枫树新村医疗保障服务点")
    expect(page.locator("#place-0 .state strong")).to_have_text(["空闲", "记录异常"])
    expect(page.locator("#place-0 .notes")).to_contain_text("发来 12 条别的窗口的记录")
    expect(page.locator("#place-1 .figure")).to_have_text(["4", "4", "0", "0", "0", "0", "0", "100%", "2"])
    picture(page, "copied")
    assert other.talker.acked("00000001") == [], "the other may be the one that is honest"
    other.pen = Pen(TWO, "00000002")
    says(other, *visits(1, 5))
    expect(page.locator("#place-1 .state strong")).to_have_text(["空闲"])
    picture(page, "copied-mended")
    for window in (mine, other):
        window.talker.leave()
    county.stop()


def test_a_book_restored_from_an_old_copy_is_whole_again_without_a_hand(
    page: Page, broker: Broker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, quick in (("OLD_S", 1), ("LOOK_S", 0.2)):
        monkeypatch.setattr(gaps_module, name, quick)
    county = County(tmp_path, broker.port)
    window = AWindow(broker.port, ONE, "00000001")
    says(window, *visits(10, 5))
    county.stop()
    book, copy = tmp_path / "book.db", tmp_path / "old.db"
    with closing(sqlite3.connect(book)) as from_, closing(sqlite3.connect(copy)) as to:
        from_.backup(to)
    county = County(tmp_path, broker.port)
    says(window, *visits(20, 4))
    county.stop()
    for name in ("book.db-wal", "book.db-shm"):
        (tmp_path / name).unlink(missing_ok=True)
    shutil.copy(copy, book)
    county = County(tmp_path, broker.port)
    says(window, RatingChanged(visit="v0", grade=2, was=5, why="changed"))
    page.goto(county.server.url)
    until(lambda: not _is_whole(county), "the gap is found", 15)
    expect(page.locator("#place-0 .notes")).to_contain_text("县局缺 40 条记录，正在向窗口补要", timeout=15_000)
    picture(page, "restored")
    until(lambda: _asked(county) == [(21, 60)], "the collector asks for it", 15)
    window.talker.send(
        window.pen, *range(21, 61)
    )  # as a window answers: test_counter and test_courier_line hold it to that
    until(lambda: _is_whole(county), "the gap is closed", 15)
    expect(page.locator("#place-0 .notes")).to_have_count(0, timeout=15_000)
    expect(page.locator("#place-0 .figure")).to_have_text(["30", "9", "20", "0", "1", "0", "0", "100%", "2"])
    picture(page, "restored-whole")
    window.talker.leave()
    county.stop()


def _asked(county: County) -> list[tuple[int, int]]:
    with county.running.book.engine.connect() as tx:
        asked = select(gaps_table.c.first, gaps_table.c.last).where(gaps_table.c.asked > 0)
        return [(first, last) for first, last in tx.execute(asked)]


def _is_whole(county: County) -> bool:
    """What the loop beside does; whether the book is whole."""
    county.running.book.gaps.look(time.time_ns() // 1000)
    return not county.running.book.gaps.missing(time.time_ns() // 1000)

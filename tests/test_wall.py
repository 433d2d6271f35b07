"""The county's wall in a real browser: live, worst first, whole at its sizes, Chinese, and honest about itself."""

import re
import threading
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import msgspec
import pytest
from playwright.sync_api import Browser, Page, expect

from appliance import wire
from appliance.county import phrases
from appliance.county.book import Book
from appliance.county.office import SPARE, Office
from appliance.server import serve
from appliance.window.facts import (
    DeviceFailed,
    DeviceRecovered,
    RatingChanged,
    RatingGiven,
    VisitEnded,
)
from appliance.window.moment import CHINA
from appliance.window.view import State
from tests.ground_browser import chromium
from tests.ground_county import COUNTY, HEALTH, Pen, Running, Talker
from tests.ground_courier.brokers import Broker, Mosquitto
from tests.ground_courier.waiting import until

STATIONS = {"0107": "梅溪乡医疗保障服务站", "0211": "枫树新村医疗保障服务点"}
FINE = msgspec.structs.replace(
    HEALTH, printer=wire.PrinterState(state="ok", paper="ok"), outbox=wire.OutboxState(depth=2, oldest_s=4)
)


class County:
    """A county's end in this process: collector, wall and pages over a real broker."""

    def __init__(self, place: Path, port: int, silence_s: int = 180) -> None:
        self.running = Running(Book(f"sqlite:///{place}/book.db"), port, silence_s=silence_s).connected()
        self.office = Office(COUNTY, "梅溪县", self.running.wall, STATIONS)
        self.server = serve(self.office.app, "127.0.0.1", 0, stream=self.office.stream)
        self._ended = threading.Event()
        self._threads = [
            threading.Thread(target=work, daemon=True) for work in (self._draw, self._count, self.server.run)
        ]
        for thread in self._threads:
            thread.start()

    def _draw(self) -> None:
        while not self._ended.is_set():
            self.office.step()

    def _count(self) -> None:
        while not self._ended.is_set():
            self.running.wall.step()

    def stop(self) -> None:
        self._ended.set()
        self.server.stop()
        for thread in self._threads:
            thread.join(10)
        self.running.stop()


class AWindow:
    """A window that tells of itself."""

    def __init__(self, port: int, name: str, ledger: str) -> None:
        self.talker, self.pen, self.name = Talker(port, name, session=5), Pen(name, ledger), name
        self.talker.tell("presence", wire.Presence(online=True, session=5))
        self.is_("idle")
        self.talker.tell("health", FINE)

    def is_(self, state: State, away: wire.AwayNote | None = None, clerk: str = "王敏") -> None:
        card = None if state == "closed" else wire.ClerkCard("0107", clerk)
        since = datetime.now(CHINA) - timedelta(minutes=7)
        self.talker.tell(
            "status",
            wire.Status(state=state, since=since, clerk=card, away=away, case_open=False, waiting=0, served_today=0),
        )

    def does(self, *facts: VisitEnded | RatingGiven | RatingChanged | DeviceFailed | DeviceRecovered) -> None:
        for fact in facts:
            self.pen.write(fact, datetime.now(CHINA))
            self.talker.send(self.pen, len(self.pen.written))


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
def county(tmp_path: Path, broker: Broker) -> Iterator[County]:
    made = County(tmp_path, broker.port)
    yield made
    made.stop()


@pytest.fixture
def page(browser: Browser, county: County) -> Iterator[Page]:
    """The wall on a large screen; whatever the browser complains of fails the test."""
    opened = browser.new_page(viewport={"width": 1920, "height": 1080})
    complaints: list[str] = []
    opened.on("console", lambda message: complaints.append(message.text))
    opened.on("pageerror", lambda error: complaints.append(str(error)))
    opened.on(
        "request", lambda request: complaints.append(request.url) if county.server.url not in request.url else None
    )
    opened.goto(county.server.url)
    yield opened
    opened.close()
    assert complaints == []


@pytest.fixture
def window(broker: Broker, county: County) -> Iterator[AWindow]:
    made = AWindow(broker.port, "430602-0107-1", "00000001")
    yield made
    made.talker.leave()


@pytest.fixture
def other(broker: Broker, county: County) -> Iterator[AWindow]:
    made = AWindow(broker.port, "430602-0211-2", "00000002")
    yield made
    made.talker.leave()


def rows(page: Page) -> list[str]:
    """The rows as they stand, each as its text."""
    return [" ".join(text.split()) for text in page.locator(".place .row").all_inner_texts()]


def test_a_window_appears_and_changes_without_a_reload(page: Page, window: AWindow) -> None:
    expect(page.locator(".place .row")).to_have_count(1)
    expect(page.locator("#place-0")).to_contain_text("梅溪乡医疗保障服务站 1 号窗口")
    expect(page.locator("#place-0")).to_contain_text("空闲")
    expect(page.locator("#place-0")).to_contain_text("王敏")
    window.is_("serving")
    expect(page.locator("#place-0")).to_contain_text("正在办理", timeout=3000)
    back = datetime.now(CHINA) + timedelta(minutes=20)
    window.is_("away", wire.AwayNote("取材料", back))
    expect(page.locator("#place-0")).to_contain_text(f"取材料 预计 {back:%H:%M} 返回", timeout=3000)
    window.is_("closed")
    expect(page.locator("#place-0")).to_contain_text("无人在岗", timeout=3000)


def test_ratings_are_counted_as_they_are_given_and_taken_back(page: Page, window: AWindow) -> None:
    visit = "20261122-0001"
    figures = page.locator("#place-0 .figure")
    window.does(VisitEnded(visit=visit, clerk="0107", seconds=60.0), RatingGiven(visit=visit, grade=5))
    expect(figures).to_have_text(["1", "1", "0", "0", "0", "0", "0", "100%", "2"])
    window.does(RatingChanged(visit=visit, grade=2, was=5, why="changed"))
    expect(figures).to_have_text(["1", "0", "0", "0", "1", "0", "0", "100%", "2"])
    window.does(RatingChanged(visit=visit, grade=None, was=2, why="two_keys"))
    expect(figures).to_have_text(["1", "0", "0", "0", "0", "0", "1", "0%", "2"])


def test_a_fact_is_on_the_wall_within_a_second_of_being_said(page: Page, window: AWindow) -> None:
    expect(page.locator("#place-0")).to_contain_text("空闲")
    waits = []
    for n in range(20):
        said = time.monotonic()
        window.does(VisitEnded(visit=f"20261122-{n:04d}", clerk="0107", seconds=60.0))
        page.wait_for_function("n => document.querySelector('.figure-visits')?.textContent === n", arg=str(n + 1))
        waits.append(time.monotonic() - said)
    assert sorted(waits)[18] < 1.0, waits


def test_the_worst_stands_first_whoever_came_first(page: Page, window: AWindow, other: AWindow) -> None:
    expect(page.locator(".place .row")).to_have_count(2)
    other.does(DeviceFailed(device="printer", reason="paper_out"))
    expect(page.locator("#place-0")).to_contain_text("枫树新村医疗保障服务点 2 号窗口")
    expect(page.locator("#place-0")).to_contain_text("打印机缺纸")
    expect(page.locator("#place-0 .state strong")).to_have_text(["空闲", "设备故障"])
    other.is_("serving")
    expect(page.locator("#place-0 .state strong")).to_have_text(["正在办理", "设备故障"])
    other.is_("idle")
    other.does(DeviceRecovered(device="printer", reason="paper_out"))
    expect(page.locator("#place-0")).to_contain_text("梅溪乡医疗保障服务站 1 号窗口")
    expect(page.locator(".notes")).to_have_count(0)


def test_a_window_that_is_cut_off_is_offline_with_what_it_did_last(page: Page, window: AWindow, other: AWindow) -> None:
    other.is_("serving", clerk="李小红")
    expect(page.locator(".place .row")).to_have_count(2)
    other.talker.vanish()
    expect(page.locator("#place-0 .state strong")).to_have_text("离线")
    expect(page.locator("#place-0")).to_contain_text("最后状态：正在办理")


def test_a_chain_that_does_not_hold_and_what_cannot_be_read_stand_on_the_wall(page: Page, window: AWindow) -> None:
    for n in range(3):
        window.pen.write(RatingGiven(visit=f"v{n}", grade=4), datetime.now(CHINA))
    topic, payload = window.pen.written[1]
    window.pen.written[1] = (topic, payload.replace(b'"grade":4', b'"grade":5'))
    window.talker.send(window.pen)
    window.talker.say(topic, b"?")
    expect(page.locator("#place-0 .state strong")).to_have_text(["空闲", "记录异常"])
    expect(page.locator("#place-0 .notes")).to_contain_text("记录有 1 处对不上")
    expect(page.locator("#place-0 .notes")).to_contain_text("1 条消息无法识别")


def test_the_wall_can_be_of_one_station(page: Page, window: AWindow, other: AWindow) -> None:
    expect(page.locator(".place .row")).to_have_count(2)
    page.get_by_label("站点").select_option(label="枫树新村医疗保障服务点")
    page.get_by_role("button", name="查看").click()
    expect(page.locator(".place .row")).to_have_count(1)
    other.is_("rating")
    expect(page.locator("#place-0")).to_contain_text("请群众评价")
    expect(page.locator("#place-0")).to_contain_text("枫树新村")
    page.get_by_label("站点").select_option(label="全部站点")
    page.get_by_role("button", name="查看").click()
    expect(page.locator(".place .row")).to_have_count(2)


def test_it_says_when_the_county_itself_is_not_connected(page: Page, window: AWindow, broker: Broker) -> None:
    expect(page.locator("#place-0")).to_contain_text("空闲")
    broker.kill()
    expect(page.locator("#alarm")).to_contain_text(phrases.NOT_CONNECTED)
    expect(page.locator("#head")).to_contain_text(phrases.DEAF)
    expect(page.locator("#head")).not_to_contain_text(phrases.CALM)
    expect(page.locator("#place-0")).to_contain_text("空闲")
    broker.start()
    expect(page.locator("#alarm .notice")).to_have_count(0, timeout=10_000)


def test_it_says_when_the_book_takes_nothing(page: Page, county: County, window: AWindow) -> None:
    expect(page.locator("#place-0")).to_contain_text("空闲")
    with Book(str(county.running.book.engine.url)).engine.connect() as locked:
        locked.exec_driver_sql("BEGIN IMMEDIATE")
        window.is_("serving")
        expect(page.locator("#alarm")).to_contain_text(phrases.BOOK_REFUSES, timeout=10_000)
        expect(page.locator("#head")).to_contain_text(phrases.DEAF)
        expect(page.locator("#head")).not_to_contain_text(phrases.CALM)
        locked.rollback()
    expect(page.locator("#alarm .notice")).to_have_count(0, timeout=10_000)
    expect(page.locator("#place-0")).to_contain_text("正在办理")


def test_silence_shows_by_itself(browser: Browser, broker: Broker, tmp_path: Path) -> None:
    county = County(tmp_path, broker.port, silence_s=2)
    window = AWindow(broker.port, "430602-0107-1", "00000001")
    page = browser.new_page()
    page.goto(county.server.url)
    expect(page.locator("#place-0 .state strong")).to_have_text("空闲")
    expect(page.locator("#place-0 .state strong")).to_have_text("失联", timeout=5000)
    window.talker.tell("health", msgspec.structs.replace(FINE, disk_free_mb=1))
    expect(page.locator("#place-0 .state strong")).to_have_text("空闲")
    page.close()
    window.talker.leave()
    county.stop()


def test_more_windows_than_the_open_page_has_places_for_are_shown(page: Page, county: County, broker: Broker) -> None:
    expect(page.locator(".place")).to_have_count(SPARE)
    talker = Talker(broker.port, "many")
    for n in range(SPARE + 3):
        topic = wire.window_topic(f"430602-{1000 + n}-1", "presence")
        talker.say(topic, wire.encode(wire.Presence(online=True, session=1)), retain=True)
    expect(page.locator(".place .row")).to_have_count(SPARE + 3, timeout=10_000)
    talker.leave()


LATIN = re.compile("[A-Za-z]")
CUT_OFF = """() => [...document.querySelectorAll('.row > *, .top > *, .notes li, .notice')]
    .filter(node => node.scrollWidth > node.clientWidth + 1).map(node => node.className + ': ' + node.innerText)"""


@pytest.mark.parametrize(("width", "height"), [(1920, 1080), (1366, 768)])
def test_the_wall_is_whole_and_chinese_at_its_sizes(
    page: Page, window: AWindow, other: AWindow, width: int, height: int, tmp_path: Path
) -> None:
    page.set_viewport_size({"width": width, "height": height})
    window.is_(
        "away", wire.AwayNote("到乡镇政府参加医保政策宣传会议", datetime.now(CHINA) - timedelta(minutes=3)), "欧阳志远"
    )
    other.does(
        *(VisitEnded(visit=f"v{n}", clerk="0107", seconds=60.0) for n in range(120)),
        *(RatingGiven(visit=f"v{n}", grade=5) for n in range(110)),
        DeviceFailed(device="printer", reason="strange_answer"),
        DeviceFailed(device="pad", reason="no_gpio"),
        DeviceFailed(device="key1", reason="stuck"),
    )
    expect(page.locator("#place-0 .figure-visits")).to_have_text("120")
    expect(page.locator("#place-1")).to_contain_text("逾期未回")
    assert not LATIN.search(page.locator("body").inner_text())
    assert page.evaluate("document.documentElement.lang") == "zh-CN"
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate(CUT_OFF) == []
    assert page.evaluate("getComputedStyle(document.querySelector('.place .row')).fontSize") in ("20px", "16px")
    page.screenshot(path=tmp_path / f"wall-{width}.png")


def test_every_level_has_a_shape_of_its_own(page: Page, window: AWindow) -> None:
    css = page.request.get(f"{page.url}static/county/wall.css").text()
    shapes = {}
    for level in phrases.LEVELS:
        rules = re.findall(rf"[^}}\n]*\.level-{level} \.shape[^{{]*{{([^}}]*)}}", css)
        shapes[level] = " ".join(rules)
    assert all(shapes.values()), shapes
    loud = ("silent", "offline", "fault", "broken", "overdue", "away")
    assert len({shapes[level] for level in loud}) == len(loud)


def test_rows_are_what_the_machine_view_says(page: Page, county: County, window: AWindow) -> None:
    expect(page.locator(".place .row")).to_have_count(1)
    until(lambda: len(county.office.health()) > 5, "health is told")
    said = page.request.get(f"{county.server.url}/wall.json").json()
    assert [row["window"] for row in said["rows"]] == [window.name]
    assert rows(page)[0].startswith(phrases.LEVELS[said["rows"][0]["level"]])

"""The residents' display in a real Chromium: what it says in each state, and that it can be read from two metres."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest
from playwright.sync_api import Browser, Page, expect

from appliance.counter import Counter
from appliance.ledger import Ledger
from appliance.panel import phrases
from appliance.window.facts import Handed
from appliance.window.happenings import (
    ClerkArrives,
    ClerkReturns,
    ClerkStepsAway,
    DeviceFails,
    Happening,
    MaterialsArrive,
    SwitchReads,
    VisitBegins,
    VisitEnds,
)
from appliance.window.rules import Rules
from tests.conftest import WINDOW
from tests.ground_browser import Eyes, chromium, cut_off, english, faint, overlapped
from tests.ground_panel import STATION, PanelGround, real_clock

FULL_HD = (1920, 1080)
LEAST_PX = 40
"""A character of 40 px on a 24-inch full-HD screen is 11 mm high: a two-hundredth of two metres, and some more."""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture
def ground(rules: Rules, tmp_path: Path) -> Iterator[PanelGround]:
    ledger = Ledger.open(tmp_path / "ledger.db", WINDOW)
    # Long enough for a slow machine that measures every text between two presses.
    slow = msgspec.structs.replace(rules, together_s=30.0, change_s=30.0)
    ground = PanelGround(Counter(ledger, slow, real_clock()))
    yield ground
    ground.close()
    ledger.close()


@pytest.fixture
def display(browser: Browser, ground: PanelGround) -> Iterator[Page]:
    eyes = Eyes(browser, ground.url, FULL_HD)
    yield eyes.go("/display")
    assert eyes.complaints == []
    assert eyes.hosts == {ground.url.removeprefix("http://")}
    eyes.close()


def says(page: Page, words: str) -> None:
    expect(page.locator(".word")).to_have_text(words)


def test_a_visit_as_a_resident_sees_it(display: Page, ground: PanelGround) -> None:
    says(display, phrases.CLOSED)
    ground.happens(ClerkArrives, number="0107")
    says(display, phrases.WELCOME)
    expect(display.locator(".card")).to_contain_text("王敏")
    expect(display.locator(".card")).to_contain_text("0107")
    expect(display.locator(".card")).to_contain_text(phrases.STAFF)
    ground.happens(VisitBegins)
    says(display, phrases.SERVING)
    ground.happens(VisitEnds)
    says(display, phrases.ASK)
    ground.press(4)
    says(display, phrases.THANKS)
    ground.happens(VisitBegins)
    says(display, phrases.SERVING)


def test_the_station_stands_there_by_its_official_name_with_slogan_and_telephones(display: Page) -> None:
    expect(display.locator("h1")).to_have_text("梅溪乡医疗保障服务站")
    expect(display.locator(".window")).to_have_text("1号窗口")
    foot = display.locator(".foot")
    for words in ("中国医保 一生守护", STATION.telephone, STATION.complaints):
        expect(foot).to_contain_text(words)


def test_the_keys_stand_as_on_the_pad_each_with_its_own_face_and_word(display: Page, ground: PanelGround) -> None:
    ground.happens(ClerkArrives, number="0107")
    ground.serve_one()
    says(display, phrases.ASK)
    assert display.locator(".key").all_inner_texts() == ["非常满意", "满意", "基本满意", "不满意", "非常不满意"]
    places = [key.bounding_box() for key in display.locator(".key").all()]
    lefts = [place["x"] for place in places if place]
    assert lefts == sorted(lefts)
    assert len({place["y"] for place in places if place}) == 1
    faces = [face.inner_html() for face in display.locator(".key svg").all()]
    assert len(set(faces)) == 5
    colours = {key.evaluate("node => getComputedStyle(node).color") for key in display.locator(".key").all()}
    assert len(colours) == 1, "a colour would praise one key and warn of another"


def test_the_time_left_counts_down_by_itself(display: Page, ground: PanelGround) -> None:
    ground.happens(ClerkArrives, number="0107")
    ground.serve_one()
    left = display.locator(".left strong")
    expect(left).to_have_text("60")
    expect(left).to_have_text("58")
    ground.press(5)
    says(display, phrases.THANKS)
    expect(left).to_have_text("28")


def test_two_keys_at_once_are_asked_for_one(display: Page, ground: PanelGround) -> None:
    ground.happens(ClerkArrives, number="0107")
    ground.serve_one()
    ground.press(5)
    ground.press(1, 5)
    says(display, "同时按了两个键，请只按一个")
    assert display.locator(".key").count() == 5
    ground.press(2)
    says(display, phrases.THANKS)


def test_an_absence_says_since_when_until_when_and_why(display: Page, ground: PanelGround) -> None:
    ground.happens(ClerkArrives, number="0107")
    ground.happens(SwitchReads, closed=True)
    says(display, phrases.AWAY)
    table = display.locator(".table")
    expect(table).to_contain_text(phrases.AWAY_UNKNOWN)
    assert phrases.AWAY_WHY not in table.inner_text()
    back = ground.counter.moment().at + timedelta(minutes=20)
    ground.happens(ClerkStepsAway, reason="取材料", expected_back=back)
    expect(table).to_contain_text("取材料")
    expect(table).to_contain_text(phrases.clock(back))
    ground.happens(SwitchReads, closed=False)
    says(display, phrases.WELCOME)


def test_no_resident_is_named_and_no_device_is_complained_of(display: Page, ground: PanelGround) -> None:
    ground.happens(ClerkArrives, number="0107")
    ground.happens(VisitBegins)
    item = ground.counter.rules.catalogue.item("jmcbdj")
    assert item is not None
    handed = tuple(Handed(material.name, 1) for material in item.materials if material.required)
    ground.happens(MaterialsArrive, form="f", item=item.key, applicant="欧阳锦绣", materials=handed)
    ground.happens(DeviceFails, device="printer", reason="paper_out")
    says(display, phrases.SERVING)
    text = display.content()
    for word in ("欧阳", "锦绣", "打印机", ground.counter.ledger.papers()[0].case):
        assert word not in text


def states(ground: PanelGround) -> Iterator[str]:
    def happens(kind: type[Happening], **fields: object) -> None:
        ground.happens(kind, **fields)

    yield phrases.CLOSED
    happens(ClerkArrives, number="0107")
    yield phrases.WELCOME
    happens(VisitBegins)
    yield phrases.SERVING
    happens(VisitEnds)
    yield phrases.ASK
    ground.press(5)
    yield phrases.THANKS
    ground.press(1, 5)
    yield phrases.TWO_KEYS
    back = ground.counter.moment().at + timedelta(minutes=20)
    happens(ClerkStepsAway, reason="取材料", expected_back=back)
    yield phrases.AWAY
    happens(ClerkReturns)
    ground.fill_card()
    yield phrases.FAULT


@pytest.mark.parametrize("size", [(1280, 720), FULL_HD, (1920, 1200), (3840, 2160)])
def test_every_state_fits_its_screen_and_is_large_enough(
    browser: Browser, ground: PanelGround, size: tuple[int, int]
) -> None:
    eyes = Eyes(browser, ground.url, size)
    page = eyes.go("/display")
    least = LEAST_PX * min(size[0] / FULL_HD[0], size[1] / FULL_HD[1])
    for state in states(ground):
        says(page, state)
        assert (cut_off(page), overlapped(page), faint(page), english(page), state) == ([], [], [], [], state)
        assert page.evaluate("document.documentElement.scrollHeight <= innerHeight")
        sizes = page.locator("p, li, dt, dd, h1, span, strong").evaluate_all(
            "nodes => nodes.filter((n) => n.checkVisibility()).map((n) => parseFloat(getComputedStyle(n).fontSize))"
        )
        assert min(sizes) >= least - 0.1, state
    eyes.close()

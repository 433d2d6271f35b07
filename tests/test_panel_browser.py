"""The clerk's panel in a real Chromium."""

import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from appliance.counter import Counter
from appliance.ledger import Ledger
from appliance.panel import phrases
from appliance.window.happenings import (
    ClerkArrives,
    ClerkStepsAway,
    DeviceFails,
    KeySticks,
    PaperMoves,
    SwitchReads,
    VisitBegins,
    VisitEnds,
)
from appliance.window.rules import Rules
from tests.conftest import WINDOW, until
from tests.ground_browser import SIZES, Eyes, chromium, cut_off, english, faint, small_targets
from tests.ground_panel import PanelGround, real_clock


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture
def ground(rules: Rules, tmp_path: Path) -> Iterator[PanelGround]:
    ledger = Ledger.open(tmp_path / "ledger.db", WINDOW)
    ground = PanelGround(Counter(ledger, rules, real_clock()))
    yield ground
    ground.close()
    ledger.close()


@pytest.fixture
def eyes(browser: Browser, ground: PanelGround) -> Iterator[Eyes]:
    eyes = Eyes(browser, ground.url)
    yield eyes
    eyes.close()


def fill(eyes: Eyes, name: str = "张三") -> None:
    eyes.page.fill("#applicant", name)
    for number in (0, 1):
        eyes.page.click(f"[data-for=pages{number}][data-step='1']")


# ---- how it looks -------------------------------------------------------------------------------------------------


def everything_wrong(ground: PanelGround) -> None:
    ground.link.connected = False
    ground.happens(DeviceFails, device="printer", reason="paper_out")
    ground.happens(DeviceFails, device="camera", reason="absent")
    ground.happens(KeySticks, grade=2)


def all_states(ground: PanelGround) -> Iterator[str]:
    yield "closed"
    ground.happens(ClerkArrives, number="0107")
    yield "idle"
    ground.happens(VisitBegins)
    yield "serving"
    ground.happens(VisitEnds)
    yield "asked"
    ground.press(1)
    yield "rated"
    ground.happens(ClerkStepsAway, reason="取材料", expected_back=ground.counter.moment().at + timedelta(minutes=20))
    yield "away"
    ground.happens(SwitchReads, closed=True)
    yield "switch"
    everything_wrong(ground)
    yield "troubles"


@pytest.mark.parametrize("size", SIZES)
def test_every_state_fits_reads_and_touches_well(browser: Browser, ground: PanelGround, size: tuple[int, int]) -> None:
    eyes = Eyes(browser, ground.url, size)
    for state in all_states(ground):
        for path in ("/", "/papers", "/devices", "/away") if state in {"closed", "troubles"} else ("/",):
            page = eyes.go(path)
            place = (state, path)
            assert (cut_off(page), place) == ([], place)
            assert (small_targets(page), place) == ([], place)
            assert (faint(page), place) == ([], place)
            assert (english(page), place) == ([], place)
    assert eyes.complaints == []
    assert eyes.hosts == {ground.url.removeprefix("http://")}
    eyes.close()


@pytest.mark.parametrize("size", [SIZES[0], SIZES[-1]])
def test_the_form_of_every_item_fits_reads_and_touches_well(
    browser: Browser, ground: PanelGround, size: tuple[int, int]
) -> None:
    eyes = Eyes(browser, ground.url, size)
    ground.happens(ClerkArrives, number="0107")
    for item in ground.counter.rules.catalogue.for_level("township"):
        page = eyes.go(f"/receipt/{item.key}")
        assert (cut_off(page), small_targets(page), faint(page), english(page), item.key) == ([], [], [], [], item.key)
        page.click("#print")
        page.wait_for_selector(".wrong")
        assert (cut_off(page), faint(page), item.key) == ([], [], item.key)
    eyes.close()


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("outcome", ["confirmed", "unconfirmed", "failed"])
def test_a_paper_fits_and_reads_well_whatever_became_of_it(
    browser: Browser, ground: PanelGround, size: tuple[int, int], outcome: str
) -> None:
    eyes = Eyes(browser, ground.url, size)
    ground.happens(ClerkArrives, number="0107")
    eyes.go("/receipt/jmcbdj")
    fill(eyes)
    eyes.page.click("#print")
    eyes.page.wait_for_url("**/papers/*")
    paper = ground.counter.ledger.papers()[0]
    ground.happens(PaperMoves, paper=paper.paper, outcome=outcome, reason="wrong_port")
    for path in (f"/papers/{paper.paper}", "/papers"):
        page = eyes.go(path)
        assert (cut_off(page), small_targets(page), faint(page), english(page)) == ([], [], [], [])
    eyes.close()


# ---- how it works -------------------------------------------------------------------------------------------------


def test_a_day_by_touch_without_leaving_the_page(eyes: Eyes, ground: PanelGround) -> None:
    page = eyes.go("/")
    page.evaluate("window.stayed = true")
    for touch, state in (("#arrive-0107", "空闲"), ("#act-begin", "正在办理"), ("#act-end", "请群众评价")):
        page.click(touch)
        expect(page.locator(".state-word")).to_have_text(state)
    ground.press(1)
    expect(page.locator(".state-word")).to_have_text("群众已评价")
    page.click("#act-leave")
    expect(page.locator("h1")).to_have_text(phrases.CHOOSE_CLERK)
    assert page.evaluate("window.stayed") is True
    assert eyes.complaints == []


def test_a_refusal_is_told_on_the_page_and_goes_away_with_the_next_touch(eyes: Eyes, ground: PanelGround) -> None:
    page = eyes.go("/")
    page.click("#arrive-0107")
    page.wait_for_selector("#act-begin")
    # The panel of the other screen was quicker: this page still shows the button.
    page.evaluate("document.getElementById('rail').id = 'stale'")
    ground.happens(VisitBegins)
    page.click("#act-begin")
    expect(page.locator("#refusal")).to_have_text(phrases.REFUSALS["already_serving"])
    ground.happens(VisitEnds)
    page.click("#act-begin")
    expect(page.locator("#refusal")).to_be_hidden()


def test_what_is_typed_stays_while_the_window_changes_around_it(eyes: Eyes, ground: PanelGround) -> None:
    ground.happens(ClerkArrives, number="0107")
    page = eyes.go("/receipt/yljz")
    page.locator("#applicant").press_sequentially("张")
    ground.happens(VisitBegins)
    ground.happens(DeviceFails, device="printer", reason="paper_out")
    expect(page.locator(".state-word")).to_have_text("正在办理")
    expect(page.locator("#alerts")).to_contain_text("打印机缺纸，请装纸。")
    page.keyboard.type("三")
    assert page.input_value("#applicant") == "张三"
    assert page.evaluate("document.activeElement.id") == "applicant"


def test_a_key_under_the_finger_waits_until_the_finger_is_up(eyes: Eyes, ground: PanelGround) -> None:
    ground.happens(ClerkArrives, number="0107")
    page = eyes.go("/")
    page.hover("#act-begin")
    page.mouse.down()
    ground.happens(DeviceFails, device="printer", reason="paper_out")
    ground.happens(VisitBegins)
    ground.happens(VisitEnds)
    expect(page.locator("#alerts")).to_contain_text("打印机缺纸")
    expect(page.locator(".state-word")).to_have_text("空闲")
    page.mouse.up()
    expect(page.locator(".state-word")).to_have_text("正在办理")


def test_a_double_click_prints_once(eyes: Eyes, ground: PanelGround) -> None:
    ground.happens(ClerkArrives, number="0107")
    page = eyes.go("/receipt/jmcbdj")
    fill(eyes)
    page.dblclick("#print")
    page.wait_for_url("**/papers/*")
    assert len(ground.counter.ledger.papers()) == 1


def test_a_double_click_prints_once_even_where_no_script_runs(browser: Browser, ground: PanelGround) -> None:
    ground.happens(ClerkArrives, number="0107")
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{ground.url}/receipt/jmcbdj")
    page.fill("#applicant", "张三")
    for number in (0, 1):
        page.fill(f"#pages{number}", "1")
        page.check(f"#tick{number}")
    page.dblclick("#print")
    page.wait_for_url("**/papers/*")
    assert len(ground.counter.ledger.papers()) == 1
    context.close()


def test_the_paper_is_followed_live_and_can_be_printed_again(eyes: Eyes, ground: PanelGround) -> None:
    ground.happens(ClerkArrives, number="0107")
    page = eyes.go("/receipt/jmcbdj")
    fill(eyes)
    with page.expect_response(re.compile("/events/")):
        page.click("#print")
    paper = ground.counter.ledger.papers()[0]
    expect(page.locator(".paper-word")).to_have_text("等待打印")
    ground.happens(PaperMoves, paper=paper.paper, outcome="unconfirmed", reason="unplugged")
    expect(page.locator(".paper-word")).to_have_text(phrases.PAPER_STATES["unconfirmed"])
    page.dblclick("#again")
    expect(page.locator(".side")).to_contain_text("补打第 1 次")
    assert [one.copy for one in ground.counter.ledger.papers()] == [1, 0]


def test_pages_are_counted_by_touch_and_tick_their_material(eyes: Eyes, ground: PanelGround) -> None:
    ground.happens(ClerkArrives, number="0107")
    page = eyes.go("/receipt/jmcbdj")
    more, fewer = "[data-for=pages2][data-step='1']", "[data-for=pages2][data-step='-1']"
    for _ in range(3):
        page.click(more)
    page.click(fewer)
    assert (page.input_value("#pages2"), page.is_checked("#tick2")) == ("2", True)
    for _ in range(4):
        page.click(fewer)
    assert page.input_value("#pages2") == ""


def test_choosing_an_hour_chooses_the_time(eyes: Eyes, ground: PanelGround) -> None:
    ground.happens(ClerkArrives, number="0107")
    page = eyes.go("/away")
    page.select_option("[name=hour]", "20")
    assert page.is_checked("[name=back][value=at]")


def test_a_lost_connection_is_told_and_comes_back_by_itself(eyes: Eyes, ground: PanelGround) -> None:
    page = eyes.go("/")
    expect(page.locator("#lost")).to_be_hidden()
    ground.stop()
    expect(page.locator("#lost")).to_have_text(phrases.LOST)
    ground.happens(ClerkArrives, number="0107")
    ground.start_again()
    expect(page.locator("#lost")).to_be_hidden()
    expect(page.locator(".state-word")).to_have_text("空闲")


def test_a_page_that_finds_no_place_says_so_and_gets_one_when_one_is_free(
    browser: Browser, rules: Rules, ledger: Ledger
) -> None:
    ground = PanelGround(Counter(ledger, rules, real_clock()), viewers=1)
    first, second = Eyes(browser, ground.url), Eyes(browser, ground.url)
    first.go("/")
    page = second.go("/")
    expect(page.locator("#lost")).to_have_text(phrases.FULL)
    first.close()
    expect(page.locator("#lost")).to_be_hidden()
    second.close()
    until(lambda: not ground.panel.stream.watched("clerk"))
    ground.close()

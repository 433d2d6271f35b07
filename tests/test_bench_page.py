"""The bench in a real Chromium, on a whole window of its own: mock pins, bench printer, and no broker to be found."""

import io
import signal
import sqlite3
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urljoin

import pytest
from PIL import Image
from playwright.sync_api import Browser, Locator, Page, expect

from appliance.counter import Counter
from appliance.ledger import Ledger
from appliance.panel import phrases
from tests.conftest import until
from tests.ground_browser import Eyes, chromium, cut_off, english, faint, small_targets
from tests.ground_demo import free_base
from tests.ground_panel import PanelGround

SETTINGS = """
[window]
id = "430602-0107-1"
label = "1号窗口"
[station]
place = "梅溪乡"
telephone = "0730-8123456"
[[clerks]]
number = "0107"
name = "王敏"
[ledger]
path = "{place}/ledger.db"
[broker]
host = "127.0.0.1"
port = {broker}
[panel]
port = {port}
[pad]
factory = "mock"
change_s = 2
together_ms = 1000
stuck_s = 2
[away]
kind = "{away}"
lamp = 25
bounce_ms = 0
[printer]
kind = "bench"
baud = 115200
[clock]
source = "battery"
[bench]
enabled = true
"""


class Window:
    """One window as a process of its own."""

    def __init__(self, place: Path, away: str = "switch") -> None:
        port = free_base()
        self.url = f"http://127.0.0.1:{port}"
        self.ledger = place / "ledger.db"
        settings = place / "window.toml"
        settings.write_text(SETTINGS.format(place=place, port=port, broker=port + 1, away=away))
        self.process = subprocess.Popen([sys.executable, "-m", "appliance", "run", "--settings", str(settings)])
        until(self.answers, within=30, what="the window did not come up")

    def answers(self) -> bool:
        assert self.process.poll() is None, "the window ended at once"
        try:
            return bool(urllib.request.urlopen(f"{self.url}/healthz", timeout=5).status == 200)
        except OSError:
            return False

    def count(self, *types: str) -> list[int]:
        """How many facts there are of each type."""
        with sqlite3.connect(f"file:{self.ledger}?mode=ro", uri=True) as book:
            query = "SELECT count(*) FROM facts WHERE type = ?"
            return [int(book.execute(query, (one,)).fetchone()[0]) for one in types]

    def close(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(20) == 0


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def window(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Window]:
    window = Window(tmp_path_factory.mktemp("bench"))
    yield window
    window.close()


@pytest.fixture
def bench(browser: Browser, window: Window) -> Iterator[Page]:
    eyes = Eyes(browser, window.url, (1280, 800))
    yield eyes.go("/bench")
    assert eyes.complaints == []
    assert eyes.hosts == {window.url.removeprefix("http://")}
    eyes.close()


@pytest.fixture
def panel(browser: Browser, window: Window) -> Iterator[Page]:
    eyes = Eyes(browser, window.url)
    page = eyes.go("/")
    if page.locator("#arrive-0107").count():
        page.click("#arrive-0107")
    page.wait_for_selector("#act-begin, #act-end")
    yield page
    eyes.close()


def ask(panel: Page) -> None:
    if panel.locator("#act-begin").count():
        panel.click("#act-begin")
    panel.click("#act-end")
    panel.wait_for_selector(".state-rating")


def lamps(bench: Page) -> Locator:
    return bench.locator("#bench-lamps .lamp[data-lit='1']")


def key(bench: Page, grade: int) -> tuple[float, float]:
    box = bench.locator(f"#key-{grade}").bounding_box()
    assert box is not None
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def test_the_prompt_lights_all_lamps_and_a_press_puts_all_out(bench: Page, panel: Page, window: Window) -> None:
    [before] = window.count("rating.given")
    expect(lamps(bench)).to_have_count(0)
    ask(panel)
    expect(lamps(bench)).to_have_count(5)
    bench.click("#key-2")
    expect(lamps(bench)).to_have_count(0)
    expect(panel.locator(".state-word")).to_have_text(phrases.RATED)
    until(lambda: window.count("rating.given") == [before + 1])


def test_a_key_that_is_held_is_stuck_until_it_is_let_go(bench: Page, panel: Page, window: Window) -> None:
    before = window.count("device.failed", "device.recovered")
    bench.mouse.move(*key(bench, 3))
    bench.mouse.down()
    expect(panel.locator("#alerts")).to_contain_text("有按键一直按着")
    bench.mouse.up()
    expect(panel.locator("#alerts")).not_to_contain_text("有按键一直按着")
    assert window.count("device.failed", "device.recovered") == [number + 1 for number in before]


def test_the_keyboard_presses_keys_by_their_place(bench: Page, panel: Page, window: Window) -> None:
    [before] = window.count("rating.given")
    ask(panel)
    bench.keyboard.down("1")
    expect(bench.locator("#key-5")).to_have_class("key is-down")
    bench.keyboard.up("1")
    expect(bench.locator("#key-5")).to_have_class("key")
    until(lambda: window.count("rating.given") == [before + 1])


def test_two_keys_at_once_count_as_neither(bench: Page, panel: Page, browser: Browser, window: Window) -> None:
    display = Eyes(browser, window.url, (1920, 1080))
    screen = display.go("/display")
    ask(panel)
    for digit in "12":
        bench.keyboard.down(digit)
    for digit in "12":
        bench.keyboard.up(digit)
    expect(screen.locator(".word")).to_have_text(phrases.TWO_KEYS)
    display.close()


def test_a_finger_that_leaves_the_window_lets_the_key_come_up(bench: Page, panel: Page) -> None:
    bench.keyboard.down("3")
    expect(bench.locator("#key-3")).to_have_class("key is-down")
    bench.evaluate("window.dispatchEvent(new Event('blur'))")
    expect(bench.locator("#key-3")).to_have_class("key")


def test_the_switch_is_away_and_lights_its_lamp(bench: Page, panel: Page) -> None:
    bench.click("#switch")
    expect(panel.locator(".state-word")).to_have_text(phrases.STATES["away"])
    expect(bench.locator("#lamp-away")).to_have_attribute("data-lit", "1")
    expect(bench.locator("#switch")).to_have_text(phrases.TURN_OFF)
    bench.click("#switch")
    expect(panel.locator(".state-word")).not_to_have_text(phrases.STATES["away"])
    expect(bench.locator("#lamp-away")).to_have_attribute("data-lit", "0")


def test_a_momentary_button_is_away_and_back(browser: Browser, tmp_path: Path) -> None:
    window = Window(tmp_path, away="button")
    bench, panel = Eyes(browser, window.url), Eyes(browser, window.url)
    page = bench.go("/bench")
    state = panel.go("/").locator(".state-word")
    for word in (phrases.STATES["away"], phrases.STATES["closed"]):
        page.click("#switch")
        expect(state).to_have_text(word)
    bench.close()
    panel.close()
    window.close()


def receive(panel: Page) -> None:
    panel.goto(urljoin(panel.url, "/receipt/jmcbdj"))
    panel.fill("#applicant", "张三")
    for number in (0, 1):
        panel.click(f"[data-for=pages{number}][data-step='1']")
    panel.click("#print")
    panel.wait_for_url("**/papers/*")


def test_a_receipt_is_printed_and_lies_in_the_tray(bench: Page, panel: Page) -> None:
    slips = bench.locator("#bench-tray img")
    before = slips.count()
    receive(panel)
    expect(panel.locator(".paper-word")).to_have_text(phrases.PAPER_STATES["confirmed"])
    expect(slips).to_have_count(before + 1)
    answer = bench.request.get(urljoin(bench.url, str(slips.first.get_attribute("src"))))
    assert answer.headers["content-type"] == "image/png"
    picture = Image.open(io.BytesIO(answer.body())).convert("L")
    assert min(picture.size) >= 384
    assert 0.01 < sum(picture.histogram()[:128]) / (picture.width * picture.height) < 0.5
    expect(slips.first).to_have_js_property("naturalWidth", picture.width)


@pytest.mark.parametrize(("part", "words"), [("#paper", "打印机缺纸"), ("#cable", "没有找到打印机")])
def test_a_paper_that_did_not_come_out_says_why_and_comes_when_all_is_well(
    bench: Page, panel: Page, window: Window, part: str, words: str
) -> None:
    slips, [rated] = bench.locator("#bench-tray img"), window.count("rating.given")
    before = slips.count()
    bench.click(part)
    expect(bench.locator(part)).to_have_class("button is-on")
    receive(panel)
    expect(panel.locator(".paper-word")).to_contain_text("没有打印：" + words, timeout=20_000)
    expect(panel.locator("#alerts")).to_contain_text("打印机")
    ask(panel)
    bench.click("#key-5")
    until(lambda: window.count("rating.given") == [rated + 1], what="a printer that does not work stopped the window")
    bench.click(part)
    expect(bench.locator(part)).to_have_class("button")
    panel.click("#again")
    expect(panel.locator(".paper-word")).to_have_text(phrases.PAPER_STATES["confirmed"], timeout=20_000)
    expect(panel.locator("#alerts")).not_to_contain_text("打印机")
    expect(slips).to_have_count(before + 1)


@pytest.mark.parametrize("size", [(1280, 800), (1920, 1080)])
def test_the_bench_fits_reads_and_touches_well(browser: Browser, window: Window, size: tuple[int, int]) -> None:
    eyes = Eyes(browser, window.url, size)
    page = eyes.go("/bench")
    page.click("#switch")
    expect(page.locator("#switch")).to_have_text(phrases.TURN_OFF)
    assert (cut_off(page), small_targets(page), faint(page), english(page)) == ([], [], [], [])
    page.click("#switch")
    expect(page.locator("#switch")).to_have_text(phrases.TURN_ON)
    eyes.close()


def test_where_the_settings_do_not_ask_for_it_there_is_no_bench(counter: Counter, ledger: Ledger) -> None:
    ground = PanelGround(counter, served=False)
    client = ground.panel.app.test_client()
    assert client.get("/bench").status_code == 404
    assert client.get("/events/bench").status_code == 404
    assert client.get("/static/bench/bench.js").status_code == 404
    assert client.post("/bench/key/5/down", headers={"Origin": "http://localhost"}).status_code == 404
    ground.close()


def test_a_hand_that_there_is_not_moves_nothing(window: Window) -> None:
    for path in ("key/6/down", "key/5/sideways", "roof/on", "broker/off", "switch/maybe"):
        request = urllib.request.Request(f"{window.url}/bench/{path}", b"", {"Origin": window.url})
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(request, timeout=5)
        assert refused.value.code == 404

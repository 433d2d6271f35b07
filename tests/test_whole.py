"""The whole house in a real browser: hands on the bench, the clerk at the panel, the county at its wall."""

import io
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from tests.conftest import until
from tests.ground_browser import SEEN_MS, chromium
from tests.ground_demo import Demo, free_base


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    with Demo(tmp_path_factory.mktemp("whole") / "state", free_base()) as demo:
        yield demo


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as running:
        yield running


class Pages:
    """The pages that people of this window look at, with whatever the browser complains of."""

    def __init__(self, browser: Browser, demo: Demo) -> None:
        self.complaints: list[str] = []
        self.asked: set[str] = set()
        window = f"http://127.0.0.1:{demo.ports.first}"
        self.wall = self._open(browser, f"http://127.0.0.1:{demo.ports.county}/", 1920, 1080)
        self.panel = self._open(browser, f"{window}/", 1024, 600)
        self.display = self._open(browser, f"{window}/display", 1920, 1080)
        self.bench = self._open(browser, f"{window}/bench", 1280, 800)

    def _open(self, browser: Browser, address: str, width: int, height: int) -> Page:
        page = browser.new_page(viewport={"width": width, "height": height})
        page.set_default_timeout(SEEN_MS)
        page.on("pageerror", lambda error: self.complaints.append(f"{address}: {error}"))
        page.on("console", lambda said: self.complaints.extend([said.text] if said.type == "error" else []))
        page.on("request", lambda request: self.asked.add(request.url.split("/")[2]))
        page.goto(address)
        return page

    def press(self, *grades: int) -> None:
        for grade in grades:
            self.bench.locator(f"#key-{grade}").click()

    def lit(self) -> list[str | None]:
        lamps = self.bench.locator("#bench-lamps .lamp")
        return [lamps.nth(n).get_attribute("data-lit") for n in range(lamps.count())]

    def wall_row(self) -> str:
        return self.wall.locator("#place-0, #place-1").filter(has_text="梅溪乡医疗保障服务站").inner_text()


@pytest.fixture(scope="module")
def pages(browser: Browser, demo: Demo) -> Iterator[Pages]:
    pages = Pages(browser, demo)
    yield pages
    for page in (pages.wall, pages.panel, pages.display, pages.bench):
        page.close()


def go_on_duty(pages: Pages) -> None:
    if pages.panel.locator("#arrive-0107").count():
        pages.panel.locator("#arrive-0107").click()
    pages.panel.locator("#act-begin, #act-end").wait_for()


def serve_one(pages: Pages) -> None:
    pages.panel.goto(pages.panel.url.split("/", 3)[0] + "//" + pages.panel.url.split("/", 3)[2] + "/")
    go_on_duty(pages)
    if pages.panel.locator("#act-begin").count():
        pages.panel.locator("#act-begin").click()
    pages.panel.locator("#act-end").click()
    expect(pages.panel.locator(".state")).to_contain_text("评价")


def grades(pages: Pages) -> list[str]:
    row = pages.wall.locator(".row").filter(has_text="梅溪乡医疗保障服务站")
    return row.locator(".figure").all_inner_texts()


def test_a_press_changes_lamp_display_panel_and_wall(pages: Pages) -> None:
    serve_one(pages)
    expect(pages.display.locator("body")).to_contain_text("请")
    until(lambda: set(pages.lit()) == {"1"}, what="the lamps did not ask")
    before = grades(pages)
    pages.press(4)
    until(lambda: set(pages.lit()) == {"0"}, what="the lamps did not go out")
    expect(pages.display.locator("body")).to_contain_text("谢谢")
    expect(pages.panel.locator(".state")).to_contain_text("已评价")
    until(lambda: int(grades(pages)[2]) == int(before[2]) + 1, what=f"the wall did not count: {before} {grades(pages)}")


def test_two_keys_at_once_are_said_on_the_display_and_count_as_neither(pages: Pages) -> None:
    serve_one(pages)
    before = grades(pages)[1:6]
    # Both down in one go of the page's own thread, as one hand does it.
    pages.bench.evaluate(
        """() => Promise.all([5, 1].map(grade => fetch(`/bench/key/${grade}/down`, {method: 'POST'})))
                 .then(() => Promise.all([5, 1].map(grade => fetch(`/bench/key/${grade}/up`, {method: 'POST'}))))"""
    )
    expect(pages.display.locator("body")).to_contain_text("同时按了两个键")

    def thanked() -> bool:
        # A key within 150 ms of the two belongs to the same fist, and a quick test is quicker than that.
        pages.press(3)
        return "谢谢" in pages.display.inner_text("body")

    until(thanked, what="the press after the two keys did not count")
    wanted = [int(n) + (1 if place == 2 else 0) for place, n in enumerate(before)]
    until(lambda: [int(n) for n in grades(pages)[1:6]] == wanted, what=f"{before} became {grades(pages)}")


def test_the_switch_shows_away_everywhere_and_back(pages: Pages) -> None:
    pages.panel.goto(pages.panel.url)
    go_on_duty(pages)
    pages.bench.locator("#switch").click()
    expect(pages.display.locator("body")).to_contain_text("暂时离开")
    expect(pages.panel.locator(".state")).to_contain_text("暂时离开")
    expect(pages.wall.locator(".row").filter(has_text="梅溪乡医疗保障服务站")).to_contain_text("暂时离开")
    pages.bench.locator("#switch").click()
    expect(pages.display.locator("body")).not_to_contain_text("暂时离开")
    expect(pages.wall.locator(".row").filter(has_text="梅溪乡医疗保障服务站")).not_to_contain_text("暂时离开")


def fill_receipt(pages: Pages, item: str, name: str) -> None:
    pages.panel.goto(f"http://{pages.panel.url.split('/')[2]}/receipt/{item}")
    pages.panel.locator("#applicant").fill(name)
    for row in pages.panel.locator(".material").filter(has=pages.panel.locator(".mark-firm")).all():
        row.locator("input[inputmode=numeric]").fill("2")


def test_a_receipt_is_printed_and_the_paper_lies_in_the_tray(pages: Pages, demo: Demo) -> None:
    pages.panel.goto(f"http://{pages.panel.url.split('/')[2]}/")
    go_on_duty(pages)
    pages.panel.locator("#act-begin").click()
    fill_receipt(pages, "mtb", "张㛃")
    papers = pages.bench.locator("#bench-tray img").count()
    pages.panel.locator("#print").dblclick()
    expect(pages.panel.locator("[role=status]")).to_contain_text("已打印")
    expect(pages.bench.locator("#bench-tray img")).to_have_count(papers + 1)
    address = pages.bench.locator("#bench-tray img").first.get_attribute("src")
    picture = pages.bench.request.get(f"http://{pages.bench.url.split('/')[2]}{address}").body()
    assert picture.startswith(b"\x89PNG")
    with Image.open(io.BytesIO(picture)) as paper:
        assert paper.height > paper.width > 300
        assert min(paper.convert("L").tobytes()) < 60, "nothing is printed on the paper"
    book = sqlite3.connect(f"file:{demo.state / 'county.db'}?mode=ro", uri=True)
    try:
        found = "SELECT count(*) FROM facts WHERE type = ?"
        until(lambda: book.execute(found, ("paper.printed",)).fetchone() == (1,), what="no paper at the county")
        assert book.execute(found, ("case.received",)).fetchone() == (1,)
        (payload,) = book.execute("SELECT payload FROM facts WHERE type = 'case.received'").fetchone()
        assert "张*" in payload.decode()
        assert "㛃" not in payload.decode()
    finally:
        book.close()


def test_a_paper_without_paper_says_why_and_prints_when_asked_again(pages: Pages) -> None:
    pages.bench.locator("#paper").click()
    fill_receipt(pages, "mtb", "李四")
    pages.panel.locator("#print").click()
    expect(pages.panel.locator("[role=status]")).to_contain_text("没有打印")
    papers = pages.bench.locator("#bench-tray img").count()
    pages.bench.locator("#paper").click()
    pages.panel.locator("#again").click()
    expect(pages.panel.locator("[role=status]")).to_contain_text("已打印")
    expect(pages.bench.locator("#bench-tray img")).to_have_count(papers + 1)


def test_with_the_broker_killed_and_the_cable_out_presses_are_kept_and_come_later(pages: Pages) -> None:
    pages.panel.goto(f"http://{pages.panel.url.split('/')[2]}/")
    if pages.panel.locator("#act-end").count():
        pages.panel.locator("#act-end").click()
    before = [int(n) for n in grades(pages)[1:6]]
    pages.bench.locator("#network").click()
    serve_one(pages)
    pages.press(5)
    expect(pages.panel.locator("#link")).to_contain_text("未上报")
    pages.bench.locator("#broker").click()
    pages.bench.locator("#network").click()
    wanted = [before[0] + 1, *before[1:]]
    until(
        lambda: [int(n) for n in grades(pages)[1:6]] == wanted,
        within=60,
        what=f"not at the county: {before} {grades(pages)}",
    )


def test_no_page_complained_or_asked_anyone_else(pages: Pages, demo: Demo) -> None:
    assert pages.complaints == []
    assert pages.asked == {f"127.0.0.1:{port}" for port in (demo.ports.county, demo.ports.first)}


def test_the_ledger_and_the_book_say_the_same(demo: Demo, pages: Pages) -> None:
    def ledger_facts() -> list[bytes]:
        with sqlite3.connect(f"file:{demo.state / 'window-0107.db'}?mode=ro", uri=True) as ledger:
            return [row[0] for row in ledger.execute("SELECT payload FROM facts ORDER BY seq")]

    def book_facts() -> list[bytes]:
        with sqlite3.connect(f"file:{demo.state / 'county.db'}?mode=ro", uri=True) as book:
            where = "WHERE window = '430602-0107-1' ORDER BY seq"
            return [row[0] for row in book.execute(f"SELECT payload FROM facts {where}")]

    until(lambda: ledger_facts() == book_facts(), within=60, what="the county has not the same facts, byte for byte")


def test_the_demos_state_is_all_in_its_folder(demo: Demo) -> None:
    assert {"county.db", "window-0107.db", "window-0231.db"} <= {path.name for path in Path(demo.state).iterdir()}

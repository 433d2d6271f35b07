"""The page on a screen, in a real Chromium: whatever becomes of it, it is back."""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic

import pytest

from appliance.screen.browser import Browser, take
from appliance.screen.page import Page
from appliance.screen.place import Compositor
from appliance.screen.talk import Gone, NoAnswer
from appliance.screen.watcher import WAITING, Pace, Screen, Watch
from tests.ground_screen import HEADLESS, Site, browsers_of, renderers, short_place

PACE = Pace(look=0.1, answer=2.0, load=1.5, odd=0.6, read=1.0, late=1.0, well=3600.0)
WAITS = (WAITING / "resident.html").as_uri()


@pytest.fixture(autouse=True)
def no_compositor(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("WAYLAND_DISPLAY", "SWAYSOCK"):
        monkeypatch.delenv(name, raising=False)


@contextmanager
def started(name: str, place: Path) -> Iterator[Browser]:
    browser = Browser(name, WAITS, place / name, take(place / f"{name}.lock", 1), HEADLESS)
    try:
        yield browser
    finally:
        browser.end()
    assert not browsers_of(place / name)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with short_place() as place, started("resident", place) as browser:
        yield browser


@pytest.fixture(scope="module")
def page(browser: Browser) -> Page:
    return Page(browser.talk, 30)


@pytest.fixture
def site() -> Iterator[Site]:
    site = Site()
    site.start()
    yield site
    site.stop()


@pytest.fixture
def watch(page: Page, site: Site) -> Watch:
    page.go(WAITS, 10)
    return Watch(Screen("resident", site.address, pace=PACE), page, WAITS, Compositor())


class Turns:
    """Turns of the watcher until something is true."""

    def __init__(self, watch: Watch, page: Page) -> None:
        self.watch, self.page = watch, page

    def until(self, true: Callable[[], object], within: float = 15.0) -> None:
        deadline = monotonic() + within
        while not true():
            assert monotonic() < deadline, self.page.look(5)
            self.watch.turn()

    def shows(self, start: str) -> bool:
        try:
            look = self.page.look(2)
        except NoAnswer:
            return False
        return look.href.startswith(start) and look.loaded


@pytest.fixture
def turns(watch: Watch, page: Page) -> Turns:
    return Turns(watch, page)


@pytest.fixture
def shown(turns: Turns, site: Site) -> Turns:
    """The window's page is on the screen."""
    turns.until(lambda: turns.shows(site.address))
    site.asked.clear()
    return turns


def test_the_waiting_page_stands_until_the_window_answers(turns: Turns, site: Site) -> None:
    site.stop()
    turns.watch.turn()
    assert turns.page.look(5).href == WAITS
    site.start()
    turns.until(lambda: turns.shows(site.address))


def test_a_window_that_does_not_come_is_said_in_plain_words(turns: Turns, site: Site) -> None:
    site.stop()
    turns.until(lambda: turns.shows(f"{WAITS}#late"))
    site.start()
    turns.until(lambda: turns.shows(site.address))


@pytest.mark.parametrize("status", [200, 404, 500, 503])
def test_a_page_that_says_what_is_wrong_is_shown(turns: Turns, site: Site, status: int) -> None:
    site.status = status
    turns.until(lambda: turns.shows(site.address))


def test_an_error_stays_to_be_read_and_goes_when_the_window_is_well(turns: Turns, site: Site) -> None:
    site.status = 503
    turns.until(lambda: turns.shows(site.address))
    turns.watch.turn()
    assert turns.page.look(5).status == 503
    site.status = 200
    turns.until(lambda: turns.page.look(5).status == 200)


def test_what_answers_with_no_page_is_waited_for(turns: Turns, site: Site) -> None:
    site.kind = "application/json"
    turns.until(lambda: len(site.asked) > 2)
    assert turns.page.look(5).href == WAITS


def test_a_renderer_that_crashes_is_replaced(shown: Turns, browser: Browser, site: Site) -> None:
    for pid in renderers(browser.pid):
        os.kill(pid, signal.SIGSEGV)
    shown.until(lambda: shown.shows(site.address) and site.asked)


BROKEN = {
    "an endless loop": "<script>setTimeout(() => { for (;;) {} }, 50)</script>",
    "another address": "<script>location = '/elsewhere/'.replace('elsewhere', 'other')</script>",
    "an address that nobody serves": "<script>location = 'http://127.0.0.1:1/'</script>",
    "an empty page": "<script>document.body.replaceChildren()</script>",
    "a page with nothing to be seen": "<style>body { display: none }</style>",
    "a live page without its script": "<script>document.body.dataset.stream = '/events/display'</script>",
    "a question in a box": "<script>setTimeout(() => alert('?'), 50)</script>",
}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_page_that_is_lost_comes_back(turns: Turns, site: Site, kind: str) -> None:
    whole, site.html = site.html, f"<p>页面{BROKEN[kind]}"
    turns.until(lambda: "/display" in site.asked[1:])
    # Asked once by the watcher and once by the page, which breaks; what is served next is whole again.
    site.html = whole
    if kind == "a question in a box":
        turns.until(lambda: turns.shows(site.address))
        return
    turns.until(lambda: site.asked.count("/display") >= 4 and turns.shows(site.address))


def test_a_page_that_never_gets_well_is_a_case_for_another_browser(turns: Turns, site: Site) -> None:
    site.html = BROKEN["an empty page"]
    with pytest.raises(NoAnswer, match="again and again"):
        turns.until(lambda: False, within=30)


def test_a_second_page_is_closed(shown: Turns, browser: Browser, site: Site) -> None:
    browser.talk.tell("Target.createTarget", url=f"{site.address}?second")

    def pages() -> list[str]:
        targets = browser.talk.ask("Target.getTargets", 5)["targetInfos"]
        return [target["url"] for target in targets if target["type"] == "page"]

    shown.until(lambda: pages() == [site.address])


def test_a_page_that_is_closed_is_a_case_for_another_browser() -> None:
    with short_place() as place, started("clerk", place) as browser:
        page = Page(browser.talk, 30)
        targets = browser.talk.ask("Target.getTargets", 5)["targetInfos"]
        browser.talk.tell("Target.closeTarget", targetId=next(t["targetId"] for t in targets if t["type"] == "page"))
        with pytest.raises(Gone):
            page.lost(10)


def test_a_browser_that_is_stopped_does_not_stop_its_watcher() -> None:
    with short_place() as place, started("clerk", place) as browser:
        page = Page(browser.talk, 30)
        os.kill(browser.pid, signal.SIGSTOP)
        # More than its pipe holds: what cannot be sent is no answer either.
        for _ in range(800):
            with pytest.raises(NoAnswer):
                page.look(0.0001)

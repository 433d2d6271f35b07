"""Keeps one page on one screen, for as long as there is a screen.

The page is watched, not the browser: it is asked every few seconds what it is.

| what is seen | what is done |
|---|---|
| the browser starts | it shows our waiting page at once, which needs no program |
| the waiting page, and the window's address answers with a page, whatever its status | go there |
| the waiting page, and nobody answers for a minute | it says so |
| a page whose renderer crashed or does not answer; the browser's own error page; another address; | |
| an empty page; a page without its script | the waiting page, and from there on |
| a page that says an error, after time to read it, and the address is well again | go there |
| the waiting page does not come either, or nothing of it helps | another browser |
| the browser ended, or its page was closed | another browser; with longer pauses when it ends at once |
| the compositor is gone | the end: it starts its watchers again |
| the compositor does not answer | it is killed, and the unit starts it again |
"""

import logging
import os
import signal
from pathlib import Path
from time import monotonic, sleep
from types import FrameType
from typing import NamedTuple, NoReturn

from appliance.screen.browser import Browser, NoBrowser, Taken, take
from appliance.screen.page import Look, Page
from appliance.screen.place import Compositor, status_of
from appliance.screen.talk import Gone, NoAnswer

log = logging.getLogger(__name__)

NAMES = ("resident", "clerk")
WAITING = Path(__file__).resolve().parents[2] / "web" / "screen"
"""The waiting pages lie where the program's other pages do, one a name."""
TAKEN = 1
LOCK_AGAIN_S = 5.0


class Pace(NamedTuple):
    """Seconds. A page that hangs is seen after `look` + `answer`; it is back within 30, maybe in another browser."""

    look: float = 2.0
    answer: float = 8.0
    go: float = 5.0
    load: float = 20.0
    """A page may be loading for so long."""
    odd: float = 4.0
    """A loaded page may be empty or without its script for so long."""
    read: float = 20.0
    """An error's sentence can be read for so long."""
    late: float = 60.0
    """After so long without an answer the waiting page says that the window's program does not run."""
    start: float = 120.0
    """A browser may take so long to open its first page."""
    well: float = 60.0
    """Whoever was well for so long is not counted as failing again and again."""
    rest: float = 1.0
    most_rest: float = 30.0
    compositor: float = 5.0
    lock: float = 15.0


class Screen(NamedTuple):
    """Which page is to be on which screen."""

    name: str
    address: str
    flags: tuple[str, ...] = ()
    pace: Pace = Pace()


def show(screen: Screen) -> int:
    """Show it until the compositor is gone (0); 1 when another watcher has this screen."""
    signal.signal(signal.SIGTERM, _end)
    compositor, rest = Compositor(), screen.pace.rest
    try:
        lock = _lock(screen, compositor)
    except Taken as taken:
        log.error("%s: %s", screen.name, taken)
        return TAKEN
    while not compositor.gone():
        began = monotonic()
        try:
            _one_browser(screen, lock, compositor)
        except (Gone, NoAnswer, NoBrowser) as why:
            rest = screen.pace.rest if monotonic() - began > screen.pace.well else rest
            log.warning("%s: %s; another browser in %.0f s", screen.name, why, rest)
        compositor.watch()
        sleep(rest)
        rest = min(rest * 2, screen.pace.most_rest)
    log.info("%s: the compositor is gone", screen.name)
    return 0


def _lock(screen: Screen, compositor: Compositor) -> int:
    """The right to the screen; while nothing can be made in its place (/run is full), it is waited for."""
    while True:
        try:
            return take(_place() / f"{screen.name}.lock", screen.pace.lock)
        except OSError as error:
            if compositor.gone():
                raise Taken("the compositor is gone") from error
            log.warning("%s: no place for its lock (%s); tried again in %.0f s", screen.name, error, LOCK_AGAIN_S)
            sleep(LOCK_AGAIN_S)


def _end(number: int, _frame: FrameType | None) -> NoReturn:
    raise SystemExit(128 + number)


def _place() -> Path:
    """Where nothing is kept, so that a full or read-only card stops no browser."""
    for name in ("RUNTIME_DIRECTORY", "XDG_RUNTIME_DIR", "STATE_DIRECTORY"):
        if given := os.environ.get(name):
            return Path(given.split(":")[0]) / "screens"
    return Path.home() / ".cache" / "appliance-screens"


def _one_browser(screen: Screen, lock: int, compositor: Compositor) -> None:
    waiting = (WAITING / f"{screen.name}.html").as_uri()
    browser = Browser(screen.name, waiting, _place() / screen.name, lock, screen.flags)
    try:
        watch = Watch(screen, Page(browser.talk, screen.pace.start), waiting, compositor)
        while True:
            watch.turn()
    finally:
        browser.end()


class Watch:
    """What one browser shows, turn by turn."""

    def __init__(self, screen: Screen, page: Page, waiting: str, compositor: Compositor) -> None:
        self._screen, self._page, self._waiting, self._compositor = screen, page, waiting, compositor
        self._pace = screen.pace
        now = monotonic()
        self._asked = self._came = self._waits_since = now
        self._odd_since: float | None = None
        self._error_since: float | None = None
        self._said_late = self._silent = False
        self._losses = 0

    def turn(self) -> None:
        """Listen for a while, look at the page once, and do what the table says."""
        why = self._page.lost(self._pace.look)
        look = None if why else self._look()
        if look is not None and look.href.startswith(self._waiting):
            self._let_in()
        elif why := why or (self._wrong(look) if look else "the page does not answer"):
            self._wait(why)
        self._watch_compositor()

    def _look(self) -> Look | None:
        """What the page says; None when it is silent, NoAnswer when the waiting page in its place is so too."""
        try:
            look = self._page.look(self._pace.go if self._silent else self._pace.answer)
        except NoAnswer:
            if self._silent:
                raise
            self._silent = True
            return None
        self._silent = False
        return look

    def _let_in(self) -> None:
        """The waiting page is shown: go to the window's page when there is one."""
        waited = monotonic() - self._waits_since
        if status_of(self._screen.address) is not None:
            self._come()
        elif waited > self._pace.late and not self._said_late:
            log.warning("%s: %s has not answered for %.0f s", self._screen.name, self._screen.address, waited)
            self._page.go(f"{self._waiting}#late", self._pace.go)
            self._said_late = True

    def _come(self) -> None:
        """Go to the window's page; a window that hangs just now is waited for again."""
        self._came, self._odd_since, self._error_since = monotonic(), None, None
        try:
            self._page.go(self._screen.address, self._pace.answer)
        except NoAnswer as silent:
            self._wait(str(silent))

    def _wait(self, why: str) -> None:
        """Something is wrong with the page: begin again from the waiting page, in this browser while that helps."""
        if monotonic() - self._came > self._pace.well:
            self._losses = 0
        self._losses += 1
        if self._losses > 3:
            raise NoAnswer(f"{why}, again and again")
        log.warning("%s: %s", self._screen.name, why)
        self._page.go(self._waiting, self._pace.go)
        self._waits_since, self._said_late = monotonic(), False
        self._came = self._waits_since

    def _wrong(self, look: Look) -> str | None:
        """Why this is not the page that it should be; None while it is, or may still become it."""
        if not look.href.startswith(self._screen.address):
            return f"it shows {look.href[:200]}"
        now = monotonic()
        self._error_since = (self._error_since or now) if look.status >= 400 else None
        if self._error_since is not None and now - self._error_since > self._pace.read:
            self._after_error()
        if look.loaded and look.words and look.live:
            self._odd_since = None
            return None
        self._odd_since = self._odd_since or now
        if now - self._odd_since < (self._pace.odd if look.loaded else self._pace.load):
            return None
        if not look.loaded:
            return "the page does not load"
        return "the page is without its script" if look.words else "the page is empty"

    def _after_error(self) -> None:
        """A page that says an error is left as soon as it was read and its address is well."""
        status = status_of(self._screen.address)
        if status is not None and status < 400:
            self._come()

    def _watch_compositor(self) -> None:
        if monotonic() - self._asked > self._pace.compositor:
            self._asked = monotonic()
            self._compositor.watch()
            if self._compositor.gone():
                raise Gone("the compositor is gone")

"""A real Chromium, and what a careful eye would measure on a page: contrast, size of targets, what is cut off."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

SEEN_MS = 15_000
"""How long is waited for what must be seen, on a machine that does other tests meanwhile."""
SIZES = ((1024, 600), (1280, 800), (1920, 1080))


@contextmanager
def chromium() -> Iterator[Browser]:
    """Debian's Chromium; what is expected of its pages is waited for `SEEN_MS`, unless the test says otherwise."""
    expect.set_options(timeout=SEEN_MS)
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        yield browser
        browser.close()


class Eyes:
    """A browser window on a site: its complaints, and every host that it asked."""

    def __init__(self, browser: Browser, url: str, size: tuple[int, int] = (1024, 600)) -> None:
        self.url = url
        self.complaints: list[str] = []
        self.hosts: set[str] = set()
        self.context: BrowserContext = browser.new_context(viewport={"width": size[0], "height": size[1]})
        self.page: Page = self.context.new_page()
        self.page.set_default_timeout(SEEN_MS)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("console", lambda said: self.complaints.append(said.text) if said.type != "log" else None)
        self.page.on("request", lambda request: self.hosts.add(request.url.split("/")[2]))

    def go(self, path: str) -> Page:
        """Open a page and wait until it is live."""
        with self.page.expect_response(re.compile("/events/")):
            self.page.goto(self.url + path)
        return self.page

    def close(self) -> None:
        self.context.close()


def cut_off(page: Page) -> list[str]:
    """Elements whose text does not fit into them, and elements that stick out of the window to the side."""
    found: list[str] = page.evaluate(
        """() => [...document.querySelectorAll("body *")].filter((node) => {
            if (node.closest("[hidden]") || !node.clientWidth) return false;
            if (["SELECT", "INPUT", "OPTION"].includes(node.tagName)) return false;
            const style = getComputedStyle(node), box = node.getBoundingClientRect();
            const wide = style.overflowX !== "visible" && node.scrollWidth > node.clientWidth + 1;
            const high = style.overflowY === "hidden" && node.scrollHeight > node.clientHeight + 1;
            return wide || high || box.right > innerWidth + 1 || box.left < -1;
        }).map((node) => `${node.tagName}.${node.className.baseVal ?? node.className}`)"""
    )
    return found


def overlapped(page: Page) -> list[str]:
    """Lines of text that stand outside of the box of the region that holds them, as where a page is too full."""
    found: list[str] = page.evaluate(
        """() => [...document.querySelectorAll("#display p, #display li")].filter((node) => {
            const box = node.getBoundingClientRect(), room = document.getElementById("display").getBoundingClientRect();
            return box.top < room.top - 1 || box.bottom > room.bottom + 1;
        }).map((node) => node.textContent.trim())"""
    )
    return found


def small_targets(page: Page, least: int = 60) -> list[str]:
    """What can be touched and is smaller than `least` pixels; a tick's target is its whole label."""
    found: list[str] = page.evaluate(
        """(least) => [...document.querySelectorAll("a, button, select, input:not([type=hidden])")].filter((node) => {
            const box = (node.closest("label") ?? node).getBoundingClientRect();
            return box.width && (box.width < least - 0.5 || box.height < least - 0.5);
        }).map((node) => node.outerHTML.slice(0, 80))""",
        least,
    )
    return found


def faint(page: Page) -> list[tuple[str, float]]:
    """Texts with less than 4.5:1 between ink and ground (WCAG 2); what cannot be used at all is excepted there too."""
    rows: list[Any] = page.evaluate(
        """() => [...document.querySelectorAll("body *")].filter((node) =>
            node.checkVisibility() && !node.disabled && !node.closest(":disabled")
            && [...node.childNodes].some((child) => child.nodeType === 3 && child.textContent.trim())
        ).map((node) => {
            let ground = node;
            const clear = (one) => /rgba\\(0, 0, 0, 0\\)/.test(getComputedStyle(one).backgroundColor);
            while (ground && clear(ground)) ground = ground.parentElement;
            const back = ground ? getComputedStyle(ground).backgroundColor : "rgb(255, 255, 255)";
            return [node.textContent.trim().slice(0, 30), getComputedStyle(node).color, back];
        })"""
    )
    ratios = [(text, _ratio(_light(ink), _light(back))) for text, ink, back in rows]
    assert ratios, "no text was found at all"
    return [(text, round(ratio, 2)) for text, ratio in ratios if ratio < 4.5]


def english(page: Page) -> list[str]:
    """Latin words that can be read on the page; numbers of cases have letters of their own."""
    return [word for word in re.findall(r"[A-Za-z]{2,}", page.inner_text("body")) if not re.fullmatch(r"[A-F]+", word)]


def _light(colour: str) -> float:
    parts = [int(part) / 255 for part in re.findall(r"\d+", colour)[:3]]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _ratio(one: float, other: float) -> float:
    bright, dark = max(one, other), min(one, other)
    return (bright + 0.05) / (dark + 0.05)

"""Makes the picture of the README: the three pages of a running demo, together and small. `make picture` calls it."""

import io
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.conftest import until
from tests.ground_demo import Demo, free_base

PICTURE = Path(__file__).with_name("pages.png")
HEIGHT, GAP, PAPER = 360, 12, "#c9d2da"


def main() -> None:
    """Start a demo, serve one resident, take the pictures."""
    with (
        tempfile.TemporaryDirectory() as place,
        Demo(Path(place) / "state", free_base()) as demo,
        sync_playwright() as play,
    ):
        browser = play.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        shots = _shots(browser, f"http://127.0.0.1:{demo.ports.first}", f"http://127.0.0.1:{demo.ports.county}/")
        browser.close()
    _together(shots).quantize(64).save(PICTURE, optimize=True)


def _shots(browser: Browser, window: str, county: str) -> list[bytes]:
    wall = _open(browser, county, 1366, 768)
    display = _open(browser, f"{window}/display", 1920, 1080)
    panel = _open(browser, f"{window}/", 1024, 600)
    bench = _open(browser, f"{window}/bench", 1280, 800)
    panel.locator("#arrive-0107").click()
    panel.locator("#act-begin").click()
    panel.locator("#act-end").click()
    until(lambda: "评价" in display.inner_text("main"))
    asked = display.screenshot()
    bench.locator("#key-5").click()
    panel.locator("#act-begin").click()
    expect(panel.locator(".state")).to_contain_text("正在办理")
    expect(wall.locator("#place-0, #place-1").filter(has_text="王敏")).to_contain_text("正在办理")
    return [asked, panel.screenshot(), wall.screenshot(clip={"x": 0, "y": 0, "width": 1366, "height": 280})]


def _open(browser: Browser, address: str, width: int, height: int) -> Page:
    page = browser.new_page(viewport={"width": width, "height": height})
    page.goto(address)
    return page


def _together(shots: list[bytes]) -> Image.Image:
    display, panel, wall = (Image.open(io.BytesIO(shot)).convert("RGB") for shot in shots)
    above = [_scaled(page, HEIGHT / page.height) for page in (display, panel)]
    width = sum(page.width for page in above) + GAP
    below = _scaled(wall, width / wall.width)
    picture = Image.new("RGB", (width + 2 * GAP, HEIGHT + below.height + 3 * GAP), PAPER)
    picture.paste(above[0], (GAP, GAP))
    picture.paste(above[1], (2 * GAP + above[0].width, GAP))
    picture.paste(below, (GAP, HEIGHT + 2 * GAP))
    return picture


def _scaled(page: Image.Image, by: float) -> Image.Image:
    return page.resize((round(page.width * by), round(page.height * by)), Image.Resampling.LANCZOS)


if __name__ == "__main__":
    main()

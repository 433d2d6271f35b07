"""R168: nothing that the clerk can see or time may differ by the grade that was pressed."""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from appliance.counter import Counter
from appliance.ledger import Ledger
from appliance.panel.scene import Stage
from appliance.window.happenings import ClerkArrives, KeyFrees, KeySticks, VisitBegins
from appliance.window.rules import Rules
from tests.conftest import WINDOW, HandClock
from tests.ground_panel import PanelGround

PAGES = ("/", "/papers", "/devices", "/away", "/receipt/yljz", "/display")
Step = float | str
STORIES: dict[str, tuple[Step, ...]] = {
    "thanks": ("grade",),
    "changed": ("other", 1, "grade"),
    "after the thanks": ("grade", 6, "time"),
    "the next visit": ("grade", 9, "next"),
    "stray": (70, "time", "grade"),
    "two keys": ("other", 0.1, "both"),
    "stuck": ("stick",),
    "free again": ("stick", 5, "free"),
}
"""What happens after the prompt has opened: words are done, numbers are seconds that pass."""

OTHER = 3


def do(ground: PanelGround, step: str, grade: int) -> None:
    """One step of a story, with the grade of this telling."""
    match step:
        case "grade":
            ground.press(grade)
        case "other":
            ground.press(OTHER)
        case "both":
            ground.press(grade, OTHER)
        case "time":
            ground.time_passes()
        case "next":
            ground.happens(VisitBegins)
        case "stick":
            ground.happens(KeySticks, grade=grade)
        case "free":
            ground.happens(KeyFrees, grade=grade)
        case _:
            raise ValueError(step)


class Seen:
    """What can be seen of one story: every page, every event with its time of the story, and how often it was drawn."""

    def __init__(self, rules: Rules, place: Path) -> None:
        place.mkdir()
        self.ledger = Ledger.open(place / "ledger.db", WINDOW)
        self.clock = HandClock()
        self.ground = PanelGround(Counter(self.ledger, rules, self.clock), served=False)
        self.stage = Stage(self.ground.counter)

    def tell(self, story: tuple[Step, ...], grade: int) -> str:
        drawn: list[tuple[float, str]] = []
        last = None

        def look() -> None:
            nonlocal last
            scene = self.stage.scene(self.ground.link)
            if scene != last:
                last = scene
                regions = self.ground.panel._clerk.regions(scene) | self.ground.panel._resident.regions(scene)
                drawn.append((self.clock.up, json.dumps(regions, ensure_ascii=False)))

        self.ground.counter.ring_for(look)
        self.ground.happens(ClerkArrives, number="0107")
        self.ground.serve_one()
        self.clock.passes(2)
        for step in story:
            if isinstance(step, str):
                do(self.ground, step, grade)
            else:
                self.clock.passes(step)
        client = self.ground.panel.app.test_client()
        pages = [re.sub(r'name="form" value="\w+"', "", client.get(page).get_data(as_text=True)) for page in PAGES]
        return "\n".join([*pages, *(f"{at} {html}" for at, html in drawn)])

    def close(self) -> None:
        self.ground.close()
        self.ledger.close()


@pytest.fixture
def seen(rules: Rules, tmp_path: Path) -> Iterator[Callable[[str, int], str]]:
    opened: list[Seen] = []

    def see(story: str, grade: int) -> str:
        opened.append(Seen(rules, tmp_path / str(grade)))
        return opened[-1].tell(STORIES[story], grade)

    yield see
    for one in opened:
        one.close()


@pytest.mark.parametrize("story", STORIES)
def test_the_pages_are_the_same_byte_for_byte_whatever_was_pressed(seen: Callable[[str, int], str], story: str) -> None:
    grades = (5, 4, 2, 1) if "other" in STORIES[story] else (5, 4, 3, 2, 1)
    texts = {grade: seen(story, grade) for grade in grades}
    assert len(set(texts.values())) == 1
    assert "data-grade" not in texts[5]


def test_the_comparison_would_see_a_difference(seen: Callable[[str, int], str]) -> None:
    assert seen("thanks", 5) != seen("stray", 4)

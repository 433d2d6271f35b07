"""The bench printer: a port like any other, with knobs, and its papers as pictures."""

import io
import threading

import pytest
from PIL import Image

from appliance.devices.condition import Condition, Outcome
from appliance.devices.paper_bench import BUFFER, BenchPrinter
from appliance.devices.printer import EscPosPrinter
from appliance.paper import escpos, picture, plain
from appliance.paper.document import Document, Text
from appliance.paper.glyphs import Glyphs
from appliance.paper.layout import lay_out
from appliance.paper.profile import SMALL, WIDE, Profile
from tests.ground_printer import JOB

GLYPHS = Glyphs()


def printer(bench: BenchPrinter) -> EscPosPrinter:
    return EscPosPrinter(bench, answer_s=0.05, confirm_s=0.2, mute_s=0.05, slack_s=0.2)


def texts(bench: BenchPrinter) -> list[str]:
    return [plain.paint(paper.sheet).strip() for paper in bench.papers()]


@pytest.mark.parametrize("profile", [SMALL, WIDE], ids=lambda profile: profile.name)
def test_it_prints_and_shows_the_paper_as_a_picture_of_its_width(profile: Profile) -> None:
    bench = BenchPrinter(profile)
    job = escpos.paint(lay_out(Document((Text("王㛃"),)), profile.cells, GLYPHS.has), profile, GLYPHS.dots)
    assert printer(bench).carry_out(job) == Outcome("confirmed")
    (paper,) = bench.papers()
    png = bench.picture(paper.number, GLYPHS)
    assert png is not None
    assert Image.open(io.BytesIO(png)).width == 2 * (profile.dots + 2 * picture.MARGIN)
    assert bench.picture(paper.number + 1, GLYPHS) is None


def test_the_drawn_character_in_the_picture_is_the_one_that_was_sent() -> None:
    bench = BenchPrinter()
    printer(bench).carry_out(escpos.paint(lay_out(Document((Text("㛃"),)), 32, GLYPHS.has), SMALL, GLYPHS.dots))
    (paper,) = bench.papers()
    shot = picture.image(paper.sheet, GLYPHS, 1).crop(
        (picture.MARGIN, picture.MARGIN, picture.MARGIN + 24, picture.MARGIN + 24)
    )
    inked = [[shot.getpixel((x, y)) == 20 for x in range(24)] for y in range(24)]
    dots = GLYPHS.dots("㛃")
    assert inked == [[bool(dots[3 * x + y // 8] >> (7 - y % 8) & 1) for x in range(24)] for y in range(24)]


@pytest.mark.parametrize(
    ("knobs", "condition", "outcome"),
    [
        ({}, Condition("ok"), Outcome("confirmed")),
        ({"near_end": True}, Condition("ok", "near_end"), Outcome("confirmed", "near_end")),
        ({"paper": False}, Condition("bad", "paper_out"), Outcome("failed", "paper_out")),
        ({"cover_open": True}, Condition("bad", "cover_open"), Outcome("failed", "cover_open")),
        ({"mute": True}, Condition("unknown", "no_answer"), Outcome("unconfirmed", "no_answer")),
        ({"mute": True, "paper": False}, Condition("unknown", "no_answer"), Outcome("unconfirmed", "no_answer")),
    ],
)
def test_each_knob_does_to_the_bench_what_the_fault_does_to_a_printer(
    knobs: dict[str, bool], condition: Condition, outcome: Outcome
) -> None:
    bench = BenchPrinter()
    bench.turn(**knobs)
    assert printer(bench).condition() == condition
    assert printer(bench).carry_out(JOB) == outcome


def test_an_unplugged_printer_is_absent_and_comes_back() -> None:
    bench = BenchPrinter()
    bench.turn(plugged=False)
    assert printer(bench).condition().reason == "absent"
    assert (printer(bench).carry_out(JOB).state, printer(bench).carry_out(JOB).reason) == ("failed", "absent")
    bench.turn(plugged=True)
    assert printer(bench).carry_out(JOB) == Outcome("confirmed")
    assert texts(bench) == ["收件回执"]


def test_what_was_sent_without_paper_is_printed_after_the_refill() -> None:
    """Why nothing is sent twice by itself: the clerk would hold two receipts."""
    told = threading.Event()
    bench = BenchPrinter(printed=told.set)
    bench.turn(mute=True, paper=False)
    assert printer(bench).carry_out(JOB) == Outcome("unconfirmed", "no_answer")
    assert texts(bench) == []
    bench.turn(paper=True)
    assert texts(bench) == ["收件回执"]
    assert told.is_set()


def test_unplugged_in_the_middle_the_paper_is_torn_and_unconfirmed() -> None:
    bench = BenchPrinter()
    job = escpos.paint(lay_out(Document(tuple(Text(f"第{n}行") for n in range(9))), 32, GLYPHS.has), SMALL, GLYPHS.dots)
    bench.turn(unplug_after=40)
    outcome = printer(bench).carry_out(job)
    assert (outcome.state, outcome.reason) == ("unconfirmed", "unplugged")
    (paper,) = bench.papers()
    assert paper.torn
    assert plain.paint(paper.sheet).startswith("第0行\n第1行\n")
    assert "第8行" not in plain.paint(paper.sheet)
    bench.turn(plugged=True)
    assert printer(bench).carry_out(JOB) == Outcome("confirmed")
    assert texts(bench)[0] == "收件回执"


def test_a_full_printer_takes_no_more_until_it_can_print() -> None:
    bench = BenchPrinter()
    bench.turn(mute=True, cover_open=True)
    long = b"\x1b@\x1c&" + b"0123456789\n" * 1000 + escpos.JOB_END
    assert printer(bench).carry_out(long) == Outcome("unconfirmed", "stalled", f"{BUFFER} of {len(long)} bytes")


def test_a_paced_printer_takes_as_long_as_its_line() -> None:
    bench = BenchPrinter(pace=115_200)
    from time import monotonic

    began = monotonic()
    assert printer(bench).carry_out(JOB * 30) == Outcome("confirmed")
    assert monotonic() - began > len(JOB) * 30 * 10 / 115_200 * 0.8


def test_the_tray_keeps_the_newest_papers() -> None:
    bench = BenchPrinter(keep=2)
    for _ in range(3):
        printer(bench).carry_out(JOB)
    assert [paper.number for paper in bench.papers()] == [3, 2]
    assert bench.picture(1, GLYPHS) is None

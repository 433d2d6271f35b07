"""What makes of printers can do."""

import subprocess
import sys

import pytest

from appliance.paper.profile import SMALL, WIDE, UnknownProfile, profile


def test_the_plain_profiles_need_nothing_special_of_a_printer() -> None:
    assert profile("58mm") == SMALL
    assert (SMALL.cells, SMALL.dots, SMALL.cutter, SMALL.native_qr) == (32, 384, False, False)
    assert profile("80mm") == WIDE
    assert (WIDE.cells, WIDE.dots, WIDE.cutter, WIDE.native_qr) == (48, 576, True, False)


@pytest.mark.parametrize(
    ("name", "cells", "cutter", "native_qr"),
    [
        ("TM-T20II", 48, True, True),
        ("POS-5890", 32, False, False),
        ("Sunmi-V2", 32, False, True),
        ("NT-80-V-UL", 48, True, True),
        ("default", 32, True, True),
    ],
)
def test_makes_known_to_python_escpos_are_known_by_the_same_name(
    name: str, cells: int, cutter: bool, native_qr: bool
) -> None:
    found = profile(name)
    assert (found.cells, found.cutter, found.native_qr) == (cells, cutter, native_qr)


def test_an_unknown_make_is_refused_with_those_that_are_known() -> None:
    with pytest.raises(UnknownProfile, match="'XP-58'; known are 58mm, 80mm, ") as refused:
        profile("XP-58")
    assert "TM-T20II" in refused.value.known


def test_printing_text_loads_neither_escpos_nor_pillow_nor_serial() -> None:
    """A window arms its keys first; these take 200 ms and more."""
    code = (
        "import sys, appliance.devices.press, appliance.devices.ports, appliance.devices.paper_bench\n"
        "import appliance.devices.camera, appliance.paper.slips, appliance.paper.picture\n"
        "from appliance.paper.profile import profile; profile('TM-T20II')\n"
        "print(sorted({'escpos', 'PIL', 'serial', 'segno', 'picamera2'} & set(sys.modules)))"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"

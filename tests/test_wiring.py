"""The wiring table is made from the pin settings, agrees with gpiozero's header, and stands in the README as it is."""

import re
from pathlib import Path

import msgspec
import pytest
from gpiozero.pins.pi import PiBoardInfo

from appliance.settings import AwaySwitch, Pad, WindowSettings, load_window
from appliance.wiring import GROUNDS, HEADER, SUPPLIES, table, wiring

ROOT = Path(__file__).parent.parent
SAMPLE = ROOT / "firmware_config" / "window.toml"
# A Pi 3B, 4B, 5 and Zero 2 W, by the revision codes that they have in /proc/cpuinfo.
BOARDS = {"3B": 0xA02082, "4B": 0xC03114, "5": 0xD04170, "Zero 2 W": 0x902120}


def with_pins(**sections: object) -> WindowSettings:
    return msgspec.structs.replace(load_window(SAMPLE), **sections)


@pytest.mark.parametrize("board", BOARDS)
def test_every_pin_lies_where_gpiozero_says_it_lies(board: str) -> None:
    header = PiBoardInfo.from_revision(BOARDS[board]).headers["J8"]
    names = {number: pin.name for number, pin in header.pins.items()}
    assert {number: names[number] for number in HEADER.values()} == {HEADER[bcm]: f"GPIO{bcm}" for bcm in HEADER}
    assert [number for number, name in names.items() if name == "GND"] == list(GROUNDS)
    assert [number for number, name in names.items() if name == "3V3"] == list(SUPPLIES)


def test_every_pin_in_use_has_one_row_and_no_row_is_too_many() -> None:
    settings = with_pins(away=AwaySwitch(lamp=12))
    assert [wire.bcm for wire in wiring(settings)] == [pin for _, pin in settings.pins()]
    assert len({wire.header for wire in wiring(settings)}) == len(wiring(settings)) == 12


def test_a_key_goes_to_ground_or_to_3v3_never_to_5v() -> None:
    down = wiring(with_pins(pad=Pad(pull_up=False), away=AwaySwitch(pull_up=False)))
    for wire in wiring(with_pins()):
        if wire.direction.startswith("输入"):
            assert int(re.findall(r"GND（排针 (\d+)）", wire.connect)[0]) in GROUNDS
    for wire in down:
        if wire.direction.startswith("输入"):
            assert int(re.findall(r"3\.3 V（排针 (\d+)）", wire.connect)[0]) in SUPPLIES


def test_a_lamp_has_its_resistor_and_its_level() -> None:
    for low, words in ((False, "高电平亮"), (True, "低电平亮")):
        lamps = [wire for wire in wiring(with_pins(pad=Pad(lamps_active_low=low))) if wire.setting == "pad.lamps"]
        assert len(lamps) == 5
        assert all(words in wire.direction and "330 Ω" in wire.connect for wire in lamps)


def test_one_lamp_is_nobody_s_and_no_switch_is_no_row() -> None:
    wires = wiring(with_pins(pad=Pad(lamps=(17,)), away=AwaySwitch(kind="none")))
    assert [wire.part for wire in wires if "灯" in wire.part] == ["评价提示灯"]
    assert not [wire for wire in wires if wire.setting.startswith("away")]


def test_a_pin_that_is_wanted_for_something_else_says_so() -> None:
    wires = wiring(with_pins(pad=Pad(keys=(2, 14, 8, 18, 26))))
    assert [wire.heed.split("，")[0] for wire in wires[:5]] == ["I2C", "串口 UART", "SPI", "I2S", "—"]


def test_the_table_in_the_readme_is_the_table_of_the_shipped_settings() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    shown = re.findall(r"<!-- wiring -->\n(.*?)\n<!-- /wiring -->", text, flags=re.DOTALL)
    assert shown == [table(wiring(load_window(SAMPLE)))]

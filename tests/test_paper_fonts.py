"""Which characters fonts have, and how rare ones are drawn."""

from pathlib import Path

import pylopdf_fonts_zh_cn
import pytest

from appliance.paper.cmap import NotAFont, characters
from appliance.paper.glyphs import DEBIAN, Glyphs, installed

CARRIED = pylopdf_fonts_zh_cn.sans_path()
NOTO, HANA_A, HANA_B = DEBIAN


@pytest.mark.parametrize(
    ("path", "face", "has", "lacks"),
    [
        (NOTO, 2, "王㛃䶮𬭎𠮷A", "\U000e1234\u0f40"),
        (HANA_B, 0, "𬭎𠮷𠀀", "王㛃"),
        (CARRIED, 0, "王㛃䶮𬭎", "𠮷\U000e1234"),
    ],
)
def test_the_table_of_a_font_tells_what_it_has(path: Path, face: int, has: str, lacks: str) -> None:
    table = characters(path, face)
    assert [char for char in has if char not in table] == []
    assert [char for char in lacks if char in table] == []


def test_a_file_that_is_no_font_is_refused(tmp_path: Path) -> None:
    for content in (b"", b"no font at all, only text", b"ttcf\0\0\0\0", b"\0\1\0\0\0\x0a" + b"x" * 40):
        path = tmp_path / "broken.ttf"
        path.write_bytes(content)
        with pytest.raises(NotAFont):
            characters(path)


def test_a_broken_or_absent_font_only_leaves_its_characters_to_the_next(tmp_path: Path) -> None:
    broken = tmp_path / "broken.ttf"
    broken.write_bytes(b"ttcf")
    assert Glyphs((broken, tmp_path / "absent.ttc", CARRIED)).has("㛃")


@pytest.mark.parametrize("char", "㛃䶮𬭎𠮷")
def test_rare_characters_of_real_names_are_drawn(char: str) -> None:
    glyphs = Glyphs()
    assert glyphs.has(char)
    dots = glyphs.dots(char)
    assert len(dots) == 72
    ink = sum(byte.bit_count() for byte in dots)
    assert 60 < ink < 320, "neither nearly empty nor nearly black"


def test_no_two_rare_characters_look_alike_so_none_is_the_empty_box() -> None:
    glyphs = Glyphs()
    assert len({glyphs.dots(char) for char in "㛃䶮𬭎𠮷𠀀𪚥"}) == 6


def test_a_character_that_no_font_has_is_not_drawn() -> None:
    assert not Glyphs().has("\U000e1234")
    assert not Glyphs((CARRIED,)).has("𠮷")
    assert not Glyphs(()).has("王")


def test_columns_run_from_the_left_and_bits_from_the_top() -> None:
    """一 of the rare kind: 𠀀 would do, but ㇐ (U+31D0) is one stroke across the middle."""
    dots = Glyphs().dots("㇐")
    columns = [int.from_bytes(dots[at : at + 3], "big") for at in range(0, 72, 3)]
    inked = [column for column in columns if column]
    assert len(inked) > 16
    rows = {row for column in inked for row in range(24) if column >> (23 - row) & 1}
    assert max(rows) - min(rows) < 6
    assert 6 < min(rows) < 18


def test_the_fonts_of_this_machine_are_found() -> None:
    assert NOTO in installed()

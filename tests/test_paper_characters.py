"""Characters: which the printer has, what is normalised, what never reaches it."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.paper.characters import absent, mark, normalise, printable
from appliance.paper.sheet import MISSING, Mark


@pytest.mark.parametrize(
    ("typed", "printed"),
    [
        ("¥12.50", "￥12.50"),
        ("a\u00a0b", "a b"),
        ("0730\u20111234567", "0730-1234567"),
        ("A\u2212B\u2013C", "A-B-C"),
        ("阿依古丽\u2022买买提", "阿依古丽·买买提"),
        ("阿依古丽\u30fb买买提", "阿依古丽·买买提"),
        ("列\t列", "列 列"),
        ("王\x1b@敏\x00", "王@敏"),
        ("行\r\n行\u2028行", "行\n行\n行"),
        ("葛\U000e0100", "葛"),
        ("王\u200b敏\ufeff", "王敏"),
        ("e\u0301", "é"),
        ("王\x7f", "王"),
    ],
)
def test_data_is_made_fit_to_be_printed(typed: str, printed: str) -> None:
    assert normalise(typed) == printed


@given(st.text())
def test_nothing_that_controls_a_printer_is_left(text: str) -> None:
    left = normalise(text).replace("\n", "")
    assert not [char for char in left if unicodedata.category(char) in {"Cc", "Cf", "Cs"}]
    assert normalise(normalise(text)) == normalise(text)


@pytest.mark.parametrize(
    ("char", "expected"),
    [
        ("A", Mark("A", 1)),
        ("王", Mark("王", 2)),
        ("×", Mark("×", 2)),
        ("—", Mark("—", 2)),
        ("“", Mark("“", 2)),
        ("°", Mark("°", 2)),
        ("·", Mark("·", 2)),
        ("〇", Mark("〇", 2)),
        ("：", Mark("：", 2)),
        ("￥", Mark("￥", 2)),
        ("㛃", Mark("㛃", 2, drawn=True)),
        ("䶮", Mark("䶮", 2, drawn=True)),
        ("𬭎", Mark("𬭎", 2, drawn=True)),
        ("€", Mark("€", 2, drawn=True)),
    ],
)
def test_a_character_takes_as_many_cells_as_gbk_has_bytes(char: str, expected: Mark) -> None:
    assert mark(char, lambda _: True) == expected


def test_a_character_that_nobody_has_is_shown_and_named() -> None:
    assert mark("𠮷", lambda _: False) == Mark(MISSING, 2)
    assert absent("𠮷田𠮷\n㛃", lambda char: char == "㛃") == ("𠮷",)


@given(st.characters())
def test_what_is_called_printable_is_ascii_or_two_bytes(char: str) -> None:
    if printable(char):
        assert len(char.encode("gbk")) == (1 if char.isascii() else 2)

"""Where lines of Chinese and Latin text end."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from appliance.paper.characters import mark, normalise
from appliance.paper.sheet import Mark
from appliance.paper.wrapping import NO_END, NO_START, width, wrap


def marks(text: str) -> tuple[Mark, ...]:
    return tuple(mark(char, lambda _: True) for char in text)


def lines(text: str, cells: int) -> list[str]:
    return ["".join(one.char for one in line) for line in wrap(marks(text), cells)]


@pytest.mark.parametrize(
    ("text", "cells", "expected"),
    [
        ("", 8, [""]),
        ("一二三四五", 8, ["一二三四", "五"]),
        ("一二三四，五", 8, ["一二三", "四，五"]),
        ("一二三（四）", 8, ["一二三", "（四）"]),
        ("一二三《四》", 8, ["一二三", "《四》"]),
        ("本人 Wang Min", 8, ["本人", "Wang Min"]),
        ("本人 WangMinXY", 8, ["本人 Wan", "gMinXY"]),
        ("12345678901", 4, ["1234", "5678", "901"]),
        ("截至2026年12月4日", 14, ["截至", "2026年12月4日"]),
        ("  两格起", 8, ["  两格起"]),
        ("一二 三", 4, ["一二", "三"]),
        ("一二三一二三", 5, ["一二", "三一", "二三"]),
        ("身份证/居住证", 6, ["身份", "证/居", "住证"]),
    ],
)
def test_lines_end_where_a_reader_expects(text: str, cells: int, expected: list[str]) -> None:
    assert lines(text, cells) == expected


@given(st.text(), st.integers(2, 48))
def test_no_line_is_wider_than_the_paper_and_no_character_is_lost(text: str, cells: int) -> None:
    given_marks = marks(normalise(text).replace("\n", ""))
    wrapped = wrap(given_marks, cells)
    assert all(width(line) <= cells for line in wrapped)
    kept = [one for line in wrapped for one in line if one.char != " "]
    assert kept == [one for one in given_marks if one.char != " "]


WORDS = st.sampled_from(
    ["一", "十二", "（三）", "四，", "《五》、", "“六”。", "12页", "2026年12月4日", "ab ", "￥12.50"]
)


@example("十二ab ￥12.50￥12.502026年12月4日", 16)
@example("一ab ￥12.50￥12.502026年12月4日", 16)
@given(st.lists(WORDS, max_size=40).map("".join), st.integers(16, 48))
def test_no_line_begins_with_a_comma_or_ends_with_an_opening_bracket(text: str, cells: int) -> None:
    wrapped = lines(text, cells)
    assert [line for line in wrapped[1:] if line[:1] in NO_START and line] == []
    assert [line for line in wrapped[:-1] if line[-1:] in NO_END] == []

"""The 收件回执 says what it must, refuses when it cannot, and looks the same on both widths of paper."""

from datetime import date, datetime, timedelta, timezone

import msgspec
import pytest

from appliance.paper import plain, slips
from appliance.paper.document import Document
from appliance.paper.glyphs import Glyphs
from appliance.paper.layout import lay_out
from appliance.paper.sheet import Code, Line
from appliance.paper.slips import FieldsMissing, Material, ReceiptFields, receipt

FIELDS = ReceiptFields(
    materials=(Material("有效身份证件", 2), Material("《城乡居民基本医疗保险参保登记表》", 1)),
    pick_up=date(2026, 12, 14),
    pick_up_is="sure",
    clerk_name="王敏",
    clerk_number="0107",
    number="20261122-0003",
    item="城乡居民参保登记",
    applicant="张*",
    received=datetime(2026, 11, 22, 9, 5, tzinfo=timezone(timedelta(hours=8))),
    station="梅溪乡医疗保障服务站",
    window="1号窗口",
    promised_days=15,
    telephone="0730-1234567",
    complaint_telephone="12393",
)


def text(document: Document, cells: int = 32) -> str:
    return plain.paint(lay_out(document, cells, Glyphs(()).has))


def with_(**changes: object) -> ReceiptFields:
    return msgspec.structs.replace(FIELDS, **changes)


def test_the_receipt_on_58_mm_paper_reads_as_agreed() -> None:
    assert text(receipt(FIELDS)) == (
        "       中国医保 一生守护\n"
        "      梅溪乡医疗保障服务站\n"
        "        收件回执\n"
        "━━━━━━━━━━━━━━━━\n"
        "            回执编号\n"
        "   20261122-0003\n"
        "────────────────\n"
        "办理事项：城乡居民参保登记\n"
        "申 请 人：张*\n"
        "收件时间：2026年11月22日 09:05\n"
        "办件类型：承诺件（15个工作日）\n"
        "────────────────\n"
        "   收到材料                 页数\n"
        " 1 有效身份证件                2\n"
        " 2 《城乡居民基本医疗保险参    1\n"
        "   保登记表》\n"
        "                       共2种 3页\n"
        "────────────────\n"
        "      办结取件时间（最迟）\n"
        "  2026年12月14日\n"
        "────────────────\n"
        "经 办 人：王敏（工号 0107）\n"
        "办理窗口：1号窗口\n"
        "咨询电话：0730-1234567\n"
        "投诉电话：12393\n"
        "────────────────\n"
        "本回执仅证明已收到上述材料，不是\n"
        "受理凭证。\n"
        "请核对材料和页数，取件时请带上本\n"
        "回执。\n"
        "[二维码 20261122-0003]\n"
        "经办人签字：________________\n"
        "\n"
        "申请人签字：________________\n"
        "\n"
        "              收件单位（盖章处）\n"
        "\n\n\n\n"
    )


@pytest.mark.parametrize("cells", [32, 48])
def test_number_and_day_stand_large_in_one_line_on_either_paper(cells: int) -> None:
    sheet = lay_out(receipt(FIELDS), cells, Glyphs(()).has)
    large = ["".join(m.char for m in row.marks) for row in sheet.rows if isinstance(row, Line) and row.size == "large"]
    assert large == ["收件回执", "20261122-0003", "2026年12月14日"]
    assert [row.payload for row in sheet.rows if isinstance(row, Code)] == ["20261122-0003"]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"pick_up": None, "pick_up_is": "at_once", "promised_days": 0}, ["即时办结", "即办件"]),
        ({"pick_up": None, "pick_up_is": "tentative"}, ["暂定", "节假日安排尚未公布"]),
        ({"pick_up_is": "tentative"}, ["2026年12月14日", "暂定"]),
        ({"pick_up_is": "entered", "promised_days": None}, ["2026年12月14日", "办件类型：承诺件\n"]),
        ({"copy": 2}, ["补打 第2次"]),
    ],
)
def test_the_day_is_said_as_surely_as_it_is_known(changes: dict[str, object], said: list[str]) -> None:
    paper = text(receipt(with_(**changes)))
    assert [one for one in said if one not in paper] == []


def test_the_first_print_is_no_reprint() -> None:
    assert "补打" not in text(receipt(FIELDS))


@pytest.mark.parametrize(
    ("changes", "fields", "sentence"),
    [
        ({"materials": ()}, ("materials",), "缺少：收到的材料"),
        ({"materials": (Material(" ", 1),)}, ("materials",), "缺少：收到的材料"),
        ({"materials": (Material("身份证", None),)}, ("pages",), "材料“身份证”的页数"),
        ({"materials": (Material("身份证", 0), Material("户口簿", 1))}, ("pages",), "材料“身份证”的页数"),
        ({"pick_up": None}, ("pick_up",), "办结取件时间"),
        ({"pick_up": None, "pick_up_is": "entered"}, ("pick_up",), "办结取件时间"),
        ({"clerk_name": ""}, ("clerk",), "经办人姓名和工号"),
        ({"clerk_number": " "}, ("clerk",), "经办人姓名和工号"),
        ({"number": ""}, ("number",), "回执编号"),
        ({"applicant": "", "station": ""}, ("applicant", "station"), "申请人、收件单位"),
    ],
)
def test_a_receipt_that_lacks_something_is_refused_and_says_what(
    changes: dict[str, object], fields: tuple[str, ...], sentence: str
) -> None:
    with pytest.raises(FieldsMissing, match=sentence) as refused:
        receipt(with_(**changes))
    assert refused.value.fields == fields


def test_a_reprint_says_so_and_how_often_and_is_otherwise_the_same_paper() -> None:
    first, again = text(receipt(FIELDS)).splitlines(), text(receipt(with_(copy=3))).splitlines()
    (mark,) = [line for line in again if line not in first]
    assert "补打" in mark
    assert "3" in mark
    assert [line for line in again if line != mark] == first


@pytest.mark.parametrize("cells", [32, 48])
def test_the_self_test_shows_rare_names_signs_and_a_ruler_to_the_edge(cells: int) -> None:
    sheet = lay_out(slips.self_test(cells), cells, Glyphs().has)
    paper = plain.paint(sheet)
    assert "王㛃 龚䶮 刘𬭎 𠮷田" in paper
    assert "×—·“”￥" in paper
    assert sheet.missing == ()
    full = [row for row in sheet.rows if isinstance(row, Line) and row.cells == cells]
    assert len(full) >= 4
    assert ("1234567890" * 5)[:cells] in paper.splitlines()


def test_a_long_number_stands_tall_in_one_line_rather_than_large_in_two() -> None:
    fields = msgspec.structs.replace(FIELDS, number="0107-1-20261122-6D001")
    rows = [row for row in lay_out(receipt(fields), 32, lambda _: True).rows if isinstance(row, Line)]
    (number,) = [row for row in rows if "0107-1-2026" in "".join(mark.char for mark in row.marks)]
    assert "".join(mark.char for mark in number.marks) == "0107-1-20261122-6D001"
    assert number.size == "tall"

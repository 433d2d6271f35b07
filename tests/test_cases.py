"""Taking in materials: a whole form gives a receipt, a form with faults gives every fault beside its field."""

from datetime import date, datetime
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.documents import shipped
from appliance.window.cases import PickUp, asks_pick_up, material_field, receive, work_out
from appliance.window.catalogue import Item, Level, read_catalogue
from appliance.window.dating import Today, day_of
from appliance.window.facts import CaseReceived, Handed
from appliance.window.happenings import MaterialsArrive
from appliance.window.moment import CHINA, Moment
from appliance.window.refusal import Refused
from appliance.window.view import Clerk
from appliance.window.workdays import published

CATALOGUE = read_catalogue(shipped("catalogue"))
CALENDAR = published()
WANG = Clerk("0107", "王敏")


def moment(day: str = "2026-09-18") -> Moment:
    return Moment(datetime.fromisoformat(f"{day}T09:10:00").replace(tzinfo=CHINA), "boot", 381.2, True)


def item(key: str) -> Item:
    found = CATALOGUE.item(key)
    assert found is not None
    return found


def all_required(key: str, pages: int | None = 2) -> tuple[Handed, ...]:
    return tuple(Handed(material.name, pages) for material in item(key).materials if material.required)


def take_in(key: str = "zybx", level: Level = "township", **fields: Any) -> CaseReceived:
    materials = fields.pop("materials", None)
    if materials is None:
        materials = all_required(key) if CATALOGUE.item(key) else (Handed("身份证", 1),)
    today = fields.pop("today", None)
    form = {"at": moment(), "form": "f-1", "item": key, "applicant": "张三", "materials": materials, **fields}
    return receive(
        MaterialsArrive(**form),
        catalogue=CATALOGUE,
        level=level,
        calendar=CALENDAR,
        today=today or Today(day_of(form["at"]), sure=True),
        clerk=WANG,
        number="430602-0107-1-20260918-003",
        paper="20260918-003",
        visit="20260918-0009",
    )


def faults(key: str = "zybx", level: Level = "township", **fields: Any) -> dict[str, str]:
    with pytest.raises(Refused) as refused:
        take_in(key, level, **fields)
    assert refused.value.code == "form_incomplete"
    return refused.value.fields


def test_a_whole_form_gives_everything_a_receipt_must_say() -> None:
    fact = take_in("mtb")
    assert fact == CaseReceived(
        case="430602-0107-1-20260918-003",
        item="mtb",
        item_name="门诊慢特病病种待遇认定",
        catalogue="draft-2026-01",
        applicant="张*",
        received=moment().at,
        materials=all_required("mtb"),
        promised_days=20,
        due=date(2026, 10, 22),
        due_is="sure",
        clerk="0107",
        clerk_name="王敏",
        paper="20260918-003",
        form="f-1",
        visit="20260918-0009",
    )


@pytest.mark.parametrize("name", ["张", "买买提·吐尔逊", "O'Neil", "Anna Li", "欧阳𠮷", "\ue863某"])
def test_what_may_be_a_name_is_taken(name: str) -> None:
    assert take_in(applicant=name).applicant


def test_the_full_name_stays_behind() -> None:
    fact = take_in(applicant="欧阳娜娜")
    assert fact.applicant == "欧阳*"
    assert "娜" not in msgspec.json.encode(fact).decode()


def test_a_matter_done_at_once_has_no_day() -> None:
    fact = take_in("cbpz", level="village")
    assert (fact.promised_days, fact.due, fact.due_is) == (0, None, "at_once")


def test_a_pick_up_day_that_nobody_asked_for_is_ignored() -> None:
    assert take_in("cbpz", pick_up=date(2026, 9, 20)).due is None
    assert take_in("mtb", pick_up=date(1999, 1, 1)).due == date(2026, 10, 22)


def test_beyond_the_tables_the_day_is_tentative() -> None:
    late = moment(f"{max(CALENDAR.years)}-12-15")
    fact = take_in("mtb", at=late)
    assert fact.due_is == "tentative"
    assert fact.due is not None
    assert fact.due.year == late.at.year + 1


def test_the_day_of_receipt_is_the_day_in_china() -> None:
    before_midnight_utc = Moment(datetime.fromisoformat("2026-09-17T20:00:00+00:00"), "boot", 1.0, True)
    assert take_in("mtb", at=before_midnight_utc).due == take_in("mtb", at=moment("2026-09-18")).due


def test_without_a_promise_the_clerk_s_own_day_stands() -> None:
    assert asks_pick_up(item("lbing"))
    assert not asks_pick_up(item("mtb"))
    fact = take_in("lbing", pick_up=date(2026, 9, 24))
    assert (fact.promised_days, fact.due, fact.due_is) == (None, date(2026, 9, 24), "entered")


@pytest.mark.parametrize(
    ("pick_up", "fault"),
    [
        (None, "missing"),
        (date(2026, 9, 17), "past"),
        (date(2026, 9, 18), "past"),
        (date(2026, 9, 19), "rest_day"),
        (date(2026, 9, 25), "rest_day"),
        (date(2026, 10, 1), "rest_day"),
        (date(2027, 1, 1), "rest_day"),
        (date(2027, 10, 11), "too_far"),
        (date(9999, 12, 31), "too_far"),
    ],
)
def test_the_clerk_s_own_day_has_to_be_one_on_which_the_window_is_open(pick_up: date | None, fault: str) -> None:
    assert faults("lbing", pick_up=pick_up) == {"pick_up": fault}


@pytest.mark.parametrize("pick_up", [date(2026, 9, 20), date(2026, 9, 21), date(2026, 10, 10), date(2027, 9, 17)])
def test_a_make_up_day_and_a_far_day_are_taken(pick_up: date) -> None:
    assert take_in("lbing", pick_up=pick_up).due == pick_up


@pytest.mark.parametrize(
    "name", ["王㛃", "龚䶮", "刘𬭎", "𠮷田", "阿卜杜拉·买买提", "Đặng Văn A", "O'Brien-Li", "\U00031350某", "名" * 40]
)
def test_rare_and_foreign_names_are_names(name: str) -> None:
    assert take_in(applicant=name).applicant.endswith("*")


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("", "missing"),
        (" \u3000\t", "missing"),
        ("名" * 41, "too_long"),
        (" " * 1_000_000 + "张三", "too_long"),
        ("张\x1b@三", "control"),
        ("张\n三", "control"),
        ("张\x00三", "control"),
        ("张\u202e三", "control"),
        ("张\u200b三", "control"),
        ("张\ud800三", "control"),
        ("张\u2028三", "control"),
        ("430602199001011234", "digits"),
        ("张三4", "digits"),
        ("张三\uff14", "digits"),
        *((name, "symbols") for name in ("·", "<b>x</b>", "😀", "张😀", "（）")),
    ],
)
def test_what_is_no_name_is_refused(name: str, fault: str) -> None:
    assert faults(applicant=name) == {"applicant": fault}


def test_nothing_ticked_names_what_is_required() -> None:
    found = faults("mtb", materials=())
    assert found == {
        "materials": "none",
        material_field("有效身份证件或医保电子凭证或社会保障卡"): "required",
        material_field("《基本医疗保险门诊慢特病病种待遇认定申请表》"): "required",
        material_field("病历资料、检查检验报告等"): "required",
    }


@pytest.mark.parametrize("missing", [material.name for material in item("zybx").materials if material.required])
def test_each_required_material_is_missed(missing: str) -> None:
    handed = tuple(one for one in all_required("zybx") if one.name != missing)
    assert faults("zybx", materials=handed) == {material_field(missing): "required"}


@pytest.mark.parametrize(
    ("pages", "fault"),
    [(None, "pages_missing"), (0, "pages_range"), (-1, "pages_range"), (1000, "pages_range"), (10**30, "pages_range")],
)
def test_pages_of_a_ticked_material_have_to_be_given(pages: int | None, fault: str) -> None:
    first, *others = all_required("zybx")
    handed = (Handed(first.name, pages), *others)
    assert faults(materials=handed) == {material_field(first.name): fault}


@pytest.mark.parametrize("pages", [1, 999])
def test_the_outermost_numbers_of_pages_are_taken(pages: int) -> None:
    assert {one.pages for one in take_in(materials=all_required("zybx", pages)).materials} == {pages}


def test_a_material_that_is_not_always_required_may_be_left_out_or_handed_in() -> None:
    extra = Handed("急诊抢救记录", 3)
    assert extra in take_in(materials=(*all_required("zybx"), extra)).materials
    assert faults(materials=(*all_required("zybx"), Handed("急诊抢救记录", None))) == {
        material_field("急诊抢救记录"): "pages_missing"
    }


def test_materials_of_another_matter_and_doubled_ones_are_refused() -> None:
    handed = all_required("zybx")
    assert faults(materials=(*handed, Handed("结婚证", 1))) == {"materials": "unknown"}
    assert faults(materials=(*handed, handed[0])) == {"materials": "twice"}


def test_a_flood_of_materials_comes_back_as_few_words() -> None:
    flood = tuple(Handed(f"材料{n}", -1) for n in range(10_000))
    found = faults(materials=flood)
    assert found["materials"] == "unknown"
    assert len(found) <= 1 + len(item("zybx").materials)


def test_a_village_does_not_take_in_what_only_a_township_may() -> None:
    assert faults("zybx", level="village") == {"item": "other_level"}
    assert faults("unknown") == {"item": "unknown"}


@pytest.mark.parametrize("form", ["", "x" * 65, "a\nb", "表单"])
def test_a_form_without_its_mark_is_refused(form: str) -> None:
    assert faults(form=form) == {"form": "bad"}


def test_every_fault_comes_at_once() -> None:
    assert faults("lbing", applicant="", materials=all_required("lbing", None), pick_up=date(2026, 9, 1)) == {
        "applicant": "missing",
        "pick_up": "past",
        **{material_field(one.name): "pages_missing" for one in all_required("lbing")},
    }


def test_the_panel_can_show_the_day_before_anything_is_sent() -> None:
    assert work_out(item("mtb"), Today(date(2026, 9, 18), sure=True), None, CALENDAR) == PickUp(
        date(2026, 10, 22), "sure"
    )
    assert work_out(item("jmcbdj"), Today(date(2026, 9, 18), sure=True), None, CALENDAR) == PickUp(None, "at_once")


CODES = {
    *("unknown", "other_level", "missing", "too_long", "control", "digits", "symbols", "none", "twice", "required"),
    *("pages_missing", "pages_range", "past", "rest_day", "too_far"),
}
HANDED = st.builds(
    Handed,
    st.sampled_from([*(material.name for material in item("mtb").materials), "结婚证"]),
    st.none() | st.integers(-5, 1005),
)


@given(
    key=st.sampled_from([*(item.key for item in CATALOGUE.items), "x"]),
    level=st.sampled_from(["township", "village"]),
    applicant=st.text(max_size=45),
    materials=st.lists(HANDED, max_size=6).map(tuple),
    pick_up=st.none() | st.dates(date(2026, 9, 1), date(2027, 12, 31)),
)
def test_whatever_is_sent_there_is_a_receipt_or_a_list_of_known_faults(
    key: str, level: Level, applicant: str, materials: tuple[Handed, ...], pick_up: date | None
) -> None:
    outcome = receipt_or_faults(key, level, applicant=applicant, materials=materials, pick_up=pick_up)
    if isinstance(outcome, dict):
        assert outcome
        assert set(outcome.values()) <= CODES
        return
    assert outcome.materials == materials
    assert all(one.pages for one in outcome.materials)
    assert outcome.due is None or outcome.due > date(2026, 9, 18)
    assert (outcome.due is None) == (outcome.due_is == "at_once")
    assert applicant.strip() not in outcome.applicant or "*" in applicant


def receipt_or_faults(key: str, level: Level, **fields: Any) -> CaseReceived | dict[str, str]:
    try:
        return take_in(key, level, **fields)
    except Refused as refused:
        return refused.fields


def test_by_the_clerk_s_word_the_day_is_counted_and_every_day_found_is_tentative() -> None:
    """The clock stands in 2021; whatever is printed follows the day that the clerk has said."""
    stated = Today(date(2026, 9, 18), sure=False)
    fact = take_in("mtb", at=moment("2021-04-01"), today=stated)
    assert (fact.received.date(), fact.dated) == (date(2026, 9, 18), "clerk")
    assert (fact.due, fact.due_is) == (date(2026, 10, 22), "tentative")
    entered = take_in("lbing", at=moment("2021-04-01"), today=stated, pick_up=date(2026, 9, 21))
    assert (entered.due, entered.due_is) == (date(2026, 9, 21), "tentative")
    assert take_in("cbpz", "village", today=stated).due_is == "at_once"

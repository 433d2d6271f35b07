"""The catalogue: what is shipped, what a level sees of it, and what is refused."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from appliance.documents import shipped
from appliance.window.catalogue import UNIFIED, Catalogue, CatalogueWrong, Item, read_catalogue

VILLAGE = ["参保登记", "参保信息变更", "参保信息查询", "出具参保凭证", "医疗救助"]
TOWNSHIP = [*VILLAGE, "异地就医备案", "门诊费用报销", "住院费用报销", "慢特病认定", "“两病”认定"]


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    return read_catalogue(shipped("catalogue"))


def changed(change: Callable[[dict[str, Any]], object]) -> bytes:
    document = json.loads(shipped("catalogue"))
    change(document)
    return json.dumps(document, ensure_ascii=False).encode()


def item(catalogue: Catalogue, key: str) -> Item:
    found = catalogue.item(key)
    assert found is not None
    return found


def test_a_township_handles_ten_matters_and_a_village_five(catalogue: Catalogue) -> None:
    assert [item.short for item in catalogue.for_level("township")] == TOWNSHIP
    assert [item.short for item in catalogue.for_level("village")] == VILLAGE


def test_the_shipped_catalogue_is_not_the_county_s_word(catalogue: Catalogue) -> None:
    assert not catalogue.confirmed
    assert catalogue.version == "draft-2026-01"


def test_the_village_has_no_first_review(catalogue: Catalogue) -> None:
    aid = item(catalogue, "yljz")
    assert aid.scope["township"] == ("受理", "初审", "上报")
    assert aid.scope["village"] == ("申请", "受理", "上报")


def test_promises_are_at_once_or_a_number_or_unknown(catalogue: Catalogue) -> None:
    promises = {item.key: item.promised_working_days for item in catalogue.items}
    assert promises == {
        **dict.fromkeys(("jmcbdj", "jmcbbg", "cbcx", "cbpz", "ydba"), 0),
        **dict.fromkeys(("yljz", "mzbx", "zybx"), 30),
        "mtb": 20,
        "lbing": None,
    }
    assert all(item.at_once == (item.promised_working_days == 0) for item in catalogue.items)


def test_a_code_not_yet_given_reads_as_such(catalogue: Catalogue) -> None:
    assert item(catalogue, "cbpz").code == "002036003001"
    assert item(catalogue, "jmcbdj").code == "待定"


def test_materials_say_whether_when_and_how(catalogue: Catalogue) -> None:
    register = item(catalogue, "jmcbdj")
    form = register.material("《城乡居民基本医疗保险参保登记表》")
    birth = register.material("出生医学证明")
    assert form is not None
    assert form.required
    assert birth is not None
    assert not birth.required
    assert birth.condition == "新生儿尚未落户（各地做法不同）"
    assert register.material("不存在的材料") is None
    assert all(any(material.required for material in item.materials) for item in catalogue.items)


@pytest.mark.parametrize("field", UNIFIED)
def test_an_item_without_one_of_the_six_fields_is_refused(field: str) -> None:
    with pytest.raises(CatalogueWrong, match=rf"item mzbx: {field} is missing"):
        read_catalogue(changed(lambda document: document["body"]["items"][6].pop(field)))


def of_item(number: int, **fields: object) -> Callable[[dict[str, Any]], object]:
    return lambda document: document["body"]["items"][number].update(fields)


WRONG: list[tuple[Callable[[dict[str, Any]], object], str]] = [
    (lambda d: d.update(name="calendar"), "calendar"),
    (lambda d: d.pop("version"), "version"),
    (lambda d: d["body"].pop("confirmed"), "confirmed"),
    (lambda d: d["body"].update(items=[]), "no item"),
    (lambda d: d["body"].update(confirmed=True), "jmcbdj: service_standard is empty"),
    (lambda d: d["body"]["items"].append(d["body"]["items"][0]), "jmcbdj: key stands twice"),
    (of_item(0, name=""), "jmcbdj: .*name"),
    (of_item(0, name="登记\x1b@"), "jmcbdj: .*name"),
    (of_item(0, key="../x"), "key"),
    (of_item(0, kind="上报件"), "kind"),
    (of_item(0, promised_working_days=5), "即办件 and a promise of 5 days"),
    (of_item(6, promised_working_days=0), "承诺件 and a promise of 0 days"),
    (of_item(6, promised_working_days=-1), "promised_working_days"),
    (of_item(6, promised_working_days=2000), "promised_working_days"),
    (of_item(6, promised_working_days="30"), "promised_working_days"),
    (of_item(0, levels=[]), "scope"),
    (of_item(0, levels=["township"]), "scope must give the steps"),
    (of_item(0, scope={"township": [], "village": ["受理"]}), "scope must give the steps"),
    (of_item(0, levels=["county"]), "levels"),
    (of_item(0, materials=[]), "materials is empty"),
    (of_item(0, materials=[{"name": "身份证"}]), "required"),
    (of_item(0, materials=[{"name": "身份证", "required": True}] * 2), "same material twice"),
]


@pytest.mark.parametrize(("change", "says"), WRONG)
def test_a_catalogue_that_cannot_be_used_is_one_sentence(change: Callable[[dict[str, Any]], object], says: str) -> None:
    with pytest.raises(CatalogueWrong, match=says) as wrong:
        read_catalogue(changed(change))
    assert "\n" not in str(wrong.value)


@pytest.mark.parametrize("document", [b"", b"{", b"[]", b"\xff\xfe", b'{"name": "catalogue"}', b"[" * 100_000])
def test_what_is_no_document_is_refused(document: bytes) -> None:
    with pytest.raises(CatalogueWrong, match="catalogue"):
        read_catalogue(document)


def test_a_county_confirms_by_filling_in_the_standard() -> None:
    def confirm(document: dict[str, Any]) -> None:
        document["version"] = "2026-02"
        document["body"]["confirmed"] = True
        for raw in document["body"]["items"]:
            raw["service_standard"] = "首问负责、一次性告知"

    catalogue = read_catalogue(changed(confirm))
    assert catalogue.confirmed
    assert catalogue.version == "2026-02"

"""The forms of the clerk's panel: every field bounded, the sentence beside the field, what was typed kept."""

import re
from collections.abc import Iterator
from datetime import date
from html import unescape

import pytest
from flask.testing import FlaskClient

from appliance.counter import Counter
from appliance.panel import phrases
from appliance.window.facts import CaseReceived
from appliance.window.happenings import ClerkArrives
from tests.ground_panel import PanelGround

ORIGIN = {"Origin": "http://localhost"}
KNOWN, UNKNOWN, PROMISED = "jmcbdj", "lbing", "yljz"
"""An item done at once, one whose promise nobody gave, and one of 30 working days."""


@pytest.fixture
def client(counter: Counter) -> Iterator[FlaskClient]:
    ground = PanelGround(counter, served=False)
    ground.happens(ClerkArrives, number="0107")
    yield ground.panel.app.test_client()
    ground.close()


def filled(**changed: str | None) -> dict[str, str]:
    """A form without a fault for KNOWN; None takes a field away."""
    fields: dict[str, str | None] = {
        "form": "a1b2c3",
        "applicant": "张三",
        "tick0": "on",
        "pages0": "1",
        "tick1": "on",
        "pages1": "2",
        **changed,
    }
    return {name: value for name, value in fields.items() if value is not None}


def send(client: FlaskClient, key: str, fields: dict[str, str]) -> tuple[int, str]:
    answer = client.post(f"/receipt/{key}", data=fields, headers=ORIGIN)
    return answer.status_code, unescape(answer.get_data(as_text=True))


def row(page: str, number: int) -> str:
    """The part of the page that is one material's."""
    return page.split(f'name="name{number}"')[1].split("</li>")[0]


def test_a_whole_form_is_received_and_leads_to_its_paper(client: FlaskClient, counter: Counter) -> None:
    answer = client.post(f"/receipt/{KNOWN}", data=filled(), headers=ORIGIN)
    paper = counter.ledger.papers()[0]
    assert (answer.status_code, answer.headers["Location"]) == (303, f"/papers/{paper.paper}")
    assert [(one.name[:6], one.pages) for one in paper.content.materials] == [("有效身份证件", 1), ("《城乡居民基", 2)]


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"applicant": ""}, "请填写申请人姓名。"),
        ({"applicant": "   "}, "请填写申请人姓名。"),
        ({"applicant": "张" * 41}, "姓名太长，请不超过 40 个字。"),
        ({"applicant": "张三3"}, "姓名里不能有数字。"),
        ({"applicant": "张\x1b@三"}, "姓名里有不能打印的字符，请重新输入。"),
        ({"form": None}, "页面已过期，请返回后重新填写。"),
        ({"form": "表" * 10}, "页面已过期，请返回后重新填写。"),
        ({"tick0": None, "pages0": "", "tick1": None, "pages1": ""}, "还没有勾选收到的材料。"),
        ({"name0": "别的材料"}, "材料清单已更新，请返回后重新选择事项。"),
    ],
)
def test_each_fault_of_the_form_has_its_sentence(
    client: FlaskClient, counter: Counter, changed: dict[str, str | None], sentence: str
) -> None:
    code, page = send(client, KNOWN, filled(**changed))
    assert code == 409
    assert sentence in page
    assert phrases.NOTHING_RECEIVED in page
    assert counter.ledger.papers() == []


@pytest.mark.parametrize(
    ("pages", "sentence"),
    [
        ("", "请填写页数。"),
        ("0", "页数请填 1 到 999 的整数。"),
        ("-1", "页数请填 1 到 999 的整数。"),
        ("1000", "页数请填 1 到 999 的整数。"),
        ("2.5", "页数请填 1 到 999 的整数。"),
        ("两页", "页数请填 1 到 999 的整数。"),
        ("9" * 5000, "页数请填 1 到 999 的整数。"),
    ],
)
def test_wrong_pages_are_told_at_their_material_and_at_no_other(client: FlaskClient, pages: str, sentence: str) -> None:
    code, page = send(client, KNOWN, filled(pages0=pages))
    assert code == 409
    assert sentence in row(page, 0)
    assert 'class="wrong"' not in row(page, 1)


def test_a_required_material_that_is_missing_is_named(client: FlaskClient) -> None:
    page = send(client, KNOWN, filled(tick1=None, pages1=None))[1]
    assert "这是必收材料，还没有收到。" in row(page, 1)
    assert 'class="wrong"' not in row(page, 0)


@pytest.mark.parametrize(
    ("day", "sentence"),
    [
        (("", "", ""), "请选择取件日期。"),
        (("2026", "12", ""), "请选择取件日期。"),
        (("2027", "2", "30"), "没有这一天，请重新选择。"),
        (("2026", "11", "23"), "取件日期要晚于今天。"),
        (("2026", "11", "28"), "这一天不是工作日，请另选一天。"),
        (("2029", "1", "8"), "取件日期不能晚于一年之后。"),
        (("两千", "x", "y"), "没有这一天，请重新选择。"),
    ],
)
def test_a_pick_up_day_is_checked_where_the_clerk_has_to_enter_it(
    client: FlaskClient, day: tuple[str, str, str], sentence: str
) -> None:
    fields = filled(tick2="on", pages2="1") | dict(zip(("year", "month", "day"), day, strict=True))
    code, page = send(client, UNKNOWN, fields)
    assert code == 409
    assert sentence in page


def test_a_pick_up_day_that_is_right_stands_in_the_fact(client: FlaskClient, counter: Counter) -> None:
    fields = filled(tick2="on", pages2="1", year="2026", month="12", day="3")
    assert send(client, UNKNOWN, fields)[0] == 303
    assert counter.ledger.papers()[0].content.due == date(2026, 12, 3)


def test_the_day_is_only_asked_for_where_the_promise_is_unknown(client: FlaskClient) -> None:
    asks = {
        key: 'name="year"' in client.get(f"/receipt/{key}").get_data(as_text=True) for key in (KNOWN, UNKNOWN, PROMISED)
    }
    assert asks == {KNOWN: False, UNKNOWN: True, PROMISED: False}


def test_what_was_typed_is_kept_and_cannot_become_a_tag(client: FlaskClient) -> None:
    fields = filled(applicant='<b>"三"3', pages0="x", pages1="7", tick2="on", pages2="", year="2027", month="5")
    code, page = send(client, UNKNOWN, fields)
    assert code == 409
    assert "<b>" not in client.post(f"/receipt/{UNKNOWN}", data=fields, headers=ORIGIN).get_data(as_text=True)
    assert 'value="<b>"三"3"' in page
    assert 'value="x"' in row(page, 0)
    assert 'value="7"' in row(page, 1)
    assert "checked" in row(page, 2)
    assert re.search(r'value="2027" selected', page)
    assert re.search(r'value="5" selected', page)
    assert 'value="a1b2c3"' in page


def test_pages_without_a_tick_are_asked_about_and_never_printed_as_received(
    client: FlaskClient, counter: Counter
) -> None:
    code, page = send(client, KNOWN, filled(tick1=None))
    assert code == 409
    assert "填了页数，但没有打勾" in page
    assert counter.ledger.papers() == []


def test_the_full_name_is_nowhere_once_the_form_is_received(client: FlaskClient, counter: Counter) -> None:
    assert send(client, KNOWN, filled(applicant="欧阳锦绣"))[0] == 303
    papers = client.get("/papers").get_data(as_text=True)
    paper = client.get(f"/papers/{counter.ledger.papers()[0].paper}").get_data(as_text=True)
    events = counter.ledger.unsent(100)
    for text in (papers, paper, *(one.payload.decode() for one in events)):
        assert "锦绣" not in text
    assert "欧阳*" in papers
    for file in counter.ledger.path.parent.glob("ledger.db*"):
        assert "锦绣".encode() not in file.read_bytes()


@pytest.mark.parametrize("key", ["nothing", "../etc", "JMCBDJ"])
def test_an_item_that_there_is_not_is_no_page(client: FlaskClient, key: str) -> None:
    assert client.get(f"/receipt/{key}").status_code == 404
    assert client.post(f"/receipt/{key}", data=filled(), headers=ORIGIN).status_code == 404


def test_every_material_is_shown_with_its_condition_and_note(client: FlaskClient, counter: Counter) -> None:
    for item in counter.rules.catalogue.for_level("township"):
        page = unescape(client.get(f"/receipt/{item.key}").get_data(as_text=True))
        for number, material in enumerate(item.materials):
            part = row(page, number)
            assert material.name in part
            assert (phrases.REQUIRED if material.required else phrases.OPTIONAL) in part
            assert material.note in part
            assert (material.condition or "") in part


# ---- 暂时离开 -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"back": "20"}, "请选择离开原因。"),
        ({"reason": "随便", "back": "20"}, "请选择离开原因。"),
        ({"reason": "就餐", "back": "7"}, "请选择预计返回时间。"),
        ({"reason": "就餐", "back": "at"}, "请填写返回的时间。"),
        ({"reason": "就餐", "back": "at", "hour": "25", "minute": "0"}, "请填写返回的时间。"),
        ({"reason": "就餐", "back": "at", "hour": "8", "minute": "30"}, "预计返回时间要晚于现在。"),
    ],
)
def test_a_wrong_absence_is_told_beside_its_field(
    client: FlaskClient, counter: Counter, fields: dict[str, str], sentence: str
) -> None:
    answer = client.post("/away", data=fields, headers=ORIGIN)
    page = answer.get_data(as_text=True)
    assert answer.status_code == 400
    assert sentence in page
    assert counter.view().away is None
    if fields.get("reason") == "就餐":
        assert 'value="就餐" checked' in page


@pytest.mark.parametrize(
    ("fields", "back"),
    [
        ({"back": "20"}, "9:20"),
        ({"back": "at", "hour": "10", "minute": "35"}, "10:35"),
        ({"back": "unknown"}, None),
    ],
)
def test_an_absence_says_why_and_until_when(
    client: FlaskClient, counter: Counter, fields: dict[str, str], back: str | None
) -> None:
    assert client.post("/away", data={"reason": "取材料", **fields}, headers=ORIGIN).status_code == 303
    away = counter.view().away
    assert away is not None
    assert away.reason == "取材料"
    assert (phrases.clock(away.expected_back) if away.expected_back else None) == back


def test_a_fact_of_the_form_is_the_whole_of_it(client: FlaskClient, counter: Counter) -> None:
    assert (
        send(client, PROMISED, filled() | {f"tick{n}": "on" for n in range(8)} | {f"pages{n}": "1" for n in range(8)})[
            0
        ]
        == 303
    )
    case: CaseReceived = counter.ledger.papers()[0].content
    assert (case.promised_days, case.due_is, case.applicant) == (30, "tentative", "张*")

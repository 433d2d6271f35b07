"""One touch each on the clerk's panel, and the papers: what happens, what is refused, that nothing happens twice."""

from collections.abc import Iterator
from datetime import timedelta

import pytest
from flask.testing import FlaskClient

from appliance.counter import Counter
from appliance.panel import phrases
from appliance.window.happenings import ClerkArrives, PaperMoves, SwitchReads, VisitBegins
from appliance.window.moment import CHINA
from tests.conftest import HandClock
from tests.ground_panel import PanelGround

JSON = {"Origin": "http://localhost", "Accept": "application/json"}
FORM = {"Origin": "http://localhost"}
RECEIPT = {"applicant": "李四", "tick0": "on", "pages0": "1", "tick1": "on", "pages1": "2"}


@pytest.fixture
def ground(counter: Counter) -> Iterator[PanelGround]:
    ground = PanelGround(counter, served=False)
    yield ground
    ground.close()


@pytest.fixture
def client(ground: PanelGround) -> FlaskClient:
    return ground.panel.app.test_client()


def touch(client: FlaskClient, name: str, **fields: str) -> tuple[int, str]:
    answer = client.post(f"/act/{name}", data=fields, headers=JSON)
    assert answer.json is not None
    return answer.status_code, answer.json["sentence"]


def receive(client: FlaskClient, form: str) -> str:
    answer = client.post("/receipt/jmcbdj", data={**RECEIPT, "form": form}, headers=FORM)
    assert answer.status_code == 303
    return answer.headers["Location"].removeprefix("/papers/")


def comes_out(counter: Counter, paper: str, outcome: str, reason: str = "") -> None:
    counter.handle(PaperMoves(at=counter.moment(), paper=paper, outcome=outcome, reason=reason))  # type: ignore[arg-type]


# ---- the window ---------------------------------------------------------------------------------------------------


def test_a_day_at_the_window_touch_by_touch(client: FlaskClient, counter: Counter) -> None:
    states = [counter.view().state]
    for name, fields in (("arrive", {"number": "0107"}), ("begin", {}), ("end", {}), ("begin", {}), ("end", {})):
        assert touch(client, name, **fields) == (200, "")
        states.append(counter.view().state)
    assert states == ["closed", "idle", "serving", "rating", "serving", "rating"]
    assert touch(client, "leave") == (200, "")
    assert counter.view().clerk is None


@pytest.mark.parametrize(
    ("before", "name", "code"),
    [
        ((), "begin", "no_clerk"),
        ((), "leave", "no_clerk"),
        (("arrive",), "end", "not_serving"),
        (("arrive",), "arrive", "already_on_duty"),
        (("arrive",), "back", "not_away"),
        (("arrive", "begin"), "begin", "already_serving"),
        (("arrive", "begin"), "leave", "visit_open"),
    ],
)
def test_a_touch_that_does_not_fit_is_a_sentence_and_changes_nothing(
    client: FlaskClient, counter: Counter, before: tuple[str, ...], name: str, code: str
) -> None:
    for earlier in before:
        touch(client, earlier, number="0107")
    seq = counter.ledger.last_seq
    assert touch(client, name, number="0107") == (409, phrases.REFUSALS[code])
    assert counter.ledger.last_seq == seq


def test_a_clerk_whom_the_window_does_not_know_is_refused(client: FlaskClient) -> None:
    assert touch(client, "arrive", number="9" * 500) == (409, phrases.REFUSALS["clerk_unknown"])


def test_without_a_script_a_refusal_is_a_page_with_the_sentence(client: FlaskClient) -> None:
    answer = client.post("/act/begin", headers=FORM)
    assert answer.status_code == 409
    assert phrases.REFUSALS["no_clerk"] in answer.get_data(as_text=True)
    assert client.post("/act/arrive", data={"number": "0107"}, headers=FORM).status_code == 303


def test_a_touch_that_there_is_not_is_no_page(client: FlaskClient) -> None:
    assert client.post("/act/explode", headers=JSON).status_code == 404


def test_while_the_switch_says_away_the_panel_cannot_come_back(client: FlaskClient, ground: PanelGround) -> None:
    ground.happens(ClerkArrives, number="0107")
    ground.happens(SwitchReads, closed=True)
    assert touch(client, "back") == (409, phrases.SWITCH_HOLDS)
    page = client.get("/").get_data(as_text=True)
    assert phrases.SWITCH_HOLDS in page
    assert 'id="act-back"' not in page


# ---- papers -------------------------------------------------------------------------------------------------------


def test_a_form_sent_twice_is_one_case_and_leads_to_the_same_paper(
    client: FlaskClient, ground: PanelGround, counter: Counter
) -> None:
    ground.happens(ClerkArrives, number="0107")
    assert receive(client, "same") == receive(client, "same")
    assert len(counter.ledger.papers()) == 1
    receive(client, "other")
    assert len(counter.ledger.papers()) == 2


@pytest.mark.parametrize(
    ("outcome", "reason", "sentence"),
    [
        ("confirmed", "", "已打印"),
        ("unconfirmed", "unplugged", "已发送，打印机没有确认，请看纸是否打出"),
        ("failed", "paper_out", "没有打印：打印机缺纸，请装纸"),
        ("failed", "absent", "没有打印：没有找到打印机，请检查电源和连线"),
        ("failed", "something new", "没有打印：打印机不能工作，请检查电源、连线和纸"),
    ],
)
def test_the_clerk_is_told_what_became_of_the_paper(
    client: FlaskClient, ground: PanelGround, counter: Counter, outcome: str, reason: str, sentence: str
) -> None:
    ground.happens(ClerkArrives, number="0107")
    paper = receive(client, "one")
    assert "等待打印" in client.get(f"/papers/{paper}").get_data(as_text=True)
    comes_out(counter, paper, outcome, reason)
    assert f">{sentence}<" in client.get(f"/papers/{paper}").get_data(as_text=True)
    assert f">{sentence}<" in client.get("/papers").get_data(as_text=True)


def again(client: FlaskClient, page: str) -> str:
    """Touch 补打 as the page shows it; where it leads."""
    text = client.get(page).get_data(as_text=True)
    after = text.split('/again"')[1].split('name="after" value="')[1].split('"')[0]
    action = text.split('/again"')[0].rsplit('action="', 1)[1] + "/again"
    answer = client.post(action, data={"after": after}, headers=FORM)
    assert answer.status_code == 303
    return answer.headers["Location"]


def test_a_reprint_touched_twice_prints_once_and_says_which_copy_it_is(
    client: FlaskClient, ground: PanelGround, counter: Counter
) -> None:
    ground.happens(ClerkArrives, number="0107")
    paper = receive(client, "one")
    comes_out(counter, paper, "confirmed")
    shown = client.get(f"/papers/{paper}").get_data(as_text=True)
    after = shown.split('name="after" value="')[1].split('"')[0]
    case = counter.ledger.papers()[0].case
    places = {
        client.post(f"/papers/{case}/again", data={"after": after}, headers=FORM).headers["Location"] for _ in "ab"
    }
    assert len(places) == 1
    assert [one.copy for one in counter.ledger.papers()] == [1, 0]
    assert "补打第 1 次" in client.get(places.pop()).get_data(as_text=True)
    comes_out(counter, counter.ledger.papers()[0].paper, "confirmed")
    assert again(client, "/papers") != ""
    assert [one.copy for one in counter.ledger.papers()] == [2, 1, 0]


def test_a_paper_that_still_prints_cannot_be_printed_again(client: FlaskClient, ground: PanelGround) -> None:
    ground.happens(ClerkArrives, number="0107")
    paper = receive(client, "one")
    assert '<button id="again" class="button" disabled>' in client.get(f"/papers/{paper}").get_data(as_text=True)


def test_a_paper_that_there_is_not_is_no_page(client: FlaskClient) -> None:
    assert client.get("/papers/nothing").status_code == 404
    assert client.post("/papers/nothing/again", headers=FORM).status_code == 404


def test_the_preview_is_the_receipt_line_for_line(client: FlaskClient, ground: PanelGround, counter: Counter) -> None:
    ground.happens(ClerkArrives, number="0107")
    page = client.get(f"/papers/{receive(client, 'one')}").get_data(as_text=True)
    slip = page.split('<pre class="slip">')[1].split("</pre>")[0]
    assert counter.ledger.papers()[0].case.rsplit("-", 1)[0] in slip
    assert "李*" in slip


# ---- what is wrong ------------------------------------------------------------------------------------------------


def test_what_is_not_yet_at_the_county_is_counted(client: FlaskClient, ground: PanelGround) -> None:
    assert phrases.ALL_SENT in client.get("/").get_data(as_text=True)
    ground.happens(ClerkArrives, number="0107")
    ground.happens(VisitBegins)
    ground.link.connected, ground.link.depth = False, 2
    page = client.get("/").get_data(as_text=True)
    assert "未上报 2 条" in page
    assert phrases.UNLINKED in page
    ground.link.depth = 0
    assert phrases.ALL_SENT in client.get("/").get_data(as_text=True)


def test_a_county_that_is_not_there_is_told_from_a_network_that_is_not(
    client: FlaskClient, ground: PanelGround
) -> None:
    ground.link.county = False
    assert phrases.LINKED_NO_COUNTY in client.get("/").get_data(as_text=True)


def test_a_county_that_owes_an_answer_is_neither_connected_nor_cut_off(
    client: FlaskClient, ground: PanelGround
) -> None:
    ground.link.doubt, ground.link.depth = "broker", 2
    page = client.get("/").get_data(as_text=True)
    assert phrases.LINK_DOUBTED in page
    assert "未上报 2 条" in page
    assert phrases.LINKED not in page
    ground.link.doubt = "county"
    assert phrases.LINK_DOUBTED in client.get("/devices").get_data(as_text=True)
    ground.link.county = False
    assert phrases.LINKED_NO_COUNTY in client.get("/").get_data(as_text=True), "it has said that it goes"


def test_while_the_card_takes_nothing_the_panel_is_loud_and_says_so_of_every_touch(
    client: FlaskClient, ground: PanelGround
) -> None:
    ground.happens(ClerkArrives, number="0107")
    ground.fill_card()
    assert touch(client, "begin") == (503, phrases.NOT_KEPT_NOW)
    page = client.get("/").get_data(as_text=True)
    assert phrases.NOT_KEPT in page
    assert phrases.STATES["fault"] in page
    answer = client.post("/receipt/jmcbdj", data={**RECEIPT, "form": "f"}, headers=FORM)
    assert answer.status_code == 503
    text = answer.get_data(as_text=True)
    assert phrases.NOT_KEPT_NOW in text
    assert 'value="李四"' in text
    assert client.post("/away", data={"reason": "就餐", "back": "20"}, headers=FORM).status_code == 503


def test_an_absence_over_midnight_is_shown_with_its_day(
    client: FlaskClient, ground: PanelGround, hand_clock: HandClock
) -> None:
    ground.happens(ClerkArrives, number="0107")
    ground.happens(SwitchReads, closed=True)
    left = hand_clock.wall
    hand_clock.passes(timedelta(days=1).total_seconds())
    page = client.get("/").get_data(as_text=True)
    assert f"{left.astimezone(CHINA).month}月{left.astimezone(CHINA).day}日 9:00" in page

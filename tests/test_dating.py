"""While the clock cannot be trusted the clerk is asked which day it is, and nothing on paper is printed as sure."""

import re
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from typing import Any

import msgspec
import pytest
from flask.testing import FlaskClient

from appliance.counter import Counter
from appliance.fittings import writer_of
from appliance.panel import phrases
from appliance.paper import plain
from appliance.paper.layout import lay_out
from appliance.window.dating import HOLDS_S, Stated, Today, today
from appliance.window.happenings import ClerkArrives, ClerkStatesDay, ClerkStepsAway
from appliance.window.moment import CHINA, Moment
from appliance.window.refusal import Refused
from tests.conftest import HandClock
from tests.ground_panel import SETTINGS, PanelGround

FORM = {"Origin": "http://localhost"}
RECEIPT = {"applicant": "李四", "tick0": "on", "pages0": "1", "tick1": "on", "pages1": "2", "form": "f-1"}
DAY = {"today_year": "2026", "today_month": "11", "today_day": "23", "item": "jmcbdj"}
STATED = date(2026, 11, 23)
APRIL = datetime(2021, 4, 1, 23, 59, tzinfo=CHINA)
START = Moment(at=APRIL, boot="a", up=30.0, synced=False)


def later(seconds: float, **changes: Any) -> Moment:
    return msgspec.structs.replace(START, up=START.up + seconds, at=APRIL + timedelta(seconds=seconds), **changes)


@pytest.mark.parametrize(
    ("stated", "now", "found"),
    [
        (None, START, None),
        (Stated(STATED, START), later(5), Today(STATED, sure=False)),
        # The clock's own midnight comes at any hour of the day: it moves nothing.
        (Stated(STATED, START), later(120), Today(STATED, sure=False)),
        (Stated(STATED, START), later(HOLDS_S - 1), Today(STATED, sure=False)),
        (Stated(STATED, START), later(HOLDS_S + 1), None),
        (Stated(STATED, START), later(5, boot="b"), None),
        (Stated(STATED, START), later(5, synced=True), Today(APRIL.date(), sure=True)),
        (None, later(5, synced=True), Today(APRIL.date(), sure=True)),
    ],
)
def test_the_clerk_s_word_holds_for_half_a_day_of_this_boot(
    stated: Stated | None, now: Moment, found: Today | None
) -> None:
    assert today(stated, now) == found


# ---- at the panel -------------------------------------------------------------------------------------------------


@pytest.fixture
def lost_clock(hand_clock: HandClock) -> HandClock:
    """A Pi that starts after a power cut, without a network: April 2021, at whatever hour."""
    hand_clock.wall, hand_clock.trusted = APRIL, False
    return hand_clock


@pytest.fixture
def client(counter: Counter, lost_clock: HandClock) -> Iterator[FlaskClient]:
    ground = PanelGround(counter, served=False)
    ground.happens(ClerkArrives, number="0107")
    yield ground.panel.app.test_client()
    ground.close()


def state(client: FlaskClient, **changes: str) -> tuple[int, str]:
    answer = client.post("/day", data={**DAY, **changes}, headers=FORM)
    return answer.status_code, answer.headers.get("Location", "") or answer.get_data(as_text=True)


def test_before_the_first_paper_the_clerk_is_asked_which_day_it_is(client: FlaskClient, counter: Counter) -> None:
    answer = client.get("/receipt/jmcbdj")
    assert (answer.status_code, answer.headers["Location"]) == (303, "/day?item=jmcbdj")
    page = client.get("/day?item=jmcbdj").get_data(as_text=True)
    assert phrases.DAY_TITLE in page
    assert " selected" not in page, "no day stands there already: a tired hand would confirm it"
    assert state(client) == (303, "/receipt/jmcbdj")
    page = client.get("/receipt/jmcbdj").get_data(as_text=True)
    assert "2026年11月23日 星期一" in page
    assert phrases.CLOCK_UNSET in page
    assert client.post("/receipt/jmcbdj", data=RECEIPT, headers=FORM).status_code == 303


def test_the_paper_follows_the_clerk_s_day_and_says_that_it_is_tentative(client: FlaskClient, counter: Counter) -> None:
    state(client)
    pick_up = {"year": "2026", "month": "12", "day": "1"}
    answer = client.post("/receipt/lbing", data={**RECEIPT, **ticked(client), **pick_up}, headers=FORM)
    assert answer.status_code == 303, answer.get_data(as_text=True)
    paper = counter.ledger.papers()[0]
    assert paper.case.startswith("0107-1-20261123-")
    assert paper.content.received.date() == STATED
    assert (paper.content.due, paper.content.due_is, paper.content.dated) == (date(2026, 12, 1), "tentative", "clerk")
    printed = plain.paint(lay_out(writer_of(SETTINGS)(paper.content, 0), 32, bool))
    assert "收件时间：2026年11月23日\n" in printed, "the hour of a lost clock is not printed"
    assert "本机时钟未校准" in printed
    assert "2021" not in printed


def ticked(client: FlaskClient) -> dict[str, str]:
    """Every material of the form handed in with one page each."""
    count = len(re.findall('id="tick', client.get("/receipt/lbing").get_data(as_text=True)))
    assert count
    return {f"tick{n}": "on" for n in range(count)} | {f"pages{n}": "1" for n in range(count)}


def test_two_papers_of_a_stated_day_have_two_numbers_and_a_trusted_clock_goes_on_from_them(
    client: FlaskClient, counter: Counter, lost_clock: HandClock
) -> None:
    state(client)
    for form in ("f-1", "f-2"):
        assert client.post("/receipt/jmcbdj", data={**RECEIPT, "form": form}, headers=FORM).status_code == 303
    lost_clock.wall, lost_clock.trusted = datetime(2026, 11, 23, 10, 0, tzinfo=CHINA), True
    client.post("/receipt/jmcbdj", data={**RECEIPT, "form": "f-3"}, headers=FORM)
    papers = counter.ledger.papers()
    assert len({paper.case for paper in papers}) == 3
    assert [paper.content.dated for paper in papers] == ["clock", "clerk", "clerk"]


def test_a_form_that_outlasts_the_word_on_the_day_asks_it_and_keeps_what_was_typed(
    client: FlaskClient, counter: Counter, lost_clock: HandClock
) -> None:
    state(client)
    lost_clock.passes(HOLDS_S + 60)
    answer = client.post("/receipt/jmcbdj", data=RECEIPT, headers=FORM)
    page = answer.get_data(as_text=True)
    assert answer.status_code == 409
    assert phrases.REFUSALS["day_unknown"] in page
    assert 'value="李四"' in page
    assert 'id="today_year"' in page
    assert counter.ledger.papers() == []
    assert client.post("/receipt/jmcbdj", data={**RECEIPT, **DAY}, headers=FORM).status_code == 303


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"today_month": ""}, "missing"),
        ({"today_month": "2", "today_day": "30"}, "no_such_day"),
        ({"today_month": "x"}, "no_such_day"),
        ({"today_year": "2021"}, "too_far"),
        ({"today_year": "2999"}, "too_far"),
        ({"today_year": "0"}, "no_such_day"),
    ],
)
def test_a_day_that_cannot_be_is_a_sentence_beside_it(client: FlaskClient, changes: dict[str, str], code: str) -> None:
    status, page = state(client, **changes)
    assert status == 400
    assert phrases.fault("day", code) in page
    assert 'aria-invalid="true"' in page
    assert client.get("/receipt/jmcbdj").status_code == 303


def test_a_day_before_one_already_seen_is_taken_only_when_the_clerk_insists(
    client: FlaskClient, counter: Counter, lost_clock: HandClock
) -> None:
    lost_clock.wall, lost_clock.trusted = datetime(2026, 11, 25, 9, 0, tzinfo=CHINA), True
    counter.handle(ClerkArrives(at=counter.moment(), number="0108"))
    lost_clock.wall, lost_clock.trusted = APRIL, False
    status, page = state(client)
    assert status == 400
    assert phrases.DAY_CONFIRM in page
    assert 'value="23" selected' in page
    assert state(client, confirmed="on")[0] == 303


@pytest.mark.parametrize("again", [{"today_year": "2027", "today_month": "3"}, {"today_day": "22"}])
def test_a_day_far_from_the_last_one_known_is_asked_about(client: FlaskClient, again: dict[str, str]) -> None:
    assert state(client)[0] == 303
    status, page = state(client, **again)
    assert status == 400
    assert 'id="confirmed"' in page
    assert state(client, **again, confirmed="on")[0] == 303


def test_the_day_is_put_right_within_the_form_and_nothing_typed_is_lost(client: FlaskClient, counter: Counter) -> None:
    state(client)
    assert 'id="change-day"' in client.get("/receipt/jmcbdj").get_data(as_text=True)
    answer = client.post("/receipt/jmcbdj", data={**RECEIPT, **DAY, "today_day": "31"}, headers=FORM)
    assert answer.status_code == 409
    assert 'value="李四"' in answer.get_data(as_text=True)
    answer = client.post("/receipt/jmcbdj", data={**RECEIPT, **DAY, "today_day": "24"}, headers=FORM)
    assert answer.status_code == 303
    assert counter.ledger.papers()[0].content.received.date() == date(2026, 11, 24)


def test_a_day_that_was_settled_is_not_stated_again_by_the_same_form(client: FlaskClient, counter: Counter) -> None:
    """A form left open over night would else bring yesterday as today."""
    state(client)
    answer = client.post("/receipt/jmcbdj", data={**RECEIPT, **DAY, "today_day": "24", "applicant": ""}, headers=FORM)
    assert answer.status_code == 409
    assert " selected" not in answer.get_data(as_text=True)


def test_a_form_sent_twice_leads_to_its_paper_however_late(client: FlaskClient, lost_clock: HandClock) -> None:
    state(client)
    first = client.post("/receipt/jmcbdj", data=RECEIPT, headers=FORM)
    lost_clock.passes(HOLDS_S + 60)
    again = client.post("/receipt/jmcbdj", data=RECEIPT, headers=FORM)
    assert (again.status_code, again.headers["Location"]) == (303, first.headers["Location"])


def test_nobody_on_duty_can_say_which_day_it_is(counter: Counter, lost_clock: HandClock) -> None:
    with pytest.raises(Refused) as refused:
        counter.handle(ClerkStatesDay(at=counter.moment(), day=STATED))
    assert refused.value.code == "no_clerk"


def test_with_a_trusted_clock_nobody_is_asked_and_a_late_answer_changes_nothing(
    client: FlaskClient, counter: Counter, lost_clock: HandClock
) -> None:
    lost_clock.wall, lost_clock.trusted = datetime(2026, 11, 24, 9, 0, tzinfo=CHINA), True
    assert client.get("/receipt/jmcbdj").status_code == 200
    seq = counter.ledger.last_seq
    assert state(client) == (303, "/receipt/jmcbdj")
    assert counter.ledger.last_seq == seq
    assert counter.view().today == Today(date(2026, 11, 24), sure=True)


def test_the_hours_of_a_lost_clock_are_shown_to_nobody(client: FlaskClient, counter: Counter) -> None:
    counter.handle(ClerkStepsAway(at=counter.moment(), reason="取材料", expected_back=APRIL + timedelta(minutes=20)))
    for page in ("/", "/display"):
        assert "取材料" in client.get(page).get_data(as_text=True)
        assert not re.search(r"\b(23:59|0:19)\b", client.get(page).get_data(as_text=True))


def test_only_items_of_the_station_are_gone_on_to(client: FlaskClient) -> None:
    assert state(client, item="//elsewhere.example")[1] == "/"

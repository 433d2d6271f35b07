"""What the desk decides, as sentences and as walks through whatever can happen."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.documents import shipped
from appliance.window.catalogue import read_catalogue
from appliance.window.decide import decide
from appliance.window.desk import Desk, apply
from appliance.window.facts import Fact, Grade, Handed
from appliance.window.happenings import (
    AwayButtonPresses,
    ClerkArrives,
    ClerkLeaves,
    ClerkReturns,
    ClerkStepsAway,
    ClockSyncs,
    DeviceFails,
    DeviceRecovers,
    Happening,
    KeyFrees,
    KeyPresses,
    KeySticks,
    MaterialsArrive,
    OrderArrives,
    SwitchReads,
    TimePasses,
    VisitBegins,
    VisitEnds,
    WindowStarts,
)
from appliance.window.look import changes_in, look
from appliance.window.moment import CHINA, Moment, elapsed
from appliance.window.refusal import Refused
from appliance.window.rules import Rules
from appliance.window.view import Clerk
from appliance.window.workdays import published

RULES = Rules(
    window="430602-0107-1",
    level="township",
    clerks=(Clerk("0107", "王敏"), Clerk("0108", "李强")),
    catalogue=read_catalogue(shipped("catalogue")),
    calendar=published(),
)
NINE = datetime(2026, 11, 23, 9, 0, tzinfo=CHINA)


@dataclass
class Window:
    """A desk with a clock that the test turns."""

    desk: Desk = field(default_factory=lambda: Desk(ledger="3f9c1a7e"))
    up: float = 100.0
    wall: datetime = NINE
    boot: str = "boot-1"
    rules: Rules = RULES
    trusted: bool = True
    told: list[Fact] = field(default_factory=list)

    @property
    def now(self) -> Moment:
        return Moment(at=self.wall, boot=self.boot, up=self.up, synced=self.trusted)

    def passes(self, seconds: float) -> "Window":
        self.up += seconds
        self.wall += timedelta(seconds=seconds)
        return self

    def tell(self, happening: Happening) -> list[str]:
        facts = decide(self.desk, happening, self.rules)
        for fact in facts:
            self.desk = apply(self.desk, fact, happening.at)
        self.told += facts
        return [fact.type for fact in facts]

    def press(self, grade: Grade, *beside: Grade) -> list[str]:
        return self.tell(KeyPresses(at=self.now, grade=grade, beside=beside))

    def state(self) -> str:
        return look(self.desk, self.now, self.rules).state

    def asks(self) -> str | None:
        asking = look(self.desk, self.now, self.rules).asking
        return asking.asks if asking else None

    def grade(self) -> int | None:
        return self.desk.prompt.grade if self.desk.prompt else None


def on_duty() -> Window:
    window = Window()
    window.tell(ClerkArrives(at=window.now, number="0107"))
    return window


def asked() -> Window:
    window = on_duty()
    window.tell(VisitBegins(at=window.now))
    window.passes(300).tell(VisitEnds(at=window.now))
    return window


# ---- rating -----------------------------------------------------------------------------------------------------


def test_the_first_press_counts_and_the_display_says_thanks() -> None:
    window = asked()
    assert window.press(4) == ["rating.given"]
    assert (window.grade(), window.asks(), window.state()) == (4, "thanks", "rating")


def test_a_rating_may_be_changed_within_five_seconds_and_not_after() -> None:
    window = asked()
    window.press(4)
    assert window.passes(4.9).press(2) == ["rating.changed"]
    assert window.grade() == 2
    assert window.passes(5.1).press(5) == ["press.stray"]
    assert (window.grade(), window.state()) == (2, "idle")


def test_changes_end_five_seconds_after_the_first_press_however_many_there_are() -> None:
    window = asked()
    window.press(4)
    assert window.passes(3).press(2) == ["rating.changed"]
    assert window.passes(1.9).press(3) == ["rating.changed"]
    assert window.passes(0.2).press(5) == ["press.stray"]
    assert window.grade() == 3


def test_a_hand_that_lies_on_the_pad_does_not_keep_it_open_for_ever() -> None:
    window = asked()
    for _ in range(40):
        window.passes(2).press(5)
        window.passes(0.05).press(4, 5)
    assert window.state() == "idle"


def test_a_rating_is_not_open_again_after_a_restart_with_the_clock_set_back() -> None:
    window = asked()
    window.press(4)
    given_at = window.wall
    window.passes(900)
    window.boot, window.up, window.wall = "boot-2", 20.0, given_at + timedelta(seconds=2)
    assert window.press(1) == ["press.stray"]


def test_the_same_key_again_is_neither_a_change_nor_a_stray_press() -> None:
    window = asked()
    window.press(4)
    assert window.passes(1).press(4) == []


def test_without_a_press_the_visit_is_closed_as_declined_after_sixty_seconds() -> None:
    window = asked()
    assert window.passes(59.9).tell(TimePasses(at=window.now)) == []
    assert window.passes(0.2).tell(TimePasses(at=window.now)) == ["rating.declined"]
    assert window.state() == "idle"


def test_a_press_in_the_last_second_still_has_its_five_seconds() -> None:
    window = asked()
    window.passes(59.5).press(1)
    assert window.passes(4).press(3) == ["rating.changed"]


def test_a_late_press_first_closes_the_prompt_and_is_then_a_stray_one() -> None:
    window = asked()
    assert window.passes(61).press(5) == ["rating.declined", "press.stray"]


def test_a_press_with_nobody_asking_is_stray() -> None:
    assert on_duty().press(1) == ["press.stray"]
    assert Window().press(1) == ["press.stray"]


def test_two_keys_at_once_count_as_neither_and_the_prompt_says_so() -> None:
    window = asked()
    assert window.press(5) == ["rating.given"]
    assert window.passes(0.1).press(4, 5) == ["rating.changed"]
    assert (window.grade(), window.asks()) == (None, "two_keys")
    assert window.passes(2).press(4) == ["rating.given"]
    assert (window.grade(), window.asks()) == (4, "thanks")


def test_two_keys_at_once_while_changing_leave_the_rating_as_it_was() -> None:
    window = asked()
    window.press(5)
    window.passes(1).press(1)
    assert window.passes(0.1).press(2, 1) == ["rating.changed"]
    assert (window.grade(), window.asks()) == (5, "two_keys")


def test_a_third_key_of_the_same_fist_changes_nothing_more() -> None:
    window = asked()
    window.press(5)
    window.passes(0.05).press(4, 5)
    assert window.passes(0.05).press(3, 5, 4) == []
    assert window.grade() is None


def test_two_keys_in_the_last_second_leave_time_for_the_press_that_counts() -> None:
    window = asked()
    window.passes(59.8).press(5)
    window.passes(0.1).press(4, 5)
    assert window.passes(3).press(4) == ["rating.given"]


def test_the_same_key_with_another_at_once_does_not_make_the_other_a_change() -> None:
    window = asked()
    window.press(4)
    window.passes(1).press(4)
    assert window.passes(0.1).press(3, 4) == ["rating.changed"]
    assert (window.grade(), window.asks()) == (4, "two_keys")
    assert window.passes(0.1).press(2, 3) == []


def test_a_press_from_before_the_pad_opened_is_meant_for_nobody() -> None:
    window = asked()
    early = msgspec.structs.replace(window.now, up=window.up - 0.1)
    assert window.tell(KeyPresses(at=early, grade=1)) == ["press.stray"]
    assert window.asks() == "press"


def test_a_rating_carries_visit_item_and_clerk_and_the_first_number_of_the_day() -> None:
    window = asked()
    window.press(3)
    given_ = window.told[-1]
    assert given_.subject == "visit/20261123-0001"
    assert (getattr(given_, "grade", 0), getattr(given_, "clerk", "")) == (3, "0107")


def test_the_next_visit_closes_an_unanswered_prompt() -> None:
    window = asked()
    assert window.passes(5).tell(VisitBegins(at=window.now)) == ["rating.declined", "visit.began"]


def test_the_prompt_survives_a_restart_while_its_time_lasts() -> None:
    window = asked()
    window.passes(20)
    window.boot, window.up = "boot-2", 15.0
    assert window.tell(WindowStarts(at=window.now)) == []
    assert window.press(4) == ["rating.given"]


def test_the_prompt_is_closed_by_a_restart_after_its_time() -> None:
    window = asked()
    window.passes(61)
    window.boot, window.up = "boot-2", 15.0
    assert window.tell(WindowStarts(at=window.now)) == ["rating.declined"]


@pytest.mark.parametrize("jump", [timedelta(hours=-9), timedelta(days=4000)])
def test_a_jump_of_the_wall_clock_neither_closes_nor_prolongs_a_prompt(jump: timedelta) -> None:
    window = asked()
    window.wall += jump
    assert window.passes(30).press(4) == ["rating.given"]
    assert window.passes(6).press(5) == ["press.stray"]


def test_a_clock_that_ran_backwards_over_a_restart_closes_the_prompt() -> None:
    window = asked()
    window.boot, window.up, window.wall = "boot-2", 12.0, datetime(1970, 1, 1, tzinfo=CHINA)
    assert window.tell(WindowStarts(at=window.now)) == ["rating.declined"]


# ---- away -------------------------------------------------------------------------------------------------------


def test_the_switch_is_a_level_and_saying_it_again_changes_nothing() -> None:
    window = on_duty()
    assert window.tell(SwitchReads(at=window.now, closed=True)) == ["away.began"]
    assert window.tell(SwitchReads(at=window.passes(1).now, closed=True)) == []
    assert window.state() == "away"
    assert window.tell(SwitchReads(at=window.passes(1).now, closed=False)) == ["away.ended"]
    assert window.state() == "idle"


def test_a_press_while_away_is_stray_and_the_lamp_question_is_not_asked() -> None:
    window = asked()
    window.tell(SwitchReads(at=window.now, closed=True))
    assert window.press(5) == ["press.stray"]
    assert (window.state(), window.asks()) == ("away", None)


def test_a_prompt_that_runs_out_while_away_says_so() -> None:
    window = asked()
    window.tell(SwitchReads(at=window.now, closed=True))
    window.passes(61).tell(TimePasses(at=window.now))
    assert getattr(window.told[-1], "why", "") == "away"


def test_a_short_absence_gives_the_prompt_back() -> None:
    window = asked()
    window.tell(SwitchReads(at=window.now, closed=True))
    window.passes(5).tell(SwitchReads(at=window.now, closed=False))
    assert window.press(5) == ["rating.given"]


def test_the_panel_fills_in_the_reason_of_the_same_absence() -> None:
    window = on_duty()
    window.tell(SwitchReads(at=window.now, closed=True))
    back = window.wall + timedelta(minutes=20)
    window.tell(ClerkStepsAway(at=window.passes(3).now, reason="取材料", expected_back=back))
    assert window.told[-1].subject == window.told[-2].subject
    away = window.desk.away
    assert away is not None
    assert (away.reason, away.expected_back, away.by) == ("取材料", back, "switch")


def test_the_panel_cannot_return_while_the_switch_says_away() -> None:
    window = on_duty()
    window.tell(SwitchReads(at=window.now, closed=True))
    with pytest.raises(Refused, match="switch_closed"):
        window.tell(ClerkReturns(at=window.now))


def test_an_absence_begun_at_the_panel_ends_there_and_open_switch_readings_leave_it_alone() -> None:
    window = on_duty()
    window.tell(ClerkStepsAway(at=window.now, reason="公务"))
    assert window.tell(SwitchReads(at=window.passes(1).now, closed=False)) == []
    assert window.tell(ClerkReturns(at=window.passes(1).now)) == ["away.ended"]


def test_a_momentary_button_goes_and_comes() -> None:
    window = on_duty()
    assert window.tell(AwayButtonPresses(at=window.now)) == ["away.began"]
    assert window.tell(AwayButtonPresses(at=window.passes(9).now)) == ["away.ended"]


def test_a_return_in_the_past_is_refused() -> None:
    window = on_duty()
    with pytest.raises(Refused, match="expected_back_past"):
        window.tell(ClerkStepsAway(at=window.now, expected_back=window.wall - timedelta(minutes=1)))


# ---- duty, visits, cases ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("prepare", "happening", "code"),
    [
        (Window, VisitBegins, "no_clerk"),
        (Window, ClerkLeaves, "no_clerk"),
        (on_duty, VisitEnds, "not_serving"),
        (on_duty, ClerkReturns, "not_away"),
    ],
)
def test_what_cannot_be_is_refused_and_changes_nothing(prepare: type[Window], happening: type, code: str) -> None:
    window = prepare()
    before = window.desk
    with pytest.raises(Refused, match=code):
        window.tell(happening(at=window.now))
    assert window.desk == before


def test_duty_passes_from_one_clerk_to_the_next() -> None:
    window = on_duty()
    assert window.tell(ClerkArrives(at=window.now, number="0108")) == ["duty.ended", "duty.began"]
    with pytest.raises(Refused, match="already_on_duty"):
        window.tell(ClerkArrives(at=window.now, number="0108"))
    with pytest.raises(Refused, match="clerk_unknown"):
        window.tell(ClerkArrives(at=window.now, number="9999"))


def test_nobody_goes_off_duty_or_serves_twice_in_the_middle_of_a_visit() -> None:
    window = on_duty()
    window.tell(VisitBegins(at=window.now))
    for happening, code in [(VisitBegins, "already_serving"), (ClerkLeaves, "visit_open")]:
        with pytest.raises(Refused, match=code):
            window.tell(happening(at=window.now))


def receipt(window: Window, form: str) -> MaterialsArrive:
    item = RULES.catalogue.item("mzbx")
    assert item is not None
    handed = tuple(Handed(material.name, 2) for material in item.materials if material.required)
    return MaterialsArrive(at=window.now, form=form, item="mzbx", applicant="欧阳小妹", materials=handed)


def test_a_receipt_masks_the_applicant() -> None:
    window = on_duty()
    window.tell(VisitBegins(at=window.now))
    assert window.tell(receipt(window, "form-1-of-this-page")) == ["case.received"]
    case = window.told[-1]
    assert (getattr(case, "applicant", ""), getattr(case, "case", "")) == ("欧阳*", "0107-1-20261123-3F001")


def test_who_hands_in_materials_is_being_served() -> None:
    window = on_duty()
    assert window.tell(receipt(window, "form-1-of-this-page")) == ["visit.began", "case.received"]
    assert window.state() == "serving"
    assert getattr(window.told[-1], "visit", "") == "20261123-0001"


def test_materials_that_come_while_the_resident_is_asked_belong_to_the_same_visit() -> None:
    window = asked()
    assert window.tell(receipt(window, "form-1-of-this-page")) == ["case.received"]
    assert getattr(window.told[-1], "visit", "") == "20261123-0001"
    assert window.press(5) == ["rating.given"]


def test_a_rating_names_the_item_of_its_visit() -> None:
    window = on_duty()
    window.tell(VisitBegins(at=window.now))
    window.tell(receipt(window, "form-1-of-this-page"))
    window.tell(VisitEnds(at=window.now))
    window.press(5)
    assert getattr(window.told[-1], "item", "") == "mzbx"


def test_numbers_go_on_when_the_clock_comes_back_to_a_day_it_had_left() -> None:
    window = asked()
    window.wall += timedelta(days=800)
    window.tell(VisitBegins(at=window.now))
    window.tell(VisitEnds(at=window.now))
    window.wall -= timedelta(days=800)
    window.tell(VisitBegins(at=window.now))
    assert window.desk.visit is not None
    assert window.desk.visit.number == "20261123-0002"


def test_no_number_is_given_twice_however_the_clock_wanders() -> None:
    window = on_duty()
    numbers: list[str] = []
    for days in [*range(0, 120, 3), 0, 3, 60, 117, 1]:
        window.wall = NINE + timedelta(days=days)
        window.tell(VisitBegins(at=window.now))
        window.tell(receipt(window, f"form-{len(numbers)}"))
        numbers.append(str(getattr(window.told[-1], "case", "")))
        window.tell(VisitEnds(at=window.now))
        numbers.append(window.told[-1].subject)
    assert len(numbers) == len(set(numbers))


def test_a_switch_that_nobody_can_read_does_not_hold_the_window_away() -> None:
    window = on_duty()
    window.tell(SwitchReads(at=window.now, closed=True))
    window.tell(DeviceFails(at=window.now, device="away", reason="no_gpio"))
    assert not look(window.desk, window.now, RULES).switch_holds
    assert window.tell(ClerkReturns(at=window.now)) == ["away.ended"]


def test_a_clock_that_becomes_trustworthy_says_by_how_much_this_boots_times_were_wrong() -> None:
    window = Window(trusted=False)
    window.tell(ClerkArrives(at=window.now, number="0107"))
    window.passes(60)
    window.wall += timedelta(days=3)
    window.trusted = True
    assert window.tell(ClockSyncs(at=window.now)) == ["clock.synced"]
    assert getattr(window.told[-1], "offset", 0) == timedelta(days=3).total_seconds()
    assert window.tell(ClockSyncs(at=window.now)) == []


def test_a_program_that_starts_again_after_the_clock_was_set_says_it_then_and_only_once() -> None:
    window = Window(trusted=False)
    window.tell(ClerkArrives(at=window.now, number="0107"))
    window.trusted = True
    assert window.tell(WindowStarts(at=window.passes(5).now)) == ["clock.synced"]
    assert window.tell(WindowStarts(at=window.passes(5).now)) == []


def test_a_clock_that_was_right_from_the_start_is_no_fact() -> None:
    window = on_duty()
    assert window.tell(WindowStarts(at=window.now)) == []


# ---- devices, orders --------------------------------------------------------------------------------------------


def test_a_stuck_key_is_reported_once_and_freed_once() -> None:
    window = on_duty()
    assert window.tell(KeySticks(at=window.now, grade=2)) == ["device.failed"]
    assert window.tell(KeySticks(at=window.now, grade=2)) == []
    assert look(window.desk, window.now, RULES).stuck == (2,)
    assert window.tell(KeyFrees(at=window.now, grade=2)) == ["device.recovered"]
    assert window.tell(KeyFrees(at=window.now, grade=2)) == []


def test_a_device_says_a_new_reason_and_keeps_quiet_about_the_old_one() -> None:
    window = on_duty()
    assert window.tell(DeviceFails(at=window.now, device="printer", reason="absent")) == ["device.failed"]
    assert window.tell(DeviceFails(at=window.now, device="printer", reason="absent")) == []
    assert window.tell(DeviceFails(at=window.now, device="printer", reason="paper_out")) == ["device.failed"]
    assert window.tell(DeviceRecovers(at=window.now, device="printer")) == ["device.recovered"]


def test_an_order_is_answered_once() -> None:
    window = Window()
    assert window.tell(OrderArrives(at=window.now, order="o-1", name="identify")) == ["order.refused"]
    assert window.tell(OrderArrives(at=window.now, order="o-1", name="identify")) == []


# ---- whatever happens -------------------------------------------------------------------------------------------

WAITS = st.sampled_from([0.0, 0.05, 0.14, 0.2, 4.9, 5.1, 30.0, 61.0])
STEPS = st.one_of(
    st.builds(lambda g: ("press", g), st.integers(1, 5)),
    st.sampled_from([("begin", 0), ("end", 0), ("arrive", 0), ("leave", 0), ("close", 0), ("open", 0), ("boot", 0)]),
)


def walk(window: Window, steps: list[tuple[float, tuple[str, int]]]) -> None:
    last: dict[int, float] = {}
    for wait, (what, number) in steps:
        window.passes(wait)
        at = window.now
        happening: Happening
        if what == "press":
            beside = tuple(g for g, up in last.items() if g != number and window.up - up < RULES.together_s)
            last[number] = window.up
            happening = KeyPresses(at=at, grade=number, beside=beside)  # type: ignore[arg-type]
        elif what == "boot":
            window.boot += "x"
            happening = WindowStarts(at=window.now)
        else:
            happening = {
                "begin": VisitBegins(at=at),
                "end": VisitEnds(at=at),
                "arrive": ClerkArrives(at=at, number="0107"),
                "leave": ClerkLeaves(at=at),
                "close": SwitchReads(at=at, closed=True),
                "open": SwitchReads(at=at, closed=False),
            }[what]
        try:
            window.tell(happening)
        except Refused:
            continue


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(WAITS, STEPS), max_size=60))
def test_every_visit_is_rated_or_declined_at_most_once_whatever_happens(
    steps: list[tuple[float, tuple[str, int]]],
) -> None:
    window = on_duty()
    walk(window, steps)
    grades: dict[str, int | None] = {}
    declined: list[str] = []
    for fact in window.told:
        if fact.type == "rating.given":
            assert grades.get(fact.subject) is None, "a second rating without the first taken back"
            grades[fact.subject] = fact.grade  # type: ignore[attr-defined]
        elif fact.type == "rating.changed":
            # Two keys of which the first went down before the pad opened take back a rating that there never was.
            assert grades.get(fact.subject) == fact.was  # type: ignore[attr-defined]
            grades[fact.subject] = fact.grade  # type: ignore[attr-defined]
        elif fact.type == "rating.declined":
            declined.append(fact.subject)
    assert len(declined) == len(set(declined))
    assert not {subject for subject in declined if grades.get(subject) is not None}


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(WAITS, STEPS), max_size=40))
def test_the_desk_can_be_rebuilt_from_its_facts_alone(steps: list[tuple[float, tuple[str, int]]]) -> None:
    window = Window()
    seen: list[tuple[Fact, Moment]] = []
    for step in steps:
        count = len(window.told)
        walk(window, [step])
        seen += [(fact, window.now) for fact in window.told[count:]]
    again = Desk(ledger="3f9c1a7e")
    for fact, at in seen:
        again = apply(again, fact, at)
    assert again == window.desk


@given(st.lists(st.tuples(WAITS, STEPS), max_size=40))
def test_no_view_tells_one_grade_from_another(steps: list[tuple[float, tuple[str, int]]]) -> None:
    one, other = asked(), asked()
    one.press(5)
    other.press(1)
    harmless = [step for step in steps if step[1][0] != "press"]
    walk(one, harmless)
    walk(other, harmless)
    assert look(one.desk, one.now, RULES) == look(other.desk, other.now, RULES)


def test_the_window_says_when_it_will_look_different_by_itself() -> None:
    window = asked()
    assert changes_in(window.desk, window.now, RULES) == pytest.approx(60)
    window.passes(10).press(5)
    assert changes_in(window.desk, window.now, RULES) == pytest.approx(5)
    window.passes(6)
    assert changes_in(window.desk, window.now, RULES) is None


def test_elapsed_trusts_the_uptime_within_a_boot_and_the_wall_only_over_a_restart() -> None:
    start = Moment(at=NINE, boot="a", up=10, synced=True)
    assert elapsed(start, Moment(at=NINE - timedelta(days=1), boot="a", up=12, synced=True)) == 2
    assert elapsed(start, Moment(at=NINE + timedelta(seconds=5), boot="b", up=1, synced=True)) == 5
    assert elapsed(start, Moment(at=NINE - timedelta(seconds=5), boot="b", up=1, synced=True)) == float("inf")

"""Which facts go next, how long to rest and to wait: the courier's pure rules."""

from typing import Any, NamedTuple

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from appliance.courier.flight import NEVER, RESERVED, WINDOW, Flight, backoff, patience
from appliance.courier.letters import merged

chances = st.floats(0, 1, exclude_max=True)


class One(NamedTuple):
    """A fact in short."""

    seq: int
    type: str = "press.stray"
    payload: bytes = b"{}"


@given(st.integers(1, 10_000), chances)
def test_a_rest_is_never_shorter_than_a_second_nor_longer_than_a_minute(failures: int, chance: float) -> None:
    assert 1.0 <= backoff(failures, chance) <= 60.0


def test_the_ceiling_of_the_rests_doubles_up_to_a_minute() -> None:
    assert [backoff(n, 1.0) for n in (1, 2, 3, 4, 5, 6, 7, 1000)] == [2, 4, 8, 16, 32, 60, 60, 60]
    assert [backoff(n, 0.0) for n in (1, 6, 1000)] == [1, 1, 1]


@given(st.integers(1, 10_000), chances)
def test_patience_grows_from_ten_seconds_to_a_minute_with_a_fifth_of_chance(times: int, chance: float) -> None:
    plain = min(60.0, 10.0 * 2 ** min(times - 1, 10))
    assert 0.8 * plain <= patience(times, chance) <= 1.2 * plain


def test_old_facts_leave_sixteen_places_for_live_ones() -> None:
    flight = Flight[One](horizon=200)
    for seq in range(1, flight.old_room() + 1):
        flight.launch(One(seq), 0.0, 0.5)
    assert (len(flight), flight.old_room(), flight.live_room()) == (WINDOW - RESERVED, 0, RESERVED)


def test_live_facts_may_have_all_places_once_no_old_one_waits() -> None:
    flight = Flight[One](horizon=3)
    for seq in (1, 2, 3):
        flight.launch(One(seq), 0.0, 0.5)
    assert (flight.old_room(), flight.live_room()) == (0, WINDOW - 3)


def test_acknowledgements_in_any_order_and_named_twice_count_once() -> None:
    flight = Flight[One](horizon=40)
    for seq in range(1, 21):
        flight.launch(One(seq), 0.0, 0.5)
    assert flight.land(merged([(19, 20), (1, 2), (2, 3), (500, 9_000_000_000)]), 1.0) == 5
    assert flight.land([(1, 3), (19, 20)], 1.0) == 0
    assert len(flight) == 15


def test_what_is_hastened_is_due_oldest_first_and_keeps_its_growing_patience() -> None:
    flight = Flight[One](horizon=0)
    for seq in (2, 3, 1):
        flight.launch(One(seq), 0.0, 0.5)
    assert flight.due(9.0) == []
    flight.hasten()
    assert [fact.seq for fact in flight.due(0.0)] == [1, 2, 3]
    for fact in flight.due(0.0):
        flight.launch(fact, 0.0, 0.5)
    assert flight.next_due() <= 20.0
    assert flight.due(19.9) == []
    assert flight.next_due() == 20.0


def test_the_county_owes_an_answer_from_the_first_fact_that_went_until_it_gives_one() -> None:
    flight = Flight[One](horizon=0)
    assert flight.owes_since == NEVER
    flight.launch(One(1), 5.0, 0.5)
    flight.launch(One(2), 6.0, 0.5)
    assert flight.owes_since == 5.0
    flight.land([(1, 1)], 7.0)
    assert flight.owes_since == 7.0, "it is there, and has not yet answered for the second"
    flight.land([(2, 2)], 8.0)
    assert flight.owes_since == NEVER


def test_a_fact_that_was_passed_over_is_no_sign_of_a_dead_county_until_it_goes_a_third_time() -> None:
    flight = Flight[One](horizon=0)
    for seq in (1, 2, 3):
        flight.launch(One(seq), 1.0, 0.5)
    flight.land([(2, 3)], 2.0)
    assert flight.owes_since == NEVER
    flight.launch(One(1), 2.5, 0.5)
    assert flight.owes_since == NEVER
    flight.launch(One(1), 22.5, 0.5)
    assert flight.owes_since == 22.5


def test_a_fact_that_was_passed_over_goes_again_after_half_a_second_once() -> None:
    flight = Flight[One](horizon=0)
    for seq in (1, 2, 3, 4):
        flight.launch(One(seq), 0.0, 0.5)
    flight.land([(3, 3)], 1.0)
    assert flight.next_due() <= 1.5
    assert flight.due(1.4) == []
    assert flight.due(1.5) == [One(1), One(2)]
    flight.land([(4, 4)], 1.5)
    for seq in (1, 2):
        flight.launch(One(seq), 1.5, 0.5)
    assert flight.owes_since == NEVER
    flight.launch(One(5), 1.6, 0.5)
    flight.land([(5, 5)], 1.7)
    assert flight.due(20.0) == [], "they have their growing patience now"
    assert flight.due(21.5) == [One(1), One(2)]


def test_the_oldest_waits_since_the_connection_if_it_is_old_and_since_it_went_if_it_is_live() -> None:
    flight = Flight[One](horizon=2, began=100.0)
    assert flight.waits_since() == 100.0
    for seq in (1, 2):
        flight.launch(One(seq), 101.0, 0.5)
    flight.launch(One(3), 105.0, 0.5)
    flight.launch(One(4), 106.0, 0.5)
    flight.land([(1, 2)], 107.0)
    assert flight.waits_since() == 105.0
    flight.launch(One(3), 115.0, 0.5)
    assert flight.waits_since() == 105.0, "that it went again makes it no younger"
    flight.land([(3, 4)], 116.0)
    assert flight.waits_since() == NEVER


def test_facts_that_come_back_into_the_ledger_s_outbox_are_old_ones() -> None:
    flight = Flight[One](horizon=0)
    for seq in range(1, 51):
        flight.launch(One(seq), 0.0, 0.5)
    flight.land([(1, 40)], 1.0)
    assert flight.old_room() == 0
    flight.look_back(2.0)
    assert (flight.old_room(), flight.live_room()) == (WINDOW - RESERVED - 10, RESERVED)
    flight.launch(One(7), 3.0, 0.5)
    assert flight.old_after == 7
    flight.land([(7, 7), (41, 50)], 4.0)
    assert len(flight) == 0
    assert flight.old_room() == WINDOW - RESERVED


class Voyages(RuleBasedStateMachine):
    """Backlog, presses, acknowledgements and time-outs in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.horizon, self.last, self.now = 240, 240, 0.0
        self.flight = Flight[One](self.horizon)
        self.acknowledged: set[int] = set()
        self.went: list[int] = []

    @rule(number=st.integers(1, 100))
    def press(self, number: int) -> None:
        self.last += number

    @rule()
    def carry(self) -> None:
        live = range(self.flight.live_after + 1, self.last + 1)[: self.flight.live_room()]
        old = range(self.flight.old_after + 1, self.horizon + 1)[: self.flight.old_room()]
        for seq in (*live, *old):
            self.flight.launch(One(seq), self.now, 0.5)
            self.went.append(seq)

    @precondition(lambda self: self.went)
    @rule(data=st.data())
    def acknowledge(self, data: Any) -> None:
        low = data.draw(st.sampled_from(self.went))
        high = low + data.draw(st.integers(0, 60))
        self.flight.land([(low, high)], self.now)
        self.acknowledged |= set(range(low, high + 1)) & set(self.went)

    @rule(seconds=st.floats(0.1, 100))
    def wait(self, seconds: float) -> None:
        self.now += seconds
        for fact in self.flight.due(self.now):
            assert fact.seq not in self.acknowledged
            self.flight.launch(fact, self.now, 0.5)

    @invariant()
    def never_more_than_the_window(self) -> None:
        assert len(self.flight) <= WINDOW
        assert len(self.flight) == len(set(self.went) - self.acknowledged)

    @invariant()
    def each_goes_once_and_oldest_first_among_its_kind(self) -> None:
        for kind in ([s for s in self.went if s <= self.horizon], [s for s in self.went if s > self.horizon]):
            assert kind == sorted(set(kind))

    @invariant()
    def a_live_fact_is_never_starved_by_old_ones(self) -> None:
        live = len([s for s in self.went if s > self.horizon and s not in self.acknowledged])
        assert self.flight.live_room() > 0 or live >= RESERVED

    @invariant()
    def an_old_fact_is_never_starved_by_live_ones(self) -> None:
        old = len([s for s in self.went if s <= self.horizon and s not in self.acknowledged])
        waits = self.flight.old_after < self.horizon
        assert not waits or self.flight.old_room() > 0 or old >= WINDOW - RESERVED


TestVoyages = Voyages.TestCase

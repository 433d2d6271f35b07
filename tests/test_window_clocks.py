"""Durations go by the uptime: whatever becomes of the wall clock in the middle, they are what they were."""

from datetime import timedelta

import msgspec
import pytest

from appliance.counter import Counter
from appliance.ledger import Ledger
from appliance.window.happenings import ClerkArrives, KeyPresses, SwitchReads, TimePasses, VisitBegins, VisitEnds
from appliance.window.moment import elapsed
from tests.conftest import HandClock
from tests.test_counter import serve_one, types

JUMPS = [timedelta(hours=-9), timedelta(hours=1), timedelta(days=-2100), timedelta(days=40)]


def newest(ledger: Ledger) -> dict[str, object]:
    data = msgspec.json.decode(ledger.unsent(1000)[-1].payload)["data"]
    assert isinstance(data, dict)
    return data


@pytest.mark.parametrize("jump", JUMPS)
def test_a_visit_lasts_as_long_as_it_did(
    counter: Counter, ledger: Ledger, hand_clock: HandClock, jump: timedelta
) -> None:
    counter.handle(ClerkArrives(at=counter.moment(), number="0107"))
    counter.handle(VisitBegins(at=counter.moment()))
    hand_clock.passes(200)
    hand_clock.wall += jump
    hand_clock.passes(100)
    counter.handle(VisitEnds(at=counter.moment()))
    assert newest(ledger)["seconds"] == 300


@pytest.mark.parametrize("jump", JUMPS)
def test_an_absence_lasts_as_long_as_it_did(
    counter: Counter, ledger: Ledger, hand_clock: HandClock, jump: timedelta
) -> None:
    counter.tell(SwitchReads(at=counter.moment(), closed=True))
    hand_clock.passes(30)
    hand_clock.wall += jump
    counter.tell(SwitchReads(at=counter.moment(), closed=False))
    assert newest(ledger)["seconds"] == 30


@pytest.mark.parametrize("jump", JUMPS)
def test_a_prompt_stays_open_as_long_as_it_should_and_no_longer(
    counter: Counter, ledger: Ledger, hand_clock: HandClock, jump: timedelta
) -> None:
    serve_one(counter)
    hand_clock.passes(10)
    hand_clock.wall += jump
    assert counter.changes_in() == counter.rules.prompt_s - 10
    counter.tell(TimePasses(at=counter.moment()))
    assert counter.view().state == "rating"
    hand_clock.passes(counter.rules.prompt_s - 10)
    counter.tell(TimePasses(at=counter.moment()))
    assert types(ledger)[-1] == "rating.declined"


@pytest.mark.parametrize("jump", JUMPS)
def test_a_rating_may_be_changed_as_long_as_it_should(
    counter: Counter, ledger: Ledger, hand_clock: HandClock, jump: timedelta
) -> None:
    serve_one(counter)
    counter.tell(KeyPresses(at=counter.moment(), grade=2))
    hand_clock.wall += jump
    hand_clock.passes(counter.rules.change_s - 1)
    counter.tell(KeyPresses(at=counter.moment(), grade=4))
    assert types(ledger)[-1] == "rating.changed"
    hand_clock.passes(2)
    counter.tell(KeyPresses(at=counter.moment(), grade=5))
    assert types(ledger)[-1] == "press.stray"


@pytest.mark.parametrize("jump", JUMPS)
def test_what_waits_for_the_county_is_as_old_as_it_is(
    counter: Counter, ledger: Ledger, hand_clock: HandClock, jump: timedelta
) -> None:
    counter.handle(ClerkArrives(at=counter.moment(), number="0107"))
    hand_clock.passes(70)
    hand_clock.wall += jump
    _, oldest = ledger.backlog()
    assert oldest is not None
    assert elapsed(oldest, counter.moment()) == 70


@pytest.mark.parametrize("jump", JUMPS)
def test_a_switch_that_chatters_is_bounded_by_the_time_that_passes(
    counter: Counter, ledger: Ledger, hand_clock: HandClock, jump: timedelta
) -> None:
    for n in range(600):
        hand_clock.passes(1)
        hand_clock.wall += jump / 100
        counter.tell(SwitchReads(at=counter.moment(), closed=n % 2 == 0))
        counter.calm()
    assert ledger.last_seq <= 20 + 10 + 3

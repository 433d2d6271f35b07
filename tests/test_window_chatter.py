"""What chatters for hours writes a bounded number of facts, forgets nothing it counted, and ends in its true state."""

from collections.abc import Callable

import msgspec
import pytest

from appliance import wire
from appliance.counter import Counter
from appliance.ledger import Ledger
from appliance.window.chatter import STATE, STRAY
from appliance.window.facts import Grade
from appliance.window.happenings import (
    AwayButtonPresses,
    DeviceFails,
    DeviceRecovers,
    Happening,
    KeyFrees,
    KeyPresses,
    KeySticks,
    SwitchReads,
    VisitBegins,
)
from appliance.window.moment import Moment
from tests.conftest import HandClock
from tests.test_counter import serve_one

HOURS = 3
EVERY_S, CALM_EVERY_S = 2.0, 5.0


class Counted(msgspec.Struct):
    """How often a fact says that something happened."""

    times: int = 1


class Written(msgspec.Struct):
    """One fact as it stands in the ledger."""

    type: str
    times: int


def written(ledger: Ledger) -> list[Written]:
    facts = (msgspec.json.decode(kept.payload, type=wire.Envelope) for kept in ledger.unsent(1_000_000))
    return [Written(fact.type, msgspec.json.decode(fact.data, type=Counted).times) for fact in facts]


def chatter(counter: Counter, clock: HandClock, says: Callable[[int, Moment], Happening], hours: float = HOURS) -> int:
    """Say it again and again for so many hours, as the loops of a window do; how often."""
    times = int(hours * 3600 / EVERY_S)
    for n in range(times):
        clock.passes(EVERY_S)
        counter.tell(says(n, counter.moment()))
        if n % int(CALM_EVERY_S / EVERY_S) == 0:
            counter.calm()
    return times


def rest(counter: Counter, clock: HandClock, minutes: float = 15) -> None:
    for _ in range(int(minutes)):
        clock.passes(60)
        counter.calm()


SOURCES: dict[str, Callable[[int, Moment], Happening]] = {
    "switch": lambda n, at: SwitchReads(at=at, closed=n % 2 == 0),
    "button": lambda _, at: AwayButtonPresses(at=at),
    "printer": lambda n, at: (
        DeviceFails(at=at, device="printer", reason="absent") if n % 2 == 0 else DeviceRecovers(at=at, device="printer")
    ),
    "reasons": lambda n, at: DeviceFails(at=at, device="printer", reason=("absent", "paper_out", "cover")[n % 3]),
    "stuck key": lambda n, at: KeySticks(at=at, grade=3) if n % 2 == 0 else KeyFrees(at=at, grade=3),
}


@pytest.mark.parametrize("source", SOURCES)
def test_what_flaps_for_hours_writes_few_facts(
    counter: Counter, ledger: Ledger, hand_clock: HandClock, source: str
) -> None:
    chatter(counter, hand_clock, SOURCES[source])
    # A word held is up to three facts: how often, and what begins and ends.
    assert STATE.most < ledger.last_seq <= STATE.most + HOURS * 3600 / STATE.every_s + 3
    assert any(fact.times > 1 for fact in written(ledger) if fact.type.startswith("window.device"))


@pytest.mark.parametrize("last", [0, 1])
def test_a_switch_that_chattered_ends_in_the_state_it_has(counter: Counter, hand_clock: HandClock, last: int) -> None:
    chatter(counter, hand_clock, lambda n, at: SwitchReads(at=at, closed=n % 2 == last), 0.5)
    closed = (int(0.5 * 3600 / EVERY_S) - 1) % 2 == last
    (trouble,) = counter.view().troubles
    assert (trouble.device, trouble.reason) == ("away", "chatters")
    rest(counter, hand_clock)
    assert (counter.view().away is not None) == closed
    assert counter.view().troubles == (), "it has been calm for long"


@pytest.mark.parametrize("last", [0, 1])
def test_a_device_that_flapped_ends_in_the_state_it_has(counter: Counter, hand_clock: HandClock, last: int) -> None:
    def flap(n: int, at: Moment) -> Happening:
        if n % 2 == last:
            return DeviceFails(at=at, device="camera", reason="absent")
        return DeviceRecovers(at=at, device="camera")

    times = chatter(counter, hand_clock, flap, 0.5)
    rest(counter, hand_clock)
    fails = (times - 1) % 2 == last
    assert [trouble.device for trouble in counter.view().troubles] == (["camera"] if fails else [])


def test_every_failure_of_a_device_that_flaps_is_counted(
    counter: Counter, ledger: Ledger, hand_clock: HandClock
) -> None:
    times = chatter(counter, hand_clock, SOURCES["printer"], 1)
    rest(counter, hand_clock)
    failed = [fact for fact in written(ledger) if fact.type == "window.device.failed.v1"]
    assert sum(fact.times for fact in failed) == times / 2


def test_a_key_that_nobody_asks_for_writes_few_facts_and_every_press_is_counted(
    counter: Counter, ledger: Ledger, hand_clock: HandClock
) -> None:
    times = chatter(counter, hand_clock, lambda _, at: KeyPresses(at=at, grade=2))
    assert ledger.last_seq <= STRAY.most + HOURS * 3600 / STRAY.every_s + 1
    rest(counter, hand_clock, 20)
    assert sum(fact.times for fact in written(ledger)) == times


def test_of_a_key_that_chatters_the_rating_still_counts(
    counter: Counter, ledger: Ledger, hand_clock: HandClock
) -> None:
    grade: Grade = 2
    chatter(counter, hand_clock, lambda _, at: KeyPresses(at=at, grade=grade), 1)
    serve_one(counter)
    counter.tell(KeyPresses(at=counter.moment(), grade=5))
    assert written(ledger)[-1].type == "window.rating.given.v1"


def test_one_that_chatters_leaves_the_others_their_facts(
    counter: Counter, ledger: Ledger, hand_clock: HandClock
) -> None:
    chatter(counter, hand_clock, SOURCES["printer"], 1)
    before = ledger.last_seq
    counter.tell(DeviceFails(at=counter.moment(), device="camera", reason="absent"))
    counter.tell(KeyPresses(at=counter.moment(), grade=1))
    assert ledger.last_seq == before + 2


def test_the_panel_is_never_held_though_the_switch_chatters(
    counter: Counter, ledger: Ledger, hand_clock: HandClock
) -> None:
    serve_one(counter)
    chatter(counter, hand_clock, lambda n, at: SwitchReads(at=at, closed=n % 2 == 0), 0.5)
    rest(counter, hand_clock)
    before = ledger.last_seq
    counter.handle(VisitBegins(at=counter.moment()))
    assert ledger.last_seq > before

"""GPIO that raises anything anywhere: one line is one part's trouble, the chip goes and comes, nothing ends."""

import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from appliance.counter import Counter
from appliance.devices.lamps import Lamps
from appliance.devices.pad import Pad, PadWiring
from appliance.devices.pins import Pins
from appliance.panel import phrases
from appliance.window.facts import Grade
from appliance.window.happenings import (
    ClerkArrives,
    DeviceFails,
    DeviceRecovers,
    Happening,
    KeyPresses,
    SwitchReads,
    VisitBegins,
    VisitEnds,
)
from appliance.window.view import Asking, View
from tests.conftest import HandClock, until
from tests.ground_adapters.evil import LIBRARIES, RAISED, Evil

KEYS, AWAY, LAMP = (5, 6, 13, 19, 26), 16, 12
WIRING = PadWiring(keys=KEYS, away_pin=AWAY)

OPENING = (
    "gpio_claim_input",
    "gpio_free",
    "gpio_get_mode",
    "gpio_set_debounce_micros",
    "gpio_claim_alert",
    "callback",
    "gpio_read",
)
"""All that gpiozero asks of lgpio to open a key."""


@pytest.fixture
def evil(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Evil]:
    """The fake lgpio on the path, its chip in a folder of its own."""
    evil = Evil(tmp_path / "evil")
    monkeypatch.setenv("EVIL", str(evil.place))
    monkeypatch.syspath_prepend(LIBRARIES)
    for name in ("lgpio", "gpiozero.pins.lgpio"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    yield evil
    sys.modules.pop("gpiozero.pins.lgpio", None)
    if (library := sys.modules.pop("lgpio", None)) is not None:
        library.end()


def drain(pad: Pad) -> None:
    """Steps until every edge that came, and the end of the wait after them, is taken."""
    if (library := sys.modules.get("lgpio")) is not None:
        until(library.settled)
    pad.wake()
    while not pad._edges.empty():
        pad.step()


class Stand:
    """A pad, lamps and the window that they belong to, on the fake chip; each round is one step at its moment."""

    def __init__(self, counter: Counter, clock: HandClock, grace_s: float = 0.0) -> None:
        self.counter, self.clock = counter, clock
        self.pins = Pins("lgpio")
        self.pad = Pad(WIRING, self.pins, counter.tell, clock.moment, grace_s)
        self.lamps = Lamps(self.pins, (LAMP,), None, active_low=False, away_low=False)

    def rounds(self, number: int = 1) -> None:
        for _ in range(number):
            self.clock.passes(1.0)
            drain(self.pad)

    def troubles(self) -> dict[str, str]:
        return {trouble.device: trouble.reason for trouble in self.counter.view().troubles}

    def sentences(self) -> str:
        return "".join(phrases.trouble(trouble) for trouble in self.counter.view().troubles)

    def facts(self) -> list[str]:
        return [kept.type for kept in self.counter.ledger.unsent(1000)]

    def rated(self, evil: Evil, pin: int) -> bool:
        """Serve somebody who presses that key; whether the press was taken."""
        for happening in (VisitBegins(at=self.clock.moment()), VisitEnds(at=self.clock.moment())):
            self.counter.handle(happening)
        given = self.facts().count("rating.given")
        self.clock.passes(1)
        for level in (False, True):
            evil.level(pin, level)
            self.rounds()
        self.clock.passes(100)
        return self.facts().count("rating.given") == given + 1


@pytest.fixture
def stand(evil: Evil, counter: Counter, hand_clock: HandClock) -> Iterator[Stand]:
    stand = Stand(counter, hand_clock)
    counter.handle(ClerkArrives(at=hand_clock.moment(), number="0107"))
    yield stand
    stand.lamps.close()
    stand.pad.close()
    stand.pins.close()


class Wires:
    """A pad on the fake chip without a window, and what it has told."""

    def __init__(self, evil: Evil, clock: HandClock) -> None:
        self.evil, self.clock = evil, clock
        self.heard: list[Happening] = []
        self.pins = Pins("lgpio")
        self.pad = Pad(WIRING, self.pins, self.heard.append, clock.moment)

    def round(self) -> None:
        self.heard.clear()
        self.clock.passes(1.0)
        drain(self.pad)

    def pressed(self, pin: int) -> list[Grade]:
        """Which keys were heard when that pin was pulled down."""
        self.evil.level(pin, False)
        self.round()
        heard = [one.grade for one in self.heard if isinstance(one, KeyPresses)]
        self.evil.level(pin, True)
        self.round()
        return heard

    def faults(self) -> list[tuple[str, str]]:
        return [(one.device, one.reason) for one in self.heard if isinstance(one, DeviceFails)]

    def switch(self) -> list[bool]:
        return [one.closed for one in self.heard if isinstance(one, SwitchReads)]

    def recovered(self) -> list[str]:
        return [one.device for one in self.heard if isinstance(one, DeviceRecovers)]


@pytest.fixture
def wires(evil: Evil, hand_clock: HandClock) -> Iterator[Wires]:
    wires = Wires(evil, hand_clock)
    yield wires
    wires.pad.close()
    wires.pins.close()


@pytest.mark.parametrize("raised", RAISED)
@pytest.mark.parametrize("function", OPENING)
def test_a_key_whose_line_cannot_be_opened_leaves_the_four_others_and_the_switch(
    evil: Evil, wires: Wires, function: str, raised: str
) -> None:
    evil.at(f"lgpio.{function}.5", raised)
    assert wires.pad.arm()
    assert wires.faults() == [("pad", "no_gpio")]
    assert [one.detail[:13] for one in wires.heard if isinstance(one, DeviceFails)] == ["key 5: GPIO5:"]
    assert [wires.pressed(pin) for pin in KEYS] == [[], [4], [3], [2], [1]]
    evil.level(AWAY, False)
    wires.round()
    assert wires.switch()[-1] is True
    evil.mend(f"lgpio.{function}.5")
    wires.round()
    assert wires.recovered() == ["pad"]
    assert [wires.pressed(pin) for pin in KEYS] == [[5], [4], [3], [2], [1]]


@pytest.mark.parametrize("raised", RAISED)
@pytest.mark.parametrize("function", ["import", "gpiochip_open"])
def test_a_chip_or_a_library_that_raises_anything_is_tried_again_within_a_second(
    evil: Evil, wires: Wires, function: str, raised: str
) -> None:
    evil.at(f"lgpio.{function}", raised)
    assert not wires.pad.arm()
    assert wires.faults() == [("pad", "no_gpio"), ("away", "no_gpio")]
    wires.round()
    assert wires.heard == []
    evil.mend(f"lgpio.{function}")
    wires.round()
    assert wires.recovered() == ["pad", "away"]
    assert wires.pressed(19) == [2]


@pytest.mark.parametrize("raised", RAISED)
def test_a_key_that_cannot_be_read_any_more_is_lost_and_found(evil: Evil, wires: Wires, raised: str) -> None:
    assert wires.pad.arm()
    evil.at("lgpio.gpio_read.5", raised)
    wires.round()
    wires.round()
    assert wires.faults() == [("pad", "no_gpio")]
    assert wires.pressed(13) == [3]
    evil.mend("lgpio.gpio_read.5")
    wires.round()
    assert wires.recovered() == ["pad"]
    assert wires.pressed(5) == [5]


@pytest.mark.parametrize("raised", RAISED)
def test_a_line_that_cannot_be_given_back_keeps_nothing_else_from_closing(
    evil: Evil, wires: Wires, raised: str
) -> None:
    assert wires.pad.arm()
    for name in ("lgpio.gpio_claim_input.5", "lgpio.gpio_get_mode.16", "lgpio.gpiochip_close"):
        evil.at(name, raised)
    wires.pad.close()
    wires.pins.close()
    for name in ("lgpio.gpio_claim_input.5", "lgpio.gpio_get_mode.16", "lgpio.gpiochip_close"):
        evil.mend(name)
    assert wires.pad.arm()
    assert wires.pressed(5) == [5]


def test_one_busy_key_is_a_sentence_at_the_window_and_the_others_rate(evil: Evil, stand: Stand) -> None:
    evil.at("lgpio.gpio_claim_input.5", "Busy")
    assert stand.pad.arm()
    assert stand.troubles() == {"pad": "no_gpio"}
    assert "评价器有部分或全部按键的接口不能使用" in stand.sentences()
    assert stand.rated(evil, 6)
    assert not stand.rated(evil, 5)
    evil.mend("lgpio.gpio_claim_input.5")
    stand.rounds()
    assert stand.troubles() == {}
    assert stand.rated(evil, 5)
    assert stand.facts().count("device.failed") == stand.facts().count("device.recovered") == 1


def test_a_switch_that_cannot_be_opened_is_its_own_trouble_and_holds_nothing(evil: Evil, stand: Stand) -> None:
    evil.level(AWAY, False)
    assert stand.pad.arm()
    assert stand.counter.view().switch_holds
    evil.at(f"lgpio.gpio_read.{AWAY}", "Busy")
    stand.rounds(2)
    assert stand.troubles() == {"away": "no_gpio"}
    assert stand.counter.view().away is not None, "the loss of the switch ends no absence"
    assert not stand.counter.view().switch_holds
    evil.mend(f"lgpio.gpio_read.{AWAY}")
    stand.rounds()
    assert stand.facts().count("away.began") == 1
    assert "away.ended" not in stand.facts()
    assert stand.counter.view().switch_holds


def test_a_key_lost_while_it_was_down_is_no_press_when_it_comes_back(evil: Evil, stand: Stand) -> None:
    assert stand.pad.arm()
    evil.level(5, False)
    stand.rounds()
    strays = stand.facts().count("press.stray")
    evil.at("lgpio.gpio_read.5", "Busy")
    stand.rounds(2)
    evil.mend("lgpio.gpio_read.5")
    stand.rounds(2)
    evil.level(5, True)
    stand.rounds()
    assert stand.facts().count("press.stray") == strays
    assert stand.rated(evil, 5)


def asking(view: View) -> View:
    return msgspec.structs.replace(view, asking=Asking(visit="v", asks="press", left=30), away=None)


@pytest.mark.parametrize("closing", ["", "Alien"])
def test_a_chip_that_goes_and_comes_back_has_its_keys_its_switch_and_its_lamps(
    evil: Evil, stand: Stand, closing: str
) -> None:
    assert stand.pad.arm()
    view = asking(stand.counter.view())
    stand.lamps.show(view)
    assert evil.lit(LAMP) == "1"
    if closing:
        evil.at("lgpio.gpiochip_close", closing)
    evil.gone(True)
    stand.rounds(2)
    stand.lamps.show(view)
    assert stand.troubles() == {"pad": "no_gpio", "away": "no_gpio"}
    evil.mend(f"out.{LAMP}")
    evil.gone(False)
    stand.rounds()
    assert stand.troubles() == {}
    stand.lamps.show(view)
    stand.lamps.show(view)
    assert (stand.lamps.trouble, evil.lit(LAMP)) == ("", "1")
    assert stand.rated(evil, 26)
    evil.level(AWAY, False)
    stand.rounds()
    assert stand.counter.view().away is not None


@pytest.mark.parametrize("function", ["gpio_claim_input", "gpio_claim_output", "gpio_write", "gpio_get_mode"])
@pytest.mark.parametrize("raised", RAISED)
def test_a_lamp_that_cannot_be_opened_or_lit_leaves_the_others(
    evil: Evil, stand: Stand, function: str, raised: str
) -> None:
    lamps = Lamps(stand.pins, KEYS, LAMP, active_low=False, away_low=False)
    view = asking(stand.counter.view())
    evil.at(f"lgpio.{function}.13", raised)
    lamps.show(view)
    assert "GPIO13" in lamps.trouble
    assert [evil.lit(pin) for pin in KEYS if pin != 13] == ["1"] * 4
    evil.mend(f"lgpio.{function}.13")
    lamps.show(view)
    assert (lamps.trouble, evil.lit(13)) == ("", "1")
    evil.at(f"lgpio.{function}.13", raised)
    lamps.close()


def test_a_chip_that_comes_within_the_first_seconds_is_no_event(evil: Evil, stand: Stand) -> None:
    patient = Stand(stand.counter, stand.clock, grace_s=8)
    evil.gone(True)
    assert not patient.pad.arm()
    before = patient.facts()
    patient.rounds(7)
    evil.gone(False)
    patient.rounds()
    assert patient.pad.armed
    assert patient.facts() == before
    patient.pad.close()
    patient.pins.close()


def test_a_chip_that_does_not_come_is_said_after_the_first_seconds(evil: Evil, stand: Stand) -> None:
    patient = Stand(stand.counter, stand.clock, grace_s=8)
    evil.gone(True)
    assert not patient.pad.arm()
    patient.rounds(9)
    assert patient.troubles() == {"pad": "no_gpio", "away": "no_gpio"}


@pytest.mark.parametrize("raised", RAISED)
def test_what_is_raised_at_an_edge_ends_no_other_keys_edges(evil: Evil, wires: Wires, raised: str) -> None:
    def raises(*_edge: object) -> None:
        seen.append(1)
        raise RAISED[raised]

    seen: list[int] = []
    assert wires.pad.arm()
    pin = wires.pins.factory().pin(20)
    pin.when_changed = raises
    evil.level(20, False)
    until(lambda: seen, what="the edge at which something is raised")
    evil.level(5, False)
    until(lambda: not wires.pad._edges.empty(), what="an edge of another key")


def test_edges_come_again_after_a_line_was_lost(evil: Evil, stand: Stand) -> None:
    """The callback left by a line that is gone must not end the edges of the one opened after it."""
    assert stand.pad.arm()
    evil.at("lgpio.gpio_read.5", "Busy")
    stand.rounds(2)
    evil.mend("lgpio.gpio_read.5")
    stand.rounds()
    evil.level(5, False)
    before = stand.facts()
    until(lambda: not stand.pad._edges.empty(), what="the edge of a key that was lost and found")
    stand.pad.step()
    assert stand.facts() == [*before, "press.stray"]

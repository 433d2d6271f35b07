"""Contacts that bounce, stick and are pressed together; and the pad that drives them on gpiozero's mock pins."""

from collections.abc import Iterator
from itertools import pairwise
from typing import Any, Literal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.clock import Clock
from appliance.devices.contacts import GRADES, Contact, Keys
from appliance.devices.lamps import Lamps
from appliance.devices.pad import Pad, PadWiring
from appliance.devices.pins import Pins
from appliance.loops import Loops
from appliance.window.happenings import DeviceFails, Happening, KeyFrees, KeyPresses, KeySticks, SwitchReads
from appliance.window.moment import Moment
from appliance.window.view import Asking, Away, View
from tests.conftest import HandClock, until

START = HandClock().moment()


def at(seconds: float) -> Moment:
    return msgspec.structs.replace(START, up=START.up + seconds)


def keys() -> Keys:
    board = Keys(bounce_s=0.03, together_s=0.15, stuck_s=10)
    board.begin(dict.fromkeys(GRADES, False), START)
    return board


def test_the_first_edge_counts_at_once_and_its_bounces_do_not() -> None:
    board = keys()
    pressed = [board.meets(5, down, at(t)) for t, down in [(1.0, True), (1.002, False), (1.004, True), (1.02, False)]]
    assert [len(one) for one in pressed] == [1, 0, 0, 0]


def test_after_the_bounce_the_level_is_read_again() -> None:
    board = keys()
    board.meets(5, True, at(1.0))
    board.meets(5, False, at(1.01))
    assert 0 < board.look_in(at(1.01)) <= 0.021
    board.read(dict.fromkeys(GRADES, False), at(1.04))
    assert len(board.meets(5, True, at(1.2))) == 1


def test_a_press_is_not_lost_when_the_card_kept_us_longer_than_the_bounce() -> None:
    board = keys()
    assert len(board.meets(5, True, at(1.000))) == 1
    assert board.meets(5, False, at(1.003)) == []
    assert board.look_in(at(1.040)) == 0
    assert len(board.meets(5, True, at(1.300))) == 1


def test_a_key_held_through_its_bounce_is_one_press_however_late_it_is_looked_at() -> None:
    board = keys()
    assert len(board.meets(5, True, at(1.000))) == 1
    assert board.meets(5, False, at(1.003)) == []
    assert board.meets(5, True, at(1.005)) == []
    assert board.read({**dict.fromkeys(GRADES, False), 5: True}, at(1.040)) == []
    assert board.look_in(at(1.040)) > 1


def test_a_press_that_no_edge_announced_counts_when_its_level_is_read() -> None:
    board = keys()
    found = board.read({**dict.fromkeys(GRADES, False), 3: True}, at(1))
    assert [type(one) for one in found] == [KeyPresses]


def test_keys_within_150_ms_are_named_beside_and_later_ones_are_not() -> None:
    board = keys()
    board.meets(5, True, at(1.0))
    (second,) = board.meets(4, True, at(1.14))
    (third,) = board.meets(1, True, at(1.2))
    assert isinstance(second, KeyPresses)
    assert isinstance(third, KeyPresses)
    assert second.beside == (5,)
    assert third.beside == (4,)


def test_a_key_held_over_ten_seconds_sticks_once_and_is_free_when_released() -> None:
    board = keys()
    board.meets(2, True, at(0))
    held = {**dict.fromkeys(GRADES, False), 2: True}
    assert board.read(held, at(9.9)) == []
    assert [type(one) for one in board.read(held, at(10.1))] == [KeySticks]
    assert board.read(held, at(20)) == []
    assert [type(one) for one in board.meets(2, False, at(30))] == [KeyFrees]


def test_a_key_found_down_at_the_start_is_no_press_but_sticks() -> None:
    board = Keys(bounce_s=0.03, together_s=0.15, stuck_s=10)
    held = {**dict.fromkeys(GRADES, False), 2: True}
    freed = board.begin(held, START)
    assert {one.grade for one in freed if isinstance(one, KeyFrees)} == {1, 3, 4, 5}
    assert [type(one) for one in board.read(held, at(10.1))] == [KeySticks]


def test_a_key_found_down_is_freed_when_it_comes_up_however_soon() -> None:
    board = Keys(bounce_s=0.03, together_s=0.15, stuck_s=10)
    board.begin({**dict.fromkeys(GRADES, False), 2: True}, START)
    assert [type(one) for one in board.meets(2, False, at(2))] == [KeyFrees]


@given(st.lists(st.tuples(st.floats(0, 0.5), st.booleans()), max_size=200))
def test_a_contact_never_changes_twice_within_its_bounce(edges: list[tuple[float, bool]]) -> None:
    contact, now, changes = Contact(0.03), 0.0, []
    for wait, closed in edges:
        now += wait
        if contact.meets(closed, at(now)):
            changes.append(now)
    assert all(later - earlier >= 0.03 - 1e-9 for earlier, later in pairwise(changes))


# ---- on mock pins -----------------------------------------------------------------------------------------------

WIRING = PadWiring(keys=(5, 6, 13, 19, 26), away_pin=16, stuck_s=0.2)


class Board:
    """A pad on mock pins with its own loop, and what it has told."""

    def __init__(self, wiring: PadWiring) -> None:
        self.pins = Pins("mock")
        self.heard: list[Happening] = []
        self.pad = Pad(wiring, self.pins, self._hear, Clock().moment)
        self.loops = Loops()
        self.loops.add("pad", self.pad.step)

    def _hear(self, happening: Happening) -> None:
        self.heard.append(happening)

    def names(self) -> list[str]:
        return [type(one).__name__ for one in self.heard]

    def pin(self, number: int) -> Any:
        return self.pins.factory().pin(number)


@pytest.fixture
def board() -> Iterator[Board]:
    board = Board(WIRING)
    assert board.pad.arm()
    board.loops.start()
    yield board
    board.loops.stop()
    board.pad.wake()
    board.loops.join()
    assert board.loops.sound
    board.pad.close()


def test_each_key_is_its_own_grade(board: Board) -> None:
    for grade, pin in zip((5, 4, 3, 2, 1), WIRING.keys, strict=True):
        board.pin(pin).drive_low()
        until(lambda grade=grade: [p.grade for p in board.heard if isinstance(p, KeyPresses)][-1:] == [grade])  # type: ignore[misc]
        board.pin(pin).drive_high()


def test_a_held_key_sticks_and_is_freed(board: Board) -> None:
    board.heard.clear()
    board.pin(5).drive_low()
    until(lambda: "KeySticks" in board.names())
    board.pin(5).drive_high()
    until(lambda: "KeyFrees" in board.names())


def test_the_switch_is_read_as_a_level_at_the_start() -> None:
    board = Board(WIRING)
    board.pins.factory().pin(16)
    assert board.pad.arm()
    assert [one.closed for one in board.heard if isinstance(one, SwitchReads)] == [False]
    board.pad.close()


def test_a_switch_that_moves_is_heard_both_ways(board: Board) -> None:
    def levels() -> list[bool]:
        return [one.closed for one in board.heard if isinstance(one, SwitchReads)]

    board.pin(16).drive_low()
    until(lambda: levels()[-1:] == [True])
    board.pin(16).drive_high()
    until(lambda: levels()[-1:] == [False])


def test_a_momentary_button_is_heard_when_it_goes_down() -> None:
    board = Board(msgspec.structs.replace(WIRING, away_kind="button"))
    assert board.pad.arm()
    board.pin(16).drive_low()
    board.pad.step()
    board.pin(16).drive_high()
    board.pad.step()
    assert board.names().count("AwayButtonPresses") == 1
    board.pad.close()


def test_without_a_gpio_chip_the_pad_says_so_and_stays_alive() -> None:
    heard: list[Happening] = []
    pad = Pad(WIRING, Pins("lgpio"), heard.append, Clock().moment)
    assert not pad.arm()
    failed = [(one.device, one.reason) for one in heard if isinstance(one, DeviceFails)]
    assert failed == [("pad", "no_gpio"), ("away", "no_gpio")]
    assert len(heard) == len(failed)


def view(asks: Literal["press", "thanks", "two_keys"] | None, away: bool = False) -> View:
    asking = None if asks is None else Asking(visit="v", asks=asks, left=3)
    return View(
        state="rating",
        since=START,
        clerk=None,
        today=None,
        away=Away("a", START, "switch") if away else None,
        visit=None,
        asking=asking,
        served_today=0,
        troubles=(),
        stuck=(),
        switch_holds=away,
        kept=True,
    )


@pytest.mark.parametrize("prompt", [(17,), (17, 27, 22, 23, 24)])
@pytest.mark.parametrize(
    ("asks", "away", "lit"),
    [
        ("press", False, True),
        ("two_keys", False, True),
        ("thanks", False, False),
        ("press", True, False),
        (None, False, False),
    ],
)
def test_all_lamps_ask_together_and_only_while_a_press_is_wanted(
    prompt: tuple[int, ...], asks: Literal["press", "thanks", "two_keys"] | None, away: bool, lit: bool
) -> None:
    pins = Pins("mock")
    lamps = Lamps(pins, prompt, 12, active_low=False, away_low=True)
    lamps.show(view(asks, away))
    assert [pins.factory().pin(pin).state for pin in prompt] == [lit] * len(prompt)
    assert pins.factory().pin(12).state is (not away)
    lamps.close()

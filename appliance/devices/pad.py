"""The rating pad and the 暂时离开 contact: edges from gpiozero, levels read again and again, told as happenings."""

import logging
import queue
from collections.abc import Callable
from typing import Any, Literal

import msgspec

from appliance.devices.contacts import GRADES, Contact, Keys
from appliance.devices.pins import Pins, PinsAbsent
from appliance.window.facts import Grade
from appliance.window.happenings import AwayButtonPresses, DeviceFails, DeviceRecovers, Happening, SwitchReads
from appliance.window.moment import Moment

log = logging.getLogger(__name__)

READ_EVERY = 1.0
RETRY_EVERY = 10.0
# lgpio holds an edge back until the level was stable this long: a spike on a long cable is no press.
GLITCH_S = 0.005


class PadWiring(msgspec.Struct, frozen=True, kw_only=True):
    """Which BCM pin is what, 非常满意 first; times in seconds."""

    keys: tuple[int, ...]
    pull_up: bool = True
    bounce_s: float = 0.03
    together_s: float = 0.15
    stuck_s: float = 10.0
    away_kind: Literal["switch", "button", "none"] = "switch"
    away_pin: int | None = None
    away_pull_up: bool = True
    away_bounce_s: float = 0.05


class Edge(msgspec.Struct, frozen=True):
    """What a callback of gpiozero leaves on the queue; `grade` None is the 暂时离开 contact."""

    grade: Grade | None
    closed: bool
    at: Moment


class Pad:
    """Keys and switch of one window; `step` is one round of its loop, everything else is private to that thread."""

    def __init__(
        self,
        wiring: PadWiring,
        pins: Pins,
        handle: Callable[[Happening], object],
        moment: Callable[[], Moment],
    ) -> None:
        self._wiring = wiring
        self._pins = pins
        self._handle = handle
        self._moment = moment
        self._edges: queue.SimpleQueue[Edge | None] = queue.SimpleQueue()
        self._keys = Keys(wiring.bounce_s, wiring.together_s, wiring.stuck_s)
        self._away = Contact(wiring.away_bounce_s)
        self._buttons: dict[Grade, Any] = {}
        self._away_button: Any = None
        self._open = False
        self.armed = False

    def arm(self) -> bool:
        """Open the pins and read what they say now; False, and said so, when there is no GPIO."""
        try:
            self._open_buttons()
        except PinsAbsent as error:
            self.close()
            self._handle(DeviceFails(at=self._moment(), device="pad", reason="no_gpio", detail=str(error)))
            return False
        at = self._moment()
        self._begin(at)
        self.armed = True
        return True

    def step(self) -> None:
        """Wait for an edge, at most until the levels have to be read again, and hand on what it means."""
        if not self.armed and not self.arm():
            self._wait(RETRY_EVERY)
            return
        edge = self._wait(min(READ_EVERY, self._keys.look_in(self._moment()), self._away_look_in()))
        if edge is not None:
            self._take(edge)
        else:
            self._read(self._moment())

    def wake(self) -> None:
        """End a wait of `step` early."""
        self._edges.put(None)

    def close(self) -> None:
        """Give the pins back."""
        for button in (*self._buttons.values(), self._away_button):
            if button is not None:
                button.close()
        self._buttons, self._away_button, self.armed = {}, None, False

    # ---- gpiozero -----------------------------------------------------------------------------------------------

    def _open_buttons(self) -> None:
        factory = self._pins.factory()
        wiring = self._wiring
        for grade, pin in zip(reversed(GRADES), wiring.keys, strict=True):
            self._buttons[grade] = self._button(factory, pin, wiring.pull_up, grade)
        if wiring.away_kind != "none" and wiring.away_pin is not None:
            self._away_button = self._button(factory, wiring.away_pin, wiring.away_pull_up, None)

    def _button(self, factory: Any, pin: int, pull_up: bool, grade: Grade | None) -> Any:
        from gpiozero import Button, GPIOZeroError

        try:
            button = Button(pin, pull_up=pull_up, bounce_time=GLITCH_S, pin_factory=factory)
        except (GPIOZeroError, OSError) as error:
            raise PinsAbsent(f"GPIO{pin}: {error}") from error
        button.when_pressed = lambda: self._edges.put(Edge(grade, True, self._moment()))
        button.when_released = lambda: self._edges.put(Edge(grade, False, self._moment()))
        return button

    def _wait(self, timeout: float) -> Edge | None:
        try:
            return self._edges.get(timeout=max(timeout, 0.001))
        except queue.Empty:
            return None

    # ---- what it means ------------------------------------------------------------------------------------------

    def _begin(self, at: Moment) -> None:
        self._hand_on(self._keys.begin(self._levels(), at))
        self._hand_on([DeviceRecovers(at=at, device="pad")])
        if self._away_button is not None:
            self._away.begin(self._away_button.is_pressed, at)
        self._hand_on(self._away_reads(at))

    def _take(self, edge: Edge) -> None:
        if edge.grade is not None:
            self._hand_on(self._keys.meets(edge.grade, edge.closed, edge.at))
        elif self._away.meets(edge.closed, edge.at):
            self._hand_on(self._away_moves(edge.at))

    def _read(self, at: Moment) -> None:
        self._hand_on(self._keys.read(self._levels(), at))
        if self._away_button is not None and self._away.reads(self._away_button.is_pressed, at):
            self._hand_on(self._away_moves(at))
        else:
            self._hand_on(self._away_reads(at))

    def _levels(self) -> dict[Grade, bool]:
        return {grade: bool(button.is_pressed) for grade, button in self._buttons.items()}

    def _away_moves(self, at: Moment) -> list[Happening]:
        if self._wiring.away_kind == "button":
            return [AwayButtonPresses(at=at)] if self._away.closed else []
        return self._away_reads(at)

    def _away_reads(self, at: Moment) -> list[Happening]:
        # Said again at every reading: should the card not have taken it the first time, it does the next.
        return [SwitchReads(at=at, closed=self._away.closed)] if self._wiring.away_kind == "switch" else []

    def _away_look_in(self) -> float:
        rest = self._away.quiet_for(self._moment())
        return float("inf") if rest is None else rest

    def _hand_on(self, happenings: list[Happening]) -> None:
        for happening in happenings:
            self._handle(happening)

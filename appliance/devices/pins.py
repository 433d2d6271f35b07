"""The GPIO pins: gpiozero's factory, opened when the chip is there, and each line of it taken by itself.

The rules:
- one line that is busy or broken leaves all others working; it is only ever its own taker's trouble;
- a chip on which no line can be read any more is closed, and the next taking opens it anew (it went and came back);
- the only other make is gpiozero's own mock.
"""

import logging
import os
import threading
from collections.abc import Callable
from functools import partial
from typing import Any, Literal

from appliance.devices.lgpio_files import import_lgpio
from appliance.guard import DeviceTrouble, guarded, let_go

log = logging.getLogger(__name__)


class PinsAbsent(DeviceTrouble):
    """There is no GPIO chip to open, or no library for it; the text says which."""


class Line:
    """One taken line: a device of gpiozero, and the factory whose chip it is on."""

    def __init__(self, pin: int, device: Any, factory: Any) -> None:
        self.pin = pin
        self._device = device
        self._factory = factory

    def closed(self) -> bool:
        """Whether the contact at it is closed; raises DeviceTrouble."""
        with guarded("no_gpio"):
            return bool(self._device.is_active)

    def light(self, lit: bool) -> None:
        """Drive the lamp at it; raises DeviceTrouble."""
        with guarded("no_gpio"):
            self._device.value = lit

    def on(self, factory: Any) -> bool:
        """Whether it is on that chip as opened now, and answers."""
        try:
            with guarded("no_gpio"):
                return self._factory is factory and self._device.pin.state is not None
        except DeviceTrouble:
            return False

    def give_back(self) -> None:
        """Close it. What cannot be closed is forgotten: gpiozero would try and fail again when it is collected."""
        if let_go(f"GPIO{self.pin}", self._device.close):
            return
        forget_pin(self._factory, self.pin)
        _abandon(self._device, self._factory)


class Pins:
    """The pin factory of this window, shared by keys, lamps, switch and bench; any thread may take a line."""

    def __init__(self, make: Literal["lgpio", "mock"]) -> None:
        self._make = make
        self._factory: Any = None
        self._lines: set[Line] = set()
        self._turn = threading.RLock()

    def factory(self) -> Any:
        """The gpiozero factory, opened at the first call; raises PinsAbsent, and may be asked again later."""
        with self._turn:
            if self._factory is None:
                self._factory = self._open()
            return self._factory

    def contact(self, pin: int, *, pull_up: bool, bounce_s: float, moves: Callable[[bool], None]) -> Line:
        """Take a line with a contact to ground or to 3.3 V; `moves` is called at each edge with whether it closed."""

        def make(factory: Any, begun: list[Any]) -> Any:
            # Not its Button: that runs a thread for each, ten times a second and at each press, to see what is held.
            from gpiozero import DigitalInputDevice

            contact = _noted(DigitalInputDevice, begun)(pin, pull_up=pull_up, bounce_time=bounce_s, pin_factory=factory)
            contact.when_activated = lambda: moves(True)
            contact.when_deactivated = lambda: moves(False)
            return contact

        return self._take(pin, make)

    def lamp(self, pin: int, *, active_high: bool) -> Line:
        """Take a line with a lamp at it, dark."""

        def make(factory: Any, begun: list[Any]) -> Any:
            from gpiozero import LED

            return _noted(LED, begun)(pin, active_high=active_high, pin_factory=factory)

        return self._take(pin, make)

    def _take(self, pin: int, make: Callable[[Any, list[Any]], Any]) -> Line:
        """Raises PinsAbsent for the chip, DeviceTrouble for the line."""
        with self._turn:
            factory, begun = self.factory(), list[Any]()
            try:
                with guarded("no_gpio"):
                    line = Line(pin, make(factory, begun), factory)
            except DeviceTrouble as trouble:
                forget_pin(factory, pin)
                for device in begun:
                    _abandon(device, factory)
                detail = trouble.detail
            else:
                self._lines.add(line)
                return line
            if not any(other.on(factory) for other in self._lines):
                self._close()
        raise DeviceTrouble("no_gpio", f"GPIO{pin}: {detail}")

    def give_back(self, line: Line) -> None:
        """Close a line."""
        with self._turn:
            self._lines.discard(line)
            line.give_back()

    def _open(self) -> Any:
        try:
            with guarded("no_gpio"):
                if self._make == "mock":
                    from gpiozero.pins.mock import MockFactory as Factory
                else:
                    import_lgpio()
                    from gpiozero.pins.lgpio import LGPIOFactory as Factory
                factory = Factory()
                factory.pin_class = _careful(factory.pin_class)
                return factory
        except DeviceTrouble as trouble:
            raise PinsAbsent("no_gpio", f"{trouble.detail} (in {_folder()})") from None

    def close(self) -> None:
        """Give the pins back."""
        with self._turn:
            self._close()

    def _close(self) -> None:
        """Close the chip pin by pin: gpiozero's own close stops at the first that fails, and keeps all the others."""
        factory, self._factory = self._factory, None
        self._lines.clear()
        if factory is None:
            return
        for line in _pins_of(factory):
            forget_pin(factory, line)
        let_go("the GPIO chip", factory.close)


def _careful(kind: Any) -> Any:
    """That class of pins, but nothing raised at an edge of it reaches lgpio: its only thread for all edges would end.

    gpiozero itself raises there when an edge comes while its pin is just being closed.
    """

    def call(pin: Any, *given: Any) -> None:
        try:
            with guarded():
                kind._call_when_changed(pin, *given)
        except DeviceTrouble as trouble:
            log.warning("an edge of %s was not taken: %s", pin, trouble.detail)

    return type(kind)(kind.__name__, (kind,), {"_call_when_changed": call})


def _noted(kind: Any, begun: list[Any]) -> Any:
    """That class of gpiozero, but each of it is noted before it opens anything."""

    def begin(device: Any, *given: Any, **named: Any) -> None:
        begun.append(device)
        kind.__init__(device, *given, **named)

    return type(kind)(kind.__name__, (kind,), {"__init__": begin})


def _abandon(device: Any, factory: Any) -> None:
    """Leave a device that did not open or close: it holds its pin no more, whoever still has a hold on it."""
    let_go("a GPIO device", lambda: factory.release_all(device))
    # gpiozero closes what is collected: it would fail once more, into the journal.
    let_go("a GPIO device", lambda: setattr(device, "close", lambda: None))


def _folder() -> str:
    """Where lgpio makes its pipe; the folder may be gone."""
    try:
        return os.getcwd()  # noqa: PTH109  Path.cwd() is no other
    except OSError:
        return "a folder that is gone"


def _pins_of(factory: Any) -> list[int]:
    numbers: list[int] = []
    let_go("the GPIO chip", lambda: numbers.extend(int(info.name[4:]) for info in tuple(factory.pins)))
    return numbers


def forget_pin(factory: Any, pin: int) -> None:
    """Drop gpiozero's memory of a pin, with its callback: left there, that would end the next one's edges."""

    def forget() -> None:
        for _, info in factory.board_info.find_pin(pin):
            known = factory.pins.pop(info, None)
            if known is not None:
                let_go(f"the edges of GPIO{pin}", partial(setattr, known, "when_changed", None))
                let_go(f"GPIO{pin}", known.close)

    let_go(f"GPIO{pin}", forget)

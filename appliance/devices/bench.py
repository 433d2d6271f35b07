"""The bench's hardware: the same mock pins, printer and cable that the tests drive, moved by a hand on the screen."""

from collections.abc import Callable
from functools import partial
from typing import Any, Literal, Protocol

import msgspec

from appliance.devices.cable import Cable
from appliance.devices.paper_bench import BenchPrinter
from appliance.devices.pins import Pins
from appliance.guard import DeviceTrouble, guarded, let_go
from appliance.paper.glyphs import Glyphs
from appliance.window.facts import Grade


class Broker(Protocol):
    """A hold on the broker, where whoever started it gives one."""

    def up(self) -> bool:
        """Whether it runs."""

    def kill(self) -> bool:
        """End it at once."""


class Lamp(msgspec.Struct, frozen=True):
    """One lamp: `prompt`, or `prompt-5` … `prompt-1` where every key has its own, or `away`."""

    name: str
    lit: bool


class BenchState(msgspec.Struct, frozen=True, kw_only=True):
    """Everything on the bench as it is at one moment, for the page that draws it."""

    away_is: Literal["switch", "button", "none"]
    closed: bool
    lamps: tuple[Lamp, ...]
    printer: bool
    cable_out: bool
    paper_out: bool
    papers: tuple[int, ...]
    network_cut: bool
    broker: Literal["none", "up", "down"]


class Wires:
    """Contacts and lamps on mock pins: a key pulls its pin to ground, or to 3.3 V where the pins are pulled down."""

    def __init__(self, pins: Pins, keys: tuple[int, ...], pull_up: bool, lamps: dict[str, tuple[int, bool]]) -> None:
        self._pins = pins
        self._keys: dict[Grade, int] = dict(zip((5, 4, 3, 2, 1), keys, strict=True))
        self._pull_up = pull_up
        self._lamps = lamps

    def close(self, pin: int, closed: bool, pull_up: bool) -> None:
        """Close or open the contact at a pin; nothing moves where there are no pins."""
        let_go(f"GPIO{pin}", lambda: self._drive(pin, low=closed == pull_up))

    def _drive(self, pin: int, *, low: bool) -> None:
        wire: Any = self._pins.factory().pin(pin)
        if low:
            wire.drive_low()
        else:
            wire.drive_high()

    def closed(self, pin: int, pull_up: bool) -> bool:
        """Whether the contact at a pin is closed; none is where there are no pins."""
        return self._says(pin, lambda wire: bool(wire.state) != pull_up)

    def _says(self, pin: int, ask: Callable[[Any], bool]) -> bool:
        try:
            with guarded("no_gpio"):
                return ask(self._pins.factory().pin(pin))
        except DeviceTrouble:  # the pad has said it
            return False

    def key(self, grade: Grade, down: bool) -> None:
        """Push or let go a key."""
        self.close(self._keys[grade], down, self._pull_up)

    def lamps(self) -> tuple["Lamp", ...]:
        """Every lamp, lit where its pin drives it."""
        return tuple(Lamp(name, self._says(pin, partial(_drives, low))) for name, (pin, low) in self._lamps.items())


def _drives(low: bool, wire: Any) -> bool:
    """Whether a pin lights its lamp, which may be lit by a low level."""
    return wire.function == "output" and bool(wire.state) != low


class Away:
    """The 暂时离开 contact on its mock pin."""

    def __init__(self, kind: Literal["switch", "button", "none"], wires: Wires, pin: int, pull_up: bool) -> None:
        self.kind = kind
        self._wires, self._pin, self._pull_up = wires, pin, pull_up

    def move(self, closed: bool) -> None:
        """Turn it, or hold it down."""
        if self.kind != "none":
            self._wires.close(self._pin, closed, self._pull_up)

    def closed(self) -> bool:
        """How it stands."""
        return self.kind != "none" and self._wires.closed(self._pin, self._pull_up)


class Tray:
    """The printer as hands find it: its cable, its roll, the papers in front of it."""

    def __init__(self, printer: BenchPrinter, glyphs: Glyphs) -> None:
        self.printer = printer
        self.glyphs = glyphs

    def numbers(self) -> tuple[int, ...]:
        """The papers by number, newest first."""
        return tuple(paper.number for paper in self.printer.papers())


class Bench:
    """Moves one window's hardware: each method is one movement of a hand, done when it returns.

    `cable` is the network's; `broker` is None where nobody gave a hold on it, `tray` where there is no bench printer.
    """

    def __init__(self, wires: Wires, away: Away, tray: Tray | None, cable: Cable, broker: Broker | None) -> None:
        self._wires, self._away, self._tray, self._cable, self._broker = wires, away, tray, cable, broker

    def state(self) -> BenchState:
        """How everything is now."""
        knobs = self._tray.printer.knobs if self._tray else None
        return BenchState(
            away_is=self._away.kind,
            closed=self._away.closed(),
            lamps=self._wires.lamps(),
            printer=knobs is not None,
            cable_out=knobs is not None and not knobs.plugged,
            paper_out=knobs is not None and not knobs.paper,
            papers=self._tray.numbers() if self._tray else (),
            network_cut=self._cable.is_cut,
            broker=self._broker_is(),
        )

    def press(self, grade: Grade) -> None:
        """Push a rating key down and hold it."""
        self._wires.key(grade, True)

    def release(self, grade: Grade) -> None:
        """Let a rating key come up."""
        self._wires.key(grade, False)

    def switch(self, closed: bool) -> None:
        """Turn the switch, or hold and let go the button."""
        self._away.move(closed)

    def cable(self, out: bool) -> None:
        """Pull or plug in the printer's cable."""
        if self._tray is not None:
            self._tray.printer.turn(plugged=not out)

    def paper(self, out: bool) -> None:
        """Take the roll out or put a new one in."""
        if self._tray is not None:
            self._tray.printer.turn(paper=not out)

    def picture(self, paper: int) -> bytes | None:
        """A paper of the tray as PNG, None when it is not there."""
        return self._tray.printer.picture(paper, self._tray.glyphs) if self._tray else None

    def network(self, cut: bool) -> None:
        """Pull or plug in the network cable."""
        self._cable.cut(cut)

    def kill_broker(self) -> None:
        """Kill the broker; whoever started it starts it again."""
        if self._broker is not None:
            self._broker.kill()

    def _broker_is(self) -> Literal["none", "up", "down"]:
        if self._broker is None:
            return "none"
        return "up" if self._broker.up() else "down"

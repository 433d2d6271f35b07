"""The lamps: those at the keys, always all together, and that of 暂时离开; they ask for a press, never show a grade."""

from typing import Any

from appliance.devices.pins import Pins, PinsAbsent
from appliance.window.view import View


class Lamps:
    """Shows a view on the lamps; without GPIO it stays dark, which the pad has already said."""

    def __init__(self, pins: Pins, prompt: tuple[int, ...], away: int | None, active_low: bool, away_low: bool) -> None:
        self._pins = pins
        self._wires = [(pin, not active_low) for pin in prompt]
        self._away_wire = None if away is None else (away, not away_low)
        self._prompt: list[Any] = []
        self._away: Any = None
        self.trouble = ""
        """Why the lamps cannot be lit although there are pins; empty when they can, or without any pins."""

    def show(self, view: View) -> None:
        """Light what the view asks for: the keys while a press is wanted, 暂时离开 while away."""
        if not self._opened():
            return
        asks = view.asking is not None and view.asking.asks != "thanks" and view.away is None and view.kept
        for lamp in self._prompt:
            lamp.value = asks
        if self._away is not None:
            self._away.value = view.away is not None

    def _opened(self) -> bool:
        if self._prompt:
            return True
        from gpiozero import LED, GPIOZeroError

        try:
            factory = self._pins.factory()
            lamps = [LED(pin, active_high=high, pin_factory=factory) for pin, high in self._wires]
            if self._away_wire is not None:
                pin, high = self._away_wire
                self._away = LED(pin, active_high=high, pin_factory=factory)
        except PinsAbsent:
            return False
        except (GPIOZeroError, OSError) as error:
            self.trouble = str(error)
            return False
        self._prompt, self.trouble = lamps, ""
        return True

    def close(self) -> None:
        """Put all lamps out and give their pins back."""
        for lamp in (*self._prompt, self._away):
            if lamp is not None:
                lamp.close()
        self._prompt, self._away = [], None

"""The lamps: those at the keys, always all together, and that of 暂时离开; they ask for a press, never show a grade.

Each lamp is opened by itself: one whose line is busy or broken stays dark, and is tried again at every showing.
"""

from appliance.devices.pins import Line, Pins, PinsAbsent
from appliance.guard import DeviceTrouble, together
from appliance.window.view import View


class _Lamp:
    """One lamp on its line, which may be missing."""

    def __init__(self, pins: Pins, pin: int, active_low: bool) -> None:
        self._pins = pins
        self._pin = pin
        self._active_low = active_low
        self._line: Line | None = None

    def show(self, lit: bool) -> None:
        """Light it or put it out; raises DeviceTrouble, and opens its line anew the next time."""
        if self._line is None:
            self._line = self._pins.lamp(self._pin, active_high=not self._active_low)
        try:
            self._line.light(lit)
        except DeviceTrouble:
            self.close()
            raise

    def close(self) -> None:
        """Give its line back."""
        line, self._line = self._line, None
        if line is not None:
            self._pins.give_back(line)


class Lamps:
    """Shows a view on the lamps; without GPIO it stays dark, which the pad has already said."""

    def __init__(self, pins: Pins, prompt: tuple[int, ...], away: int | None, active_low: bool, away_low: bool) -> None:
        self._prompt = [_Lamp(pins, pin, active_low) for pin in prompt]
        self._away = [_Lamp(pins, away, away_low)] if away is not None else []
        self.dark = False
        """Whether there is no GPIO at all."""
        self.trouble = ""
        """Which lamps cannot be lit although there are pins, and why; empty when all can, or without any pins."""

    def show(self, view: View) -> None:
        """Light what the view asks for: the keys while a press is wanted, 暂时离开 while away."""
        asks = view.asking is not None and view.asking.asks != "thanks" and view.away is None and view.kept
        wanted = [(lamp, asks) for lamp in self._prompt] + [(lamp, view.away is not None) for lamp in self._away]
        wrong: list[str] = []
        self.dark = False
        for lamp, lit in wanted:
            try:
                lamp.show(lit)
            except PinsAbsent:
                self.dark = True
                break
            except DeviceTrouble as trouble:
                wrong.append(trouble.detail)
        self.trouble = "" if self.dark else together(wrong)

    def close(self) -> None:
        """Put all lamps out and give their pins back."""
        for lamp in (*self._prompt, *self._away):
            lamp.close()

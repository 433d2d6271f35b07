"""The GPIO pins: gpiozero's factory, opened when the chip is there; the only other make is gpiozero's own mock."""

from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

from appliance.devices.lgpio_files import import_lgpio


class PinsAbsent(Exception):
    """There is no GPIO chip to open, or no library for it; the text says which."""


class Pins:
    """The pin factory of this window, shared by keys, lamps, switch and bench."""

    def __init__(self, make: Literal["lgpio", "mock"]) -> None:
        self._make = make
        self._factory: Any = None

    def factory(self) -> Any:
        """The gpiozero factory, opened at the first call; raises PinsAbsent, and may be asked again later."""
        if self._factory is None:
            self._factory = self._open()
        return self._factory

    def _open(self) -> Any:
        try:
            if self._make == "mock":
                from gpiozero.pins.mock import MockFactory

                return MockFactory()
            import_lgpio()
            from gpiozero.pins.lgpio import LGPIOFactory

            return LGPIOFactory()
        # lgpio raises its own `lgpio.error`, an Exception; gpiozero wraps some of what happens below and not the rest.
        except Exception as error:
            raise PinsAbsent(f"{type(error).__name__}: {error} (in {Path.cwd()})") from error

    def close(self) -> None:
        """Give the pins back."""
        if self._factory is not None:
            with suppress(OSError):
                self._factory.close()
            self._factory = None

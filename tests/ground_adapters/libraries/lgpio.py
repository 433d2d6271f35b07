"""As much of lgpio as gpiozero's factory needs, on a chip of files: levels, busy lines, a chip that goes and comes.

It behaves as lgpio does: errors are `lgpio.error`, a handle of a chip that went away is dead for ever, and one thread
brings all edges.
"""

import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from gpiozero.pins import local

from tests.ground_adapters.evil import point

point("lgpio.import")
local.get_pi_revision = lambda: 0xC03114  # a Pi 4; this machine is none

SET_PULL_NONE, SET_PULL_UP, SET_PULL_DOWN = 128, 32, 64
RISING_EDGE, FALLING_EDGE, BOTH_EDGES = 1, 2, 3
OUTPUT = 1 << 1


class error(Exception):  # noqa: N801  lgpio's own name
    """As lgpio has it: an Exception, whose text is the repr of its value."""

    def __init__(self, value: str) -> None:
        super().__init__()
        self.value = value

    def __str__(self) -> str:
        return repr(self.value)


_chips: dict[int, bool] = {}
_modes: dict[tuple[int, int], int] = {}


def _place() -> Path:
    return Path(os.environ["EVIL"])


def _alive(handle: int) -> bool:
    """A handle of a chip that was pulled out does not live again when a chip is put in."""
    if (_place() / "gone").exists():
        for known in _chips:
            _chips[known] = False
    return _chips.get(handle, False)


def _at(function: str, handle: int, gpio: int) -> None:
    if not _alive(handle & 0xFFFF):
        raise error("unknown handle")
    point(f"lgpio.{function}")
    point(f"lgpio.{function}.{gpio}")


def gpiochip_open(chip: int) -> int:
    point("lgpio.gpiochip_open")
    if (_place() / "gone").exists():
        raise error("can not open gpiochip")
    handle = len(_chips)
    _chips[handle] = True
    return handle | chip << 16


def gpiochip_close(handle: int) -> int:
    point("lgpio.gpiochip_close")
    if not _alive(handle & 0xFFFF):
        raise error("unknown handle")
    _chips[handle & 0xFFFF] = False
    return 0


def gpio_claim_input(handle: int, gpio: int, flags: int = 0) -> int:
    _at("gpio_claim_input", handle, gpio)
    _modes[handle, gpio] = flags
    return 0


def gpio_claim_output(handle: int, gpio: int, level: int = 0, flags: int = 0) -> int:
    _at("gpio_claim_output", handle, gpio)
    _modes[handle, gpio] = flags | OUTPUT
    return gpio_write(handle, gpio, level)


def gpio_claim_alert(handle: int, gpio: int, edges: int, flags: int = 0) -> int:
    _at("gpio_claim_alert", handle, gpio)
    _modes[handle, gpio] = flags
    return 0


def gpio_free(handle: int, gpio: int) -> int:
    _at("gpio_free", handle, gpio)
    _modes.pop((handle, gpio), None)
    return 0


def gpio_get_mode(handle: int, gpio: int) -> int:
    _at("gpio_get_mode", handle, gpio)
    return _modes.get((handle, gpio), 0)


def gpio_set_debounce_micros(handle: int, gpio: int, micros: int) -> int:
    _at("gpio_set_debounce_micros", handle, gpio)
    return 0


def gpio_read(handle: int, gpio: int) -> int:
    _at("gpio_read", handle, gpio)
    return _level(gpio)


def gpio_write(handle: int, gpio: int, level: int) -> int:
    _at("gpio_write", handle, gpio)
    (_place() / f"out.{gpio}").write_text(str(int(level)))
    return 0


def tx_pwm(*_given: object) -> int:
    raise error("no PWM")


def _level(gpio: int) -> int:
    file = _place() / f"level.{gpio}"
    return int(file.read_text()) if file.exists() else 1


class _Callback:
    """One registered callback, cancelled as lgpio's are."""

    def __init__(self, chip: int, gpio: int, call: Callable[[int, int, int, int], Any]) -> None:
        self.chip, self.gpio, self.call = chip, gpio, call
        self.level = _level(gpio)
        _Edges.callbacks.append(self)

    def cancel(self) -> None:
        if self in _Edges.callbacks:
            _Edges.callbacks.remove(self)


class _Edges(threading.Thread):
    """The one thread that brings all edges; as lgpio's, it dies of what a callback raises."""

    callbacks: list[_Callback] = []  # noqa: RUF012  one list for the one thread

    def run(self) -> None:
        while not ended.wait(0.005):
            for callback in tuple(self.callbacks):
                if (now := _level(callback.gpio)) != callback.level:
                    callback.call(callback.chip, callback.gpio, now, 0)
                    callback.level = now


def callback(handle: int, gpio: int, edge: int, call: Callable[[int, int, int, int], Any]) -> _Callback:
    _at("callback", handle, gpio)
    made = _Callback(handle >> 16, gpio, call)
    (_place() / f"heard.{gpio}").touch()
    return made


ended = threading.Event()
_edges = _Edges(daemon=True, name="lgpio")
_edges.start()


def settled() -> bool:
    """For a test: whether every edge there was has been brought."""
    return all(callback.level == _level(callback.gpio) for callback in tuple(_Edges.callbacks))


def end() -> None:
    """For a test that is over: end the thread, whose chip goes with the test's folder."""
    ended.set()
    _edges.join()

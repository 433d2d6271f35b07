"""A finger on the mock pins of another process: `python -m tests.bench.finger SOCKET MODULE [ARGUMENT …]`.

It runs the module as `python -m` would, with one thread more that waits on a socket: told `5`, it presses the key on
GPIO5 and answers with the monotonic nanoseconds just before the level fell and just after all callbacks had returned;
told `lamp 17`, it answers when that lamp changed last. Whoever is measured is pressed in the same way.
"""

import gc
import runpy
import socket
import sys
import threading
import time
from pathlib import Path
from typing import Any

HOLD_S = 0.003


def main() -> None:
    place, module, *arguments = sys.argv[1:]
    line = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    line.bind(place)
    threading.Thread(target=_serve, args=(line,), daemon=True, name="finger").start()
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


def _serve(line: socket.socket) -> None:
    while True:
        said, asker = line.recvfrom(64)
        word, *rest = said.decode().split()
        if word == "lamp":
            line.sendto(f"{_lamp(int(rest[0]))}".encode(), asker)
            continue
        hold = float(rest[0]) if rest else HOLD_S
        pin = _pin(int(word))
        before = time.monotonic_ns()
        pin.drive_low()
        after = time.monotonic_ns()
        line.sendto(f"{before} {after}".encode(), asker)
        time.sleep(hold)
        pin.drive_high()


def _lamp(number: int) -> str:
    pin = _pin(number)
    return f"{int(pin._last_change * 1e9)} {int(bool(pin.state))}"


_factories: list[Any] = []


def _pin(number: int) -> Any:
    """The mock pin, of whichever factory the program made: ours passes its own to each device."""
    from gpiozero import Device
    from gpiozero.pins.mock import MockFactory

    if not _factories:
        made = Device.pin_factory or next(one for one in gc.get_objects() if isinstance(one, MockFactory))
        _factories.append(made)
    return _factories[0].pin(f"GPIO{number}")


class Finger:
    """Our end of the socket."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self._line = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._line.bind(str(place.with_suffix(".ours")))
        self._line.settimeout(5)

    def command(self, module: str, *arguments: str) -> list[str]:
        """The command line that runs a module with this finger on its keys."""
        return [sys.executable, "-m", "tests.bench.finger", str(self.place), module, *arguments]

    def press(self, pin: int, hold_s: float = HOLD_S) -> tuple[int, int]:
        """Press and let go; the nanoseconds before the level fell and after the callbacks had returned."""
        before, after = self._ask(f"{pin} {hold_s}")
        return before, after

    def lamp(self, pin: int) -> tuple[int, bool]:
        """When the lamp on that pin changed last, in monotonic nanoseconds, and whether it is lit (high)."""
        at, lit = self._ask(f"lamp {pin}")
        return at, bool(lit)

    def _ask(self, words: str) -> tuple[int, int]:
        self._line.sendto(words.encode(), str(self.place))
        first, second = self._line.recv(64).decode().split()
        return int(first), int(second)

    def close(self) -> None:
        """Let go of the socket."""
        self._line.close()


if __name__ == "__main__":
    main()

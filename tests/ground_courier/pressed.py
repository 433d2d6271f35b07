"""A window whose keys are pressed without pause: `python -m tests.ground_courier.pressed SETTINGS`.

It is `appliance run` with one thread more, a finger on its mock pins. The finger presses one key after the other, says
`kept N` for each press that stands in the database as a connection of its own reads it, and stops when its standard
input ends.
"""

import sqlite3
import sys
import threading
import time
from pathlib import Path
from typing import Any

from appliance.run import Window
from appliance.settings import load_window

STRAYS = "SELECT coalesce(max(seq), 0) FROM facts WHERE type = 'press.stray' AND seq > ?"
PATIENCE_S = 1.0


class Finger:
    """Presses the keys of a window in the same process, as gpiozero's mock pins allow."""

    def __init__(self, window: Window) -> None:
        self._window = window
        self._told = threading.Event()
        settings = window.settings
        self._keys = settings.pad.keys
        self._rest = settings.pad.bounce_ms / 1000 + 0.002
        self._book = sqlite3.connect(f"file:{settings.ledger.path}?mode=ro", uri=True, check_same_thread=False)
        self._last = self._newest(0)

    def _newest(self, after: int) -> int:
        return int(self._book.execute(STRAYS, (after,)).fetchone()[0])

    def run(self) -> None:
        """Press until standard input ends."""
        threading.Thread(target=self._listen, daemon=True, name="ear").start()
        while not hasattr(self._window, "pad") or not self._window.pad.armed:
            self._told.wait(0.005)
        turn = 0
        while not self._told.is_set():
            self._press(self._window.pins.factory().pin(self._keys[turn % len(self._keys)]))
            turn += 1

    def _listen(self) -> None:
        sys.stdin.read()
        self._told.set()

    def _press(self, pin: Any) -> None:
        pin.drive_low()
        seq = self._kept()
        self._told.wait(self._rest)
        pin.drive_high()
        self._told.wait(self._rest)
        sys.stdout.write(f"kept {seq}\n" if seq else "missed\n")
        sys.stdout.flush()

    def _kept(self) -> int:
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            if seq := self._newest(self._last):
                self._last = seq
                return seq
            self._told.wait(0.0005)
        return 0


def main() -> int:
    """Run the window, and the finger beside it."""
    window = Window(load_window(Path(sys.argv[1])))
    threading.Thread(target=Finger(window).run, daemon=True, name="finger").start()
    return 0 if window.run() else 1


if __name__ == "__main__":
    sys.exit(main())

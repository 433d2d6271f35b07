"""In the guest: serves visits as fast as it can.

Every thanks leaves over the second serial port before the next act begins, so that whoever cuts the power knows it."""

import os
import random
import sys
import termios
import time
import tty
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from hands import AWAY, KEYS, act, items, lamps, prompt, pull, serving, state, take_in, until

PORT = "/dev/ttyS1"


def main() -> None:
    """Never rest."""
    port = os.open(PORT, os.O_RDWR | os.O_NOCTTY)
    tty.setraw(port)

    def say(*words: object) -> None:
        os.write(port, (" ".join(map(str, words)) + "\n").encode())
        termios.tcdrain(port)

    say("START", f"{serving():.1f}")
    # A prompt that the power was cut from is open still: the next visit closes it, nobody waits for its end.
    pull(AWAY, False)
    act("arrive", number="0107")
    offered = items()[:2]
    while True:
        chance = random.random()
        if chance < 0.08:
            say("CASE", take_in(random.choice(offered)))
            act("end")
        elif chance < 0.14:
            _away()
        else:
            visit, grade = prompt(), random.choice(list(KEYS))
            say("PRESS", visit, grade)
            pull(KEYS[grade], True)
            thanked = until(lambda: not any(lamps()), 10, 0.0005)
            say("THANKED" if thanked else "SILENT", visit, grade)
            time.sleep(random.uniform(0.02, 0.1))
            pull(KEYS[grade], False)
            time.sleep(0.06)


def _away() -> None:
    pull(AWAY, True)
    until(lambda: state() == "away", 10, 0.02)
    pull(AWAY, False)
    until(lambda: state() != "away", 10, 0.02)


if __name__ == "__main__":
    main()

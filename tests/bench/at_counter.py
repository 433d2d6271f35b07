"""A window as it stands at a counter: no bench on its screen, and yet mock pins, since this machine has no others.

`python -m tests.bench.at_counter --settings window.toml` is `appliance run`, but that the bench, which the settings ask
for together with mock pins, is left out: its cable would stand between the window and the broker.
"""

import argparse
import logging
import sys
from pathlib import Path

import msgspec

from appliance.run import Window
from appliance.settings import load_window


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--settings", type=Path, required=True)
    given = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    settings = load_window(given.settings)
    without = msgspec.structs.replace(settings, bench=msgspec.structs.replace(settings.bench, enabled=False))
    return 0 if Window(without).run() else 1


if __name__ == "__main__":
    sys.exit(main())

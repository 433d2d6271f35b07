"""In the guest: somebody presses 非常不满意 four times a second, from the first second on."""

import time
from pathlib import Path

LINES = Path("/run/lab-lines")
PRESSES = 480


def main() -> None:
    """Press two minutes long, or until the lab says that it has seen enough."""
    contact = LINES / "sim_gpio26/pull"
    for _ in range(PRESSES):
        if Path("/run/lab-enough").exists():
            return
        contact.write_text("pull-down")
        time.sleep(0.1)
        contact.write_text("pull-up")
        time.sleep(0.15)


if __name__ == "__main__":
    main()

"""A window as a process among libraries that raise: it serves, takes presses, says what is wrong, and ends in order."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import until
from tests.ground_adapters.evil import LIBRARIES, Evil
from tests.test_run import Process

ROOT = Path(__file__).parents[1]


@pytest.fixture
def evil(tmp_path: Path) -> Evil:
    return Evil(tmp_path / "evil")


@pytest.fixture
def window(tmp_path: Path, evil: Evil) -> Iterator[Process]:
    """A real window on lgpio, picamera2 and pyserial, which are the ones of tests/ground_adapters."""
    master, slave = os.openpty()
    window = Process(tmp_path)
    window.change('factory = "mock"', 'factory = "lgpio"\nlamps = [17]')
    window.change('kind = "bench"\nbaud = 115200', f'kind = "serial"\npath = "{os.ttyname(slave)}"')
    window.change("[bench]\nenabled = true", '[camera]\nkind = "picamera2"')
    yield window
    if window.process is not None and not window.ended():
        window.stop(signal.SIGKILL)
    os.close(slave)
    os.close(master)


def start(window: Process, evil: Evil) -> None:
    window.start(PYTHONPATH=f"{LIBRARIES}:{ROOT}", EVIL=str(evil.place))


def rates(window: Process, evil: Evil, pin: int) -> None:
    """Somebody is served and presses that key: the rating is kept."""
    for action in ("begin", "end"):
        window.post(f"/act/{action}")
    given = window.facts().count("rating.given")
    evil.level(pin, False)
    until(lambda: window.facts().count("rating.given") == given + 1, what=window.journal())
    evil.level(pin, True)


def test_a_window_whose_every_library_raises_serves_and_rates_and_recovers(window: Process, evil: Evil) -> None:
    for point, raised in {
        "lgpio.gpio_claim_input.5": "Busy",
        "lgpio.gpio_claim_output.17": "Busy",
        "lgpio.gpiochip_close": "Alien",
        "picamera2.import": "ValueError",
        "serial.Serial": "termios.error",
    }.items():
        evil.at(point, raised)
    start(window, evil)
    window.post("/act/arrive", "number=0107")
    rates(window, evil, 6)
    for device in ("评价器", "提示灯", "高拍仪", "打印机"):
        until(lambda device=device: device in window.troubles(), 20, window.journal())  # type: ignore[misc]
    assert "“暂时离开”开关" not in window.troubles()
    assert window.ask("GET", "/display")[0] == 200
    assert window.health()["ok"]
    for point in ("lgpio.gpio_claim_input.5", "lgpio.gpio_claim_output.17", "serial.Serial"):
        evil.mend(point)
    until(lambda: window.facts().count("device.recovered") == 3, 20, window.journal())
    rates(window, evil, 5)
    assert window.stop() == 0
    assert "Traceback" not in window.journal()


def test_a_window_without_any_chip_has_its_keys_a_second_after_the_chip_comes(window: Process, evil: Evil) -> None:
    evil.gone(True)
    start(window, evil)
    evil.gone(False)
    until(lambda: evil.heard(16), 2, "the last of the contacts is open")
    window.post("/act/arrive", "number=0107")
    rates(window, evil, 5)
    until(lambda: evil.lit(17), what="the lamp")
    assert "no_gpio" not in window.journal(), "what comes within the first seconds is no event"
    assert window.stop() == 0


@pytest.mark.parametrize("raised", ["SystemExit", "Alien"])
def test_a_library_that_would_end_the_process_does_not(window: Process, evil: Evil, raised: str) -> None:
    for point in ("lgpio.import", "picamera2.import", "serial.import"):
        evil.at(point, raised)
    start(window, evil)
    for device in ("评价器", "高拍仪", "打印机"):
        until(lambda device=device: device in window.troubles(), 20, window.journal())  # type: ignore[misc]
    window.post("/act/arrive", "number=0107")
    for action in ("begin", "end"):
        window.post(f"/act/{action}")
    assert window.health()["state"] == "rating"
    assert window.stop() == 0

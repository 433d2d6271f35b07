"""What the benchmarks measure with has to be right itself: percentiles, ratios, processor time, memory."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.bench.finger import Finger
from tests.bench.floors import Commits
from tests.bench.ground import Process, wait_until
from tests.bench.meter import cpu_s, family, pss_mb
from tests.bench.report import Goal, percentile, table
from tests.conftest import until


@pytest.mark.parametrize(
    ("percent", "value"), [(1, 1.0), (50, 50.0), (95, 95.0), (99, 99.0), (99.5, 100.0), (100, 100.0)]
)
def test_a_percentile_is_the_value_that_so_many_do_not_exceed(percent: float, value: float) -> None:
    assert percentile([float(n) for n in range(100, 0, -1)], percent) == value
    assert percentile([7.0], percent) == 7.0


def test_a_goal_is_judged_on_the_median_of_its_rounds() -> None:
    assert Goal("at most", [0.1, 1.2, 99.0], 1.3).met
    assert not Goal("at most", [0.1, 1.4, 1.4], 1.3).met
    assert Goal("at least", [0.1, 0.95, 2.0], 0.9, at_least=True).met
    assert not Goal("at least", [0.1, 0.8, 2.0], 0.9, at_least=True).met
    assert Goal("at most", [1.0, 3.0], 5).row()[4] == "met"
    assert Goal("at most", [9.0], 5).row()[4] == "MISSED"


def test_columns_stand_under_each_other_in_chinese_too() -> None:
    lines = table(("", "毫秒"), [("键", "1.25"), ("press", "100")])
    assert lines == ["       毫秒", "键     1.25", "press   100"]


def test_a_busy_child_s_processor_time_counts_and_a_sleeper_s_hardly() -> None:
    busy = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'while True: pass'])"
    with (
        subprocess.Popen([sys.executable, "-c", busy]) as one,
        subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) as other,
    ):
        try:
            until(lambda: cpu_s(one.pid) >= 1.0, 20)
            assert len(family(one.pid)) == 2
            assert 0 < cpu_s(other.pid) < 0.5
        finally:
            for pid in (*family(one.pid)[1:], one.pid, other.pid):
                subprocess.run(["kill", str(pid)], check=True)


def test_memory_that_a_process_takes_shows() -> None:
    def measured(megabytes: int) -> float:
        code = f"held = bytearray(b'x' * ({megabytes} << 20)); print(1, flush=True); import time; time.sleep(60)"
        with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            process.stdout.readline()
            try:
                return pss_mb(process.pid)
            finally:
                process.kill()

    assert 35 < measured(50) - measured(10) < 45


def test_paced_commits_are_on_the_disk(tmp_path: Path) -> None:
    commits = Commits(tmp_path / "paced.db")
    taken = commits.paced(3, 0.001)
    commits.close()
    assert len(taken) == 3
    assert min(taken) > 0
    assert (tmp_path / "paced.db").stat().st_size > 0


def test_a_process_that_ends_says_why(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "raise SystemExit('no such key')"]
    with Process(command, tmp_path / "log") as process, pytest.raises(RuntimeError, match="no such key"):
        wait_until(lambda: False, process, 10)


def test_a_finger_presses_the_mock_pins_of_another_process(tmp_path: Path) -> None:
    (tmp_path / "pressed.py").write_text(
        "import pathlib, threading\n"
        "from gpiozero import Button, LED\n"
        "from gpiozero.pins.mock import MockFactory\n"
        "pins = MockFactory()\n"
        "lamp = LED(17, pin_factory=pins)\n"
        "key = Button(5, pin_factory=pins)\n"
        "key.when_pressed = lamp.on\n"
        f"pathlib.Path({str(tmp_path / 'ready')!r}).touch()\n"
        "threading.Event().wait()\n"
    )
    finger = Finger(tmp_path / "finger")
    with Process(finger.command("pressed"), tmp_path / "log", {"PYTHONPATH": str(tmp_path)}) as process:
        wait_until((tmp_path / "ready").exists, process)
        assert finger.lamp(17)[1] is False
        before, after = finger.press(5)
        at, lit = finger.lamp(17)
        assert lit
        assert before <= at <= after < time.monotonic_ns()
    finger.close()

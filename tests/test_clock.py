"""A kernel that may not be asked about its clock has not said no."""

import json
import subprocess
import sys
from datetime import datetime
from pathlib import Path

import pytest

from appliance.clock import Clock, battery_agrees
from appliance.window.moment import CHINA

# A process that forbids itself, as a sandbox of systemd does, the two calls that ask about the clock: EPERM for both.
FORBIDDEN = """
import ctypes, json, platform, struct, sys
calls = {"x86_64": (159, 305), "aarch64": (171, 266)}[platform.machine()]
LOAD, EQUAL, ANSWER = 0x20, 0x15, 0x06
rules = [(LOAD, 0, 0, 0)]
for call in calls:
    rules += [(EQUAL, 0, 1, call), (ANSWER, 0, 0, 0x00050000 | 1)]
rules.append((ANSWER, 0, 0, 0x7FFF0000))
program = b"".join(struct.pack("HBBI", *rule) for rule in rules)
held = ctypes.create_string_buffer(program)
header = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(rules), ctypes.addressof(held)))
libc = ctypes.CDLL(None, use_errno=True)
assert libc.prctl(38, 1, 0, 0, 0) == 0
assert libc.prctl(22, 2, header, 0, 0) == 0, ctypes.get_errno()

from appliance.clock import Clock
clock = Clock()
became = clock.look()
print(json.dumps([became, clock.synced, clock.trouble]))
clock._synced = True
clock.look()
print(json.dumps([clock.synced]))
"""


def test_a_sandbox_that_forbids_the_question_is_a_trouble_and_no_answer() -> None:
    root = Path(__file__).parents[1]
    done = subprocess.run([sys.executable, "-c", FORBIDDEN], cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    first, second = (json.loads(line) for line in done.stdout.splitlines())
    assert first[:2] == [False, False]
    assert "Operation not permitted" in first[2]
    assert second == [True], "what it said last stands"


def test_a_clock_that_was_set_once_is_trusted_through_weeks_without_a_network() -> None:
    """Nine hours after the last word of a time service the kernel counts its clock as not set (STA_UNSYNC)."""
    said = [False, True, False, False]
    clock = Clock(ask=lambda: said.pop(0))
    assert (clock.look(), clock.synced) == (False, False)
    assert (clock.look(), clock.synced) == (True, True)
    assert (clock.look(), clock.synced) == (False, True)
    # What a hand that sets the clock an hour on does to it.
    clock._trusted_ahead -= 3600
    assert (clock.look(), clock.synced) == (False, False)


def test_a_clock_whose_battery_is_flat_is_not_trusted_for_having_one() -> None:
    """It stands in some year before there was any window; then a time service is asked as everywhere."""
    flat = Clock("battery", ask=lambda: False, now=lambda: datetime(2021, 4, 1, tzinfo=CHINA))
    assert not flat.synced
    flat.look()
    assert not flat.synced


@pytest.mark.parametrize(
    ("battery", "agrees"),
    [(None, True), ("1795633817", True), ("1795690000", True), ("1609459200", False), ("", False), ("none", False)],
)
def test_the_battery_s_own_clock_is_asked_where_there_is_one(tmp_path: Path, battery: str | None, agrees: bool) -> None:
    """systemd lifts a lost clock to the day that it was built, which is a day like any other."""
    place = tmp_path / "since_epoch"
    if battery is not None:
        place.write_text(f"{battery}\n")
    assert battery_agrees(datetime.fromtimestamp(1795633817, CHINA), place) is agrees

"""Which tests `make unit` runs, and which stay together, is read from their source rightly."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.ground_kinds import is_unit, shares

HERE = Path(__file__).parent


@pytest.mark.parametrize(
    ("file", "test"),
    [
        ("test_desk.py", "test_the_first_press_counts_and_the_display_says_thanks"),
        ("test_cases.py", "test_a_whole_form_gives_everything_a_receipt_must_say"),
    ],
)
def test_what_is_pure_and_quick_is_a_unit(file: str, test: str) -> None:
    assert is_unit(HERE / file, test)


@pytest.mark.parametrize(
    ("file", "test", "by"),
    [
        (
            "test_demo.py",
            "test_it_prints_one_address_a_line",
            "a fixture, and a ground behind it",
        ),
        ("test_wall.py", "test_silence_shows_by_itself", "a broker and a browser"),
        ("test_server.py", "test_one_client_cannot_take_every_place_of_the_viewers", "sockets"),
        (
            "test_screen_page.py",
            "test_a_browser_that_is_stopped_does_not_stop_its_watcher",
            "the program's own browser",
        ),
        ("test_courier_flight.py", "TestVoyages", "hypothesis, in a class that was made elsewhere"),
    ],
)
def test_what_starts_something_or_waits_for_it_is_none(file: str, test: str, by: str) -> None:
    assert not is_unit(HERE / file, test)


def test_a_server_asked_for_by_a_string_is_found() -> None:
    """`request.getfixturevalue("server")`, in a fixture that a fixture of the test asks for."""
    assert not is_unit(HERE / "test_county_book.py", "test_the_payload_is_kept_byte_for_byte")


def test_a_file_that_makes_something_for_all_its_tests_stays_on_one_worker() -> None:
    assert shares(HERE / "test_demo.py")
    assert not shares(HERE / "test_desk.py")


def test_the_workers_of_a_run_keep_such_a_file_together() -> None:
    """Seen in a run: the groups of xdist itself keep nothing together with some versions of pytest, without a word."""
    command = [sys.executable, "-m", "pytest", "-n", "2", "--dist", "loadgroup", "-v"]
    files = ["tests/test_catalogue.py", "tests/test_masks.py"]
    alone = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
    done = subprocess.run(
        [*command, "-p", "no:cacheprovider", *files],
        cwd=HERE.parent,
        env=alone,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    ran = set(re.findall(r"\[(gw\d)\].* PASSED (tests/test_\w+\.py)", done.stdout))
    assert len([worker for worker, file in ran if file == files[0]]) == 1
    assert {worker for worker, _ in ran} == {"gw0", "gw1"}


def test_most_tests_are_units() -> None:
    """Were names no longer followed rightly, `make unit` would be empty or everything."""
    files = ("test_desk.py", "test_demo.py")
    of = {file: [is_unit(HERE / file, name) for name in names_in(HERE / file)] for file in files}
    assert sum(of["test_desk.py"]) > 40
    assert sum(of["test_demo.py"]) == 0


def names_in(path: Path) -> list[str]:
    lines = path.read_text(encoding="utf-8").splitlines()
    return [line.removeprefix("def ").split("(")[0] for line in lines if line.startswith("def test_")]

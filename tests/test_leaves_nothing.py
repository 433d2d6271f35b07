"""No command leaves anything in the folder that it is run in, in the home, or among the temporary files."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from tests.conftest import until
from tests.ground_courier.waiting import free_port
from tests.ground_demo import health
from tests.test_faults import COUNTY_TOML
from tests.test_run import SETTINGS

ROOT = Path(__file__).parent.parent
LIBRARY = ROOT / "tests/ground_leftovers"


class Place:
    """An empty folder, an empty home and no temporary files; settings and what a window keeps lie elsewhere."""

    def __init__(self, place: Path) -> None:
        self.folder, self.home, self.temporary, self.kept = (place / name for name in ("here", "home", "tmp", "kept"))
        for folder in (self.folder, self.home, self.temporary, self.kept):
            folder.mkdir()
        self.port = free_port()
        self.window = self.kept / "window.toml"
        text = SETTINGS.format(place=self.kept, broker=free_port(), port=self.port)
        # A real window: its pins are opened by lgpio, and its printer is one that is not there.
        text = text.replace('factory = "mock"', "").replace("enabled = true", "").replace('"bench"', '"serial"')
        self.window.write_text(text, encoding="utf-8")
        self.shared = set(Path("/dev/shm").iterdir())

    def environment(self, **more: str) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("XDG_")}
        ours = {"HOME": str(self.home), "TMPDIR": str(self.temporary), "PYTHONPATH": f"{LIBRARY}:{ROOT}"}
        return {**kept, **ours, "PYTHONDONTWRITEBYTECODE": "1", **more}

    def left(self) -> list[Path]:
        """Everything that lies where nothing should."""
        # In /dev/shm a window that another test starts has a folder for an instant.
        with suppress(AssertionError):
            until(lambda: not self._left_in_memory(), 3)
        return [
            *(path for folder in (self.folder, self.home, self.temporary) for path in folder.rglob("*")),
            *self._left_in_memory(),
        ]

    def _left_in_memory(self) -> list[Path]:
        return [path for path in Path("/dev/shm").glob("appliance-*") if path not in self.shared]

    def python(self, *words: str, **more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, *words],
            cwd=self.folder,
            env=self.environment(**more),
            capture_output=True,
            text=True,
            check=False,
        )


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


@pytest.mark.parametrize(
    "words",
    [["--help"], ["--version"], ["doctor"], ["doctor", "--wiring"], ["doctor", "--print"], ["run", "--log", "x"]],
    ids=" ".join,
)
def test_a_command_leaves_nothing(place: Place, words: list[str]) -> None:
    given = [] if words[0].startswith("--") else ["--settings", str(place.window)]
    done = place.python("-m", "appliance", *words, *given)
    assert "Traceback" not in done.stderr
    assert place.left() == []
    # The doctor only looks: it makes no ledger, and nothing beside one.
    assert list(place.kept.iterdir()) == [place.window]


def ends_well(place: Place, words: list[str], ready: Callable[[], bool]) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "appliance", *words],
        cwd=place.folder,
        env=place.environment(),
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            until(lambda: process.poll() is not None or ready(), 30)
            assert process.poll() is None
            assert place.left() == []
            process.send_signal(signal.SIGTERM)
            said = process.communicate(timeout=30)[1]
        finally:
            process.kill()
    assert process.returncode == 0, said
    assert place.left() == []


def answers(port: int) -> bool:
    """Whether its pages answer: it listens before it can be told to end."""
    try:
        return bool(health(port))
    except OSError:
        return False


def test_a_window_leaves_nothing_but_its_ledger(place: Place) -> None:
    ends_well(place, ["run", "--settings", str(place.window)], lambda: answers(place.port))
    assert {path.name for path in place.kept.iterdir()} == {"window.toml", "ledger.db", "ledger.db.lock"}


def test_a_county_leaves_nothing_but_its_book(place: Place) -> None:
    settings = place.kept / "county.toml"
    settings.write_text(COUNTY_TOML.format(place=place.kept, broker=free_port(), port=place.port), encoding="utf-8")
    ends_well(place, ["county", "--settings", str(settings)], lambda: answers(place.port))
    assert {path.name for path in place.kept.iterdir()} == {"window.toml", "county.toml", "book.db"}


LOOK = "from appliance.devices.lgpio_files import import_lgpio\n"


def test_lgpio_hears_its_edges_though_its_pipe_is_gone(place: Place) -> None:
    look = f"{LOOK}import os\nimport_lgpio()\nimport lgpio\nprint(os.getcwd(), lgpio.told())"
    assert place.python("-c", look).stdout == f"{place.folder} b'edge'\n"
    assert place.left() == []


def test_an_import_that_failed_may_be_tried_again(place: Place) -> None:
    look = f"{LOOK}import os\ntry:\n  import_lgpio()\nexcept Exception as error:\n  print(error)\n"
    look += "del os.environ['LGPIO_FAILS']\nimport_lgpio()\nimport lgpio\nprint(os.getcwd(), lgpio.told())"
    done = place.python("-c", look, LGPIO_FAILS="1")
    assert done.stdout == f"can't start new thread\n{place.folder} b'edge'\n", done.stderr
    assert place.left() == []


@pytest.mark.parametrize("trouble", ["gone", "no runtime folder", "no temporary folder"])
def test_a_folder_that_cannot_be_used_is_no_trouble(place: Place, trouble: str) -> None:
    look = f"{LOOK}import os\n{'os.rmdir(os.getcwd())' if trouble == 'gone' else ''}\nimport_lgpio()\nprint('well')"
    more = {"RUNTIME_DIRECTORY": "/nowhere"} if trouble == "no runtime folder" else {}
    more = {"TMPDIR": "/nowhere"} if trouble == "no temporary folder" else more
    done = place.python("-c", look, **more)
    assert done.stdout == "well\n", done.stderr
    assert place.left() == []


def test_the_service_s_own_folder_is_used(place: Place) -> None:
    look = f"{LOOK}import os\nimport_lgpio()\nprint(os.environ['LG_WD'])"
    done = place.python("-c", look, RUNTIME_DIRECTORY=str(place.temporary))
    assert done.stdout.startswith(f"{place.temporary}/appliance-")
    assert place.left() == []

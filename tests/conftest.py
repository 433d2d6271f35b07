"""What several parts' tests share: a window that keeps its facts in a real file, on a clock that the test may turn.

Also which tests are quick (`make unit`), and which stay together when they are run several at once.
"""

import os
import tempfile
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING

import hypothesis
import pytest

from appliance.clock import Clock
from appliance.counter import Counter
from appliance.documents import shipped
from appliance.ledger import Ledger
from appliance.window.catalogue import read_catalogue
from appliance.window.moment import CHINA, Moment
from appliance.window.rules import Rules
from appliance.window.view import Clerk
from appliance.window.workdays import published
from tests.ground_kinds import is_unit, shares
from tests.ground_workers import scheduling

if TYPE_CHECKING:
    from xdist.scheduler.protocol import Scheduling

WINDOW = "430602-0107-1"


# How long an example takes says nothing where several tests share a processor.
hypothesis.settings.register_profile(
    "shared", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow], print_blob=True
)
hypothesis.settings.load_profile("shared")

LONGEST = ("test_units_in_container.py", "test_whole.py", "test_panel_browser.py")
"""Begun first, so that no worker has one of them left when the others have ended."""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark what is pure and quick as `unit`; put the longest files first, then those that share, then what is alone.

    Whether a test is one takes two seconds to read from the source: only done where somebody chooses by mark.
    """
    for item in items:
        if config.getoption("markexpr") and is_unit(item.path, item.nodeid.split("::")[1].partition("[")[0]):
            item.add_marker("unit")
    places = {name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: (places.get(item.path.name, len(LONGEST)), not shares(item.path)))


@pytest.hookimpl(optionalhook=True, tryfirst=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> "Scheduling | None":
    """Keep together what shares, when `--dist loadgroup` asks for groups."""
    return scheduling(config, log) if config.getvalue("dist") == "loadgroup" else None


@pytest.hookimpl(wrapper=True)
def pytest_report_to_serializable() -> Generator[None, dict[str, object] | None, object]:
    """What a test wrote that is no text, such as half a character, must not end the run when a worker reports it."""
    return _as_text((yield))


def _as_text(told: object) -> object:
    match told:
        case str():
            return told.encode("utf-8", "backslashreplace").decode()
        case dict():
            return {key: _as_text(value) for key, value in told.items()}
        case list() | tuple():
            return type(told)(map(_as_text, told))
    return told


@dataclass
class HandClock(Clock):
    """A clock whose hands the test moves: a smaller true thing than the kernel's."""

    wall: datetime = field(default_factory=lambda: datetime(2026, 11, 23, 9, 0, tzinfo=CHINA))
    up: float = 100.0
    boot: str = "boot-1"
    trusted: bool = True

    def moment(self) -> Moment:
        return Moment(at=self.wall, boot=self.boot, up=self.up, synced=self.trusted)

    def passes(self, seconds: float) -> None:
        self.up += seconds
        self.wall += timedelta(seconds=seconds)


@pytest.fixture
def rules() -> Rules:
    return Rules(
        window=WINDOW,
        level="township",
        clerks=(Clerk("0107", "王敏"), Clerk("0108", "李强")),
        catalogue=read_catalogue(shipped("catalogue")),
        calendar=published(),
    )


@pytest.fixture
def hand_clock() -> HandClock:
    return HandClock()


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    ledger = Ledger.open(tmp_path / "ledger.db", WINDOW)
    yield ledger
    ledger.close()


@pytest.fixture
def counter(ledger: Ledger, rules: Rules, hand_clock: HandClock) -> Counter:
    return Counter(ledger, rules, hand_clock)


def until(true: Callable[[], object], within: float = 10.0, what: str = "") -> None:
    """Wait until something is true, at most `within` seconds, giving other threads the processor meanwhile."""
    from threading import Event

    deadline, pause = monotonic() + within, Event()
    while not true():
        assert monotonic() < deadline, what or "it did not come true in time"
        pause.wait(0.005)


def enterable(place: Path) -> Path:
    """Let every user of this machine enter a test's folder; pytest's own above it, one or two, let in nobody else."""
    for folder in (place, *place.parents):
        if folder.stat().st_uid == os.geteuid() and folder.is_relative_to(tempfile.gettempdir()):
            folder.chmod(folder.stat().st_mode | 0o055)
    return place

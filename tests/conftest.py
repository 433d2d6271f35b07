"""What several parts' tests share: a window that keeps its facts in a real file, on a clock that the test may turn."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from time import monotonic

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

WINDOW = "430602-0107-1"


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

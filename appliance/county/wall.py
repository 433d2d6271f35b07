"""The wall's memory: every window as the book and the retained topics tell it, counted as facts are committed.

Rules:

- the last word counts, and the same fact told twice changes nothing, so it does not matter whether a fact is new,
  comes again, or was brought by another collector;
- what was counted by a day is counted anew, from the book, when the day or a window's clock changes;
- nobody is called silent for the time in which we ourselves did not listen; how long is measured by a clock that
  nobody sets, and only what was before this program started is taken from the book, the future counting as now;
- a window of which something cannot be judged is shown as unknown, and the others as ever.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final

import msgspec
from sqlalchemy.exc import DBAPIError

from appliance import wire
from appliance.county.book import Book, Kept
from appliance.county.margins import Device, Number
from appliance.county.monitor import Fault, Missing, Row, Seen, row, undrawable, worst_first
from appliance.county.presence import SILENCE_S
from appliance.county.reading import Letter, Sighting, day_of
from appliance.county.tally import Run, Tally

log = logging.getLogger("appliance.county")

COUNT_S: Final = 0.5
REST: Final = 4
REFRESH_S: Final = 5.0
"""How often the book is asked for what no fact tells: gaps, and what another collector has counted."""


class Standing(msgspec.Struct, frozen=True):
    """How the county's own end is: whether it hears the windows, and what is wrong with the book, if anything."""

    connected: bool = False
    trouble: str | None = None
    last_commit_us: int | None = None
    facts: int = 0
    again: int = 0
    quarantined: int = 0
    missing: Missing = Missing()
    lacking: int = 0
    """Windows of which facts are missing."""
    unreadable: int = 0
    """Rows of the book that were passed over."""


@dataclass(eq=False)
class _Window:
    """One window as it was last heard."""

    seen: Seen
    day: Tally = field(default_factory=Tally)
    devices: dict[str, Fault | None] = field(default_factory=dict)
    numbers: dict[str, int] = field(default_factory=dict)
    copied: bool = False
    missing: Missing = field(default_factory=Missing)
    health_at: float | None = None
    """When its health was heard, by our own clock."""
    deaf_s: float = 0.0
    """How long since then we ourselves did not listen."""
    held: set[str] = field(default_factory=set)
    """The kinds of retained messages that it has, be they readable or not."""
    cleared: bool = False
    """Taken down: its retained topics were cleared, and nothing was heard since."""

    def drawn(self) -> Seen:
        """All that is known of it now."""
        return msgspec.structs.replace(
            self.seen,
            faults={device: fault for device, fault in self.devices.items() if fault},
            visits=self.day.visits,
            grades=self.day.grades,
            cut=self.day.cut,
            misfits=self.numbers.get("misfits", 0),
            unknown=self.numbers.get("unknown", 0),
            breaks=self.numbers.get("breaks", 0),
            foreign=self.numbers.get("foreign", 0),
            copied=self.copied,
            missing=self.missing,
        )


class Wall:
    """What the wall shows; every method may be called from any thread, `tick` from one at a time."""

    def __init__(
        self, book: Book, now_us: int, silence_s: int = SILENCE_S, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._book, self._silence_s, self._clock = book, silence_s, clock
        self._changed = threading.Condition()
        self._version = 0
        self._windows: dict[str, _Window] = {}
        self._day = ""
        self._recount: set[str] = set()
        self._meanwhile: list[Letter] | None = None
        """What is committed while the book is being read: it may or may not be in what was read."""
        self._refresh_at = 0.0
        past = book.past()
        self._standing = Standing()
        self._number(past.numbers)
        for device in past.devices:
            self._window(device.window).devices[device.device] = device.fault
        for sighting in past.sightings:
            self._see(sighting)
        self._listen_from_the_book(now_us)
        self.tick(now_us)

    def _listen_from_the_book(self, now_us: int) -> None:
        """We were deaf from the last health that the book has until now; who was quiet then was quiet before it."""
        heard = {it: min(it.seen.health_us, now_us) for it in self._all() if it.seen.health_us is not None}
        self._deaf_since = self._clock()
        self._count_at = 0.0
        for window, at_us in heard.items():
            window.health_at = self._deaf_since - (max(heard.values()) - at_us) / 1e6

    # ---- what the collector tells

    def take(self, kept: Kept, now_us: int) -> None:
        """A batch that was committed."""
        with self._changed:
            self._hear(kept)
            self._recount |= kept.moved
            if self._meanwhile is not None:
                self._meanwhile.extend(kept.letters.values())
            for device in kept.devices:
                self._window(device.window).devices[device.device] = device.fault
            for sighting in kept.sightings:
                self._see(sighting)
            for name in kept.misfits:
                self._window(name).cleared = False
            for letter in kept.foreign:
                self._window(letter.window).copied = True
            self._number(kept.numbers)
            again = self._standing.again + kept.again
            self._standing = msgspec.structs.replace(self._standing, last_commit_us=now_us, again=again)
            self._wake()

    def put_right(self, windows: set[str], devices: Iterable[Device]) -> None:
        """The times of what these windows told were put right."""
        with self._changed:
            self._recount |= windows
            for device in devices:
                self._window(device.window).devices[device.device] = device.fault
            self._wake()

    def link(self, connected: bool) -> None:
        """Our connection to the broker came or went."""
        with self._changed:
            now = self._clock()
            if connected and not self._standing.connected:
                for window in self._all():
                    window.deaf_s += now - self._deaf_since
            if not connected and self._standing.connected:
                self._deaf_since = now
            self._standing = msgspec.structs.replace(self._standing, connected=connected)
            self._wake()

    def trouble(self, code: str | None) -> None:
        """The book takes nothing (`book`), or works again (None)."""
        with self._changed:
            if self._standing.trouble != code:
                self._standing = msgspec.structs.replace(self._standing, trouble=code)
                self._wake()

    def step(self) -> None:
        """Count anew what is to be, and rest four times as long.

        On a loop of its own: a ledger with hundreds of thousands of facts takes seconds, and the wall shows the rest.
        """
        if (began := self._clock()) >= self._count_at:
            self.tick(time.time_ns() // 1000)
            self._count_at = began + (1 + REST) * (self._clock() - began)
        time.sleep(COUNT_S)

    def tick(self, now_us: int) -> None:
        """Time passes: what is to be counted anew is read from the book, at midnight all of it."""
        day = day_of(now_us)
        try:
            if day != self._day or self._recount:
                self._count_anew(day)
            if self._clock() >= self._refresh_at:
                self._refresh(now_us)
        except DBAPIError as error:
            log.warning("the book is not to be read: %s", error.orig)

    # ---- what the pages ask

    def standing(self) -> Standing:
        """How the county's own end is."""
        with self._changed:
            return self._standing

    def rows(self, now_us: int) -> list[Row]:
        """Every window judged now, the worst first."""
        with self._changed:
            listening = self._clock() if self._standing.connected else self._deaf_since
            shown = [it for name, it in self._windows.items() if name and not it.cleared]
            seen = [(it.drawn(), _quiet(it, listening)) for it in shown]
        return worst_first(self._judged(it, now_us, quiet_s) for it, quiet_s in seen)

    def nobody(self) -> int:
        """Messages that could not be read and named none of our windows."""
        with self._changed:
            return self._window("").numbers.get("misfits", 0)

    def wait(self, version: int, timeout: float) -> int:
        """The wall's version once it is another than `version`, or after `timeout` seconds."""
        with self._changed:
            self._changed.wait_for(lambda: self._version != version, timeout)
            return self._version

    def _judged(self, seen: Seen, now_us: int, quiet_s: float | None) -> Row:
        try:
            return row(seen, now_us, quiet_s, self._silence_s)
        except Exception:
            log.exception("what is known of %s cannot be judged", seen.window)
            return undrawable(seen.window)

    # ---- what the book says

    def _count_anew(self, day: str) -> None:
        with self._changed:
            asked, self._recount, self._meanwhile = self._recount, set(), []
        windows = sorted(asked) if day == self._day else None
        try:
            runs = self._book.counts(day, windows)
        except DBAPIError:
            with self._changed:
                self._recount |= asked
                self._meanwhile = None
            raise
        with self._changed:
            self._day = day
            self._replace(runs, windows)
            letters, self._meanwhile = self._meanwhile, None
            for letter in letters or ():
                self._window(letter.window).day.hear(letter, day)
            self._wake()

    def _replace(self, runs: list[Run], windows: list[str] | None) -> None:
        for name in [*self._windows] if windows is None else windows:
            self._window(name).day = Tally()
        for run in runs:
            self._window(run.window).day.take(run)

    def _refresh(self, now_us: int) -> None:
        """Gaps, and the numbers that another collector on the same book may have changed."""
        self._refresh_at = self._clock() + REFRESH_S
        missing, numbers = self._book.gaps.missing(now_us), self._book.numbers()
        with self._changed:
            before = (self._standing, {name: it.missing for name, it in self._windows.items()})
            self._number(numbers)
            for name in missing:
                self._window(name)
            for name, window in self._windows.items():
                window.missing = missing.get(name, Missing())
            total = Missing(*(sum(getattr(it, kind) for it in missing.values()) for kind in Missing.__struct_fields__))
            known = {"missing": total, "lacking": len(missing), "unreadable": self._book.unreadable()}
            self._standing = msgspec.structs.replace(self._standing, **known)
            if before != (self._standing, {name: it.missing for name, it in self._windows.items()}):
                self._wake()

    # ---- one thing heard

    def _all(self) -> list[_Window]:
        return list(self._windows.values())

    def _window(self, name: str) -> _Window:
        """The window of that name; "" stands for messages that named none."""
        if name not in self._windows:
            self._windows[name] = _Window(Seen(name))
        return self._windows[name]

    def _hear(self, kept: Kept) -> None:
        for letter in kept.letters.values():
            window = self._windows.get(letter.window) or self._window(letter.window)
            window.cleared = window.copied = False
            window.day.hear(letter, self._day)

    def _see(self, sighting: Sighting) -> None:
        window, value, at = self._window(sighting.window), sighting.value, sighting.heard_us
        if sighting.kind == "presence":
            presence = value if isinstance(value, wire.Presence) else None
            window.seen = msgspec.structs.replace(window.seen, presence=presence, presence_us=at)
        elif sighting.kind == "status":
            status = value if isinstance(value, wire.Status) else None
            window.seen = msgspec.structs.replace(window.seen, status=status)
        else:
            health = value if isinstance(value, wire.Health) else None
            if at != window.seen.health_us or health is None:
                window.health_at, window.deaf_s = self._clock() if health else None, 0.0
            window.seen = msgspec.structs.replace(window.seen, health=health, health_us=at if health else None)
        (window.held.add if sighting.payload else window.held.discard)(sighting.kind)
        window.cleared = not window.held

    def _number(self, numbers: dict[Number, int]) -> None:
        """Numbers that only grow, so that the greater is the newer, whoever read it."""
        for (name, kind), value in numbers.items():
            if kind == "facts":
                facts = max(value, self._standing.facts)
                self._standing = msgspec.structs.replace(self._standing, facts=facts)
            elif kind != "again":
                known = self._window(name).numbers
                known[kind] = max(value, known.get(kind, 0))
        if any(kind == "misfits" for _, kind in numbers):
            shut = sum(it.numbers.get("misfits", 0) for it in self._all())
            self._standing = msgspec.structs.replace(self._standing, quarantined=shut)

    def _wake(self) -> None:
        self._version += 1
        self._changed.notify_all()


def _quiet(window: _Window, listening: float) -> float | None:
    """For how long we listened to a window and heard no health of it."""
    return None if window.health_at is None else max(0.0, listening - window.health_at - window.deaf_s)

"""The wall's memory: every window as the book and the retained topics tell it, counted as facts are committed.

Rules: the last word counts, and the same fact told twice changes nothing, so it does not matter whether a fact is new,
comes again, or was brought by another collector; what was counted by a day is counted anew when the day or a window's
clock changes; nobody is called silent for the time in which we ourselves did not listen.
"""

import logging
import threading
from dataclasses import dataclass, field
from typing import Final

import msgspec
from sqlalchemy.exc import DBAPIError

from appliance import wire
from appliance.county.book import COUNTED, Book, Kept
from appliance.county.chain import Place
from appliance.county.monitor import Fault, Row, Seen, row, worst_first
from appliance.county.presence import SILENCE_S
from appliance.county.reading import Letter, Sighting, day_of
from appliance.window.facts import DeviceFailed, DeviceRecovered, Fact, RatingChanged, RatingGiven, VisitEnded

log = logging.getLogger("appliance.county")

GRADES: Final = (5, 4, 3, 2, 1)


class Standing(msgspec.Struct, frozen=True):
    """How the county's own end is: connected since or not, and what is wrong with the book, if anything."""

    connected: bool = False
    since_us: int | None = None
    trouble: str | None = None
    last_commit_us: int | None = None
    facts: int = 0
    again: int = 0


@dataclass
class _Day:
    """What one window did in one day: the last word of each visit."""

    ended: set[str] = field(default_factory=set)
    rated: dict[str, tuple[str, int, int | None]] = field(default_factory=dict)
    counts: dict[int, int] = field(default_factory=lambda: dict.fromkeys(GRADES, 0))

    def hear(self, ledger: str, seq: int, fact: Fact) -> None:
        if isinstance(fact, VisitEnded):
            self.ended.add(fact.visit)
        elif isinstance(fact, (RatingGiven, RatingChanged)):
            before = self.rated.get(fact.visit)
            if before and before[0] == ledger and before[1] >= seq:
                return
            if before and before[2]:
                self.counts[before[2]] -= 1
            if fact.grade:
                self.counts[fact.grade] += 1
            self.rated[fact.visit] = (ledger, seq, fact.grade)


@dataclass
class _Window:
    """One window as it was last heard."""

    seen: Seen
    day: _Day = field(default_factory=_Day)
    devices: dict[str, tuple[Place, Fault | None]] = field(default_factory=dict)
    broken: set[Place] = field(default_factory=set)
    misfits: int = 0
    unknown: int = 0
    cleared: bool = False
    """Taken down: its retained topics were cleared, and nothing was heard since."""

    def forget(self) -> None:
        """Its times were put right: what came of them is to be told anew."""
        self.day, self.devices, self.cleared = _Day(), {}, False

    def hear_device(self, ledger: str, seq: int, device: str, fault: Fault | None) -> None:
        before = self.devices.get(device)
        if before is None or before[0][0] != ledger or before[0][1] < seq:
            self.devices[device] = (ledger, seq), fault

    def drawn(self) -> Seen:
        """All that is known of it now."""
        return msgspec.structs.replace(
            self.seen,
            faults={device: fault for device, (_, fault) in self.devices.items() if fault},
            visits=len(self.day.ended),
            grades=tuple(self.day.counts[grade] for grade in GRADES),
            misfits=self.misfits,
            unknown=self.unknown,
            breaks=len(self.broken),
        )


class Wall:
    """What the wall shows; every method may be called from any thread."""

    def __init__(self, book: Book, now_us: int, silence_s: int = SILENCE_S) -> None:
        self._book = book
        self._silence_s = silence_s
        self._changed = threading.Condition()
        self._version = 0
        self._windows: dict[str, _Window] = {}
        self._day = ""
        past = book.past()
        for place, window in past.breaks.items():
            self._window(window).broken.add(place)
        for window, n in past.misfits.items():
            self._window(window).misfits = n
        for window, n in past.unknown.items():
            self._window(window).unknown = n
        for device in past.devices:
            self._window(device.window).hear_device(device.ledger, device.seq, device.device, device.fault)
        for sighting in past.sightings:
            self._see(sighting)
        heard = [it.seen.health_us for it in self._windows.values() if it.seen.health_us is not None]
        self._standing = Standing(since_us=max(heard, default=None), facts=past.facts)
        self.tick(now_us)

    # ---- what the collector tells

    def take(self, kept: Kept, now_us: int) -> None:
        """A batch that was committed."""
        moved = sorted(kept.moved)
        told = list(self._book.told(self._day, moved)) if moved else []
        devices = self._book.devices(moved) if moved else []
        with self._changed:
            for window in moved:
                self._window(window).forget()
            for letter in kept.letters.values():
                if letter.window not in kept.moved:
                    self._hear(letter)
            for device in devices:
                self._window(device.window).hear_device(device.ledger, device.seq, device.device, device.fault)
            for past in told:
                self._window(past.window).day.hear(past.ledger, past.seq, past.fact)
            for sighting in kept.sightings:
                self._see(sighting)
            self._count(kept, now_us)
            self._wake()

    def link(self, connected: bool, now_us: int) -> None:
        """Our connection to the broker came or went."""
        with self._changed:
            if connected and not self._standing.connected and self._standing.since_us is not None:
                for window in self._windows.values():
                    deaf_us = window.seen.deaf_us + now_us - self._standing.since_us
                    window.seen = msgspec.structs.replace(window.seen, deaf_us=deaf_us)
            self._standing = msgspec.structs.replace(self._standing, connected=connected, since_us=now_us)
            self._wake()

    def trouble(self, code: str | None) -> None:
        """The book takes nothing (`book`), or works again (None)."""
        with self._changed:
            if self._standing.trouble != code:
                self._standing = msgspec.structs.replace(self._standing, trouble=code)
                self._wake()

    def tick(self, now_us: int) -> None:
        """Time passes: at midnight the counting begins anew, with what the book has of the new day already."""
        day = day_of(now_us)
        if day == self._day:
            return
        try:
            told = list(self._book.told(day))
        except DBAPIError as error:
            log.warning("the new day cannot begin yet, the book is not to be read: %s", error.orig)
            return
        with self._changed:
            self._day = day
            for window in self._windows.values():
                window.day = _Day()
            for past in told:
                self._window(past.window).day.hear(past.ledger, past.seq, past.fact)
            self._wake()

    # ---- what the pages ask

    def standing(self) -> Standing:
        """How the county's own end is."""
        with self._changed:
            return self._standing

    def rows(self, now_us: int) -> list[Row]:
        """Every window judged now, the worst first."""
        with self._changed:
            listening = self._standing.since_us if not self._standing.connected else None
            seen = [window.drawn() for name, window in self._windows.items() if name and not window.cleared]
        return worst_first(row(it, now_us, listening or now_us, self._silence_s) for it in seen)

    def nobody(self) -> int:
        """Messages that could not be read and named none of our windows."""
        with self._changed:
            return self._window("").misfits

    def wait(self, version: int, timeout: float) -> int:
        """The wall's version once it is another than `version`, or after `timeout` seconds."""
        with self._changed:
            self._changed.wait_for(lambda: self._version != version, timeout)
            return self._version

    # ---- one thing heard

    def _window(self, name: str) -> _Window:
        """The window of that name; "" stands for messages that named none."""
        if name not in self._windows:
            self._windows[name] = _Window(Seen(name))
        return self._windows[name]

    def _hear(self, letter: Letter) -> None:
        window, fact = self._windows.get(letter.window) or self._window(letter.window), letter.fact
        window.cleared = False
        if letter.type in COUNTED:
            if fact is not None and letter.day == self._day:
                window.day.hear(letter.ledger, letter.seq, fact)
        elif isinstance(fact, DeviceFailed):
            fault = Fault(fact.device, fact.reason, letter.time_us)
            window.hear_device(letter.ledger, letter.seq, fact.device, fault)
        elif isinstance(fact, DeviceRecovered):
            window.hear_device(letter.ledger, letter.seq, fact.device, None)

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
            deaf_us = window.seen.deaf_us if at == window.seen.health_us else 0
            window.seen = msgspec.structs.replace(
                window.seen, health=health, health_us=at if health else None, deaf_us=deaf_us
            )
        window.cleared = not (window.seen.presence or window.seen.status or window.seen.health)

    def _count(self, kept: Kept, now_us: int) -> None:
        for it in kept.breaks:
            self._window(it.window).broken.add((it.ledger, it.seq))
        for name, n in kept.unknown.items():
            self._window(name).unknown += n
        for name, n in kept.misfits.items():
            self._window(name).misfits += n
        self._standing = msgspec.structs.replace(
            self._standing,
            last_commit_us=now_us,
            facts=self._standing.facts + kept.new,
            again=self._standing.again + kept.again,
        )

    def _wake(self) -> None:
        self._version += 1
        self._changed.notify_all()

"""A contact that chatters, a device that comes and goes: what they write is bounded, and nothing of it is forgotten.

The rules:
- each source has a store of facts that it may write at once, which fills up again one by one: `STRAY` for a key that
  nobody asks for, `STATE` for a device, a stuck key, the 暂时离开 contact;
- with an empty store what a source does is counted and held. When the store has a fact again, the count is written as
  one, `times`, and so is the state in which the source is by then: it is a minute late at most, and never left out;
- a 暂时离开 contact that chatters is a fault of its own, until it has been calm for some minutes;
- a rating is never held, nor is anything that somebody does at the panel.

So a key writes at most 500 stray presses and 144 more a day, and any other source 20 facts and 60 more an hour. A kill
forgets what is counted and not yet written: presses that nobody asked for. States are read again at the start.
"""

from typing import TypeVar

import msgspec

from appliance.window.facts import AwayBegan, AwayEnded, DeviceFailed, DeviceRecovered, Fact, PressStray
from appliance.window.happenings import (
    AwayButtonPresses,
    DeviceFails,
    DeviceRecovers,
    Happening,
    KeyFrees,
    KeyPresses,
    KeySticks,
    SwitchReads,
)
from appliance.window.moment import Moment, elapsed


class Store(msgspec.Struct, frozen=True):
    """How many facts a source may write at once, and after how many seconds it may write one more."""

    most: int
    every_s: float


STRAY, STATE = Store(500, 600.0), Store(20, 60.0)
MOST_DETAIL = 400
CONTACT = "contact"
CALM = 3.0
"""Facts that the contact's store must have again before it counts as calm."""

BOUNDED = PressStray | DeviceFailed | DeviceRecovered | AwayBegan | AwayEnded
F = TypeVar("F", bound=Fact)


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """What one source may still write, and what of it is held: how often, its last word, its last failure."""

    store: Store
    left: float
    at: Moment
    times: int = 0
    last: Happening | None = None
    fails: DeviceFailed | None = None
    stray: PressStray | None = None
    told: bool = False
    """Whether the contact stands as chattering."""

    def filled(self, now: Moment) -> "Source":
        """The same source now."""
        left = min(float(self.store.most), self.left + max(0.0, elapsed(self.at, now)) / self.store.every_s)
        return msgspec.structs.replace(self, left=left, at=now)

    def spends(self, facts: int) -> "Source":
        """The same source after so many facts, with nothing held any more."""
        return Source(store=self.store, left=self.left - facts, at=self.at, told=self.told)


class Chatter(msgspec.Struct, frozen=True):
    """Every source that has written anything, by its name."""

    sources: dict[str, Source] = {}

    def sift(self, happening: Happening, facts: tuple[Fact, ...]) -> tuple[tuple[Fact, ...], "Chatter"]:
        """What of the facts is written now, and the state after that."""
        name = _source_of(happening, facts)
        if name is None:
            return facts, self
        source = self._source(name, happening.at)
        bounded = sum(isinstance(fact, BOUNDED) for fact in facts)
        if source.last is None:
            if not bounded:
                return facts, self
            if source.left >= 1:
                return facts, self._with(name, source.spends(bounded))
        held = _hold(source, happening, facts)
        return tuple(fact for fact in facts if not isinstance(fact, BOUNDED)), self._with(name, held)

    def due(self, now: Moment) -> tuple[str, ...]:
        """The sources that hold something and may write again, or stand as chattering and are calm."""
        return tuple(
            name
            for name, source in self.sources.items()
            if (source.last or source.told) and source.filled(now).left >= (1 if source.last else CALM)
        )

    def held(self, name: str, now: Moment) -> Source:
        """What a source holds."""
        return self._source(name, now)

    def settle(self, name: str, now: Moment, facts: int) -> "Chatter":
        """The state after a source has written what it held, in so many facts."""
        source = self._source(name, now)
        told = name == CONTACT and source.last is not None
        return self._with(name, msgspec.structs.replace(source.spends(facts), told=told))

    def _source(self, name: str, now: Moment) -> Source:
        known = self.sources.get(name)
        store = STRAY if name.startswith("stray") else STATE
        return known.filled(now) if known else Source(store=store, left=float(store.most), at=now)

    def _with(self, name: str, source: Source) -> "Chatter":
        return Chatter({**self.sources, name: source})


def of_held(source: Source) -> tuple[Fact, ...]:
    """The facts that say how often a source did what was held; its state at the end comes as a happening of its own."""
    if source.stray is not None:
        return (msgspec.structs.replace(source.stray, times=source.times),)
    if source.fails is not None:
        return (msgspec.structs.replace(source.fails, times=source.times),)
    if isinstance(source.last, SwitchReads | AwayButtonPresses):
        return (DeviceFailed(device="away", reason="chatters", times=max(1, source.times)),)
    return ()


def last_word(source: Source, now: Moment) -> Happening | None:
    """What a source says at the end, to be decided now; None when that changes nothing."""
    if isinstance(source.last, KeyPresses):
        return None
    if isinstance(source.last, AwayButtonPresses) and source.times % 2 == 0:
        return None
    return source.last and msgspec.structs.replace(source.last, at=now)


def _source_of(happening: Happening, facts: tuple[Fact, ...]) -> str | None:
    match happening:
        case DeviceFails() | DeviceRecovers():
            return happening.device
        case KeySticks() | KeyFrees():
            return f"key{happening.grade}"
        case SwitchReads() | AwayButtonPresses():
            return CONTACT
        case KeyPresses():
            return next((f"stray {fact.key} {fact.why}" for fact in facts if isinstance(fact, PressStray)), None)
    return None


def _hold(source: Source, happening: Happening, facts: tuple[Fact, ...]) -> Source:
    stray = next((fact for fact in facts if isinstance(fact, PressStray)), None)
    if stray or isinstance(happening, AwayButtonPresses):
        return msgspec.structs.replace(source, times=source.times + 1, last=happening, stray=stray)
    if _same(source.last, happening):
        return source
    fails = _failed(happening)
    counts = fails is not None or isinstance(happening, SwitchReads)
    return msgspec.structs.replace(source, times=source.times + counts, last=happening, fails=fails or source.fails)


def _same(last: Happening | None, happening: Happening) -> bool:
    """Whether a device says again what it said: no change, and not to be counted."""
    return last is not None and msgspec.structs.replace(last, at=happening.at) == happening


def _failed(happening: Happening) -> DeviceFailed | None:
    if isinstance(happening, KeySticks):
        return DeviceFailed(device=f"key{happening.grade}", reason="stuck")
    return failed(happening) if isinstance(happening, DeviceFails) else None


def failed(fails: DeviceFails) -> DeviceFailed:
    """The fact of a failure; of the words of a library no more than the wire takes."""
    return DeviceFailed(device=fails.device, reason=fails.reason, detail=fails.detail[:MOST_DETAIL])

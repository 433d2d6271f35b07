"""The rating pad and the 暂时离开 contact: edges from gpiozero, levels read again and again, told as happenings.

The rules:
- each key and the contact is opened by itself; one that is busy or lost is tried again every second, for ever;
- a contact that comes late or back is begun with the level it has: no press, and no absence begun or ended by its loss;
- until it is there its device is out of order: the pad for a key, `away` for the 暂时离开 contact.
"""

import logging
import queue
from collections.abc import Callable
from typing import Literal

import msgspec

from appliance.devices.contacts import GRADES, Contact, Keys
from appliance.devices.pins import Line, Pins, PinsAbsent
from appliance.devices.report import Report
from appliance.guard import DeviceTrouble, together
from appliance.window.facts import Grade
from appliance.window.happenings import AwayButtonPresses, Happening, SwitchReads
from appliance.window.moment import Moment

log = logging.getLogger(__name__)

READ_EVERY = 1.0
"""Seconds between two readings of the levels, and between two attempts to open what is missing."""
# lgpio holds an edge back until the level was stable this long: a spike on a long cable is no press.
GLITCH_S = 0.005


class PadWiring(msgspec.Struct, frozen=True, kw_only=True):
    """Which BCM pin is what, 非常满意 first; times in seconds."""

    keys: tuple[int, ...]
    pull_up: bool = True
    bounce_s: float = 0.03
    together_s: float = 0.15
    stuck_s: float = 10.0
    away_kind: Literal["switch", "button", "none"] = "switch"
    away_pin: int | None = None
    away_pull_up: bool = True
    away_bounce_s: float = 0.05


class Edge(msgspec.Struct, frozen=True):
    """What a callback of gpiozero leaves on the queue: of which opening of which contact; None is that of 暂时离开."""

    grade: Grade | None
    opening: int
    closed: bool
    at: Moment


class Wire(msgspec.Struct, frozen=True):
    """Where one contact is wired; `grade` None is the 暂时离开 contact."""

    grade: Grade | None
    pin: int
    pull_up: bool


class Pad:
    """Keys and switch of one window; `step` is one round of its loop, everything else is private to that thread."""

    def __init__(
        self,
        wiring: PadWiring,
        pins: Pins,
        handle: Callable[[Happening], object],
        moment: Callable[[], Moment],
        grace_s: float = 0.0,
    ) -> None:
        self._away_kind = wiring.away_kind
        self._pins = pins
        self._handle = handle
        self._moment = moment
        self._edges: queue.SimpleQueue[Edge | None] = queue.SimpleQueue()
        self._keys = Keys(wiring.bounce_s, wiring.together_s, wiring.stuck_s)
        self._away = Contact(wiring.away_bounce_s)
        self._lines: dict[Wire, Line] = {}
        self._missing: dict[Wire, str] = dict.fromkeys(_wires(wiring), "")
        """Contacts that are not open, each with the words of its last attempt."""
        self._try_at = self._read_at = float("-inf")
        self._openings: dict[Grade | None, int] = {}
        """By contact, the number of its opening whose edges count: what comes of a former one is no press."""
        self._number = 0
        self._reports = {True: Report("pad", handle, grace_s), False: Report("away", handle, grace_s)}

    @property
    def armed(self) -> bool:
        """Whether any contact is open."""
        return bool(self._lines)

    def arm(self) -> bool:
        """Open the contacts and read what they say now; False when none could be opened."""
        self._open_missing()
        return self.armed

    def step(self) -> None:
        """Wait for an edge, at most until the levels have to be read again, and hand on what it means."""
        if self._missing and self._moment().up >= self._try_at:
            self._open_missing()
        now = self._moment()
        edge = self._wait(min(self._read_at - now.up, self._keys.look_in(now), self._away_look_in(now)))
        if edge is not None:
            self._take(edge)
        else:
            self._read(self._moment())

    def wake(self) -> None:
        """End a wait of `step` early."""
        self._edges.put(None)

    def close(self) -> None:
        """Give the pins back."""
        for wire, line in tuple(self._lines.items()):
            self._pins.give_back(line)
            self._missing[wire] = ""
        self._lines.clear()

    # ---- opening ------------------------------------------------------------------------------------------------

    def _open_missing(self) -> None:
        self._try_at = self._moment().up + READ_EVERY
        for wire in tuple(self._missing):
            try:
                self._open(wire)
            except PinsAbsent as absent:
                self._missing = dict.fromkeys(self._missing, absent.detail)
                break
            except DeviceTrouble as trouble:
                self._missing[wire] = trouble.detail
        self._report()

    def _open(self, wire: Wire) -> None:
        """Take the line and begin with its level; raises DeviceTrouble."""
        self._number = number = self._number + 1
        line = self._pins.contact(
            wire.pin,
            pull_up=wire.pull_up,
            bounce_s=GLITCH_S,
            moves=lambda closed: self._edges.put(Edge(wire.grade, number, closed, self._moment())),
        )
        try:
            closed = line.closed()
        except DeviceTrouble:
            self._pins.give_back(line)
            raise
        self._lines[wire], self._openings[wire.grade] = line, number
        del self._missing[wire]
        self._begin(wire, closed, self._moment())

    def _begin(self, wire: Wire, closed: bool, at: Moment) -> None:
        if wire.grade is not None:
            self._hand_on(self._keys.begin({wire.grade: closed}, at))
        else:
            self._away.begin(closed, at)
            self._hand_on(self._away_reads(at))

    def _lose(self, wire: Wire, trouble: DeviceTrouble, at: Moment) -> None:
        """A contact that cannot be read: it is closed, to be opened again within the second."""
        log.info("%s cannot be read: %s", _name(wire), trouble.detail)
        self._pins.give_back(self._lines.pop(wire))
        self._openings.pop(wire.grade)
        self._missing[wire] = trouble.detail
        if wire.grade is not None:
            self._keys.lose(wire.grade, at)
        else:
            self._away.begin(False, at)

    def _report(self) -> None:
        at = self._moment()
        for is_key, report in self._reports.items():
            wrong = {wire: why for wire, why in self._missing.items() if (wire.grade is not None) == is_key}
            if wrong:
                report.bad(at, "no_gpio", _detail(wrong))
            else:
                report.good(at)

    def _wait(self, timeout: float) -> Edge | None:
        try:
            return self._edges.get(timeout=max(timeout, 0.001))
        except queue.Empty:
            return None

    # ---- what it means ------------------------------------------------------------------------------------------

    def _take(self, edge: Edge) -> None:
        if self._openings.get(edge.grade) != edge.opening:
            return
        if edge.grade is not None:
            self._hand_on(self._keys.meets(edge.grade, edge.closed, edge.at))
        elif self._away.meets(edge.closed, edge.at):
            self._hand_on(self._away_moves(edge.at))

    def _read(self, at: Moment) -> None:
        """Read every contact once a second, and between only what has to be read after a bounce."""
        if every := at.up >= self._read_at:
            self._read_at = at.up + READ_EVERY
        unsettled: set[Grade | None] = {*self._keys.unsettled(at)}
        if self._away_look_in(at) == 0.0:
            unsettled.add(None)
        levels, away = self._levels(at, None if every else unsettled)
        self._hand_on(self._keys.read(levels, at))
        if away is None:
            return
        if self._away.reads(away, at):
            self._hand_on(self._away_moves(at))
        else:
            self._hand_on(self._away_reads(at))

    def _levels(self, at: Moment, wanted: set[Grade | None] | None) -> tuple[dict[Grade, bool], bool | None]:
        """What the open keys and the 暂时离开 contact say now, all or those wanted; what cannot be read is lost."""
        keys: dict[Grade, bool] = {}
        away: bool | None = None
        for wire, line in tuple(self._lines.items()):
            if wanted is not None and wire.grade not in wanted:
                continue
            try:
                closed = line.closed()
            except DeviceTrouble as trouble:
                self._lose(wire, trouble, at)
                continue
            if wire.grade is None:
                away = closed
            else:
                keys[wire.grade] = closed
        return keys, away

    def _away_moves(self, at: Moment) -> list[Happening]:
        if self._away_kind == "button":
            return [AwayButtonPresses(at=at)] if self._away.closed else []
        return self._away_reads(at)

    def _away_reads(self, at: Moment) -> list[Happening]:
        # Said again at every reading: should the card not have taken it the first time, it does the next.
        return [SwitchReads(at=at, closed=self._away.closed)] if self._away_kind == "switch" else []

    def _away_look_in(self, at: Moment) -> float:
        rest = self._away.quiet_for(at)
        return float("inf") if rest is None else rest

    def _hand_on(self, happenings: list[Happening]) -> None:
        for happening in happenings:
            self._handle(happening)


def _wires(wiring: PadWiring) -> list[Wire]:
    wires = [Wire(grade, pin, wiring.pull_up) for grade, pin in zip(reversed(GRADES), wiring.keys, strict=True)]
    if wiring.away_kind != "none" and wiring.away_pin is not None:
        wires.append(Wire(None, wiring.away_pin, wiring.away_pull_up))
    return wires


def _detail(wrong: dict[Wire, str]) -> str:
    """Why contacts are missing: once where it is the same for all, as without a chip."""
    whys = tuple(dict.fromkeys(wrong.values()))
    return whys[0] if len(whys) == 1 < len(wrong) else together(f"{_name(wire)}: {why}" for wire, why in wrong.items())


def _name(wire: Wire) -> str:
    return "away" if wire.grade is None else f"key {wire.grade}"

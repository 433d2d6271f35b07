"""The printer of the bench: a port whose far end reads the bytes, answers as a printer does, and keeps its papers.

It stands at the end of the same code as a real printer, so what the bench shows of status, deadlines and confirmation
is true. Clerks are trained with it and tests drive it: paper out, cover open, mute, unplugged, unplugged in the middle.
"""

import threading
import time
from collections import deque
from collections.abc import Callable

import msgspec

from appliance.guard import DeviceTrouble
from appliance.paper import picture
from appliance.paper.glyphs import Glyphs
from appliance.paper.profile import SMALL, Profile
from appliance.paper.reading import Reader
from appliance.paper.sheet import Sheet

BUFFER = 4096
"""Bytes that the printer holds while it cannot print; then it takes no more."""

_PACED_CHUNK = 48


class Knobs(msgspec.Struct, frozen=True, kw_only=True):
    """What a trainer can do to the printer; after `unplug_after` (1 or more) more bytes of jobs the cable goes."""

    plugged: bool = True
    paper: bool = True
    near_end: bool = False
    cover_open: bool = False
    mute: bool = False
    unplug_after: int | None = None

    @property
    def prints(self) -> bool:
        """Whether bytes become paper, and are not held."""
        return self.paper and not self.cover_open


class Printed(msgspec.Struct, frozen=True):
    """A paper in the tray of the bench: counted from 1, `torn` when the printer was unplugged before its end."""

    number: int
    sheet: Sheet
    torn: bool


class BenchPrinter:
    """A port with a printer behind it; anything may be called from any thread.

    `pace` in bits per second slows it to a serial line's speed, 0 prints at once; `printed` is called after each paper.
    """

    def __init__(
        self,
        profile: Profile = SMALL,
        *,
        pace: int = 0,
        keep: int = 20,
        printed: Callable[[], None] = lambda: None,
    ) -> None:
        self.bits_per_second = pace or 115_200
        self.knobs = Knobs()
        self._pace = pace
        self._printed = printed
        self._turn = threading.Condition()
        self._reader = Reader(profile.cells)
        self._tray: deque[Printed] = deque(maxlen=keep)
        self._pictures: dict[int, bytes] = {}
        self._count = 0
        self._held = b""
        self._answers = b""

    # ---- the trainer's side -----------------------------------------------------------------------------------

    def turn(self, **changes: bool | int | None) -> Knobs:
        """Change knobs by name, `turn(paper=False)`; what was held is printed as soon as it can be."""
        with self._turn:
            knobs = msgspec.structs.replace(self.knobs, **changes)
            new = self._cut() if self.knobs.plugged and not knobs.plugged else 0
            self.knobs = knobs
            new += self._print_held()
            self._turn.notify_all()
        self._tell(new)
        return knobs

    def papers(self) -> tuple[Printed, ...]:
        """The papers in the tray, newest first."""
        with self._turn:
            return tuple(reversed(self._tray))

    def picture(self, number: int, glyphs: Glyphs) -> bytes | None:
        """One paper as PNG, or None when it is not in the tray; each is painted once."""
        found = next((paper for paper in self.papers() if paper.number == number), None)
        if found is None:
            return None
        png = self._pictures.get(number) or picture.paint(found.sheet, glyphs)
        kept = {paper.number for paper in self.papers()}
        self._pictures = {key: value for key, value in {**self._pictures, number: png}.items() if key in kept}
        return png

    # ---- the cable's side: a Port -----------------------------------------------------------------------------

    def open(self) -> None:
        if not self.knobs.plugged:
            raise DeviceTrouble("absent", "the cable is out")

    def write(self, data: bytes, wait: float) -> int:
        until = time.monotonic() + wait
        with self._turn:
            while not (room := self._room(data)):
                self._need_plug()
                if not self._turn.wait_for(
                    lambda: self._room(data) or not self.knobs.plugged, until - time.monotonic()
                ):
                    return 0
            self._need_plug()
            taken = data[:room]
            new = self._accept(taken)
            if self._pace:
                self._turn.wait_for(lambda: not self.knobs.plugged, len(taken) * 10 / self._pace)
        self._tell(new)
        return len(taken)

    def unsent(self) -> int:
        self._need_plug()
        return 0

    def read(self, wait: float) -> bytes:
        with self._turn:
            self._turn.wait_for(lambda: self._answers or not self.knobs.plugged, wait)
            self._need_plug()
            answer, self._answers = self._answers[:1], self._answers[1:]
            return answer

    def discard_input(self) -> None:
        self._need_plug()
        with self._turn:
            self._answers = b""

    def close(self) -> None:
        """A cable stays where it is."""

    # ---- inside the printer; the lock is held -----------------------------------------------------------------

    def _need_plug(self) -> None:
        if not self.knobs.plugged:
            raise DeviceTrouble("unplugged", "the cable was pulled out")

    def _room(self, data: bytes) -> int:
        """How many bytes the printer takes now; a question of its state passes by what it holds."""
        if _is_question(data):
            return len(data)
        room = len(data) if self.knobs.prints else min(len(data), BUFFER - len(self._held))
        limit = self.knobs.unplug_after
        room = room if limit is None else min(room, limit)
        return min(room, _PACED_CHUNK) if self._pace else room

    def _accept(self, data: bytes) -> int:
        """Answer, hold or print; returns how many papers came out."""
        if _is_question(data):
            self._answer(b"" if self.knobs.mute else _status(self.knobs, data[2]))
            return 0
        self._held += data
        new = self._print_held()
        limit = self.knobs.unplug_after
        if limit is None:
            return new
        if limit > len(data):
            self.knobs = msgspec.structs.replace(self.knobs, unplug_after=limit - len(data))
            return new
        self.knobs = msgspec.structs.replace(self.knobs, plugged=False, unplug_after=None)
        self._turn.notify_all()
        return new + self._cut()

    def _print_held(self) -> int:
        if not self.knobs.prints:
            return 0
        data, self._held = self._held, b""
        ends = self._reader.feed(data)
        if not self.knobs.mute:
            self._answer(bytes([0x03 if self.knobs.near_end else 0x00]) * ends)
        return self._collect(torn=False)

    def _answer(self, answer: bytes) -> None:
        self._answers += answer
        self._turn.notify_all()

    def _cut(self) -> int:
        """The cable goes: what was half received is forgotten, what was half printed is torn off."""
        self._held = self._answers = b""
        self._reader.tear()
        return self._collect(torn=True)

    def _collect(self, torn: bool) -> int:
        new, self._reader.sheets = self._reader.sheets, []
        for sheet in new:
            self._count += 1
            self._tray.append(Printed(self._count, sheet, torn))
        return len(new)

    def _tell(self, new: int) -> None:
        for _ in range(new):
            self._printed()


def _is_question(data: bytes) -> bool:
    return len(data) == 3 and data.startswith(b"\x10\x04")


def _status(knobs: Knobs, number: int) -> bytes:
    """What real printers answer: `12` and more bits for what is wrong."""
    able = knobs.prints
    if number == 1:
        return b"\x12" if able else b"\x1a"
    if number == 2:
        return bytes([0x12 | 0x04 * knobs.cover_open | 0x20 * (not knobs.paper)])
    if number == 4:
        return bytes([0x12 | 0x60 * (not knobs.paper) | 0x0C * (knobs.near_end or not knobs.paper)])
    return b""

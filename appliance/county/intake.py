"""Sorts what arrives by the window that sent it, and gives it out in turn, so that a flood of one is that one's delay.

While there is room everything is taken in. When the room is full:

- nothing more is read (the flood then waits in the broker), as long as nobody suffers by it who does not flood;
- while a *greedy* window (an eighth of the room and more is its own) and a *modest* one are there, we read on, so that
  the modest one comes through what stands before it in the broker's queue; what the greedy one sends is dropped and
  counted. It was not acknowledged, so its facts come again.

Before that a window whose messages take a quarter of the room, or a sixteenth when it was named not long ago, is named
in `floods` while a modest one is there. Facts that the broker kept are no flood: how many are left is not our doing.

A modest window was heard in the last two minutes, was not greedy in the last minute, and has little here. So a backlog
of one window, or of many alike, is drained without a loss: then there is nobody to make room for.
"""

import time
from collections import Counter, deque
from collections.abc import Iterable
from typing import Final, NamedTuple

import msgspec

from appliance.county.inlet import Arrived

ROOM: Final = 4 << 20
"""Bytes that may wait, each message counted with `FACT` or `OTHER` more: what it costs to hold and to work through."""
FACT: Final = 300
OTHER: Final = 1500
GREEDY_S: Final = 1.0
HEARD_S: Final = 120.0
REPENTED_S: Final = 60.0
WINDOWS: Final = 5000
"""Windows that are told apart; whoever invents more shares one place with all who do."""
LONGEST: Final = 32
"""Bytes of a window's name."""
SLOW: Final = 8
"""Messages that a window has in a batch while it sends what the book refuses: each of those takes some transactions."""
SLOW_S: Final = 60.0


class Waiting(NamedTuple):
    """A message and when it came, in monotonic seconds."""

    at: float
    arrived: Arrived


class _Queue(msgspec.Struct):
    """What waits of one window."""

    waiting: deque[Waiting]
    bytes: int = 0
    heard: float = 0.0
    greedy: float = float("-inf")
    slow: float = float("-inf")


class Intake:
    """The messages that wait for the book, a queue for each window."""

    def __init__(self, room: int = ROOM) -> None:
        self._room, self._greedy, self._modest = room, room // 8, room // 32
        self._flood, self._flood_again = room // 4, room // 16
        self._suspects: set[bytes] = set()
        self._queues: dict[bytes, _Queue] = {}
        self._turn: deque[bytes] = deque()
        self._bytes = 0
        self._count = 0
        self._guarded = False
        self._guarded_at = self._swept_at = float("-inf")
        self._floods: set[bytes] = set()
        self.dropped: Counter[str] = Counter()
        """Messages that were not taken in, by window, since the start."""

    def __len__(self) -> int:
        return self._count

    @property
    def full(self) -> bool:
        """Nothing more should be read."""
        if self._bytes < self._room:
            return False
        return self._bytes >= 2 * self._room or not self._guards(time.monotonic())

    @property
    def oldest(self) -> float | None:
        """When the message came that has waited longest."""
        return min((self._queues[key].waiting[0].at for key in self._turn), default=None)

    def add(self, messages: list[Arrived]) -> None:
        """Take these in, but for those of a greedy window that stand in the way of others."""
        now = time.monotonic()
        for arrived in messages:
            key = _window(arrived.topic)
            queue = self._queues.get(key)
            if queue is None:
                key = self._admit(key, now)
                queue = self._queues[key]
            queue.heard = now
            fact = b"/fact/" in arrived.topic
            cost = len(arrived.payload) + (FACT if fact else OTHER)
            if queue.bytes + cost >= self._flood_again and self._too_much(key, queue, now, arrived.retained and fact):
                self.dropped[_name(key)] += 1
                continue
            if not queue.waiting:
                self._turn.append(key)
            queue.waiting.append(Waiting(now, arrived))
            queue.bytes += cost
            self._bytes += cost
            self._count += 1

    def floods(self) -> set[tuple[str, str]]:
        """Windows that flood, and with what, as seen since the last call."""
        found, self._floods = self._floods, set()
        return {(_name(key), _part(self._queues[key])) for key in found if key in self._queues}

    def suspect(self, windows: Iterable[str]) -> None:
        """These have flooded not long ago."""
        self._suspects = {window.encode() for window in windows}

    def take(self, most: int, most_bytes: int) -> list[Waiting]:
        """The oldest of each window in turn, at most so many and about so many bytes, each its share."""
        taken: list[Waiting] = []
        now, room = time.monotonic(), most_bytes
        while self._turn and len(taken) < most and room > 0:
            share = max(1, (most - len(taken)) // len(self._turn))
            room_each = max(1, room // len(self._turn))
            for _ in range(len(self._turn)):
                room -= self._take(taken, min(share, most - len(taken)), room_each, now)
                if len(taken) >= most or room <= 0:
                    break
            if all(now - self._queues[key].slow < SLOW_S for key in self._turn):
                break
        return taken

    def slow_down(self, window: str) -> None:
        """This window sent something that the book refuses."""
        if queue := self._queues.get(window.encode()):
            queue.slow = time.monotonic()

    def _too_much(self, key: bytes, queue: _Queue, now: float, kept: bool) -> bool:
        """Whether a message is one too many of its window; notes who is greedy, and whose messages are a flood."""
        again = key in self._suspects
        if queue.bytes < self._greedy and not again:
            return False
        if kept:
            return True
        queue.greedy, full = now, self._bytes >= self._room
        if not (full or again or queue.bytes >= self._flood) or not self._guards(now):
            return False
        self._floods.add(key)
        return full

    def _take(self, taken: list[Waiting], share: int, room: int, now: float) -> int:
        """The share of the window whose turn it is, and its bytes."""
        key = self._turn.popleft()
        queue = self._queues[key]
        share = min(share, SLOW) if now - queue.slow < SLOW_S else share
        before = queue.bytes
        while queue.waiting and share > 0 and before - queue.bytes < room:
            waiting = queue.waiting.popleft()
            taken.append(waiting)
            arrived = waiting.arrived
            queue.bytes -= len(arrived.payload) + (FACT if b"/fact/" in arrived.topic else OTHER)
            self._count -= 1
            share -= 1
        self._bytes -= before - queue.bytes
        if queue.waiting:
            self._turn.append(key)
        return before - queue.bytes

    def _admit(self, key: bytes, now: float) -> bytes:
        """A place for a window that had none, found by the key returned; places of long ago are given away."""
        if len(self._queues) >= WINDOWS and now - self._swept_at > 1.0:
            self._swept_at = now
            kept = {name: it for name, it in self._queues.items() if it.waiting or now - it.heard < HEARD_S}
            self._queues = kept
        if len(self._queues) >= WINDOWS:
            key = b""
        self._queues.setdefault(key, _Queue(deque()))
        return key

    def _guards(self, now: float) -> bool:
        """Whether there is a greedy window and a modest one; looked at twenty times a second."""
        if now - self._guarded_at > 0.05:
            self._guarded_at = now
            queues = self._queues.values()
            self._guarded = any(now - it.greedy < GREEDY_S for it in queues) and any(
                now - it.heard < HEARD_S and now - it.greedy > REPENTED_S and it.bytes < self._modest for it in queues
            )
        return self._guarded


def _part(queue: _Queue) -> str:
    """What a flooding window sent last that is still here."""
    return "fact" if not queue.waiting or b"/fact/" in queue.waiting[-1].arrived.topic else "sight"


def _name(key: bytes) -> str:
    return key.decode("ascii", "replace")


def _window(topic: bytes) -> bytes:
    """The window that a topic names; b"" if it names none."""
    parts = topic.split(b"/", 4)
    return parts[3] if len(parts) > 4 and len(parts[3]) <= LONGEST else b""

"""What the windows are still to be told: the county's acknowledgements, merged while they wait for their turn.

Rules: one entry a window and ledger, so that what waits is bounded by these and not by the number of facts; the oldest
goes first. What finds no room is not told: the window sends that fact again, and hears of it then.
"""

import time
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Final

import msgspec

from appliance import wire

LEDGERS: Final = 64
"""Ledgers of one window that may wait; a window has one, and a second when its card was replaced."""
RUNS: Final = 400
"""Ranges that one acknowledgement has at most: some 16 kB."""
FACTS: Final = 20_000
"""Sequences that may wait of one ledger."""


class _Entry(msgspec.Struct):
    """What one window is to be told of one ledger, since when in monotonic seconds."""

    since: float
    seqs: set[int]


class Acks:
    """Acknowledgements that wait to be sent."""

    def __init__(self) -> None:
        self._entries: dict[tuple[str, str], _Entry] = {}
        self._ledgers: Counter[str] = Counter()

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def oldest(self) -> float | None:
        """Since when the one waits that has waited longest."""
        return next(iter(self._entries.values())).since if self._entries else None

    def add(self, window: str, ledger: str, seqs: Iterable[int]) -> None:
        """These are in the book."""
        entry = self._entries.get((window, ledger))
        if entry is None:
            if self._ledgers[window] >= LEDGERS:
                return
            self._ledgers[window] += 1
            entry = self._entries[window, ledger] = _Entry(time.monotonic(), set())
        if len(entry.seqs) < FACTS:
            entry.seqs.update(seqs)

    def take(self, most: int) -> Iterator[tuple[str, bytes]]:
        """At most so many messages, each with its topic, the oldest first."""
        while self._entries and most > 0:
            (window, ledger), entry = next(iter(self._entries.items()))
            del self._entries[window, ledger]
            self._ledgers[window] -= 1
            if not self._ledgers[window]:
                del self._ledgers[window]
            runs = wire.runs(list(entry.seqs))
            for at in range(0, len(runs), RUNS):
                most -= 1
                yield wire.window_topic(window, "ack"), wire.encode(wire.Ack(ledger=ledger, seqs=runs[at : at + RUNS]))

"""How far behind a collector is: what `/healthz` says beside what the wall shows."""

import time
from collections.abc import Mapping, Sequence, Set
from typing import Any, Final

import msgspec

LATE_S: Final = 10.0
"""Seconds after which something that was read is late in the book, or its window late to hear of it."""
NAMED: Final = 5
"""Windows named of which messages were dropped."""


class Pulse(msgspec.Struct, frozen=True):
    """How a collector was at the end of a step; times in monotonic seconds."""

    waiting: int = 0
    oldest: float | None = None
    """When the oldest message came that was read and is not kept."""
    untold: int = 0
    untold_since: float | None = None
    """Since when the oldest acknowledgement waits that was not sent."""
    dropped: Mapping[str, int] = {}
    """Messages that were not taken in because their window flooded, by window."""
    left_out: Set[str] = frozenset()
    """Windows that are not listened to for a while because they flood."""
    unkeepable: int = 0
    redating: bool = False
    ousted: bool = False
    """Another collector seems to come under our name."""

    def behind_s(self) -> float:
        """How long the oldest waits that is not kept, or not told, by now."""
        since = [at for at in (self.oldest, self.untold_since) if at is not None]
        return max(0.0, time.monotonic() - min(since)) if since else 0.0


def told(pulse: Pulse, late: Sequence[str]) -> dict[str, Any]:
    """A pulse as `/healthz` has it; `ok` is false when somebody should look."""
    behind_s = pulse.behind_s()
    worst = sorted(pulse.dropped.items(), key=lambda it: -it[1])[:NAMED]
    return {
        "ok": not late and behind_s < LATE_S and not pulse.ousted,
        "late": list(late),
        "behind_s": round(behind_s, 1),
        "waiting": pulse.waiting,
        "untold": pulse.untold,
        "dropped": sum(pulse.dropped.values()),
        "flooding": dict(worst),
        "left_out": sorted(pulse.left_out)[:NAMED],
        "unkeepable": pulse.unkeepable,
        "redating": pulse.redating,
        "same_name": pulse.ousted,
    }

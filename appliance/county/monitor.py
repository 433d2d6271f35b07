"""What the county should look at first: each window as one row, judged by rules, the worst at the top."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Final, Literal

import msgspec

from appliance.county.presence import SILENCE_S, Reach, reach
from appliance.window.moment import CHINA
from appliance.wire import Health, Presence, Status

Level = Literal[
    "silent", "offline", "fault", "broken", "overdue", "away", "off", "unknown", "rating", "serving", "idle", "closed"
]

WORST_FIRST: Final[tuple[Level, ...]] = (
    "silent",  # no health for three minutes: nobody knows what goes on there
    "offline",  # the broker says that it is gone, while a clerk was on duty
    "fault",  # a device does not work
    "broken",  # its record was altered or has lost something
    "overdue",  # 暂时离开, and the time at which the clerk wanted to be back has passed
    "unknown",  # seen, but it has not said how it is
    "away",
    "off",  # gone after its clerk had gone off duty: switched off for the night
    "rating",
    "serving",
    "idle",
    "closed",
)
"""Every level that a row can have, in the order of the wall; within one the longest first."""

CALM: Final[frozenset[Level]] = frozenset({"away", "off", "rating", "serving", "idle", "closed"})
"""What asks nothing of the county: an absence whose time has not passed is one of them."""


class Fault(msgspec.Struct, frozen=True):
    """A device that does not work: the code that the window gave, and since when where that is known."""

    device: str
    reason: str
    since_us: int | None = None


class Seen(msgspec.Struct, frozen=True):
    """All that is known of one window; times in microseconds since 1970."""

    window: str
    presence: Presence | None = None
    presence_us: int | None = None
    status: Status | None = None
    health: Health | None = None
    health_us: int | None = None
    deaf_us: int = 0
    """How long since that health we ourselves did not listen."""
    faults: Mapping[str, Fault] = {}
    visits: int = 0
    grades: tuple[int, int, int, int, int] = (0, 0, 0, 0, 0)
    """How many of today's visits were rated 非常满意, 满意, … 非常不满意."""
    misfits: int = 0
    unknown: int = 0
    breaks: int = 0


class Row(msgspec.Struct, frozen=True):
    """A window as the wall shows it."""

    window: str
    site: str
    number: str
    level: Level
    reach: Reach
    since_us: int | None
    status: Status | None
    faults: tuple[Fault, ...]
    unsent: int | None
    unsent_s: float | None
    seen: Seen


def row(seen: Seen, now_us: int, listening_us: int, silence_s: int = SILENCE_S) -> Row:
    """One window judged now; `listening_us` is now, or when our own connection was lost."""
    _, site, number = seen.window.split("-")
    found = reach(seen.presence, seen.health_us, listening_us - seen.deaf_us, silence_s)
    faults = _faults(seen)
    level = _level(seen, found, faults, now_us)
    outbox = seen.health.outbox if seen.health else None
    return Row(
        window=seen.window,
        site=site,
        number=number,
        level=level,
        reach=found,
        since_us=_since(seen, level, faults),
        status=seen.status,
        faults=faults,
        unsent=outbox.depth if outbox else None,
        unsent_s=outbox.oldest_s if outbox else None,
        seen=seen,
    )


def worst_first(rows: Iterable[Row]) -> list[Row]:
    """The worst first, within a level the longest first, then by name."""
    return sorted(rows, key=lambda it: (WORST_FIRST.index(it.level), it.since_us or 0, it.window))


def _level(seen: Seen, found: Reach, faults: tuple[Fault, ...], now_us: int) -> Level:
    state = seen.status.state if seen.status else "unknown"
    gone = seen.presence is not None and not seen.presence.online
    if found in ("silent", "offline") and gone and state == "closed":
        return "off"
    if found == "silent":
        return "silent"
    if found == "offline":
        return "offline"
    if faults:
        return "fault"
    if seen.breaks:
        return "broken"
    if state == "away":
        return "overdue" if _overdue(seen.status, now_us) else "away"
    calm: dict[str, Level] = {"rating": "rating", "serving": "serving", "idle": "idle", "closed": "closed"}
    return calm.get(state, "unknown")


def _overdue(status: Status | None, now_us: int) -> bool:
    back = status.away.expected_back if status and status.away else None
    return back is not None and microseconds(back) < now_us


def _faults(seen: Seen) -> tuple[Fault, ...]:
    """What the facts say is broken, and what the window's health says though no fact has come yet."""
    faults = dict(seen.faults)
    if seen.status and seen.status.state == "fault" and "ledger" not in faults:
        faults["ledger"] = Fault("ledger", "full", microseconds(seen.status.since))
    if seen.health:
        if seen.health.printer.state == "bad":
            faults.setdefault("printer", Fault("printer", seen.health.printer.reason))
        if seen.health.pad.state == "bad":
            faults.setdefault("pad", Fault("pad", ""))
        for key in seen.health.pad.stuck:
            faults.setdefault(f"key{key}", Fault(f"key{key}", "stuck"))
        if seen.health.camera == "bad":
            faults.setdefault("camera", Fault("camera", ""))
    return tuple(faults[device] for device in sorted(faults))


def _since(seen: Seen, level: Level, faults: tuple[Fault, ...]) -> int | None:
    """When the window came to be so: silence since its last word, a fault since the first that is open."""
    if level == "silent":
        return seen.health_us
    if level in ("offline", "off"):
        return seen.presence_us
    if level == "fault" and (known := [fault.since_us for fault in faults if fault.since_us is not None]):
        return min(known)
    return microseconds(seen.status.since) if seen.status else seen.presence_us


def microseconds(at: datetime) -> int:
    """A time as microseconds since 1970; one without an offset is China's."""
    if at.tzinfo is None:
        at = at.replace(tzinfo=CHINA)
    return round(at.timestamp() * 1e6)

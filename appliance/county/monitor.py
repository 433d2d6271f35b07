"""What the county should look at first: each window as one row, judged by rules, the worst at the top."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Final, Literal

import msgspec

from appliance.county.presence import SILENCE_S, Reach, reach
from appliance.window.moment import CHINA
from appliance.wire import Health, Presence, Status

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
LAST_US: Final = 4_102_415_999_000_000
"""The last second of 2099 by China's calendar, in microseconds since 1970."""

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
TROUBLES: Final[tuple[Level, ...]] = ("silent", "offline", "fault", "broken")
"""What is wrong with a window, whatever it does: shown beside what it does."""


class Fault(msgspec.Struct, frozen=True):
    """A device that does not work: the code that the window gave, and since when where that is known."""

    device: str
    reason: str
    since_us: int | None = None


class Missing(msgspec.Struct, frozen=True):
    """How many facts of a window the county lacks."""

    asked: int = 0
    """Being asked for."""
    lost: int = 0
    """The window does not have them either."""
    replaced: int = 0
    """Of a ledger in whose place the window has begun another."""


class Seen(msgspec.Struct, frozen=True):
    """All that is known of one window; times in microseconds since 1970."""

    window: str
    presence: Presence | None = None
    presence_us: int | None = None
    status: Status | None = None
    health: Health | None = None
    health_us: int | None = None
    faults: Mapping[str, Fault] = {}
    visits: int = 0
    grades: tuple[int, int, int, int, int] = (0, 0, 0, 0, 0)
    """How many of today's visits were rated 非常满意, 满意, … 非常不满意."""
    cut: int = 0
    """How many of today's residents could not rate because the clerk went on."""
    misfits: int = 0
    unknown: int = 0
    breaks: int = 0
    foreign: int = 0
    """Facts of a ledger that is another window's."""
    copied: bool = False
    """It sends such facts, and since then none of its own."""
    missing: Missing = Missing()

    @property
    def rated(self) -> int:
        """Today's visits that were rated."""
        return sum(self.grades)

    @property
    def unrated(self) -> int:
        """Today's visits that were not rated, or not yet."""
        return max(0, self.visits - self.rated)


class Row(msgspec.Struct, frozen=True):
    """A window as the wall shows it: `doing` is what it does, `wrong` what is wrong with it, `level` the worse."""

    window: str
    site: str
    number: str
    name: str
    level: Level
    doing: Level
    wrong: tuple[Level, ...]
    reach: Reach
    since_us: int | None
    doing_us: int | None
    status: Status | None
    faults: tuple[Fault, ...]
    unsent: int | None
    unsent_s: float | None
    seen: Seen
    drawable: bool = True
    """False when what is known of it could not be judged: only that it is there."""


def row(seen: Seen, now_us: int, quiet_s: float | None, silence_s: int = SILENCE_S) -> Row:
    """One window judged now; `quiet_s` is for how long we listened and heard no health of it."""
    _, site, number = seen.window.split("-")
    found = reach(seen.presence, quiet_s, silence_s)
    faults = _faults(seen)
    doing = _doing(seen, found, now_us)
    wrong = _wrong(seen, found, faults, doing)
    level = min((*wrong, doing), key=WORST_FIRST.index)
    outbox = seen.health.outbox if seen.health else None
    return Row(
        window=seen.window,
        site=site,
        number=number,
        name=seen.status.name if seen.status else "",
        level=level,
        doing=doing,
        wrong=wrong,
        reach=found,
        since_us=_since(seen, level, faults),
        doing_us=microseconds(seen.status.since) if seen.status else None,
        status=seen.status,
        faults=faults,
        unsent=outbox.depth if outbox else None,
        unsent_s=outbox.oldest_s if outbox else None,
        seen=seen,
    )


def undrawable(window: str) -> Row:
    """A window of which what is known cannot be judged: it is there, and nobody else notices."""
    _, site, number = window.split("-")
    return Row(window, site, number, "", "unknown", "unknown", (), "unknown", None, None, None, (), None, None,
               Seen(window), drawable=False)  # fmt: skip


def worst_first(rows: Iterable[Row]) -> list[Row]:
    """The worst first, within a level the longest first, then by name."""
    return sorted(rows, key=lambda it: (WORST_FIRST.index(it.level), it.since_us or 0, it.window))


def _doing(seen: Seen, found: Reach, now_us: int) -> Level:
    """What the window does, or did when it was last heard."""
    state = seen.status.state if seen.status else "unknown"
    gone = seen.presence is not None and not seen.presence.online
    if found in ("silent", "offline") and gone and state == "closed":
        return "off"
    if state == "away":
        return "overdue" if _overdue(seen.status, now_us) else "away"
    calm: dict[str, Level] = {"rating": "rating", "serving": "serving", "idle": "idle", "closed": "closed"}
    return calm.get(state, "unknown")


def _wrong(seen: Seen, found: Reach, faults: tuple[Fault, ...], doing: Level) -> tuple[Level, ...]:
    """What is wrong with it, the worst first; one that was switched off for the night is not called gone."""
    gone = found in ("silent", "offline") and doing != "off"
    lacking = seen.missing != Missing()
    said: dict[Level, bool] = {
        "silent": gone and found == "silent",
        "offline": gone and found == "offline",
        "fault": bool(faults) and doing != "off",
        "broken": bool(seen.breaks or seen.copied or lacking),
    }
    return tuple(level for level in TROUBLES if said[level])


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
    """A time as microseconds since 1970; one without an offset is China's, one out of our years the nearest of them."""
    if at.tzinfo is None:
        at = at.replace(tzinfo=CHINA)
    return within((at - EPOCH) // timedelta(microseconds=1))


def within(at_us: int) -> int:
    """The nearest time that every calendar of ours can show."""
    return min(max(at_us, 0), LAST_US)


def moment(at_us: int) -> datetime:
    """A time as China's clocks show it."""
    return datetime.fromtimestamp(within(at_us) / 1e6, CHINA)

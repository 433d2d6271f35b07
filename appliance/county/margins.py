"""What the book says beside the facts: devices, sightings, the quarantine, and numbers since the beginning."""

import hashlib
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from typing import Final

import msgspec
from sqlalchemy import Connection, func, select

from appliance import wire
from appliance.county.engine import Insert
from appliance.county.monitor import Fault
from appliance.county.presence import heeded
from appliance.county.reading import Letter, Misfit, Sighting, seen_again
from appliance.county.tables import counters, devices, quarantine, sightings
from appliance.window.facts import DeviceFailed, DeviceRecovered

CELL: Final = 4096
"""Bytes kept of what cannot be read."""
CELLS: Final = 1000
"""Different misfits kept of one window; whatever comes beyond is only counted."""


def note_devices(tx: Connection, insert: Insert, letters: Iterable[Letter]) -> None:
    """Each device as its newest fact leaves it; an older fact that arrives late changes nothing."""
    for letter in letters:
        fact = letter.fact
        if not isinstance(fact, DeviceFailed | DeviceRecovered):
            continue
        row = insert(devices).values(
            window=letter.window,
            device=fact.device,
            ledger=letter.ledger,
            seq=letter.seq,
            failed=isinstance(fact, DeviceFailed),
            reason=fact.reason,
            at_us=letter.time_us,
        )
        newer = (devices.c.ledger != row.excluded.ledger) | (devices.c.seq < row.excluded.seq)
        kept = {name: row.excluded[name] for name in ("ledger", "seq", "failed", "reason", "at_us")}
        tx.execute(row.on_conflict_do_update(index_elements=["window", "device"], set_=kept, where=newer))


def note_sightings(tx: Connection, insert: Insert, seen: list[Sighting], now_us: int) -> list[Sighting]:
    """Keeps the last of each kind of each window; returns those that told something, in their order."""
    told = []
    for sighting in seen:
        where = (sightings.c.window == sighting.window, sightings.c.kind == sighting.kind)
        before = tx.execute(
            select(sightings.c.payload, sightings.c.heard_us, sightings.c.session).where(*where)
        ).one_or_none()
        session = before.session if before else None
        if isinstance(sighting.value, wire.Presence):
            if not heeded(sighting.value, session):
                continue
            session = sighting.value.session if sighting.value.online else session
        heard_us = now_us
        if sighting.retained and before and before.payload == sighting.payload:
            heard_us = before.heard_us  # the broker repeats what it has; nobody has spoken
        row = insert(sightings).values(
            window=sighting.window, kind=sighting.kind, payload=sighting.payload, heard_us=heard_us, session=session
        )
        kept = {name: row.excluded[name] for name in ("payload", "heard_us", "session")}
        tx.execute(row.on_conflict_do_update(index_elements=["window", "kind"], set_=kept))
        told.append(msgspec.structs.replace(sighting, heard_us=heard_us))
    return told


def shut_in(tx: Connection, insert: Insert, misfits: list[Misfit], now_us: int) -> None:
    """Keeps each different misfit once, with how often it came; beyond `CELLS` of a window only the number."""
    if not misfits:
        return
    cells: dict[tuple[str, str, str], tuple[Misfit, int]] = {}
    for misfit in misfits:
        key = (misfit.topic, misfit.reason, hashlib.sha256(misfit.payload).hexdigest())
        cells[key] = (misfit, cells.get(key, (misfit, 0))[1] + 1)
    taken = _taken(tx, {misfit.window or "" for misfit in misfits})
    for (topic, reason, digest), (misfit, times) in cells.items():
        window = misfit.window or ""
        full = taken[window] >= CELLS
        row = insert(quarantine).values(
            topic="" if full else topic,
            reason=reason,
            digest=window if full else digest,
            window=window,
            detail="" if full else misfit.detail,
            payload=b"" if full else misfit.payload[:CELL],
            size=0 if full else misfit.size,
            count=times,
            first_us=now_us,
            last_us=now_us,
        )
        kept = {"count": quarantine.c.count + row.excluded["count"], "last_us": row.excluded.last_us}
        tx.execute(row.on_conflict_do_update(index_elements=["topic", "reason", "digest"], set_=kept))
        taken[window] += 1


def _taken(tx: Connection, windows: set[str]) -> Counter[str]:
    counted = select(quarantine.c.window, func.count()).where(quarantine.c.window.in_(windows))
    return Counter(dict(tx.execute(counted.group_by(quarantine.c.window)).all()))


def count(tx: Connection, insert: Insert, name: str, more: Mapping[str, int]) -> None:
    """Adds to a number since the beginning, by window."""
    for window, n in more.items():
        row = insert(counters).values(window=window, name=name, value=n)
        kept = {"value": counters.c.value + row.excluded.value}
        tx.execute(row.on_conflict_do_update(index_elements=["window", "name"], set_=kept))


class Device(msgspec.Struct, frozen=True):
    """A device as its newest fact left it; `fault` None when it works."""

    window: str
    ledger: str
    seq: int
    device: str
    fault: Fault | None


def all_devices(tx: Connection, windows: Collection[str] | None = None) -> list[Device]:
    """Every device that ever failed, as it is now; of all windows or of some."""
    wanted = select(devices) if windows is None else select(devices).where(devices.c.window.in_(windows))
    return [
        Device(it.window, it.ledger, it.seq, it.device, Fault(it.device, it.reason, it.at_us) if it.failed else None)
        for it in tx.execute(wanted)
    ]


def all_sightings(tx: Connection) -> list[Sighting]:
    """The last presence, status and health of every window."""
    return [
        Sighting(it.window, it.kind, seen_again(it.kind, it.payload), it.payload, True, it.heard_us)
        for it in tx.execute(select(sightings))
    ]


def all_counted(tx: Connection, name: str) -> dict[str, int]:
    """A number since the beginning, by window."""
    found = tx.execute(select(counters.c.window, counters.c.value).where(counters.c.name == name))
    return {window: int(n) for window, n in found}


def misfits(tx: Connection) -> dict[str, int]:
    """How many messages of each window could not be read; "" stands for those that named none of ours."""
    counted = select(quarantine.c.window, func.sum(quarantine.c.count)).group_by(quarantine.c.window)
    return {window: int(n) for window, n in tx.execute(counted)}

"""What the book says beside the facts: devices, sightings, the quarantine, and numbers since the beginning."""

import hashlib
import logging
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta
from sqlalchemy import Connection, case, func, select

from appliance import wire
from appliance.county import rows
from appliance.county.engine import Insert
from appliance.county.ledgers import Owner
from appliance.county.monitor import Fault
from appliance.county.presence import heeded
from appliance.county.reading import Letter, Misfit, Sight, Sighting, seen_again
from appliance.county.tables import counters, devices, quarantine, sightings
from appliance.window.facts import DeviceFailed, DeviceRecovered

log = logging.getLogger("appliance.county")

Number = tuple[str, str]
"""A window and the name of a number that is counted of it since the beginning."""
DEVICES: Final = 64
"""Devices of which a window may tell."""
CELL: Final = 4096
"""Bytes kept of what cannot be read."""
MOST_COUNTED: Final = 2**53
CELLS: Final = 1000
"""Different misfits kept of one window; whatever comes beyond is only counted."""


def note_devices(tx: Connection, insert: Insert, letters: Iterable[Letter], owners: Mapping[str, Owner]) -> set[str]:
    """Each device as its newest fact leaves it, an older fact that arrives late changes nothing; which windows told.

    Numbers are of their ledger: of two ledgers, the one that the county met later is the newer.
    """
    last: dict[tuple[str, str, str], Letter] = {}
    for letter in letters:
        if isinstance(letter.fact, DeviceFailed | DeviceRecovered):
            key = (letter.window, letter.fact.device, letter.ledger)
            if key not in last or last[key].seq < letter.seq:
                last[key] = letter
    for letter in sorted(_placed(tx, last), key=lambda it: (owners[it.ledger].first_us, it.time_us)):
        tx.execute(_device(insert, letter, owners[letter.ledger].first_us))
    return {window for window, _, _ in last}


def _placed(tx: Connection, last: Mapping[tuple[str, str, str], Letter]) -> list[Letter]:
    """Those of devices that we have, or have a place for: a window that invents devices fills no wall with them."""
    found = select(devices.c.window, devices.c.device).where(devices.c.window.in_({key[0] for key in last}))
    have: dict[str, set[str]] = {}
    for window, device in tx.execute(found):
        have.setdefault(window, set()).add(device)
    placed = []
    for (window, device, _), letter in last.items():
        known = have.setdefault(window, set())
        if device in known or len(known) < DEVICES:
            known.add(device)
            placed.append(letter)
    return placed


def _device(insert: Insert, letter: Letter, ledger_us: int) -> Any:
    fact = letter.fact
    assert isinstance(fact, DeviceFailed | DeviceRecovered)
    row = insert(devices).values(
        window=letter.window,
        device=fact.device,
        ledger=letter.ledger,
        seq=letter.seq,
        failed=isinstance(fact, DeviceFailed),
        reason=fact.reason,
        at_us=letter.time_us,
        ledger_us=ledger_us,
    )
    same = devices.c.ledger == row.excluded.ledger
    later = (devices.c.ledger_us < row.excluded.ledger_us) | (
        (devices.c.ledger_us == row.excluded.ledger_us) & (devices.c.at_us <= row.excluded.at_us)
    )
    newer = (same & (devices.c.seq < row.excluded.seq)) | (~same & later)
    kept = {name: row.excluded[name] for name in ("ledger", "seq", "failed", "reason", "at_us", "ledger_us")}
    return row.on_conflict_do_update(index_elements=["window", "device"], set_=kept, where=newer)


def note_sightings(tx: Connection, insert: Insert, seen: list[Sighting], now_us: int) -> list[Sighting]:
    """Keeps the last of each kind of each window; returns those that told something, in their order."""
    told = []
    for sighting in _last_words(seen):
        where = (sightings.c.window == sighting.window, sightings.c.kind == sighting.kind)
        before = _known(tx, *where)
        if before is None and not sighting.payload:
            continue  # nothing of the window was there that could be taken down
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


class _Known(msgspec.Struct, frozen=True):
    """A row of `sightings` beside its key."""

    payload: bytes
    heard_us: int
    session: int | None


def _known(tx: Connection, *where: Any) -> _Known | None:
    """What the book has of one kind of one window; one that cannot be read counts as another word than any."""
    wanted = select(rows.raw(sightings.c.payload), sightings.c.heard_us, sightings.c.session).where(*where)
    if (found := tx.execute(wanted).one_or_none()) is None:
        return None
    session = rows.number(found.session, -1)
    return _Known(rows.payload(found.payload), rows.number(found.heard_us, 0), session if session >= 0 else None)


def _last_words(seen: list[Sighting]) -> list[Sighting]:
    """Every presence, and of each window's statuses and healths in a batch only the last."""
    last = {(it.window, it.kind): n for n, it in enumerate(seen)}
    return [it for n, it in enumerate(seen) if it.kind == "presence" or last[it.window, it.kind] == n]


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
        kept = {"count": _more(quarantine.c["count"], row.excluded["count"]), "last_us": row.excluded.last_us}
        tx.execute(row.on_conflict_do_update(index_elements=["topic", "reason", "digest"], set_=kept))
        taken[window] += 1


def _taken(tx: Connection, windows: set[str]) -> Counter[str]:
    counted = select(quarantine.c.window, func.count()).where(quarantine.c.window.in_(windows))
    return Counter(dict(tx.execute(counted.group_by(quarantine.c.window)).all()))


def bring_back(tx: Connection, misfits: list[Misfit]) -> None:
    """A window that was taken down and now sends what cannot be read is there again."""
    if windows := sorted({it.window for it in misfits if it.window}):
        tx.execute(sightings.delete().where(sightings.c.window.in_(windows), sightings.c.payload == b""))


def count(tx: Connection, insert: Insert, more: Counter[Number]) -> dict[Number, int]:
    """Adds to numbers since the beginning; returns what they are now."""
    now = {}
    for (window, name), n in sorted(more.items()):  # in one order, so that two collectors do not wait for each other
        if n:
            row = insert(counters).values(window=window, name=name, value=n)
            kept = {"value": _more(counters.c.value, row.excluded.value)}
            done = row.on_conflict_do_update(index_elements=["window", "name"], set_=kept)
            now[window, name] = rows.number(tx.execute(done.returning(counters.c.value)).scalar_one(), n)
    return now


def _more(count: Any, n: Any) -> Any:
    """A number and some more; one that is out of its senses begins anew, for the database would refuse the batch."""
    return case((count.between(0, MOST_COUNTED), count + n), else_=n)


class Device(msgspec.Struct, frozen=True):
    """A device as its newest fact left it; `fault` None when it works."""

    window: str
    device: str
    fault: Fault | None


class _Device(msgspec.Struct, frozen=True):
    window: rows.Window
    device: wire.Key
    failed: bool
    reason: wire.Word
    at_us: int


class _Sighting(msgspec.Struct, frozen=True):
    window: rows.Window
    kind: Sight
    payload: bytes
    heard_us: int


class _Counter(msgspec.Struct, frozen=True):
    window: rows.Anybody
    name: str
    value: Annotated[int, Meta(ge=0)]


def all_devices(tx: Connection, windows: Collection[str] | None = None) -> list[Device]:
    """Every device that ever failed, as it is now; of all windows or of some."""
    names = ("window", "device", "failed", "reason", "at_us")
    wanted = select(*(devices.c[name] for name in names))
    if windows is not None:
        wanted = wanted.where(devices.c.window.in_(windows))
    return [
        Device(it.window, it.device, Fault(it.device, it.reason, it.at_us) if it.failed else None)
        for it in rows.read(tx, wanted, _Device)
    ]


def all_sightings(tx: Connection) -> list[Sighting]:
    """The last presence, status and health of every window, as far as they can be read."""
    wanted = select(sightings.c.window, sightings.c.kind, rows.raw(sightings.c.payload), sightings.c.heard_us)
    return [
        Sighting(it.window, it.kind, seen_again(it.kind, it.payload), it.payload, True, it.heard_us)
        for it in rows.read(tx, wanted, _Sighting)
    ]


def all_counted(tx: Connection) -> dict[Number, int]:
    """The numbers since the beginning, by window and name."""
    return {(it.window, it.name): it.value for it in rows.read(tx, select(counters), _Counter)}

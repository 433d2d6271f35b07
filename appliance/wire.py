"""The wire between a window and its county: topics, envelopes, presence; both ends import it.

Every payload is written once, with the commit, and published byte for byte the same however often it is sent.
"""

import hashlib
from datetime import datetime
from typing import Any

import msgspec

ROOT = "windows/v1"
FIRST_PREVHASH = "0" * 64
MAX_PAYLOAD = 256 * 1024
"""Bytes a fact may have; whatever is larger is no fact of ours."""


class Envelope(msgspec.Struct, frozen=True, kw_only=True):
    """One fact as a CloudEvents 1.0 structured JSON event, with the extensions that a machine without a clock needs."""

    specversion: str
    id: str
    sequence: str
    source: str
    type: str
    subject: str
    time: datetime
    clocksynced: bool
    bootid: str
    uptime: str
    prevhash: str
    datacontenttype: str = "application/json"
    data: msgspec.Raw = msgspec.Raw(b"null")


class Presence(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Whether an end of the wire is there; `session` goes up by one with every connection."""

    online: bool
    session: int
    at: datetime | None = None


class Ack(msgspec.Struct, frozen=True, kw_only=True):
    """The county's word that it has these sequences, in inclusive ranges, sent after its COMMIT."""

    ledger: str
    seqs: list[tuple[int, int]]


class ClerkCard(msgspec.Struct, frozen=True):
    """Who serves at the window."""

    number: str
    name: str


class AwayNote(msgspec.Struct, frozen=True):
    """Why the window is left and until when."""

    reason: str
    expected_back: datetime | None


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """What anyone may see of a window now; `state` is closed, idle, serving, rating, away or fault."""

    state: str
    since: datetime
    clerk: ClerkCard | None
    away: AwayNote | None
    case_open: bool
    waiting: int
    served_today: int


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """How a window's parts are, retained, on change and every 60 s."""

    version: str
    printer: dict[str, Any]
    pad: dict[str, Any]
    camera: str
    clock: dict[str, Any]
    outbox: dict[str, Any]
    disk_free_mb: int | None
    temperature_c: float | None
    throttled: bool | None
    probes: dict[str, str]
    documents: dict[str, str]


def window_topic(window: str, *rest: str) -> str:
    """`windows/v1/{county}/{window}/…`; the county is the first part of the window's own name."""
    return "/".join((ROOT, window.split("-", 1)[0], window, *rest))


def county_topic(county: str, *rest: str) -> str:
    """`windows/v1/{county}/…` for what belongs to the county and not to one window."""
    return "/".join((ROOT, county, *rest))


def fact_id(ledger: str, seq: int) -> str:
    """`3f9c1a7e-000017`: a gap shows, a duplicate is harmless."""
    return f"{ledger}-{seq:06d}"


def prevhash(payload: bytes | None) -> str:
    """The hex SHA-256 of the payload of the fact before, byte for byte; 64 zeros for the first."""
    return FIRST_PREVHASH if payload is None else hashlib.sha256(payload).hexdigest()


def encode(value: msgspec.Struct) -> bytes:
    """A presence, ack, status, health or envelope as the bytes that go over the wire."""
    return msgspec.json.encode(value)


def runs(seqs: list[int]) -> list[tuple[int, int]]:
    """Sequences folded into inclusive ranges: [1, 2, 3, 7] -> [(1, 3), (7, 7)]."""
    found: list[tuple[int, int]] = []
    for seq in sorted(set(seqs)):
        if found and found[-1][1] == seq - 1:
            found[-1] = (found[-1][0], seq)
        else:
            found.append((seq, seq))
    return found

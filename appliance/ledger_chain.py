"""PURE: the chain of a ledger's facts, row for row: what is altered, what is missing, when a fact was written."""

import hashlib
from datetime import datetime

import msgspec

from appliance import wire
from appliance.window.moment import Moment

Row = tuple[int, object, object, object]
"""Sequence, type, time and payload, as they stand in the table."""


class _Link(msgspec.Struct, frozen=True):
    sequence: str
    type: str
    time: str
    prevhash: str


class _Stamp(msgspec.Struct, frozen=True):
    time: datetime
    bootid: str
    uptime: str
    clocksynced: bool


_link = msgspec.json.Decoder(_Link)
_stamp = msgspec.json.Decoder(_Stamp)


class Chain:
    """Takes facts by ascending sequence, and says of each what is wrong with it; `known` are ranges without a fact.

    What is missing is no alteration: it is gathered in `missing`, and the next fact is taken as it is.
    """

    def __init__(self, known: list[tuple[int, int]], after: int | None = 0) -> None:
        self._known = known
        self._after = after
        self._hash: str | None = wire.FIRST_PREVHASH if after == 0 else None
        self.missing: list[tuple[int, int]] = []

    def take(self, row: Row) -> str:
        """What is wrong with the next fact, in a few words; empty when it is sound."""
        seq, payload = row[0], row[3]
        if self._after is not None and seq > self._after + 1:
            self._miss(self._after + 1, seq - 1)
            self._hash = None
        wanted, self._after, self._hash = self._hash, seq, None
        link = read(row)
        if isinstance(link, str):
            return link
        self._hash = hashlib.sha256(payload).hexdigest() if isinstance(payload, bytes) else None
        return "" if wanted in (None, link.prevhash) else f"chain broken before fact {seq}"

    def _miss(self, low: int, high: int) -> None:
        for known_low, known_high in self._known:
            if low >= known_low and low <= known_high:
                low = known_high + 1
        if low <= high:
            self.missing.append((low, high))


def read(row: Row) -> _Link | str:
    """How a fact hangs in the chain, or what is wrong with it by itself."""
    seq, kind, at, payload = row
    if not isinstance(payload, bytes):
        return f"fact {seq} is no payload"
    try:
        link = _link.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        return f"fact {seq}: {error}"
    if (link.sequence, link.type, link.time) != (str(seq), f"window.{kind}.v1", at):
        return f"fact {seq} is not what its row says"
    return link


def moment_of(payload: bytes) -> Moment | None:
    """When a fact was written, by the wall and by the uptime; None where its bytes do not say."""
    try:
        stamp = _stamp.decode(payload)
        return Moment(at=stamp.time, boot=stamp.bootid, up=float(stamp.uptime), synced=stamp.clocksynced)
    except (msgspec.DecodeError, ValueError):
        return None

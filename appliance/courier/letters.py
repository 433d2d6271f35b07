"""PURE: what comes over the wire to a window, read and sorted; what cannot be read is a `Stray` and nothing worse.

Every bound of `wire` holds for what the county says as for what a window says. Whatever goes wrong with a message, in
ways that nobody thought of too, makes that one message a stray.
"""

from typing import Literal

import msgspec

from appliance import wire
from appliance.guard import words

LONGEST = 100
"""Characters of a topic that a journal is told."""

Kind = Literal["ack", "foreign_ack", "order", "presence", "other"]


class Acked(msgspec.Struct, frozen=True):
    """The county has these sequences of our ledger: inclusive ranges, ascending, apart from each other."""

    ranges: list[tuple[int, int]]


class Ordered(msgspec.Struct, frozen=True):
    """The county orders something by `name`; `order` is the id under which it repeats it until it is answered.

    `replay` is what the order of that name asks for, None if that cannot be read: then the order must be refused.
    """

    order: str
    name: str
    replay: wire.Replay | None = None


class OwnPresence(msgspec.Struct, frozen=True):
    """What the broker holds as our own presence."""

    presence: wire.Presence


class CountyPresence(msgspec.Struct, frozen=True):
    """Whether the county's collector is there."""

    presence: wire.Presence


class Stray(msgspec.Struct, frozen=True):
    """Not for us, not to be read, or not yet for this version to handle; `why` is for the journal."""

    kind: Kind
    why: str


Letter = Acked | Ordered | OwnPresence | CountyPresence | Stray


_ack = msgspec.json.Decoder(wire.Ack)
_order = msgspec.json.Decoder(wire.Order)
_replay = msgspec.json.Decoder(wire.Replay)
_presence = msgspec.json.Decoder(wire.Presence)


def topics(window: str) -> list[str]:
    """What a window asks the broker for; its own presence it asks for last, by itself."""
    county = window.split("-", 1)[0]
    return [
        wire.window_topic(window, "ack"),
        wire.window_topic(window, "order", "+"),
        wire.county_topic(county, "county", "presence"),
    ]


def read(window: str, ledger: str, last_seq: int, topic: str, payload: bytes) -> Letter:
    """What one message says; `last_seq` is the newest fact there is, and nothing past it can have been acknowledged."""
    if len(topic) > wire.MAX_TOPIC or len(payload) > wire.MAX_PAYLOAD:
        return Stray(_kind(topic), f"{topic[:LONGEST]!r}: {len(topic)} characters of topic, {len(payload)} bytes")
    try:
        return _read(window, ledger, last_seq, topic, payload)
    except Exception as problem:  # noqa: BLE001  one message must never end the window
        return Stray(_kind(topic), f"{topic[:LONGEST]!r}: {words(problem)}")


def _read(window: str, ledger: str, last_seq: int, topic: str, payload: bytes) -> Letter:
    county, last = window.split("-", 1)[0], topic.rsplit("/", 1)[-1]
    if topic == wire.window_topic(window, "ack"):
        return _read_ack(wire.read(payload, _ack), ledger, last_seq)
    if topic == wire.window_topic(window, "order", last):
        return _read_order(wire.read(payload, _order), county, last)
    if topic == wire.window_topic(window, "presence"):
        return OwnPresence(wire.read(payload, _presence))
    if topic == wire.county_topic(county, "county", "presence"):
        return CountyPresence(wire.read(payload, _presence))
    return Stray("other", f"{topic[:LONGEST]!r}: nothing that a window asked for")


def _kind(topic: str) -> Kind:
    if topic.endswith("/ack"):
        return "ack"
    if topic.endswith("/presence"):
        return "presence"
    return "order" if "/order/" in topic else "other"


def _read_ack(ack: wire.Ack, ledger: str, last_seq: int) -> Letter:
    if ack.ledger != ledger:
        return Stray("foreign_ack", f"an acknowledgement for ledger {ack.ledger}; ours is {ledger}")
    if any(not 1 <= low <= high <= last_seq for low, high in ack.seqs):
        return Stray("ack", f"an acknowledgement of sequences that are none: our newest is {last_seq}")
    return Acked(merged(ack.seqs))


def _read_order(order: wire.Order, county: str, name: str) -> Letter:
    if order.type != f"window.order.{name}.v1" or order.source != f"/counties/{county}":
        return Stray("order", f"an order {order.type[:80]!r} of {order.source[:40]!r} under …/{name[:80]}")
    return Ordered(order.id, name, _asked(order.data) if name == "replay" else None)


def _asked(data: msgspec.Raw) -> wire.Replay | None:
    try:
        asked = wire.read(bytes(data), _replay)
    except (msgspec.DecodeError, UnicodeDecodeError, wire.TooDeep):
        return None
    return asked if asked.first <= asked.last < asked.first + wire.MAX_REPLAY else None


def merged(ranges: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Ranges of any order, overlapping or not, as few and ascending."""
    found: list[tuple[int, int]] = []
    for low, high in sorted(ranges):
        if found and low <= found[-1][1] + 1:
            found[-1] = (found[-1][0], max(found[-1][1], high))
        else:
            found.append((low, high))
    return found

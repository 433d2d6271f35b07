"""PURE: what comes over the wire to a window, read and sorted; what cannot be read is a `Stray` and nothing worse."""

from typing import Literal

import msgspec

from appliance import wire

MAX_RANGES = 10_000
MAX_ORDER_ID = 200

Kind = Literal["ack", "foreign_ack", "order", "presence", "document", "other"]


class Acked(msgspec.Struct, frozen=True):
    """The county has these sequences of our ledger: inclusive ranges, ascending, apart from each other."""

    ranges: list[tuple[int, int]]


class Ordered(msgspec.Struct, frozen=True):
    """The county orders something by `name`; `order` is the id under which it repeats it until it is answered."""

    order: str
    name: str


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


class _Order(msgspec.Struct, frozen=True):
    specversion: str
    id: str
    type: str


_ack = msgspec.json.Decoder(wire.Ack)
_order = msgspec.json.Decoder(_Order)
_presence = msgspec.json.Decoder(wire.Presence)


def topics(window: str) -> list[str]:
    """What a window asks the broker for; its own presence it asks for last, by itself."""
    county = window.split("-", 1)[0]
    return [
        wire.window_topic(window, "ack"),
        wire.window_topic(window, "order", "+"),
        wire.county_topic(county, "documents", "+"),
        wire.county_topic(county, "county", "presence"),
    ]


def read(window: str, ledger: str, last_seq: int, topic: str, payload: bytes) -> Letter:
    """What one message says; `last_seq` is the newest fact there is, and nothing past it can have been acknowledged."""
    county, last = window.split("-", 1)[0], topic.rsplit("/", 1)[-1]
    try:
        if topic == wire.window_topic(window, "ack"):
            return _read_ack(_ack.decode(payload), ledger, last_seq)
        if topic == wire.window_topic(window, "order", last):
            return _read_order(_order.decode(payload), last)
        if topic == wire.window_topic(window, "presence"):
            return OwnPresence(_presence.decode(payload))
        if topic == wire.county_topic(county, "county", "presence"):
            return CountyPresence(_presence.decode(payload))
    except (msgspec.DecodeError, UnicodeDecodeError) as problem:
        return Stray(_kind(topic), f"{topic}: {problem}")
    if topic == wire.county_topic(county, "documents", last):
        return Stray("document", f"{topic}: county documents are not applied by this version")
    return Stray("other", f"{topic}: nothing that a window asked for")


def _kind(topic: str) -> Kind:
    if topic.endswith("/ack"):
        return "ack"
    return "presence" if topic.endswith("/presence") else "order"


def _read_ack(ack: wire.Ack, ledger: str, last_seq: int) -> Letter:
    if ack.ledger != ledger:
        return Stray("foreign_ack", f"an acknowledgement for ledger {ack.ledger[:20]!r}; ours is {ledger}")
    if len(ack.seqs) > MAX_RANGES:
        return Stray("ack", f"an acknowledgement of {len(ack.seqs)} ranges")
    if any(not 1 <= low <= high <= last_seq for low, high in ack.seqs):
        return Stray("ack", f"an acknowledgement of sequences that are none: our newest is {last_seq}")
    return Acked(merged(ack.seqs))


def _read_order(order: _Order, name: str) -> Letter:
    if not 0 < len(order.id) <= MAX_ORDER_ID or order.type != f"window.order.{name}.v1":
        return Stray("order", f"an order whose id or type {order.type[:80]!r} does not fit its topic, …/{name[:80]}")
    return Ordered(order.id, name)


def merged(ranges: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Ranges of any order, overlapping or not, as few and ascending."""
    found: list[tuple[int, int]] = []
    for low, high in sorted(ranges):
        if found and low <= found[-1][1] + 1:
            found[-1] = (found[-1][0], max(found[-1][1], high))
        else:
            found.append((low, high))
    return found

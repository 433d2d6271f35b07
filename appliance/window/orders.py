"""Orders of the county: what is asked, and the answer.

The rules:
- an id is carried out once: the desk remembers the newest, and answers none of them a second time;
- `replay` asks for facts again; what there is of them becomes unsent once more, in one commit with the answer:
  `order.done`, or `order.refused` with `foreign_ledger`, or `missing` when some are there no more;
- an order or data that this version does not know is refused as `unknown`, so that the county stops repeating it.
"""

import msgspec

from appliance import wire
from appliance.window.desk import Desk, order_mark
from appliance.window.facts import Fact, OrderDone, OrderRefused
from appliance.window.happenings import OrderArrives

_replay = msgspec.json.Decoder(wire.Replay)


def asked_again(order: OrderArrives) -> wire.Replay | None:
    """What a `replay` asks for; None when it cannot be read, or is another order."""
    if order.name != "replay":
        return None
    try:
        replay = wire.read(order.data, _replay)
    except (msgspec.DecodeError, UnicodeDecodeError, wire.TooDeep):
        return None
    return replay if 0 <= replay.last - replay.first < wire.MAX_REPLAY else None


def answer(desk: Desk, order: OrderArrives) -> tuple[Fact, ...]:
    """The answer to an order; none when that id has one already."""
    if order_mark(order.order) in desk.orders:
        return ()
    replay = asked_again(order)
    if replay is None:
        return (OrderRefused(order=order.order, reason="unknown"),)
    if replay.ledger != desk.ledger:
        return (OrderRefused(order=order.order, reason="foreign_ledger"),)
    if order.present < replay.last - replay.first + 1:
        return (OrderRefused(order=order.order, reason="missing"),)
    return (OrderDone(order=order.order),)


def carries_out(order: OrderArrives, facts: tuple[Fact, ...]) -> tuple[int, int] | None:
    """The sequences that become unsent again with this answer; what there is of them also where some are missing."""
    replay = asked_again(order)
    sends = any(isinstance(fact, OrderDone) or _lacks(fact) for fact in facts)
    return (replay.first, replay.last) if replay and sends else None


def _lacks(fact: Fact) -> bool:
    return isinstance(fact, OrderRefused) and fact.reason == "missing"

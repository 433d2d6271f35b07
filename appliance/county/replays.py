"""The order `replay`: asks a window for facts again, and knows by its id what it asked for when it is answered."""

import re
from typing import Final

import msgspec

from appliance import wire
from appliance.county.monitor import moment
from appliance.county.reading import LAST_SEQ

_ID: Final = re.compile(r"replay-([0-9a-f]{8})-([0-9]{1,19})-([0-9]{1,19})-([0-9]{1,12})")


def replay(window: str, ledger: str, first: int, last: int, now_us: int) -> wire.Order:
    """The order for these sequences, both ends included."""
    asked = wire.Replay(ledger=ledger, first=first, last=last, by="county")
    return wire.Order(
        specversion="1.0",
        # The second makes it another order than one of before, which the window may have carried out for a book
        # that was lost since.
        id=f"replay-{ledger}-{first}-{last}-{now_us // 1_000_000}",
        source=f"/counties/{window.split('-')[0]}",
        type="window.order.replay.v1",
        time=moment(now_us),
        data=msgspec.Raw(wire.encode(asked)),
    )


def asked_by(order: str) -> tuple[str, int, int, int] | None:
    """Ledger, first and last sequence, and the second since 1970 at which it was given, of the order of this id.

    None when it is no `replay`.
    """
    found = _ID.fullmatch(order)
    if found is None:
        return None
    return found[1], min(int(found[2]), LAST_SEQ), min(int(found[3]), LAST_SEQ), int(found[4])

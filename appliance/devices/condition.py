"""How a device with a wire on it is, and what became of a job given to it: the words that devices report in."""

from typing import Literal

import msgspec

from appliance.guard import Reason as Reason  # said here by those who report how a device is


class Condition(msgspec.Struct, frozen=True):
    """A device is ok, bad, or nobody can tell; unknown is not ok, and does not forbid trying."""

    state: Literal["ok", "bad", "unknown"]
    reason: Reason = ""
    detail: str = ""


class Outcome(msgspec.Struct, frozen=True):
    """A paper was confirmed by the printer, was sent (at least in part) unconfirmed, or failed before any byte."""

    state: Literal["confirmed", "unconfirmed", "failed"]
    reason: Reason = ""
    detail: str = ""

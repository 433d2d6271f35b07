"""How a device with a wire on it is, and what became of a job given to it: the words that devices report in."""

from typing import Literal

import msgspec

Reason = Literal[
    "",
    "absent",  # the port or the device is not there
    "wrong_port",  # something else is there: a file, a console, whatever echoes
    "no_permission",
    "in_use",  # another program holds it
    "refused",  # the host says no to the port
    "unreachable",  # the host does not answer, or its name is unknown
    "no_answer",  # it may work, but says nothing
    "strange_answer",  # it says what no printer says
    "paper_out",
    "near_end",  # of the paper; still printing
    "cover_open",
    "offline",
    "error",
    "stalled",  # it stopped taking bytes
    "unplugged",  # it went away in the middle
    "unreadable",  # the document itself cannot be printed
    "no_library",  # the program that drives it is not installed
]


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


class PortTrouble(OSError):
    """A port cannot be opened or went away: `reason` is one of the words above, the text is the system's own."""

    def __init__(self, reason: Reason, detail: object) -> None:
        super().__init__(str(detail))
        self.reason: Reason = reason

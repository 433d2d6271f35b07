"""What can happen at a window, in the present tense; every happening carries the moment at which it does."""

from datetime import date, datetime
from typing import Literal

import msgspec

from appliance.window.facts import Grade, Handed
from appliance.window.moment import Moment


class Happening(msgspec.Struct, frozen=True, kw_only=True):
    """Something that happens at the window, with the moment at which it does."""

    at: Moment


class WindowStarts(Happening, frozen=True):
    """The program starts; the switch level follows as its own happening."""


class TimePasses(Happening, frozen=True):
    """Nothing but time: closes a prompt that has run out."""


class KeyPresses(Happening, frozen=True):
    """A rating key goes down (debounced); `beside` names the keys that went down within the 150 ms before."""

    grade: Grade
    beside: tuple[Grade, ...] = ()


class KeySticks(Happening, frozen=True):
    """A rating key has been down too long."""

    grade: Grade


class KeyFrees(Happening, frozen=True):
    """A stuck key is up again."""

    grade: Grade


class SwitchReads(Happening, frozen=True):
    """The level of the latching 暂时离开 switch, read at start and re-read ever after."""

    closed: bool


class AwayButtonPresses(Happening, frozen=True):
    """The momentary 暂时离开 button goes down: away becomes back, back becomes away."""


class ClerkArrives(Happening, frozen=True):
    """A clerk goes on duty at the panel."""

    number: str


class ClerkLeaves(Happening, frozen=True):
    """The clerk goes off duty at the panel."""


class ClerkStepsAway(Happening, frozen=True):
    """The clerk says at the panel that, why and until when the window is left; also fills in a reason afterwards."""

    reason: str = ""
    expected_back: datetime | None = None


class ClerkReturns(Happening, frozen=True):
    """The clerk says at the panel that the window is served again."""


class VisitBegins(Happening, frozen=True):
    """The clerk begins to serve a resident."""


class VisitEnds(Happening, frozen=True):
    """The clerk has finished with a resident: the pad opens."""


class MaterialsArrive(Happening, frozen=True):
    """The clerk takes in materials for one item; `form` is drawn once per form shown, so a double click counts once."""

    form: str
    item: str
    applicant: str
    materials: tuple[Handed, ...]
    pick_up: date | None = None


class PaperMoves(Happening, frozen=True):
    """The printer loop says how far a paper has come."""

    paper: str
    outcome: Literal["confirmed", "unconfirmed", "failed"]
    reason: str = ""


class DeviceFails(Happening, frozen=True):
    """A device does not work; `reason` is a code of the device's own (`absent`, `paper_out`, …)."""

    device: str
    reason: str
    detail: str = ""


class DeviceRecovers(Happening, frozen=True):
    """A device works again."""

    device: str


class ClockSyncs(Happening, frozen=True):
    """The wall clock became trustworthy."""


class ClerkStatesDay(Happening, frozen=True):
    """The clerk says which day it is, while the clock cannot be trusted; `confirmed` when asked whether that is so."""

    day: date
    confirmed: bool = False


class OrderArrives(Happening, frozen=True):
    """The county orders something; `order` is its CloudEvents id, `name` what it wants, `data` as it came.

    `present` is how many of the facts that a `replay` asks for are there: the counter looks.
    """

    order: str
    name: str
    data: bytes = b"null"
    present: int = 0

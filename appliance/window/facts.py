"""What can happen at a window (present tense), and what is worth remembering (past participles).

A fact's `type` stands in its topic and, as `window.<type>.v1`, in its envelope; its fields are the envelope's `data`.
"""

from datetime import date, datetime
from typing import ClassVar, Literal, get_args

import msgspec

from appliance.window.moment import Moment

Grade = Literal[1, 2, 3, 4, 5]
"""非常不满意 1 … 非常满意 5 (GB/T 39735-2020)."""


# ---- happenings -------------------------------------------------------------------------------------------------


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


class Handed(msgspec.Struct, frozen=True):
    """One material as handed in; `pages` None means ticked without a count."""

    name: str
    pages: int | None


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
    """The wall clock became trustworthy; `offset` is what must be added to this boot's earlier times, in seconds."""

    offset: float


class OrderArrives(Happening, frozen=True):
    """The county orders something; `order` is its CloudEvents id, `name` what it wants."""

    order: str
    name: str


# ---- facts ------------------------------------------------------------------------------------------------------


class Fact(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=False):
    """Something that happened and stays true."""

    type: ClassVar[str]
    """The type as it stands in the topic, `rating.given`."""

    @property
    def subject(self) -> str:
        """What the fact is about, `visit/20261122-0009`; the window itself when nothing narrower is."""
        return "window"


class _OfVisit(Fact, frozen=True, kw_only=True):
    visit: str

    @property
    def subject(self) -> str:
        return f"visit/{self.visit}"


class DutyBegan(Fact, frozen=True):
    """A clerk went on duty."""

    type: ClassVar[str] = "duty.began"

    clerk: str
    name: str


class DutyEnded(Fact, frozen=True):
    """A clerk went off duty."""

    type: ClassVar[str] = "duty.ended"

    clerk: str


class VisitBegan(_OfVisit, frozen=True):
    """A resident is being served."""

    type: ClassVar[str] = "visit.began"

    clerk: str


class VisitEnded(_OfVisit, frozen=True):
    """A resident was served and is asked for a rating; `seconds` is the time served, None when no clock can tell."""

    type: ClassVar[str] = "visit.ended"

    clerk: str
    seconds: float | None
    item: str | None = None


class RatingGiven(_OfVisit, frozen=True):
    """A resident rated the visit (好差评, one visit one rating)."""

    type: ClassVar[str] = "rating.given"

    grade: Grade
    channel: str = "pad"
    stage: str = "办结"
    item: str | None = None
    clerk: str | None = None


class RatingChanged(_OfVisit, frozen=True):
    """A rating was changed within its few seconds, or `two_keys` at once took it back (`grade` None)."""

    type: ClassVar[str] = "rating.changed"

    grade: Grade | None
    was: Grade | None
    why: Literal["changed", "two_keys"]
    channel: str = "pad"
    clerk: str | None = None


class RatingDeclined(_OfVisit, frozen=True):
    """A resident was asked and gave no rating; `why` tells whether the time ran out or the clerk went on."""

    type: ClassVar[str] = "rating.declined"

    why: Literal["timeout", "next_visit", "away"]
    clerk: str | None = None


class PressStray(Fact, frozen=True):
    """A key was pressed that nobody had asked for: no rating."""

    type: ClassVar[str] = "press.stray"

    key: Grade
    why: Literal["no_prompt", "away"]


class AwayBegan(Fact, frozen=True):
    """The window is 暂时离开; written again under the same `away` when the clerk fills in the reason."""

    type: ClassVar[str] = "away.began"

    away: str
    by: Literal["switch", "button", "panel"]
    reason: str
    expected_back: datetime | None
    clerk: str | None = None

    @property
    def subject(self) -> str:
        return f"away/{self.away}"


class AwayEnded(Fact, frozen=True):
    """The window is served again."""

    type: ClassVar[str] = "away.ended"

    away: str
    by: Literal["switch", "button", "panel"]
    seconds: float | None
    clerk: str | None = None

    @property
    def subject(self) -> str:
        return f"away/{self.away}"


class CaseReceived(Fact, frozen=True):
    """Materials were taken in for an item (收件); everything a 收件回执 must say, the applicant masked."""

    type: ClassVar[str] = "case.received"

    case: str
    item: str
    item_name: str
    catalogue: str
    applicant: str
    materials: tuple[Handed, ...]
    promised_days: int | None
    due: date | None
    due_is: Literal["at_once", "sure", "tentative", "entered"]
    clerk: str
    clerk_name: str
    paper: str
    form: str
    visit: str | None = None

    @property
    def subject(self) -> str:
        return f"case/{self.case}"


class _OfPaper(Fact, frozen=True, kw_only=True):
    paper: str
    case: str
    copy: int

    @property
    def subject(self) -> str:
        return f"paper/{self.paper}"


class PaperPrinted(_OfPaper, frozen=True):
    """The printer confirmed a paper; `copy` 0 is the first print, n the n-th 补打."""

    type: ClassVar[str] = "paper.printed"


class PaperUnconfirmed(_OfPaper, frozen=True):
    """A paper was sent, wholly or partly, and the printer did not confirm it."""

    type: ClassVar[str] = "paper.unconfirmed"

    reason: str


class PaperFailed(_OfPaper, frozen=True):
    """A paper failed before its first byte."""

    type: ClassVar[str] = "paper.failed"

    reason: str


class DeviceFailed(Fact, frozen=True):
    """A device stopped working."""

    type: ClassVar[str] = "device.failed"

    device: str
    reason: str
    detail: str = ""

    @property
    def subject(self) -> str:
        return f"device/{self.device}"


class DeviceRecovered(Fact, frozen=True):
    """A device works again."""

    type: ClassVar[str] = "device.recovered"

    device: str
    reason: str

    @property
    def subject(self) -> str:
        return f"device/{self.device}"


class ClockSynced(Fact, frozen=True):
    """The clock became trustworthy: `offset` seconds are to be added to the times of this boot before."""

    type: ClassVar[str] = "clock.synced"

    offset: float


class OrderRefused(Fact, frozen=True):
    """The window cannot carry out an order of the county."""

    type: ClassVar[str] = "order.refused"

    order: str
    reason: str

    @property
    def subject(self) -> str:
        return f"order/{self.order}"


AnyFact = (
    DutyBegan
    | DutyEnded
    | VisitBegan
    | VisitEnded
    | RatingGiven
    | RatingChanged
    | RatingDeclined
    | PressStray
    | AwayBegan
    | AwayEnded
    | CaseReceived
    | PaperPrinted
    | PaperUnconfirmed
    | PaperFailed
    | DeviceFailed
    | DeviceRecovered
    | ClockSynced
    | OrderRefused
)
"""Every fact of this version; wire.md names more types, which come with the parts they belong to."""

FACT_TYPES: dict[str, type[Fact]] = {kind.type: kind for kind in get_args(AnyFact)}
"""Fact type -> its struct: to read back what an envelope's `data` holds."""

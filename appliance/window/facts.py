"""What is worth remembering of a window, in past participles.

A fact's `type` stands in its topic and, as `window.<type>.v1`, in its envelope; its fields are the envelope's `data`.
"""

from typing import Annotated, ClassVar, Literal, get_args

import msgspec

from appliance.wire import Day, Detail, Name, Number, Offset, OrderId, Seconds, Time, Word

Grade = Literal[1, 2, 3, 4, 5]
"""非常不满意 1 … 非常满意 5 (GB/T 39735-2020)."""
Copies = Annotated[int, msgspec.Meta(ge=0, le=100_000)]


class Handed(msgspec.Struct, frozen=True):
    """One material as handed in; `pages` None means ticked without a count."""

    name: Name
    pages: Annotated[int, msgspec.Meta(ge=0, le=9999)] | None


class Fact(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=False, gc=False):
    """Something that happened and stays true."""

    type: ClassVar[str]
    """The type as it stands in the topic, `rating.given`."""

    @property
    def subject(self) -> str:
        """What the fact is about, `visit/20261122-0009`; the window itself when nothing narrower is."""
        return "window"


class _OfVisit(Fact, frozen=True, kw_only=True):
    visit: Number

    @property
    def subject(self) -> str:
        return f"visit/{self.visit}"


class DutyBegan(Fact, frozen=True):
    """A clerk went on duty."""

    type: ClassVar[str] = "duty.began"

    clerk: Number
    name: Name


class DutyEnded(Fact, frozen=True):
    """A clerk went off duty."""

    type: ClassVar[str] = "duty.ended"

    clerk: Number


class VisitBegan(_OfVisit, frozen=True):
    """A resident is being served."""

    type: ClassVar[str] = "visit.began"

    clerk: Number


class VisitEnded(_OfVisit, frozen=True):
    """A resident was served and is asked for a rating; `seconds` is the time served, None when no clock can tell."""

    type: ClassVar[str] = "visit.ended"

    clerk: Number
    seconds: Seconds | None
    item: Number | None = None


class RatingGiven(_OfVisit, frozen=True):
    """A resident rated the visit (好差评, one visit one rating)."""

    type: ClassVar[str] = "rating.given"

    grade: Grade
    channel: Number = "pad"
    stage: Number = "办结"
    item: Number | None = None
    clerk: Number | None = None


class RatingChanged(_OfVisit, frozen=True):
    """A rating was changed within its few seconds, or `two_keys` at once took it back (`grade` None)."""

    type: ClassVar[str] = "rating.changed"

    grade: Grade | None
    was: Grade | None
    why: Literal["changed", "two_keys"]
    channel: Number = "pad"
    clerk: Number | None = None


class RatingDeclined(_OfVisit, frozen=True):
    """A resident was asked and gave no rating; `why` tells whether the time ran out or the clerk went on."""

    type: ClassVar[str] = "rating.declined"

    why: Literal["timeout", "next_visit", "away"]
    clerk: Number | None = None


class PressStray(Fact, frozen=True):
    """A key was pressed that nobody had asked for: no rating."""

    type: ClassVar[str] = "press.stray"

    key: Grade
    why: Literal["no_prompt", "away"]


class AwayBegan(Fact, frozen=True):
    """The window is 暂时离开; written again under the same `away` when the clerk fills in the reason."""

    type: ClassVar[str] = "away.began"

    away: Number
    by: Literal["switch", "button", "panel"]
    reason: Word
    expected_back: Time | None
    clerk: Number | None = None

    @property
    def subject(self) -> str:
        return f"away/{self.away}"


class AwayEnded(Fact, frozen=True):
    """The window is served again."""

    type: ClassVar[str] = "away.ended"

    away: Number
    by: Literal["switch", "button", "panel"]
    seconds: Seconds | None
    clerk: Number | None = None

    @property
    def subject(self) -> str:
        return f"away/{self.away}"


class CaseReceived(Fact, frozen=True):
    """Materials were taken in for an item (收件); everything a 收件回执 must say, the applicant masked."""

    type: ClassVar[str] = "case.received"

    case: Number
    item: Number
    item_name: Name
    catalogue: Number
    applicant: Name
    received: Time
    materials: Annotated[tuple[Handed, ...], msgspec.Meta(max_length=100)]
    promised_days: Annotated[int, msgspec.Meta(ge=0, le=3650)] | None
    due: Day | None
    due_is: Literal["at_once", "sure", "tentative", "entered"]
    clerk: Number
    clerk_name: Name
    paper: Number
    form: Number
    visit: Number | None = None
    dated: Literal["clock", "clerk"] = "clock"
    """Who says the day of `received`: with `clerk` no clock could be trusted, and the time of day means nothing."""

    @property
    def subject(self) -> str:
        return f"case/{self.case}"


class _OfPaper(Fact, frozen=True, kw_only=True):
    paper: Number
    case: Number
    copy: Copies

    @property
    def subject(self) -> str:
        return f"paper/{self.paper}"


class PaperPrinted(_OfPaper, frozen=True):
    """The printer confirmed a paper; `copy` 0 is the first print, n the n-th 补打."""

    type: ClassVar[str] = "paper.printed"


class PaperUnconfirmed(_OfPaper, frozen=True):
    """A paper was sent, wholly or partly, and the printer did not confirm it."""

    type: ClassVar[str] = "paper.unconfirmed"

    reason: Word


class PaperFailed(_OfPaper, frozen=True):
    """A paper failed before its first byte."""

    type: ClassVar[str] = "paper.failed"

    reason: Word


class DeviceFailed(Fact, frozen=True):
    """A device stopped working."""

    type: ClassVar[str] = "device.failed"

    device: Number
    reason: Word
    detail: Detail = ""

    @property
    def subject(self) -> str:
        return f"device/{self.device}"


class DeviceRecovered(Fact, frozen=True):
    """A device works again."""

    type: ClassVar[str] = "device.recovered"

    device: Number
    reason: Word

    @property
    def subject(self) -> str:
        return f"device/{self.device}"


class ClockSynced(Fact, frozen=True):
    """The clock became trustworthy: `offset` seconds are to be added to the times of this boot before."""

    type: ClassVar[str] = "clock.synced"

    offset: Offset


class ClockStated(Fact, frozen=True):
    """The clerk said which day it is, because the clock cannot be trusted yet."""

    type: ClassVar[str] = "clock.stated"

    day: Day
    clerk: Number


class _OfOrder(Fact, frozen=True, kw_only=True):
    order: OrderId

    @property
    def subject(self) -> str:
        return f"order/{self.order}"


class OrderDone(_OfOrder, frozen=True):
    """The window has carried out an order of the county."""

    type: ClassVar[str] = "order.done"


class OrderRefused(_OfOrder, frozen=True):
    """The window cannot carry out an order of the county."""

    type: ClassVar[str] = "order.refused"

    reason: Word


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
    | ClockStated
    | OrderDone
    | OrderRefused
)
"""Every fact of this version; wire.md names more types, which come with the parts they belong to."""

FACT_TYPES: dict[str, type[Fact]] = {kind.type: kind for kind in get_args(AnyFact)}
"""Fact type -> its struct: to read back what an envelope's `data` holds."""

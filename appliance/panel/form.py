"""Forms as they come from a browser: what was typed, kept as it was, and what it means for the window."""

import math
import secrets
from collections.abc import Mapping
from datetime import date, datetime, timedelta

import msgspec

from appliance.window.cases import material_field
from appliance.window.catalogue import Item
from appliance.window.facts import Handed
from appliance.window.happenings import ClerkStatesDay, ClerkStepsAway, MaterialsArrive
from appliance.window.moment import CHINA, Moment

NO_NUMBER = 0
"""Stands for pages that are no number, and is refused like every other number that no count of pages can be."""

Faults = dict[str, str]


def new_form() -> str:
    """The number of one shown form: sent twice, it counts once."""
    return secrets.token_hex(8)


class Ticked(msgspec.Struct, frozen=True):
    """One row of the materials: the name that stood there, whether it was ticked, what was typed for the pages."""

    name: str
    ticked: bool = False
    pages: str = ""

    @property
    def doubtful(self) -> bool:
        """Pages without a tick: handed in or taken back, only the clerk knows."""
        return bool(self.pages) and not self.ticked


class ReceiptForm(msgspec.Struct, frozen=True, kw_only=True):
    """A receipt as typed; every text cut to a length that no honest hand exceeds."""

    form: str
    applicant: str = ""
    rows: tuple[Ticked, ...] = ()
    year: str = ""
    month: str = ""
    day: str = ""

    @classmethod
    def empty(cls, item: Item) -> "ReceiptForm":
        """A form nobody has typed in."""
        return cls(form=new_form(), rows=tuple(Ticked(material.name) for material in item.materials))

    @classmethod
    def read(cls, item: Item, fields: Mapping[str, str]) -> "ReceiptForm":
        """The form as it was sent."""

        def typed(name: str, length: int) -> str:
            return fields.get(name, "").strip()[:length]

        rows = tuple(
            Ticked(
                name=fields.get(f"name{number}", material.name)[:200],
                ticked=f"tick{number}" in fields,
                pages=typed(f"pages{number}", 8),
            )
            for number, material in enumerate(item.materials)
        )
        return cls(
            form=typed("form", 80),
            applicant=fields.get("applicant", "")[:80],
            rows=rows,
            year=typed("year", 4),
            month=typed("month", 2),
            day=typed("day", 2),
        )

    def happening(self, item: Item, at: Moment) -> MaterialsArrive:
        """What the form means for the window."""
        return MaterialsArrive(
            at=at,
            form=self.form,
            item=item.key,
            applicant=self.applicant,
            materials=tuple(Handed(row.name, _number(row.pages)) for row in self.rows if row.ticked),
            pick_up=self.pick_up,
        )

    @property
    def pick_up(self) -> date | None:
        """The day that was chosen; None when it is not whole, or when the calendar has no such day."""
        try:
            return date(int(self.year), int(self.month), int(self.day))
        except ValueError:
            return None

    @property
    def doubts(self) -> Faults:
        """The materials of which the form does not say whether they were handed in: never printed as received."""
        return {material_field(row.name): "not_ticked" for row in self.rows if row.doubtful}

    def sharpen(self, faults: Faults) -> Faults:
        """Tell a day that the calendar does not have from one that was not chosen."""
        faults = faults | self.doubts
        if faults.get("pick_up") == "missing" and self.year and self.month and self.day:
            return faults | {"pick_up": "no_such_day"}
        return faults


def _number(text: str) -> int | None:
    if not text:
        return None
    return int(text) if text.isdecimal() else NO_NUMBER


class DayForm(msgspec.Struct, frozen=True, kw_only=True):
    """Today's date as the clerk chose it; `confirmed` when the clerk insists on a day before one already seen."""

    year: str = ""
    month: str = ""
    day: str = ""
    confirmed: bool = False

    @classmethod
    def read(cls, fields: Mapping[str, str]) -> "DayForm":
        """The form as it was sent."""
        names = ("today_year", "today_month", "today_day")
        year, month, day = (fields.get(name, "").strip()[:4] for name in names)
        return cls(year=year, month=month, day=day, confirmed="confirmed" in fields)

    @property
    def touched(self) -> bool:
        """Whether anything of it was chosen."""
        return bool(self.year or self.month or self.day)

    def faults(self) -> Faults:
        """What is wrong with it before the window is asked."""
        if not (self.year and self.month and self.day):
            return {"day": "missing"}
        return {"day": "no_such_day"} if self._chosen is None else {}

    def happening(self, at: Moment) -> ClerkStatesDay:
        """What a form without faults means for the window."""
        assert self._chosen is not None
        return ClerkStatesDay(at=at, day=self._chosen, confirmed=self.confirmed)

    @property
    def _chosen(self) -> date | None:
        try:
            return date(int(self.year), int(self.month), int(self.day))
        except ValueError:
            return None


class AwayForm(msgspec.Struct, frozen=True):
    """A 暂时离开 as typed: `back` is minutes, `unknown`, or `at` with an hour and a minute."""

    reason: str = ""
    back: str = "unknown"
    hour: str = ""
    minute: str = ""

    @classmethod
    def read(cls, fields: Mapping[str, str]) -> "AwayForm":
        """The form as it was sent."""
        return cls(*(fields.get(name, "").strip()[:10] for name in ("reason", "back", "hour", "minute")))

    def faults(self, reasons: tuple[str, ...], minutes: Mapping[str, str], now: datetime) -> Faults:
        """What is wrong with it, a code beside each field."""
        faults: Faults = {}
        if self.reason not in reasons:
            faults["reason"] = "missing"
        if self.back not in {*minutes, "unknown", "at"}:
            faults["back"] = "missing"
        elif self.back == "at" and self._chosen(now) is None:
            faults["back"] = "time"
        elif (back := self.expected_back(now)) is not None and back <= now:
            faults["back"] = "past"
        return faults

    def expected_back(self, now: datetime) -> datetime | None:
        """The time of return, in whole minutes of China; None when it is not known."""
        if self.back == "unknown":
            return None
        if self.back == "at":
            return self._chosen(now)
        seconds = math.ceil(now.timestamp() / 60) * 60
        return datetime.fromtimestamp(seconds, CHINA) + timedelta(minutes=int(self.back))

    def happening(self, at: Moment) -> ClerkStepsAway:
        """What a form without faults means for the window."""
        return ClerkStepsAway(at=at, reason=self.reason, expected_back=self.expected_back(at.at))

    def _chosen(self, now: datetime) -> datetime | None:
        try:
            hour, minute = int(self.hour), int(self.minute)
            return now.astimezone(CHINA).replace(hour=hour, minute=minute, second=0, microsecond=0)
        except ValueError:
            return None

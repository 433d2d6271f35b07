"""Counts working days of the Chinese calendar, and says when a year has no table to count by.

    day of receipt not counted (民法典 201) · last day no working day: the next one (203)
    working day = Mon-Fri, less the days off of the table, plus its make-up days
    year without a table: only what the law itself fixes is known, so the day found is tentative (暂定)

The State Council publishes a year's table in the November before; a box that missed an update must not promise.
"""

from collections.abc import Iterable
from datetime import date, timedelta

import msgspec

LONGEST_PROMISE = 250
"""No promise counts more working days than this, about a year: a larger number in a document is a slip of the pen."""

# 除夕 of years that may come without a table: astronomy fixes them, and 全国年节及纪念日放假办法 gives 除夕 to 初三.
_EVES = (
    date(2027, 2, 5),
    date(2028, 1, 25),
    date(2029, 2, 12),
    date(2030, 2, 2),
    date(2031, 1, 22),
    date(2032, 2, 10),
    date(2033, 1, 30),
    date(2034, 2, 18),
    date(2035, 2, 7),
)
_BY_LUNAR_LAW = frozenset(eve + timedelta(days=n) for eve in _EVES for n in range(4))
_BY_SOLAR_LAW = frozenset({(1, 1), (5, 1), (5, 2), (10, 1), (10, 2), (10, 3)})
_MARKS_OF_A_WHOLE_YEAR = ((1, 1), (5, 1), (10, 1))


class CalendarWrong(Exception):
    """A county calendar that cannot be used; the message names the place."""


class Due(msgspec.Struct, frozen=True):
    """The last day of a promise; not `sure` means 暂定: to be worked out anew when the table is there."""

    day: date
    sure: bool


class Calendar(msgspec.Struct, frozen=True):
    """The years that have a table, their week days off and their week ends at work."""

    years: frozenset[int]
    off: frozenset[date]
    work: frozenset[date]

    def knows(self, day: date) -> bool:
        """Whether the table of that day's year is there."""
        return day.year in self.years

    def works(self, day: date) -> bool:
        """Whether that is a working day, as far as it can be told."""
        if day in self.work:
            return True
        if day.weekday() > 4 or day in self.off:
            return False
        return self.knows(day) or not ((day.month, day.day) in _BY_SOLAR_LAW or day in _BY_LUNAR_LAW)

    def with_years(self, other: "Calendar") -> "Calendar":
        """This calendar with the years of `other` in place of its own: the county's word is the newer one."""

        def kept(days: frozenset[date], theirs: frozenset[date]) -> frozenset[date]:
            return frozenset(day for day in days if day.year not in other.years) | theirs

        return Calendar(self.years | other.years, kept(self.off, other.off), kept(self.work, other.work))


def due(received: date, days: int, calendar: Calendar) -> Due:
    """Find the last day of a promise of `days` working days (1 to 250) given on the day `received`."""
    if not 1 <= days <= LONGEST_PROMISE:
        raise ValueError(f"a promise of {days} working days cannot be counted")
    day, left, sure = received, days, calendar.knows(received)
    while left:
        day += timedelta(days=1)
        sure = sure and calendar.knows(day)
        left -= calendar.works(day)
    return Due(day, sure)


def published() -> Calendar:
    """Build the calendar from the tables of the package `chinesecalendar`.

    A notice may move days of the year next to its own, so one date of a year in the package is no table: a year counts
    only when its own New Year's Day, Labour Day and National Day are in it.
    """
    from chinese_calendar.constants import holidays, workdays

    years = _whole_years(holidays)
    return Calendar(
        years,
        frozenset(day for day in holidays if day.year in years and day.weekday() <= 4),
        frozenset(day for day in workdays if day.year in years),
    )


def _whole_years(holidays: Iterable[date]) -> frozenset[int]:
    days = frozenset(holidays)
    return frozenset(
        year
        for year in {day.year for day in days}
        if all(date(year, month, day) in days for month, day in _MARKS_OF_A_WHOLE_YEAR)
    )


class _Year(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    weekday_off: tuple[date, ...]
    weekend_work: tuple[date, ...] = ()


class _Body(msgspec.Struct, frozen=True):
    years: dict[str, _Year]


def read_calendar(body: bytes) -> Calendar:
    """Read the body of the county document `calendar`.

    `{"years": {"2027": {"weekday_off": ["2027-01-01", …], "weekend_work": ["2027-02-20", …]}}}`
    Raises CalendarWrong with one sentence when it cannot be used.
    """
    try:
        tables = msgspec.json.decode(body, type=_Body).years
    except msgspec.DecodeError as error:
        raise CalendarWrong(f"calendar: {error}") from None
    for name, table in tables.items():
        _check_year(name, table)
    return Calendar(
        frozenset(int(name) for name in tables),
        frozenset(day for table in tables.values() for day in table.weekday_off),
        frozenset(day for table in tables.values() for day in table.weekend_work),
    )


def _check_year(name: str, table: _Year) -> None:
    if not (name.isascii() and name.isdigit() and len(name) == 4 and name != "0000"):
        raise CalendarWrong(f"calendar: years: {name!r} is not a year of four digits")
    for day in (*table.weekday_off, *table.weekend_work):
        if day.year != int(name):
            raise CalendarWrong(f"calendar: years.{name}: {day} is not in {name}")
    for day in table.weekday_off:
        if day.weekday() > 4:
            raise CalendarWrong(f"calendar: years.{name}.weekday_off: {day} is a week end anyway")
    for day in table.weekend_work:
        if day.weekday() <= 4:
            raise CalendarWrong(f"calendar: years.{name}.weekend_work: {day} is a week day anyway")
    for month, number in sorted(_BY_SOLAR_LAW):
        day = date(int(name), month, number)
        if day.weekday() <= 4 and day not in table.weekday_off:
            raise CalendarWrong(f"calendar: years.{name}.weekday_off: {day} is missing, a holiday by law")

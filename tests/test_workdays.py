"""Working days: the county's vectors, the years with a table, and what is said about years without one."""

import json
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.window.workdays import Calendar, CalendarWrong, Due, due, published, read_calendar

CALENDAR = published()

VECTORS = [
    ("2026-09-18", 5, "2026-09-24"),
    ("2026-09-30", 3, "2026-10-10"),
    ("2026-02-14", 1, "2026-02-24"),
    ("2026-04-03", 1, "2026-04-07"),
    ("2026-05-08", 1, "2026-05-09"),
    ("2026-01-03", 1, "2026-01-04"),
    ("2026-09-10", 20, "2026-10-14"),
    ("2026-11-20", 20, "2026-12-18"),
    ("2025-09-26", 5, "2025-10-10"),
]

OFF_2026 = [
    *("2026-01-01", "2026-01-02", "2026-02-16", "2026-02-17", "2026-02-18", "2026-02-19", "2026-02-20", "2026-02-23"),
    *("2026-04-06", "2026-05-01", "2026-05-04", "2026-05-05", "2026-06-19", "2026-09-25"),
    *("2026-10-01", "2026-10-02", "2026-10-05", "2026-10-06", "2026-10-07"),
]
WORK_2026 = ["2026-01-04", "2026-02-14", "2026-02-28", "2026-05-09", "2026-09-20", "2026-10-10"]

# As a county might send it; 2027-02-20 and 2027-10-09 are Saturdays at work.
TABLE_2027 = {
    "weekday_off": [
        *("2027-01-01", "2027-02-05", "2027-02-08", "2027-02-09", "2027-02-10", "2027-02-11", "2027-02-12"),
        *("2027-04-05", "2027-05-03", "2027-05-04", "2027-06-09", "2027-09-15"),
        *("2027-10-01", "2027-10-04", "2027-10-05", "2027-10-06", "2027-10-07"),
    ],
    "weekend_work": ["2027-02-20", "2027-10-09"],
}


def of_county(**years: object) -> Calendar:
    tables = {name.removeprefix("y"): table for name, table in years.items()}
    return read_calendar(json.dumps({"years": tables}).encode())


UP_TO_2026 = of_county(y2026={"weekday_off": OFF_2026, "weekend_work": WORK_2026})


def days_between(first: date, last: date) -> list[date]:
    return [first + timedelta(days=n) for n in range((last - first).days + 1)]


@pytest.mark.parametrize(("accepted", "days", "last"), VECTORS)
def test_the_vectors_of_the_county_come_out(accepted: str, days: int, last: str) -> None:
    assert due(date.fromisoformat(accepted), days, CALENDAR) == Due(date.fromisoformat(last), True)


def test_2026_is_as_the_state_council_gave_it() -> None:
    every = days_between(date(2026, 1, 1), date(2026, 12, 31))
    assert [str(day) for day in every if day.weekday() <= 4 and not CALENDAR.works(day)] == OFF_2026
    assert [str(day) for day in every if day.weekday() > 4 and CALENDAR.works(day)] == WORK_2026


def test_a_year_counts_as_known_only_with_its_own_table() -> None:
    assert {2025, 2026} <= CALENDAR.years
    last = max(CALENDAR.years)
    assert CALENDAR.knows(date(last, 12, 31))
    assert not CALENDAR.knows(date(last + 1, 1, 1))


def test_the_last_day_with_a_table_is_sure_and_the_next_is_not() -> None:
    assert due(date(2026, 11, 19), 30, UP_TO_2026) == Due(date(2026, 12, 31), True)
    assert due(date(2026, 11, 20), 30, UP_TO_2026) == Due(date(2027, 1, 4), False)


def test_without_a_table_the_days_of_the_law_are_still_left_out() -> None:
    friday_before_may = due(date(2028, 4, 28), 1, UP_TO_2026)
    assert friday_before_may == Due(date(2028, 5, 3), False)
    before_spring_festival = due(date(2027, 2, 4), 1, UP_TO_2026)
    assert before_spring_festival == Due(date(2027, 2, 9), False)


def test_a_table_of_the_county_makes_the_same_promise_sure() -> None:
    before = due(date(2026, 12, 30), 30, UP_TO_2026)
    after = due(date(2026, 12, 30), 30, UP_TO_2026.with_years(of_county(y2027=TABLE_2027)))
    assert not before.sure
    assert after == Due(date(2027, 2, 19), True)


def test_the_county_replaces_a_whole_year() -> None:
    moved = {"weekday_off": [*OFF_2026, "2026-11-23"], "weekend_work": ["2026-11-28"]}
    calendar = CALENDAR.with_years(of_county(y2026=moved))
    assert not calendar.works(date(2026, 11, 23))
    assert calendar.works(date(2026, 11, 28))
    assert not calendar.works(date(2026, 1, 4)), "the make-up day of the table before must be gone"
    assert calendar.works(date(2025, 1, 26)), "another year's must stay"


@pytest.mark.parametrize("day", [date(1970, 1, 1), date(2003, 12, 30)])
def test_a_day_before_the_first_table_is_tentative_too(day: date) -> None:
    assert not due(day, 5, CALENDAR).sure


@pytest.mark.parametrize("days", [0, -1, 251, 10**9])
def test_a_promise_that_is_none_is_not_counted(days: int) -> None:
    with pytest.raises(ValueError, match="cannot be counted"):
        due(date(2026, 11, 20), days, CALENDAR)


@pytest.mark.parametrize(
    ("years", "says"),
    [
        (b"[]", "calendar: Expected `object`"),
        (b"\xff", "calendar"),
        (b'{"years": {"2027": {"weekend_work": []}}}', "weekday_off"),
        (b'{"years": {"2027": {"weekday_off": ["soon"]}}}', "date"),
        (b'{"years": {"27": {"weekday_off": []}}}', "four digits"),
        (b'{"years": {"0000": {"weekday_off": []}}}', "four digits"),
        (b'{"years": {"2027": {"weekday_off": ["2026-10-01"]}}}', "2026-10-01 is not in 2027"),
        (b'{"years": {"2027": {"weekday_off": ["2027-01-02"]}}}', "2027-01-02 is a week end"),
        (b'{"years": {"2027": {"weekday_off": [], "weekend_work": ["2027-01-04"]}}}', "2027-01-04 is a week day"),
        (b'{"years": {"2027": {"weekday_off": []}}}', "2027-01-01 is missing"),
    ],
)
def test_a_calendar_that_cannot_be_used_is_one_sentence(years: bytes, says: str) -> None:
    with pytest.raises(CalendarWrong, match=says) as wrong:
        read_calendar(years)
    assert "\n" not in str(wrong.value)


@given(st.dates(date(2004, 1, 2), date(2026, 12, 1)), st.integers(1, 30))
def test_the_last_day_is_a_working_day_with_so_many_before_it(received: date, days: int) -> None:
    last = due(received, days, CALENDAR)
    passed = [day for day in days_between(received + timedelta(days=1), last.day) if CALENDAR.works(day)]
    assert len(passed) == days
    assert passed[-1] == last.day
    assert last.sure == (last.day.year <= max(CALENDAR.years))


@given(st.dates(date(2005, 1, 2), date(2026, 11, 1)), st.integers(1, 29))
def test_the_library_itself_agrees_on_every_day(received: date, days: int) -> None:
    from chinese_calendar import is_workday

    last = due(received, days, CALENDAR).day
    if last.year in CALENDAR.years:
        every = days_between(received + timedelta(days=1), last)
        assert sum(is_workday(day) for day in every) == days
        assert is_workday(last)


@given(st.dates(date(2024, 1, 1), date(2036, 12, 31)), st.integers(1, 200))
def test_more_days_never_end_sooner(received: date, days: int) -> None:
    assert due(received, days, CALENDAR).day < due(received, days + 1, CALENDAR).day


@given(st.dates(date(2027, 1, 1), date(2040, 12, 1)), st.integers(1, 250))
def test_a_year_without_a_table_is_never_sure(received: date, days: int) -> None:
    assert not due(received, days, UP_TO_2026).sure

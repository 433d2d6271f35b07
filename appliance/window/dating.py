"""Which day it is: what the clock says once it can be trusted, until then what the clerk says.

    trusted clock                           its day
    the clerk's word, same boot             that day, for HOLDS_S of uptime; every day counted from it is tentative
    neither                                 unknown: no paper is written, the clerk is asked

The clerk says a day and not a time, so the word never reaches into the next working day. Refused:

    day             missing · no_such_day · too_far
                    before_known, far_ahead: of the last day that was known here, unless the clerk confirms it
"""

from datetime import date, timedelta

import msgspec

from appliance.window.moment import CHINA, Moment, elapsed

HOLDS_S = 12 * 3600.0
YEARS = range(2026, 2041)
"""No window of ours stood anywhere before; those that are older by then have another program."""
LONG_OFF = timedelta(days=62)
"""A window that was off for longer is rare; a wrong month or year is not."""


class Stated(msgspec.Struct, frozen=True):
    """The day that the clerk said it was, at that moment."""

    day: date
    at: Moment


class Today(msgspec.Struct, frozen=True):
    """The day, and whether a trusted clock says it."""

    day: date
    sure: bool


def today(stated: Stated | None, now: Moment) -> Today | None:
    """Which day it is; None while nobody has said it."""
    if now.synced:
        return Today(day_of(now), sure=True)
    if stated is None or stated.at.boot != now.boot or elapsed(stated.at, now) > HOLDS_S:
        return None
    return Today(stated.day, sure=False)


def day_of(at: Moment) -> date:
    """The day in China at that moment, as the clock has it."""
    return at.at.astimezone(CHINA).date()


def fault(day: date, known: date | None, confirmed: bool) -> str:
    """The code of what is wrong with a stated day, empty when it may be; `known` is the last day that was known."""
    if day.year not in YEARS:
        return "too_far"
    # What was known may have been wrong itself: then the clerk, who insists, is right.
    if known is None or confirmed:
        return ""
    if day < known:
        return "before_known"
    return "far_ahead" if day - known > LONG_OFF else ""

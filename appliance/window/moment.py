"""When something happened, said so that a wrong clock can be put right later."""

from datetime import datetime, timedelta, timezone

import msgspec

# China keeps one time zone and no summer time, so a fixed offset needs no tz database on the card.
CHINA = timezone(timedelta(hours=8), "CST")


class Moment(msgspec.Struct, frozen=True):
    """One instant: wall time with offset, and seconds `up` since the start `boot` of this machine.

    A Pi has no clock of its own: within one boot only `up` is to be trusted for durations; `synced` says
    whether the wall time was set from a trusted source.
    """

    at: datetime
    boot: str
    up: float
    synced: bool

    @property
    def day(self) -> str:
        """The local calendar day as eight digits, `20261122`: the form that visit and paper numbers carry."""
        # Not strftime, which takes a hundred times as long and is asked for at every press.
        return f"{self.at.year:04d}{self.at.month:02d}{self.at.day:02d}"


def elapsed(since: Moment, now: Moment) -> float:
    """Seconds from `since` to `now`; infinite when the wall clock ran backwards over a restart.

    Within one boot the clock may jump as it likes. Over a restart there is only the wall clock, and one that ran
    backwards says nothing: then the time counts as run out, because a wait that may never end is worse.
    """
    if since.boot == now.boot:
        return now.up - since.up
    seconds = (now.at - since.at).total_seconds()
    return seconds if seconds >= 0 else float("inf")

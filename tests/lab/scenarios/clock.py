"""A Pi without a network at power-on: its clock is wrong, and later put right by a time service."""

import time
from datetime import datetime, timedelta, timezone

from tests.lab.bench import NO_SCREENS, Lab
from tests.lab.county import County, must_connect
from tests.lab.machine import Start
from tests.lab.scenarios.counter import must, rated
from tests.lab.scenarios.paper import printed

CHINA = timezone(timedelta(hours=8))
WRONG = "2025-03-01T08:00:00"


def clock(lab: Lab) -> str:
    """A wrong clock at boot: the clerk is asked for the day; put right, the county dates all of that boot anew."""
    machine = lab.on("clock", Start(words=(NO_SCREENS,)))
    county = County(lab.place / "county-clock", machine)
    try:
        county.takes(machine)
        machine.shut()
        machine.boot(Start(words=(NO_SCREENS,), clock=WRONG), lab.hands)
        machine.hands("serving")
        printer = lab.printer(machine)
        machine.hands("arrive")
        before = machine.hands("last")
        visit = machine.hands("prompt")
        must(machine.hands("press", grade=3) is not None, "the lamps stayed lit")
        must(machine.hands("day_is_asked"), "no clock can be trusted, and nobody asks which day it is")
        today = datetime.now(CHINA)
        machine.hands("say_day", at=time.time())
        # An item with a promise: its day is what is tentative.
        text, _ = printed(machine, printer, "mtb")
        must(
            f"{today.year}年{today.month}月{today.day}日" in text.replace(" ", ""),
            f"the day that was said is not on the paper:\n{text}",
        )
        must("暂定" in text, f"days counted from the clerk's word are printed as sure:\n{text}")
        must_connect(machine, 120)
        must(not _dated(county, before, today), "the county trusts a clock that nobody keeps")
        began = time.monotonic()
        machine.hands("time_service", now=time.time())
        must(
            machine.hands("waits_for", kind="clock.synced", number=before, within=90),
            "the clock is right, and nobody says so",
        )
        deadline = time.monotonic() + 90
        while not _dated(county, before, today) and time.monotonic() < deadline:
            time.sleep(0.2)
        took = time.monotonic() - began
        must(_dated(county, before, today), f"not dated anew: {_dates(county, before)}")
        must(rated(machine, before) == [(visit, 3)], f"kept {rated(machine, before)}")
        count = len(_dates(county, before))
        return f"{count} facts of a boot in March 2025 dated today at the county, {took:.0f} s after the time came"
    finally:
        county.close()
        machine.cut()


def _dates(county: County, after: int) -> list[tuple[int, str, bool]]:
    rows = county.book("select at_us,day,synced from facts where seq>? and type<>'clock.synced' order by seq", after)
    return [(int(at), str(day), bool(synced)) for at, day, synced in rows]


def _dated(county: County, after: int, today: datetime) -> bool:
    """Whether every fact since then is dated within the last quarter of an hour."""
    dates = _dates(county, after)
    return bool(dates) and all(abs(at / 1e6 - today.timestamp()) < 900 for at, _, _ in dates)

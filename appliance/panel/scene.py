"""The scene: everything that the window's pages show at one moment, taken from the counter and the link.

Two equal scenes look the same, so nothing is drawn while nothing changes. A scene holds no grade: the view has none.
"""

from datetime import date, datetime
from typing import Literal, Protocol

import msgspec

from appliance.counter import Counter
from appliance.ledger import Paper
from appliance.window.dating import Today
from appliance.window.moment import CHINA, Moment
from appliance.window.view import Away, Clerk, State, Trouble, View

PAPERS_SHOWN = 20
JITTER_S = 1.0
"""A countdown that moved by less than this did not move: it is worked out from two clock readings."""


Linked = Literal["up", "doubted", "no_county", "down"]


class Station(msgspec.Struct, frozen=True, kw_only=True):
    """What the pages say about the place: `name` in the official form (R164), `window` as on the counter."""

    name: str
    window: str
    telephone: str
    complaints: str


class Link(Protocol):
    """How the window stands with the county; `county` None while not known, `since` when `connected` last changed.

    `depth` is the number of facts that the county does not have, `doubt` says who owes an answer for some seconds.
    """

    @property
    def connected(self) -> bool: ...

    @property
    def county(self) -> bool | None: ...

    @property
    def since(self) -> datetime: ...

    @property
    def depth(self) -> int: ...

    @property
    def doubt(self) -> Literal["", "broker", "county"]: ...


class Scene(msgspec.Struct, frozen=True, kw_only=True):
    """What is shown; `since_up` and `until` are seconds since the machine started, None where nothing is counted."""

    today: date
    """The clock's own day: what a time shown on a page is of today or not."""
    day: Today | None
    state: State
    clerk: Clerk | None
    away: Away | None
    switch_holds: bool
    serving: bool
    asks: Literal["press", "thanks", "two_keys"] | None
    until: float | None
    since: datetime | None
    since_up: float | None
    served_today: int
    troubles: tuple[Trouble, ...]
    kept: bool
    linked: Linked
    linked_since: datetime
    unsent: int
    papers: tuple[Paper, ...]

    @property
    def clock_set(self) -> bool:
        """Whether the clock is to be trusted; the hours of one that is not are shown to nobody."""
        return self.day is not None and self.day.sure

    def paper(self, number: str) -> Paper | None:
        """One of the latest papers."""
        return next((paper for paper in self.papers if paper.paper == number), None)


class Stage:
    """Makes scenes, and keeps a countdown where it was as long as it is the same one."""

    def __init__(self, counter: Counter) -> None:
        self._counter = counter
        self._until: tuple[str, float] = ("", 0.0)

    def scene(self, link: Link) -> Scene:
        """The window as its pages show it now."""
        view, now = self._counter.view(), self._counter.moment()
        since = view.since if view.state in {"idle", "serving", "rating", "away"} else None
        return Scene(
            today=now.at.date(),
            day=view.today,
            state=view.state,
            clerk=view.clerk,
            away=view.away,
            switch_holds=view.switch_holds,
            serving=view.visit is not None,
            asks=view.asking.asks if view.asking else None,
            until=self._countdown(view, now),
            since=since.at.astimezone(CHINA) if since else None,
            since_up=round(since.up, 1) if since and since.boot == now.boot else None,
            served_today=view.served_today,
            troubles=_without_keys(view.troubles),
            kept=view.kept,
            linked=_linked(link),
            linked_since=link.since,
            unsent=link.depth,
            papers=tuple(self._counter.ledger.papers(PAPERS_SHOWN)),
        )

    def _countdown(self, view: View, now: Moment) -> float | None:
        if view.asking is None:
            return None
        key, until = f"{view.asking.visit}/{view.asking.asks}", round(now.up + view.asking.left, 1)
        kept_key, kept = self._until
        if key != kept_key or abs(until - kept) > JITTER_S:
            self._until = (key, until)
        return self._until[1]


def _without_keys(troubles: tuple[Trouble, ...]) -> tuple[Trouble, ...]:
    """The troubles with all stuck keys as one: which key was held would tell the clerk how somebody rated (R168)."""
    stuck = [trouble for trouble in troubles if trouble.reason == "stuck"]
    others = tuple(trouble for trouble in troubles if trouble.reason != "stuck")
    return (*others, Trouble("pad", "stuck", "", stuck[0].since)) if stuck else others


def _linked(link: Link) -> Linked:
    if not link.connected:
        return "down"
    if link.doubt == "broker":
        return "doubted"
    if link.county is False:
        return "no_county"
    return "doubted" if link.doubt else "up"

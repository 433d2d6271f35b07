"""The window as it stands at one moment: what lamps, pages and the retained status are made from.

It holds no grade. Whatever the clerk can see, hear or read must not differ by the grade that was pressed (R168).
"""

from datetime import datetime
from typing import Literal

import msgspec

from appliance.window.dating import Today
from appliance.window.moment import Moment

State = Literal["closed", "idle", "serving", "rating", "away", "fault"]


class Clerk(msgspec.Struct, frozen=True):
    """Who is on duty."""

    number: str
    name: str


class Away(msgspec.Struct, frozen=True):
    """A 暂时离开 that lasts: its number, who began it, why and until when."""

    number: str
    since: Moment
    by: Literal["switch", "button", "panel"]
    reason: str = ""
    expected_back: datetime | None = None


class Visit(msgspec.Struct, frozen=True):
    """A resident being served; `item` once materials were taken in."""

    number: str
    began: Moment
    item: str | None = None


class Asking(msgspec.Struct, frozen=True):
    """The open prompt asks for a `press`, says `thanks`, or that `two_keys` count as neither; `left` in seconds."""

    visit: str
    asks: Literal["press", "thanks", "two_keys"]
    left: float


class Trouble(msgspec.Struct, frozen=True):
    """A device that does not work, and since when."""

    device: str
    reason: str
    detail: str
    since: Moment


class View(msgspec.Struct, frozen=True, kw_only=True):
    """Everything about the window that may be shown at the window."""

    state: State
    since: Moment
    clerk: Clerk | None
    away: Away | None
    visit: Visit | None
    asking: Asking | None
    served_today: int
    troubles: tuple[Trouble, ...]
    stuck: tuple[int, ...]
    today: Today | None
    """Which day it is; None while the clock cannot be trusted and nobody has said it."""
    switch_holds: bool
    """Only the switch can end the absence: the panel offers no way back."""
    kept: bool
    """False while the ledger cannot write: presses are refused, and the pages say so."""

"""暂时离开: a rating is an edge, away is a level.

The rules:
- a closed switch means away, at start as ever; only opening it again ends that;
- a button turns away into back and back into away;
- the panel may begin an absence, fill in its reason, and end one that no closed switch holds.
"""

from datetime import datetime
from typing import Literal

from appliance.window.facts import AwayBegan, AwayEnded, Fact
from appliance.window.happenings import ClerkReturns, ClerkStepsAway, SwitchReads
from appliance.window.moment import Moment, elapsed
from appliance.window.refusal import Refused
from appliance.window.view import Away, Clerk

By = Literal["switch", "button", "panel"]


def read_switch(away: Away | None, reads: SwitchReads, number: str, clerk: Clerk | None) -> tuple[Fact, ...]:
    """The switch level against what the desk holds: begins, takes over, or ends an absence."""
    if reads.closed and away is None:
        return (_begin(number, "switch", clerk),)
    if reads.closed and away is not None and away.by != "switch":
        return (_amend(away, "switch", away.reason, away.expected_back, clerk),)
    if not reads.closed and away is not None and away.by == "switch":
        return (end(away, "switch", reads.at, clerk),)
    return ()


def press_button(away: Away | None, at: Moment, number: str, clerk: Clerk | None) -> tuple[Fact, ...]:
    """The momentary button: back when away, away when not."""
    return (_begin(number, "button", clerk),) if away is None else (end(away, "button", at, clerk),)


def step_away(away: Away | None, steps: ClerkStepsAway, number: str, clerk: Clerk | None) -> tuple[Fact, ...]:
    """The panel begins an absence, or says why and until when one lasts.

    Raises Refused `expected_back_past` when the return is not in the future.
    """
    if steps.expected_back is not None and steps.expected_back <= steps.at.at:
        raise Refused("expected_back_past")
    if away is None:
        begun = Away(number=number, since=steps.at, by="panel")
        return (_amend(begun, "panel", steps.reason, steps.expected_back, clerk),)
    if (away.reason, away.expected_back) == (steps.reason, steps.expected_back):
        return ()
    return (_amend(away, away.by, steps.reason, steps.expected_back, clerk),)


def come_back(away: Away | None, returns: ClerkReturns, held: bool, clerk: Clerk | None) -> tuple[Fact, ...]:
    """The panel ends an absence; Refused `switch_closed` while a switch `held` closed says away."""
    if away is None:
        raise Refused("not_away")
    if held:
        raise Refused("switch_closed")
    return (end(away, "panel", returns.at, clerk),)


def end(away: Away, by: By, at: Moment, clerk: Clerk | None) -> AwayEnded:
    """The fact that ends an absence, with its length when a clock can tell it."""
    seconds = elapsed(away.since, at)
    known = None if seconds == float("inf") else round(seconds, 1)
    return AwayEnded(away=away.number, by=by, seconds=known, clerk=clerk.number if clerk else None)


def began(away: Away | None, fact: AwayBegan, at: Moment) -> Away:
    """The absence after `away.began`: a new one, or the same one with its reason filled in."""
    since = away.since if away is not None and away.number == fact.away else at
    return Away(number=fact.away, since=since, by=fact.by, reason=fact.reason, expected_back=fact.expected_back)


def _begin(number: str, by: By, clerk: Clerk | None) -> AwayBegan:
    number_of = clerk.number if clerk else None
    return AwayBegan(away=number, by=by, reason="", expected_back=None, clerk=number_of)


def _amend(away: Away, by: By, reason: str, expected_back: datetime | None, clerk: Clerk | None) -> AwayBegan:
    number_of = clerk.number if clerk else None
    return AwayBegan(away=away.number, by=by, reason=reason, expected_back=expected_back, clerk=number_of)

"""How the window looks at one moment, and when it will look different by itself."""

from appliance.window import rating
from appliance.window.dating import today
from appliance.window.decide import open_prompt, switch_holds
from appliance.window.desk import Desk
from appliance.window.moment import Moment
from appliance.window.rules import Rules
from appliance.window.view import State, View


def look(desk: Desk, now: Moment, rules: Rules, kept: bool = True, began: Moment | None = None) -> View:
    """Everything that may be shown of the desk at that moment.

    `kept` False while the ledger cannot write; `began` is when the present state began where the desk does not know it.
    """
    prompt = open_prompt(desk, now, rules)
    state = _state(desk, prompt is not None, kept)
    return View(
        state=state,
        since=_since(desk, state) or began or now,
        clerk=desk.clerk,
        away=desk.away,
        visit=desk.visit,
        asking=rating.asking(prompt, now, rules) if prompt and state == "rating" else None,
        served_today=desk.counted(now.day).served,
        troubles=desk.troubles,
        stuck=tuple(int(trouble.device[3:]) for trouble in desk.troubles if trouble.reason == "stuck"),
        switch_holds=switch_holds(desk, rules),
        today=today(desk.stated, now),
        kept=kept,
    )


def changes_in(desk: Desk, now: Moment, rules: Rules) -> float | None:
    """Seconds until the desk looks different without anybody doing anything; None when it never will."""
    prompt = open_prompt(desk, now, rules)
    return None if prompt is None else rating.left(prompt, now, rules)


def _state(desk: Desk, prompting: bool, kept: bool) -> State:
    if not kept:
        return "fault"
    if desk.away is not None:
        return "away"
    if desk.visit is not None:
        return "serving"
    if prompting:
        return "rating"
    return "closed" if desk.clerk is None else "idle"


def _since(desk: Desk, state: State) -> Moment | None:
    since = {
        "away": desk.away.since if desk.away else None,
        "serving": desk.visit.began if desk.visit else None,
        "rating": desk.prompt.opened if desk.prompt else None,
        "closed": desk.clerk_since,
        "idle": desk.free_since,
    }
    return since.get(state)

"""What the window makes of a happening: facts, or a refusal; `decide` itself changes nothing."""

from collections.abc import Callable
from datetime import date
from typing import Any

from appliance.window import absence, cases, dating, orders, rating
from appliance.window.chatter import failed
from appliance.window.dating import Today
from appliance.window.desk import Desk, apply
from appliance.window.facts import (
    ClockStated,
    ClockSynced,
    DeviceRecovered,
    DutyBegan,
    DutyEnded,
    Fact,
    VisitBegan,
    VisitEnded,
)
from appliance.window.happenings import (
    AwayButtonPresses,
    ClerkArrives,
    ClerkLeaves,
    ClerkReturns,
    ClerkStatesDay,
    ClerkStepsAway,
    ClockSyncs,
    DeviceFails,
    DeviceRecovers,
    Happening,
    KeyFrees,
    KeyPresses,
    KeySticks,
    MaterialsArrive,
    OrderArrives,
    SwitchReads,
    VisitBegins,
    VisitEnds,
    WindowStarts,
)
from appliance.window.moment import Moment, elapsed
from appliance.window.rating import Prompt
from appliance.window.refusal import Refused
from appliance.window.rules import Rules
from appliance.window.view import Clerk


def decide(desk: Desk, happening: Happening, rules: Rules) -> tuple[Fact, ...]:
    """The facts that a happening makes; Refused when the window will not do what was asked."""
    over = _close_overdue(desk, happening.at, rules)
    for fact in over:
        desk = apply(desk, fact, happening.at)
    decider = _DECIDERS.get(type(happening))
    return over if decider is None else over + decider(desk, happening, rules)


def _close_overdue(desk: Desk, at: Moment, rules: Rules) -> tuple[Fact, ...]:
    if desk.prompt is None or rating.left(desk.prompt, at, rules) > 0:
        return ()
    return rating.close(desk.prompt, "away" if desk.away else "timeout")


def open_prompt(desk: Desk, at: Moment, rules: Rules) -> Prompt | None:
    """The prompt that still takes presses at that moment."""
    prompt = desk.prompt
    if prompt is None or rating.left(prompt, at, rules) <= 0:
        return None
    # A press from before the pad opened, which only the slow card let in after it, was meant for nobody.
    return None if elapsed(prompt.opened, at) < 0 else prompt


def _press_key(desk: Desk, key: KeyPresses, rules: Rules) -> tuple[Fact, ...]:
    prompt = open_prompt(desk, key.at, rules)
    if prompt is None or desk.away is not None:
        return rating.stray(key, away=desk.away is not None)
    return rating.press(prompt, key, rules)


def _stick_key(desk: Desk, key: KeySticks, rules: Rules) -> tuple[Fact, ...]:
    return _fail(desk, DeviceFails(at=key.at, device=f"key{key.grade}", reason="stuck"), rules)


def _free_key(desk: Desk, key: KeyFrees, rules: Rules) -> tuple[Fact, ...]:
    return _recover(desk, DeviceRecovers(at=key.at, device=f"key{key.grade}"), rules)


def _read_switch(desk: Desk, reads: SwitchReads, rules: Rules) -> tuple[Fact, ...]:
    return absence.read_switch(desk.away, reads, away_number(desk, reads.at), desk.clerk)


def _press_away(desk: Desk, presses: AwayButtonPresses, rules: Rules) -> tuple[Fact, ...]:
    return absence.press_button(desk.away, presses.at, away_number(desk, presses.at), desk.clerk)


def _step_away(desk: Desk, steps: ClerkStepsAway, rules: Rules) -> tuple[Fact, ...]:
    return absence.step_away(desk.away, steps, away_number(desk, steps.at), desk.clerk)


def _come_back(desk: Desk, returns: ClerkReturns, rules: Rules) -> tuple[Fact, ...]:
    return absence.come_back(desk.away, returns, switch_holds(desk, rules), desk.clerk)


def switch_holds(desk: Desk, rules: Rules) -> bool:
    """Whether only the switch itself can end the absence; one that nobody can read holds nothing."""
    held = desk.away is not None and desk.away.by == "switch"
    return held and rules.away_kind == "switch" and desk.trouble("away") is None


def _arrive(desk: Desk, arrives: ClerkArrives, rules: Rules) -> tuple[Fact, ...]:
    clerk = rules.clerk(arrives.number)
    if clerk is None:
        raise Refused("clerk_unknown", number=arrives.number)
    if desk.clerk == clerk:
        raise Refused("already_on_duty")
    if desk.visit is not None:
        raise Refused("visit_open")
    leaves = (DutyEnded(clerk=desk.clerk.number),) if desk.clerk else ()
    return (*leaves, DutyBegan(clerk=clerk.number, name=clerk.name))


def _leave(desk: Desk, leaves: ClerkLeaves, rules: Rules) -> tuple[Fact, ...]:
    clerk = _on_duty(desk)
    if desk.visit is not None:
        raise Refused("visit_open")
    return (DutyEnded(clerk=clerk.number),)


def _begin_visit(desk: Desk, begins: VisitBegins, rules: Rules) -> tuple[Fact, ...]:
    clerk = _at_the_counter(desk)
    if desk.visit is not None:
        raise Refused("already_serving")
    prompt = open_prompt(desk, begins.at, rules)
    began = VisitBegan(visit=_next_visit(desk, begins.at), clerk=clerk.number)
    return (*rating.close(prompt, "next_visit"), began)


def _next_visit(desk: Desk, at: Moment) -> str:
    return f"{at.day}-{desk.counted(at.day).visits + 1:04d}"


def _end_visit(desk: Desk, ends: VisitEnds, rules: Rules) -> tuple[Fact, ...]:
    clerk = _at_the_counter(desk)
    if desk.visit is None:
        raise Refused("not_serving")
    seconds = elapsed(desk.visit.began, ends.at)
    known = None if seconds == float("inf") else round(seconds, 1)
    return (VisitEnded(visit=desk.visit.number, clerk=clerk.number, seconds=known, item=desk.visit.item),)


def _take_in(desk: Desk, arrive: MaterialsArrive, rules: Rules) -> tuple[Fact, ...]:
    clerk, today = _at_the_counter(desk), _today(desk, arrive.at)
    number, prompt = case_number(desk, today.day, rules), open_prompt(desk, arrive.at, rules)
    # Whoever hands in materials is being served, whether the clerk said so or not; one who is just asked still is.
    begins = () if desk.visit or prompt else _begin_visit(desk, VisitBegins(at=arrive.at), rules)
    visit = desk.visit.number if desk.visit else (prompt.visit if prompt else _next_visit(desk, arrive.at))
    received = cases.receive(
        arrive,
        catalogue=rules.catalogue,
        level=rules.level,
        calendar=rules.calendar,
        today=today,
        clerk=clerk,
        number=number,
        paper=f"{number}-0",
        visit=visit,
    )
    return (*begins, received)


def _fail(desk: Desk, fails: DeviceFails, rules: Rules) -> tuple[Fact, ...]:
    known = desk.trouble(fails.device)
    if known is not None and known.reason == fails.reason:
        return ()
    return (failed(fails),)


def _recover(desk: Desk, recovers: DeviceRecovers, rules: Rules) -> tuple[Fact, ...]:
    known = desk.trouble(recovers.device)
    return (DeviceRecovered(device=recovers.device, reason=known.reason),) if known else ()


def _sync_clock(desk: Desk, now: ClockSyncs | WindowStarts, rules: Rules) -> tuple[Fact, ...]:
    then, at = desk.unsynced, now.at
    if then is None or not at.synced or then.boot != at.boot:
        return ()
    return (ClockSynced(offset=round((at.at - then.at).total_seconds() - (at.up - then.up), 3)),)


def _today(desk: Desk, at: Moment) -> Today:
    today = dating.today(desk.stated, at)
    if today is None:
        raise Refused("day_unknown")
    return today


def _state_day(desk: Desk, states: ClerkStatesDay, rules: Rules) -> tuple[Fact, ...]:
    clerk = _on_duty(desk)
    if states.at.synced:
        # The clock became trustworthy while the clerk typed: it knows better.
        return ()
    days = [day for day in (desk.sure_day, desk.stated and desk.stated.day) if day]
    if fault := dating.fault(states.day, max(days, default=None), states.confirmed):
        raise Refused("day_wrong", day=fault)
    return (ClockStated(day=states.day, clerk=clerk.number),)


def _take_order(desk: Desk, order: OrderArrives, rules: Rules) -> tuple[Fact, ...]:
    return orders.answer(desk, order)


def _on_duty(desk: Desk) -> Clerk:
    if desk.clerk is None:
        raise Refused("no_clerk")
    return desk.clerk


def _at_the_counter(desk: Desk) -> Clerk:
    clerk = _on_duty(desk)
    if desk.away is not None:
        raise Refused("away_now")
    return clerk


def away_number(desk: Desk, at: Moment) -> str:
    """The number the next absence gets."""
    return f"{at.day}-{desk.counted(at.day).aways + 1:04d}"


def case_number(desk: Desk, today: date, rules: Rules) -> str:
    """The number the next case gets, `0107-1-20261122-3F001`.

    Two digits of the ledger stand in it, so that a replaced card does not give the same number twice on one day.
    """
    site, day = rules.window.split("-", 1)[1], f"{today:%Y%m%d}"
    return f"{site}-{day}-{desk.ledger[:2].upper()}{desk.counted(day).cases + 1:03d}"


_DECIDERS: dict[type[Happening], Callable[[Desk, Any, Rules], tuple[Fact, ...]]] = {
    KeyPresses: _press_key,
    KeySticks: _stick_key,
    KeyFrees: _free_key,
    SwitchReads: _read_switch,
    AwayButtonPresses: _press_away,
    ClerkStepsAway: _step_away,
    ClerkReturns: _come_back,
    ClerkArrives: _arrive,
    ClerkLeaves: _leave,
    VisitBegins: _begin_visit,
    VisitEnds: _end_visit,
    MaterialsArrive: _take_in,
    DeviceFails: _fail,
    DeviceRecovers: _recover,
    ClockSyncs: _sync_clock,
    WindowStarts: _sync_clock,
    ClerkStatesDay: _state_day,
    OrderArrives: _take_order,
}

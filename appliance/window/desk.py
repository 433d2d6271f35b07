"""The desk: all that a window remembers, and what each fact changes in it; `apply` is the only way a desk changes."""

from collections.abc import Callable
from datetime import date
from hashlib import blake2s
from typing import Any, cast

import msgspec

from appliance.window import absence, rating
from appliance.window.dating import Stated, day_of
from appliance.window.facts import (
    AwayBegan,
    AwayEnded,
    CaseReceived,
    ClockStated,
    ClockSynced,
    DeviceFailed,
    DeviceRecovered,
    DutyBegan,
    DutyEnded,
    Fact,
    OrderDone,
    OrderRefused,
    RatingChanged,
    RatingDeclined,
    RatingGiven,
    VisitBegan,
    VisitEnded,
)
from appliance.window.moment import Moment
from appliance.window.rating import Prompt
from appliance.window.view import Away, Clerk, Trouble, Visit

DAYS_COUNTED = 31
ORDERS_REMEMBERED = 200


class Counts(msgspec.Struct, frozen=True):
    """How many of each a day has seen: numbers are drawn from these, and none twice within a ledger."""

    day: str
    visits: int = 0
    served: int = 0
    cases: int = 0
    aways: int = 0


class Desk(msgspec.Struct, frozen=True, kw_only=True):
    """The window as it stands; written with every fact in one commit, so that it survives a kill at any instruction."""

    ledger: str
    free_since: Moment | None = None
    clerk: Clerk | None = None
    clerk_since: Moment | None = None
    away: Away | None = None
    visit: Visit | None = None
    prompt: Prompt | None = None
    troubles: tuple[Trouble, ...] = ()
    counts: tuple[Counts, ...] = ()
    forgotten: Counts | None = None
    """The newest of the days that `counts` no longer holds, with the highest number of each that any of them had."""
    orders: tuple[str, ...] = ()
    unsynced: Moment | None = None
    """The first moment of this boot that a fact was stamped with before the clock was to be trusted."""
    stated: Stated | None = None
    sure_day: date | None = None
    """The latest day of a fact that a trusted clock has stamped."""

    def counted(self, day: str) -> Counts:
        """The counts of a day, also of one that the clock had left and came back to."""
        known = next((counts for counts in self.counts if counts.day == day), None)
        if known is not None:
            return known
        old = self.forgotten
        return Counts(day, old.visits, 0, old.cases, old.aways) if old and day <= old.day else Counts(day)

    def trouble(self, device: str) -> Trouble | None:
        """The open trouble of a device."""
        return next((trouble for trouble in self.troubles if trouble.device == device), None)


def apply(desk: Desk, fact: Fact, at: Moment) -> Desk:
    """The desk after a fact; a fact that changes nothing at the window leaves it as it is."""
    change = _CHANGES.get(type(fact))
    changes = {} if change is None else change(desk, fact, at)
    if not at.synced and (desk.unsynced is None or desk.unsynced.boot != at.boot):
        changes["unsynced"] = at
    if at.synced and (desk.sure_day is None or desk.sure_day < day_of(at)):
        changes["sure_day"] = day_of(at)
    return msgspec.structs.replace(desk, **changes) if changes else desk


def skip_numbers(desk: Desk, count: int, today: str) -> Desk:
    """The desk when so many numbers of each kind may have been given that it knows nothing of, on any day until now."""
    counts = tuple(_skip(day, count) for day in desk.counts)
    newest = max([today, *(day.day for day in counts), *([desk.forgotten.day] if desk.forgotten else [])])
    old = desk.forgotten or Counts(newest)
    return msgspec.structs.replace(
        desk, counts=counts, forgotten=_skip(msgspec.structs.replace(old, day=newest), count)
    )


def _skip(counts: Counts, count: int) -> Counts:
    more = {name: getattr(counts, name) + count for name in ("visits", "cases", "aways")}
    return msgspec.structs.replace(counts, **more)


def _count(desk: Desk, day: str, **more: int) -> dict[str, Any]:
    today = desk.counted(day)
    counts = {name: getattr(today, name) + number for name, number in more.items()}
    others = [known for known in desk.counts if known.day != day]
    over = others[: -DAYS_COUNTED + 1]
    kept = (*others[-DAYS_COUNTED + 1 :], msgspec.structs.replace(today, **counts))
    return {"counts": kept, "forgotten": _forget(desk.forgotten, over)}


def _forget(forgotten: Counts | None, over: list[Counts]) -> Counts | None:
    days = [day for day in (forgotten, *over) if day is not None]
    if not days:
        return None
    return Counts(
        max(one.day for one in days),
        max(one.visits for one in days),
        0,
        max(one.cases for one in days),
        max(one.aways for one in days),
    )


def _duty_began(desk: Desk, fact: DutyBegan, at: Moment) -> dict[str, Any]:
    return {"clerk": Clerk(fact.clerk, fact.name), "clerk_since": at, "free_since": at}


def _duty_ended(desk: Desk, fact: DutyEnded, at: Moment) -> dict[str, Any]:
    return {"clerk": None, "clerk_since": at}


def _visit_began(desk: Desk, fact: VisitBegan, at: Moment) -> dict[str, Any]:
    visit = Visit(number=fact.visit, began=at)
    return {"visit": visit, "prompt": None, **_count(desk, at.day, visits=1)}


def _visit_ended(desk: Desk, fact: VisitEnded, at: Moment) -> dict[str, Any]:
    prompt = Prompt(visit=fact.visit, opened=at, clerk=fact.clerk, item=fact.item)
    return {"visit": None, "prompt": prompt, "free_since": at, **_count(desk, at.day, served=1)}


def _rating_given(desk: Desk, fact: RatingGiven, at: Moment) -> dict[str, Any]:
    return {"prompt": rating.given(cast(Prompt, desk.prompt), fact, at), "free_since": at}


def _rating_changed(desk: Desk, fact: RatingChanged, at: Moment) -> dict[str, Any]:
    return {"prompt": rating.changed(cast(Prompt, desk.prompt), fact, at), "free_since": at}


def _rating_declined(desk: Desk, fact: RatingDeclined, at: Moment) -> dict[str, Any]:
    return {"prompt": None, "free_since": at}


def _away_began(desk: Desk, fact: AwayBegan, at: Moment) -> dict[str, Any]:
    new = desk.away is None or desk.away.number != fact.away
    return {"away": absence.began(desk.away, fact, at), **_count(desk, at.day, aways=1 if new else 0)}


def _away_ended(desk: Desk, fact: AwayEnded, at: Moment) -> dict[str, Any]:
    return {"away": None, "free_since": at}


def _case_received(desk: Desk, fact: CaseReceived, at: Moment) -> dict[str, Any]:
    visit = desk.visit and msgspec.structs.replace(desk.visit, item=fact.item)
    # Under the day that its number carries: the clerk's, where the clock has another.
    return {"visit": visit, **_count(desk, f"{fact.received:%Y%m%d}", cases=1)}


def _device_failed(desk: Desk, fact: DeviceFailed, at: Moment) -> dict[str, Any]:
    others = tuple(trouble for trouble in desk.troubles if trouble.device != fact.device)
    return {"troubles": (*others, Trouble(fact.device, fact.reason, fact.detail, at))}


def _device_recovered(desk: Desk, fact: DeviceRecovered, at: Moment) -> dict[str, Any]:
    return {"troubles": tuple(trouble for trouble in desk.troubles if trouble.device != fact.device)}


def _order_answered(desk: Desk, fact: OrderDone | OrderRefused, at: Moment) -> dict[str, Any]:
    return {"orders": (*desk.orders, order_mark(fact.order))[-ORDERS_REMEMBERED:]}


def order_mark(order: str) -> str:
    """What the desk remembers of an order's id: short, because the desk is written with every fact."""
    return blake2s(order.encode(), digest_size=8).hexdigest()


def _clock_synced(desk: Desk, fact: ClockSynced, at: Moment) -> dict[str, Any]:
    return {"unsynced": None}


def _clock_stated(desk: Desk, fact: ClockStated, at: Moment) -> dict[str, Any]:
    return {"stated": Stated(fact.day, at)}


_CHANGES: dict[type[Fact], Callable[[Desk, Any, Moment], dict[str, Any]]] = {
    DutyBegan: _duty_began,
    DutyEnded: _duty_ended,
    VisitBegan: _visit_began,
    VisitEnded: _visit_ended,
    RatingGiven: _rating_given,
    RatingChanged: _rating_changed,
    RatingDeclined: _rating_declined,
    AwayBegan: _away_began,
    AwayEnded: _away_ended,
    CaseReceived: _case_received,
    DeviceFailed: _device_failed,
    DeviceRecovered: _device_recovered,
    OrderDone: _order_answered,
    OrderRefused: _order_answered,
    ClockSynced: _clock_synced,
    ClockStated: _clock_stated,
}

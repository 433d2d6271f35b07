"""What the window tells the world of itself: its retained status, and its health."""

from collections.abc import Callable
from pathlib import Path
from typing import Final

from appliance import __version__, wire
from appliance.counter import Counter
from appliance.courier import Link
from appliance.devices.condition import Condition
from appliance.devices.vitals import vitals
from appliance.window.facts import Grade
from appliance.window.moment import Moment, elapsed

_KEYS: Final[tuple[Grade, ...]] = (1, 2, 3, 4, 5)


def status(counter: Counter, name: str) -> wire.Status:
    """What anyone may see of the window now; never a grade, a resident, or a number of one.

    `name` is the window's as its display shows it.
    """
    view = counter.view()
    return wire.Status(
        state=view.state,
        since=view.since.at,
        clerk=wire.ClerkCard(view.clerk.number, view.clerk.name) if view.clerk else None,
        away=wire.AwayNote(view.away.reason, view.away.expected_back) if view.away else None,
        case_open=view.visit is not None,
        waiting=0,
        served_today=view.served_today,
        name=name,
    )


class Health:
    """How the window's parts are, put together from whoever knows; callable from any thread."""

    def __init__(self, counter: Counter, place: Path, printer: Callable[[], Condition], camera: str) -> None:
        self._counter = counter
        self._place = place
        self._printer = printer
        self._camera = camera

    def __call__(self) -> wire.Health:
        """Health as it is now; `oldest_s` None when nothing waits."""
        machine = vitals(self._place)
        now = self._counter.moment()
        return wire.Health(
            at=now.at,
            version=__version__,
            printer=_printer(self._printer()),
            pad=self._pad(),
            camera=self._camera,
            clock=wire.ClockState(synced=now.synced, source=self._clock_source(now.synced)),
            outbox=self._outbox(now),
            disk_free_mb=machine.disk_free_mb,
            temperature_c=machine.temperature_c,
            throttled=machine.throttled,
            probes={"network": "unknown", "insurance": "unknown", "government": "unknown"},
            documents={"catalogue": self._counter.rules.catalogue.version},
        )

    def _outbox(self, now: Moment) -> wire.OutboxState:
        ledger = self._counter.ledger
        depth, oldest = ledger.backlog()
        seconds = elapsed(oldest, now) if oldest else None
        # Of a former boot only the wall clock tells, and one that was put back since says nothing.
        age = None if seconds is None or seconds == float("inf") else round(seconds)
        return wire.OutboxState(depth=depth, oldest_s=age, ledger=ledger.id, newest=ledger.last_seq)

    def _clock_source(self, synced: bool) -> str:
        clock = self._counter.clock
        if clock.trouble:
            return "unknown"
        return {"network": "ntp", "battery": "rtc"}[clock.source] if synced else "none"

    def _pad(self) -> wire.PadState:
        view = self._counter.view()
        bad = any(trouble.device in ("pad", "away") for trouble in view.troubles) or not view.kept
        return wire.PadState(state="bad" if bad else "ok", stuck=[key for key in _KEYS if key in view.stuck])


def _printer(condition: Condition) -> wire.PrinterState:
    paper = {"paper_out": "out", "near_end": "low"}.get(
        condition.reason, "ok" if condition.state == "ok" else "unknown"
    )
    return wire.PrinterState(state=condition.state, paper=paper, reason=condition.reason)


def health_page(counter: Counter, link: Link, behind_s: float, late: list[str], lost: list[str]) -> dict[str, object]:
    """What `/healthz` says: `ok` while every vital loop comes round (none is `lost`) and the card takes facts.

    `behind_s` is how long the oldest fact waits for the county while there is a connection, `doubt` who owes an answer.
    """
    view = counter.view()
    return {
        "ok": view.kept and not lost,
        "version": __version__,
        "window": counter.rules.window,
        "ledger": counter.ledger.id,
        "state": view.state,
        "connected": link.connected,
        "doubt": link.doubt,
        "unsent": link.depth,
        "behind_s": round(behind_s, 1),
        "late": late,
    }

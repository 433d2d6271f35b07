"""A window with nothing but a real ledger and a real courier in its own named thread."""

import threading
from datetime import datetime
from pathlib import Path
from typing import Literal

from appliance import wire
from appliance.courier import Address, Courier, Pace
from appliance.ledger import Ledger
from appliance.window.desk import Desk
from appliance.window.facts import Fact, PressStray
from appliance.window.moment import CHINA, Moment
from tests.ground_courier.county import WINDOW

QUICK = Pace(rest_first=0.05, rest_last=0.4, connect=2.0, proven=1.0)
IMPATIENT = Pace(rest_first=0.05, rest_last=0.4, connect=2.0, proven=1.0, resend_first=0.2, resend_last=0.5)


def moment(n: int = 0) -> Moment:
    """Any moment will do here."""
    return Moment(at=datetime(2026, 11, 22, 9, 10, n % 60, tzinfo=CHINA), boot="b", up=float(n), synced=True)


def status(served: int = 0) -> wire.Status:
    """A status."""
    since = datetime(2026, 11, 22, 9, 10, tzinfo=CHINA)
    return wire.Status(
        state="idle", since=since, clerk=None, away=None, case_open=False, waiting=0, served_today=served
    )


def health(printer: Literal["ok", "bad", "unknown"] = "ok", free: int = 900) -> wire.Health:
    """A health."""
    return wire.Health(
        version="0.1.0",
        at=moment().at,
        printer=wire.PrinterState(state=printer),
        pad=wire.PadState(state="ok"),
        camera="absent",
        clock=wire.ClockState(synced=True),
        outbox=wire.OutboxState(depth=0, oldest_s=None),
        disk_free_mb=free,
        temperature_c=41.0,
        throttled=False,
        probes={},
        documents={},
    )


class Window:
    """Commits facts and runs the courier; a courier that raises fails the test."""

    def __init__(self, place: Path, port: int, pace: Pace = QUICK, *, address: Address | None = None) -> None:
        self.ledger = Ledger.open(place / "ledger.db", WINDOW)
        self._address, self._pace = address or Address(host="127.0.0.1", port=port), pace
        self.status, self.health = status(), health()
        self.orders: list[tuple[str, str]] = []
        self.links = 0
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None
        self.courier = self._courier()

    def _courier(self) -> Courier:
        return Courier(
            window=WINDOW,
            address=self._address,
            ledger=self.ledger,
            status=lambda: self.status,
            health=lambda: self.health,
            now=lambda: datetime.now(CHINA),
            on_order=lambda order, name: self.orders.append((order, name)),
            on_link=self._linked,
            pace=self._pace,
        )

    def _linked(self) -> None:
        self.links += 1

    def commit(self, number: int = 1, fact: Fact | None = None) -> list[int]:
        """Put facts into the ledger, as the counter would; wakes the courier as the counter would."""
        facts = [fact or PressStray(key=1, why="no_prompt")] * number
        seqs = self.ledger.commit(facts, moment(number), Desk(ledger=self.ledger.id))
        self.courier.wake()
        return seqs

    def start(self) -> "Window":
        """Run the courier."""
        self._ended.clear()
        self._thread = threading.Thread(target=self._run, name="courier", daemon=True)
        self._thread.start()
        return self

    def _run(self) -> None:
        while not self._ended.is_set():
            self.courier.step(0.5)

    def stop(self) -> None:
        """End in good order."""
        self._end()
        self.courier.close()

    def _end(self) -> None:
        self._ended.set()
        self.courier.wake()
        if self._thread:
            self._thread.join(10)

    def again(self) -> "Window":
        """A new courier on the same ledger."""
        self.courier = self._courier()
        return self.start()

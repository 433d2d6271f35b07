"""A morning at one window, lived by the code that runs every window, so that the published examples are what it made.

Written by hand is only what people, devices and the county do; numbers, papers, chain, status and health are the real
ones, of a real ledger in a folder that is gone afterwards.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import date, datetime, timedelta
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import msgspec

from appliance import standing, wire
from appliance.clock import Clock
from appliance.counter import Counter
from appliance.devices.condition import Condition
from appliance.documents import shipped
from appliance.ledger import Kept, Ledger
from appliance.window import happenings as now
from appliance.window.catalogue import read_catalogue
from appliance.window.desk import Desk
from appliance.window.facts import Handed, OrderDone
from appliance.window.moment import CHINA, Moment
from appliance.window.rules import Rules
from appliance.window.view import Clerk
from appliance.window.workdays import published

COUNTY: Final = "430602"
WINDOW: Final = "430602-0107-1"
LEDGER: Final = "3f9c1a7e"
BOOT: Final = "5b1c9c1e-0f4f-4c2e-9f43-1d0f2f3f8a10"
LABEL: Final = "1号窗口"
SESSION: Final = 1795638703
"""A ledger begins to count them at the second in which its file was made."""
POWER_ON: Final = datetime(2026, 11, 23, 8, 24, 41, 218000, tzinfo=CHINA)
WRONG_BY: Final = timedelta(days=601, hours=7, minutes=3)
"""How far a clock without a battery was behind when the power came."""


class Morning(msgspec.Struct, frozen=True):
    """What came of it: every fact as it is published, oldest first, and what the window and the county said besides."""

    facts: tuple[Kept, ...]
    presence: wire.Presence
    status: wire.Status
    health: wire.Health
    ack: wire.Ack
    replay: wire.Order

    def fact(self, type_: str) -> Kept:
        """The last fact of a type."""
        return next(fact for fact in reversed(self.facts) if fact.type == type_)


class _Hands(Clock):
    """A clock that the story turns."""

    def __init__(self) -> None:
        super().__init__(ask=lambda: True)
        self.up, self.behind = 16.0, WRONG_BY

    def moment(self) -> Moment:
        at = POWER_ON + timedelta(seconds=self.up) - self.behind
        return Moment(at=at, boot=BOOT, up=self.up, synced=not self.behind)

    def passes(self, seconds: float) -> Moment:
        self.up += seconds
        return self.moment()


@cache
def morning() -> Morning:
    """The morning, lived once."""
    with TemporaryDirectory() as place, closing(Ledger.open(Path(place) / "ledger.db", WINDOW)) as ledger:
        # Drawn at random for every new file; a document that is compared needs the same each time.
        ledger.id = LEDGER
        clock = _Hands()
        counter = Counter(ledger, _rules(), clock)
        status = health = None
        for happening in _happenings(clock, counter):
            counter.handle(happening)
            if isinstance(happening, now.MaterialsArrive):
                ledger.acknowledge([(1, ledger.last_seq - 2)])
                status, health = standing.status(counter, LABEL), _health(counter, Path(place))
        assert status is not None
        assert health is not None
        # What answers a `replay` lives beside the counter; its fact is written here as that writes it.
        order = _replay(clock.moment().at)
        ledger.commit([OrderDone(order=order.id)], clock.passes(4.0), Desk(ledger=LEDGER))
        have = wire.runs([seq for seq in range(1, ledger.last_seq + 1) if not 3 <= seq <= 5])
        return Morning(
            facts=tuple(_all(ledger)),
            presence=wire.Presence(online=True, session=SESSION, at=clock.moment().at),
            status=status,
            health=health,
            ack=wire.Ack(ledger=LEDGER, seqs=have),
            replay=order,
        )


def _replay(at: datetime) -> wire.Order:
    asked = wire.Replay(ledger=LEDGER, first=3, last=5, by="county")
    return wire.Order(
        specversion="1.0",
        id=f"replay-{asked.ledger}-{asked.first}-{asked.last}-{at.timestamp():.0f}",
        source=f"/counties/{COUNTY}",
        type="window.order.replay.v1",
        time=at,
        data=msgspec.Raw(wire.encode(asked)),
    )


def _all(ledger: Ledger) -> Iterator[Kept]:
    with closing(sqlite3.connect(ledger.path)) as file:
        for row in file.execute("SELECT seq, type, payload FROM facts ORDER BY seq"):
            yield Kept(*row)


def _rules() -> Rules:
    return Rules(
        window=WINDOW,
        level="township",
        clerks=(Clerk("0107", "王敏"),),
        catalogue=read_catalogue(shipped("catalogue")),
        calendar=published(),
    )


def _health(counter: Counter, place: Path) -> wire.Health:
    health = standing.Health(counter, place, lambda: Condition("ok", "near_end"), "none")()
    # Of the machine that made the document nobody wants to know.
    return msgspec.structs.replace(health, disk_free_mb=21_000, temperature_c=48.3, throttled=False)


def _happenings(clock: _Hands, counter: Counter) -> Iterator[now.Happening]:
    yield from _opens(clock)
    yield from _handles_at_once(clock, counter)
    yield from _takes_in(clock, counter)
    yield from _is_left(clock)


def _opens(clock: _Hands) -> Iterator[now.Happening]:
    yield now.WindowStarts(at=clock.moment())
    yield now.ClerkArrives(at=clock.passes(240.0), number="0107")
    yield now.ClerkStatesDay(at=clock.passes(21.5), day=date(2026, 11, 23))
    clock.behind = timedelta()
    yield now.ClockSyncs(at=clock.passes(35.25))


def _handles_at_once(clock: _Hands, counter: Counter) -> Iterator[now.Happening]:
    """A resident registers, which is done at once, and is content."""
    yield now.VisitBegins(at=clock.passes(80.0))
    yield _hands_in(counter, clock.passes(191.0), "jmcbdj", "欧阳建国")
    yield now.PaperMoves(at=clock.passes(3.0), paper=_paper(counter), outcome="confirmed")
    yield now.VisitEnds(at=clock.passes(60.5))
    yield now.KeyPresses(at=clock.passes(7.0), grade=4)
    yield now.KeyPresses(at=clock.passes(2.0), grade=5)
    yield now.KeyPresses(at=clock.passes(30.0), grade=1)


def _takes_in(clock: _Hands, counter: Counter) -> Iterator[now.Happening]:
    """Another hands in bills that take thirty working days, the paper runs out, and the keys stay untouched."""
    yield now.VisitBegins(at=clock.passes(44.0))
    yield _hands_in(counter, clock.passes(388.0), "mzbx", "张三")
    yield now.PaperMoves(at=clock.passes(4.0), paper=_paper(counter), outcome="unconfirmed", reason="no_answer")
    case = counter.ledger.papers(1)[0]
    counter.print_again(case.case, case.paper)
    yield now.PaperMoves(at=clock.passes(9.0), paper=_paper(counter), outcome="failed", reason="paper_out")
    yield now.DeviceFails(at=clock.passes(1.0), device="printer", reason="paper_out")
    yield now.DeviceRecovers(at=clock.passes(51.0), device="printer")
    yield now.VisitEnds(at=clock.passes(20.0))
    yield now.TimePasses(at=clock.passes(60.5))


def _is_left(clock: _Hands) -> Iterator[now.Happening]:
    yield now.SwitchReads(at=clock.passes(5.0), closed=True)
    yield now.ClerkStepsAway(
        at=clock.passes(9.0), reason="取材料", expected_back=clock.moment().at + timedelta(minutes=15)
    )
    yield now.SwitchReads(at=clock.passes(722.5), closed=False)
    yield now.OrderArrives(at=clock.passes(100.0), order="identify-0001", name="identify")
    yield now.ClerkLeaves(at=clock.passes(9000.0))


def _hands_in(counter: Counter, at: Moment, item: str, applicant: str) -> now.MaterialsArrive:
    known = counter.rules.catalogue.item(item)
    assert known is not None
    materials = tuple(Handed(material.name, 1) for material in known.materials if material.required)
    return now.MaterialsArrive(at=at, form=f"61b0{at.up:.0f}", item=item, applicant=applicant, materials=materials)


def _paper(counter: Counter) -> str:
    return counter.ledger.papers(1)[0].paper

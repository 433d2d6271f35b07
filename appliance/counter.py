"""The counter: the one door through which everything that changes the window goes.

The rule: decide, commit, then act. One lock, one pure `decide`, one transaction, and only then the bells that wake
lamps, pages, printer and courier; a press wakes only those who see something else by it.
"""

import logging
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Literal

import msgspec

from appliance.clock import Clock
from appliance.ledger import Ledger, NotKept, Paper
from appliance.ledger_check import Pause, Stopped
from appliance.window import orders
from appliance.window.chatter import Chatter, last_word, of_held
from appliance.window.decide import decide
from appliance.window.desk import Desk, apply
from appliance.window.facts import DeviceFailed, DeviceRecovered, Fact, PaperFailed, PaperPrinted, PaperUnconfirmed
from appliance.window.happenings import (
    DeviceFails,
    DeviceRecovers,
    Happening,
    KeyFrees,
    KeySticks,
    MaterialsArrive,
    OrderArrives,
    PaperMoves,
    SwitchReads,
    TimePasses,
    WindowStarts,
)
from appliance.window.look import changes_in, look
from appliance.window.moment import Moment
from appliance.window.rules import Rules
from appliance.window.view import View

log = logging.getLogger(__name__)

HEAD_START_S = 0.001
CHECK_AGAIN_S = 60.0

Bell = Callable[[], None]


class Watch:
    """One who wants to know that something changed: anything, or what `of` takes from a desk."""

    def __init__(self, leave: Callable[["Watch"], None], of: Callable[[Desk], object] | None, desk: Desk) -> None:
        self._changed = threading.Event()
        self._leave = leave
        self._of = of
        self._seen = of(desk) if of else None

    def sees(self, desk: Desk) -> bool:
        """Whether this desk is another one for whoever watches; each desk in its turn, under the counter's lock."""
        if self._of is None:
            return True
        seen, self._seen = self._seen, self._of(desk)
        return bool(seen != self._seen)

    def ring(self) -> None:
        """Something changed."""
        self._changed.set()

    def wait(self, timeout: float | None = None) -> bool:
        """True as soon as something has changed since the last wait, False after `timeout` seconds."""
        changed = self._changed.wait(timeout)
        if changed:
            self._changed.clear()
        return changed

    def close(self) -> None:
        """Stop watching."""
        self._leave(self)


class Counter:
    """Takes happenings from any thread, one at a time."""

    def __init__(self, ledger: Ledger, rules: Rules, clock: Clock) -> None:
        self.ledger = ledger
        self.rules = rules
        self.clock = clock
        self._lock = threading.RLock()
        self._desk: Desk = ledger.desk()
        self._first: Bell | None = None
        self._bells: tuple[Bell, ...] = ()
        self._watches: tuple[Watch, ...] = ()
        self._full = False
        self._refused = 0
        self._untold: dict[str, Happening] = {}
        self._chatter = Chatter()
        self._began = clock.moment()

    def moment(self) -> Moment:
        """Now, as happenings are stamped."""
        return self.clock.moment()

    def start(self) -> None:
        """Tell the window that it starts: what a former run left behind is said and closed."""
        self.tell(WindowStarts(at=self.moment()))
        self._tell_damage()
        self._leave_papers()

    def handle(self, happening: Happening) -> tuple[Fact, ...]:
        """Decide, commit, wake; the facts that came of it.

        Raises Refused when the window will not, NotKept when the card did not take it: then nothing has happened.
        """
        with self._lock:
            if isinstance(happening, MaterialsArrive) and self.case_of_form(happening.form) is not None:
                return ()
            happening = self._looked_up(happening)
            facts, chatter = self._chatter.sift(happening, self._decide(happening))
            if facts:
                self._commit(facts, happening)
            self._chatter = chatter
            watches = self._seeing() if facts else []
        if isinstance(happening, TimePasses):
            self.ring()
        elif facts:
            self._ring(watches)
        return facts

    def tell(self, happening: Happening) -> None:
        """What a device has to say: a card that takes nothing is not the device's business, and loud elsewhere.

        Of how a device is, the last word is told again when the card takes facts; a press of that time stays refused.
        """
        part = _part(happening)
        try:
            self.handle(happening)
        except NotKept:
            if part:
                with self._lock:
                    self._untold[part] = happening
            return
        if part:
            with self._lock:
                self._untold.pop(part, None)

    def _decide(self, happening: Happening) -> tuple[Fact, ...]:
        if isinstance(happening, PaperMoves):
            return self._paper_moves(happening)
        return decide(self._desk, happening, self.rules)

    def _looked_up(self, happening: Happening) -> Happening:
        """An order with how many of the facts that it asks for are there."""
        if not isinstance(happening, OrderArrives) or (replay := orders.asked_again(happening)) is None:
            return happening
        return msgspec.structs.replace(happening, present=self.ledger.present(replay.first, replay.last))

    def _commit(self, facts: tuple[Fact, ...], happening: Happening) -> None:
        desk, at = self._desk, happening.at
        for fact in facts:
            desk = apply(desk, fact, at)
        again = orders.carries_out(happening, facts) if isinstance(happening, OrderArrives) else None
        try:
            self.ledger.commit(facts, at, desk, again)
        except NotKept as error:
            self._began = at if self.kept else self._began
            self._full = True
            # A level is read again and again; what people did is what was refused.
            self._refused += not isinstance(happening, SwitchReads | TimePasses)
            log.error("the ledger did not take %s: %s", [fact.type for fact in facts], error)
            self.ring()
            raise
        self._desk = desk

    # ---- a card that takes nothing ------------------------------------------------------------------------------

    @property
    def kept(self) -> bool:
        """False from the first fact that the card did not take until it takes one again."""
        return not self._full

    def try_again(self) -> None:
        """While the card takes nothing: see whether it does now, and then leave a fact of what was refused."""
        with self._lock:
            if self.kept:
                return
            at, refused = self.moment(), self._refused
            facts = (
                DeviceFailed(device="card", reason="not_written", detail=f"{refused}"),
                DeviceRecovered(device="card", reason="not_written"),
            )
            desk = self._desk
            for fact in facts:
                desk = apply(desk, fact, at)
            try:
                self.ledger.commit(facts, at, desk)
            except NotKept:
                return
            self._desk, self._refused, self._full = desk, 0, False
            log.warning("the ledger takes facts again; %d were refused", refused)
            for happening in tuple(self._untold.values()):
                self.tell(msgspec.structs.replace(happening, at=self.moment()))
            self._leave_papers()
        self.ring()

    # ---- what became of the ledger's file -----------------------------------------------------------------------

    def check(self, pause: Pause) -> None:
        """Check the whole ledger, and tell what was found; it takes its time, on a loop of its own."""
        try:
            verdict = self.ledger.check(pause)
        except Stopped:
            return
        except NotKept as error:
            log.error("the ledger could not be checked, and will be again: %s", error)
            pause(CHECK_AGAIN_S)
            self.ledger.suspected.set()
            return
        if verdict.damage:
            aside = self.ledger.damage.aside.name if self.ledger.damage else verdict.damage
            log.error("the ledger is damaged (%s): %s", verdict.damage, aside)
            self._tell_ledger("damaged", aside)
        elif verdict.missing:
            log.error("facts are missing in the ledger: %s", verdict.missing)
            self._tell_ledger("facts_missing", ", ".join(f"{low}-{high}" for low, high in verdict.missing))
        self.ring()

    def _tell_damage(self) -> None:
        damage, loss = self.ledger.damage, self.ledger.loss
        if damage:
            log.error("the ledger was not right (%s) and set aside as %s", damage.reason, damage.aside)
            self._tell_ledger(damage.kind, damage.aside.name)
        elif loss:
            log.error("up to %d facts are lost with the ledger's log; it was copied as %s", loss.sequences, loss.copy)
            self._tell_ledger("frames_lost", loss.copy.name if loss.copy else "")
        else:
            self.tell(DeviceRecovers(at=self.moment(), device="ledger"))

    def _tell_ledger(self, reason: str, detail: str) -> None:
        self.tell(DeviceFails(at=self.moment(), device="ledger", reason=reason, detail=detail))

    # ---- what chatters ------------------------------------------------------------------------------------------

    def calm(self) -> None:
        """Write what was held of sources that chatter, as far as they may write again."""
        if not self.kept:
            return
        with self._lock, suppress(NotKept):
            at = self.moment()
            wrote = [self._settle(name, at) for name in self._chatter.due(at)]
            if not any(wrote):
                return
        self.ring()

    def _settle(self, name: str, at: Moment) -> bool:
        source = self._chatter.held(name, at)
        facts, desk = of_held(source), self._desk
        for fact in facts:
            desk = apply(desk, fact, at)
        word = last_word(source, at)
        chatters = desk.trouble("away")
        if source.last is None and chatters and chatters.reason == "chatters":
            word = DeviceRecovers(at=at, device="away")
        facts += decide(desk, word, self.rules) if word else ()
        if facts:
            self._commit(facts, word or TimePasses(at=at))
        self._chatter = self._chatter.settle(name, at, len(facts))
        return bool(facts)

    # ---- papers -------------------------------------------------------------------------------------------------

    def _paper_moves(self, moves: PaperMoves) -> tuple[Fact, ...]:
        paper = self.ledger.paper(moves.paper)
        if paper is None:
            return ()
        if moves.outcome == "confirmed":
            return (PaperPrinted(paper=paper.paper, case=paper.case, copy=paper.copy),)
        kind = PaperUnconfirmed if moves.outcome == "unconfirmed" else PaperFailed
        return (kind(paper=paper.paper, case=paper.case, copy=paper.copy, reason=moves.reason),)

    def _leave_papers(self) -> None:
        # Nothing prints by itself after a restart: the resident may be gone, and the clerk decides.
        for paper in self.ledger.papers_left():
            outcome: Literal["failed", "unconfirmed"] = "failed" if paper.state == "queued" else "unconfirmed"
            self.tell(PaperMoves(at=self.moment(), paper=paper.paper, outcome=outcome, reason="restarted"))

    def print_again(self, case: str, after: str) -> Paper | None:
        """Queue the paper of a case once more after its paper `after`; None when there is no such case.

        Raises NotKept on a card that takes nothing.
        """
        paper = self.ledger.queue_again(case, after, self.moment())
        self.ring()
        return paper

    # ---- who looks ----------------------------------------------------------------------------------------------

    def view(self) -> View:
        """The window as it stands now."""
        return look(self._desk, self.moment(), self.rules, self.kept, self._began)

    def changes_in(self) -> float | None:
        """Seconds until the window looks different by itself; None when it will not."""
        return changes_in(self._desk, self.moment(), self.rules)

    def case_of_form(self, form: str) -> str | None:
        """The case that a form was turned into, None when it was not."""
        return self.ledger.case_of_form(form)

    def ring_for(self, bell: Bell) -> None:
        """Ring this bell after every change, from the thread that made it; it must only wake somebody."""
        self._bells = (*self._bells, bell)

    def watch(self, of: Callable[[Desk], object] | None = None) -> Watch:
        """A watch that hears of every change from now on; with `of`, only when that takes another value from the desk.

        What no desk tells (time, a full card, a reprint) is rung to every watch.
        """
        with self._lock:
            watch = Watch(self._unwatch, of, self._desk)
            self._watches = (*self._watches, watch)
        return watch

    def _unwatch(self, watch: Watch) -> None:
        with self._lock:
            self._watches = tuple(one for one in self._watches if one is not watch)

    def ring_first(self, bell: Bell) -> None:
        """Ring this bell before all others, and give whom it wakes a head start."""
        self._first = bell

    def ring(self) -> None:
        """Wake everybody."""
        with self._lock:
            self._seeing()
            watches = list(self._watches)
        self._ring(watches)

    def _seeing(self) -> list[Watch]:
        """The watches that see something else on this desk; whoever is rung for another reason has seen it too."""
        return [watch for watch in self._watches if watch.sees(self._desk)]

    def _ring(self, watches: list[Watch]) -> None:
        if self._first is not None:
            self._first()
            if watches or self._bells:
                # Whoever else is woken takes the interpreter from the courier in the middle of its sending, and the
                # fact leaves as much later; a lamp has thirty milliseconds.
                time.sleep(HEAD_START_S)
        for watch in watches:
            watch.ring()
        for bell in self._bells:
            bell()


def _part(happening: Happening) -> str:
    """The part of the window whose state a happening tells; empty for all others."""
    if isinstance(happening, DeviceFails | DeviceRecovers):
        return happening.device
    return f"key{happening.grade}" if isinstance(happening, KeySticks | KeyFrees) else ""

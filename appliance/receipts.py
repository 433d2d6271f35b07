"""Between the counter and the printer: which paper comes next, what it says, and what became of it."""

import logging
from collections.abc import Callable
from contextlib import suppress

from appliance.counter import Counter
from appliance.devices.condition import Outcome
from appliance.devices.press import Failing, FontsFail, FontsWork, Press, Queued, Reports, Undrawn, Working
from appliance.guard import DeviceTrouble, guarded
from appliance.ledger import Ledger, NotKept
from appliance.paper import document, plain
from appliance.paper.glyphs import Glyphs
from appliance.paper.layout import lay_out
from appliance.window.facts import CaseReceived
from appliance.window.happenings import DeviceFails, DeviceRecovers, PaperMoves

log = logging.getLogger(__name__)

RETRY_S = 2.0


class PaperTray:
    """The papers that the ledger holds for the printer."""

    def __init__(self, counter: Counter, write: Callable[[CaseReceived, int], document.Document]) -> None:
        self._counter = counter
        self._write = write
        self._owed: PaperMoves | None = None

    def next_queued(self) -> Queued | None:
        """The oldest paper that waits, written out; none while the card owes us the outcome of the last one.

        One that cannot be written out is handed on empty, which the press finds unreadable: else it would be the next
        for ever.
        """
        self._settle()
        paper = self._counter.ledger.next_paper()
        if paper is None or self._owed is not None:
            return None
        try:
            with guarded("unreadable"):
                return Queued(paper.paper, document.encode(self._write(paper.content, paper.copy)))
        except DeviceTrouble as trouble:
            log.error("paper %s cannot be written out: %s", paper.paper, trouble.detail)
            return Queued(paper.paper, b"")

    def sending(self, paper: str) -> bool:
        """Commit that the paper goes to the printer; False on a card that takes nothing: it stays queued."""
        try:
            self._counter.ledger.send_paper(paper)
        except NotKept:
            return False
        self._counter.ring()
        return True

    def came_out(self, paper: str, outcome: Outcome) -> None:
        """Commit what became of the paper; on a card that takes nothing, as soon as it takes it."""
        at = self._counter.moment()
        self._owed = PaperMoves(at=at, paper=paper, outcome=outcome.state, reason=outcome.reason)
        self._settle()

    def _settle(self) -> None:
        if self._owed is None:
            return
        with suppress(NotKept):
            self._counter.handle(self._owed)
            self._owed = None


class PrintLoop:
    """The printer's loop: papers as they come, a look at the printer between them."""

    def __init__(self, ledger: Ledger, press: Press) -> None:
        self._queued = ledger.paper_queued
        self._press = press

    def step(self) -> None:
        """Print what waits, then wait for more; a press on a key does not wake this."""
        self._queued.clear()
        wait = self._press.step()
        if wait > 0:
            self._queued.wait(min(wait, RETRY_S))


def reports(counter: Counter) -> Reports:
    """What the press has to say, told to the counter."""

    def report(word: Failing | Working | FontsFail | FontsWork | Undrawn) -> None:
        at = counter.moment()
        if isinstance(word, Failing):
            counter.tell(DeviceFails(at=at, device="printer", reason=word.reason, detail=word.detail))
        elif isinstance(word, Working):
            counter.tell(DeviceRecovers(at=at, device="printer"))
        elif isinstance(word, FontsFail):
            counter.tell(DeviceFails(at=at, device="font", reason="unusable", detail=word.detail))
        elif isinstance(word, FontsWork):
            counter.tell(DeviceRecovers(at=at, device="font"))
        else:
            codes = " ".join(f"U+{ord(char):04X}" for char in word.characters)
            counter.tell(DeviceFails(at=at, device="font", reason="no_glyph", detail=codes))

    return report


def preview(
    write: Callable[[CaseReceived, int], document.Document], cells: int, glyphs: Glyphs
) -> Callable[[CaseReceived, int], str]:
    """A receipt as plain text, line for line as it will be printed."""
    return lambda case, copy: plain.paint(lay_out(write(case, copy), cells, glyphs.has))

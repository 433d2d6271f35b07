"""The print loop's body: takes the oldest queued paper, prints it once, says what became of it, watches the printer.

It has no thread: the loop that owns it calls `step` and waits as long as it says, or until something is queued.
"""

import logging
import time
from collections.abc import Callable
from typing import Protocol

import msgspec

from appliance.devices.condition import Condition, Outcome
from appliance.devices.printer import Printer
from appliance.guard import DeviceTrouble, guarded, together
from appliance.paper import document, escpos, plain
from appliance.paper.glyphs import Glyphs
from appliance.paper.layout import lay_out
from appliance.paper.profile import Profile

log = logging.getLogger(__name__)

POLL_S = 5.0
"""Between two looks at an idle printer."""

CARE_S = 2.0
"""The same while it cannot print: how soon one that was absent is found again."""


class Queued(msgspec.Struct, frozen=True):
    """A paper that waits to be printed: its number and its document as JSON."""

    paper: str
    document: bytes


class Tray(Protocol):
    """Where papers wait, and where their life is written down; what it raises ends the loop."""

    def next_queued(self) -> Queued | None:
        """The oldest paper that waits."""

    def sending(self, paper: str) -> bool:
        """Commit that the paper is about to be sent; False when it must not be, and the paper is left alone."""

    def came_out(self, paper: str, outcome: Outcome) -> None:
        """Commit what became of it."""


class Failing(msgspec.Struct, frozen=True):
    """The printer cannot print, or cannot for another reason than before."""

    reason: str
    detail: str


class Working(msgspec.Struct, frozen=True):
    """The printer can print again."""


class FontsFail(msgspec.Struct, frozen=True):
    """Font files cannot be read; the words name each."""

    detail: str


class FontsWork(msgspec.Struct, frozen=True):
    """Every font file can be read again."""


class Undrawn(msgspec.Struct, frozen=True):
    """A paper holds characters that no font on this machine has; each stands as 〓 with its code beneath."""

    paper: str
    characters: tuple[str, ...]


Reports = Callable[[Failing | Working | FontsFail | FontsWork | Undrawn], None]


class Press:
    """Prints the papers of a tray on a printer, one at a time, oldest first, none twice."""

    def __init__(
        self,
        printer: Printer,
        profile: Profile,
        glyphs: Glyphs,
        tray: Tray,
        reports: Reports,
        *,
        lacking: DeviceTrouble | None = None,
        grace_s: float = 0.0,
        poll_s: float = POLL_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._printer = printer
        self._profile = profile
        self._glyphs = glyphs
        self._tray = tray
        self._reports = reports
        self._poll_s = poll_s
        self._clock = clock
        self._look_at = clock()
        self._absent_until = clock() + grace_s
        """Until then a printer that is not there yet is no fault: USB comes up beside the window at a boot."""
        self._reported: Failing | Working | None = None
        self._lacking = lacking and Failing(lacking.reason, lacking.detail)
        """What is wrong although the printer is well: no table of makes, a paper that could not be painted."""
        self._broken = ""
        self.condition = Condition("unknown")

    def step(self) -> float:
        """Print one paper, or look at the printer when it is time; returns seconds until there is more to do."""
        self._look_at_fonts()
        if self._reported is None and self._clock() < self._absent_until and self._clock() >= self._look_at:
            self._look()
        queued = None if self._comes_yet() else self._tray.next_queued()
        if queued is not None and self._tray.sending(queued.paper):
            self._tray.came_out(queued.paper, self._print(queued))
            return 0.0
        if self._clock() >= self._look_at:
            self._look()
        return max(0.0, self._look_at - self._clock())

    def _print(self, queued: Queued) -> Outcome:
        job = self._paint(queued)
        if job is None:
            return Outcome("failed", "unreadable")
        outcome = self._printer.carry_out(job)
        if outcome.state == "confirmed":
            self._found(Condition("ok", outcome.reason))
        else:
            self._look_at = self._clock()
        return outcome

    def _paint(self, queued: Queued) -> bytes | None:
        """The paper as bytes; None when it cannot be painted, whatever Pillow or a font makes of it: no retry."""
        try:
            with guarded("unreadable"):
                sheet = lay_out(document.decode(queued.document), self._profile.cells, self._glyphs.has)
                log.debug("printing %s\n%s", queued.paper, plain.paint(sheet))
                job = escpos.paint(sheet, self._profile, self._glyphs.dots)
        except DeviceTrouble as trouble:
            log.error("paper %s cannot be painted: %s", queued.paper, trouble.detail)
            self._lacking = Failing("unreadable", trouble.detail)
            self._found(self.condition)
            return None
        if self._lacking and self._lacking.reason == "unreadable":
            self._lacking = None
        self._look_at_fonts()
        if sheet.missing:
            self._reports(Undrawn(queued.paper, sheet.missing))
        return job

    def _look_at_fonts(self) -> None:
        """Report fonts that cannot be read, and those that can again."""
        if self._glyphs.broken:
            self._glyphs.look()
        broken = together(f"{path.name}: {why}" for path, why in self._glyphs.broken.items())
        if broken != self._broken:
            self._reports(FontsFail(broken) if broken else FontsWork())
        self._broken = broken

    def forget(self) -> None:
        """Another has spoken for the printer meanwhile: report anew how it is."""
        self._reported = None
        self._look_at = self._clock()

    def _look(self) -> None:
        self._found(self._printer.condition())
        self._look_at = self._clock() + (min(CARE_S, self._poll_s) if self.condition.state == "bad" else self._poll_s)

    def _comes_yet(self) -> bool:
        """Whether the printer, absent since the start, may still come up: until then papers wait for it."""
        absent = self.condition.state == "bad" and self.condition.reason == "absent"
        return absent and self._reported is None and self._clock() < self._absent_until

    def _found(self, condition: Condition) -> None:
        """Report the first time and at each change; a mute printer, or one short of paper, is no failure."""
        self.condition = condition
        bad = Failing(condition.reason, condition.detail) if condition.state == "bad" else None
        if self._comes_yet():
            return
        found = bad or self._lacking or Working()
        if _kind(found) != _kind(self._reported):
            self._reports(found)
        self._reported = found


def _kind(found: Failing | Working | None) -> str | None:
    """What makes two findings the same: the reason, not the system's words for it; Working has the empty one."""
    if found is None:
        return None
    return found.reason if isinstance(found, Failing) else ""

"""A window whose ledger cannot be opened (card read-only, full or gone): it says so on its screens and tries again.

A program that ended instead would be started again every few seconds, and the screens would stay black.
"""

import logging
import time
from contextlib import ExitStack

from appliance import notify
from appliance.ledger import Ledger
from appliance.ledger_file import LedgerUnusable
from appliance.loops import Loops
from appliance.pages import answer_by_name
from appliance.panel.no_ledger import NoLedgerPages
from appliance.panel.scene import Station
from appliance.server import serve
from appliance.settings import WindowSettings

log = logging.getLogger(__name__)

RETRY_S = 5.0
SANDBOX_S = 60.0
"""In systemd's sandbox every mount stays as it was at the start: a card that was made writable again is only seen by a
new process, so this one ends now and then and is started anew."""


class Standby:
    """Stands where the window would, from one failure to open its ledger until it can be opened."""

    def __init__(self, settings: WindowSettings, why: LedgerUnusable) -> None:
        self._settings = settings
        self._why = str(why)
        self._loops = Loops()
        self._opened = False
        self._began = time.monotonic()
        self._sandboxed = notify.is_service()
        station, panel = settings.station, settings.panel
        self._pages = NoLedgerPages(
            settings.window.id,
            Station(
                name=station.name,
                window=settings.window.label,
                telephone=station.telephone,
                complaints=station.complaints_telephone,
            ),
            lambda: self._why,
            panel.viewers,
        )

    def run(self) -> bool:
        """Serve the pages; True once the ledger can be opened, False when it is time to end. Raises CannotListen."""
        panel = self._settings.panel
        answer_by_name(self._pages.app, panel.listen)
        with ExitStack() as closing:
            server = serve(self._pages.app, panel.listen, panel.port, stream=self._pages.stream)
            closing.callback(server.close)
            closing.callback(self._loops.join)
            self._loops.stop_on_signals()
            self._loops.add("web", server.step)
            self._loops.add("ledger", self._try, allowance=120)
            self._loops.start()
            notify.tell(f"READY=1\nSTATUS={self._why}")
            watchdog = notify.watchdog_s()
            self._loops.wait(lambda: notify.tell("WATCHDOG=1"), every=watchdog / 3 if watchdog else 5.0)
        # The window takes them again when its ledger is open, which on a slow card is long after.
        self._loops.leave_signals()
        return self._opened and not self._loops.told_to_end

    @property
    def sound(self) -> bool:
        """True while no loop of it has failed."""
        return self._loops.sound

    def _try(self) -> None:
        if self._loops.ended.wait(RETRY_S):
            return
        if self._sandboxed and time.monotonic() - self._began > SANDBOX_S:
            log.info("starting anew, to see the card as it is now")
            self._loops.stop()
            return
        try:
            Ledger.open(self._settings.ledger.path, self._settings.window.id).close()
        except LedgerUnusable as unusable:
            self._say(str(unusable))
            return
        log.warning("the ledger can be opened again")
        self._opened = True
        self._loops.stop()

    def _say(self, why: str) -> None:
        if why == self._why:
            return
        self._why = why
        log.error("%s", why)
        notify.tell(f"STATUS={why}")
        self._pages.tell()

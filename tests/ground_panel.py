"""A window's pages on a free port, for the tests: a real counter on a real ledger, served as in production."""

import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from typing import Literal

import msgspec

from appliance.clock import Clock
from appliance.counter import Counter
from appliance.fittings import writer_of
from appliance.ledger import NotKept
from appliance.panel.bench import Bench
from appliance.panel.panel import Panel
from appliance.panel.scene import Station
from appliance.paper import plain
from appliance.paper.layout import lay_out
from appliance.server import Server, serve
from appliance.settings import Broker, ClerkEntry, WindowName, WindowSettings
from appliance.settings import Station as Place
from appliance.window.facts import CaseReceived
from appliance.window.happenings import Happening, KeyPresses, TimePasses, VisitBegins, VisitEnds
from appliance.window.moment import CHINA

STATION = Station(name="梅溪乡医疗保障服务站", window="1号窗口", telephone="0730-5551234", complaints="12393")


class Line(msgspec.Struct):
    """A link that the test moves."""

    connected: bool = True
    county: bool | None = True
    since: datetime = datetime(2026, 11, 23, 8, 30, tzinfo=CHINA)
    depth: int = 0
    doubt: Literal["", "broker", "county"] = ""


SETTINGS = WindowSettings(
    window=WindowName("430602-0107-1", STATION.window),
    station=Place(place="梅溪乡", telephone=STATION.telephone),
    clerks=(ClerkEntry("0107", "王敏"),),
    broker=Broker(host="127.0.0.1"),
)


def preview(case: CaseReceived, copy: int) -> str:
    """The receipt as plain text."""
    return plain.paint(lay_out(writer_of(SETTINGS)(case, copy), 32, bool))


class PanelGround:
    """The pages of one window while the test runs."""

    def __init__(self, counter: Counter, hardware: Bench | None = None, viewers: int = 16, served: bool = True) -> None:
        self.counter = counter
        self.link = Line()
        self._hardware, self._viewers = hardware, viewers
        self.panel = self._panel()
        self._ended = threading.Event()
        self._threads: list[threading.Thread] = []
        self._server: Server | None = None
        if served:
            self._serve()

    def _panel(self) -> Panel:
        return Panel(
            self.counter,
            STATION,
            link=lambda: self.link,
            preview=preview,
            health=lambda: {"ok": True, "window": self.counter.rules.window},
            hardware=self._hardware,
            viewers=self._viewers,
        )

    def _serve(self, port: int = 0) -> None:
        self._server = serve(self.panel.app, "127.0.0.1", port, stream=self.panel.stream)
        steps: tuple[Callable[[], None], ...] = (lambda: self.panel.step(0.2), lambda: self.panel.step_bench(0.2))
        self._ended.clear()
        self._threads = [threading.Thread(target=self._loop, args=(step,)) for step in steps]
        self._threads.append(threading.Thread(target=self._server.run))
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """The window's program ends."""
        self._ended.set()
        self.panel.close()
        if self._server is not None:
            self._server.stop()
        for thread in self._threads:
            thread.join(10)
            assert not thread.is_alive()

    def start_again(self) -> None:
        """It starts again, on the same port and with the same counter."""
        assert self._server is not None
        self.panel = self._panel()
        self._serve(self._server.port)

    close = stop

    @property
    def url(self) -> str:
        """Where the pages are."""
        assert self._server is not None
        return self._server.url

    def _loop(self, step: Callable[[], None]) -> None:
        while not self._ended.is_set():
            step()

    # ---- what hands do --------------------------------------------------------------------------------------------

    def happens(self, kind: type[Happening], **fields: object) -> None:
        """Something happens now."""
        self.counter.handle(kind(at=self.counter.moment(), **fields))

    def serve_one(self) -> None:
        """A resident is served and asked."""
        self.happens(VisitBegins)
        self.happens(VisitEnds)

    def press(self, grade: int, *beside: int) -> None:
        """A key goes down, others just before it."""
        self.happens(KeyPresses, grade=grade, beside=beside)

    def time_passes(self) -> None:
        """What the hourglass says when a prompt has run out."""
        self.happens(TimePasses)

    def fill_card(self) -> None:
        """SQLite itself refuses to write from now on, as on a card that is full, and one press has found out."""
        self.counter.ledger._writer.execute("PRAGMA query_only = ON")
        with suppress(NotKept):
            self.press(5)


def real_clock() -> Clock:
    """The clock of this machine, trusted: a day counted from an untrusted one is 暂定."""
    clock = Clock()
    clock._synced = True
    return clock

"""Puts one window together: keys and network first, the rest after, because a press must not wait for a page."""

from contextlib import ExitStack
from typing import TYPE_CHECKING

from appliance import notify, wire
from appliance.clock import Clock
from appliance.counter import Counter
from appliance.courier import Courier, Ordered, Pace
from appliance.device_loops import GRACE_S, CameraLoop, LampLoop, fails
from appliance.devices.condition import Condition
from appliance.devices.lamps import Lamps
from appliance.devices.pad import Pad
from appliance.devices.pins import Pins
from appliance.fittings import (
    address_of,
    bench_printer_of,
    cable_of,
    camera_of,
    glyphs_of,
    no_makes,
    printer_of,
    profile_of,
    rules_of,
    wiring_of,
    writer_of,
)
from appliance.guard import let_go
from appliance.hourglass import Hourglass
from appliance.ledger import Ledger
from appliance.loops import Loops
from appliance.settings import WindowSettings
from appliance.standing import Health, health_page, status
from appliance.window.happenings import ClockSyncs, DeviceFails, DeviceRecovers, OrderArrives

if TYPE_CHECKING:
    from appliance.devices.bench import Bench
    from appliance.devices.paper_bench import BenchPrinter
    from appliance.devices.press import Press
    from appliance.panel.panel import Panel
    from appliance.paper.glyphs import Glyphs

KEEP_EVERY = 5.0
USB_SETTLED_S = 60.0
"""Seconds after power-on by which every printer that is plugged in has its driver, also on a slow card."""


class Window:
    """One window of the settings, with its loops; `run` returns when it ends."""

    def __init__(self, settings: WindowSettings) -> None:
        self.settings = settings
        self.loops = Loops()
        self._profile = profile_of(settings)
        self._closing = ExitStack()
        self._clock = Clock(settings.clock.source)
        self._clock.look()
        ledger = Ledger.open(settings.ledger.path, settings.window.id)
        self._closing.callback(ledger.close)
        self.counter = Counter(ledger, rules_of(settings), self._clock)
        self.pins = Pins(settings.pad.factory)
        self._closing.callback(let_go, "the GPIO chip", self.pins.close)
        self.pad = Pad(wiring_of(settings), self.pins, self.counter.tell, self.counter.moment, GRACE_S)
        self._cable = cable_of(settings)
        if self._cable is not None:
            self._closing.callback(let_go, "the cable", self._cable.close)
        self._press: Press | None = None
        self._panel: Panel | None = None

    def run(self) -> bool:
        """Run until told to stop; True when no loop failed. Raises CannotListen when the port is taken."""
        with self._closing:
            try:
                self.loops.stop_on_signals()
                self.counter.start()
                self._start_keys()
                self._start_network()
                self._start_lamps()
                self._start_keeping()
                self.loops.start()
                self._start_paper()
                self._start_pages()
                self.loops.start()
                notify.tell("READY=1")
                watchdog = notify.watchdog_s()
                self.loops.wait(lambda: notify.tell("WATCHDOG=1"), every=watchdog / 3 if watchdog else 5.0)
                notify.tell("STOPPING=1")
            finally:
                self._stop_loops()
        return self.loops.sound

    def _stop_loops(self) -> None:
        """Wake every loop that sleeps, so that it sees the end at once."""
        self.loops.stop()
        self.pad.wake()
        self.counter.ledger.suspected.set()
        self.counter.ring()
        self.loops.join()

    # ---- keys and network first ---------------------------------------------------------------------------------

    def _start_keys(self) -> None:
        self._closing.callback(let_go, "the pad", self.pad.close)
        self.pad.arm()
        self.loops.add("pad", self.pad.step)

    def _start_lamps(self) -> None:
        pad, away = self.settings.pad, self.settings.away
        lamps = Lamps(self.pins, pad.lamps, away.lamp, pad.lamps_active_low, away.lamp_active_low)
        self._closing.callback(let_go, "the lamps", lamps.close)
        loop = LampLoop(self.counter, lamps)
        self.loops.add_device("lamps", loop.step, fails=fails(self.counter, "lamps"), forgets=loop.forget)
        self.loops.add("time", Hourglass(self.counter).step)

    def _start_network(self) -> None:
        settings = self.settings
        place, camera = settings.ledger.path.parent, settings.camera.kind
        self._health = Health(self.counter, place, self.printer_condition, camera)
        self.courier = Courier(
            window=settings.window.id,
            address=address_of(settings, self._cable),
            ledger=self.counter.ledger,
            status=lambda: status(self.counter, settings.window.label),
            health=self._health,
            now=lambda: self.counter.moment().at,
            on_order=self._take_order,
            on_link=self._show_link,
            pace=Pace(keepalive=settings.broker.keepalive_s),
        )
        self._closing.callback(self.courier.close)
        self.counter.ring_first(self.courier.wake)
        self.loops.add("network", lambda: self.courier.step(5))

    def _take_order(self, order: Ordered) -> None:
        data = wire.encode(order.replay) if order.replay else b"null"
        self.counter.tell(OrderArrives(at=self.counter.moment(), order=order.order, name=order.name, data=data))

    def _show_link(self) -> None:
        if self._panel is not None:
            self._panel.wake()

    def _start_keeping(self) -> None:
        def keep() -> None:
            self.counter.ledger.tidy()
            self._clock.look()
            self.counter.tell(ClockSyncs(at=self.counter.moment()))
            self._tell_clock()
            self.loops.ended.wait(KEEP_EVERY)

        self.loops.add("ledger", keep)
        self.loops.add("check", self._check, allowance=float("inf"))

    def _check(self) -> None:
        """Check the whole ledger, behind the keys and at its own pace, and again should it show damage later."""
        self.counter.check(self.loops.ended.wait)
        self.counter.ledger.suspected.wait()

    def _tell_clock(self) -> None:
        at, why = self.counter.moment(), self._clock.trouble
        failing = DeviceFails(at=at, device="clock", reason="cannot_tell", detail=why)
        self.counter.tell(failing if why else DeviceRecovers(at=at, device="clock"))

    def printer_condition(self) -> Condition:
        """How the printer was when it was last looked at."""
        return self._press.condition if self._press else Condition("unknown")

    # ---- paper and pages ----------------------------------------------------------------------------------------

    def _start_paper(self) -> None:
        from appliance.devices.press import Press
        from appliance.receipts import PaperTray, PrintLoop, reports

        self._write = writer_of(self.settings)
        self._glyphs: Glyphs = glyphs_of(self.settings)
        if not self._glyphs.broken:
            self.counter.tell(DeviceRecovers(at=self.counter.moment(), device="font"))
        self._tray_end: BenchPrinter | None = bench_printer_of(self.settings)
        self._press = Press(
            printer_of(self.settings, self._tray_end),
            self._profile,
            self._glyphs,
            PaperTray(self.counter, self._write),
            reports(self.counter),
            lacking=no_makes(self.settings),
            grace_s=max(0.0, USB_SETTLED_S - self.counter.moment().up),
        )
        self.loops.add_device(
            "printer",
            PrintLoop(self.counter.ledger, self._press).step,
            fails=fails(self.counter, "printer"),
            forgets=self._press.forget,
            allowance=180,
        )
        camera = CameraLoop(self.counter, camera_of(self.settings), self.loops.ended)
        self.loops.add_device("camera", camera.step, fails=fails(self.counter, "camera"), allowance=120)

    def _start_pages(self) -> None:
        from appliance.pages import answer_by_name
        from appliance.panel.panel import Panel
        from appliance.panel.scene import Station
        from appliance.receipts import preview
        from appliance.server import serve

        place, panel = self.settings.station, self.settings.panel
        self._panel = Panel(
            self.counter,
            Station(
                name=place.name,
                window=self.settings.window.label,
                telephone=place.telephone,
                complaints=place.complaints_telephone,
            ),
            link=self.courier.link,
            preview=preview(self._write, self._profile.cells, self._glyphs),
            health=self._health_page,
            hardware=self._hardware(),
            viewers=panel.viewers,
        )
        answer_by_name(self._panel.app, panel.listen)
        server = serve(self._panel.app, panel.listen, panel.port, stream=self._panel.stream)
        self._closing.callback(server.close)
        self._closing.callback(self._panel.close)
        self.loops.add("pages", self._panel.step)
        self.loops.add("web", server.step)
        if self.settings.bench.enabled:
            self.loops.add("bench", self._panel.step_bench)

    def _health_page(self) -> dict[str, object]:
        courier, loops = self.courier, self.loops
        return health_page(self.counter, courier.link(), courier.behind_s(), loops.late(), loops.late(vital=True))

    def _hardware(self) -> "Bench | None":
        if self._cable is None:
            return None
        from appliance.broker import hold_from_environment
        from appliance.devices.bench import Bench, Tray
        from appliance.fittings import away_of, wires_of

        wires = wires_of(self.settings, self.pins)
        tray = Tray(self._tray_end, self._glyphs) if self._tray_end else None
        return Bench(wires, away_of(self.settings, wires), tray, self._cable, hold_from_environment())

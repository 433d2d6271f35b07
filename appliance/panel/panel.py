"""Puts the window's pages together on one app, and keeps them live."""

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from appliance.counter import Counter
from appliance.pages import Stream, site
from appliance.panel import bench, clerk, phrases, resident
from appliance.panel.bench import Bench, BenchPages
from appliance.panel.clerk import ClerkPages, Preview
from appliance.panel.resident import ResidentPages
from appliance.panel.scene import Link, Scene, Stage, Station

BENCH_LOOK_S = 0.05
LOOK_S = 30.0
"""Without any change a page is looked over this often: a new day makes other times of yesterday's."""


class Panel:
    """`/` for the clerk, `/display` for the residents, `/bench` where there is a bench, `/events/…`, `/healthz`.

    `link` tells how the window stands with the county; `preview` gives a receipt as text. Serve `app` with `stream`;
    one thread calls `step` again and again, and another `step_bench` where there is a bench.
    """

    def __init__(
        self,
        counter: Counter,
        station: Station,
        *,
        link: Callable[[], Link],
        preview: Preview,
        health: Callable[[], Mapping[str, Any]],
        hardware: Bench | None = None,
        viewers: int = 16,
    ) -> None:
        self.stream = Stream(viewers)
        also = ("resident", "bench") if hardware else ("resident",)
        self.app = site("clerk", phrases=phrases, health=health, also=also)
        self._link = link
        self._stage = Stage(counter)
        # A page that somebody opens is drawn as it is opened, and while none is open nothing has to be drawn.
        self._watch = counter.watch(lambda _: counter.ledger.last_seq if len(self.stream) else 0)
        self._shown: Scene | None = None
        self._looked = 0.0
        self._clerk = ClerkPages(self.app, self.stream, counter, station, self.scene, preview)
        self._resident = ResidentPages(self.app, self.stream, station, self.scene)
        self._bench = BenchPages(self.app, self.stream, station, hardware) if hardware else None
        self._idle = threading.Event()

    def scene(self) -> Scene:
        """What is to be shown now."""
        return self._stage.scene(self._link())

    def wake(self) -> None:
        """Something changed that the counter does not know of, such as the link."""
        self._watch.ring()

    def step(self, timeout: float = 2.0) -> None:
        """Wait for a change, at most `timeout` seconds, and show it to everyone who looks."""
        changed = self._watch.wait(timeout)
        if not len(self.stream):
            self._shown = None
            return
        now = time.monotonic()
        if not changed and self._shown is not None and now - self._looked < LOOK_S:
            return
        self._looked = now
        scene = self.scene()
        if scene != self._shown:
            self._shown = scene
            self._show(scene)

    def _show(self, scene: Scene) -> None:
        # The display first: it is what tells a resident that the press was taken.
        if self.stream.watched(resident.PAGE):
            self.stream.publish(resident.PAGE, self._resident.regions(scene))
        if self.stream.watched(clerk.PAGE):
            self.stream.publish(clerk.PAGE, self._clerk.regions(scene))

    def step_bench(self, timeout: float = 2.0) -> None:
        """Look at the bench while someone has it open; else wait at most `timeout` seconds."""
        if self._bench is None or not self.stream.watched(bench.PAGE):
            self._idle.wait(min(timeout, 0.5))
            return
        self.stream.publish(bench.PAGE, self._bench.regions())
        self._idle.wait(BENCH_LOOK_S)

    def close(self) -> None:
        """End every viewer."""
        self._idle.set()
        self.stream.close()
        self._watch.close()

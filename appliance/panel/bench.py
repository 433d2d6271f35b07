"""The bench: the window's hardware on the screen, on the same mock pins and devices that the tests drive.

`Bench` is what the page needs; a device makes it, without knowing this file: the shapes here are read-only protocols,
met by any struct with these attributes. The page looks at `state()` twenty times a second while someone has it open,
so it must be cheap; everything here may be called from any thread.
"""

from collections.abc import Callable, Sequence
from http import HTTPStatus
from typing import Literal, Protocol

from flask import Flask, Response, abort, render_template
from flask.typing import ResponseReturnValue

from appliance.pages import Stream, draw
from appliance.panel.scene import Station
from appliance.window.facts import Grade

PAGE = "bench"
REGIONS = {"bench-lamps": "bench/lamps.html", "bench-controls": "bench/controls.html", "bench-tray": "bench/tray.html"}
GRADES: dict[str, Grade] = {"5": 5, "4": 4, "3": 3, "2": 2, "1": 1}


class Lamp(Protocol):
    """One lamp: `name` is `prompt`, or `prompt-5` … `prompt-1` where every key has its own, or `away`."""

    @property
    def name(self) -> str: ...

    @property
    def lit(self) -> bool: ...


class BenchState(Protocol):
    """Everything on the bench as it is now."""

    @property
    def away_is(self) -> Literal["switch", "button", "none"]:
        """Whether 暂时离开 is a latching switch, a momentary button, or not wired."""

    @property
    def closed(self) -> bool:
        """The level of the switch, or whether the button is held."""

    @property
    def lamps(self) -> Sequence[Lamp]:
        """The lamps as their pins are."""

    @property
    def printer(self) -> bool:
        """Whether this bench has a printer; without, the next three mean nothing."""

    @property
    def cable_out(self) -> bool:
        """Whether the printer's cable is pulled."""

    @property
    def paper_out(self) -> bool:
        """Whether the roll is taken out."""

    @property
    def papers(self) -> Sequence[int]:
        """The numbers of the papers in the tray, newest first; `picture` shows one."""

    @property
    def network_cut(self) -> bool:
        """Whether the network cable to the county is pulled."""

    @property
    def broker(self) -> Literal["none", "up", "down"]:
        """`none` where the bench has no hold on the broker."""


class Bench(Protocol):
    """The hardware as hands find it: each method is one movement of a hand, done when it returns."""

    def state(self) -> BenchState:
        """How everything is now."""

    def press(self, grade: Grade) -> None:
        """Push a rating key down and hold it."""

    def release(self, grade: Grade) -> None:
        """Let a rating key come up."""

    def switch(self, closed: bool) -> None:
        """Turn the latching switch, or hold (True) and let go (False) the momentary button."""

    def cable(self, out: bool) -> None:
        """Pull (True) or plug in (False) the printer's cable."""

    def paper(self, out: bool) -> None:
        """Take the paper roll out (True), or put a new one in (False)."""

    def picture(self, paper: int) -> bytes | None:
        """A paper of the tray as it was printed, as a PNG; None when there is none of this number."""

    def network(self, cut: bool) -> None:
        """Pull (True) or plug in (False) the network cable to the county."""

    def kill_broker(self) -> None:
        """Kill the broker at once (SIGKILL); whoever started it starts it again after a while."""


class BenchPages:
    """The bench on an app: not made at all where the settings do not ask for one."""

    def __init__(self, app: Flask, stream: Stream, station: Station, bench: Bench) -> None:
        self._app = app
        self._stream = stream
        self._station = station
        self._bench = bench
        app.add_url_rule("/bench", view_func=self.page)
        app.add_url_rule("/bench/key/<grade>/<way>", view_func=self.key, methods=["POST"])
        app.add_url_rule("/bench/<part>/<way>", view_func=self.move, methods=["POST"])
        app.add_url_rule("/bench/paper/<int:number>.png", view_func=self.picture)
        app.add_url_rule("/events/bench", endpoint="bench_events", view_func=self.events)

    def regions(self) -> dict[str, str]:
        """The live regions: lamps, controls, tray."""
        return draw(self._app, REGIONS, state=self._bench.state())

    def page(self) -> ResponseReturnValue:
        """The bench."""
        return render_template("bench/bench.html", station=self._station, state=self._bench.state())

    def events(self) -> ResponseReturnValue:
        """Its live side."""
        return self._stream.reply(PAGE, self.regions)

    def key(self, grade: str, way: str) -> ResponseReturnValue:
        """A rating key goes down or comes up."""
        ways: dict[str, Callable[[Grade], None]] = {"down": self._bench.press, "up": self._bench.release}
        if grade not in GRADES or way not in ways:
            abort(HTTPStatus.NOT_FOUND)
        ways[way](GRADES[grade])
        return "", HTTPStatus.NO_CONTENT

    def move(self, part: str, way: str) -> ResponseReturnValue:
        """A switch, cable, roll or process is moved; `on` is what the hand does, `off` what it undoes."""
        parts: dict[str, Callable[[bool], None]] = {
            "switch": self._bench.switch,
            "cable": self._bench.cable,
            "paper": self._bench.paper,
            "network": self._bench.network,
        }
        if (part, way) == ("broker", "kill"):
            self._bench.kill_broker()
        elif part in parts and way in {"on", "off"}:
            parts[part](way == "on")
        else:
            abort(HTTPStatus.NOT_FOUND)
        return "", HTTPStatus.NO_CONTENT

    def picture(self, number: int) -> ResponseReturnValue:
        """One paper of the tray."""
        png = self._bench.picture(number)
        if png is None:
            abort(HTTPStatus.NOT_FOUND)
        return Response(png, mimetype="image/png")

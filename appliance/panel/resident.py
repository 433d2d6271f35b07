"""The resident's display: whose window it is, how it stands, the prompt to rate; it never shows a resident's name."""

from collections.abc import Callable

from flask import Flask, render_template
from flask.typing import ResponseReturnValue

from appliance.pages import Stream, draw
from appliance.panel.scene import Scene, Station

PAGE = "display"
REGIONS = {"display": "resident/state.html"}


class ResidentPages:
    """The display on an app; `scene` gives what is to be shown now."""

    def __init__(self, app: Flask, stream: Stream, station: Station, scene: Callable[[], Scene]) -> None:
        self._app = app
        self._stream = stream
        self._station = station
        self._scene = scene
        app.add_url_rule("/display", view_func=self.display)
        app.add_url_rule("/events/display", endpoint="display_events", view_func=self.events)

    def regions(self, scene: Scene) -> dict[str, str]:
        """The one live region of the display."""
        return draw(self._app, REGIONS, scene=scene, station=self._station)

    def display(self) -> ResponseReturnValue:
        """The page on the screen that faces the residents."""
        return render_template("resident/display.html", scene=self._scene(), station=self._station)

    def events(self) -> ResponseReturnValue:
        """Its live side."""
        return self._stream.reply(PAGE, lambda: self.regions(self._scene()))

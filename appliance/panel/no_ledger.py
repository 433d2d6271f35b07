"""The pages of a window whose ledger cannot be opened: where its panel and display are, they say what is wrong.

Nobody is served: what cannot be kept is not taken. The pages are live like all others, so that they give way to the
window's own as soon as that is there.
"""

from collections.abc import Callable
from http import HTTPStatus

import msgspec
from flask import Response, abort, render_template, request
from flask.typing import ResponseReturnValue
from markupsafe import escape

from appliance.pages import Stream, site
from appliance.panel import clerk, phrases, resident
from appliance.panel.scene import Station


class NoScene(msgspec.Struct, frozen=True):
    """What the display's templates ask of a scene when there is no window behind it."""

    state: str = "fault"
    clerk: None = None
    asks: None = None


class NoLedgerPages:
    """A site at the window's addresses, all of them 503; `why` gives the sentence as it is now."""

    def __init__(self, window: str, station: Station, why: Callable[[], str], viewers: int) -> None:
        self._station = station
        self._why = why
        self.stream = Stream(viewers)
        self.app = site("clerk", phrases=phrases, health=lambda: self._health(window), also=("resident",))
        self.app.add_url_rule("/events/<page>", view_func=self.events)
        self.app.add_url_rule("/display", view_func=self.display)
        self.app.add_url_rule("/", view_func=self.panel, methods=["GET", "POST"])
        self.app.add_url_rule("/<path:_page>", "any", lambda _page: self.panel(), methods=["GET", "POST"])

    def tell(self) -> None:
        """Show whoever looks why it is now."""
        self.stream.publish(clerk.PAGE, self._regions())

    def events(self, page: str) -> ResponseReturnValue:
        """The live side, which tells a page that was open before that this is another program."""
        if page not in (clerk.PAGE, resident.PAGE):
            abort(HTTPStatus.NOT_FOUND)
        return self.stream.reply(page, self._regions if page == clerk.PAGE else dict)

    def panel(self) -> ResponseReturnValue:
        """What is wrong and what to do, wherever the clerk goes."""
        if request.accept_mimetypes.best == "application/json":
            return {"sentence": self._why()}, HTTPStatus.SERVICE_UNAVAILABLE
        return self._page("clerk/no_ledger.html", sentence=self._why())

    def display(self) -> ResponseReturnValue:
        """The residents' display of a window that is out of order."""
        return self._page("resident/display.html", scene=NoScene())

    def _page(self, template: str, **context: object) -> Response:
        page = render_template(template, station=self._station, **context)
        return Response(page, HTTPStatus.SERVICE_UNAVAILABLE)

    def _regions(self) -> dict[str, str]:
        return {"why": str(escape(self._why()))}

    def _health(self, window: str) -> dict[str, object]:
        return {"ok": False, "window": window, "state": "fault", "why": self._why()}

"""The clerk's panel: on duty, serving, away, taking in materials, papers, and what is wrong."""

from collections.abc import Callable, Mapping
from datetime import timedelta
from http import HTTPStatus

from flask import Flask, abort, jsonify, redirect, render_template, request
from flask.typing import ResponseReturnValue

from appliance.counter import Counter
from appliance.ledger import NotKept, Paper
from appliance.pages import Stream, draw
from appliance.panel import phrases
from appliance.panel.form import AwayForm, DayForm, Faults, ReceiptForm
from appliance.panel.scene import Scene, Station
from appliance.window.cases import asks_pick_up, material_field
from appliance.window.catalogue import Item
from appliance.window.dating import YEARS
from appliance.window.facts import CaseReceived
from appliance.window.happenings import ClerkArrives, ClerkLeaves, ClerkReturns, Happening, VisitBegins, VisitEnds
from appliance.window.moment import Moment
from appliance.window.refusal import Refused

PAGE = "clerk"
REGIONS = {
    "link": "clerk/link.html",
    "alerts": "clerk/alerts.html",
    "rail": "clerk/rail.html",
    "home": "clerk/choose.html",
    "papers": "clerk/papers_list.html",
    "devices": "clerk/devices_list.html",
}

Preview = Callable[[CaseReceived, int], str]
"""A receipt as plain text, line for line as it is printed; the number tells which copy."""

ACTIONS: Mapping[str, Callable[[Moment], Happening]] = {
    "leave": lambda at: ClerkLeaves(at=at),
    "begin": lambda at: VisitBegins(at=at),
    "end": lambda at: VisitEnds(at=at),
    "back": lambda at: ClerkReturns(at=at),
}


class ClerkPages:
    """The clerk's pages on an app; `scene` gives what is to be shown now."""

    def __init__(
        self,
        app: Flask,
        stream: Stream,
        counter: Counter,
        station: Station,
        scene: Callable[[], Scene],
        preview: Preview,
    ) -> None:
        self._app = app
        self._stream = stream
        self._counter = counter
        self._station = station
        self._scene = scene
        self._preview = preview
        app.add_url_rule("/", view_func=self.home)
        app.add_url_rule("/act/<name>", view_func=self.act, methods=["POST"])
        app.add_url_rule("/receipt/<key>", view_func=self.receipt)
        app.add_url_rule("/receipt/<key>", view_func=self.take_in, methods=["POST"])
        app.add_url_rule("/papers", view_func=self.papers)
        app.add_url_rule("/papers/<number>", view_func=self.paper)
        app.add_url_rule("/papers/<case>/again", view_func=self.print_again, methods=["POST"])
        app.add_url_rule("/away", view_func=self.away)
        app.add_url_rule("/away", view_func=self.step_away, methods=["POST"])
        app.add_url_rule("/day", view_func=self.day)
        app.add_url_rule("/day", view_func=self.state_day, methods=["POST"])
        app.add_url_rule("/devices", view_func=self.devices)
        app.add_url_rule("/events/clerk", view_func=self.events)

    # ---- live -----------------------------------------------------------------------------------------------------

    def regions(self, scene: Scene) -> dict[str, str]:
        """Every region of every page of the panel; a page takes those that it has."""
        drawn = draw(self._app, REGIONS, **self._context(scene))
        one = self._app.jinja_env.get_template("clerk/paper_state.html")
        return drawn | {f"paper-{paper.paper}": one.render(paper=paper, scene=scene).strip() for paper in scene.papers}

    def events(self) -> ResponseReturnValue:
        """The live side of all the clerk's pages."""
        return self._stream.reply(PAGE, lambda: self.regions(self._scene()))

    def _context(self, scene: Scene) -> dict[str, object]:
        rules = self._counter.rules
        return {
            "scene": scene,
            "station": self._station,
            "clerks": rules.clerks,
            "items": rules.catalogue.for_level(rules.level),
            "confirmed": rules.catalogue.confirmed,
        }

    def _page(self, template: str, code: int = 200, sentence: str = "", **more: object) -> ResponseReturnValue:
        context = self._context(self._scene()) | {"sentence": sentence} | more
        return render_template(template, **context), code

    # ---- the window -----------------------------------------------------------------------------------------------

    def home(self) -> ResponseReturnValue:
        """Who is on duty, and the station's items."""
        return self._page("clerk/home.html")

    def devices(self) -> ResponseReturnValue:
        """What is wrong, and what is not yet at the county."""
        return self._page("clerk/devices.html")

    def act(self, name: str) -> ResponseReturnValue:
        """One touch: on or off duty, begin or end a visit, back at the window."""
        at = self._counter.moment()
        if name == "arrive":
            return self._answer(ClerkArrives(at=at, number=request.form.get("number", "")[:16]))
        if name not in ACTIONS:
            abort(HTTPStatus.NOT_FOUND)
        return self._answer(ACTIONS[name](at))

    def _answer(self, happening: Happening) -> ResponseReturnValue:
        code, sentence = self._handle(happening)
        if request.accept_mimetypes.best == "application/json":
            return jsonify(sentence=sentence), code
        return self._page("clerk/home.html", code, sentence) if sentence else redirect("/", HTTPStatus.SEE_OTHER)

    def _handle(self, happening: Happening) -> tuple[int, str]:
        try:
            self._counter.handle(happening)
        except Refused as refused:
            return HTTPStatus.CONFLICT, phrases.refusal(refused.code)
        except NotKept:
            return HTTPStatus.SERVICE_UNAVAILABLE, phrases.NOT_KEPT_NOW
        return HTTPStatus.OK, ""

    # ---- away -----------------------------------------------------------------------------------------------------

    def away(self) -> ResponseReturnValue:
        """Why and until when the window is left."""
        known = self._counter.view().away
        return self._page("clerk/away.html", typed=AwayForm(reason=known.reason if known else ""), faults={})

    def step_away(self) -> ResponseReturnValue:
        """Leave the window, or say why it was left."""
        typed, at = AwayForm.read(request.form), self._counter.moment()
        faults = typed.faults(phrases.AWAY_REASONS, phrases.AWAY_MINUTES, at.at)
        code, sentence = (HTTPStatus.BAD_REQUEST, "") if faults else self._handle(typed.happening(at))
        if faults or sentence:
            return self._page("clerk/away.html", code, sentence, typed=typed, faults=_sentences(faults))
        return redirect("/", HTTPStatus.SEE_OTHER)

    # ---- which day it is ------------------------------------------------------------------------------------------

    def day(self) -> ResponseReturnValue:
        """Which day it is, asked while the clock cannot be trusted; `item` is the form that waits for it."""
        return self._day_page(DayForm(), request.args.get("item", ""))

    def state_day(self) -> ResponseReturnValue:
        """The clerk says which day it is; then on to the form that waits for it."""
        typed, key = DayForm.read(request.form), request.form.get("item", "")
        faults = typed.faults() or self._tell_day(typed)
        if faults:
            return self._day_page(typed, key, HTTPStatus.BAD_REQUEST, faults)
        return redirect(f"/receipt/{key}" if self._offered(key) else "/", HTTPStatus.SEE_OTHER)

    def _tell_day(self, typed: DayForm) -> Faults:
        try:
            self._counter.handle(typed.happening(self._counter.moment()))
        except Refused as refused:
            return refused.fields if refused.code == "day_wrong" else {"day": refused.code}
        except NotKept:
            return {"day": "not_kept"}
        return {}

    def _day_page(self, typed: DayForm, key: str, code: int = 200, faults: Faults | None = None) -> ResponseReturnValue:
        key = key if self._offered(key) else ""
        return self._page("clerk/day.html", code, typed=typed, key=key, faults=faults or {}, years=YEARS)

    # ---- receipts -------------------------------------------------------------------------------------------------

    def receipt(self, key: str) -> ResponseReturnValue:
        """The form of one item."""
        item = self._item(key)
        if self._counter.view().today is None:
            return redirect(f"/day?item={item.key}", HTTPStatus.SEE_OTHER)
        return self._receipt_page(item, ReceiptForm.empty(item))

    def take_in(self, key: str) -> ResponseReturnValue:
        """Take in the materials and print; a form sent twice leads to the same paper."""
        item = self._item(key)
        typed = ReceiptForm.read(item, request.form)
        # A form that was taken in already leads to its paper, and says nothing on the day any more.
        if self._counter.case_of_form(typed.form) is None and (wrong := self._settle_day()):
            sentence = phrases.refusal("form_incomplete" if self._counter.view().today else "day_unknown")
            return self._receipt_page(item, typed, HTTPStatus.CONFLICT, sentence, day_wrong=wrong["day"])
        try:
            self._check(typed)
            self._counter.handle(typed.happening(item, self._counter.moment()))
        except Refused as refused:
            faults = typed.sharpen(refused.fields) if refused.code == "form_incomplete" else {}
            return self._receipt_page(item, typed, HTTPStatus.CONFLICT, phrases.refusal(refused.code), faults)
        except NotKept:
            return self._receipt_page(item, typed, HTTPStatus.SERVICE_UNAVAILABLE, phrases.NOT_KEPT_NOW)
        return redirect(f"/papers/{self._counter.case_of_form(typed.form)}-0", HTTPStatus.SEE_OTHER)

    def _settle_day(self) -> Faults:
        """The word on the day, that may have run out while the form was filled in, or is put right in the form."""
        known, typed = self._counter.view().today, DayForm.read(request.form)
        if known is not None and (known.sure or not typed.touched):
            return {}
        return typed.faults() or self._tell_day(typed)

    def _check(self, typed: ReceiptForm) -> None:
        if typed.doubts and self._counter.case_of_form(typed.form) is None:
            raise Refused("form_incomplete")

    def _offered(self, key: str) -> Item | None:
        """The item of that key, None when the station has no such item."""
        rules = self._counter.rules
        item = rules.catalogue.item(key)
        return item if item is not None and rules.level in item.levels else None

    def _item(self, key: str) -> Item:
        return self._offered(key) or abort(HTTPStatus.NOT_FOUND)

    def _receipt_page(
        self,
        item: Item,
        typed: ReceiptForm,
        code: int = 200,
        sentence: str = "",
        faults: Faults | None = None,
        day_wrong: str = "",
    ) -> ResponseReturnValue:
        known = self._counter.view().today
        today = known.day if known else self._counter.moment().at.date()
        rows = list(zip(item.materials, typed.rows, strict=True))
        found = _sentences(faults or {})
        return self._page(
            "clerk/receipt.html",
            code,
            sentence,
            item=item,
            typed=typed,
            rows=rows,
            faults=found,
            row_faults=[found.get(material_field(material.name), "") for material, _ in rows],
            asks_pick_up=asks_pick_up(item),
            pick_up_years=sorted({today.year, (today + timedelta(days=366)).year}) if known and known.sure else YEARS,
            years=YEARS,
            # A day that was settled must not be stated again by the same form, maybe tomorrow.
            typed_day=DayForm.read(request.form) if day_wrong else DayForm(),
            day_wrong=day_wrong,
        )

    # ---- papers ---------------------------------------------------------------------------------------------------

    def papers(self) -> ResponseReturnValue:
        """The latest papers."""
        return self._page("clerk/papers.html")

    def paper(self, number: str) -> ResponseReturnValue:
        """One paper: how far it has come, and what stands on it."""
        return self._paper_page(number)

    def print_again(self, case: str) -> ResponseReturnValue:
        """Print the paper of a case once more; the same button touched twice prints once."""
        after = request.form.get("after", "")[:80]
        try:
            paper = self._counter.print_again(case, after)
        except NotKept:
            return self._paper_page(after, HTTPStatus.SERVICE_UNAVAILABLE, phrases.NOT_KEPT_NOW)
        if paper is None:
            abort(HTTPStatus.NOT_FOUND)
        return redirect(f"/papers/{paper.paper}", HTTPStatus.SEE_OTHER)

    def _paper_page(self, number: str, code: int = 200, sentence: str = "") -> ResponseReturnValue:
        paper = self._counter.ledger.paper(number)
        if paper is None:
            abort(HTTPStatus.NOT_FOUND)
        return self._page("clerk/paper.html", code, sentence, paper=paper, text=self._text(paper))

    def _text(self, paper: Paper) -> str:
        try:
            return self._preview(paper.content, paper.copy)
        except Exception:
            # A preview is a comfort: whatever is wrong with it must not keep the clerk from seeing whether it printed.
            self._app.logger.exception("no preview of %s", paper.paper)
            return ""


def _sentences(faults: Faults) -> dict[str, str]:
    return {field: phrases.fault(field, code) for field, code in faults.items()}

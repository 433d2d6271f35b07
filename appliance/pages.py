"""What the window's and the county's pages share: the Flask site and the live stream.

Rules: nothing but our own files reaches a page, no page is kept by a cache, nothing is taken from another site's form,
and every error is a sentence.
"""

import json
import secrets
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping
from http import HTTPStatus
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

from flask import Flask, Response, abort, current_app, jsonify, render_template, request, send_from_directory
from jinja2 import StrictUndefined
from werkzeug.exceptions import HTTPException

from appliance.connection import LINE, Line
from appliance.server import UNREADABLE

WEB = Path(__file__).resolve().parent.parent / "web"
"""Templates and assets lie beside the package, in the source tree and where `make install` puts both."""

ASSETS = frozenset({".css", ".js", ".svg", ".png", ".mp3", ".ogg"})
MAX_BODY = 64 * 1024
"""Bytes of a form; the largest of ours, a receipt with every material ticked, has under 4 kB."""

POLICY = "default-src 'self'; base-uri 'none'; object-src 'none'; form-action 'self'; frame-ancestors 'none'"
GUARDS: Mapping[str, str] = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    # Not `no-referrer`: with it a browser sends `Origin: null`, and our own forms would be refused.
    "Referrer-Policy": "same-origin",
}
"""What stands over every answer."""

NAMES = "appliance.names"
"""Where an app's config has the names that it answers to; without them it answers to all."""


class Phrases(Protocol):
    """What a wing's `phrases.py` must say for the pages that every wing has: the module itself is passed on."""

    TITLE: str
    HOME: str
    """The words on the way back from an error."""
    LOST: str
    """What stands on a live page while its connection is lost."""
    FULL: str
    """What stands on a live page that the stream has no room for."""
    ERRORS: dict[int, str]
    """A sentence for each HTTP status; 500 stands for those that have none of their own."""


# ---- the site ---------------------------------------------------------------------------------------------------


def site(wing: str, *, phrases: Phrases, health: Callable[[], Mapping[str, Any]], also: tuple[str, ...] = ()) -> Flask:
    """A Flask app for `web/<wing>`, the wings in `also`, and `web/shared`.

    Templates are named `<wing>/<file>.html` and find the texts as `phrases`, their files with `asset("wing/file")`.
    `/healthz` answers what `health()` returns, with 503 when its `ok` is false.
    """
    if not (WEB / wing).is_dir():
        raise FileNotFoundError(f"{WEB / wing}: the pages' files must lie in `web` beside the package")
    app = Flask(f"appliance.{wing}", static_folder=None, template_folder=str(WEB))
    app.config["MAX_CONTENT_LENGTH"] = MAX_BODY
    app.config["MAX_FORM_PARTS"] = 500
    app.jinja_env.undefined = StrictUndefined
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    app.jinja_env.globals.update(phrases=phrases, asset=lambda name: f"/static/{name}")
    app.before_request(_check_sender)
    app.after_request(_guard)
    app.register_error_handler(Exception, lambda error: _sentence(app, phrases, error))
    app.config[UNREADABLE] = lambda code: _unreadable(app, phrases, code)
    _serve_files(app, frozenset({wing, "shared", *also}))
    _serve_health(app, health)
    return app


def answer_by_name(app: Flask, listen: str) -> None:
    """Have a site that listens on this machine alone answer under this machine's names alone.

    Else any page in the browser here could give its own name this machine's address (DNS rebinding), and then read
    the site and press its buttons as one of its own.
    """
    if ip_address(listen).is_loopback:
        app.config[NAMES] = {"localhost", listen}


def draw(app: Flask, regions: Mapping[str, str], **context: object) -> dict[str, str]:
    """The live regions of a page, each id with its HTML; `regions` maps an id to the template that draws it."""
    templates = {name: app.jinja_env.get_template(name) for name in set(regions.values())}
    return {region: templates[name].render(**context).strip() for region, name in regions.items()}


def _check_sender() -> None:
    """Only our own pages may send: a browser names the sender of every POST, so one without a name is refused too.

    Nor may another site's page load ours into itself: it can read nothing of it, but it would hold our connections.
    """
    names = current_app.config.get(NAMES)
    if names is not None and _hostname(request.host) not in names:
        abort(HTTPStatus.MISDIRECTED_REQUEST)
    if (request.content_length or 0) > MAX_BODY:
        abort(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
    fetched = request.headers.get("Sec-Fetch-Site")
    if request.method in {"GET", "HEAD", "OPTIONS"}:
        if fetched in {"cross-site", "same-site"} and request.headers.get("Sec-Fetch-Mode") != "navigate":
            abort(HTTPStatus.FORBIDDEN)
        return
    origin = request.headers.get("Origin")
    if fetched not in {None, "same-origin"} or origin is None or _host(origin) != request.host:
        abort(HTTPStatus.FORBIDDEN)


def _host(origin: str) -> str:
    try:
        return urlsplit(origin).netloc
    except ValueError:
        return ""


def _hostname(host: str) -> str | None:
    try:
        return urlsplit(f"//{host}").hostname
    except ValueError:
        return None


def _guard(response: Response) -> Response:
    response.headers.update(GUARDS)
    response.headers.setdefault("Cache-Control", "no-store")
    return response


def _sentence(app: Flask, phrases: Phrases, error: Exception) -> Response:
    known = isinstance(error, HTTPException)
    code = (error.code if isinstance(error, HTTPException) else None) or 500
    if not known:
        app.logger.error("%s %s", request.method, request.path, exc_info=error)
    text = phrases.ERRORS.get(code, phrases.ERRORS[500])
    return Response(render_template("shared/error.html", sentence=text, code=code), status=code)


def _unreadable(app: Flask, phrases: Phrases, code: int) -> tuple[list[tuple[str, str]], bytes]:
    """The answer to what is no request: headers and body, for the server, which has no request to ask the site with."""
    text = phrases.ERRORS.get(code, phrases.ERRORS[400])
    page = app.jinja_env.get_template("shared/error.html").render(sentence=text, code=code)
    headers = {"Content-Type": "text/html; charset=utf-8", "Cache-Control": "no-store", **GUARDS}
    return list(headers.items()), page.encode()


def _serve_files(app: Flask, wings: frozenset[str]) -> None:
    @app.get("/static/<wing>/<path:name>")
    def asset(wing: str, name: str) -> Response:
        if wing not in wings or Path(name).suffix not in ASSETS:
            abort(HTTPStatus.NOT_FOUND)
        response = send_from_directory(WEB / wing, name, conditional=True)
        response.headers["Cache-Control"] = "no-cache"
        return response


def _serve_health(app: Flask, health: Callable[[], Mapping[str, Any]]) -> None:
    @app.get("/healthz")
    def healthz() -> tuple[Response, int]:
        found = dict(health())
        return jsonify(found), HTTPStatus.OK if found.get("ok", True) else HTTPStatus.SERVICE_UNAVAILABLE


# ---- the stream -------------------------------------------------------------------------------------------------


class _Viewer:
    """One open page: a bounded queue, and what it was last shown."""

    def __init__(self, page: str, client: str, depth: int, hang_up: Callable[[], None]) -> None:
        self.page = page
        self.client = client
        self._hang_up = hang_up
        self._depth = depth
        self._waiting: deque[bytes] = deque()
        self._shown: dict[str, str] = {}
        self._ended = False
        self._moved = threading.Condition()

    def begin(self, regions: Mapping[str, str]) -> None:
        """Queue what the page starts with, but for regions that a change has overtaken meanwhile."""
        with self._moved:
            self.offer({region: html for region, html in regions.items() if region not in self._shown}, {})

    def offer(self, regions: Mapping[str, str], written: dict[tuple[str, ...], bytes]) -> None:
        """Queue the regions that differ from what was last shown; a viewer too slow for its queue is hung up."""
        with self._moved:
            changed = {region: html for region, html in regions.items() if self._shown.get(region) != html}
            if not changed or self._ended:
                return
            if len(self._waiting) < self._depth:
                self._shown.update(changed)
                key = tuple(changed)
                written.setdefault(key, _event("regions", changed))
                self._waiting.append(written[key])
                self._moved.notify()
                return
        self.end()

    def next(self, timeout: float) -> bytes | None:
        """The next message, b"" when `timeout` seconds brought none, None when the viewer has ended."""
        with self._moved:
            if not self._ended and not self._waiting:
                self._moved.wait_for(lambda: self._ended or self._waiting, timeout)
            if self._ended:
                return None
            return self._waiting.popleft() if self._waiting else b""

    def end(self) -> None:
        """End the viewer; its browser connects again by itself."""
        with self._moved:
            already, self._ended = self._ended, True
            self._waiting.clear()
            self._moved.notify()
        if not already:
            self._hang_up()


class Stream:
    """The live side of a site: every open page is a viewer that is sent the regions that changed.

    Rules: one bounded queue a viewer; one that does not keep up is hung up and connects again, which shows it
    everything anew; a beat every `beat` seconds finds the ones that went without a word; no more than `viewers` at
    once, because each costs a thread. When all places are taken, the client that has most of them gives its newest to
    one that then still has fewer: nobody can take them all, and one who is alone may use them all.
    """

    def __init__(self, viewers: int = 12, depth: int = 16, beat: float = 15.0) -> None:
        self.viewers = viewers
        self._depth = depth
        self._beat = beat
        self._id = secrets.token_hex(4)
        self._open: dict[_Viewer, None] = {}
        """In the order in which they came."""
        self._lock = threading.Lock()
        self._closed = False

    def __len__(self) -> int:
        return len(self._open)

    def watched(self, page: str) -> bool:
        """Whether anyone looks at `page`: what nobody sees need not be drawn."""
        with self._lock:
            return any(viewer.page == page for viewer in self._open)

    def publish(self, page: str, regions: Mapping[str, str]) -> None:
        """Send every viewer of `page` the regions that differ from what it was last shown."""
        with self._lock:
            viewers = [viewer for viewer in self._open if viewer.page == page]
        written: dict[tuple[str, ...], bytes] = {}
        for viewer in viewers:
            viewer.offer(regions, written)

    def reply(self, page: str, regions: Callable[[], Mapping[str, str]]) -> Response:
        """The answer to `/events/<page>`: everything at once from `regions()`, then what changes; 503 when full."""
        if request.headers.get("Sec-Fetch-Site") not in {None, "same-origin", "none"}:
            abort(HTTPStatus.FORBIDDEN)
        line: Line | None = request.environ.get(LINE)
        client = "" if line is None else line.client
        viewer = _Viewer(page, client, self._depth, lambda: None if line is None else line.hang_up())
        self._seat(viewer)
        if line is not None:
            line.watch(viewer.end)
        try:
            viewer.begin(regions())
        except BaseException:
            self._forget(viewer)
            raise
        response = Response(self._messages(viewer), mimetype="text/event-stream")
        # nginx, as Debian has it, would keep what happens until it has filled a page of memory.
        response.headers["X-Accel-Buffering"] = "no"
        # The generator's own clean-up does not run when it was never begun.
        response.call_on_close(lambda: self._forget(viewer))
        return response

    def close(self) -> None:
        """End every viewer and take no more."""
        with self._lock:
            self._closed = True
            viewers = list(self._open)
        for viewer in viewers:
            viewer.end()

    def _seat(self, viewer: _Viewer) -> None:
        with self._lock:
            displaced = self._who_gives_way(viewer.client) if len(self._open) >= self.viewers else None
            if self._closed or (displaced is None and len(self._open) >= self.viewers):
                abort(HTTPStatus.SERVICE_UNAVAILABLE)
            if displaced is not None:
                del self._open[displaced]
            self._open[viewer] = None
        if displaced is not None:
            displaced.end()

    def _who_gives_way(self, client: str) -> _Viewer | None:
        held = Counter(viewer.client for viewer in self._open)
        most = max(held, key=held.__getitem__)
        if held[client] + 1 >= held[most]:
            return None
        return next(viewer for viewer in reversed(self._open) if viewer.client == most)

    def _messages(self, viewer: _Viewer) -> Iterator[bytes]:
        yield b"retry: 1000\n\n" + self._pulse("hello")
        while (message := viewer.next(self._beat)) is not None:
            yield message or self._pulse("beat")

    def _pulse(self, event: str) -> bytes:
        return _event(event, {"stream": self._id, "now": round(up(), 3)})

    def _forget(self, viewer: _Viewer) -> None:
        with self._lock:
            self._open.pop(viewer, None)


def up() -> float:
    """Seconds since this machine started: what `data-until` and `data-since` are given in, whatever the clock does."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def _event(name: str, data: Mapping[str, Any]) -> bytes:
    return f"event: {name}\ndata: {json.dumps(data, ensure_ascii=False)}\n\n".encode()

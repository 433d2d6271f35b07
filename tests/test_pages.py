"""The site, the stream and the server that the window's and the county's pages share."""

import http.client
import json
import socket
import threading
from collections.abc import Iterator
from email.message import Message
from types import SimpleNamespace

import pytest
from flask import Flask, request
from flask.typing import ResponseReturnValue

from appliance.pages import MAX_BODY, Stream, site
from appliance.server import CannotListen, Server, serve
from tests.conftest import until

PHRASES = SimpleNamespace(
    TITLE="窗口",
    HOME="返回首页",
    LOST="断开了",
    FULL="太多了",
    ERRORS={
        400: "读不懂。",
        403: "不是从本页发出的。",
        404: "没有这个页面。",
        413: "太长了。",
        500: "出了问题。",
        503: "太多人在看。",
    },
)


class Ground:
    """A small site on a free port."""

    def __init__(self, stream: Stream) -> None:
        self.stream = stream
        self.first = {"state": "一"}
        self.healthy = True
        self.app: Flask = site("clerk", phrases=PHRASES, health=lambda: {"ok": self.healthy, "facts": 3})
        self.app.add_url_rule("/events/wall", view_func=self.events)
        self.app.add_url_rule("/say", view_func=self.say, methods=["POST"])
        self.app.add_url_rule("/break", view_func=self.break_down)
        self.server: Server = serve(self.app, "127.0.0.1", 0, workers=2, stream=stream)
        self.thread = threading.Thread(target=self.server.run)
        self.thread.start()

    def events(self) -> ResponseReturnValue:
        return self.stream.reply("wall", lambda: self.first)

    def say(self) -> ResponseReturnValue:
        return request.form.get("word", "")

    def break_down(self) -> ResponseReturnValue:
        raise RuntimeError("a secret of the inside")

    def ask(self, path: str, method: str = "GET", body: str | None = None, **headers: str) -> tuple[int, str, Message]:
        line = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=10)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        line.request(method, path, body, named)
        answer = line.getresponse()
        text = answer.read().decode()
        line.close()
        return answer.status, text, answer.headers

    def say_from(self, origin: str | None, body: str = "word=ok", **more: str) -> tuple[int, str]:
        named = {"Content_Type": "application/x-www-form-urlencoded", **more}
        if origin is not None:
            named["Origin"] = origin
        return self.ask("/say", "POST", body, **named)[:2]

    def look(self) -> "Look":
        return Look(self.server.port)

    def close(self) -> None:
        self.server.stop()
        self.thread.join(10)
        assert not self.thread.is_alive()


class Look:
    """One viewer, reading the events line by line."""

    def __init__(self, port: int) -> None:
        self.line = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        self.line.request("GET", "/events/wall")
        self.answer = self.line.getresponse()

    def next(self) -> tuple[str, dict[str, object]]:
        """The next event and its data."""
        name = ""
        while True:
            row = self.answer.readline().decode().rstrip("\n")
            if row.startswith("event: "):
                name = row.removeprefix("event: ")
            elif row.startswith("data: "):
                return name, json.loads(row.removeprefix("data: "))

    def ended(self) -> bool:
        try:
            return self.answer.read().strip() == b""
        except http.client.IncompleteRead as cut:
            return cut.partial.strip() == b""

    def leave(self) -> None:
        self.answer.close()
        self.line.close()


@pytest.fixture
def ground() -> Iterator[Ground]:
    ground = Ground(Stream(viewers=2, depth=4))
    yield ground
    ground.close()


# ---- the site -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/healthz", "/nothing", "/static/shared/tokens.css"])
def test_every_answer_forbids_what_is_not_ours(ground: Ground, path: str) -> None:
    headers = ground.ask(path)[2]
    assert headers["Content-Security-Policy"].startswith("default-src 'self'; ")
    assert headers["X-Content-Type-Options"] == "nosniff"


def test_a_page_is_not_kept_and_a_file_is_asked_for_again(ground: Ground) -> None:
    assert ground.ask("/nothing")[2]["Cache-Control"] == "no-store"
    code, _, headers = ground.ask("/static/shared/tokens.css")
    assert (code, headers["Cache-Control"]) == (200, "no-cache")
    assert ground.ask("/static/shared/tokens.css", If_None_Match=headers["ETag"])[0] == 304


@pytest.mark.parametrize(
    "path",
    [
        "/static/shared/base.html",
        "/static/county/wall.css",
        "/static/shared/../clerk/layout.html",
        "/static/shared/%2e%2e/%2e%2e/appliance/pages.py",
        "/static/README.md",
    ],
)
def test_nothing_but_the_assets_of_its_own_wings_is_served(ground: Ground, path: str) -> None:
    assert ground.ask(path)[0] == 404


def test_an_error_is_a_chinese_sentence_without_anything_from_the_inside(ground: Ground) -> None:
    assert "没有这个页面。" in ground.ask("/nothing")[1]
    code, text, _ = ground.ask("/break")
    assert code == 500
    assert "出了问题。" in text
    assert "secret" not in text


def test_health_is_json_and_503_when_it_is_not_well(ground: Ground) -> None:
    code, text, _ = ground.ask("/healthz")
    assert (code, json.loads(text)) == (200, {"ok": True, "facts": 3})
    ground.healthy = False
    assert ground.ask("/healthz")[0] == 503


def test_a_form_of_our_own_page_is_taken(ground: Ground) -> None:
    assert ground.say_from(ground.server.url) == (200, "ok")
    assert ground.say_from(ground.server.url, Sec_Fetch_Site="same-origin") == (200, "ok")


@pytest.mark.parametrize(
    ("origin", "fetched"),
    [
        ("http://elsewhere.example", None),
        ("null", None),
        ("http://[", None),
        (None, None),
        (None, "same-origin"),
        ("ours", "cross-site"),
        ("ours", "same-site"),
        ("ours", "none"),
    ],
)
def test_a_form_of_anybody_else_is_refused(ground: Ground, origin: str | None, fetched: str | None) -> None:
    more = {"Sec_Fetch_Site": fetched} if fetched else {}
    code, text = ground.say_from(ground.server.url if origin == "ours" else origin, **more)
    assert code == 403
    assert "不是从本页发出的。" in text


def test_a_form_that_is_too_long_is_refused_with_a_sentence(ground: Ground) -> None:
    code, text = ground.say_from(ground.server.url, "word=" + "a" * MAX_BODY)
    assert code == 413
    assert "太长了。" in text


# ---- the stream ---------------------------------------------------------------------------------------------------


def test_a_viewer_gets_everything_first_and_then_what_differs(ground: Ground) -> None:
    look = ground.look()
    assert look.next()[0] == "hello"
    assert look.next() == ("regions", {"state": "一"})
    ground.stream.publish("wall", {"state": "一", "since": "九点"})
    assert look.next() == ("regions", {"since": "九点"})
    ground.stream.publish("wall", {"state": "一", "since": "九点"})
    ground.stream.publish("elsewhere", {"state": "别处"})
    ground.stream.publish("wall", {"state": "二", "since": "九点"})
    assert look.next() == ("regions", {"state": "二"})
    look.leave()


def test_a_viewer_that_leaves_frees_its_place_at_once(ground: Ground) -> None:
    look = ground.look()
    look.next()
    assert ground.stream.watched("wall")
    look.leave()
    until(lambda: not ground.stream.watched("wall"), within=3)


def test_beyond_the_places_a_viewer_is_told_so_and_pages_still_answer(ground: Ground) -> None:
    looks = [ground.look(), ground.look()]
    for look in looks:
        look.next()
    code, text, _ = ground.ask("/events/wall")
    assert code == 503
    assert "太多人在看。" in text
    assert ground.ask("/healthz")[0] == 200
    looks[0].leave()
    until(lambda: len(ground.stream) == 1, within=3)
    late = ground.look()
    assert late.next()[0] == "hello"
    for look in (late, looks[1]):
        look.leave()


def test_a_viewer_that_does_not_read_is_dropped_and_one_that_does_is_not(ground: Ground) -> None:
    slow = socket.create_connection(("127.0.0.1", ground.server.port))
    slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    slow.sendall(b"GET /events/wall HTTP/1.1\r\nHost: window\r\n\r\n")
    quick = ground.look()
    assert [quick.next()[0], quick.next()[0]] == ["hello", "regions"]
    until(lambda: len(ground.stream) == 2)
    for number in range(200):
        page = f"{number:03d}" + "页" * 50_000
        ground.stream.publish("wall", {"state": page})
        assert quick.next() == ("regions", {"state": page})
    assert len(ground.stream) == 1
    quick.leave()
    slow.close()


def test_a_beat_finds_the_viewer_that_went_without_a_word() -> None:
    ground = Ground(Stream(viewers=2, beat=0.05))
    look = ground.look()
    assert [look.next()[0] for _ in range(4)] == ["hello", "regions", "beat", "beat"]
    look.leave()
    ground.close()


def test_a_change_between_the_page_and_its_stream_is_not_lost() -> None:
    ground = Ground(Stream(viewers=2))

    def first() -> dict[str, str]:
        # The change is published after the viewer was taken in and before its first drawing is ready.
        ground.stream.publish("wall", {"state": "新"})
        return {"state": "旧", "since": "九点"}

    ground.app.view_functions["events"] = lambda: ground.stream.reply("wall", first)
    look = ground.look()
    seen: dict[str, object] = {}
    assert look.next()[0] == "hello"
    for _ in range(2):
        seen |= look.next()[1]
    assert seen == {"state": "新", "since": "九点"}
    look.leave()
    ground.close()


# ---- the server ---------------------------------------------------------------------------------------------------


def test_a_taken_port_is_one_clear_exception(ground: Ground) -> None:
    with pytest.raises(CannotListen) as raised:
        serve(ground.app, "127.0.0.1", ground.server.port)
    assert (raised.value.host, raised.value.port) == ("127.0.0.1", ground.server.port)


def test_a_stop_ends_viewers_and_gives_the_port_back(ground: Ground) -> None:
    look = ground.look()
    look.next()
    look.next()
    port = ground.server.port
    ground.close()
    assert look.ended()
    again = serve(ground.app, "127.0.0.1", port)
    again.close()

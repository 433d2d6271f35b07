"""What clients may hold of the pages' server: raw sockets against the real one; everybody else is still answered."""

import logging
import resource
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from types import SimpleNamespace

import pytest
from flask import Flask, request
from flask.typing import ResponseReturnValue

from appliance.connection import Bounds, client_of
from appliance.pages import MAX_BODY, Stream, site
from appliance.server import MAX_HEADER, serve
from tests.conftest import until

PHRASES = SimpleNamespace(
    TITLE="窗口",
    HOME="返回首页",
    LOST="断开了",
    FULL="太多了",
    ERRORS={
        400: "读不懂。",
        403: "不许。",
        404: "没有。",
        405: "不能这样。",
        413: "太长了。",
        500: "坏了。",
        503: "满了。",
    },
)
SOON = Bounds(request_s=0.4, idle_s=0.4, answer_s=0.4, look_s=0.05)
"""Bounds that a test need not wait for."""
NEVER = Bounds(request_s=600, idle_s=600, answer_s=600)
"""Nobody's time runs out: what is left are the numbers."""
HONEST = "127.0.0.1"
GREEDY = "127.0.0.2"
ASK = b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
LOOK = b"GET /events HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
BIG = 12 * 1024 * 1024
"""More than the kernel takes off our hands, which is 4 MB as a rule."""


class Ground:
    """A small site: a page, a big page, one that waits, and a stream."""

    def __init__(self, bounds: Bounds, viewers: int = 4, workers: int = 2) -> None:
        self.gate = threading.Event()
        self.asked: list[str] = []
        self.stream = Stream(viewers=viewers)
        self.app: Flask = site("clerk", phrases=PHRASES, health=lambda: {"ok": True})
        self.app.add_url_rule("/events", "events", lambda: self.stream.reply("wall", lambda: {"state": "一"}))
        self.app.add_url_rule("/big", "big", lambda: "x" * BIG)
        self.app.add_url_rule("/gate", "gate", self.wait)
        self.app.add_url_rule("/say", "say", lambda: request.form.get("word", ""), methods=["POST"])
        self.server = serve(self.app, "127.0.0.1", 0, workers=workers, stream=self.stream, bounds=bounds)
        self.limit = viewers + bounds.beside
        self.thread = threading.Thread(target=self.server.run)
        self.thread.start()
        self._held = ExitStack()

    def wait(self) -> ResponseReturnValue:
        self.asked.append(request.args.get("who", ""))
        assert self.gate.wait(20)
        return "done"

    def open(self, sent: bytes = b"", address: str = GREEDY) -> socket.socket:
        """A connection from an address, kept until the end of the test."""
        link = socket.socket()
        self._held.callback(link.close)
        link.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        link.bind((address, 0))
        link.settimeout(10)
        link.connect(("127.0.0.1", self.server.port))
        link.sendall(sent)
        return link

    def answers(self, address: str = HONEST) -> bool:
        """Whether a new client is answered at once: sooner than anybody's time has run out, on a busy machine too."""
        with self.open(address=address) as link:
            link.settimeout(5)
            link.sendall(ASK)
            return link.recv(100).startswith(b"HTTP/1.1 200")

    def connections(self) -> dict[str, int]:
        """What the server has open, as the kernel counts it: each port at the other end, and the bytes still unread."""
        here = f":{self.server.port:04X}"
        rows = [row.split() for row in Path("/proc/net/tcp").read_text(encoding="ascii").splitlines()[1:]]
        taken = [row for row in rows if row[1].endswith(here) and row[3] == "01" and row[9] != "0"]
        return {row[2].rpartition(":")[2]: int(row[4].rpartition(":")[2], 16) for row in taken}

    def unread(self, link: socket.socket) -> int | None:
        """How much of what was sent on it the server has not read; None before it has accepted the connection."""
        return self.connections().get(f"{link.getsockname()[1]:04X}")

    def close(self) -> None:
        self.gate.set()
        self._held.close()
        self.server.stop()
        self.thread.join(10)
        assert not self.thread.is_alive()


@contextmanager
def a_site(bounds: Bounds, viewers: int = 4, workers: int = 2) -> Iterator[Ground]:
    ground = Ground(bounds, viewers, workers)
    try:
        yield ground
    finally:
        ground.close()


def ended(link: socket.socket) -> bool:
    """Whether the other side has hung up; whatever came before is read away."""
    with suppress(ConnectionError):
        while link.recv(65536):
            pass
    return True


def status(link: socket.socket) -> int:
    return int(link.recv(12).split()[1])


# ---- how many -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("address", [GREEDY, HONEST])
@pytest.mark.parametrize("sent", [b"", b"GET / HT", ASK], ids=["silent", "half a line", "kept alive"])
def test_connections_held_open_keep_nobody_out(sent: bytes, address: str) -> None:
    """Also where all come from one address, as behind a proxy that does not say for whom it asks."""
    with a_site(NEVER) as ground:
        for number in range(300):
            ground.open(sent, address)
            if number % 50 == 0:
                assert ground.answers()
        assert ground.answers()
        until(lambda: len(ground.connections()) <= ground.limit)


def test_who_holds_most_makes_room_and_not_who_came_first() -> None:
    with a_site(NEVER) as ground:
        honest = ground.open(address=HONEST)
        for _ in range(200):
            ground.open(b"GET / HT")
        honest.sendall(ASK)
        assert status(honest) == 200


def test_a_request_that_is_being_answered_is_never_cut_to_make_room() -> None:
    with a_site(NEVER) as ground:
        asking = ground.open(b"GET /gate HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        until(lambda: ground.asked)
        for _ in range(200):
            ground.open(b"GET / HT")
        assert ground.answers()
        ground.gate.set()
        assert status(asking) == 200


def test_a_request_that_waits_for_its_answer_is_not_cut_for_idle_connections_of_the_same_client() -> None:
    with a_site(NEVER, workers=1, viewers=0) as ground:
        ground.open(b"GET /gate HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        until(lambda: ground.asked)
        waiting = ground.open(ASK)
        until(lambda: ground.unread(waiting) == 0)
        for _ in range(200):
            ground.open(b"GET / HT")
        until(lambda: len(ground.connections()) <= ground.limit)
        ground.gate.set()
        assert status(waiting) == 200


def test_who_has_asked_is_answered_however_many_of_the_same_client_ask_after_it() -> None:
    """The clerk's own touch, while another program of this machine asks again and again."""
    with a_site(NEVER, workers=1, viewers=0) as ground:
        ground.open(b"GET /gate HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        until(lambda: ground.asked)
        waiting = ground.open(ASK)
        until(lambda: ground.unread(waiting) == 0)
        for _ in range(200):
            ground.open(ASK)
        until(lambda: len(ground.connections()) == ground.limit)
        ground.gate.set()
        assert status(waiting) == 200
        assert ground.answers()


def test_requests_that_wait_for_a_worker_keep_nobody_out() -> None:
    """More of them than places, from one client: another's is the next but one, however many wait before it."""
    with a_site(NEVER, workers=1, viewers=0) as ground:
        for _ in range(150):
            ground.open(b"GET /gate?who=greedy HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        until(lambda: ground.asked)
        honest = ground.open(b"GET /gate?who=honest HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", HONEST)
        until(lambda: ground.unread(honest) == 0)
        assert ground.asked == ["greedy"]
        ground.gate.set()
        assert status(honest) == 200
        assert ground.asked.index("honest") < 5


def test_a_thousand_viewers_are_told_so_and_pages_still_answer() -> None:
    with a_site(NEVER, viewers=4) as ground:
        assert [status(ground.open(LOOK)) for _ in range(4)] == [200] * 4
        for number in range(1000):
            with ground.open(LOOK) as late:
                assert status(late) == 503
            assert number % 100 or ground.answers()
        assert len(ground.stream) == 4


def test_one_client_cannot_take_every_place_of_the_viewers() -> None:
    with a_site(NEVER, viewers=4) as ground:
        greedy = [ground.open(LOOK) for _ in range(4)]
        assert [status(link) for link in greedy] == [200] * 4
        honest = [ground.open(LOOK, HONEST) for _ in range(2)]
        assert [status(link) for link in honest] == [200] * 2
        assert ended(greedy[3])
        assert ended(greedy[2])
        assert status(ground.open(LOOK, HONEST)) == 503
        assert status(ground.open(LOOK, GREEDY)) == 503
        assert status(ground.open(LOOK, "127.0.0.3")) == 200


def test_behind_a_proxy_here_each_browser_is_a_client_of_its_own() -> None:
    forwarded = LOOK.replace(b"\r\n\r\n", b"\r\nX-Forwarded-For: 198.51.100.7, 192.0.2.%d\r\n\r\n")
    with a_site(NEVER, viewers=4) as ground:
        greedy = [ground.open(forwarded % 1, HONEST) for _ in range(4)]
        assert [status(link) for link in greedy] == [200] * 4
        assert status(ground.open(forwarded % 2, HONEST)) == 200
        assert ended(greedy[3])


@pytest.mark.parametrize(
    ("address", "forwarded", "client"),
    [
        ("192.0.2.9", "", "192.0.2.9"),
        ("192.0.2.9", "198.51.100.7", "192.0.2.9"),
        ("127.0.0.1", "", "127.0.0.1"),
        ("127.0.0.1", "198.51.100.7", "198.51.100.7"),
        ("::1", "203.0.113.5, 198.51.100.7", "198.51.100.7"),
        ("127.0.0.1", "unknown", "127.0.0.1"),
        ("127.0.0.1", "x" * 5000, "127.0.0.1"),
        ("::1", "", "::1"),
        ("2001:db8:1:2:3::4", "", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "", "fe80::/64"),
    ],
)
def test_a_client_is_an_address_and_only_a_proxy_here_may_name_another(
    address: str, forwarded: str, client: str
) -> None:
    assert client_of(address, forwarded) == client


def test_without_a_file_descriptor_left_the_server_waits_and_goes_on() -> None:
    with a_site(NEVER) as ground:
        links = [socket.socket() for _ in range(20)]
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (max(link.fileno() for link in links) + 1, hard))
            for link in links:
                link.connect(("127.0.0.1", ground.server.port))
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        assert ground.answers()
        for link in links:
            link.close()


# ---- how long -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sent", [b"", b"GET / HT", ASK], ids=["silent", "half a line", "kept alive"])
def test_a_connection_on_which_nothing_comes_is_closed(sent: bytes) -> None:
    with a_site(SOON) as ground:
        assert ended(ground.open(sent))


@pytest.mark.parametrize(
    ("begun", "more"),
    [
        (b"", b"G"),
        (b"GET / HTTP/1.1\r\n", b"A: b\r\n"),
        (b"POST /say HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 60000\r\n\r\n", b"a"),
        (b"POST /say HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\na\r\n"),
        (b"POST /say HTTP/1.1\r\nHost: 127.0.0.1\r\nExpect: 100-continue\r\nContent-Length: 9\r\n\r\n", b""),
    ],
    ids=["its first line", "its header", "its body", "a body without an end", "a body that was asked for"],
)
def test_a_request_that_comes_too_slowly_is_cut_though_it_still_comes(begun: bytes, more: bytes) -> None:
    with a_site(SOON) as ground:
        link = ground.open(begun)
        link.settimeout(0.02)

        def cut() -> bool:
            try:
                link.sendall(more)
                return not link.recv(4096)
            except TimeoutError:
                return False
            except ConnectionError:
                return True

        until(cut, within=5)


def test_answers_that_nobody_fetches_hold_no_worker_and_are_cut() -> None:
    with a_site(NEVER) as ground:
        for _ in range(20):
            ground.open(b"GET /big HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        assert ground.answers()
    with a_site(SOON) as ground:
        link = ground.open(b"GET /big HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        until(lambda: not ground.connections())
        got = b""
        with suppress(ConnectionError):
            while more := link.recv(65536):
                got += more
        assert len(got) < BIG


def test_a_viewer_that_does_not_read_is_cut_and_its_place_is_free() -> None:
    with a_site(SOON) as ground:
        ground.open(LOOK)
        until(lambda: len(ground.stream) == 1)
        ground.stream.publish("wall", {"state": "x" * BIG})
        until(lambda: len(ground.stream) == 0)


def test_a_viewer_that_reads_and_a_slow_worker_are_left_in_peace() -> None:
    with a_site(SOON) as ground:
        look, slow = ground.open(LOOK, HONEST), ground.open(b"GET /gate HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", HONEST)
        until(lambda: ground.asked)
        # Three others come and run out of their time after these two.
        for _ in range(3):
            assert ended(ground.open(b"GET / HT"))
        ground.gate.set()
        assert (status(look), status(slow)) == (200, 200)
        assert len(ground.stream) == 1


# ---- what ---------------------------------------------------------------------------------------------------------


HOST = b"Host: 127.0.0.1\r\n"
ODD = {
    "no request": (b"\x16\x03\x01\x02\x00\x01\r\n\r\n", 400),
    "an unknown method": (b"BREW / HTTP/1.1\r\n" + HOST + b"\r\n", 403),
    "TRACE": (b"TRACE /healthz HTTP/1.1\r\n" + HOST + b"\r\n", 403),
    "CONNECT": (b"CONNECT 127.0.0.1:22 HTTP/1.1\r\n" + HOST + b"\r\n", 403),
    "OPTIONS *": (b"OPTIONS * HTTP/1.1\r\n" + HOST + b"\r\n", 404),
    "a path that is no UTF-8": (b"GET /\xff\xfe%ff%fe HTTP/1.1\r\n" + HOST + b"\r\n", 400),
    "a NUL in the path": (b"GET /static/shared/%00tokens.css HTTP/1.1\r\n" + HOST + b"\r\n", 404),
    "an address in full": (b"GET http://127.0.0.1/healthz HTTP/1.1\r\n" + HOST + b"\r\n", 200),
    "an address that is none": (b"GET http://[/ HTTP/1.1\r\n" + HOST + b"\r\n", 400),
    "no Host": (b"GET /healthz HTTP/1.1\r\n\r\n", 400),
    "two Hosts": (b"GET /healthz HTTP/1.1\r\n" + HOST + HOST + b"\r\n", 400),
    "a header without a name": (b"GET /healthz HTTP/1.1\r\n" + HOST + b": x\r\n\r\n", 400),
    "a line feed alone": (b"GET /healthz HTTP/1.1\r\n" + HOST + b"A: b\nContent-Length: 5\r\n\r\n", 400),
    "huge headers": (b"GET /healthz HTTP/1.1\r\n" + HOST + b"A: " + b"b" * MAX_HEADER, 431),
    "many headers": (b"GET /healthz HTTP/1.1\r\n" + HOST + b"A: b\r\n" * 6000, 431),
    "10,000 parameters": (b"GET /healthz?" + b"a&" * 10_000 + b" HTTP/1.1\r\n" + HOST + b"\r\n", 200),
    "a length of 5,000 digits": (
        b"POST /say HTTP/1.1\r\n" + HOST + b"Content-Length: " + b"9" * 5000 + b"\r\n\r\n",
        400,
    ),
    "a negative length": (b"POST /say HTTP/1.1\r\n" + HOST + b"Content-Length: -1\r\n\r\n", 400),
    "two lengths": (b"POST /say HTTP/1.1\r\n" + HOST + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nab", 400),
    "length and chunks": (
        b"POST /say HTTP/1.1\r\n" + HOST + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        400,
    ),
    "chunks of HTTP/1.0": (b"POST /say HTTP/1.0\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    "another encoding": (b"POST /say HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: gzip, chunked\r\n\r\n", 501),
    "a chunk of no size": (b"POST /say HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n", 400),
    "a chunk of a huge size": (
        b"POST /say HTTP/1.1\r\n"
        + HOST
        + b"Transfer-Encoding: chunked\r\n\r\n"
        + b"f" * 5000
        + b"\r\n"
        + b"a" * 300_000,
        413,
    ),
    "a body of a gigabyte": (b"POST /say HTTP/1.1\r\n" + HOST + b"Content-Length: 1000000000\r\n\r\n", 413),
    "a body over the bound": (
        b"POST /say HTTP/1.1\r\n" + HOST + b"Content-Length: %d\r\n\r\n" % (MAX_BODY + 1) + b"a" * (MAX_BODY + 1),
        413,
    ),
    "an odd range": (b"GET /static/shared/tokens.css HTTP/1.1\r\n" + HOST + b"Range: bytes=9-1\r\n\r\n", 416),
    "a range beyond the end": (
        b"GET /static/shared/tokens.css HTTP/1.1\r\n" + HOST + b"Range: bytes=99999999-\r\n\r\n",
        416,
    ),
    "a range of 5,000 digits": (
        b"GET /static/shared/tokens.css HTTP/1.1\r\n" + HOST + b"Range: bytes=" + b"9" * 5000 + b"-\r\n\r\n",
        416,
    ),
    "a day of year 99999": (
        b"GET /static/shared/tokens.css HTTP/1.1\r\n" + HOST + b"If-Modified-Since: Mon, 1 Jan 99999 0:0:0 GMT\r\n\r\n",
        200,
    ),
    "another site's picture": (b"GET /healthz HTTP/1.1\r\n" + HOST + b"Sec-Fetch-Site: cross-site\r\n\r\n", 403),
    "a link from another site": (
        b"GET /healthz HTTP/1.1\r\n" + HOST + b"Sec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: navigate\r\n\r\n",
        200,
    ),
    "another site's stream": (
        b"GET /events HTTP/1.1\r\n" + HOST + b"Sec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: navigate\r\n\r\n",
        403,
    ),
}


@pytest.fixture(scope="module")
def odd_ground() -> Iterator[Ground]:
    with a_site(NEVER) as ground:
        yield ground


@pytest.mark.parametrize("name", ODD)
def test_an_odd_request_is_answered_and_leaves_no_trace(
    odd_ground: Ground, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    sent, expected = ODD[name]
    link = odd_ground.open(sent)
    said = link.recv(65536)
    assert int(said.split()[1]) == expected
    if expected >= 400:
        while "</html>" not in said.decode():
            more = link.recv(65536)
            assert more, said.decode()
            said += more
        assert b"Content-Security-Policy: default-src 'self'" in said
        assert "返回首页" in said.decode()
    assert odd_ground.answers()
    assert [record.message for record in caplog.records if record.levelno >= logging.WARNING] == []


def test_a_client_that_is_gone_before_it_is_answered_leaves_no_trace(
    odd_ground: Ground, caplog: pytest.LogCaptureFixture
) -> None:
    for sent in (ODD["no request"][0], ASK, LOOK) * 20:
        odd_ground.open(sent).close()
    assert odd_ground.answers()
    until(lambda: not len(odd_ground.stream))
    assert [record.message for record in caplog.records if record.levelno >= logging.WARNING] == []


def test_a_viewer_that_asks_only_for_the_header_takes_no_place(odd_ground: Ground) -> None:
    assert status(odd_ground.open(LOOK.replace(b"GET", b"HEAD"))) == 200
    until(lambda: len(odd_ground.stream) == 0)


def test_requests_sent_far_ahead_of_their_answers_end_the_connection(odd_ground: Ground) -> None:
    assert ended(odd_ground.open(ASK * 150))
    assert odd_ground.answers()

"""The HTTP server beneath the pages: waitress, with a bound for whatever a client may hold.

| what a client may hold | bound |
|---|---|
| connections of all clients together | the viewers and `beside`; beyond it who has most gives one up, or all wait |
| a request that does not come to its end | `request_s` from its first byte |
| a connection on which nothing is asked | `idle_s` |
| an answer that is not fetched | `answer_s`; it waits in memory and never keeps a worker |
| requests sent ahead of their answers | `AHEAD` |
| a request's header, a request's body | `MAX_HEADER`, `MAX_BODY` bytes |
| workers | each client's requests wait in a queue of their own, and the queues take turns |

A client is an address, of IPv6 its /64. For a connection from this machine it is the one that the proxy here names.
A connection that a worker is busy with is never cut to make room, and one that has had no time to ask or to be answered
only when the workers are late: whoever is accepted is answered once. Durations are monotonic: a Pi's clock jumps.
"""

import copy
import logging
import socket
import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from contextlib import suppress
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Any, Protocol

import msgspec
from flask import Flask
from waitress.adjustments import Adjustments
from waitress.channel import HTTPChannel
from waitress.parser import HTTPRequestParser, ParsingError
from waitress.server import TcpWSGIServer
from waitress.task import ErrorTask, ThreadedTaskDispatcher, WSGITask
from waitress.wasyncore import close_all, loop

LINE = "appliance.line"
"""Where a request's environ has the connection that it came on."""

UNREADABLE = "appliance.unreadable"
"""Where an app's config has the function that makes the answer, headers and body, to what is no request at all."""

MAX_HEADER = 32 * 1024
MAX_BODY = 256 * 1024
"""Above what the pages take, so that it is their sentence that answers what is too large."""
AHEAD = 2
AT_ONCE = 64
"""Connections accepted in one round of the loop."""
YOUNG_S, LATE_S = 0.1, 3.0
"""The time that a connection has for its next word before it counts as idle, and the workers for its first answer."""


class Bounds(msgspec.Struct, frozen=True):
    """What clients may hold; seconds, and connections beside those of the viewers."""

    beside: int = 96
    request_s: float = 10.0
    idle_s: float = 15.0
    answer_s: float = 30.0
    look_s: float = 1.0
    """How often it is looked who has had his time."""


class Live(Protocol):
    """What the server must know of a live stream: how many hold a thread at most, and how to end them all."""

    viewers: int

    def close(self) -> None: ...


class CannotListen(Exception):
    """A port cannot be opened: `host`, `port`, and `why` in the system's words."""

    def __init__(self, host: str, port: int, why: str) -> None:
        super().__init__(f"{host}:{port}: {why}")
        self.host, self.port, self.why = host, port, why


def client_of(address: str, forwarded: str = "") -> str:
    """Who counts as one client; of `forwarded`, X-Forwarded-For, only the last is what the proxy here says."""
    try:
        peer = ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if peer.is_loopback and forwarded:
        with suppress(ValueError):
            peer = ip_address(forwarded.rpartition(",")[2].strip())
    if isinstance(peer, IPv6Address) and not peer.is_loopback:
        return str(ip_network((peer, 64), strict=False))
    return str(peer)


# ---- one connection ---------------------------------------------------------------------------------------------


class _Parser(HTTPRequestParser):
    path = ""  # waitress asks for it when a client is gone before it is told that what it sent is no request

    def parse_header(self, header_plus: bytes) -> None:
        """Refuse what waitress would raise at, and whatever a proxy might understand otherwise than we do."""
        try:
            super().parse_header(header_plus)
        except ValueError as error:
            # A length of 5,000 digits, an address that is none.
            raise ParsingError(str(error)) from None
        if "TRANSFER_ENCODING" in self.headers or (self.chunked and "CONTENT_LENGTH" in self.headers):
            raise ParsingError("the end of the body is said twice")
        if "," in self.headers.get("HOST", "," if self.version == "1.1" else ""):
            raise ParsingError("not one Host")


class _Task(WSGITask):
    def get_environment(self) -> dict[str, Any]:
        environ: dict[str, Any] = super().get_environment()
        environ[LINE] = self.channel
        return environ


class _Unreadable(ErrorTask):
    def execute(self) -> None:
        """Answer what is no request in the pages' own words, and end the connection."""
        error: Any = self.request.error  # type: ignore[attr-defined]  # the parser that met it is the request
        headers, body = self.channel.server.unreadable(error.code)  # type: ignore[attr-defined]
        self.status = f"{error.code} {error.reason}"
        self.response_headers = [*self.response_headers, *headers]
        self.set_close_on_finish()
        self.content_length = len(body)
        self.write(body)


class Line(HTTPChannel):
    """A connection: whose it is, since when it waits for what, and what to do when it ends."""

    task_class = _Task
    error_task_class = _Unreadable
    parser_class = _Parser
    server: Any  # a _Listener; the types published for waitress do not know what a server has

    def __init__(self, server: "_Listener", sock: socket.socket, addr: Any, adj: Adjustments, map: Any = None) -> None:  # noqa: A002
        self.client = client_of(addr[0])
        self.at_work = self.answered = False
        self.since = self._flowed = time.monotonic()
        self._farewell: Callable[[], None] | None = None
        super().__init__(server, sock, addr, adj, map)

    @property
    def watching(self) -> bool:
        """Whether a viewer is at the other end."""
        return self._farewell is not None

    def watch(self, farewell: Callable[[], None]) -> None:
        """Make it a viewer's; `farewell` is called when the connection ends, at once if it has ended already."""
        self._farewell = farewell
        self.adj = self.server.viewer_adj
        if not self.connected:
            farewell()

    def hang_up(self) -> None:
        """Cut the connection, whatever still waits to be sent; from any thread."""
        if self.socket is not None:
            with suppress(OSError):
                self.socket.shutdown(socket.SHUT_RDWR)

    def quiet(self) -> bool:
        """Whether it is a viewer's that has all that was sent: nothing on it can become overdue."""
        return self.watching and not self.total_outbufs_len

    def overdue(self, now: float, bounds: Bounds) -> bool:
        """Whether it has had its time; to be asked every `look_s`."""
        if not self.total_outbufs_len:
            self._flowed = now
        if self.requests:
            # A worker that is slow is no fault of the client, one that does not read is.
            return self.watching and now - self._flowed > bounds.answer_s
        if self.total_outbufs_len:
            return now - self.since > bounds.answer_s
        return now - self.since > (bounds.idle_s if self.request is None else bounds.request_s)

    def received(self, data: bytes) -> bool:
        """Take what came; the first byte of a request begins its time."""
        if self.request is None and not self.requests:
            self.since = time.monotonic()
        taken = bool(super().received(data))
        waiting = list(self.requests)
        if waiting:
            self.client = client_of(self.addr[0], waiting[-1].headers.get("X_FORWARDED_FOR", ""))
        if len(waiting) > AHEAD:
            self.handle_close()
        return taken

    def service(self) -> None:
        """Answer the next request; on one of the workers."""
        self.at_work = True
        try:
            if self.connected:
                super().service()
        finally:
            self.since = time.monotonic()
            self.at_work, self.answered = False, True

    def handle_close(self) -> None:
        super().handle_close()
        if self._farewell is not None:
            self._farewell()


# ---- all of them ------------------------------------------------------------------------------------------------


class _Turns:
    """The connections that wait for a worker: a queue for each client, and each queue in its turn."""

    def __init__(self) -> None:
        self._queues: dict[str, deque[Line]] = {}
        self._length = 0

    def __len__(self) -> int:
        return self._length

    def append(self, line: Line) -> None:
        self._queues.setdefault(line.client, deque()).append(line)
        self._length += 1

    def popleft(self) -> Line:
        client = next(iter(self._queues))
        queue = self._queues.pop(client)
        line = queue.popleft()
        if queue:
            self._queues[client] = queue
        self._length -= 1
        return line


class _Listener(TcpWSGIServer):
    channel_class = Line
    active_channels: dict[int, Line]  # type: ignore[assignment]
    _map: dict[int, Any]
    bounds: Bounds
    limit: int
    viewer_adj: Adjustments
    unreadable: Callable[[int], tuple[list[tuple[str, str]], bytes]]
    _next_look = 0.0
    _deaf_until = 0.0

    def readable(self) -> bool:
        return (
            bool(self.accepting) and time.monotonic() >= self._deaf_until and (not self._full() or bool(self._spare()))
        )

    def handle_accept(self) -> None:
        """Take who waits at the port, as long as there is room or somebody who can make room."""
        for _ in range(AT_ONCE):
            spare = self._spare() if self._full() else None
            if self._full() and not spare:
                return
            try:
                accepted = self.accept()
            except OSError:
                # No file descriptor is left. The port stays readable, so without a pause this would turn for ever.
                if spare := self._spare():
                    spare.handle_close()
                self._deaf_until = time.monotonic() + 0.1
                return
            if accepted is None:
                return
            if spare:
                spare.handle_close()
            self._take(*accepted)

    def _full(self) -> bool:
        return len(self.active_channels) >= self.limit

    def _take(self, sock: socket.socket, address: Any) -> None:
        try:
            self.set_socket_options(sock)
        except OSError:
            sock.close()
            return
        self.channel_class(self, sock, address, self.adj, map=self._map)

    def _spare(self) -> Line | None:
        """The connection that can be cut for another: of who has most, the oldest idle one if there is one."""
        lines = [line for line in list(self.active_channels.values()) if not line.watching]
        held = Counter(line.client for line in lines)
        most = max(held.values(), default=0)
        lines = [line for line in lines if not line.at_work and held[line.client] == most]
        now = time.monotonic()
        idle = [line for line in lines if not line.requests and now - line.since >= YOUNG_S]
        again = [line for line in lines if line.requests and (line.answered or now - line.since >= LATE_S)]
        return min(idle or again, key=lambda line: line.since, default=None)

    def look(self) -> None:
        """Cut the connections that have had their time."""
        now = time.monotonic()
        if now < self._next_look:
            return
        self._next_look = now + self.bounds.look_s
        for line in list(self.active_channels.values()):
            if line.overdue(now, self.bounds):
                line.handle_close()

    def patience(self, longest: float) -> float:
        """How long the loop may sleep: not past the next look while there is anything to look at."""
        if self._deaf_until > time.monotonic() or self._full():
            return min(longest, YOUNG_S)
        lines = self.active_channels.values()
        return longest if all(line.quiet() for line in lines) else min(longest, self.bounds.look_s)


class Server:
    """A site on its port: listening from the start, answering while `run` runs."""

    def __init__(self, listener: _Listener, sockets: dict[int, Any], stream: Live | None) -> None:
        self._listener = listener
        self._sockets = sockets
        self._stream = stream
        self._stopping = threading.Event()
        host, port = listener.getsockname()
        self.port = int(port)
        self.url = f"http://[{host}]:{self.port}" if ":" in host else f"http://{host}:{self.port}"

    def run(self) -> None:
        """Answer until `stop` is called, then close."""
        try:
            while not self._stopping.is_set():
                self.step(30)
        finally:
            self.close()

    def step(self, timeout: float = 2.0) -> None:
        """Answer what comes within `timeout` seconds; for a loop that is not ours. End with `close`."""
        loop(timeout=self._listener.patience(timeout), use_poll=True, map=self._sockets, count=1)
        self._listener.look()

    def close(self) -> None:
        """End every viewer and every connection, and give the port back."""
        if self._stream is not None:
            self._stream.close()
        self._listener.task_dispatcher.shutdown(timeout=3)
        close_all(self._sockets)

    def stop(self) -> None:
        """Make `run` return; from any thread, more than once if need be."""
        self._stopping.set()
        with suppress(OSError):
            self._listener.pull_trigger()


def serve(
    app: Flask, host: str, port: int, *, workers: int = 4, stream: Live | None = None, bounds: Bounds | None = None
) -> Server:
    """Listen on `host`:`port` (0 picks a free one); `run` on the result answers. Raises CannotListen.

    Every viewer of the stream costs a thread for as long as the page is open, so there are `workers` besides.
    """
    # They would fill the journal: with every page that is left, and with queues of one while a thread is being woken.
    logging.getLogger("waitress").setLevel(logging.WARNING)
    logging.getLogger("waitress.queue").setLevel(logging.ERROR)
    adj = _adjustments(host, port)
    if len(adj.listen) != 1:
        raise CannotListen(host, port, "the name stands for more than one address")
    viewers = 0 if stream is None else stream.viewers
    dispatcher = ThreadedTaskDispatcher()
    dispatcher.queue = _Turns()  # type: ignore[assignment]
    sockets: dict[int, Any] = {}
    place: Any = adj.listen[0]
    try:
        listener = _Listener(app, sockets, dispatcher=dispatcher, adj=adj, sockinfo=place)
    except OSError as error:
        close_all(sockets)
        raise CannotListen(host, port, error.strerror or str(error)) from None
    listener.bounds = bounds or Bounds()
    listener.limit = viewers + listener.bounds.beside
    listener.unreadable = app.config[UNREADABLE]
    listener.viewer_adj = copy.copy(adj)
    # A viewer that does not read holds what one screen needs, and its own thread; a plain page holds no thread at all.
    listener.viewer_adj.outbuf_high_watermark = 256 * 1024
    dispatcher.set_thread_count(workers + viewers)
    return Server(listener, sockets, stream)


def _adjustments(host: str, port: int) -> Adjustments:
    adj = Adjustments(
        host=host,
        port=port,
        ident="",
        max_request_header_size=MAX_HEADER,
        max_request_body_size=MAX_BODY,
        # In memory: a client must not make files, of which each takes a descriptor.
        inbuf_overflow=2 * MAX_BODY,
        # So that a connection that ends while it is answered is noticed.
        channel_request_lookahead=1,
        # Above any page of ours.
        outbuf_high_watermark=16 * 1024 * 1024,
        # A client that breaks off is no news for the journal.
        log_socket_errors=False,
    )
    # Ends a viewer whose machine went away without a word within half a minute, not a quarter of an hour.
    adj.socket_options = [*adj.socket_options, (socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 30_000)]
    return adj

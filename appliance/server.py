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
from typing import Any, Protocol

from flask import Flask
from waitress.adjustments import Adjustments
from waitress.server import TcpWSGIServer
from waitress.task import ThreadedTaskDispatcher
from waitress.wasyncore import close_all, loop

from appliance.connection import Bounds, Line

UNREADABLE = "appliance.unreadable"
"""Where an app's config has the function that makes the answer, headers and body, to what is no request at all."""

MAX_HEADER = 32 * 1024
MAX_BODY = 256 * 1024
"""Above what the pages take, so that it is their sentence that answers what is too large."""
AT_ONCE = 64
"""Connections accepted in one round of the loop."""
YOUNG_S, LATE_S = 0.1, 3.0
"""The time that a connection has for its next word before it counts as idle, and the workers for its first answer."""


class Live(Protocol):
    """What the server must know of a live stream: how many hold a thread at most, and how to end them all."""

    viewers: int

    def close(self) -> None: ...


class CannotListen(Exception):
    """A port cannot be opened: `host`, `port`, and `why` in the system's words."""

    def __init__(self, host: str, port: int, why: str) -> None:
        super().__init__(f"{host}:{port}: {why}")
        self.host, self.port, self.why = host, port, why


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
    _knocks = False
    _began = _next_look = _deaf_until = 0.0

    def readable(self) -> bool:
        return (
            bool(self.accepting) and time.monotonic() >= self._deaf_until and (not self._full() or bool(self._spare()))
        )

    def handle_accept(self) -> None:
        """Somebody waits at the port; `take_in` comes when everybody who is here was heard and sent his answer."""
        self._knocks = True

    def take_in(self, began: float) -> None:
        """Take who waits at the port, as long as there is room or one who can make room; `began` is this round's."""
        self._began = began
        for _ in range(AT_ONCE if self._knocks else 0):
            spare = self._spare() if self._full() else None
            if self._full() and not spare:
                return
            self._knocks = False
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
        # As it was when this round began, in which all were heard: on a slow machine a round alone may take that long.
        idle = [line for line in lines if not line.requests and self._began - line.since >= YOUNG_S]
        again = [line for line in lines if line.requests and (line.answered or self._began - line.since >= LATE_S)]
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
        began = time.monotonic()
        loop(timeout=self._listener.patience(timeout), use_poll=True, map=self._sockets, count=1)
        self._listener.take_in(began)
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

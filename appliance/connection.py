"""One HTTP connection: whose it is, since when it waits for what, and what is no request (`server` has them all)."""

import socket
import time
from collections.abc import Callable
from contextlib import suppress
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Any

import msgspec
from waitress.adjustments import Adjustments
from waitress.channel import HTTPChannel
from waitress.parser import HTTPRequestParser, ParsingError
from waitress.task import ErrorTask, WSGITask

LINE = "appliance.line"
"""Where a request's environ has the connection that it came on."""

AHEAD = 2
"""Requests that may be sent before the first of them is answered."""


class Bounds(msgspec.Struct, frozen=True):
    """What clients may hold; seconds, and connections beside those of the viewers."""

    beside: int = 96
    request_s: float = 10.0
    idle_s: float = 15.0
    answer_s: float = 30.0
    look_s: float = 1.0
    """How often it is looked who has had his time."""


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
    server: Any  # a listener; the types published for waitress do not know what a server has

    def __init__(self, server: Any, sock: socket.socket, addr: Any, adj: Adjustments, map: Any = None) -> None:  # noqa: A002
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

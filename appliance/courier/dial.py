"""Reaching the broker: name, TCP, TLS, in a thread of its own for each attempt.

A name server that does not answer holds `getaddrinfo` for half a minute and no time-out of ours can end it. The loop
that feeds the watchdog must not hang with it, so it only looks whether the attempt has come to something.
"""

import socket
import ssl
import threading
import time
from collections.abc import Callable
from pathlib import Path

import msgspec


class Address(msgspec.Struct, frozen=True, kw_only=True):
    """Where the county's broker is, and what the window shows it; the files are PEM, and `ca_file` asks for TLS."""

    host: str
    port: int = 1883
    username: str | None = None
    password: str | None = None
    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None

    def __repr__(self) -> str:
        return f"{'mqtts' if self.ca_file else 'mqtt'}://{self.host}:{self.port}"


def trust(address: Address) -> ssl.SSLContext | None:
    """The TLS terms for an address, None without TLS; raises OSError (ssl.SSLError is one) when a file will not do."""
    if address.ca_file is None:
        return None
    context = ssl.create_default_context(cafile=address.ca_file)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if address.cert_file is not None:
        context.load_cert_chain(address.cert_file, address.key_file)
    return context


def reach(address: Address, context: ssl.SSLContext | None, seconds: float, silence: float) -> socket.socket:
    """A connected socket within `seconds` after the name is known, or OSError.

    The time is shared among the addresses of the name, so that a dead IPv6 route leaves some for IPv4. `silence` is how
    long sent bytes may stay unconfirmed by the other machine before the kernel gives the connection up.
    """
    deadline = time.monotonic() + seconds
    error: OSError = OSError(f"no address for {address.host}")
    places = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
    for left, (family, kind, protocol, _, place) in zip(range(len(places), 0, -1), places, strict=True):
        line = socket.socket(family, kind, protocol)
        try:
            return _open(line, place, address.host, context, max(0.1, (deadline - time.monotonic()) / left), silence)
        except OSError as problem:
            line.close()
            error = problem
    raise error


def _open(
    line: socket.socket, place: object, host: str, context: ssl.SSLContext | None, seconds: float, silence: float
) -> socket.socket:
    line.settimeout(seconds)
    # Without it mosquitto was seen to take 23 TLS connections a second instead of 692, and every press waits.
    line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    line.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(silence * 1000))
    line.connect(place)  # type: ignore[arg-type]  # getaddrinfo's own form, typed more loosely than connect's
    if context is None:
        return line
    return context.wrap_socket(line, server_hostname=host)


def hurry(line: object) -> None:
    """Confirm to the other machine what comes next without delay.

    A broker that does not set TCP_NODELAY holds its second small packet until the first is confirmed, and the kernel
    confirms after 40 ms: 700 facts a second were seen instead of 3,000. The kernel forgets this wish again and again.
    """
    if isinstance(line, socket.socket) and line.family != socket.AF_UNIX:
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)


def wake_beyond(line: socket.socket, answer: int) -> None:
    """Let poll() tell of this connection only once more than the bytes of a mere answer have come, or its end."""
    line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, answer + 1)


class Dialling:
    """One attempt to get a connected socket from `dial`; `done` is called from its thread when there is an outcome."""

    def __init__(self, dial: Callable[[], socket.socket], done: Callable[[], None]) -> None:
        self._dial, self._done = dial, done
        self._lock = threading.Lock()
        self._wanted = True
        self._outcome: socket.socket | OSError | None = None
        self._fault: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="dial", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        outcome: socket.socket | OSError | None = None
        try:
            outcome = self._dial()
        except OSError as problem:
            outcome = problem
        except BaseException as fault:  # noqa: BLE001 - raised again in the thread that asks for the outcome
            self._fault = fault
        with self._lock:
            self._outcome = outcome
            if not self._wanted:
                self._drop()
        self._done()

    def _drop(self) -> None:
        if isinstance(self._outcome, socket.socket):
            self._outcome.close()

    @property
    def under_way(self) -> bool:
        """Whether the thread still waits for the network."""
        return self._thread.is_alive()

    def outcome(self) -> socket.socket | OSError | None:
        """The socket, or why there is none, or None while under way; raises what is no fault of the network."""
        if self._fault is not None:
            raise self._fault
        with self._lock:
            return self._outcome

    def abandon(self) -> None:
        """Nobody waits any more: a socket that comes, or came, is closed."""
        with self._lock:
            self._wanted = False
            self._drop()

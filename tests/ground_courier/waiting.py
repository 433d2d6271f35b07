"""Waiting for what must come true, with a deadline, and free ports."""

import os
import socket
import threading
import time
from collections.abc import Callable
from itertools import count

_never = threading.Event()

FIRST_PORT, LAST_PORT, SHARES = 20_000, 32_000, 8
"""Below the ports that the kernel gives to whoever asks for any: those may be taken the moment they were found free."""
_turn = count(os.getpid())


def until(come: Callable[[], object], what: str, seconds: float = 10.0) -> None:
    """Return as soon as `come()` is true; fail with `what` after `seconds`."""
    deadline = time.monotonic() + seconds
    while not come():
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds:g} s: {what}")
        _never.wait(0.002)


def stays(holds: Callable[[], object], what: str, seconds: float) -> None:
    """Fail with `what` as soon as `holds()` is false within `seconds`."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        assert holds(), what
        _never.wait(0.005)


def free_port(in_a_row: int = 1) -> int:
    """A port on loopback that nobody has now, the first of so many; never one that a test beside this one is given."""
    size = (LAST_PORT - FIRST_PORT) // SHARES
    share = FIRST_PORT + size * (int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % SHARES)
    for _ in range(size):
        first = share + 4 * (next(_turn) % (size // 4))
        if all(is_free(port) for port in range(first, first + in_a_row)):
            return first
    raise AssertionError("no port is free")


def is_free(port: int) -> bool:
    """Whether something could listen there."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def listens(port: int) -> bool:
    """Whether something accepts connections there."""
    with socket.socket() as one:
        one.settimeout(0.5)
        return one.connect_ex(("127.0.0.1", port)) == 0

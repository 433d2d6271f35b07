"""Waiting for what must come true, with a deadline, and free ports."""

import socket
import threading
import time
from collections.abc import Callable

_never = threading.Event()


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


def free_port() -> int:
    """A port on loopback that nobody has now."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def listens(port: int) -> bool:
    """Whether something accepts connections there."""
    with socket.socket() as one:
        one.settimeout(0.5)
        return one.connect_ex(("127.0.0.1", port)) == 0

"""Words to systemd (sd_notify protocol): ready, still alive, stopping."""

import logging
import os
import socket
import threading
from functools import cache

log = logging.getLogger(__name__)

PATIENCE_S = 1.0
"""A service manager that does not read must not hold up the thread that watches the loops."""


def tell(words: str) -> None:
    """Send `READY=1`, `WATCHDOG=1`, `STATUS=…`; where no service manager hears it, one line in the log, once."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    path = "\0" + address[1:] if address.startswith("@") else address
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as notify:
            notify.settimeout(PATIENCE_S)
            notify.connect(path)
            notify.send(words.encode())
    except OSError as error:
        say_once(f"NOTIFY_SOCKET {address!r} takes nothing ({error}): the service manager hears nothing of us")


def is_service() -> bool:
    """Whether a service manager started this process, and starts it again when it ends."""
    return bool(os.environ.get("NOTIFY_SOCKET"))


def watchdog_s() -> float | None:
    """Seconds between two signs of life that systemd wants, None when it does not watch this process."""
    usec, pid = os.environ.get("WATCHDOG_USEC"), os.environ.get("WATCHDOG_PID")
    # Inherited from a parent that is watched itself.
    if not usec or (pid and pid != str(os.getpid())):
        return None
    try:
        wanted = int(usec) / 1_000_000
    except (ValueError, OverflowError):
        wanted = 0.0
    # Longer than any thread can wait is systemd's word for never.
    if 0 < wanted < threading.TIMEOUT_MAX:
        return wanted
    say_once(f"WATCHDOG_USEC is {usec[:40]!r}: no time between two signs of life, none are sent on its account")
    return None


@cache
def say_once(words: str) -> None:
    """One line in the log, however often it comes."""
    log.warning("%s", words)

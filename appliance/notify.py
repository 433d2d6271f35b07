"""Words to systemd (sd_notify protocol): ready, still alive, stopping."""

import os
import socket


def tell(words: str) -> None:
    """Send `READY=1`, `WATCHDOG=1`, `STATUS=…`; nothing where no service manager listens."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    path = "\0" + address[1:] if address.startswith("@") else address
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as notify:
        notify.connect(path)
        notify.send(words.encode())


def watchdog_s() -> float | None:
    """Seconds between two signs of life that systemd wants, None when it does not watch (WATCHDOG_USEC)."""
    usec = os.environ.get("WATCHDOG_USEC")
    return int(usec) / 1_000_000 if usec else None

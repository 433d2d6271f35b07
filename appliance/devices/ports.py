"""Where a printer's wire ends: a serial port, `/dev/usb/lp*` or TCP 9100; each moves bytes and none blocks for ever."""

import errno
import fcntl
import os
import select
import socket
import stat
import struct
import sys
import termios
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

from appliance.devices.condition import Reason
from appliance.guard import DeviceTrouble, guarded, let_go, words

if TYPE_CHECKING:
    import serial

CHUNK = 512
"""Bytes offered at once, so that what has left is known to within one chunk."""


class Port(Protocol):
    """A wire that may be absent, may stall and may go away; methods raise DeviceTrouble if they know why,
    and whatever their library raises if not: who calls them stands in a guard."""

    bits_per_second: int

    def open(self) -> None:
        """Take the wire; nothing else may hold it."""

    def write(self, data: bytes, wait: float) -> int:
        """How many of the first bytes left within `wait` seconds; 0 when none did."""

    def unsent(self) -> int:
        """Bytes taken by `write` that the machine still holds back."""

    def read(self, wait: float) -> bytes:
        """One byte, or none when none came within `wait` seconds."""

    def discard_input(self) -> None:
        """Forget what came that nobody asked for."""

    def close(self) -> None:
        """Let go of the wire at once, dropping what it will not take."""


_REASONS: dict[int, Reason] = {
    errno.ENOENT: "absent",
    errno.ENODEV: "absent",
    errno.ENXIO: "absent",
    errno.EIO: "unplugged",
    errno.EPIPE: "unplugged",
    errno.ECONNRESET: "unplugged",
    errno.ESHUTDOWN: "unplugged",
    errno.ENOSPC: "paper_out",  # the kernel's driver of USB printers asks them itself
    errno.EACCES: "no_permission",
    errno.EPERM: "no_permission",
    errno.EBUSY: "in_use",
    errno.EAGAIN: "in_use",  # what pyserial's lock says
    errno.ENOTTY: "wrong_port",
    errno.EISDIR: "wrong_port",
    errno.ECONNREFUSED: "refused",
    errno.EHOSTUNREACH: "unreachable",
    errno.ENETUNREACH: "unreachable",
    errno.ETIMEDOUT: "unreachable",
}


def reason_of(error: BaseException) -> Reason:
    """What an exception of the system or of a library means for a printer."""
    if isinstance(error, TimeoutError | socket.gaierror | UnicodeError):  # the last: a name that no look-up takes
        return "unreachable"
    if isinstance(error, OSError):
        return _REASONS.get(error.errno or 0, "error")
    return _REASONS.get(_number(error), "error")


def _number(error: BaseException | None) -> int:
    """The system's number of a `termios.error`, which is no OSError, but has it in the same place; 0 for others."""
    number = error.args[0] if isinstance(error, termios.error) and error.args else 0
    return number if isinstance(number, int) else 0


class _Descriptor:
    """Reading and writing a non-blocking file descriptor with deadlines: what all three wires have in common."""

    bits_per_second = 115_200
    _fd = -1

    def write(self, data: bytes, wait: float) -> int:
        if not self._ready(select.POLLOUT, wait):
            return 0
        try:
            return os.write(self._fd, data[:CHUNK])
        except BlockingIOError:
            return 0

    def read(self, wait: float) -> bytes:
        return self._take(1, wait)

    def discard_input(self) -> None:
        # Bounded: a machine that never stops talking is no reason to listen for ever.
        for _ in range(64):
            if not self._take(1024, 0):
                return

    def _take(self, count: int, wait: float) -> bytes:
        if not self._ready(select.POLLIN, wait):
            return b""
        try:
            got = os.read(self._fd, count)
        except BlockingIOError:
            return b""
        if not got:
            raise DeviceTrouble("unplugged", "end of input")
        return got

    def _ready(self, wanted: int, wait: float) -> bool:
        poll = select.poll()
        poll.register(self._fd, wanted)
        found = poll.poll(max(0.0, wait) * 1000)
        if not found:
            return False
        if not found[0][1] & wanted:
            raise DeviceTrouble("unplugged", "hung up")
        return True

    def _outgoing(self) -> int:
        """What the kernel still holds: bytes of a tty not yet on the wire, of a TCP connection not yet acknowledged."""
        count = fcntl.ioctl(self._fd, termios.TIOCOUTQ, b"\0\0\0\0")
        return int.from_bytes(count, sys.byteorder)


class SerialPort(_Descriptor):
    """A serial port, by the role name that udev gives it; pyserial sets it up, its bytes are moved with deadlines."""

    def __init__(
        self, path: str, baud: int = 9600, flow: Literal["none", "rtscts", "dsrdtr", "xonxoff"] = "none"
    ) -> None:
        self.bits_per_second = baud
        self._path = path
        self._flow = flow
        self._serial: serial.Serial | None = None

    def open(self) -> None:
        with guarded("no_library"):
            import serial
        try:
            self._serial = serial.Serial(
                self._path,
                self.bits_per_second,
                timeout=0,
                exclusive=True,
                rtscts=self._flow == "rtscts",
                dsrdtr=self._flow == "dsrdtr",
                xonxoff=self._flow == "xonxoff",
            )
        except serial.SerialException as trouble:
            # pyserial says which system error kept it from opening, and none where the file is no serial port.
            number = trouble.errno or _number(trouble.__context__) or errno.ENOTTY
            raise DeviceTrouble(_REASONS.get(number, "error"), words(trouble)) from trouble
        self._fd = self._serial.fileno()
        self._ignore_breaks()

    def _ignore_breaks(self) -> None:
        """A printer that is switched off breaks the line: read as a zero byte that would pass for the end of a job."""
        attributes = termios.tcgetattr(self._fd)
        attributes[0] |= termios.IGNBRK
        termios.tcsetattr(self._fd, termios.TCSANOW, attributes)

    def unsent(self) -> int:
        return self._outgoing()

    def close(self) -> None:
        if self._serial is None:
            return
        opened, fd, self._serial, self._fd = self._serial, self._fd, None, -1
        # Closing a tty waits up to 30 s for bytes that a paused printer does not take.
        let_go("the serial port's output", lambda: termios.tcflush(fd, termios.TCOFLUSH))
        opened.close()


class LinePrinterPort(_Descriptor):
    """A USB printer at the kernel's `/dev/usb/lp*`."""

    def __init__(self, path: str) -> None:
        self._path = path

    def open(self) -> None:
        mode = Path(self._path).stat().st_mode
        if not stat.S_ISCHR(mode) and not stat.S_ISFIFO(mode):
            raise DeviceTrouble("wrong_port", f"{self._path} is no device")
        self._fd = os.open(self._path, os.O_RDWR | os.O_NONBLOCK | os.O_NOCTTY)

    def unsent(self) -> int:
        """The kernel's driver holds one transfer and is ready for writing only when the printer has it."""
        return 0 if self._ready(select.POLLOUT, 0) else 1

    def close(self) -> None:
        if self._fd >= 0:
            closing, self._fd = self._fd, -1
            os.close(closing)


class NetworkPort(_Descriptor):
    """A printer that listens on TCP, by custom on port 9100; `host` is an address, for a look-up has no deadline."""

    def __init__(self, host: str, port: int = 9100, connect_s: float = 3.0) -> None:
        self._address = (host, port)
        self._connect_s = connect_s
        self._socket: socket.socket | None = None

    def open(self) -> None:
        self._socket = socket.create_connection(self._address, self._connect_s)
        self._socket.setblocking(False)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._fd = self._socket.fileno()

    def unsent(self) -> int:
        return self._outgoing()

    def close(self) -> None:
        if self._socket is None:
            return
        opened, self._socket = self._socket, None
        with opened as closing:
            if self._outgoing():
                # Else the kernel would go on sending for minutes, after the clerk was told that it stalled.
                closing.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

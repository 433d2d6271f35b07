"""As much of pyserial as opens a port, with a point at everything it does; the port itself is a real one."""

import os

from tests.ground_adapters.evil import point

point("serial.import")


class SerialException(IOError):
    """As pyserial has it."""


class Serial:
    """A real tty, opened plainly."""

    def __init__(self, path: str, baud: int, **_settings: object) -> None:
        point("serial.Serial")
        try:
            self._fd = os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        except OSError as trouble:
            raise SerialException(trouble.errno, str(trouble)) from trouble

    def fileno(self) -> int:
        point("serial.fileno")
        return self._fd

    def close(self) -> None:
        os.close(self._fd)
        point("serial.close")

"""Chinese on any terminal: what we print never fails for the locale, and files are UTF-8 whatever it is.

Rules: a terminal whose encoding has Chinese (GBK, GB18030, UTF-8) is spoken to in it, and what it lacks (㛃) is
escaped; any other is spoken to in UTF-8. So is the journal, which knows nothing else.
"""

import io
import locale
import os
import select
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

COMMON = "医保服务窗口"
"""Words that an encoding must have to count as one for Chinese: simplified, so that Big5 does not."""

PATIENCE_S = 1.0
"""How long a full stream that does not block is waited for before what we say is dropped."""


def in_utf8() -> None:
    """Where the locale is an old one, start this process anew in UTF-8 mode, which holds for names of files too."""
    old = sys.getfilesystemencoding().lower() != "utf-8"
    # Who says `-X utf8=0` means it, and would be started anew for ever.
    if old and sys.executable and "utf8" not in sys._xoptions:
        os.execv(sys.executable, [sys.executable, "-X", "utf8", *sys.orig_argv[1:]])


def speak_chinese() -> None:
    """From now on the standard streams are there, take any text, and outlive whoever reads them."""
    _open_closed()
    sys.stdout = _Words.on(1, sys.stdout)
    sys.stderr = _Words.on(2, sys.stderr)


def _open_closed() -> None:
    """A closed descriptor below 3 would go to the next file opened, the ledger's perhaps, and get our messages."""
    while (fd := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(fd)


class _Pipe(io.FileIO):
    """A standard stream's descriptor, which a full disk or a reader who went away does not make an error of ours."""

    def write(self, data: "ReadableBuffer", /) -> int:
        with suppress(OSError):
            if (written := super().write(data)) is not None or (written := self._later(data)) is not None:
                return written
        return memoryview(data).nbytes

    def _later(self, data: "ReadableBuffer") -> int | None:
        """What a stream takes that does not block and is full just now; None when its reader does not go on reading."""
        poll = select.poll()
        poll.register(self.fileno(), select.POLLOUT)
        return super().write(data) if poll.poll(PATIENCE_S * 1000) else None


class _Words(io.TextIOWrapper):
    """A standard stream that takes any text."""

    @classmethod
    def on(cls, fd: int, stream: TextIO | None) -> TextIO:
        """In place of the interpreter's own; one that somebody else put there stays."""
        if stream is not None and stream not in (sys.__stdout__, sys.__stderr__):
            return stream
        if stream is not None:
            stream.flush()
        raw = io.BufferedWriter(_Pipe(fd, "w", closefd=False))
        lines = fd == 2 or os.isatty(fd)
        return cls(raw, _encoding(fd, stream), "backslashreplace", line_buffering=lines)


def _encoding(fd: int, stream: TextIO | None) -> str:
    """The stream's encoding, where that has Chinese. In UTF-8 mode only the locale still knows the terminal's."""
    told = stream is not None and os.environ.get("PYTHONIOENCODING") and not sys.flags.ignore_environment
    encoding = stream.encoding if told and stream else locale.getencoding()
    return encoding if _has_chinese(encoding) and not _is_journal(fd) else "utf-8"


def _has_chinese(encoding: str) -> bool:
    try:
        return bool(COMMON.encode(encoding))
    except (UnicodeError, LookupError):
        return False


def _is_journal(fd: int) -> bool:
    """Whether systemd says that this stream is its journal."""
    stat = os.fstat(fd)
    return os.environ.get("JOURNAL_STREAM") == f"{stat.st_dev}:{stat.st_ino}"

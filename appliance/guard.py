"""Where every call into a device's library stands: whatever it raises becomes one exception of ours, with its words.

The rule: no list of expected exceptions. A library may raise anything at all, `lgpio.error` and `termios.error`, which
are no OSError, SystemExit from its import, an exception whose own text raises; none of it is the window's end.
"""

import logging
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Literal

log = logging.getLogger(__name__)

LONGEST = 200
"""Characters of a library's words that are kept: they are stored and sent with the fact."""

Reason = Literal[
    "",
    "absent",  # the port or the device is not there
    "no_printer",  # the settings name none
    "wrong_port",  # something else is there: a file, a console, whatever echoes
    "no_permission",
    "in_use",  # another program holds it
    "refused",  # the host says no to the port
    "unreachable",  # the host does not answer, or its name is unknown
    "no_answer",  # it may work, but says nothing
    "strange_answer",  # it says what no printer says
    "paper_out",
    "near_end",  # of the paper; still printing
    "cover_open",
    "offline",
    "error",
    "stalled",  # it stopped taking bytes
    "unplugged",  # it went away in the middle
    "unreadable",  # the document itself cannot be printed
    "no_library",  # the program that drives it is not installed, or cannot be loaded
    "no_gpio",  # a line of the GPIO chip, or the chip itself
    "hung",  # its library does not return
]


class DeviceTrouble(Exception):
    """A device cannot be used or went away: `reason` is one of the words above, `detail` its library's own words."""

    def __init__(self, reason: Reason, detail: object) -> None:
        self.reason: Reason = reason
        self.detail = plain(str(detail))
        super().__init__(self.detail)


class guarded:  # noqa: N801  it is said like a word: with guarded("error")
    """Turns whatever is raised inside into a DeviceTrouble; `reason` is its code, or finds it for the exception.

    It keeps no hold on the exception: in its frames live half-made objects of gpiozero that hold their pins reserved.
    """

    def __init__(self, reason: Reason | Callable[[BaseException], Reason] = "error") -> None:
        self._reason = reason

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _frames: TracebackType | None
    ) -> Literal[False]:
        if error is None or isinstance(error, DeviceTrouble):
            return False
        log.debug("a device's library raised", exc_info=error)
        reason = self._reason if isinstance(self._reason, str) else self._reason(error)
        raise DeviceTrouble(reason, words(error)) from None


def let_go(what: str, close: Callable[[], object]) -> bool:
    """Close something of a device's; what it raises only stands in the journal, and False says so."""
    try:
        with guarded():
            close()
    except DeviceTrouble as trouble:
        log.info("%s did not close cleanly: %s", what, trouble.detail)
        return False
    return True


def together(details: Iterable[str]) -> str:
    """Several devices' words as one detail of bounded length."""
    return "; ".join(details)[: 2 * LONGEST]


def words(error: BaseException) -> str:
    """An exception's name and text as one short line."""
    try:
        text = str(error)
    except BaseException:
        text = "(no text)"
    name = type(error).__name__
    return plain(f"{name}: {text}" if text else name)


def plain(text: str) -> str:
    """A text that any file, page and terminal takes: one line of bounded length, without control characters."""
    shown = "".join(char if char.isprintable() else " " for char in text[: 4 * LONGEST])
    return " ".join(shown.split())[:LONGEST]

"""Points in a library at which anything can be raised: a file of the point's name in the folder $EVIL says what."""

import os
import termios
from pathlib import Path

LIBRARIES = Path(__file__).parent / "libraries"
"""To be put on the path before the real ones."""


class Unspeakable(Exception):
    """An exception whose own text raises."""

    def __str__(self) -> str:
        raise RuntimeError("no words")


class Busy(Exception):
    """As lgpio's `error`: an Exception and nothing more."""

    def __str__(self) -> str:
        return "'GPIO busy'"


class Alien(BaseException):
    """Not even an Exception."""


class Scribble(Exception):
    """Words that neither a terminal nor JSON takes, and too many of them."""

    def __str__(self) -> str:
        return "\x1b[2J\ud800\x00\n" + "很长" * 10_000


RAISED: dict[str, BaseException] = {
    "ValueError": ValueError("embedded null byte"),
    "AttributeError": AttributeError("'NoneType' object has no attribute 'x'"),
    "OSError": OSError(5, "Input/output error"),
    "termios.error": termios.error(5, "Input/output error"),
    "Busy": Busy(),
    "SystemExit": SystemExit(3),
    "KeyboardInterrupt": KeyboardInterrupt(),
    "StopIteration": StopIteration(),
    "MemoryError": MemoryError(),
    "Unspeakable": Unspeakable(),
    "Scribble": Scribble(),
    "Alien": Alien(),
}
"""What a library may raise, by name."""


def point(name: str) -> None:
    """A place where the library does something: raises what the folder says for it."""
    place = os.environ.get("EVIL")
    file = Path(place, name) if place else None
    if file is not None and file.exists():
        raise RAISED[file.read_text()].with_traceback(None)


class Evil:
    """The folder $EVIL, as a test turns it."""

    def __init__(self, place: Path) -> None:
        self.place = place
        place.mkdir(exist_ok=True)

    def at(self, name: str, raises: str) -> None:
        """From now on that point raises."""
        self._write(name, raises)

    def mend(self, name: str) -> None:
        """It works again."""
        (self.place / name).unlink(missing_ok=True)

    def level(self, pin: int, high: bool) -> None:
        """Drive a pin of the fake chip."""
        self._write(f"level.{pin}", "1" if high else "0")

    def gone(self, gone: bool) -> None:
        """Pull the fake chip out, or put it back: another chip then, whose old handles are dead."""
        if gone:
            self._write("gone", "")
            return
        self.mend("gone")

    def lit(self, pin: int) -> str:
        """What the window drives a pin to, empty when to nothing."""
        file = self.place / f"out.{pin}"
        return file.read_text() if file.exists() else ""

    def heard(self, pin: int) -> bool:
        """Whether edges of a pin were ever asked for."""
        return (self.place / f"heard.{pin}").exists()

    def _write(self, name: str, words: str) -> None:
        new = self.place / f".{name}"
        new.write_text(words)
        new.rename(self.place / name)

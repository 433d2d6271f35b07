"""A Chromium of our own: its flags, its profile, its process group, and the pipes on which it is watched.

The profile lies where nothing is kept (/run), so a card that is full or read-only stops no browser. It is thrown
away at every start: a crash leaves no question about pages to restore. The browser inherits its screen's lock:
whoever holds that knows that no browser of that screen runs, and may throw its profile away.
"""

import fcntl
import os
import shutil
import signal
from contextlib import suppress
from pathlib import Path
from time import monotonic, sleep

from appliance.screen.talk import Talk

PROGRAMS = ("chromium", "chromium-browser")
FLAGS = (
    "--kiosk",
    "--remote-debugging-pipe",
    # The page is on this machine, whatever the system's proxy is for.
    "--no-proxy-server",
    "--lang=zh-CN",
    "--no-first-run",
    "--no-default-browser-check",
    "--disable-sync",
    "--disable-component-update",
    "--disable-breakpad",
    "--disable-features=Translate,MediaRouter,OptimizationHints",
    "--disable-pinch",
    "--overscroll-history-navigation=0",
    "--noerrdialogs",
    # A page that hangs is our business, not a question to a resident.
    "--disable-hang-monitor",
    "--disable-session-crashed-bubble",
    "--hide-crash-restore-bubble",
    "--password-store=basic",
    "--disk-cache-size=1048576",
)
PREFERENCES = '{"translate": {"enabled": false}}'
"""Or a card in a corner offers to translate the page into English, --disable-features=Translate or not."""
WAYLAND = "--ozone-platform=wayland"
TOLD, HEARD, LOCK = 3, 4, 5
"""Files of the browser: the first two are what --remote-debugging-pipe means."""
END_S = 3.0


class NoBrowser(Exception):
    """There is no browser on this machine, or it cannot be started."""


class Taken(Exception):
    """Another watcher, or a browser that it left, has this screen."""


def take(file: Path, patience: float) -> int:
    """The right to show something on one screen, as an open file: the watcher holds it, and so does its browser."""
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    lock = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    deadline = monotonic() + patience
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if monotonic() > deadline:
                os.close(lock)
                raise Taken(f"{file} is held by another watcher, or by the browser that one left") from None
            sleep(0.1)
        else:
            return lock


class Browser:
    """One run of Chromium on its first page; `end` leaves no process of it."""

    def __init__(self, name: str, page: str, place: Path, lock: int, flags: tuple[str, ...] = ()) -> None:
        program = next((found for each in PROGRAMS if (found := shutil.which(each))), None)
        if program is None:
            raise NoBrowser(f"there is no {' and no '.join(PROGRAMS)} on this machine: install the package chromium")
        # sway knows the window by the name of the profile, whatever address it shows (kiosk.conf).
        words = [program, *FLAGS, f"--app={page}", f"--user-data-dir={place}", f"--profile-directory={name}"]
        if "WAYLAND_DISPLAY" in os.environ:
            words.append(WAYLAND)
        try:
            _prepare(place, name)
            self.pid, told, heard = _start([*words, *flags], _surroundings(place), lock)
        except OSError as error:
            raise NoBrowser(f"{program} cannot be started: {error}") from error
        self.talk = Talk(told, heard)

    def end(self) -> None:
        """Kill all its processes: a browser that does not answer would not end for a friendly word either."""
        self.talk.close()
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        deadline = monotonic() + END_S
        with suppress(ProcessLookupError):
            while monotonic() < deadline:
                os.killpg(self.pid, 0)
                sleep(0.02)


def _prepare(place: Path, name: str) -> None:
    """A new profile, and nothing else beside it."""
    with suppress(FileNotFoundError):
        shutil.rmtree(place)
    (place / "tmp").mkdir(mode=0o700, parents=True)
    (place / name).mkdir()
    (place / name / "Preferences").write_text(PREFERENCES)


def _surroundings(place: Path) -> dict[str, str]:
    """The environment, with every cache and every temporary file beside the profile."""
    caches = {name: str(place / "tmp") for name in ("TMPDIR", "XDG_CACHE_HOME", "XDG_CONFIG_HOME")}
    # --lang alone leaves the browser's own words in English.
    return {**os.environ, **caches, "LANGUAGE": "zh_CN"}


def _start(words: list[str], surroundings: dict[str, str], lock: int) -> tuple[int, int, int]:
    """The process, and our ends of its two pipes. In a session of its own, so that all of it can be killed at once."""
    their_told, told, heard, their_heard = (_high(end) for pair in (os.pipe(), os.pipe()) for end in pair)
    given = ((their_told, TOLD), (their_heard, HEARD), (lock, LOCK))
    try:
        pid = os.posix_spawn(
            words[0],
            words,
            surroundings,
            file_actions=[(os.POSIX_SPAWN_DUP2, ours, theirs) for ours, theirs in given],
            setsid=True,
            setsigdef=[signal.SIGPIPE, signal.SIGTERM],
        )
    except OSError:
        os.close(told)
        os.close(heard)
        raise
    finally:
        os.close(their_told)
        os.close(their_heard)
    return pid, told, heard


def _high(end: int) -> int:
    """The same pipe with a number that is not one of the browser's."""
    try:
        return fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 10)
    finally:
        os.close(end)

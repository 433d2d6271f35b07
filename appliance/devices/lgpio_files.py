"""Imports lgpio so that it finds a folder to work in and leaves nothing anywhere.

While it is imported, lgpio makes a pipe `.lgd-nfy0` in its working folder (LG_WD, or else the current one), changes to
that folder, and opens the pipe by its bare name. Nobody looks for the pipe again once both ends are open.
"""

import os
import shutil
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

_one_at_a_time = threading.Lock()


def import_lgpio() -> None:
    """Import it, if that was not done yet; raises what lgpio raises, and may be called again then."""
    with _one_at_a_time:
        if "lgpio" in sys.modules:
            return
        with _back_again(), _folder() as folder:
            os.environ["LG_WD"] = str(folder)
            os.chdir(folder)
            import lgpio  # noqa: F401


@contextmanager
def _back_again() -> Iterator[None]:
    """Return to the current folder at the end; where it cannot be entered, the root is as good."""
    home = None
    with suppress(OSError):
        home = os.open(".", os.O_PATH | os.O_CLOEXEC)
    try:
        yield
    finally:
        os.chdir("/" if home is None else home)
        if home is not None:
            os.close(home)


@contextmanager
def _folder() -> Iterator[Path]:
    """A folder that is gone afterwards."""
    place = _place()
    place.mkdir(mode=0o700, exist_ok=True)
    try:
        yield place
    finally:
        shutil.rmtree(place, ignore_errors=True)


@cache
def _place() -> Path:
    """The same at every attempt: lgpio looks up LG_WD only once. In memory, because a full card still has keys."""
    for parent in (os.environ.get("RUNTIME_DIRECTORY"), "/dev/shm"):
        if parent:
            with suppress(OSError):
                return Path(tempfile.mkdtemp(prefix="appliance-", dir=parent))
    return Path(tempfile.mkdtemp(prefix="appliance-"))

"""Tells the person who waits what is being done and how long it has taken."""

import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

BEGAN = time.monotonic()


def tell(line: str) -> None:
    """One line with the minutes and seconds since the start."""
    minutes, seconds = divmod(int(time.monotonic() - BEGAN), 60)
    print(f"[{minutes:3}:{seconds:02}] {line}", flush=True)


def do(what: str, command: Sequence[str], journal: Path, **given: object) -> None:
    """Run a command of the build, its output in a file; when it fails, the end of that file and an exit."""
    tell(what)
    with journal.open("ab") as file:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.STDOUT, check=False, **given
        )  # type: ignore[call-overload]
    if done.returncode:
        print(journal.read_text(errors="replace")[-3000:], file=sys.stderr)
        sys.exit(f"failed with {done.returncode}: {what} (all of it in {journal})")

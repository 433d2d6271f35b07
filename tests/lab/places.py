"""Where the lab keeps what it builds: outside the tree, and named by a hash of what it was built from."""

import fcntl
import hashlib
import os
import shutil
import sys
from pathlib import Path
from typing import IO

ROOT = Path(__file__).parents[2]
GUEST = Path(__file__).parent / "guest"


def cache() -> Path:
    """The folder of everything that is built once: images, modules, wheels, and the folder of the run."""
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "appliance-lab"
    home.mkdir(parents=True, exist_ok=True)
    return home


def alone() -> IO[str]:
    """The lock that a run holds until it ends; an exit when another run has it: they would share one folder."""
    lock = (cache() / "lock").open("w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        sys.exit(f"another run of the lab is under way ({cache()})")
    return lock


def key(*parts: str | bytes) -> str:
    """A short name for exactly these ingredients."""
    digest = hashlib.sha256()
    for part in parts:
        raw = part.encode() if isinstance(part, str) else part
        digest.update(len(raw).to_bytes(8, "big") + raw)
    return digest.hexdigest()[:16]


def kept(kind: str, name: str) -> Path:
    """The folder `kind-name` of the cache; others of that kind are of an older recipe, and go."""
    wanted = cache() / f"{kind}-{name}"
    for each in cache().glob(f"{kind}-*"):
        if each != wanted:
            shutil.rmtree(each)
    return wanted

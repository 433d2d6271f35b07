"""A library that does at its import what lgpio 0.2.2.0 does: a pipe in its working folder, opened by its bare name.

LGPIO_FAILS=1 has it fail afterwards, as it does where it is not allowed to start its thread.
"""

import os
from pathlib import Path


class error(Exception):  # noqa: N801
    """lgpio's own."""


def _work_dir() -> str:
    """In the C library this is looked up once in the life of a process; there it outlives a failed import."""
    known = getattr(os, "lgpio_work_dir", None) or os.environ.get("LG_WD") or os.getcwd()  # noqa: PTH109
    if not hasattr(os, "lgpio_work_dir"):
        os.chdir(known)
        os.lgpio_work_dir = known  # type: ignore[attr-defined]
    return known


_name = f"{_work_dir()}/.lgd-nfy0"
if not Path(_name).exists():
    os.mkfifo(_name, 0o664)
_sends = os.open(_name, os.O_RDWR | os.O_NONBLOCK)
_hears = Path(".lgd-nfy0").open("rb")  # noqa: SIM115
if os.environ.get("LGPIO_FAILS"):
    raise error("can't start new thread")


def gpiochip_open(chip: int) -> int:
    """No machine of a test has one."""
    raise error("can not open gpiochip")


def told() -> bytes:
    """Whether what is written at one end is still read at the other, as every press is."""
    os.write(_sends, b"edge")
    return os.read(_hears.fileno(), 4)


def __getattr__(name: str) -> int:
    """Its constants."""
    if name.isupper():
        return 0
    raise AttributeError(name)

"""What one make of receipt printer can do: width, cutter, QR of its own, the command for double size."""

import importlib.util
from pathlib import Path
from typing import Any, Literal

import msgspec

from appliance.guard import DeviceTrouble, guarded
from appliance.paper.sheet import CELL


class Profile(msgspec.Struct, frozen=True, kw_only=True):
    """The capabilities that matter for a Chinese receipt; the defaults are what every printer of its width can do.

    `native_qr` False sends QR codes as pictures: some 58 mm printers print the native command's payload as text.
    `enlarge` "fs" also sends `FS !` for makes whose `GS !` leaves Chinese characters small. `tear_lines` are fed where
    there is no cutter, so that the paper can be torn off below its last line.
    """

    name: str
    cells: int = 32
    cutter: bool = False
    native_qr: bool = False
    enlarge: Literal["gs", "fs"] = "gs"
    tear_lines: int = 4

    @property
    def dots(self) -> int:
        """Dots across the printable width."""
        return self.cells * CELL


SMALL = Profile(name="58mm")
WIDE = Profile(name="80mm", cells=48, cutter=True)
_OWN = {SMALL.name: SMALL, WIDE.name: WIDE}


class UnknownProfile(ValueError):
    """No profile of that name; `known` are the names there are."""

    def __init__(self, name: str, known: list[str]) -> None:
        super().__init__(f"unknown printer profile {name!r}; known are {', '.join(known)}")
        self.name = name
        self.known = known


def profile(name: str) -> Profile:
    """The profile `58mm`, `80mm`, or one of python-escpos' by its name, `TM-T20II`.

    Raises UnknownProfile, and DeviceTrouble when python-escpos' table cannot be read.
    """
    if name in _OWN:
        return _OWN[name]
    with guarded("no_library"):
        makes = _makes()
        make = _read(name, makes[name]) if name in makes else None
    if make is None:
        raise UnknownProfile(name, [*_OWN, *makes])
    return make


def _makes() -> dict[str, Any]:
    """python-escpos' table, read as data: importing the package for it takes 200 ms of a window's start."""
    found = importlib.util.find_spec("escpos")
    if found is None or not found.submodule_search_locations:
        raise DeviceTrouble("no_library", "python-escpos is not installed")
    table = Path(found.submodule_search_locations[0], "capabilities.json")
    profiles: dict[str, Any] = msgspec.json.decode(table.read_bytes())["profiles"]
    return profiles


def _read(name: str, make: dict[str, Any]) -> Profile:
    pixels = make["media"]["width"]["pixels"]
    known = isinstance(pixels, int) and pixels >= SMALL.dots
    able = make["features"]
    return Profile(
        name=name,
        # Of a make whose width nobody wrote down, the narrow paper cuts nothing off.
        cells=pixels // CELL if known else SMALL.cells,
        cutter=bool(able.get("paperFullCut") or able.get("paperPartCut")),
        native_qr=bool(able.get("qrCode")),
    )

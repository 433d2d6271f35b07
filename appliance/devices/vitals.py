"""The machine's own state: card, temperature, power."""

import os
from pathlib import Path

import msgspec

THERMAL = Path("/sys/class/thermal/thermal_zone0/temp")
# The Pi's firmware says here, in hexadecimal, whether the power supply is too weak or the chip too hot.
THROTTLED = Path("/sys/devices/platform/soc/soc:firmware/get_throttled")


class Vitals(msgspec.Struct, frozen=True):
    """Free space on the ledger's card in MB; °C and throttling where the machine says so, else None."""

    disk_free_mb: int
    temperature_c: float | None
    throttled: bool | None


def vitals(place: Path) -> Vitals:
    """Read them; `place` is a folder on the card that matters."""
    card = os.statvfs(place)
    return Vitals(card.f_bavail * card.f_frsize // 1_000_000, _temperature(), _throttled())


def _temperature() -> float | None:
    try:
        return round(int(THERMAL.read_text(encoding="ascii")) / 1000, 1)
    except (OSError, ValueError):
        return None


def _throttled() -> bool | None:
    try:
        return int(THROTTLED.read_text(encoding="ascii"), 16) != 0
    except (OSError, ValueError):
        return None

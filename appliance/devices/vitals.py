"""The machine's own state: card, temperature, power."""

import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import msgspec

from appliance.guard import DeviceTrouble, guarded

log = logging.getLogger(__name__)

THERMAL = Path("/sys/class/thermal/thermal_zone0/temp")
# The Pi's firmware says here, in hexadecimal, whether the power supply is too weak or the chip too hot.
THROTTLED = Path("/sys/devices/platform/soc/soc:firmware/get_throttled")


T = TypeVar("T")


class Vitals(msgspec.Struct, frozen=True):
    """Free space on the ledger's card in MB; °C, throttling; each None where the machine does not say."""

    disk_free_mb: int | None
    temperature_c: float | None
    throttled: bool | None


def vitals(place: Path) -> Vitals:
    """Read them; `place` is a folder on the card that matters."""
    return Vitals(_said(lambda: _free_mb(place)), _said(_temperature), _said(_throttled))


def _said(ask: Callable[[], T]) -> T | None:
    """What the machine says, None where asking raises anything: a dying card must not end the network's loop."""
    try:
        with guarded():
            return ask()
    except DeviceTrouble as trouble:
        log.debug("not known: %s", trouble.detail)
        return None


def _free_mb(place: Path) -> int:
    card = os.statvfs(place)
    return card.f_bavail * card.f_frsize // 1_000_000


def _temperature() -> float:
    return round(int(THERMAL.read_text(encoding="ascii")) / 1000, 1)


def _throttled() -> bool:
    return int(THROTTLED.read_text(encoding="ascii"), 16) != 0

"""The window's clock: the only place that asks what time it is, and whether that is to be trusted."""

import ctypes
import os
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Literal

from appliance.window.dating import YEARS
from appliance.window.moment import CHINA, Moment

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
# What adjtimex answers until some time service has set the clock (man 2 adjtimex).
TIME_ERROR = 5
TIMEX_BYTES = 256
STEP_S = 2.0
"""Somebody has set a clock that went so far from where it was, counted from the start of the machine."""

RTC = Path("/sys/class/rtc/rtc0/since_epoch")
DAY_S = 86400

Source = Literal["network", "battery"]


def kernel_synced() -> bool:
    """What adjtimex says of the system clock, whichever service keeps it; raises OSError when it may not be asked."""
    # Zeroed `modes` only asks; the answer fits well within these bytes on 32 and 64 bits.
    answer = int(ctypes.CDLL(None, use_errno=True).adjtimex(ctypes.create_string_buffer(TIMEX_BYTES)))
    if answer < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"adjtimex: {os.strerror(number)}")
    return answer < TIME_ERROR


def battery_agrees(now: datetime, battery: Path = RTC) -> bool:
    """Whether the clock on the battery says the same day: systemd lifts a lost one to a day of the past by itself."""
    try:
        said = int(battery.read_text(encoding="ascii"))
    except FileNotFoundError:
        # A machine that hides it, such as a container.
        return True
    except (OSError, ValueError):
        return False
    return abs(said - now.timestamp()) < DAY_S


class Clock:
    """Makes moments; `synced` is asked of the kernel only when told to look, because a press must not wait for it.

    With the source `network` the clock is trusted once a time service has set it, with `battery` (a machine that has a
    clock of its own) from the start. Once trusted it stays so until this program ends or somebody sets it: nine hours
    after it last heard of a time service the kernel says no again, though the clock has gone on as before.
    """

    def __init__(
        self,
        source: Source = "network",
        ask: Callable[[], bool] = kernel_synced,
        now: Callable[[], datetime] = lambda: datetime.now(CHINA),
    ) -> None:
        self.source = source
        self.trouble = ""
        """Why the kernel did not say whether the clock is set, in the system's words; empty when it did."""
        self._boot = BOOT_ID.read_text(encoding="ascii").strip()
        # A battery that is flat leaves the clock in some year before there was any window.
        self._synced = source == "battery" and now().year in YEARS and battery_agrees(now())
        self._ask = ask
        self._trusted_ahead = float("inf")
        """How far the wall clock was ahead of the uptime when the kernel last said yes."""

    def moment(self) -> Moment:
        """Now."""
        up = time.clock_gettime(time.CLOCK_BOOTTIME)
        return Moment(at=datetime.now(CHINA), boot=self._boot, up=round(up, 6), synced=self._synced)

    @property
    def synced(self) -> bool:
        """Whether the wall clock was trustworthy at the last look."""
        return self._synced

    def look(self) -> bool:
        """Ask the kernel whether the wall clock is set from a trusted source; True when it became so just now.

        A kernel that may not be asked has not said no: the last answer stands, and `trouble` says why.
        """
        if self.source == "battery" and self._synced:
            return False
        was = self._synced
        try:
            said, self.trouble = self._ask(), ""
        except OSError as error:
            self.trouble = str(error)
            return False
        ahead = time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)
        if said:
            self._trusted_ahead = ahead
        self._synced = abs(ahead - self._trusted_ahead) < STEP_S
        return self._synced and not was

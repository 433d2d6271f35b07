"""The window's clock: the only place that asks what time it is."""

import time
from datetime import datetime
from pathlib import Path

from appliance.window.moment import CHINA, Moment

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
# What adjtimex answers until some time service has set the clock (man 2 adjtimex).
TIME_ERROR = 5
TIMEX_BYTES = 256


class Clock:
    """Makes moments; `synced` is asked of the kernel only when told to look, because a press must not wait for it."""

    def __init__(self) -> None:
        self._boot = BOOT_ID.read_text(encoding="ascii").strip()
        self._synced = False

    def moment(self) -> Moment:
        """Now."""
        up = time.clock_gettime(time.CLOCK_BOOTTIME)
        return Moment(at=datetime.now(CHINA), boot=self._boot, up=round(up, 6), synced=self._synced)

    @property
    def synced(self) -> bool:
        """Whether the wall clock was trustworthy at the last look."""
        return self._synced

    def look(self) -> bool:
        """Ask the kernel whether the wall clock is set from a trusted source; True when it became so just now."""
        was, self._synced = self._synced, kernel_synced()
        return self._synced and not was


def kernel_synced() -> bool:
    """What adjtimex says of the system clock, whichever service keeps it."""
    import ctypes

    # Zeroed `modes` only asks; the answer fits well within these bytes on 32 and 64 bits.
    answer = int(ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(TIMEX_BYTES)))
    return 0 <= answer < TIME_ERROR

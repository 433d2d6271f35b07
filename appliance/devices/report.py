"""What one device has told the window of how it is: each change once, and nothing of a fault that passes at once."""

import logging
from collections.abc import Callable

from appliance.window.happenings import DeviceFails, DeviceRecovers, Happening
from appliance.window.moment import Moment

log = logging.getLogger(__name__)

LAPSE_S = 2.0
"""How long a device that has worked must be out of order before it is said."""


class Report:
    """Tells a device's faults and recoveries; `grace_s` from its first word is given to what comes late at a boot."""

    def __init__(self, device: str, tell: Callable[[Happening], object], grace_s: float = 0.0) -> None:
        self._device = device
        self._tell = tell
        self._grace_s = grace_s
        self._began: float | None = None
        self._bad_since: float | None = None
        self._said: str | None = None

    def bad(self, at: Moment, reason: str, detail: str) -> None:
        """It does not work; said when that has lasted, and again only for another reason."""
        if self._bad_since is None:
            self._bad_since = at.up
        if reason == self._said or at.up < self._due(at):
            return
        self._said = reason
        log.warning("%s: %s: %s", self._device, reason, detail)
        self._tell(DeviceFails(at=at, device=self._device, reason=reason, detail=detail))

    def good(self, at: Moment) -> None:
        """It works; said the first time, for a former run may have left a fault, and after a fault."""
        self._due(at)
        self._bad_since = None
        if self._said == "":
            return
        if self._said:
            log.warning("%s works again", self._device)
        self._said = ""
        self._tell(DeviceRecovers(at=at, device=self._device))

    def forget(self) -> None:
        """Another has spoken for the device meanwhile: say anew how it is."""
        self._said = None

    def _due(self, at: Moment) -> float:
        if self._began is None:
            self._began = at.up
        since = at.up if self._bad_since is None else self._bad_since
        return max(self._began + self._grace_s, since + min(LAPSE_S, self._grace_s))

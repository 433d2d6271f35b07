"""The loops that drive lamps and camera, and what the window is told of a device's loop that hangs or fails."""

import threading
from collections.abc import Callable

from appliance.counter import Counter
from appliance.devices.camera import Camera
from appliance.devices.condition import Condition
from appliance.devices.lamps import Lamps
from appliance.devices.report import Report
from appliance.window.happenings import DeviceFails, DeviceRecovers

LAMPS_EVERY, LAMPS_RETRY = 5.0, 1.0
CAMERA_EVERY = 30.0

GRACE_S = 8.0
"""Seconds from the start in which GPIO that is not there yet is no fault: udev may still be at work at a boot."""


class LampLoop:
    """Shows every change of the window on its lamps, and tells when one of them cannot be lit."""

    def __init__(self, counter: Counter, lamps: Lamps) -> None:
        self._counter = counter
        self._lamps = lamps
        # What the lamps say hangs on these; how long a prompt has run is rung to everybody.
        self._watch = counter.watch(lambda desk: (desk.prompt, desk.visit, desk.away))
        self._report = Report("lamps", counter.tell, GRACE_S)

    def step(self) -> None:
        """Show the window as it is, and wait until it changes; sooner while a lamp is missing."""
        lamps, at = self._lamps, self._counter.moment()
        lamps.show(self._counter.view())
        if lamps.trouble:
            self._report.bad(at, "no_gpio", lamps.trouble)
        elif not lamps.dark:
            self._report.good(at)
        self._watch.wait(LAMPS_RETRY if lamps.trouble or lamps.dark else LAMPS_EVERY)

    def forget(self) -> None:
        """Tell anew how the lamps are."""
        self._report.forget()


class CameraLoop:
    """Looks now and then whether the camera is there; `camera` None is a window without one, which is in order."""

    def __init__(self, counter: Counter, camera: Camera | None, ended: threading.Event) -> None:
        self._counter = counter
        self._camera = camera
        self._ended = ended

    def step(self) -> None:
        """One look, and the wait until the next."""
        found = self._camera.condition() if self._camera else Condition("ok")
        at = self._counter.moment()
        if found.state == "bad":
            self._counter.tell(DeviceFails(at=at, device="camera", reason=found.reason, detail=found.detail))
        else:
            self._counter.tell(DeviceRecovers(at=at, device="camera"))
        self._ended.wait(CAMERA_EVERY)


def fails(counter: Counter, device: str) -> Callable[[str, str], None]:
    """Tells that the loop of a device hangs or has raised."""
    return lambda reason, detail: counter.tell(
        DeviceFails(at=counter.moment(), device=device, reason=reason, detail=detail)
    )

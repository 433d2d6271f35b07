"""The document camera: whether there is one, and one picture at a time; a window without it says so and works on."""

import io
import logging
import threading
from pathlib import Path
from typing import Any, Protocol

import msgspec

from appliance.devices.condition import Condition, Reason
from appliance.guard import DeviceTrouble, guarded

log = logging.getLogger(__name__)


class Shot(msgspec.Struct, frozen=True):
    """One picture as JPEG."""

    jpeg: bytes


class NoShot(msgspec.Struct, frozen=True):
    """No picture, and why."""

    reason: Reason
    detail: str = ""


class Camera(Protocol):
    """What takes pictures of documents; no method raises for a camera that is absent or broken."""

    def condition(self) -> Condition:
        """Whether a picture could be taken now."""

    def capture(self) -> Shot | NoShot:
        """Take one picture."""


class PiCamera:
    """A camera of the Raspberry Pi through Picamera2, opened for each picture so that it is not warm all day."""

    def __init__(self, number: int = 0) -> None:
        self._number = number
        self._turn = threading.Lock()

    def condition(self) -> Condition:
        try:
            self._find()
        except DeviceTrouble as trouble:
            return Condition("bad", trouble.reason, trouble.detail)
        return Condition("ok")

    def capture(self) -> Shot | NoShot:
        try:
            make = self._find()
            with self._turn, guarded():
                return self._shoot(make)
        except DeviceTrouble as trouble:
            log.warning("the camera took no picture: %s", trouble.detail)
            return NoShot(trouble.reason, trouble.detail)

    def _find(self) -> Any:
        """The class that drives the camera; raises DeviceTrouble."""
        with guarded("no_library"):
            from picamera2 import Picamera2
        with guarded():
            seen = len(Picamera2.global_camera_info())
        if self._number >= seen:
            raise DeviceTrouble("absent", f"{seen} cameras")
        return Picamera2

    def _shoot(self, make: Any) -> Shot:
        with make(self._number) as camera:
            camera.configure(camera.create_still_configuration())
            camera.start()
            out = io.BytesIO()
            camera.capture_file(out, format="jpeg")
            camera.stop()
            return Shot(out.getvalue())


class BenchCamera:
    """The camera of the bench: it sees the JPEG file it is shown, and can be unplugged."""

    def __init__(self, scene: Path | None = None) -> None:
        self.scene = scene
        self.plugged = True

    def condition(self) -> Condition:
        return Condition("ok") if self.plugged else Condition("bad", "absent")

    def capture(self) -> Shot | NoShot:
        if not self.plugged:
            return NoShot("absent")
        try:
            with guarded():
                return Shot(self.scene.read_bytes() if self.scene else _white_paper())
        except DeviceTrouble as trouble:
            return NoShot(trouble.reason, trouble.detail)


def _white_paper() -> bytes:
    """What a camera over an empty desk sees."""
    from PIL import Image

    out = io.BytesIO()
    Image.new("RGB", (1640, 1232), (236, 234, 228)).save(out, "JPEG")
    return out.getvalue()

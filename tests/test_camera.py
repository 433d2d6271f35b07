"""The document camera: absent, it is reported; the bench's takes pictures."""

import io
from pathlib import Path

import pytest
from PIL import Image

from appliance.devices.camera import BenchCamera, NoShot, PiCamera, Shot
from appliance.devices.condition import Condition


def test_without_its_library_the_camera_of_the_pi_is_reported_and_nothing_raises() -> None:
    with pytest.raises(ImportError):
        import picamera2  # noqa: F401  a machine that tests has none
    camera = PiCamera()
    found = camera.condition()
    assert (found.state, found.reason) == ("bad", "no_library")
    shot = camera.capture()
    assert isinstance(shot, NoShot)
    assert shot.reason == "no_library"


PICAMERA = """
class Picamera2:
    cameras = {cameras}
    @classmethod
    def global_camera_info(cls):
        return cls.cameras
    def __init__(self, number):
        raise RuntimeError("Failed to acquire camera")
"""


@pytest.mark.parametrize(
    ("cameras", "condition", "reason"),
    [
        ("[]", Condition("bad", "absent", "0 cameras"), "absent"),
        ('[{"Num": 0}]', Condition("ok"), "error"),
    ],
)
def test_a_camera_that_is_unplugged_or_taken_is_a_code_not_a_crash(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cameras: str, condition: Condition, reason: str
) -> None:
    """The library as a file of ours on the path: as much of Picamera2 as fails."""
    (tmp_path / "picamera2.py").write_text(PICAMERA.format(cameras=cameras))
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(__import__("sys").modules, "picamera2", raising=False)
    camera = PiCamera()
    assert camera.condition() == condition
    shot = camera.capture()
    assert isinstance(shot, NoShot)
    assert shot.reason == reason


def test_the_camera_of_the_bench_sees_what_it_is_shown(tmp_path: Path) -> None:
    shot = BenchCamera().capture()
    assert isinstance(shot, Shot)
    assert Image.open(io.BytesIO(shot.jpeg)).format == "JPEG"
    scene = tmp_path / "form.jpg"
    scene.write_bytes(shot.jpeg[:-2])
    assert BenchCamera(scene).capture() == Shot(shot.jpeg[:-2])


def test_the_camera_of_the_bench_can_be_unplugged() -> None:
    camera = BenchCamera()
    camera.plugged = False
    assert camera.condition() == Condition("bad", "absent")
    assert camera.capture() == NoShot("absent")


def test_a_scene_that_is_not_there_is_an_error_not_a_crash(tmp_path: Path) -> None:
    shot = BenchCamera(tmp_path / "none.jpg").capture()
    assert isinstance(shot, NoShot)
    assert shot.reason == "error"
